//! The parts of a ClusterServiceVersion that rendering needs, typed.
//!
//! Field names are matched by case; unknown fields are dropped, as a typed decoder must (an API
//! server refuses undeclared fields in server-side apply); a null is the zero value of its type.

use std::collections::BTreeMap;

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use k8s_openapi::api::apps::v1::DeploymentSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ClusterServiceVersion {
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    pub(crate) version: Option<String>,
    pub(crate) install: Install,
    #[serde(rename = "installModes")]
    pub(crate) install_modes: Vec<InstallMode>,
    pub(crate) customresourcedefinitions: CrdDescriptions,
    pub(crate) apiservicedefinitions: ApiServiceDescriptions,
    pub(crate) webhookdefinitions: Vec<Webhook>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Install {
    pub(crate) spec: InstallSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InstallSpec {
    pub(crate) deployments: Vec<StrategyDeployment>,
    pub(crate) permissions: Vec<Permission>,
    pub(crate) cluster_permissions: Vec<Permission>,
}

/// One Deployment of the operator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StrategyDeployment {
    pub(crate) name: String,
    pub(crate) label: BTreeMap<String, String>,
    pub(crate) spec: DeploymentSpec,
}

/// Rules granted to one ServiceAccount. Field order and what is left out when empty are part of
/// the hash in generated names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Permission {
    pub(crate) service_account_name: String,
    pub(crate) rules: Option<Vec<PolicyRule>>,
}

impl Permission {
    /// The account the rules are for: `default` where none is named.
    pub(crate) fn account(&self) -> &str {
        if self.service_account_name.is_empty() {
            "default"
        } else {
            &self.service_account_name
        }
    }
}

/// A rule as the hash sees it. The type of `k8s-openapi` cannot tell absent verbs from an empty
/// list, and writes its fields in another order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PolicyRule {
    pub(crate) verbs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) api_groups: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resources: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) resource_names: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub(crate) non_resource_urls: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InstallMode {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) supported: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CrdDescriptions {
    pub(crate) owned: Vec<CrdDescription>,
    pub(crate) required: Vec<CrdDescription>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CrdDescription {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiServiceDescriptions {
    pub(crate) owned: Vec<ApiServiceDescription>,
    pub(crate) required: Vec<ApiServiceDescription>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ApiServiceDescription {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

/// What a webhook definition asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookKind {
    Validating,
    Mutating,
    Conversion,
    /// Renders no configuration; its Service and certificate are rendered all the same.
    Unknown,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Webhook {
    pub(crate) generate_name: String,
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    pub(crate) deployment_name: String,
    container_port: i32,
    pub(crate) target_port: Option<IntOrString>,
    pub(crate) rules: Vec<RuleWithOperations>,
    pub(crate) failure_policy: Option<String>,
    pub(crate) match_policy: Option<String>,
    pub(crate) object_selector: Option<LabelSelector>,
    pub(crate) side_effects: Option<String>,
    pub(crate) timeout_seconds: Option<i32>,
    pub(crate) admission_review_versions: Vec<String>,
    pub(crate) reinvocation_policy: Option<String>,
    #[serde(rename = "webhookPath")]
    pub(crate) path: Option<String>,
    #[serde(rename = "conversionCRDs")]
    pub(crate) conversion_crds: Vec<String>,
}

impl Webhook {
    pub(crate) fn kind(&self) -> WebhookKind {
        match self.type_name.as_str() {
            "ValidatingAdmissionWebhook" => WebhookKind::Validating,
            "MutatingAdmissionWebhook" => WebhookKind::Mutating,
            "ConversionWebhook" => WebhookKind::Conversion,
            _ => WebhookKind::Unknown,
        }
    }

    /// Port of the Service. The schema of the ClusterServiceVersion makes 443 the default, which
    /// nothing applies to a file.
    pub(crate) fn port(&self) -> i32 {
        if self.container_port == 0 {
            443
        } else {
            self.container_port
        }
    }
}

/// Decodes a ClusterServiceVersion.
pub(crate) fn decode(object: Value) -> Result<ClusterServiceVersion, serde_json::Error> {
    serde_json::from_value(normalise(object, Context::Fields))
}

/// The same rewriting for a part of a Deployment from elsewhere.
pub(crate) fn normalise_fields(value: Value) -> Value {
    normalise(value, Context::Fields)
}

/// What the members of an object are, as far as it decides what a null or a number means.
#[derive(Clone, Copy)]
enum Context {
    /// Fields of a struct, each with a meaning of its own.
    Fields,
    /// A map of strings: a null value is the empty string.
    Strings,
    /// A map of quantities, which may be written as numbers.
    Quantities,
}

impl Context {
    fn below(key: &str) -> Self {
        match key {
            "annotations" | "labels" | "label" | "matchLabels" | "nodeSelector" => Self::Strings,
            "limits" | "requests" => Self::Quantities,
            _ => Self::Fields,
        }
    }
}

/// Rewrites what the upstream decoder accepts and ours would not: nulls in maps and lists,
/// quantities written as numbers, whole numbers written with a fraction.
///
/// Recursion is bounded by the depth limit of the YAML reader.
fn normalise(value: Value, context: Context) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = match (context, value) {
                        (Context::Strings, Value::Null) => Value::String(String::new()),
                        (Context::Quantities, Value::Null) => Value::String("0".to_owned()),
                        (_, Value::Null) => return None,
                        (Context::Quantities, Value::Number(number)) => {
                            Value::String(whole(number).to_string())
                        }
                        (_, Value::Number(number)) if key == "divisor" || key == "sizeLimit" => {
                            Value::String(whole(number).to_string())
                        }
                        (_, value) => normalise(value, Context::below(&key)),
                    };
                    Some((key, value))
                })
                .collect(),
        ),
        Value::Array(items) => {
            let of_objects = items.iter().any(Value::is_object);
            let zero = || {
                if of_objects {
                    Value::Object(serde_json::Map::new())
                } else {
                    Value::from("")
                }
            };
            Value::Array(
                items
                    .into_iter()
                    .map(|item| match item {
                        Value::Null => zero(),
                        item => normalise(item, Context::Fields),
                    })
                    .collect(),
            )
        }
        Value::Number(number) => Value::Number(whole(number)),
        other => other,
    }
}

/// The number as an integer where it is one: `1.0` is `1`.
pub(crate) fn whole(number: Number) -> Number {
    if number.is_i64() || number.is_u64() {
        return number;
    }
    match number.as_f64() {
        // The largest double below 2^63; beyond it nothing here is an integer field anyway.
        Some(float) if float.fract() == 0.0 && float.abs() <= 9_223_372_036_854_774_784.0 => {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
            let integer = float as i64;
            integer.into()
        }
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn takes_nulls_as_zero_values_and_drops_unknown_fields() {
        let csv = decode(json!({
            "metadata": {"name": "a.v1", "annotations": {"support": null, "x": "y"}},
            "spec": {
                "version": null, "MinKubeVersion": "1.2", "installModes": null,
                "install": {"spec": {
                    "permissions": [{"serviceAccountName": null, "rules": [
                        {"apigroups": ["lost"], "verbs": ["get", null]}]}],
                    "deployments": [{"name": "d", "label": null, "spec": {
                        "replicas": 1.0, "miniKube": true,
                        "selector": {"matchLabels": {"a": null}},
                        "template": {"spec": {"containers": [{
                            "name": "c", "env": null, "args": null,
                            "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}}}}]}}}
        }))
        .unwrap();
        assert_eq!(csv.metadata.annotations["support"], "");
        assert_eq!(csv.spec.version, None);
        let rule = &csv.spec.install.spec.permissions[0].rules.as_ref().unwrap()[0];
        assert_eq!(
            rule.verbs.as_deref(),
            Some(&["get".to_owned(), String::new()][..])
        );
        assert!(rule.api_groups.is_empty());
        let deployment = &csv.spec.install.spec.deployments[0].spec;
        assert_eq!(deployment.replicas, Some(1));
        assert_eq!(deployment.selector.match_labels.as_ref().unwrap()["a"], "");
        let container = &deployment.template.spec.as_ref().unwrap().containers[0];
        assert_eq!(container.env, None);
        let limits = container
            .resources
            .as_ref()
            .unwrap()
            .limits
            .as_ref()
            .unwrap();
        assert_eq!(limits["cpu"].0, "1");
    }

    #[test]
    fn refuses_a_value_of_another_type() {
        assert!(decode(json!({"spec": {"installModes": {"type": "x"}}})).is_err());
        assert!(decode(json!({"metadata": {"annotations": {"a": true}}})).is_err());
    }

    #[test]
    fn a_webhook_without_a_port_listens_on_443() {
        let csv = decode(json!({"spec": {"webhookdefinitions": [{"generateName": "w"}]}})).unwrap();
        assert_eq!(csv.spec.webhookdefinitions[0].port(), 443);
    }
}
