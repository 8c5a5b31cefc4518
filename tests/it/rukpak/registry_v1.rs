//! A `registry+v1` bundle with a webhook, from its installation to its removal.

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, ResourceExt as _};
use olm_tests::Wait;
use olm_tests::fixture::{Package, Version, role};
use olm_tests::publish::Publisher;
use olm_tests::wait::message;
use serde_json::json;

use super::cluster::{OWNER_NAME, REGISTRY, RukpakCluster};
use super::status::active;

#[tokio::test]
async fn a_registry_bundle_with_a_webhook_lives_from_install_to_uninstall() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let package = Package::new(
        "gadget-operator",
        [
            Version::new("1.0.0")
                .with_webhook()
                .with("role.yaml", role("dropped")),
            Version::new("1.1.0").with_webhook(),
        ],
    );
    let content = package.content();
    let publisher = Publisher::new(&fixture.registry);
    let first = publisher
        .bundle("gadget:v1", &content.bundle("1.0.0")?.files)
        .await?;
    let second = publisher
        .bundle("gadget:v2", &content.bundle("1.1.0")?.files)
        .await?;
    fixture.deploy("gadget", REGISTRY, &first).await?;
    let deployment = fixture.installed("gadget").await?;
    let status = deployment.status.clone().context("no status")?;
    assert_eq!(
        status.install_namespace.as_deref(),
        Some("gadget-operator-system")
    );
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    let home = namespaces.get("gadget-operator-system").await?;
    assert!(!home.labels().contains_key(OWNER_NAME));
    let workloads: Api<Deployment> =
        Api::namespaced(fixture.client.clone(), "gadget-operator-system");
    let workload = workloads.get("gadget-operator").await?;
    assert_eq!(workload.labels()[OWNER_NAME], "gadget");
    let applied = status
        .inventory
        .context("no inventory")?
        .installed
        .context("nothing installed")?;
    assert_eq!(applied.certificate_provider.as_deref(), Some("own"));
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), "gadget-operator-system");
    let leaf = secrets.get("gadget-operator-service-cert").await?;
    let authorities: Api<Secret> =
        Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let authority = authorities.get("gadget-webhook-ca").await?;
    let ca = authority.data.unwrap_or_default()["ca.crt"].clone();
    assert_eq!(leaf.data.unwrap_or_default()["ca.crt"], ca);
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let selector = format!("{OWNER_NAME}=gadget");
    let ours = webhooks
        .list(&ListParams::default().labels(&selector))
        .await?;
    let bundle = ours.items.first().and_then(|found| {
        found
            .webhooks
            .as_ref()?
            .first()?
            .client_config
            .ca_bundle
            .clone()
    });
    assert_eq!(bundle, Some(ca));

    // The certificate of the webhook is repaired like everything else.
    secrets
        .delete("gadget-operator-service-cert", &DeleteParams::default())
        .await?;
    Wait::new("the certificate is back")
        .logs(&fixture.suite)
        .object(&secrets, "gadget-operator-service-cert", |_| true)
        .await?;

    // A restart in the middle of an upgrade is harmless.
    fixture.deploy("gadget", REGISTRY, &second).await?;
    fixture.suite.restart("rukpak").await?;
    let upgraded = fixture.installed("gadget").await?;
    assert_ne!(active(&upgraded), active(&deployment));
    let roles: Api<DynamicObject> = Api::namespaced_with(
        fixture.client.clone(),
        "gadget-operator-system",
        &ApiResource::from_gvk(&GroupVersionKind::gvk(
            "rbac.authorization.k8s.io",
            "v1",
            "Role",
        )),
    );
    Wait::new("the dropped role is gone")
        .logs(&fixture.suite)
        .gone(&roles, "dropped")
        .await?;
    let workload = workloads.get("gadget-operator").await?;
    let image =
        serde_json::to_value(&workload)?["spec"]["template"]["spec"]["containers"][0]["image"]
            .clone();
    assert_eq!(image, "example.com/gadget-operator:1.1.0");

    // An instance with a finalizer that nobody serves holds the removal, which names it.
    let kind = GroupVersionKind::gvk(&package.group(), "v1", &package.kind());
    let resource = ApiResource::from_gvk_with_plural(&kind, &package.plural());
    let instances: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), "default", &resource);
    let stuck: DynamicObject = serde_json::from_value(json!({
        "apiVersion": format!("{}/v1", package.group()), "kind": package.kind(),
        "metadata": {"name": "stuck", "finalizers": ["example.com/nobody"]}}))?;
    instances.create(&PostParams::default(), &stuck).await?;
    fixture
        .deployments
        .delete("gadget", &DeleteParams::default())
        .await?;
    Wait::new("the removal names what holds it")
        .logs(&fixture.suite)
        .object(&fixture.deployments, "gadget", |deployment| {
            message(deployment, "Uninstalling").contains("default/stuck")
        })
        .await?;
    assert!(
        workloads.get_opt("gadget-operator").await?.is_some(),
        "the operator went too early"
    );
    let release = json!({"metadata": {"finalizers": null}});
    instances
        .patch("stuck", &PatchParams::default(), &Patch::Merge(&release))
        .await?;
    Wait::new("the BundleDeployment is gone")
        .logs(&fixture.suite)
        .gone(&fixture.deployments, "gadget")
        .await?;
    assert!(workloads.get_opt("gadget-operator").await?.is_none());
    assert!(authorities.get_opt("gadget-webhook-ca").await?.is_none());
    assert!(
        webhooks
            .list(&ListParams::default().labels(&selector))
            .await?
            .items
            .is_empty()
    );
    assert!(
        namespaces
            .get("gadget-operator-system")
            .await?
            .metadata
            .deletion_timestamp
            .is_none()
    );
    Wait::new("its Bundles are collected")
        .within(Duration::from_secs(90))
        .logs(&fixture.suite)
        .value(async || Ok(fixture.bundles_of("gadget").await?.is_empty().then_some(())))
        .await
}
