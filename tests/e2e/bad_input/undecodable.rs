//! Objects that the API server has and that do not decode.

use crate::packages::package;
use crate::user::{PATIENCE, Text, User, apply};
use crate::world::World;
use anyhow::{Context as _, Result, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tests::wait::message;
use olm_tests::{Wait, wait};
use serde_json::{Value, json};

use super::beside::goes_on;

/// Lets the API server take anything as an object of the kind, and gives what it took before.
async fn relaxed(user: &User<'_>, definition: &str) -> Result<Value> {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    schema(user, definition, anything).await
}

/// Replaces the schema of a kind, and waits until the API server checks by it.
async fn schema(user: &User<'_>, definition: &str, schema: Value) -> Result<Value> {
    let definitions: Api<CustomResourceDefinition> = Api::all(user.client.clone());
    let place = "/spec/versions/0/schema/openAPIV3Schema";
    let before = serde_json::to_value(definitions.get(definition).await?)?;
    let before = before.pointer(place).context("no schema")?.clone();
    let change = json!([{"op": "replace", "path": place, "value": schema}]);
    let patch: Patch<()> = Patch::Json(serde_json::from_value(change)?);
    definitions
        .patch(definition, &PatchParams::default(), &patch)
        .await?;
    Ok(before)
}

#[tokio::test]
async fn objects_that_do_not_decode_stop_nobody_and_keep_what_runs() -> Result<()> {
    let world = World::own().await?;
    let user = &world.user().await?;
    goes_on(user, "well").await?;
    let operators = "operators.operators.operatorframework.io";
    let catalogs = "catalogs.catalogd.operatorframework.io";
    let strict = [
        (operators, relaxed(user, operators).await?),
        (catalogs, relaxed(user, catalogs).await?),
    ];
    let anything: Api<DynamicObject> =
        Api::all_with(user.client.clone(), &ApiResource::erase::<Operator>(&()));
    let any_catalog: Api<DynamicObject> =
        Api::all_with(user.client.clone(), &ApiResource::erase::<Catalog>(&()));
    let odd = |name: &str| {
        json!({"apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name}, "spec": {"packageName": ["odd"]}})
    };
    let odd_catalog = json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
        "metadata": {"name": "odd"},
        "spec": {"source": {"type": "image", "image": {"ref": ["odd"]}}}});
    let image = user.operators.get("well").await?.status.unwrap_or_default();
    let image = image.installed_bundle_resource;
    // The new schema holds a moment after it was accepted.
    for (api, name, object) in [
        (&anything, "odd", odd("odd")),
        (&anything, "well", odd("well")),
        (&any_catalog, "odd", odd_catalog),
    ] {
        Wait::new(format!("the odd `{name}` is taken"))
            .value(async || Ok(Some(apply(api, name, &object).await?)))
            .await?;
    }

    // A list where a text is wanted: what runs is told all the same.
    let told = ["the Operator cannot be read: ", "spec.packageName: "];
    let row = "Resolved=False/ResolutionFailed";
    let operator = user.says(&anything, "odd", row, Text::Has(&told)).await?;
    ensure!(wait::has_condition(&operator, "Installed", "Unknown"));
    let operator = user.says(&anything, "well", row, Text::Has(&told)).await?;
    ensure!(
        wait::has_reason(&operator, "Installed", "True", "Success"),
        "{}",
        wait::yaml(&operator)
    );
    assert_eq!(
        message(&operator, "Installed"),
        format!("installed from {image:?}")
    );
    assert_eq!(operator.data["status"]["installedBundleResource"], image);
    let told = [
        "source bundle content: error parsing catalog: ",
        "spec.source.image.ref: ",
    ];
    let row = "Unpacked=False/UnpackFailed";
    user.says(&any_catalog, "odd", row, Text::Has(&told))
        .await?;
    user.breaks_deployment("well").await?;
    goes_on(user, "fine").await?;

    // They become what they should be; then only such are taken again.
    user.publish("odd", &[package("odd", &["1.0.0"])]).await?;
    for name in ["odd", "well"] {
        user.ask(name, json!({"packageName": name})).await?;
        user.installed(name, "1.0.0").await?;
    }
    for (definition, before) in strict {
        schema(user, definition, before).await?;
    }
    Wait::new("the odd is refused again")
        .within(PATIENCE)
        .value(async || {
            Ok(apply(&anything, "odd-too", &odd("odd-too"))
                .await
                .is_err()
                .then_some(()))
        })
        .await?;
    user.remove(&["odd", "well", "fine"]).await?;
    world.is_unharmed()
}
