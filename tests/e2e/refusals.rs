//! What is refused, in which words, and how it goes on once the cause is gone.

use anyhow::{Context as _, Result, ensure};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use olm_tests::wait::{self, message};
use serde_json::json;

use crate::packages::{Shape as _, package};
use crate::user::Text;
use crate::world::World;

#[tokio::test]
async fn what_no_catalog_offers_is_named() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let channels = |name: &str| package(name, &["1.0.0", "2.0.0"]).with_channel("beta", &["2.0.0"]);
    let names = ["ink-version", "ink-channel", "ink-both", "ink-range"];
    let mut packages = names.map(channels).to_vec();
    packages.push(package("ink-draft", &["1.0.0-alpha.1"]));
    user.publish("ink", &packages).await?;
    let cases = [
        (
            "ink-nothing",
            json!({"packageName": "ink-nothing"}),
            r#"no package "ink-nothing" found"#,
        ),
        (
            "ink-version",
            json!({"packageName": "ink-version", "version": "0.50.0"}),
            r#"no package "ink-version" matching version "0.50.0" found"#,
        ),
        (
            "ink-channel",
            json!({"packageName": "ink-channel", "channel": "gamma"}),
            r#"no package "ink-channel" found in channel "gamma""#,
        ),
        (
            "ink-both",
            json!({"packageName": "ink-both", "version": "1.0.0", "channel": "beta"}),
            r#"no package "ink-both" matching version "1.0.0" found in channel "beta""#,
        ),
        (
            "ink-range",
            json!({"packageName": "ink-range", "version": ">=1.0.0 <1.0.0 || >2.0.0"}),
            r#"no package "ink-range" matching version ">=1.0.0 <1.0.0 || >2.0.0" found"#,
        ),
        (
            "ink-draft",
            json!({"packageName": "ink-draft", "version": ">=0.1.0"}),
            "no package \"ink-draft\" matching version \">=0.1.0\" found; it has only pre-release \
             versions there, allow them with a range such as \">=0.0.0-0\"",
        ),
    ];
    for (name, spec, _) in &cases {
        user.ask(name, spec.clone()).await?;
    }
    for (name, _, text) in &cases {
        user.refused(name, text).await?;
        ensure!(user.deployments.get_opt(name).await?.is_none());
    }
    // Each goes on once it asks for what is there, or what it asks for is there.
    for name in names {
        user.ask(name, json!({"packageName": name, "channel": "beta"}))
            .await?;
    }
    let draft = json!({"packageName": "ink-draft", "version": ">=0.0.0-0"});
    user.ask("ink-draft", draft).await?;
    packages.push(package("ink-nothing", &["3.0.0"]));
    user.publish("ink", &packages).await?;
    for name in names {
        let operator = user.installed(name, "2.0.0").await?;
        let installed = operator.status.and_then(|status| status.installed);
        let installed = installed.context("nothing installed")?;
        assert_eq!(installed.channel.as_deref(), Some("beta"));
        assert_eq!(installed.catalog.as_deref(), Some("ink"));
        assert_eq!(installed.name, format!("{name}.v2.0.0"));
    }
    user.installed("ink-nothing", "3.0.0").await?;
    user.installed("ink-draft", "1.0.0-alpha.1").await?;
    user.world.is_unharmed()
}

/// What an installed Operator says that asks for what no edge leads to.
fn no_edge(edges: &str, operator: &str, asked: &str, identifiers: &str) -> String {
    format!(
        "constraints not satisfiable:\npackage \"stair\" is installed at {edges}; Operator \
         \"{operator}\" asks for {asked}\n- installed package stair requires at least one of \
         {identifiers}"
    )
}

#[tokio::test]
async fn only_upgrade_edges_are_taken_unless_they_are_to_be_ignored() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let versions = ["1.0.0", "1.0.1", "1.2.0", "2.0.0"];
    user.publish("stairs", &[package("stair", &versions)])
        .await?;
    let ask = |version: &str| json!({"packageName": "stair", "version": version});
    let ignore = |version: &str| json!({"packageName": "stair", "version": version, "upgradeConstraintPolicy": "Ignore"});
    user.ask("stair", ask("1.0.0")).await?;
    let first = user.installed("stair", "1.0.0").await?;
    let image = first.status.unwrap_or_default().installed_bundle_resource;

    let refused = "Resolved=False/ResolutionFailed";
    let text = no_edge(
        "1.0.0 and may only be updated to 1.0.1",
        "stair",
        "1.2.0, which can be reached in several updates, the next one to 1.0.1",
        "stairs-stair-stair.v1.0.1, stairs-stair-stair.v1.0.0",
    );
    user.ask("stair", ask("1.2.0")).await?;
    let operator = user.said("stair", refused, Text::Is(&text)).await?;
    // What runs is still told, and still repaired.
    let status = operator.status.clone().unwrap_or_default();
    assert_eq!(status.installed_bundle_resource, image);
    assert_eq!(status.resolved_bundle_resource, "");
    ensure!(wait::has_reason(&operator, "Installed", "True", "Success"));
    assert_eq!(
        message(&operator, "Installed"),
        format!("installed from {image:?}")
    );
    user.breaks_deployment("stair").await?;

    user.ask("stair", ask("1.0.1")).await?;
    user.installed("stair", "1.0.1").await?;
    let text = no_edge(
        "1.0.1 and may only be updated to 1.2.0",
        "stair",
        "1.0.0",
        "stairs-stair-stair.v1.2.0, stairs-stair-stair.v1.0.1",
    );
    user.ask("stair", ask("1.0.0")).await?;
    user.said("stair", refused, Text::Is(&text)).await?;

    user.ask("stair", ignore("1.0.0")).await?;
    user.installed("stair", "1.0.0").await?;
    user.ask("stair", ignore("2.0.0")).await?;
    user.installed("stair", "2.0.0").await?;
    let text = no_edge(
        "2.0.0 and has no update",
        "stair",
        "1.2.0",
        "stairs-stair-stair.v2.0.0",
    );
    user.ask("stair", ask("1.2.0")).await?;
    user.said("stair", refused, Text::Is(&text)).await?;
    user.remove(&["stair"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn of_two_operators_for_a_package_the_older_one_wins() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("twins", &[package("twin", &["1.0.0"])])
        .await?;
    let spec = json!({"packageName": "twin"});
    user.ask("twin-a", spec.clone()).await?;
    user.installed("twin-a", "1.0.0").await?;
    user.ask("twin-b", spec).await?;
    let text = "package \"twin\" is already asked for by Operator \"twin-a\", delete one of the two: duplicate identifier \
                \"required package twin\" in input";
    user.refused("twin-b", text).await?;
    user.installed("twin-a", "1.0.0").await?;
    user.remove(&["twin-a"]).await?;
    user.installed("twin-b", "1.0.0").await?;
    user.remove(&["twin-b"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn an_operator_that_cannot_succeed_holds_nobody_up() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("rivals", &[package("rival", &["1.0.0"])])
        .await?;
    let hopeless = json!({"packageName": "rival", "version": "9.x"});
    user.ask("rival-a", hopeless).await?;
    let text = "no package \"rival\" matching version \"9.x\" found";
    user.refused("rival-a", text).await?;
    let spec = json!({"packageName": "rival"});
    user.ask("rival-b", spec.clone()).await?;
    user.installed("rival-b", "1.0.0").await?;
    // What runs stays with whom it runs for, also when the older one could succeed now.
    let text = "package \"rival\" is already asked for by Operator \"rival-b\", delete one of the two: duplicate \
                identifier \"required package rival\" in input";
    user.refused("rival-a", text).await?;
    user.ask("rival-a", spec).await?;
    user.refused("rival-a", text).await?;
    user.installed("rival-b", "1.0.0").await?;
    user.remove(&["rival-b"]).await?;
    user.installed("rival-a", "1.0.0").await?;
    user.remove(&["rival-a"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn a_bundle_for_a_newer_cluster_is_passed_over_and_refused_where_it_is_wanted() -> Result<()>
{
    let user = World::shared().await?.user().await?;
    let needs = json!({"minKubeVersion": "1.99.0"});
    let content =
        package("fresh", &["1.0.0", "2.0.0"]).with_property("2.0.0", "olm.csv.metadata", needs);
    user.publish("fresh", &[content]).await?;
    user.ask("fresh", json!({"packageName": "fresh"})).await?;
    user.installed("fresh", "1.0.0").await?;
    user.remove(&["fresh"]).await?;
    user.ask("fresh", json!({"packageName": "fresh", "version": "2.0.0"}))
        .await?;
    let text = "no usable version of package \"fresh\": 2.0.0 needs Kubernetes 1.99.0";
    user.refused("fresh", text).await?;
    user.remove(&["fresh"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn skips_and_ranges_are_edges_and_the_newest_wins() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let versions = ["1.0.0", "1.0.1", "1.2.0", "2.0.0", "3.0.0"];
    let mut ladder = package("ladder", &versions);
    ladder.channels = vec![json!({
        "schema": "olm.channel", "package": "ladder", "name": "stable", "entries": [
            {"name": "ladder.v1.0.0"},
            {"name": "ladder.v1.0.1", "replaces": "ladder.v1.0.0"},
            {"name": "ladder.v1.2.0", "replaces": "ladder.v1.0.1", "skips": ["ladder.v1.0.0"]},
            {"name": "ladder.v2.0.0", "skipRange": ">=1.0.0 <1.0.1"},
            {"name": "ladder.v3.0.0", "skipRange": "<v3"},
        ],
    })];
    user.publish("ladders", &[ladder]).await?;
    let spec = |version: &str| json!({"packageName": "ladder", "version": version});
    user.ask("ladder", spec("1.0.0")).await?;
    user.installed("ladder", "1.0.0").await?;
    // The newest that an edge leads to is two versions away, and what no edge leads to is newer.
    user.ask("ladder", json!({"packageName": "ladder"})).await?;
    user.installed("ladder", "2.0.0").await?;
    user.ask("ladder", spec("3.0.0")).await?;
    let text = "installed package ladder requires at least one of ladders-ladder-ladder.v2.0.0";
    let refused = "Resolved=False/ResolutionFailed";
    user.said("ladder", refused, Text::Has(&[text])).await?;
    let mut back = spec("1.0.0");
    back["upgradeConstraintPolicy"] = json!("Ignore");
    user.ask("ladder", back).await?;
    user.installed("ladder", "1.0.0").await?;
    user.ask("ladder", spec("1.x")).await?;
    user.installed("ladder", "1.2.0").await?;
    user.remove(&["ladder"]).await
}

#[tokio::test]
async fn a_name_that_no_deployment_can_have_is_refused() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("long", &[package("long", &["1.0.0"])]).await?;
    let name = "o".repeat(46);
    user.ask(&name, json!({"packageName": "long"})).await?;
    let text = "the name of the Operator has 46 characters and its bundledeployment, which is named \
                after it, may have 45: make an Operator with a shorter name";
    let operator = user
        .said(&name, "Installed=False/InstallationFailed", Text::Is(text))
        .await?;
    ensure!(wait::has_reason(&operator, "Resolved", "True", "Success"));
    ensure!(wait::has_condition(&operator, "Ready", "False"));
    user.remove(&[&name]).await?;
    let name = "o".repeat(45);
    user.ask(&name, json!({"packageName": "long"})).await?;
    user.installed(&name, "1.0.0").await?;
    user.remove(&[&name]).await
}

#[tokio::test]
async fn a_range_that_is_none_is_told_and_can_be_put_right() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("pipe", &[package("pipe", &["1.0.0"])]).await?;
    let spec = json!({"packageName": "pipe", "version": "|"});
    user.ask("pipe", spec).await?;
    let text = "validation has not been attempted as spec is invalid";
    let row = "Resolved=Unknown/ResolutionUnknown";
    let operator = user.said("pipe", row, Text::Is(text)).await?;
    let installed = wait::condition(&operator, "Installed").context("no Installed")?;
    assert_eq!(installed["status"], "Unknown");
    assert_eq!(installed["reason"], "InstallationStatusUnknown");
    assert_eq!(
        installed["message"],
        "installation has not been attempted as spec is invalid"
    );
    ensure!(wait::has_condition(&operator, "Stalled", "True"));
    user.ask("pipe", json!({"packageName": "pipe", "version": "1.x"}))
        .await?;
    let operator = user.installed("pipe", "1.0.0").await?;
    ensure!(wait::condition(&operator, "Stalled").is_none());
    user.remove(&["pipe"]).await
}

#[tokio::test]
async fn a_format_that_nobody_knows_is_named() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let odd = package("odd", &["1.0.0"]).with_property(
        "1.0.0",
        "olm.bundle.mediatype",
        json!("badmedia+v1"),
    );
    user.publish("odd", &[odd]).await?;
    user.ask("odd", json!({"packageName": "odd"})).await?;
    let row = "Installed=False/InstallationFailed";
    let text = "unknown bundle mediatype: badmedia+v1";
    let operator = user.said("odd", row, Text::Is(text)).await?;
    let status = operator.status.clone().unwrap_or_default();
    let image = status.resolved_bundle_resource;
    assert_eq!(
        message(&operator, "Resolved"),
        format!("resolved to {image:?}")
    );
    ensure!(user.deployments.get_opt("odd").await?.is_none());
    user.publish("odd", &[package("odd", &["1.0.0"])]).await?;
    user.installed("odd", "1.0.0").await?;
    user.remove(&["odd"]).await
}

#[tokio::test]
async fn a_deployment_of_somebody_else_is_not_touched() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("taken", &[package("taken", &["1.0.0"])])
        .await?;
    let foreign = serde_json::from_value(json!({
        "apiVersion": "core.rukpak.io/v1alpha1", "kind": "BundleDeployment",
        "metadata": {"name": "taken", "annotations": {"example.com/of": "somebody"}},
        "spec": {
            "provisionerClassName": "example-com-nobody",
            "template": {"spec": {
                "provisionerClassName": "example-com-nobody",
                "source": {"type": "image", "image": {"ref": "example.com/theirs:v1"}},
            }},
        },
    }))?;
    let theirs = user
        .deployments
        .create(&PostParams::default(), &foreign)
        .await?;
    user.ask("taken", json!({"packageName": "taken"})).await?;
    let text = "bundledeployment \"taken\" exists and does not belong to this Operator: rename the \
                Operator, or remove the bundledeployment";
    let row = "Installed=False/InstallationFailed";
    user.said("taken", row, Text::Is(text)).await?;
    let now = user.deployments.get("taken").await?;
    assert_eq!(now.resource_version(), theirs.resource_version());
    assert_eq!(now.spec, theirs.spec);

    // The Operator goes without it, and another one has it once it is free.
    let background = DeleteParams::background();
    user.operators.delete("taken", &background).await?;
    wait_gone(&user, "taken").await?;
    let now = user.deployments.get("taken").await?;
    assert_eq!(now.resource_version(), theirs.resource_version());
    user.ask("taken", json!({"packageName": "taken"})).await?;
    user.said("taken", row, Text::Is(text)).await?;
    user.deployments.delete("taken", &background).await?;
    user.installed("taken", "1.0.0").await?;
    user.remove(&["taken"]).await
}

async fn wait_gone(user: &crate::user::User<'_>, name: &str) -> Result<()> {
    olm_tests::Wait::new(format!("Operator `{name}` is gone"))
        .gone(&user.operators, name)
        .await
}

#[tokio::test]
async fn between_equal_catalogs_nobody_guesses() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let tie = package("tie", &["1.0.0"]);
    let other = tie.clone().with_image("1.0.0", "example.com/tie:v1");
    user.publish("tie-a", &[tie]).await?;
    user.publish("tie-b", &[other]).await?;
    // It may have been read before the second one was.
    user.ask("tie", json!({"packageName": "tie", "version": "<1.0.0"}))
        .await?;
    user.refused("tie", r#"no package "tie" matching version "<1.0.0" found"#)
        .await?;
    wait_read(&user, "tie-b").await?;
    user.ask("tie", json!({"packageName": "tie"})).await?;
    let text = "found bundles for package \"tie\" in multiple catalogs with the same priority \
                [tie-a tie-b]";
    user.refused("tie", text).await?;
    prefer(&user, "tie-a", 1).await?;
    user.installed("tie", "1.0.0").await?;
    user.remove(&["tie"]).await?;
    prefer(&user, "tie-a", 0).await?;
    user.ask("tie", json!({"packageName": "tie"})).await?;
    user.refused("tie", text).await?;
    user.catalogs
        .delete("tie-b", &DeleteParams::default())
        .await?;
    user.installed("tie", "1.0.0").await?;
    user.remove(&["tie"]).await?;
    user.world.is_unharmed()
}

/// Gives a Catalog another priority, and waits until operator-controller goes by it.
async fn prefer(user: &crate::user::User<'_>, catalog: &str, priority: i32) -> Result<()> {
    let told = || -> Result<usize> {
        let log = user.world.suite.log("operator-controller")?;
        let lines = log.lines().filter(|line| {
            line.contains("priority of a catalog changed") && line.contains(catalog)
        });
        Ok(lines.count())
    };
    let before = told()?;
    let change = json!({"spec": {"priority": priority}});
    user.catalogs
        .patch(catalog, &PatchParams::default(), &Patch::Merge(&change))
        .await?;
    olm_tests::Wait::new(format!("`{catalog}` has priority {priority}"))
        .logs(&user.world.suite)
        .value(async || Ok((told()? > before).then_some(())))
        .await
}

/// Waits until operator-controller has read a catalog.
async fn wait_read(user: &crate::user::User<'_>, catalog: &str) -> Result<()> {
    olm_tests::Wait::new(format!("`{catalog}` is read"))
        .logs(&user.world.suite)
        .value(async || {
            let log = user.world.suite.log("operator-controller")?;
            let read = log
                .lines()
                .any(|line| line.contains("catalog read") && line.contains(catalog));
            Ok(read.then_some(()))
        })
        .await
}
