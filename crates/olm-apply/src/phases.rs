//! In which order objects are applied; the reverse is the order of their removal.

use crate::ObjectId;

/// A step of an installation: everything in it may be applied at once.
///
/// The order is a rule of the design: what others refer to
/// comes first, and what can keep others from being admitted comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Namespaces.
    Namespaces,
    /// What limits or ranks the others: network policies, quotas, priority classes.
    Policies,
    /// Service accounts.
    Identity,
    /// Secrets and config maps.
    Configuration,
    /// Storage classes, volumes and claims.
    Storage,
    /// Custom resource definitions; the next phase begins when they are established.
    CustomResourceDefinitions,
    /// Roles.
    Roles,
    /// Bindings of roles.
    Bindings,
    /// Services, and the issuers and certificates that workloads mount.
    Services,
    /// Workloads, custom resources, and every kind that is not named elsewhere.
    Workloads,
    /// Autoscalers and disruption budgets.
    Scaling,
    /// What exposes workloads to others: ingresses, routes, monitoring.
    Publishing,
    /// Webhook configurations, admission policies and API services.
    Admission,
}

impl Phase {
    /// Every phase, in the order of application.
    pub const ALL: [Self; 13] = [
        Self::Namespaces,
        Self::Policies,
        Self::Identity,
        Self::Configuration,
        Self::Storage,
        Self::CustomResourceDefinitions,
        Self::Roles,
        Self::Bindings,
        Self::Services,
        Self::Workloads,
        Self::Scaling,
        Self::Publishing,
        Self::Admission,
    ];

    /// The phase of a kind.
    pub fn of(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("", "Namespace") => Self::Namespaces,
            ("", "ResourceQuota" | "LimitRange")
            | ("networking.k8s.io", "NetworkPolicy")
            | ("policy", "PodSecurityPolicy")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("security.openshift.io", "SecurityContextConstraints") => Self::Policies,
            ("", "ServiceAccount") => Self::Identity,
            ("", "Secret" | "ConfigMap") => Self::Configuration,
            ("", "PersistentVolume" | "PersistentVolumeClaim")
            | ("storage.k8s.io", "StorageClass" | "CSIDriver" | "VolumeAttributesClass") => {
                Self::Storage
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => Self::CustomResourceDefinitions,
            ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => Self::Roles,
            ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => Self::Bindings,
            ("", "Service" | "Endpoints")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("cert-manager.io", "Issuer" | "ClusterIssuer" | "Certificate") => Self::Services,
            ("autoscaling", "HorizontalPodAutoscaler")
            | ("autoscaling.k8s.io", "VerticalPodAutoscaler")
            | ("policy", "PodDisruptionBudget") => Self::Scaling,
            ("networking.k8s.io", "Ingress" | "IngressClass")
            | ("route.openshift.io", "Route")
            | ("monitoring.coreos.com", "PrometheusRule" | "ServiceMonitor" | "PodMonitor")
            | ("console.openshift.io", _) => Self::Publishing,
            (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration"
                | "MutatingWebhookConfiguration"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding",
            )
            | ("apiregistration.k8s.io", "APIService") => Self::Admission,
            _ => Self::Workloads,
        }
    }

    /// The phase of an object.
    pub fn of_object(id: &ObjectId) -> Self {
        Self::of(&id.group, &id.kind)
    }

    /// What the phase holds, in words for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Policies => "policies",
            Self::Identity => "service accounts",
            Self::Configuration => "configuration",
            Self::Storage => "storage",
            Self::CustomResourceDefinitions => "custom resource definitions",
            Self::Roles => "roles",
            Self::Bindings => "role bindings",
            Self::Services => "services",
            Self::Workloads => "workloads",
            Self::Scaling => "autoscalers",
            Self::Publishing => "ingresses and monitoring",
            Self::Admission => "webhooks",
        }
    }
}

/// Sorts for application: by phase, then by group, kind, namespace and name.
pub fn sort(ids: &mut [ObjectId]) {
    ids.sort_by(|left, right| order(left).cmp(&order(right)));
}

pub(crate) fn order(id: &ObjectId) -> (Phase, crate::identity::ObjectKey<'_>) {
    (Phase::of_object(id), id.key())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::custom_resources_follow_their_definitions(
        ("apiextensions.k8s.io", "CustomResourceDefinition"), ("example.com", "Thing"))]
    #[case::roles_precede_bindings(
        ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "RoleBinding"))]
    #[case::accounts_precede_bindings(
        ("", "ServiceAccount"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"))]
    #[case::services_precede_workloads(("", "Service"), ("apps", "Deployment"))]
    #[case::certificates_precede_workloads(("cert-manager.io", "Certificate"), ("", "Pod"))]
    #[case::webhooks_follow_workloads(
        ("apps", "Deployment"), ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"))]
    #[case::api_services_follow_workloads(
        ("batch", "Job"), ("apiregistration.k8s.io", "APIService"))]
    #[case::a_foreign_secret_kind_is_a_workload(("", "Secret"), ("example.com", "Secret"))]
    fn orders(#[case] first: (&str, &str), #[case] second: (&str, &str)) {
        assert!(Phase::of(first.0, first.1) < Phase::of(second.0, second.1));
    }

    #[test]
    fn lists_every_phase_in_order() {
        assert!(Phase::ALL.is_sorted());
        assert_eq!(Phase::ALL.last(), Some(&Phase::Admission));
    }

    #[test]
    fn sorts_by_phase_then_by_name() {
        let object = |group: &str, kind: &str, name: &str| ObjectId {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: None,
            name: name.into(),
        };
        let mut ids = [
            object("apps", "Deployment", "b"),
            object("apps", "Deployment", "a"),
            object("", "Namespace", "z"),
        ];
        sort(&mut ids);
        assert_eq!(ids.map(|id| id.name), ["z", "a", "b"]);
    }
}
