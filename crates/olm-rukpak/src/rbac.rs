//! What rukpak and its webhooks may do, as data; roles are generated from it.

use olm_api::names;
use olm_api::rbac::{Permissions, leader_election, named_rule, rule, serving_certificate};

/// The permissions of the controllers of rukpak: bundles hold objects of any kind and roles with
/// any rule, so whoever applies them must hold every right.
pub fn permissions() -> Permissions {
    let mut everything = rule("*", &["*"], &["*"]);
    let mut paths = everything.clone();
    everything.non_resource_urls = None;
    paths.api_groups = None;
    paths.resources = None;
    paths.non_resource_urls = Some(vec!["*".to_owned()]);
    Permissions {
        cluster: vec![everything, paths],
        namespace: leader_election(names::COMPONENT_RUKPAK),
    }
}

/// The permissions of the webhooks, which judge Bundles and never write objects of others.
pub fn webhook_permissions() -> Permissions {
    // Whether the ConfigMaps that a Bundle names are immutable.
    let mut namespace = vec![rule("", &["configmaps"], &["get"])];
    namespace.extend(serving_certificate(
        "rukpak-webhooks-tls",
        names::TRUST_CONFIG_MAP,
    ));
    Permissions {
        cluster: vec![
            named_rule(
                "admissionregistration.k8s.io",
                &["validatingwebhookconfigurations"],
                &[names::WEBHOOK_CONFIGURATION],
                &["get", "list", "watch", "patch", "update"],
            ),
            // Whether a Bundle names a ConfigMap.
            rule("core.rukpak.io", &["bundles"], &["list"]),
        ],
        namespace,
    }
}
