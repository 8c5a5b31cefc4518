//! Definitions, and the custom resources of users that hang on them.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_tests::Wait;
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{config_map, namespace, widget, widgets};
use super::status::active;

const WIDGETS: &str = "widgets.rukpak.example.com";

/// The definition of widgets with these fields of `spec`.
fn with_fields(fields: &Value) -> Value {
    let mut definition = widgets();
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = json!({
        "type": "object", "properties": {"spec": {"type": "object", "properties": fields}}});
    definition
}

fn instances(fixture: &RukpakCluster, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("rukpak.example.com", "v1", "Widget");
    let resource = ApiResource::from_gvk(&kind);
    Api::namespaced_with(fixture.client.clone(), namespace, &resource)
}

/// Pushes a bundle with a namespace, a ConfigMap that says which version it is, and a definition.
async fn push(
    fixture: &RukpakCluster,
    name: &str,
    version: &str,
    definition: Option<Value>,
) -> Result<String> {
    let mut files = vec![
        ("manifests/0.yaml", namespace(name)),
        ("manifests/1.yaml", config_map(name, "version", version)),
    ];
    files.extend(definition.map(|definition| ("manifests/2.yaml", definition)));
    fixture.push(&format!("{name}:{version}"), &files).await
}

async fn version(fixture: &RukpakCluster, name: &str) -> Result<String> {
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), name);
    let data = maps.get("version").await?.data.unwrap_or_default();
    Ok(data["key"].clone())
}

#[tokio::test]
async fn an_upgrade_that_could_break_custom_resources_is_refused_whole() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let name = "safety";
    let old = json!({"size": {"type": "integer", "maximum": 9.0}, "color": {"type": "string"}});
    let new = json!({"size": {"type": "integer", "maximum": 5}});
    let first = push(&fixture, name, "v1", Some(with_fields(&old))).await?;
    let second = push(&fixture, name, "v2", Some(with_fields(&new))).await?;
    fixture.deploy(name, PLAIN, &first).await?;
    let bundle = active(&fixture.installed(name).await?);

    fixture.deploy(name, PLAIN, &second).await?;
    let refused = fixture.said(name, "Installed", "UpgradeFailed").await?;
    assert_eq!(
        message(&refused, "Installed"),
        "validating upgrade for CRD \"widgets.rukpak.example.com\": existingFieldRemoval: removed \
         field : v1.^.spec.color\n\
         validating upgrade for CRD \"widgets.rukpak.example.com\": v1: ^.spec.size: maximum: \
         maximum decreased : 9 -> 5\n\
         nothing was changed; to upgrade although custom resources may be lost or refused, set \
         spec.crdUpgradeSafety to None, on the Operator where there is one"
    );
    assert_eq!(active(&refused), bundle);
    assert_eq!(version(&fixture, name).await?, "v1");
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let live = serde_json::to_value(crds.get(WIDGETS).await?)?;
    let schema = &live["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(schema["properties"]["spec"]["properties"], old);

    let policy = json!({"crdUpgradeSafety": "None"});
    fixture.deploy_with(name, PLAIN, &second, policy).await?;
    let upgraded = fixture.installed(name).await?;
    assert_ne!(active(&upgraded), bundle);
    assert_eq!(version(&fixture, name).await?, "v2");

    // What is harmless needs no word, and the policy is back at its default.
    let more = json!({"size": {"type": "integer", "maximum": 7}, "new": {"type": "string"}});
    let third = push(&fixture, name, "v3", Some(with_fields(&more))).await?;
    let policy = json!({"crdUpgradeSafety": "Strict"});
    fixture.deploy_with(name, PLAIN, &third, policy).await?;
    fixture.installed(name).await?;
    assert_eq!(version(&fixture, name).await?, "v3");
    fixture.uninstall(name).await
}

#[tokio::test]
async fn definitions_stay_where_the_policy_or_custom_resources_keep_them() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let name = "retained";
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let with = push(&fixture, name, "v1", Some(widgets())).await?;
    let without = push(&fixture, name, "v2", None).await?;
    let policy = json!({"crdDeletionPolicy": "Retain"});
    fixture
        .deploy_with(name, PLAIN, &with, policy.clone())
        .await?;
    fixture.installed(name).await?;
    let widgets = instances(&fixture, "default");
    let users: DynamicObject = serde_json::from_value(widget("default", "users"))?;
    widgets.create(&PostParams::default(), &users).await?;

    // An upgrade to a version without the definition keeps it, and says so.
    fixture
        .deploy_with(name, PLAIN, &without, policy.clone())
        .await?;
    let upgraded = fixture.installed(name).await?;
    let kept = wait::condition(&upgraded, "DefinitionsKept").context("nothing is kept")?;
    assert_eq!(kept["reason"], "InstancesExist");
    assert_eq!(
        message(&upgraded, "DefinitionsKept"),
        "left the bundle and stay while there are custom resources of their kinds: \
         widgets.rukpak.example.com (1 left: default/users)"
    );
    fixture
        .deploy_with(name, PLAIN, &with, policy.clone())
        .await?;
    let upgraded = fixture.installed(name).await?;
    assert!(wait::condition(&upgraded, "DefinitionsKept").is_none());

    // An uninstall leaves it, with what users made.
    fixture.uninstall(name).await?;
    assert!(crds.get_opt(WIDGETS).await?.is_some());
    let live = widgets.get("users").await?;
    assert!(live.metadata.deletion_timestamp.is_none());

    // Whoever brings it next has it, if only under another name.
    fixture
        .deploy_with("heir", PLAIN, &with, policy.clone())
        .await?;
    fixture.installed("heir").await?;
    fixture.uninstall("heir").await?;
    let live = widgets.get("users").await?;
    assert!(live.metadata.deletion_timestamp.is_none());

    // The same deployment finds it again, and without the policy takes it along.
    fixture.deploy(name, PLAIN, &with).await?;
    fixture.installed(name).await?;
    fixture.uninstall(name).await?;
    assert!(crds.get_opt(WIDGETS).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn custom_resources_are_counted_before_the_first_delete_and_can_be_abandoned() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let name = "abandoned";
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), name);
    let reference = push(&fixture, name, "v1", Some(widgets())).await?;
    fixture.deploy(name, PLAIN, &reference).await?;
    fixture.installed(name).await?;
    let widgets = instances(&fixture, "default");
    let mut held = widget("default", "held");
    held["metadata"]["finalizers"] = json!(["example.com/nobody"]);
    let held: DynamicObject = serde_json::from_value(held)?;
    widgets.create(&PostParams::default(), &held).await?;

    let watched = fixture.deployments.clone();
    let announced = Wait::new("the removal waits for the custom resource").logs(&fixture.suite);
    fixture
        .deployments
        .delete(name, &DeleteParams::default())
        .await?;
    announced
        .object(&watched, name, |deployment| {
            let text = message(deployment, "Uninstalling");
            text == "waiting for custom resources to be deleted: \
                     widgets.rukpak.example.com (1 left: default/held)"
        })
        .await?;
    assert!(
        maps.get_opt("version").await?.is_some(),
        "something went too early"
    );

    let abandon =
        json!({"metadata": {"annotations": {"core.rukpak.io/abandon-instances": "true"}}});
    fixture
        .deployments
        .patch(name, &PatchParams::default(), &Patch::Merge(&abandon))
        .await?;
    Wait::new("the BundleDeployment is gone")
        .logs(&fixture.suite)
        .gone(&fixture.deployments, name)
        .await?;
    assert!(maps.get_opt("version").await?.is_none());
    assert!(crds.get_opt(WIDGETS).await?.is_some());
    let free = json!({"metadata": {"finalizers": null}});
    widgets
        .patch("held", &PatchParams::default(), &Patch::Merge(&free))
        .await?;
    Ok(())
}
