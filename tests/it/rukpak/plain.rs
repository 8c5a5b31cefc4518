//! A plain bundle, from its installation to its removal.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use olm_tests::Wait;
use olm_tests::wait::{self, message};
use serde_json::json;

use super::cluster::{OWNER_NAME, PLAIN, RukpakCluster};
use super::objects::{config_map, namespace, widget, widgets};
use super::status::active;

#[tokio::test]
async fn a_plain_bundle_is_installed_repaired_replaced_and_removed() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "plain");
    let first = fixture
        .push(
            "plain:v1",
            &[
                ("manifests/0.yaml", namespace("plain")),
                ("manifests/1.yaml", config_map("plain", "kept", "1")),
                ("manifests/2.yaml", config_map("plain", "dropped", "1")),
                ("manifests/3.yaml", widgets()),
                ("manifests/4.yaml", widget("plain", "shipped")),
            ],
        )
        .await?;
    fixture.deploy("plain", PLAIN, &first).await?;
    let deployment = fixture.installed("plain").await?;
    let bundle = active(&deployment);
    assert_eq!(
        message(&deployment, "Installed"),
        format!("Instantiated bundle {bundle} successfully")
    );
    assert_eq!(
        message(&deployment, "Healthy"),
        "BundleDeployment is healthy"
    );
    assert_eq!(
        message(&deployment, "HasValidBundle"),
        format!("Successfully unpacked the {bundle} Bundle")
    );
    let owner = fixture
        .bundles
        .get(&bundle)
        .await?
        .owner_references()
        .first()
        .cloned();
    assert_eq!(owner.map(|owner| owner.name), Some("plain".to_owned()));
    let status = deployment.status.context("no status")?;
    let inventory = status.inventory.context("no inventory")?;
    assert_eq!(inventory.objects.len(), 5);
    assert!(inventory.applying.is_none());

    // Drift is repaired, also while the next template cannot be had.
    maps.delete("kept", &DeleteParams::default()).await?;
    Wait::new("what was deleted is back")
        .logs(&fixture.suite)
        .object(&maps, "kept", |_| true)
        .await?;
    let absent = format!("{}/plain:absent", fixture.registry.host());
    fixture.deploy("plain", PLAIN, &absent).await?;
    let failing = fixture
        .said("plain", "HasValidBundle", "UnpackFailed")
        .await?;
    assert!(message(&failing, "HasValidBundle").starts_with("Failed to unpack the plain-"));
    assert_eq!(active(&failing), bundle);
    let before = wait::condition(&failing, "Installed").context("no Installed")?;
    assert_eq!(before["status"], "True");
    assert_eq!(before["observedGeneration"], 1);
    assert_eq!(fixture.bundles_of("plain").await?.len(), 2);
    let changed = json!({"data": {"key": "changed"}});
    maps.patch("kept", &PatchParams::default(), &Patch::Merge(&changed))
        .await?;
    Wait::new("what was changed is as before")
        .logs(&fixture.suite)
        .object(&maps, "kept", |map| {
            map.data.as_ref().is_some_and(|data| data["key"] == "1")
        })
        .await?;

    // The next version: what it drops goes, and so do the Bundles before it. The definition has
    // instances of users and stays.
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("rukpak.example.com", "v1", "Widget"));
    let instances: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), "plain", &resource);
    let users: DynamicObject = serde_json::from_value(widget("plain", "users"))?;
    instances.create(&PostParams::default(), &users).await?;
    let second = fixture
        .push(
            "plain:v2",
            &[
                ("manifests/0.yaml", namespace("plain")),
                ("manifests/1.yaml", config_map("plain", "kept", "2")),
            ],
        )
        .await?;
    fixture.deploy("plain", PLAIN, &second).await?;
    let deployment = fixture.installed("plain").await?;
    assert_ne!(active(&deployment), bundle);
    assert_eq!(maps.get("kept").await?.data.unwrap_or_default()["key"], "2");
    Wait::new("what was dropped is gone")
        .logs(&fixture.suite)
        .gone(&maps, "dropped")
        .await?;
    Wait::new("only the active Bundle is left")
        .logs(&fixture.suite)
        .value(async || {
            Ok((fixture.bundles_of("plain").await? == [active(&deployment)]).then_some(()))
        })
        .await?;
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    assert!(crds.get_opt("widgets.rukpak.example.com").await?.is_some());
    assert!(instances.get_opt("users").await?.is_some());

    fixture.uninstall("plain").await?;
    assert!(crds.get_opt("widgets.rukpak.example.com").await?.is_none());
    assert!(maps.get_opt("kept").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn what_runs_is_kept_alive_while_the_next_version_is_stuck_halfway() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let name = "halfway";
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), name);
    let map = |map: &str, value: &str| config_map(name, map, value);
    let first = [
        ("manifests/0.yaml", namespace(name)),
        ("manifests/1.yaml", map("both", "1")),
        ("manifests/2.yaml", map("first", "1")),
        ("manifests/3.yaml", map("deleted", "1")),
    ];
    let first = fixture.push("halfway:v1", &first).await?;
    fixture.deploy(name, PLAIN, &first).await?;
    let running = active(&fixture.installed(name).await?);
    // Nobody provides the volume.
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "never", "namespace": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "none",
                 "resources": {"requests": {"storage": "1Gi"}}}});
    let second = [
        ("manifests/0.yaml", namespace(name)),
        ("manifests/1.yaml", map("both", "2")),
        ("manifests/2.yaml", map("deleted", "2")),
        ("manifests/3.yaml", claim),
    ];
    let second = fixture.push("halfway:v2", &second).await?;
    fixture.deploy(name, PLAIN, &second).await?;
    let stuck = fixture
        .said(name, "Installed", "InstallationStatusUnknown")
        .await?;
    let said = message(&stuck, "Installed");
    assert!(said.contains("PersistentVolumeClaim \"never\""), "{said}");
    let progress = wait::condition(&stuck, "Progressing").context("no Progressing")?;
    assert_eq!(progress["status"], "True");
    assert_eq!(progress["reason"], "RollingOut");
    assert_eq!(message(&stuck, "Progressing"), format!("storage: {said}"));
    let absent = format!("{}/halfway:absent", fixture.registry.host());
    fixture.deploy(name, PLAIN, &absent).await?;
    fixture.said(name, "HasValidBundle", "UnpackFailed").await?;

    for gone in ["first", "deleted"] {
        maps.delete(gone, &DeleteParams::default()).await?;
        Wait::new(format!("`{gone}` is there again"))
            .logs(&fixture.suite)
            .object(&maps, gone, |map| {
                map.data.as_ref().is_some_and(|data| data["key"] == "1")
            })
            .await?;
    }
    // What the next version has changed already is not taken back.
    assert_eq!(maps.get("both").await?.data.unwrap_or_default()["key"], "2");
    let deployment = fixture.deployments.get(name).await?;
    assert_eq!(active(&deployment), running);

    // The way on is open again.
    fixture.deploy(name, PLAIN, &first).await?;
    let back = fixture.installed(name).await?;
    assert_eq!(active(&back), running);
    assert!(wait::condition(&back, "Progressing").is_none());
    assert_eq!(maps.get("both").await?.data.unwrap_or_default()["key"], "1");
    fixture.uninstall(name).await
}

#[tokio::test]
async fn a_first_installation_that_is_refused_late_is_undone() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let name = "undone";
    let mut wrong = widget("default", "wrong");
    wrong["spec"] = json!("no object");
    wrong["metadata"]["labels"] = json!({"not/a/label": "x"});
    let files = [
        ("manifests/0.yaml", namespace(name)),
        ("manifests/1.yaml", config_map(name, "early", "1")),
        (
            "manifests/2.yaml",
            config_map("default", "undone-early", "1"),
        ),
        ("manifests/3.yaml", widgets()),
        ("manifests/4.yaml", wrong),
    ];
    let reference = fixture.push("undone:v1", &files).await?;
    fixture.deploy(name, PLAIN, &reference).await?;
    let refused = fixture.said(name, "Installed", "InstallFailed").await?;
    let said = message(&refused, "Installed");
    assert!(
        said.contains("Widget \"wrong\" in namespace \"default\""),
        "{said}"
    );
    assert!(said.contains("metadata.labels"), "{said}");
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let spaces: Api<Namespace> = Api::all(fixture.client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    let gone = Wait::new("what was applied is gone").logs(&fixture.suite);
    gone.gone(&crds, "widgets.rukpak.example.com").await?;
    let gone = Wait::new("the namespace is gone").logs(&fixture.suite);
    gone.gone(&spaces, name).await?;
    assert!(maps.get_opt("undone-early").await?.is_none());

    // It is not made and undone again and again, though what goes is watched.
    let log = || fixture.suite.log("rukpak");
    let before = log()?.matches("undone, as it cannot be installed").count();
    let label = json!({"metadata": {"labels": {"look": "again"}}});
    for _ in 0..3 {
        let patch = Patch::Merge(&label);
        let parameters = PatchParams::default();
        fixture.deployments.patch(name, &parameters, &patch).await?;
        let nothing = json!({"metadata": {"labels": null}});
        let patch = Patch::Merge(&nothing);
        fixture.deployments.patch(name, &parameters, &patch).await?;
    }
    fixture.said(name, "Installed", "InstallFailed").await?;
    assert!(crds.get_opt("widgets.rukpak.example.com").await?.is_none());
    assert_eq!(
        log()?.matches("undone, as it cannot be installed").count(),
        before
    );
    fixture.uninstall(name).await
}

#[tokio::test]
async fn an_object_that_another_took_does_not_stop_the_repair_of_the_rest() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "partly");
    let reference = fixture
        .push(
            "partly:v1",
            &[
                ("manifests/0.yaml", namespace("partly")),
                ("manifests/1.yaml", config_map("partly", "gone", "1")),
                ("manifests/2.yaml", config_map("partly", "taken", "1")),
            ],
        )
        .await?;
    fixture.deploy("partly", PLAIN, &reference).await?;
    fixture.installed("partly").await?;
    let take = json!({"metadata": {"labels": {OWNER_NAME: "another"}}});
    maps.patch("taken", &PatchParams::default(), &Patch::Merge(&take))
        .await?;
    let failed = fixture.said("partly", "Healthy", "ReconcileFailed").await?;
    assert_eq!(
        message(&failed, "Healthy"),
        "cannot repair what is installed: ConfigMap \"taken\" in namespace \"partly\" exists and \
         is owned by BundleDeployment \"another\", not by BundleDeployment \"partly\""
    );
    maps.delete("gone", &DeleteParams::default()).await?;
    Wait::new("what was deleted is back")
        .logs(&fixture.suite)
        .object(&maps, "gone", |_| true)
        .await?;
    fixture.uninstall("partly").await?;
    assert!(maps.get_opt("gone").await?.is_none());
    assert!(maps.get_opt("taken").await?.is_some());
    Ok(())
}
