//! Which kinds live in a namespace, as far as it is known without a cluster.

use std::collections::HashMap;

use serde_json::Value;

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespaced,
    Cluster,
}

/// The API groups of Kubernetes itself, and which of their kinds live in no namespace (`None`: all).
const KUBERNETES: &[(&str, Option<&[&str]>)] = &[
    (
        "",
        Some(&["ComponentStatus", "Namespace", "Node", "PersistentVolume"]),
    ),
    ("admissionregistration.k8s.io", None),
    ("apiextensions.k8s.io", None),
    ("apiregistration.k8s.io", None),
    ("apps", Some(&[])),
    ("autoscaling", Some(&[])),
    ("batch", Some(&[])),
    (
        "certificates.k8s.io",
        Some(&["CertificateSigningRequest", "ClusterTrustBundle"]),
    ),
    ("coordination.k8s.io", Some(&[])),
    ("discovery.k8s.io", Some(&[])),
    ("events.k8s.io", Some(&[])),
    ("flowcontrol.apiserver.k8s.io", None),
    (
        "networking.k8s.io",
        Some(&["IPAddress", "IngressClass", "ServiceCIDR"]),
    ),
    ("node.k8s.io", None),
    ("policy", Some(&["PodSecurityPolicy"])),
    (
        "rbac.authorization.k8s.io",
        Some(&["ClusterRole", "ClusterRoleBinding"]),
    ),
    ("resource.k8s.io", Some(&["DeviceClass", "ResourceSlice"])),
    ("scheduling.k8s.io", Some(&["PriorityClass"])),
    (
        "storage.k8s.io",
        Some(&[
            "CSIDriver",
            "CSINode",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ]),
    ),
];

/// What is known of kinds: those of Kubernetes, and those that a bundle defines.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// Of kinds by group and name.
    defined: HashMap<(String, String), Scope>,
}

impl Scopes {
    /// With the kinds that definitions among these objects are of.
    pub(super) fn beside(objects: &[Value]) -> Self {
        let definitions = objects
            .iter()
            .filter(|object| object["kind"] == "CustomResourceDefinition");
        let defined = definitions
            .filter_map(|definition| {
                let spec = &definition["spec"];
                let group = spec["group"].as_str()?.to_owned();
                let kind = spec["names"]["kind"].as_str()?.to_owned();
                let scope = if spec["scope"] == "Namespaced" {
                    Scope::Namespaced
                } else {
                    Scope::Cluster
                };
                Some(((group, kind), scope))
            })
            .collect();
        Self { defined }
    }

    /// The scope of a kind; `None` where only the cluster knows.
    pub(super) fn of(&self, group: &str, kind: &str) -> Option<Scope> {
        let known = KUBERNETES.iter().find(|(known, _)| *known == group);
        let Some((_, cluster)) = known else {
            let key = (group.to_owned(), kind.to_owned());
            return self.defined.get(&key).copied();
        };
        Some(match cluster {
            Some(kinds) if !kinds.contains(&kind) => Scope::Namespaced,
            _ => Scope::Cluster,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;

    use k8s_openapi::api::{
        admissionregistration, apps, autoscaling, batch, certificates, coordination, core,
        discovery, events, flowcontrol, networking, node, policy, rbac, resource, scheduling,
        storage,
    };
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
    use k8s_openapi::kube_aggregator::pkg::apis::apiregistration;
    use k8s_openapi::{NamespaceResourceScope, Resource};
    use serde_json::json;

    use super::*;

    fn agrees<K: Resource>()
    where
        K::Scope: 'static,
    {
        let is_namespaced = TypeId::of::<K::Scope>() == TypeId::of::<NamespaceResourceScope>();
        let expected = if is_namespaced {
            Scope::Namespaced
        } else {
            Scope::Cluster
        };
        let found = Scopes::default().of(K::GROUP, K::KIND);
        assert_eq!(found, Some(expected), "{}", K::KIND);
    }

    macro_rules! all_agree {
        ($($kind:ty),* $(,)?) => {
            $(agrees::<$kind>();)*
        };
    }

    #[test]
    fn kinds_of_kubernetes_live_where_their_types_say() {
        all_agree!(
            admissionregistration::v1::MutatingWebhookConfiguration,
            admissionregistration::v1::ValidatingAdmissionPolicy,
            admissionregistration::v1::ValidatingAdmissionPolicyBinding,
            admissionregistration::v1::ValidatingWebhookConfiguration,
            apiextensions::v1::CustomResourceDefinition,
            apiregistration::v1::APIService,
            apps::v1::ControllerRevision,
            apps::v1::DaemonSet,
            apps::v1::Deployment,
            apps::v1::ReplicaSet,
            apps::v1::StatefulSet,
            autoscaling::v2::HorizontalPodAutoscaler,
            batch::v1::CronJob,
            batch::v1::Job,
            certificates::v1::CertificateSigningRequest,
            certificates::v1beta1::ClusterTrustBundle,
            coordination::v1::Lease,
            core::v1::ConfigMap,
            core::v1::Endpoints,
            core::v1::Event,
            core::v1::LimitRange,
            core::v1::Namespace,
            core::v1::Node,
            core::v1::PersistentVolume,
            core::v1::PersistentVolumeClaim,
            core::v1::Pod,
            core::v1::PodTemplate,
            core::v1::ReplicationController,
            core::v1::ResourceQuota,
            core::v1::Secret,
            core::v1::Service,
            core::v1::ServiceAccount,
            discovery::v1::EndpointSlice,
            events::v1::Event,
            flowcontrol::v1::FlowSchema,
            flowcontrol::v1::PriorityLevelConfiguration,
            networking::v1::IPAddress,
            networking::v1::Ingress,
            networking::v1::IngressClass,
            networking::v1::NetworkPolicy,
            networking::v1::ServiceCIDR,
            node::v1::RuntimeClass,
            policy::v1::PodDisruptionBudget,
            rbac::v1::ClusterRole,
            rbac::v1::ClusterRoleBinding,
            rbac::v1::Role,
            rbac::v1::RoleBinding,
            resource::v1beta1::DeviceClass,
            resource::v1beta1::ResourceClaim,
            resource::v1beta1::ResourceClaimTemplate,
            resource::v1beta1::ResourceSlice,
            scheduling::v1::PriorityClass,
            storage::v1::CSIDriver,
            storage::v1::CSINode,
            storage::v1::CSIStorageCapacity,
            storage::v1::StorageClass,
            storage::v1::VolumeAttachment,
            storage::v1beta1::VolumeAttributesClass,
        );
    }

    #[test]
    fn other_kinds_are_known_by_a_definition_beside_them() {
        let definition = |kind: &str, scope: &str| {
            json!({"kind": "CustomResourceDefinition",
                   "spec": {"group": "x.io", "scope": scope, "names": {"kind": kind}}})
        };
        let objects = [definition("A", "Namespaced"), definition("B", "Cluster")];
        let scopes = Scopes::beside(&objects);
        assert_eq!(scopes.of("x.io", "A"), Some(Scope::Namespaced));
        assert_eq!(scopes.of("x.io", "B"), Some(Scope::Cluster));
        assert_eq!(scopes.of("x.io", "C"), None);
        assert_eq!(scopes.of("y.io", "A"), None);
    }
}
