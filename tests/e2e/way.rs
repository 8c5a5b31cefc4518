//! The whole way of a package, from a catalog to nothing left.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::DeleteParams;
use olm_api::operator::Operator;
use olm_tests::Wait;
use olm_tests::publish::Publisher;
use olm_tests::scenario::Scenario;
use olm_tests::snapshot::Snapshot;
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use crate::user::{PATIENCE, Recorder, Text, User};
use crate::world::World;

fn installed_version(operator: &Operator) -> Option<String> {
    let status = operator.status.as_ref()?;
    Some(status.installed.as_ref()?.version.clone())
}

/// The names of the installed objects of a kind, with their namespaces.
async fn inventory(user: &User<'_>, name: &str, kind: &str) -> Result<Vec<(String, String)>> {
    let deployment = user.deployments.get(name).await?;
    let inventory = deployment.status.and_then(|status| status.inventory);
    let objects = inventory.context("no inventory")?.objects;
    Ok(objects
        .into_iter()
        .filter(|object| object.kind == kind)
        .map(|object| (object.namespace.unwrap_or_default(), object.name))
        .collect())
}

#[tokio::test]
async fn a_package_goes_its_way_from_the_catalog_until_nothing_is_left() -> Result<()> {
    let world = World::own().await?;
    let user = world.user().await?;
    let scenario = Scenario::load()?;
    let publisher = Publisher::new(&world.registry);
    let (base, dependant) = (
        scenario.base.name.as_str(),
        scenario.dependant.name.as_str(),
    );
    let versions = &scenario.base_versions;
    let last = versions.last().context("no version")?;
    let [.., sooner, later] = scenario.dependant_versions.as_slice() else {
        anyhow::bail!("too few versions");
    };
    let packages = [scenario.base.clone(), scenario.dependant.without(later)];
    let first = publisher.catalog("way:latest", &packages).await?;
    let (reference, digest) = (&first.reference, &first.digest);
    user.serves("way", reference, digest).await?;
    let before = Snapshot::take(&user.client).await?;

    // What needs another package, and may not bring it, is refused alone and names what it lacks.
    let channel = |package: &str| json!({"packageName": package, "channel": "stable"});
    let mut alone = channel(dependant);
    alone["dependencyPolicy"] = json!("Require");
    user.ask(dependant, alone).await?;
    let row = "Resolved=False/ResolutionFailed";
    let missing = format!("constraints not satisfiable:\n{dependant} {sooner} requires ");
    let refused = user.said(dependant, row, Text::Has(&[&missing])).await?;
    let text = message(&refused, "Resolved");
    ensure!(
        scenario.missing.iter().any(|part| text.contains(part)),
        "{text}"
    );
    ensure!(user.deployments.get_opt(dependant).await?.is_none());

    // Pinned, the base is installed at its first version; then the refused one is, untouched.
    let pinned = json!({"packageName": base, "version": versions[0]});
    let hops = Recorder::start(user.operators.clone(), base, installed_version);
    user.ask(base, pinned).await?;
    user.installed(base, &versions[0]).await?;
    user.installed(dependant, sooner).await?;

    // Along its channel, the base goes from version to version and skips none.
    user.ask(base, channel(base)).await?;
    user.installed(base, last).await?;
    Wait::new("the watch saw the last version")
        .value(async || Ok((hops.seen().last() == Some(last)).then_some(())))
        .await?;
    assert_eq!(&hops.seen(), versions);

    // What is deleted comes back.
    let deployments = inventory(&user, base, "Deployment").await?;
    let (namespace, name) = deployments.first().context("no Deployment")?;
    let workloads: Api<Deployment> = Api::namespaced(user.client.clone(), namespace);
    user.deletes(&workloads, name).await?;

    // The catalog goes: what runs stays, and is still repaired, whatever comes.
    user.catalogs
        .delete("way", &DeleteParams::default())
        .await?;
    Wait::new("the Catalog is gone")
        .gone(&user.catalogs, "way")
        .await?;
    Wait::new("operator-controller has noticed")
        .within(PATIENCE)
        .logs(&world.suite)
        .value(async || {
            let log = world.suite.log("operator-controller")?;
            Ok(log.contains("catalog is no longer offered").then_some(()))
        })
        .await?;
    world.restart("operator-controller").await?;
    user.deletes(&workloads, name).await?;
    let ranged = json!({"packageName": base, "channel": "stable", "version": ">0.0.1"});
    user.ask(base, ranged).await?;
    for (name, version) in [(base, last), (dependant, sooner)] {
        user.installed(name, version).await?;
    }

    // It comes back, and then is pushed again with a later version of the dependant.
    user.serves("way", reference, digest).await?;
    user.ask(base, channel(base)).await?;
    for (name, version) in [(base, last), (dependant, sooner)] {
        user.installed(name, version).await?;
    }
    let packages = [scenario.base.clone(), scenario.dependant.clone()];
    let again = publisher.catalog("way:latest", &packages).await?;
    user.installed(dependant, later).await?;
    user.serves("way", reference, &again.digest).await?;
    user.installed(base, last).await?;

    // Uninstalled, nothing is left but the namespaces.
    let mut namespaces = Vec::new();
    for name in [base, dependant] {
        let status = user.deployments.get(name).await?.status;
        let namespace = status.and_then(|status| status.install_namespace);
        namespaces.push(namespace.context("no install namespace")?);
    }
    user.remove(&[dependant, base]).await?;
    Wait::new("only the install namespaces are left")
        .within(PATIENCE)
        .logs(&world.suite)
        .explained(async || {
            let mut after = Snapshot::take(&user.client).await?;
            for namespace in &namespaces {
                after = after.without(&format!(" {namespace}/"));
            }
            let (was, is) = (before.keys(), after.keys());
            let mut left: Vec<&str> = was.symmetric_difference(&is).copied().collect();
            let mut expected: Vec<String> = namespaces
                .iter()
                .map(|namespace| format!("Namespace. /{namespace}"))
                .collect();
            expected.sort();
            expected.dedup();
            left.sort_unstable();
            Ok(if left == expected {
                Ok(())
            } else {
                Err(format!("{left:#?}"))
            })
        })
        .await?;
    world.is_unharmed()
}

/// The rules of a role.
fn rules(role: &kube::api::DynamicObject) -> Value {
    role.data["rules"].clone()
}

#[tokio::test]
async fn what_is_changed_or_deleted_by_hand_is_put_right() -> Result<()> {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{DynamicObject, Patch, PatchParams};
    use kube::core::{ApiResource, GroupVersionKind};
    use olm_tests::fixture::{Package, Version, role};

    let user = World::shared().await?.user().await?;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings"}, "data": {"colour": "green"}});
    let version = Version::new("1.0.0")
        .with("role.yaml", role("lamp-role"))
        .with("map.yaml", map);
    let package = Package::new("lamp", [version]).content();
    user.publish("lamp", &[package]).await?;
    user.ask("lamp", json!({"packageName": "lamp"})).await?;
    user.installed("lamp", "1.0.0").await?;

    user.breaks_deployment("lamp").await?;
    let maps: Api<ConfigMap> = Api::namespaced(user.client.clone(), "lamp-system");
    user.deletes(&maps, "settings").await?;
    let edit = json!({"data": {"colour": "red"}});
    maps.patch("settings", &PatchParams::default(), &Patch::Merge(&edit))
        .await?;
    Wait::new("the ConfigMap is as it was")
        .object(&maps, "settings", |map| {
            map.data
                .as_ref()
                .is_some_and(|data| data["colour"] == "green")
        })
        .await?;

    let group = "rbac.authorization.k8s.io";
    for kind in ["Role", "ClusterRole"] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let installed = inventory(&user, "lamp", kind).await?;
        let (_, name) = installed.first().context("no role")?;
        let roles: Api<DynamicObject> = match kind {
            "Role" => Api::namespaced_with(user.client.clone(), "lamp-system", &resource),
            _ => Api::all_with(user.client.clone(), &resource),
        };
        let before = rules(&roles.get(name).await?);
        ensure!(before != json!([]) && before != Value::Null);
        let mut more = before.clone();
        more.as_array_mut().context("no rules")?.push(json!(
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["delete"]}
        ));
        for edited in [json!([]), more] {
            let patch = Patch::Merge(json!({"rules": edited}));
            roles.patch(name, &PatchParams::default(), &patch).await?;
            Wait::new(format!("{kind} {name} is as it was"))
                .within(PATIENCE)
                .logs(&user.world.suite)
                .object(&roles, name, |role| rules(role) == before)
                .await?;
        }
    }
    let operator = user.installed("lamp", "1.0.0").await?;
    ensure!(wait::has_condition(&operator, "Installed", "True"));
    user.remove(&["lamp"]).await?;
    user.world.is_unharmed()
}
