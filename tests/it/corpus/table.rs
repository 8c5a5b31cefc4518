//! What becomes of each real bundle on a cluster.

use Need::{Kind, PriorityClass};
use Outcome::{Installs, InstallsOnce, Refused};
use Stage::{Apply, Load, Unpack};

/// What becomes of a bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// It is installed.
    Installs,
    /// It is installed once something is there that somebody else brings.
    InstallsOnce(Need),
    /// It is refused at this stage, with a message that holds all of these texts.
    Refused(Stage, &'static [&'static str]),
}

/// What a bundle does not bring itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    /// A kind: version, kind and plural.
    Kind(&'static str, &'static str, &'static str),
    /// A priority class, which one of the bundle's operators makes when it starts; here none runs.
    PriorityClass(&'static str),
}

/// Where a bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// When its image is unpacked: no configuration could help.
    Unpack,
    /// When it is turned into objects for this namespace and install mode.
    Load,
    /// By the API server.
    Apply,
}

impl Stage {
    /// Type and reason of the condition that is False.
    pub(crate) fn condition(self) -> (&'static str, &'static str) {
        match self {
            Self::Unpack => ("HasValidBundle", "UnpackFailed"),
            Self::Load => ("HasValidBundle", "BundleLoadFailed"),
            Self::Apply => ("Installed", "InstallFailed"),
        }
    }
}

const INVALID: &str = "convert registry+v1 bundle to plain+v0 bundle: ";
const ALL_NAMESPACES: Outcome = Refused(
    Load,
    &["convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled"],
);
const CONVERSION: Outcome = Refused(
    Unpack,
    &["convert registry+v1 bundle to plain+v0 bundle: conversion webhooks are not supported"],
);

/// Every bundle of the data, and what becomes of it.
pub(crate) const REAL: &[(&str, Outcome)] = &[
    (
        "3scale-community-operator/0.5.1",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `apimanagers.apps.3scale.net` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    // A sample among its manifests lacks fields that its own definition requires.
    (
        "ack-iam-controller/0.0.10",
        Refused(
            Apply,
            &[
                r#"Role.iam.services.k8s.aws "example" is invalid"#,
                "spec.assumeRolePolicyDocument: Required value",
                "spec.name: Required value",
            ],
        ),
    ),
    ("argocd-operator/0.18.0", CONVERSION),
    ("assisted-service-operator/0.0.1", ALL_NAMESPACES),
    (
        "azure-service-operator/1.0.24492",
        Refused(
            Unpack,
            &[
                INVALID,
                "Service `azureoperator-webhook-service` has no apiVersion",
            ],
        ),
    ),
    ("cass-operator-community/1.10.1", Installs),
    ("cert-manager/1.9.1", Installs),
    ("clickhouse/0.26.0", Installs),
    (
        "community-kubevirt-hyperconverged/1.10.0",
        InstallsOnce(PriorityClass("kubevirt-cluster-critical")),
    ),
    ("community-trivy-operator/2.4.0", Installs),
    ("dbaas-operator/0.5.0", CONVERSION),
    ("debezium-operator/2.4.0", Installs),
    // A sample among its manifests has a field that its own definition does not declare.
    (
        "ecr-secret-operator/0.3.2",
        Refused(
            Apply,
            &[
                r#"Secret "ecr-secret" in namespace "olm-test-install""#,
                "ecr.mobb.redhat.com/v1alpha1, Kind=Secret",
                ".spec.aws_iam_secret: field not declared in schema",
            ],
        ),
    ),
    ("eventing-kogito/1.1.0", Installs),
    ("flink-kubernetes-operator/1.0.1", Installs),
    ("flux/0.13.4", Installs),
    ("gitlab-operator-kubernetes/2.2.3", ALL_NAMESPACES),
    (
        "group-sync-operator/0.0.11",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `groupsyncs.redhatcop.redhat.io` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    ("group-sync-operator/0.0.29", ALL_NAMESPACES),
    ("konflux/0.2.2-rc.9", Installs),
    ("loki-operator/0.10.0", CONVERSION),
    ("nfs-provisioner-operator/0.0.3", Installs),
    (
        "oadp-operator/0.2.3",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `backups.velero.io` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    ("opentelemetry-operator/0.158.0", CONVERSION),
    ("pelorus-operator/0.0.9", ALL_NAMESPACES),
    ("percona-server-mongodb-operator/1.18.0", ALL_NAMESPACES),
    (
        "prometheus/0.27.0",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `alertmanagers.monitoring.coreos.com` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    (
        "prometheus/0.37.0",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `alertmanagers.monitoring.coreos.com` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    ("rabbitmq-cluster-operator/2.21.1", Installs),
    ("rabbitmq-cluster-operator/2.22.1", Installs),
    ("rabbitmq-cluster-operator/2.22.2", Installs),
    ("rabbitmq-cluster-operator/2.22.3", Installs),
    ("rabbitmq-messaging-topology-operator/1.18.2", Installs),
    (
        "rabbitmq-messaging-topology-operator/1.18.3",
        Refused(
            Unpack,
            &[
                INVALID,
                "open metadata/annotations.yaml: file does not exist",
            ],
        ),
    ),
    ("rabbitmq-messaging-topology-operator/1.19.2", Installs),
    ("rabbitmq-messaging-topology-operator/1.19.3", Installs),
    ("service-binding-operator/0.5.0", Installs),
    ("sn-operator/0.19.7", CONVERSION),
    (
        "strimzi-kafka-operator/0.11.0",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `kafkaconnects.kafka.strimzi.io` is of `apiextensions.k8s.io/v1beta1`",
            ],
        ),
    ),
    (
        "vault-config-operator/0.8.52",
        InstallsOnce(Kind(
            "monitoring.coreos.com/v1",
            "ServiceMonitor",
            "servicemonitors",
        )),
    ),
    ("verticadb-operator/26.2.1-0", CONVERSION),
    ("victoriametrics-operator/0.22.0", Installs),
];

/// Bundles that have an object in common besides their own package's other versions.
pub(crate) const SHARING: (&str, &str) = (
    "rabbitmq-messaging-topology-operator/",
    "vault-config-operator/",
);
