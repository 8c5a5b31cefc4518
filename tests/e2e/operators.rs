//! Operators over their life: channels, formats, failing upgrades, deletion.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt as _};
use olm_tests::content::PackageContent;
use olm_tests::fixture::{Package, Version};
use olm_tests::{Wait, wait};
use olm_tree::MemoryTree;
use serde_json::json;

use crate::packages::{Shape as _, package};
use crate::user::{PATIENCE, Recorder, Text};
use crate::world::World;

#[tokio::test]
async fn another_channel_leads_elsewhere() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let river = package("river", &["1.0.0", "1.1.0", "1.2.0", "2.0.0"])
        .with_channel("stable", &["1.0.0", "1.1.0"])
        .with_channel("fast", &["1.1.0", "1.2.0"])
        .with_channel("island", &["2.0.0"]);
    user.publish("river", &[river]).await?;
    let channel = |channel: &str| json!({"packageName": "river", "channel": channel});
    user.ask("river", channel("stable")).await?;
    let operator = user.installed("river", "1.1.0").await?;
    let installed = operator.status.and_then(|status| status.installed);
    let installed = installed.context("nothing installed")?;
    assert_eq!(installed.channel.as_deref(), Some("stable"));
    user.ask("river", channel("fast")).await?;
    let operator = user.installed("river", "1.2.0").await?;
    let installed = operator.status.and_then(|status| status.installed);
    assert_eq!(installed.and_then(|of| of.channel).as_deref(), Some("fast"));
    // No edge leads to the island.
    user.ask("river", channel("island")).await?;
    let text = "constraints not satisfiable:\npackage \"river\" is installed at 1.2.0 and has no \
                update; Operator \"river\" asks for channel \"island\"\n- installed package river \
                requires at least one of river-river-river.v1.2.0";
    let row = "Resolved=False/ResolutionFailed";
    let operator = user.said("river", row, Text::Is(text)).await?;
    ensure!(wait::has_reason(&operator, "Installed", "True", "Success"));
    user.ask("river", channel("fast")).await?;
    user.installed("river", "1.2.0").await?;
    user.remove(&["river"]).await
}

#[tokio::test]
async fn plain_manifests_are_installed_too() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let mut leaf = package("leaf", &["1.0.0"]).with_property(
        "1.0.0",
        "olm.bundle.mediatype",
        json!("plain+v0"),
    );
    let mut files = MemoryTree::default();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "leaf-home"}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "leaf", "namespace": "leaf-home"}, "data": {"a": "b"}});
    files.insert("manifests/0.yaml", namespace.to_string())?;
    files.insert("manifests/1.yaml", map.to_string())?;
    leaf.bundles[0].files = files;
    user.publish("leaf", &[leaf]).await?;
    user.ask("leaf", json!({"packageName": "leaf"})).await?;
    user.installed("leaf", "1.0.0").await?;
    let deployment = user.deployments.get("leaf").await?;
    let classes = (
        deployment.spec.provisioner_class_name.as_str(),
        deployment
            .spec
            .template
            .spec
            .provisioner_class_name
            .as_str(),
    );
    assert_eq!(classes, ("core-rukpak-io-plain", "core-rukpak-io-plain"));
    let unpacked = "HasValidBundle=True/UnpackSuccessful";
    user.deployment_says("leaf", unpacked, Text::Any).await?;
    let installed = "Installed=True/InstallationSucceeded";
    user.deployment_says("leaf", installed, Text::Any).await?;
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(user.client.clone(), "leaf-home");
    user.deletes(&maps, "leaf").await?;
    user.remove(&["leaf"]).await
}

/// A package whose versions 1.1.0 and 1.2.0 hold an object that the API server refuses.
fn hurdle(name: &str, versions: &[&str]) -> PackageContent {
    let refused = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"ports": [{"port": 99_999}], "selector": {"app": name}}});
    let versions = versions.iter().map(|version| match *version {
        "1.1.0" | "1.2.0" => Version::new(version).with("service.yaml", refused.clone()),
        _ => Version::new(version),
    });
    Package::new(name, versions).content()
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_what_runs_until_a_successor_repairs_it() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("hurdle", &[hurdle("hurdle", &["1.0.0"])])
        .await?;
    user.ask("hurdle", json!({"packageName": "hurdle"})).await?;
    let operator = user.installed("hurdle", "1.0.0").await?;
    let image = operator
        .status
        .unwrap_or_default()
        .installed_bundle_resource;
    let active = user.active("hurdle").await?;
    let versions = Recorder::start(user.operators.clone(), "hurdle", |operator| {
        let status = operator.status.as_ref()?;
        Some(status.installed.as_ref()?.version.clone())
    });

    user.publish("hurdle", &[hurdle("hurdle", &["1.0.0", "1.1.0"])])
        .await?;
    let why = ["hurdle", "99999", "must be between 1 and 65535"];
    let row = "Installed=False/UpgradeFailed";
    let text = user.deployment_says("hurdle", row, Text::Has(&why)).await?;
    let row = "Installed=True/Success";
    let said = format!("installed from {image:?}; moving to hurdle 1.1.0: {text}");
    let operator = user.said("hurdle", row, Text::Is(&said)).await?;
    let status = operator.status.clone().unwrap_or_default();
    assert_eq!(status.installed_bundle_resource, image);
    ensure!(wait::has_condition(&operator, "Ready", "False"));
    assert_eq!(user.active("hurdle").await?, active);
    user.breaks_deployment("hurdle").await?;

    // A successor that fails too changes nothing; one that works does.
    user.publish("hurdle", &[hurdle("hurdle", &["1.0.0", "1.1.0", "1.2.0"])])
        .await?;
    let said = format!("installed from {image:?}; moving to hurdle 1.2.0: {text}");
    user.said("hurdle", row, Text::Is(&said)).await?;
    assert_eq!(user.active("hurdle").await?, active);
    user.publish(
        "hurdle",
        &[hurdle("hurdle", &["1.0.0", "1.1.0", "1.2.0", "1.3.0"])],
    )
    .await?;
    user.installed("hurdle", "1.3.0").await?;
    assert_eq!(versions.seen(), ["1.0.0", "1.3.0"]);
    user.remove(&["hurdle"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn the_successor_of_a_failed_release_is_asked_for_once() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("fence", &[hurdle("fence", &["1.0.0"])])
        .await?;
    user.ask("fence", json!({"packageName": "fence"})).await?;
    user.installed("fence", "1.0.0").await?;
    let asked = Recorder::start(user.deployments.clone(), "fence", |deployment| {
        let annotations = deployment.annotations();
        annotations
            .get(olm_api::annotations::BUNDLE_VERSION)
            .cloned()
    });
    let all = hurdle("fence", &["1.0.0", "1.1.0", "1.3.0"]);
    user.publish("fence", &[all]).await?;
    user.installed("fence", "1.3.0").await?;
    assert_eq!(asked.seen(), ["1.0.0", "1.1.0", "1.3.0"]);
    user.remove(&["fence"]).await
}

#[tokio::test]
async fn with_foreground_deletion_nothing_is_made_again() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("dusk", &[package("dusk", &["1.0.0"])]).await?;
    user.ask("dusk", json!({"packageName": "dusk"})).await?;
    user.installed("dusk", "1.0.0").await?;
    let uids = Recorder::start(user.deployments.clone(), "dusk", |deployment| {
        deployment.uid()
    });
    Wait::new("the watch has begun")
        .value(async || Ok((uids.seen().len() == 1).then_some(())))
        .await?;
    user.operators
        .delete("dusk", &DeleteParams::foreground())
        .await?;
    Wait::new("the Operator is gone")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .gone(&user.operators, "dusk")
        .await?;
    ensure!(user.deployments.get_opt("dusk").await?.is_none());
    let workloads: Api<Deployment> = Api::namespaced(user.client.clone(), "dusk-system");
    ensure!(workloads.get_opt("dusk").await?.is_none());
    assert_eq!(uids.seen().len(), 1, "it was made again");
    user.world.is_unharmed()
}
