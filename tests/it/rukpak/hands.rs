//! Others who have a hand in what is installed: another BundleDeployment, people, the garbage
//! collector.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use olm_tests::Wait;
use olm_tests::wait::message;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::config_map;
use super::status::active;

const SPACE: &str = "ring";

/// A bundle of two ConfigMaps: one that both want, and one of its own.
async fn push(fixture: &RukpakCluster, name: &str) -> Result<String> {
    let files = [
        ("manifests/0.yaml", config_map(SPACE, "belt", name)),
        ("manifests/1.yaml", config_map(SPACE, name, name)),
    ];
    fixture.push(&format!("{name}:v1"), &files).await
}

fn says(map: &ConfigMap, value: &str) -> bool {
    map.data.as_ref().is_some_and(|data| data["key"] == value)
}

#[tokio::test]
async fn two_that_want_one_object_do_not_fight_and_the_second_gets_it_once_the_first_is_gone()
-> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let spaces: Api<Namespace> = Api::all(fixture.client.clone());
    let space = serde_json::from_value(json!({"metadata": {"name": SPACE}}))?;
    spaces.create(&PostParams::default(), &space).await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), SPACE);
    let (first, second) = (
        push(&fixture, "first").await?,
        push(&fixture, "second").await?,
    );
    fixture.deploy("first", PLAIN, &first).await?;
    fixture.installed("first").await?;
    let before = maps.get("belt").await?;
    fixture.deploy("second", PLAIN, &second).await?;
    let refused = fixture.said("second", "Installed", "InstallFailed").await?;
    let text = "ConfigMap \"belt\" in namespace \"ring\" exists and is owned by BundleDeployment \
                \"first\", not by BundleDeployment \"second\"";
    assert!(
        message(&refused, "Installed").contains(text),
        "{}",
        message(&refused, "Installed")
    );
    assert_eq!(active(&refused), "");
    assert!(maps.get_opt("second").await?.is_none());

    // What people add stays, what they change is put right, and the second has no part in it.
    let added = json!({"data": {"key": "changed", "added": "by hand"}});
    maps.patch("belt", &PatchParams::default(), &Patch::Merge(&added))
        .await?;
    let belt = Wait::new("what was changed is as before")
        .logs(&fixture.suite)
        .object(&maps, "belt", |map| says(map, "first"))
        .await?;
    assert_eq!(belt.data.unwrap_or_default()["added"], "by hand");
    assert_eq!(belt.metadata.uid, before.metadata.uid);
    assert_eq!(belt.metadata.labels, before.metadata.labels);

    // As GitOps tools delete: what belongs to it is to go first, and nothing is made again.
    fixture
        .deployments
        .delete("first", &DeleteParams::foreground())
        .await?;
    Wait::new("the first is gone")
        .logs(&fixture.suite)
        .gone(&fixture.deployments, "first")
        .await?;
    assert!(maps.get_opt("first").await?.is_none());
    Wait::new("no Bundle of it is left")
        .logs(&fixture.suite)
        .value(async || Ok(fixture.bundles_of("first").await?.is_empty().then_some(())))
        .await?;
    fixture.installed("second").await?;
    let belt = maps.get("belt").await?;
    assert!(says(&belt, "second"), "{belt:?}");
    assert_ne!(belt.metadata.uid, before.metadata.uid);
    fixture.uninstall("second").await?;
    assert!(maps.get_opt("belt").await?.is_none());
    Ok(())
}
