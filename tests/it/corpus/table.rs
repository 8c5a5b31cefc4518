//! What becomes of each real bundle on a cluster.

use Need::{Kinds, PriorityClass};
use Outcome::{Installs, InstallsOnce, Refused};
use Stage::{Apply, Unpack};

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
    /// Kinds: version, kind and plural of each.
    Kinds(&'static [(&'static str, &'static str, &'static str)]),
    /// A priority class, which one of the bundle's operators makes when it starts; here none runs.
    PriorityClass(&'static str),
}

/// Where a bundle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// When its image is unpacked: no configuration could help.
    Unpack,
    /// When it is turned into objects for this namespace and install mode: it is not configured
    /// for one that it supports.
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
/// A kind of an operator that is not installed here.
const SERVICE_MONITOR: (&str, &str, &str) = (
    "monitoring.coreos.com/v1",
    "ServiceMonitor",
    "servicemonitors",
);

/// Every bundle of the data, and what becomes of it.
pub(crate) const REAL: &[(&str, Outcome)] = &[
    // It prunes by a schema that says nothing of the items of a list.
    (
        "3scale-community-operator/0.5.1",
        Refused(
            Unpack,
            &[
                INVALID,
                "custom resource definition `apis.capabilities.3scale.net` is of `apiextensions.k8s.io/v1beta1`",
                "and cannot be converted to `apiextensions.k8s.io/v1` without loss",
                "matchExpressions.items.properties.values.items` is missing",
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
    ("argocd-operator/0.18.0", Installs),
    // It ships the account that every namespace has already.
    (
        "assisted-service-operator/0.0.1",
        Refused(
            Apply,
            &[
                r#"ServiceAccount "default" in namespace "olm-test-install" exists and is not owned"#,
            ],
        ),
    ),
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
    ("dbaas-operator/0.5.0", Installs),
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
    ("gitlab-operator-kubernetes/2.2.3", Installs),
    (
        "group-sync-operator/0.0.11",
        InstallsOnce(Kinds(&[
            SERVICE_MONITOR,
            ("authorization.openshift.io/v1", "Role", "roles"),
            (
                "authorization.openshift.io/v1",
                "RoleBinding",
                "rolebindings",
            ),
        ])),
    ),
    (
        "group-sync-operator/0.0.29",
        InstallsOnce(Kinds(&[SERVICE_MONITOR])),
    ),
    ("konflux/0.2.2-rc.9", Installs),
    (
        "loki-operator/0.10.0",
        InstallsOnce(Kinds(&[SERVICE_MONITOR])),
    ),
    ("nfs-provisioner-operator/0.0.3", Installs),
    // One of its permissions names no API group.
    (
        "oadp-operator/0.2.3",
        Refused(
            Apply,
            &[
                "rules[3].apiGroups: Required value: resource rules must supply at least one api group",
            ],
        ),
    ),
    (
        "opentelemetry-operator/0.158.0",
        InstallsOnce(Kinds(&[(
            "monitoring.coreos.com/v1",
            "PrometheusRule",
            "prometheusrules",
        )])),
    ),
    ("pelorus-operator/0.0.9", Installs),
    ("percona-server-mongodb-operator/1.18.0", Installs),
    ("prometheus/0.27.0", Installs),
    ("prometheus/0.37.0", Installs),
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
    ("sn-operator/0.19.7", Installs),
    ("strimzi-kafka-operator/0.11.0", Installs),
    (
        "vault-config-operator/0.8.52",
        InstallsOnce(Kinds(&[SERVICE_MONITOR])),
    ),
    ("verticadb-operator/26.2.1-0", Installs),
    ("victoriametrics-operator/0.22.0", Installs),
];

/// An upgrade that is refused.
pub(crate) struct Upgrade {
    /// What would come after the version before.
    pub(crate) bundle: &'static str,
    /// Parts of the reason while it is not said that custom resources may be lost.
    pub(crate) loses: &'static [&'static str],
    /// Parts of the reason of the API server even then; none for an upgrade that works then.
    pub(crate) refused: &'static [&'static str],
}

/// Every upgrade of the data that is not just done.
pub(crate) const UPGRADES: &[Upgrade] = &[
    Upgrade {
        bundle: "group-sync-operator/0.0.29",
        loses: &[
            "existingFieldRemoval: removed field : v1alpha1.^.spec.providers.items.azure.url",
            "v1alpha1: ^.spec.providers.items: required: new required fields : [name]",
        ],
        // The pods of its Deployment have another label: it would have to be removed first.
        refused: &[
            r#"Deployment.apps "group-sync-operator-controller-manager" is invalid: spec.selector"#,
            "field is immutable",
        ],
    },
    // Its schemas became stricter in hundreds of places.
    Upgrade {
        bundle: "prometheus/0.37.0",
        loses: &[
            "existingFieldRemoval: removed field : v1.^.spec.podMetadata.clusterName",
            "to upgrade although custom resources may be lost or refused, set spec.crdUpgradeSafety to None",
        ],
        refused: &[],
    },
];

/// Packages whose bundles have an object in common besides their own package's other versions, or of
/// which one brings what others are to lack.
pub(crate) const SHARING: &[&[&str]] = &[
    &[
        "rabbitmq-messaging-topology-operator",
        "vault-config-operator",
    ],
    &[
        "group-sync-operator",
        "loki-operator",
        "opentelemetry-operator",
        "prometheus",
        "vault-config-operator",
    ],
];
