//! Upgrades that are taken back, and what cannot be taken back with them.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_api::operator::Operator;
use olm_tests::Wait;
use olm_tests::content::PackageContent;
use olm_tests::fixture::{Package, Version, definition};
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use crate::packages::{package, replaced};
use crate::user::{PATIENCE, Recorder, Text};
use crate::world::World;

const NAME: &str = "frisbee";
const KIND: &str = "frisbees.frisbee.example.com";

/// The definition of frisbees in these versions, the last of which is stored, with these fields.
fn frisbees(versions: &[&str], fields: &[&str]) -> Value {
    let mut crd = definition("frisbee.example.com/v1", "Frisbee", "frisbees");
    let fields: Value = fields
        .iter()
        .map(|field| ((*field).to_owned(), json!({"type": "string"})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let versions = versions.iter().enumerate().map(|(place, version)| {
        json!({"name": version, "served": true, "storage": place + 1 == versions.len(), "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": fields}}}}})
    });
    crd["spec"]["versions"] = versions.collect();
    crd
}

/// The package: 1.1.0 widens the definition and never becomes ready, 1.2.0 widens it more and does
/// not need 1.1.0.
fn content(versions: &[&str]) -> Result<PackageContent> {
    let all = versions.iter().map(|version| match *version {
        "1.1.0" => Version::new(version).never_ready(),
        _ => Version::new(version),
    });
    let mut content = Package::new(NAME, all).content();
    for bundle in &mut content.bundles {
        let crd = match bundle.version.as_str() {
            "1.0.0" => frisbees(&["v1"], &["size"]),
            "1.1.0" => frisbees(&["v1", "v2"], &["size", "colour"]),
            _ => frisbees(&["v1", "v2"], &["size", "colour", "weight"]),
        };
        let text = olm_yaml::to_string(&crd)?;
        bundle.files = replaced(&bundle.files, "manifests/crd.yaml", text.as_bytes());
    }
    for entry in content.channels[0]["entries"].as_array_mut().unwrap() {
        if entry["name"] == "frisbee.v1.2.0" {
            entry["replaces"] = json!("frisbee.v1.0.0");
            entry["skips"] = json!(["frisbee.v1.1.0"]);
        }
    }
    Ok(content)
}

/// The image of the operator that is to run.
async fn image(workloads: &Api<Deployment>) -> Result<String> {
    let found = serde_json::to_value(workloads.get(NAME).await?)?;
    let image = found["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
    Ok(image.context("no image")?.to_owned())
}

#[tokio::test]
async fn definitions_that_cannot_be_taken_back_safely_stay_until_the_next_upgrade() -> Result<()> {
    let user = World::shared().await?.user().await?;
    let workloads: Api<Deployment> = Api::namespaced(user.client.clone(), "frisbee-system");
    let definitions: Api<CustomResourceDefinition> = Api::all(user.client.clone());
    user.publish(NAME, &[content(&["1.0.0"])?]).await?;
    let spec = json!({"packageName": NAME, "progressDeadline": "5s",
        "rollbackOnFailure": "Automatic"});
    user.ask(NAME, spec).await?;
    user.installed(NAME, "1.0.0").await?;
    let asked = Recorder::start(user.deployments.clone(), NAME, |deployment| {
        let annotations = deployment.metadata.annotations.as_ref()?;
        annotations
            .get(olm_api::annotations::BUNDLE_VERSION)
            .cloned()
    });
    let changes = Recorder::start(definitions.clone(), KIND, |definition| {
        Some(definition.metadata.generation?.to_string())
    });

    // Someone uses what 1.1.0 brings, as soon as it is there.
    user.publish(NAME, &[content(&["1.0.0", "1.1.0"])?]).await?;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "frisbee.example.com",
        "v2",
        "Frisbee",
    ));
    let instances: Api<DynamicObject> =
        Api::namespaced_with(user.client.clone(), "default", &resource);
    let mine = json!({"apiVersion": "frisbee.example.com/v2", "kind": "Frisbee",
        "metadata": {"name": "mine"}, "spec": {"size": "big", "colour": "red"}});
    Wait::new("a custom resource of the new version")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .value(async || {
            let parameters = PatchParams::apply("a-user");
            let patch = Patch::Apply(&mine);
            Ok(instances.patch("mine", &parameters, &patch).await.ok())
        })
        .await?;

    let row = "Progressing=False/RolledBack";
    let text = [
        "the upgrade to frisbee 1.1.0 failed and was taken back",
        "definitions stay as the upgrade that was taken back brought them",
        KIND,
    ];
    user.said(NAME, row, Text::Has(&text)).await?;
    let operator = user.installed(NAME, "1.0.0").await?;
    assert_eq!(image(&workloads).await?, "example.com/frisbee:1.0.0");
    let row = "DefinitionsKept=True/UnsafeRollback";
    let kept = user
        .deployment_says(
            NAME,
            row,
            Text::Has(&["spec.crdUpgradeSafety", "v1.^.spec.colour"]),
        )
        .await?;
    assert_eq!(message(&operator, "DefinitionsKept"), kept);
    let is_whole = async || -> Result<()> {
        let found = serde_json::to_value(instances.get("mine").await?)?;
        assert_eq!(found["spec"], mine["spec"]);
        Ok(())
    };
    is_whole().await?;
    let events: Api<Event> = Api::all(user.client.clone());
    for reason in ["Resolved", "Installed", "UpgradeFailed"] {
        Wait::new(format!("an event {reason}"))
            .within(PATIENCE)
            .logs(&user.world.suite)
            .value(async || {
                let found = events.list(&ListParams::default()).await?;
                Ok(found.into_iter().find(|event| {
                    let about = event.regarding.clone().unwrap_or_default();
                    let is_it = about.kind.as_deref() == Some("Operator")
                        && about.name.as_deref() == Some(NAME);
                    is_it && event.reason.as_deref() == Some(reason)
                }))
            })
            .await?;
    }

    // What runs is repaired, a catalog that is read again changes nothing, nor does time.
    user.breaks_deployment(NAME).await?;
    let neighbour = package("frisbee-neighbour", &["1.0.0"]);
    user.publish(NAME, &[content(&["1.0.0", "1.1.0"])?, neighbour])
        .await?;
    let spec = json!({"packageName": "frisbee-neighbour"});
    user.ask("frisbee-neighbour", spec).await?;
    user.installed("frisbee-neighbour", "1.0.0").await?;
    let operator = user.installed(NAME, "1.0.0").await?;
    ensure!(wait::has_condition(&operator, "DefinitionsKept", "True"));
    assert_eq!(asked.seen(), ["1.0.0", "1.1.0", "1.0.0"]);
    assert_eq!(changes.seen(), ["1", "2"]);
    is_whole().await?;

    // The next upgrade changes the definition in a way that is safe.
    user.publish(NAME, &[content(&["1.0.0", "1.1.0", "1.2.0"])?])
        .await?;
    let operator = user.installed(NAME, "1.2.0").await?;
    let is_gone = |operator: &Operator| wait::condition(operator, "DefinitionsKept").is_none();
    ensure!(is_gone(&operator));
    let deployment = user.deployments.get(NAME).await?;
    ensure!(wait::condition(&deployment, "DefinitionsKept").is_none());
    assert_eq!(asked.seen(), ["1.0.0", "1.1.0", "1.0.0", "1.2.0"]);
    assert_eq!(changes.seen(), ["1", "2", "3"]);
    is_whole().await?;
    user.remove(&[NAME, "frisbee-neighbour"]).await?;
    user.world.is_unharmed()
}
