//! The webhook of definitions that belong to bundles.

use anyhow::{Context as _, Result};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_tests::Wait;
use olm_tests::fixture::definition;
use serde_json::{Value, json};

use super::cluster::RukpakCluster;

const KIND: &str = "core.rukpak.io/owner-kind";
const SAFE: &str = "core.rukpak.io/safe-crd-upgrade-validation";

/// One definition for each case: all are of one cluster.
struct Case<'a> {
    fixture: &'a RukpakCluster,
    group: String,
    definitions: Api<DynamicObject>,
}

impl<'a> Case<'a> {
    async fn new(fixture: &'a RukpakCluster, name: &str, labelled: bool) -> Result<Self> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
        ));
        let case = Self {
            fixture,
            group: format!("{name}.crd.example.com"),
            definitions: Api::all_with(fixture.client.clone(), &resource),
        };
        let mut object = definition(&format!("{}/v1", case.group), "Gizmo", "gizmos");
        object["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema(&json!({}));
        if labelled {
            object["metadata"]["labels"] = json!({KIND: "BundleDeployment"});
        }
        let object = serde_json::from_value(object)?;
        case.definitions
            .create(&PostParams::default(), &object)
            .await?;
        let name = case.name();
        Wait::new("the kind is served")
            .object(&case.definitions, &name, |live| {
                let conditions = live.data["status"]["conditions"].as_array();
                conditions.into_iter().flatten().any(|condition| {
                    condition["type"] == "Established" && condition["status"] == "True"
                })
            })
            .await?;
        Ok(case)
    }

    fn name(&self) -> String {
        format!("gizmos.{}", self.group)
    }

    async fn gizmo(&self, name: &str) -> Result<()> {
        let kind = GroupVersionKind::gvk(&self.group, "v1", "Gizmo");
        let resource = ApiResource::from_gvk(&kind);
        let gizmos: Api<DynamicObject> =
            Api::namespaced_with(self.fixture.client.clone(), "default", &resource);
        let gizmo: DynamicObject = serde_json::from_value(json!({
            "apiVersion": format!("{}/v1", self.group), "kind": "Gizmo",
            "metadata": {"name": name}}))?;
        Wait::new("a custom resource can be made")
            .value(async || {
                Ok(gizmos
                    .create(&PostParams::default(), &gizmo)
                    .await
                    .ok()
                    .map(drop))
            })
            .await
    }

    async fn patch(&self, patch: &Value) -> Result<(), kube::Error> {
        let parameters = PatchParams::default();
        self.definitions
            .patch(&self.name(), &parameters, &Patch::Merge(patch))
            .await
            .map(drop)
    }

    /// Changes the schema of the only version.
    async fn demand(&self, fields: &Value) -> Result<(), kube::Error> {
        self.patch(&json!({"spec": {"versions": [version("v1", true, fields)]}}))
            .await
    }
}

fn schema(fields: &Value) -> Value {
    let mut schema = json!({"type": "object", "properties": {
        "exampleProperty": {"type": "string"}, "more": {"type": "string"}}});
    for (name, value) in fields.as_object().into_iter().flatten() {
        schema[name] = value.clone();
    }
    schema
}

fn version(name: &str, storage: bool, fields: &Value) -> Value {
    json!({"name": name, "served": true, "storage": storage,
           "schema": {"openAPIV3Schema": schema(fields)}})
}

#[tokio::test]
async fn a_definition_changes_only_as_its_custom_resources_allow() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let required = json!({"required": ["exampleProperty"]});

    // C1, C2: a version that fits everything may be stored, with the label and without.
    for (name, labelled) in [("plain", false), ("labelled", true)] {
        let case = Case::new(&fixture, name, labelled).await?;
        case.gizmo("one").await?;
        let versions = [
            version("v1", false, &json!({})),
            version("v2", true, &json!({})),
        ];
        case.patch(&json!({"spec": {"versions": versions}})).await?;
    }

    // C3: a field that is required from now on.
    let case = Case::new(&fixture, "required", true).await?;
    for index in 0..25 {
        case.gizmo(&format!("g{index:02}")).await?;
    }
    let error = case
        .demand(&required)
        .await
        .err()
        .context("it went through")?;
    let name = case.name();
    let text = format!(
        "admission webhook \"webhook.crdvalidator.io\" denied the request: failed to validate safety \
         of UPDATE for CRD \"{name}\" (NOTE: to disable this validation, set the \
         \"core.rukpak.io/safe-crd-upgrade-validation\" annotation to \"false\"): error validating \
         existing CRs against new CRD's schema for \"{name}\": existing custom object default/g00 \
         failed validation for new schema version v1: [].exampleProperty: Required value"
    );
    assert!(error.to_string().contains(&text), "{error}");
    // A version that comes has to fit, too.
    let versions = [
        version("v1", true, &json!({})),
        version("v2", false, &required),
    ];
    let added = json!({"spec": {"versions": versions}});
    let error = case.patch(&added).await.err().context("it went through")?;
    let text = "failed validation for new schema version v2: [].exampleProperty: Required value";
    assert!(error.to_string().contains(text), "{error}");
    // What fits all of them, on every page, is let through.
    case.demand(&json!({"maxProperties": 20})).await?;
    // Metadata is nobody's business here.
    case.patch(&json!({"metadata": {"annotations": {"a": "b"}}}))
        .await?;

    // The right to read is that to these kinds.
    let roles: Api<ClusterRole> = Api::all(fixture.client.clone());
    let role = roles.get("olm-rs-kinds-of-bundles").await?;
    let groups: Vec<String> = role
        .rules
        .unwrap_or_default()
        .into_iter()
        .flat_map(|rule| rule.api_groups.unwrap_or_default())
        .collect();
    assert_eq!(
        groups,
        ["labelled.crd.example.com", "required.crd.example.com"]
    );

    // C5: not where the annotation says so.
    let off = json!({"metadata": {"annotations": {SAFE: "false"}},
                     "spec": {"versions": [version("v1", true, &required)]}});
    case.patch(&off).await?;

    // C4: nor once the label is gone.
    let case = Case::new(&fixture, "unlabelled", true).await?;
    case.gizmo("one").await?;
    case.patch(&json!({"metadata": {"labels": {KIND: null}}}))
        .await?;
    case.demand(&required).await?;

    // C6: a version that custom resources may be stored in stays; the API server sees to it itself.
    let case = Case::new(&fixture, "stored", true).await?;
    let only = json!({"spec": {"versions": [version("v2", true, &json!({}))]}});
    let error = case.patch(&only).await.err().context("it went through")?;
    let text = error.to_string();
    assert!(text.contains("status.storedVersions[0]"), "{text}");

    // Without the webhook no definition of a bundle changes; others do, and so do its metadata.
    let guarded = Case::new(&fixture, "guarded", true).await?;
    fixture.suite.kill("rukpak-webhooks")?;
    let error = guarded
        .demand(&required)
        .await
        .err()
        .context("it went through")?;
    assert!(
        error.to_string().contains("webhook.crdvalidator.io"),
        "{error}"
    );
    guarded
        .patch(&json!({"metadata": {"annotations": {"a": "b"}}}))
        .await?;
    Case::new(&fixture, "free", false)
        .await?
        .demand(&required)
        .await?;
    let own = "bundledeployments.core.rukpak.io";
    let label = json!({"metadata": {"labels": {KIND: "BundleDeployment"}},
                       "spec": {"names": {"shortNames": ["bd", "bds", "bdep"]}}});
    guarded
        .definitions
        .patch(own, &PatchParams::default(), &Patch::Merge(&label))
        .await?;
    Ok(())
}
