//! What is installed and stops working later.

use anyhow::Result;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams};
use olm_tests::Wait;
use olm_tests::wait::{self, message};
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{widget, widgets};

/// A webhook that is never called.
fn webhook() -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1",
           "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "health"},
           "webhooks": [{"name": "health.example.com", "sideEffects": "None",
               "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
               "clientConfig": {"url": "https://127.0.0.1:1/"},
               "rules": [{"apiGroups": ["rukpak.example.com"], "apiVersions": ["v9"],
                          "operations": ["CREATE"], "resources": ["nothings"]}]}]})
}

#[tokio::test]
async fn what_stops_working_later_is_noticed_without_anybody_asking() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let reference = fixture
        .push(
            "health:v1",
            &[
                ("manifests/0.yaml", widgets()),
                ("manifests/1.yaml", widget("default", "one")),
                ("manifests/2.yaml", widget("default", "two")),
                ("manifests/3.yaml", webhook()),
            ],
        )
        .await?;
    fixture.deploy("health", PLAIN, &reference).await?;
    let deployment = fixture.installed("health").await?;
    assert!(wait::has_reason(&deployment, "Healthy", "True", "Healthy"));

    let kind = GroupVersionKind::gvk("rukpak.example.com", "v1", "Widget");
    let widgets: Api<DynamicObject> = Api::namespaced_with(
        fixture.client.clone(),
        "default",
        &ApiResource::from_gvk(&kind),
    );
    let report = async |name: &str, status: &str| -> Result<()> {
        let ready = json!({"type": "Ready", "status": status, "reason": "R", "message": "no fuel"});
        let status = json!({"status": {"conditions": [ready]}});
        let parameters = PatchParams::default();
        widgets
            .patch(name, &parameters, &Patch::Merge(&status))
            .await?;
        Ok(())
    };
    report("one", "False").await?;
    let ill = fixture.said("health", "Healthy", "Unhealthy").await?;
    let line = "(rukpak.example.com/v1, Kind=Widget)(default/one): object InProgress: no fuel";
    assert_eq!(message(&ill, "Healthy"), line);
    // It is installed all the same.
    assert!(wait::has_condition(&ill, "Installed", "True"));
    // And repaired: what is ill may need just that.
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    webhooks.delete("health", &DeleteParams::default()).await?;
    Wait::new("the webhook is there again")
        .logs(&fixture.suite)
        .object(&webhooks, "health", |_| true)
        .await?;
    report("one", "True").await?;
    fixture.said("health", "Healthy", "Healthy").await?;
    fixture.uninstall("health").await
}
