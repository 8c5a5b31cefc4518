//! A status that was lost, as by a restore from a backup.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use olm_tests::Wait;
use serde_json::json;

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, namespace};

impl RukpakCluster {
    /// Takes the whole status of a BundleDeployment away.
    async fn lose_status(&self, name: &str) -> Result<()> {
        let nothing = json!({"status": null});
        let parameters = PatchParams::default();
        self.deployments
            .patch_status(name, &parameters, &Patch::Merge(&nothing))
            .await?;
        let left = self.deployments.get(name).await?.status;
        assert!(left.is_none(), "{left:?}");
        Ok(())
    }
}

#[tokio::test]
async fn what_a_lost_inventory_named_is_removed_and_pruned_all_the_same() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "lost");
    let both = [
        ("manifests/0.yaml", namespace("lost")),
        ("manifests/1.yaml", config_map("lost", "kept", "1")),
        ("manifests/2.yaml", config_map("lost", "dropped", "1")),
    ];
    let first = fixture.push("lost:v1", &both).await?;
    let second = fixture.push("lost:v2", &both[..2]).await?;
    fixture.deploy("lost", PLAIN, &first).await?;
    fixture.installed("lost").await?;

    // An upgrade prunes what only the cluster still knows of.
    fixture.suite.kill("rukpak")?;
    fixture.lose_status("lost").await?;
    fixture.deploy("lost", PLAIN, &second).await?;
    fixture.suite.start_component("rukpak").await?;
    let upgraded = fixture.installed("lost").await?;
    let inventory = upgraded.status.context("no status")?.inventory;
    assert_eq!(inventory.context("no inventory")?.objects.len(), 2);
    Wait::new("what the next version drops is gone")
        .logs(&fixture.suite)
        .gone(&maps, "dropped")
        .await?;
    assert!(maps.get_opt("kept").await?.is_some());

    // So does a removal.
    fixture.lose_status("lost").await?;
    fixture.uninstall("lost").await?;
    assert!(maps.get_opt("kept").await?.is_none());
    Ok(())
}
