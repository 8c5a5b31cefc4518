//! What operator-controller may do, as data; roles are generated from it.

use olm_api::names;
use olm_api::rbac::{Permissions, events, leader_election, named_rule, rule};

/// The permissions of operator-controller.
pub fn permissions() -> Permissions {
    let operators = "operators.operatorframework.io";
    let mut namespace = leader_election(names::COMPONENT_OPERATOR_CONTROLLER);
    // A watch of one object by name needs list and watch under the same named rule.
    namespace.push(named_rule(
        "",
        &["configmaps"],
        &[names::TRUST_CONFIG_MAP],
        &["get", "list", "watch"],
    ));
    Permissions {
        cluster: vec![
            // Operators are made for what others require, and told who requires them. No delete:
            // what was made stays until someone removes it.
            rule(
                operators,
                &["operators"],
                &["create", "get", "list", "patch", "watch"],
            ),
            rule(
                operators,
                &["operators/status"],
                &["get", "patch", "update"],
            ),
            // Lets it set blockOwnerDeletion on a BundleDeployment where that is checked.
            rule(operators, &["operators/finalizers"], &["update"]),
            rule(
                "catalogd.operatorframework.io",
                &["catalogs"],
                &["get", "list", "watch"],
            ),
            // No delete: a BundleDeployment goes with its Operator, by garbage collection.
            rule(
                "core.rukpak.io",
                &["bundledeployments"],
                &["create", "get", "list", "patch", "update", "watch"],
            ),
            rule("core.rukpak.io", &["bundles"], &["get", "list", "watch"]),
            events(),
        ],
        namespace,
    }
}
