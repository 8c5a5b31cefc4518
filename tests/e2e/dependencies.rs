//! What is required is installed first, stays while it is needed, and is updated only as far as
//! nothing breaks.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::DeleteParams;
use olm_api::labels::DEPENDENCY;
use olm_api::operator::{Dependant, Operator, OperatorStatus};
use olm_tests::Wait;
use olm_tests::content::PackageContent;
use olm_tests::wait::{self, message};
use serde_json::json;

use crate::packages::{Shape as _, package};
use crate::user::{PATIENCE, Recorder, Text, User};
use crate::world::World;

/// A package whose versions require others: `(version, package, range)`.
fn requiring(name: &str, versions: &[&str], requires: &[(&str, &str, &str)]) -> PackageContent {
    let all = package(name, versions);
    requires.iter().fold(all, |all, (version, other, range)| {
        let value = json!({"packageName": other, "versionRange": range});
        all.with_property(version, "olm.package.required", value)
    })
}

/// The Operator, once this version runs for it, whatever is held back.
async fn runs(user: &User<'_>, name: &str, version: &str) -> Result<Operator> {
    Wait::new(format!("{name} {version} runs"))
        .within(PATIENCE)
        .logs(&user.world.suite)
        .object(&user.operators, name, |operator| {
            let status = operator.status.clone().unwrap_or_default();
            status.installed.is_some_and(|of| of.version == version)
                && wait::has_condition(operator, "Ready", "True")
        })
        .await
}

fn status(operator: &Operator) -> OperatorStatus {
    operator.status.clone().unwrap_or_default()
}

fn dependant(operator: &str, version: &str) -> Dependant {
    Dependant {
        operator: operator.to_owned(),
        package: operator.to_owned(),
        version: version.to_owned(),
    }
}

#[tokio::test]
async fn what_operators_require_is_installed_with_them() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.ask(
        "wood-a",
        json!({"packageName": "wood-a", "version": "0.1.0"}),
    )
    .await?;
    user.ask("wood-b", json!({"packageName": "wood-b"})).await?;
    let requires = [("0.1.0", "wood-c", "0.1.0"), ("0.2.0", "wood-c", "0.2.0")];
    let packages = [
        requiring("wood-a", &["0.1.0", "0.2.0"], &requires),
        requiring("wood-b", &["0.3.0"], &[("0.3.0", "wood-d", ">=0.0.0")]),
        package("wood-c", &["0.1.0", "0.2.0"]),
        package("wood-d", &["1.0.0", "2.0.0"]),
    ];
    user.publish("wood", &packages).await?;
    let a = runs(&user, "wood-a", "0.1.0").await?;
    let b = runs(&user, "wood-b", "0.3.0").await?;
    let c = runs(&user, "wood-c", "0.1.0").await?;
    let d = runs(&user, "wood-d", "2.0.0").await?;
    for (made, by) in [(&c, "wood-a"), (&d, "wood-b")] {
        assert_eq!(
            made.labels().get(DEPENDENCY).map(String::as_str),
            Some("true")
        );
        let names = &made.annotations()[olm_api::annotations::REQUIRED_BY];
        assert_eq!(names, by);
        assert_eq!(made.spec.channel.as_deref(), Some("stable"));
        ensure!(made.owner_references().is_empty());
    }
    ensure!(!a.labels().contains_key(DEPENDENCY) && !b.labels().contains_key(DEPENDENCY));
    assert_eq!(status(&c).required_by, [dependant("wood-a", "0.1.0")]);
    let needs = &status(&a).dependencies[0];
    assert_eq!(
        (needs.package.as_str(), needs.version.as_str()),
        ("wood-c", "0.1.0")
    );
    assert_eq!(needs.requirements, [r#"package "wood-c" in range "0.1.0""#]);
    // What is required was there before what requires it.
    for (first, then) in [("wood-c", "wood-a"), ("wood-d", "wood-b")] {
        let made = async |name: &str| -> Result<_> {
            Ok(user.deployments.get(name).await?.creation_timestamp())
        };
        ensure!(
            made(first).await? <= made(then).await?,
            "{then} came before {first}"
        );
    }
    // Why the dependency is not newer is told.
    let held = "newest version 0.2.0 is held back: updating wood-c to 0.2.0 would break wood-a \
                0.1.0, which requires wood-c 0.1.0";
    user.said("wood-c", "Resolved=True/Success", Text::Has(&[held]))
        .await?;

    // They stay until someone removes them, and say that nobody needs them.
    user.remove(&["wood-a"]).await?;
    let left = user.installed("wood-c", "0.2.0").await?;
    ensure!(status(&left).required_by.is_empty() && left.labels().contains_key(DEPENDENCY));
    user.remove(&["wood-b", "wood-c", "wood-d"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn requirements_that_clash_are_explained_and_nothing_is_installed() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.ask(
        "iron-a",
        json!({"packageName": "iron-a", "version": "0.1.0"}),
    )
    .await?;
    user.ask("iron-b", json!({"packageName": "iron-b"})).await?;
    let packages = [
        requiring("iron-a", &["0.1.0"], &[("0.1.0", "iron-c", "0.1.0")]),
        requiring("iron-b", &["0.3.0"], &[("0.3.0", "iron-c", "0.2.0")]),
        package("iron-c", &["0.1.0", "0.2.0"]),
    ];
    user.publish("iron", &packages).await?;
    let text = "constraints not satisfiable:\n\
        unable to resolve: iron-a 0.1.0 requires iron-c 0.1.0, which conflicts with iron-b 0.3.0 \
        requiring iron-c 0.2.0";
    let row = "Resolved=False/ResolutionFailed";
    let mut texts = Vec::new();
    for name in ["iron-a", "iron-b"] {
        let operator = user.said(name, row, Text::Has(&[text])).await?;
        ensure!(wait::has_reason(
            &operator,
            "Progressing",
            "False",
            "Blocked"
        ));
        texts.push(message(&operator, "Resolved"));
        ensure!(user.deployments.get_opt(name).await?.is_none());
    }
    assert_eq!(texts[0], texts[1]);
    ensure!(user.operators.get_opt("iron-c").await?.is_none());
    // An older bundle that fits is taken instead, once there is one.
    let fits = [("0.3.0", "iron-c", "0.2.0"), ("0.2.0", "iron-c", ">=0.1.0")];
    let packages = [
        requiring("iron-a", &["0.1.0"], &[("0.1.0", "iron-c", "0.1.0")]),
        requiring("iron-b", &["0.2.0", "0.3.0"], &fits),
        package("iron-c", &["0.1.0", "0.2.0"]),
    ];
    user.publish("iron", &packages).await?;
    runs(&user, "iron-a", "0.1.0").await?;
    let b = runs(&user, "iron-b", "0.2.0").await?;
    let held = "newest version 0.3.0 is held back: ";
    ensure!(
        message(&b, "Resolved").contains(held),
        "{}",
        message(&b, "Resolved")
    );
    user.remove(&["iron-a", "iron-b", "iron-c"]).await
}

#[tokio::test]
async fn the_real_pair_is_installed_in_order_and_kept_together() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let (topology, cluster) = (
        "rabbitmq-messaging-topology-operator",
        "rabbitmq-cluster-operator",
    );
    let Some(asked) = PackageContent::real(topology, &["1.19.3"])? else {
        return Ok(());
    };
    let Some(required) = PackageContent::real(cluster, &["2.22.3"])? else {
        return Ok(());
    };
    let [asked, required] = [asked, required].map(|mut package| {
        for bundle in &mut package.bundles {
            bundle.meta["image"] = json!("");
        }
        package
    });
    user.publish("rabbits", &[asked.clone(), required.clone()])
        .await?;
    let spec = json!({"packageName": topology});
    user.ask(topology, spec).await?;
    let made = runs(&user, cluster, "2.22.3").await?;
    ensure!(made.labels().contains_key(DEPENDENCY));
    let operator = runs(&user, topology, "1.19.3").await?;
    ensure!(wait::has_condition(&operator, "Healthy", "True"));
    let made_first = user.deployments.get(cluster).await?.creation_timestamp();
    ensure!(made_first <= user.deployments.get(topology).await?.creation_timestamp());
    let needs = &status(&operator).dependencies[0];
    ensure!(needs.operator == cluster && needs.ready && needs.requirements.len() == 2);

    // A made-up version without the API that is required is not taken.
    let broken = "3.0.0";
    let mut with_broken = required.clone();
    let mut made_up = package(cluster, &[broken]);
    with_broken.bundles.append(&mut made_up.bundles);
    let entry = json!({"name": format!("{cluster}.v{broken}"), "skipRange": "<3.0.0"});
    for channel in &mut with_broken.channels {
        let entries = channel["entries"].as_array_mut().context("entries")?;
        entries.push(entry.clone());
    }
    user.publish("rabbits", &[asked, with_broken]).await?;
    let held = format!(
        "newest version 3.0.0 is held back: updating {cluster} to 3.0.0 would break {topology} \
         1.19.3, which requires an API rabbitmq.com/v1beta1 RabbitmqCluster"
    );
    user.said(cluster, "Resolved=True/Success", Text::Has(&[&held]))
        .await?;
    runs(&user, cluster, "2.22.3").await?;
    user.remove(&[topology]).await?;
    // Nothing is in the way of it any more.
    Wait::new("the made-up version is chosen")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .object(&user.operators, cluster, |found| {
            let resolved = status(found).resolved;
            resolved.is_some_and(|of| of.version == broken)
        })
        .await?;
    user.remove(&[cluster]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn a_dependency_belongs_to_whoever_changes_it() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let packages = [
        requiring("clay-a", &["1.0.0"], &[("1.0.0", "clay-b", ">=1.0.0")]),
        package("clay-b", &["1.0.0", "1.1.0"]),
    ];
    user.publish("clay", &packages).await?;
    user.ask("clay-a", json!({"packageName": "clay-a"})).await?;
    runs(&user, "clay-a", "1.0.0").await?;
    // A second Operator for its package is told to change the one that is there.
    user.ask("clay-own", json!({"packageName": "clay-b"}))
        .await?;
    let text = "package \"clay-b\" is already installed by Operator \"clay-b\", which was made \
                because others require it: change that one as you need it and delete this one: \
                duplicate identifier \"required package clay-b\" in input";
    user.refused("clay-own", text).await?;
    user.remove(&["clay-own"]).await?;
    // Deleted while it is needed, it is made again after its uninstall.
    let before = user.operators.get("clay-b").await?.uid();
    user.operators
        .delete("clay-b", &DeleteParams::background())
        .await?;
    let again = Wait::new("clay-b is made again")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .object(&user.operators, "clay-b", |found| {
            found.uid() != before && wait::has_condition(found, "Ready", "True")
        })
        .await?;
    ensure!(again.labels().contains_key(DEPENDENCY));
    // Whoever has a say in its spec has it, also with nothing but what stands there.
    let spec = serde_json::to_value(&again.spec)?;
    let generation = again.metadata.generation;
    user.ask("clay-b", spec).await?;
    let taken = Wait::new("clay-b is no dependency any more")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .object(&user.operators, "clay-b", |found| {
            !found.labels().contains_key(DEPENDENCY)
                && !found
                    .annotations()
                    .contains_key(olm_api::annotations::REQUIRED_BY)
        })
        .await?;
    assert_eq!(taken.metadata.generation, generation);
    assert_eq!(
        status(&user.installed("clay-b", "1.1.0").await?).required_by,
        [dependant("clay-a", "1.0.0")]
    );
    user.remove(&["clay-a", "clay-b"]).await
}

#[tokio::test]
async fn who_requires_that_dependencies_are_there_waits_for_them() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let packages = [
        requiring("sand-a", &["1.0.0"], &[("1.0.0", "sand-b", ">=1.0.0")]),
        package("sand-b", &["1.0.0"]),
    ];
    user.publish("sand", &packages).await?;
    let spec = json!({"packageName": "sand-a", "dependencyPolicy": "Require"});
    user.ask("sand-a", spec).await?;
    let text = "sand-a 1.0.0 requires package \"sand-b\" in range \">=1.0.0\", which is not \
                installed";
    let row = "Resolved=False/ResolutionFailed";
    user.said("sand-a", row, Text::Has(&[text])).await?;
    ensure!(user.operators.get_opt("sand-b").await?.is_none());
    user.ask("sand-b", json!({"packageName": "sand-b"})).await?;
    runs(&user, "sand-a", "1.0.0").await?;
    // Without it what runs stays, and says what it lacks.
    user.remove(&["sand-b"]).await?;
    let operator = user.said("sand-a", row, Text::Has(&[text])).await?;
    ensure!(wait::has_reason(&operator, "Installed", "True", "Success"));
    ensure!(user.operators.get_opt("sand-b").await?.is_none());
    user.remove(&["sand-a"]).await
}

#[tokio::test]
async fn packages_that_require_one_another_go_together() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let packages = [
        requiring("ring-a", &["1.0.0"], &[("1.0.0", "ring-b", ">=1.0.0")]),
        requiring("ring-b", &["1.0.0"], &[("1.0.0", "ring-a", ">=1.0.0")]),
    ];
    user.publish("ring", &packages).await?;
    user.ask("ring-a", json!({"packageName": "ring-a"})).await?;
    runs(&user, "ring-a", "1.0.0").await?;
    runs(&user, "ring-b", "1.0.0").await?;
    user.remove(&["ring-a"]).await?;
    user.remove(&["ring-b"]).await
}

#[tokio::test]
async fn who_would_break_moves_first() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let first = [
        requiring("salt-a", &["1.0.0"], &[("1.0.0", "salt-b", "<2.0.0")]),
        package("salt-b", &["1.0.0"]),
    ];
    user.publish("salt", &first).await?;
    user.ask("salt-a", json!({"packageName": "salt-a"})).await?;
    runs(&user, "salt-a", "1.0.0").await?;
    let states = Recorder::start(user.operators.clone(), "salt-a", |operator| {
        let status = operator.status.as_ref()?;
        let version = &status.installed.as_ref()?.version;
        let needs = status.dependencies.first()?;
        Some(format!("{version} with {}", needs.version))
    });
    let requires = [
        ("1.0.0", "salt-b", "<2.0.0"),
        ("1.1.0", "salt-b", ">=1.0.0"),
    ];
    let both = [
        requiring("salt-a", &["1.0.0", "1.1.0"], &requires),
        package("salt-b", &["1.0.0", "2.0.0"]),
    ];
    let asked = Recorder::start(user.deployments.clone(), "salt-b", |deployment| {
        deployment
            .annotations()
            .get(olm_api::annotations::BUNDLE_VERSION)
            .cloned()
    });
    user.publish("salt", &both).await?;
    user.installed("salt-a", "1.1.0").await?;
    user.installed("salt-b", "2.0.0").await?;
    assert_eq!(asked.seen(), ["1.0.0", "2.0.0"]);
    ensure!(!states.seen().is_empty());
    let (a, b) = (
        user.deployments.get("salt-a").await?,
        user.deployments.get("salt-b").await?,
    );
    let moved: BTreeMap<_, _> = [("a", &a), ("b", &b)]
        .map(|(name, found)| {
            let installed = wait::condition(found, "Installed").unwrap_or_default();
            (name, installed["lastTransitionTime"].to_string())
        })
        .into();
    ensure!(moved["a"] <= moved["b"], "{moved:?}");
    user.remove(&["salt-a", "salt-b"]).await?;
    user.world.is_unharmed()
}
