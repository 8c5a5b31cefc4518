//! When the API server asks the webhooks, as data; the manifests are generated from it.
//!
//! What the suite itself writes (status and metadata of Bundles, its own definitions and ConfigMaps)
//! never waits for a webhook, so that the suite cannot lock itself out.

use olm_api::names::{SERVICE_RUKPAK_WEBHOOKS, TRUST_CONFIG_MAP};
use serde_json::{Value, json};

use super::{PATH, config_maps, definitions};

/// The webhooks of the `ValidatingWebhookConfiguration`, for a suite in `namespace`. `caBundle` is
/// written by rukpak-webhooks.
pub(crate) fn webhooks(namespace: &str) -> Value {
    let client = |path: &str| {
        json!({"service": {
            "name": SERVICE_RUKPAK_WEBHOOKS, "namespace": namespace, "path": path, "port": 443,
        }})
    };
    json!([
        {
            "name": "vbundles.core.rukpak.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": client(PATH),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 10,
            "rules": [{
                "apiGroups": ["core.rukpak.io"], "apiVersions": ["v1alpha1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["bundles"], "scope": "Cluster",
            }],
            "matchConditions": [{
                "name": "spec-changes",
                "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
            }],
        },
        {
            "name": "vconfigmaps.core.rukpak.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": client(config_maps::PATH),
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "timeoutSeconds": 5,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "operations": ["CREATE", "DELETE"], "resources": ["configmaps"],
                "scope": "Namespaced",
            }],
            "matchConditions": [
                {
                    "name": "may-be-of-a-bundle",
                    "expression": format!(
                        "!(request.name in ['{TRUST_CONFIG_MAP}', 'kube-root-ca.crt'])"
                    ),
                },
                {
                    "name": "goes-or-may-change",
                    "expression": "request.operation == 'DELETE' || !has(object.immutable) || \
                                   !object.immutable",
                },
            ],
        },
        {
            "name": "webhook.crdvalidator.io",
            "admissionReviewVersions": ["v1"],
            "clientConfig": client(definitions::PATH),
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "timeoutSeconds": 30,
            // Only definitions that came with bundles, and never the suite's own.
            "objectSelector": {"matchLabels": {"core.rukpak.io/owner-kind": "BundleDeployment"}},
            "rules": [{
                "apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["v1"],
                "operations": ["CREATE", "UPDATE"], "resources": ["customresourcedefinitions"],
                "scope": "*",
            }],
            "matchConditions": [
                {
                    "name": "spec-changes",
                    "expression": "oldObject == null || object.spec != oldObject.spec",
                },
                {
                    "name": "not-of-the-suite",
                    "expression": "!(object.spec.group in ['catalogd.operatorframework.io', \
                                   'core.rukpak.io', 'operators.operatorframework.io'])",
                },
            ],
        },
    ])
}
