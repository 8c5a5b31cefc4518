//! Objects that are applied, from one ConfigMap to a bundle with nearly every phase.

use serde_json::{Value, json};

pub(super) fn group(name: &str) -> String {
    format!("{name}.example.com")
}

pub(super) fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
           "data": {"key": value}})
}

pub(super) fn definition(name: &str, properties: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{}", group(name)), "creationTimestamp": null},
        "spec": {
            "group": group(name), "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing",
                      "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": properties}
                }}}
            }]
        },
        "status": {"conditions": [], "storedVersions": []}
    })
}

pub(super) fn thing(owner: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{}/v1", group(owner)), "kind": "Thing",
           "metadata": {"name": name}, "spec": spec})
}

pub(super) fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "serviceAccountName": "web",
                    "containers": [{
                        "name": "web", "image": "example.com/web:v1",
                        "ports": [{"containerPort": 80}],
                        // Written as `1` and `1Gi`: the server's spelling differs from the author's.
                        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
                        "securityContext": {}
                    }]
                }
            }
        }
    })
}

/// A bundle with something of nearly every phase.
pub(super) fn operator(name: &str) -> Vec<Value> {
    let text = json!({"text": {"type": "string"}});
    let rbac = "rbac.authorization.k8s.io";
    let admission = "admissionregistration.k8s.io/v1";
    vec![
        json!({"apiVersion": admission, "kind": "ValidatingWebhookConfiguration",
               "metadata": {"name": name}, "webhooks": [{
                   "name": "things.example.com", "sideEffects": "None",
                   "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
                   "clientConfig": {"service": {"name": "web", "namespace": name}},
                   "rules": [{"apiGroups": [group(name)], "apiVersions": ["v1"],
                              "operations": ["CREATE"], "resources": ["things"]}]}]}),
        deployment(1),
        thing(name, "first", &json!({"text": "a"})),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
               "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
               "metadata": {"name": name, "namespace": "ignored"},
               "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": name}],
               "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole",
               "metadata": {"name": name},
               "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        definition(name, &text),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"},
               "stringData": {"key": "value"}}),
        config_map("config", "value"),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
               "metadata": {"name": "web"},
               "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "web"}}}}),
    ]
}
