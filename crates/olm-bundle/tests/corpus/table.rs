//! What becomes of each real bundle.

use crate::differences::Difference::{
    self, AccountOfDeployment, GeneratedService, NoApiVersion, OldDefinition, Repeated, RoundTrip,
    ShippedAccount, WebhookNamespace,
};

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Cannot be loaded; the text without its prefix.
    Unreadable(&'static str),
    /// Can never be rendered, although the reference does it; the row and a part of the text.
    Invalid(Difference, &'static str),
    /// Renders in these install modes.
    Renders(&'static str),
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) bundle: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) differences: &'static [Difference],
}

pub(crate) const CASES: &[Case] = &[
    Case {
        bundle: "3scale-community-operator/0.5.1",
        outcome: Outcome::Invalid(
            OldDefinition,
            "and cannot be converted to `apiextensions.k8s.io/v1` without loss: `spec.versions[v1alpha1].schema.openAPIV3Schema.properties.spec.properties.apiSelector.properties.matchExpressions.items.properties.values.items` is missing",
        ),
        differences: &[],
    },
    Case {
        bundle: "ack-iam-controller/0.0.10",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[],
    },
    Case {
        bundle: "argocd-operator/0.18.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[],
    },
    Case {
        bundle: "assisted-service-operator/0.0.1",
        outcome: Outcome::Renders("OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "azure-service-operator/1.0.24492",
        outcome: Outcome::Invalid(
            NoApiVersion,
            "Service `azureoperator-webhook-service` has no apiVersion",
        ),
        differences: &[],
    },
    Case {
        bundle: "cass-operator-community/1.10.1",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "cert-manager/1.9.1",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "clickhouse/0.26.0",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[RoundTrip],
    },
    Case {
        bundle: "community-kubevirt-hyperconverged/1.10.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "community-trivy-operator/2.4.0",
        outcome: Outcome::Renders("AllNamespaces OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "dbaas-operator/0.5.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "debezium-operator/2.4.0",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "ecr-secret-operator/0.3.2",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "eventing-kogito/1.1.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[],
    },
    Case {
        bundle: "flink-kubernetes-operator/1.0.1",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[ShippedAccount, WebhookNamespace],
    },
    Case {
        bundle: "flux/0.13.4",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[RoundTrip],
    },
    Case {
        bundle: "gitlab-operator-kubernetes/2.2.3",
        outcome: Outcome::Renders("OwnNamespace"),
        differences: &[],
    },
    Case {
        bundle: "group-sync-operator/0.0.11",
        outcome: Outcome::Renders("OwnNamespace SingleNamespace"),
        differences: &[OldDefinition],
    },
    Case {
        bundle: "group-sync-operator/0.0.29",
        outcome: Outcome::Renders("OwnNamespace SingleNamespace"),
        differences: &[AccountOfDeployment],
    },
    Case {
        bundle: "konflux/0.2.2-rc.9",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[],
    },
    Case {
        bundle: "loki-operator/0.10.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "nfs-provisioner-operator/0.0.3",
        outcome: Outcome::Renders("AllNamespaces OwnNamespace"),
        differences: &[Repeated],
    },
    Case {
        bundle: "oadp-operator/0.2.3",
        outcome: Outcome::Renders("OwnNamespace"),
        differences: &[OldDefinition],
    },
    Case {
        bundle: "opentelemetry-operator/0.158.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[GeneratedService, WebhookNamespace],
    },
    Case {
        bundle: "pelorus-operator/0.0.9",
        outcome: Outcome::Renders("OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "percona-server-mongodb-operator/1.18.0",
        outcome: Outcome::Renders("SingleNamespace OwnNamespacejl"),
        differences: &[],
    },
    Case {
        bundle: "prometheus/0.27.0",
        outcome: Outcome::Renders("MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[OldDefinition],
    },
    Case {
        bundle: "prometheus/0.37.0",
        outcome: Outcome::Renders("AllNamespaces OwnNamespace SingleNamespace"),
        differences: &[OldDefinition],
    },
    Case {
        bundle: "rabbitmq-cluster-operator/2.21.1",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "rabbitmq-cluster-operator/2.22.1",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "rabbitmq-cluster-operator/2.22.2",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "rabbitmq-cluster-operator/2.22.3",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "rabbitmq-messaging-topology-operator/1.18.2",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "rabbitmq-messaging-topology-operator/1.18.3",
        outcome: Outcome::Unreadable("open metadata/annotations.yaml: file does not exist"),
        differences: &[],
    },
    Case {
        bundle: "rabbitmq-messaging-topology-operator/1.19.2",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "rabbitmq-messaging-topology-operator/1.19.3",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "service-binding-operator/0.5.0",
        outcome: Outcome::Renders("AllNamespaces OwnNamespace SingleNamespace"),
        differences: &[],
    },
    Case {
        bundle: "sn-operator/0.19.7",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "strimzi-kafka-operator/0.11.0",
        outcome: Outcome::Renders("AllNamespaces MultiNamespace OwnNamespace SingleNamespace"),
        differences: &[OldDefinition, RoundTrip],
    },
    Case {
        bundle: "vault-config-operator/0.8.52",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "verticadb-operator/26.2.1-0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[WebhookNamespace],
    },
    Case {
        bundle: "victoriametrics-operator/0.22.0",
        outcome: Outcome::Renders("AllNamespaces"),
        differences: &[Repeated],
    },
];
