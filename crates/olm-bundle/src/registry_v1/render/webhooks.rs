//! Webhook configurations and the Services in front of webhooks.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::{Value, json};

use super::certificates::{annotate_ca, annotate_service};
use super::objects::Objects;
use super::{RenderError, Scene};
use crate::registry_v1::csv::{StrategyDeployment, Webhook, WebhookKind};
use crate::registry_v1::names;

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// A Deployment that serves webhooks.
pub(super) struct Served<'a> {
    pub(super) deployment: &'a StrategyDeployment,
    pub(super) service: String,
    pub(super) webhooks: Vec<&'a Webhook>,
}

/// The Deployments that serve webhooks of any type, in the order of the bundle.
pub(super) fn served<'a>(scene: &Scene<'a>) -> impl Iterator<Item = Served<'a>> {
    let spec = &scene.bundle.csv.spec;
    spec.install
        .spec
        .deployments
        .iter()
        .filter_map(move |deployment| {
            let webhooks: Vec<&Webhook> = spec
                .webhookdefinitions
                .iter()
                .filter(|webhook| webhook.deployment_name == deployment.name)
                .collect();
            (!webhooks.is_empty()).then(|| Served {
                deployment,
                service: names::service(&deployment.name),
                webhooks,
            })
        })
}

/// Kind of the configuration for a webhook; `None` for those that have none.
pub(super) fn configuration_kind(webhook: &Webhook) -> Option<&'static str> {
    match webhook.kind() {
        WebhookKind::Validating => Some("ValidatingWebhookConfiguration"),
        WebhookKind::Mutating => Some("MutatingWebhookConfiguration"),
        WebhookKind::Conversion | WebhookKind::Unknown => None,
    }
}

/// Name of a webhook and of its configuration.
pub(super) fn configuration_name(webhook: &Webhook) -> &str {
    webhook
        .generate_name
        .strip_suffix('-')
        .unwrap_or(&webhook.generate_name)
}

/// One configuration per admission webhook, the validating ones first.
///
/// Two installs of one operator collide here, as is intended: there can be only one.
pub(super) fn configurations(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    for wanted in [WebhookKind::Validating, WebhookKind::Mutating] {
        for webhook in &scene.bundle.csv.spec.webhookdefinitions {
            if webhook.kind() == wanted
                && let Some(kind) = configuration_kind(webhook)
            {
                let service = names::service(&webhook.deployment_name);
                let name = configuration_name(webhook);
                let mut object = json!({
                    "apiVersion": API_VERSION,
                    "kind": kind,
                    "metadata": {"name": name},
                    "webhooks": [entry(scene, webhook, name, &service)?],
                });
                annotate_ca(scene, &service, &mut object);
                objects.insert(
                    object,
                    format!("webhook definition `{}`", webhook.generate_name),
                )?;
            }
        }
    }
    Ok(())
}

fn entry(
    scene: &Scene<'_>,
    webhook: &Webhook,
    name: &str,
    service: &str,
) -> Result<Value, RenderError> {
    let mut client = json!({
        "namespace": scene.namespace,
        "name": service,
        "port": webhook.port(),
    });
    set(&mut client, "path", webhook.path.as_ref())?;
    let mut entry = json!({
        "name": name,
        "clientConfig": {"service": client},
        "admissionReviewVersions": webhook.admission_review_versions,
    });
    if !webhook.rules.is_empty() {
        set(&mut entry, "rules", Some(&webhook.rules))?;
    }
    set(&mut entry, "failurePolicy", webhook.failure_policy.as_ref())?;
    set(&mut entry, "matchPolicy", webhook.match_policy.as_ref())?;
    set(
        &mut entry,
        "objectSelector",
        webhook.object_selector.as_ref(),
    )?;
    set(&mut entry, "sideEffects", webhook.side_effects.as_ref())?;
    set(
        &mut entry,
        "timeoutSeconds",
        webhook.timeout_seconds.as_ref(),
    )?;
    if webhook.kind() == WebhookKind::Mutating {
        set(
            &mut entry,
            "reinvocationPolicy",
            webhook.reinvocation_policy.as_ref(),
        )?;
    }
    if !scene.watches_all() {
        entry["namespaceSelector"] = json!({"matchExpressions": [{
            "key": "kubernetes.io/metadata.name",
            "operator": "In",
            "values": scene.targets,
        }]});
    }
    Ok(entry)
}

fn set<T: Serialize>(
    object: &mut Value,
    field: &str,
    value: Option<&T>,
) -> Result<(), RenderError> {
    if let Some(value) = value {
        object[field] = serde_json::to_value(value).map_err(RenderError::Encode)?;
    }
    Ok(())
}

/// One Service per Deployment that serves webhooks, with every port they listen on.
pub(super) fn services(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    for served in served(scene) {
        let mut ports: Vec<(i32, IntOrString)> = Vec::new();
        for webhook in &served.webhooks {
            let port = webhook.port();
            let target = webhook
                .target_port
                .clone()
                .unwrap_or(IntOrString::Int(port));
            if !ports.contains(&(port, target.clone())) {
                ports.push((port, target));
            }
        }
        ports.sort_by_key(|(port, target)| (*port, integer(target)));
        let ports = ports
            .iter()
            .map(|(port, target)| {
                let target = serde_json::to_value(target).map_err(RenderError::Encode)?;
                Ok(json!({"name": port.to_string(), "port": port, "targetPort": target}))
            })
            .collect::<Result<Vec<Value>, RenderError>>()?;
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": served.service, "namespace": scene.namespace},
            "spec": {"ports": ports},
        });
        if let Some(selector) = served
            .deployment
            .spec
            .selector
            .match_labels
            .as_ref()
            .filter(|labels| !labels.is_empty())
        {
            object["spec"]["selector"] = json!(selector);
        }
        annotate_service(scene, &served.service, &mut object);
        objects.insert(
            object,
            format!("the Service of Deployment `{}`", served.deployment.name),
        )?;
    }
    Ok(())
}

/// A port as a number, for ordering; a name that is not one counts as 0.
fn integer(port: &IntOrString) -> i32 {
    match port {
        IntOrString::Int(port) => *port,
        IntOrString::String(text) => text.parse().unwrap_or(0),
    }
}
