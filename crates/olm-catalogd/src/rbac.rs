//! What catalogd may do, as data; roles are generated from it.

use olm_api::names;
use olm_api::rbac::{Permissions, events, leader_election, rule, serving_certificate};

/// The permissions of catalogd.
pub fn permissions() -> Permissions {
    let group = "catalogd.operatorframework.io";
    let mut namespace = leader_election(names::COMPONENT_CATALOGD);
    namespace.extend(serving_certificate("catalogd-tls", names::TRUST_CONFIG_MAP));
    // Pull secrets are named by Catalogs.
    namespace.push(rule("", &["secrets"], &["get"]));
    Permissions {
        cluster: vec![
            rule(
                group,
                &["catalogs"],
                &["get", "list", "watch", "patch", "update"],
            ),
            rule(group, &["catalogs/status"], &["get", "patch", "update"]),
            rule(group, &["catalogs/finalizers"], &["update"]),
            events(),
        ],
        namespace,
    }
}
