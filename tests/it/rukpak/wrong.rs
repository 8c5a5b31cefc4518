//! Input that is not what it should be, and what is said of it.

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names::WEBHOOK_CONFIGURATION;
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::{Wait, wait};
use serde_json::json;

use super::cluster::{PLAIN, REGISTRY, RukpakCluster};
use super::objects::{config_map, image, namespace};
use super::status::{message, why};

#[tokio::test]
async fn a_bundle_of_another_format_than_its_class_says_which_class_it_has() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let plain = fixture
        .push(
            "plain:v1",
            &[("manifests/a.yaml", config_map("default", "a", "1"))],
        )
        .await?;
    fixture.create("plain", REGISTRY, image(&plain)).await?;
    let bundle = fixture.unpacked("plain", "UnpackFailed").await?;
    let hint = "whose provisioner class is core-rukpak-io-plain";
    assert!(why(&bundle).ends_with(hint), "{}", why(&bundle));

    let package = Package::new("hint-operator", [Version::new("1.0.0")]);
    let content = package.content();
    let registry = Publisher::new(&fixture.registry)
        .bundle("hint:v1", &content.bundle("1.0.0")?.files)
        .await?;
    fixture.deploy("registry", PLAIN, &registry).await?;
    let refused = fixture
        .said("registry", "Installed", "InstallFailed")
        .await?;
    let text = message(&refused, "Installed");
    assert!(
        text.contains("no matches for kind \"ClusterServiceVersion\""),
        "{text}"
    );
    assert!(text.ends_with("is core-rukpak-io-registry"), "{text}");
    fixture.uninstall("registry").await?;

    // Configuration that does not fit the bundle is refused, and taken away it is no more.
    let config = json!({"config": {"watchNamespace": "default"}});
    fixture
        .deploy_with("configured", REGISTRY, &registry, config)
        .await?;
    let refused = fixture
        .said("configured", "HasValidBundle", "BundleLoadFailed")
        .await?;
    assert_eq!(
        message(&refused, "HasValidBundle"),
        "invalid configuration: unknown field \"watchNamespace\""
    );
    fixture.deploy("configured", REGISTRY, &registry).await?;
    fixture.installed("configured").await?;
    fixture.uninstall("configured").await
}

#[tokio::test]
async fn a_bundle_that_fails_says_so_until_it_does_not() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let absent = format!("{}/late:v1", fixture.registry.host());
    fixture.create("late", PLAIN, image(&absent)).await?;
    let failing = fixture.unpacked("late", "UnpackFailed").await?;
    let since = failing.metadata.resource_version.unwrap_or_default();
    let parameters = WatchParams::default().fields("metadata.name=late");
    let events = fixture.bundles.watch(&parameters, &since).await?.boxed();
    let object = config_map("default", "late", "1");
    fixture
        .push("late:v1", &[("manifests/a.yaml", object)])
        .await?;
    let phases = events
        .try_filter_map(async |event| {
            Ok(match event {
                WatchEvent::Modified(bundle) => bundle.status.and_then(|status| status.phase),
                _ => None,
            })
        })
        .try_take_while(|phase| std::future::ready(Ok(phase != "Unpacked")));
    let between: Vec<String> = tokio::time::timeout(wait::DEADLINE, phases.try_collect()).await??;
    assert!(
        between.iter().all(|phase| phase == "Failing"),
        "{between:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_object_that_does_not_decode_keeps_its_status_and_can_be_removed() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "damaged");
    let files = [
        ("manifests/0.yaml", namespace("damaged")),
        ("manifests/1.yaml", config_map("damaged", "applied", "1")),
    ];
    let reference = fixture.push("damaged:v1", &files).await?;
    fixture.deploy("damaged", PLAIN, &reference).await?;
    let installed = serde_json::to_value(fixture.installed("damaged").await?)?;

    // The API server forgets what it checked.
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    for name in ["bundles", "bundledeployments"] {
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let replace = serde_json::from_value(json!([{
            "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema,
        }]))?;
        let name = format!("{name}.core.rukpak.io");
        crds.patch(&name, &PatchParams::default(), &Patch::<()>::Json(replace))
            .await?;
    }
    let deployments: Api<DynamicObject> = Api::all_with(
        fixture.client.clone(),
        &ApiResource::erase::<BundleDeployment>(&()),
    );
    let damage = json!({"spec": {"template": 7}});
    Wait::new("the damage is done")
        .logs(&fixture.suite)
        .value(async || {
            let parameters = PatchParams::default();
            let patched = deployments
                .patch("damaged", &parameters, &Patch::Merge(&damage))
                .await;
            Ok(patched
                .ok()
                .filter(|patched| patched.data["spec"]["template"] == 7))
        })
        .await?;
    let damaged = Wait::new("the BundleDeployment says that it cannot be read")
        .logs(&fixture.suite)
        .object(&deployments, "damaged", |found| {
            wait::has_reason(found, "HasValidBundle", "Unknown", "ReconcileFailed")
        })
        .await?;
    let text = wait::message(&damaged, "HasValidBundle");
    assert!(
        text.starts_with("the BundleDeployment cannot be read: "),
        "{text}"
    );
    for field in ["inventory", "activeBundle"] {
        assert_eq!(damaged.data["status"][field], installed["status"][field]);
    }
    let before = wait::condition(&damaged, "Installed");
    assert_eq!(before.map(|row| row["status"] == "True"), Some(true));
    deployments
        .delete("damaged", &DeleteParams::default())
        .await?;
    Wait::new("the BundleDeployment is gone")
        .logs(&fixture.suite)
        .gone(&deployments, "damaged")
        .await?;
    assert!(maps.get_opt("applied").await?.is_none());

    let bundles: Api<DynamicObject> =
        Api::all_with(fixture.client.clone(), &ApiResource::erase::<Bundle>(&()));
    let bundle = serde_json::from_value(json!({
        "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle",
        "metadata": {"name": "damaged", "finalizers": ["core.rukpak.io/delete-cached-bundle"]},
        "spec": {"provisionerClassName": PLAIN, "source": {"type": "image", "image": "x", "http": 7}},
    }))?;
    // The webhook cannot read it either, so this one came while there was none.
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    webhooks
        .delete(WEBHOOK_CONFIGURATION, &DeleteParams::default())
        .await?;
    Wait::new("a Bundle that nobody can read is let in")
        .logs(&fixture.suite)
        .value(async || Ok(bundles.create(&PostParams::default(), &bundle).await.ok()))
        .await?;
    let damaged = Wait::new("the Bundle says that it cannot be read")
        .logs(&fixture.suite)
        .object(&bundles, "damaged", |found| {
            wait::has_reason(found, "Unpacked", "False", "UnpackFailed")
        })
        .await?;
    assert_eq!(damaged.data["status"]["phase"], "Failing");
    bundles.delete("damaged", &DeleteParams::default()).await?;
    Wait::new("the Bundle is gone")
        .logs(&fixture.suite)
        .gone(&bundles, "damaged")
        .await
}
