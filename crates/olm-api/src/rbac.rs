//! Permissions as data, from which roles are generated.

use k8s_openapi::api::rbac::v1::PolicyRule;

/// Permissions of one component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Permissions {
    /// Rules for the whole cluster.
    pub cluster: Vec<PolicyRule>,
    /// Rules for the suite's own namespace.
    pub namespace: Vec<PolicyRule>,
}

/// A rule that allows `verbs` on `resources` of the API group `group` (empty for the core group).
pub fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

/// The same, for the objects named `names` only.
pub fn named_rule(group: &str, resources: &[&str], names: &[&str], verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        resource_names: Some(owned(names)),
        ..rule(group, resources, verbs)
    }
}

/// What every controller needs in the suite's namespace to elect a leader.
///
/// A Lease cannot be created under a named rule, since a request to create does not carry the name.
pub fn leader_election(lease: &str) -> Vec<PolicyRule> {
    vec![
        rule("coordination.k8s.io", &["leases"], &["create"]),
        named_rule(
            "coordination.k8s.io",
            &["leases"],
            &[lease],
            &["get", "update", "patch"],
        ),
    ]
}

/// What every component needs to write Events about objects of the cluster, which land in the
/// namespace `default`.
pub fn events() -> PolicyRule {
    rule("events.k8s.io", &["events"], &["create", "patch"])
}

/// What a component needs in the suite's namespace to keep its serving certificate in the Secret
/// `secret` and to publish its authority in the ConfigMap `trust`.
pub fn serving_certificate(secret: &str, trust: &str) -> Vec<PolicyRule> {
    vec![
        rule("", &["secrets", "configmaps"], &["create"]),
        named_rule("", &["secrets"], &[secret], &["get", "update", "patch"]),
        named_rule("", &["configmaps"], &[trust], &["get", "update", "patch"]),
    ]
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
