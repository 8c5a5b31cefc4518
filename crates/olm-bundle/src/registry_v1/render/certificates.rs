//! Serving certificates of webhooks: who makes them and who is told.

use serde_json::{Value, json};

use super::objects::Objects;
use super::{RenderError, Scene, webhooks};
use crate::registry_v1::csv::WebhookKind;
use crate::registry_v1::names;

/// Key of the certificate chain in a certificate's Secret.
pub(super) const CERTIFICATE_KEY: &str = "tls.crt";
/// Key of the private key in a certificate's Secret.
pub(super) const PRIVATE_KEY_KEY: &str = "tls.key";

const CERT_MANAGER: &str = "cert-manager.io/v1";

/// Who makes the certificates of an operator's webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CertificateProvider {
    /// Nobody: Deployments stay as shipped and no webhook is trusted until somebody else writes
    /// its `caBundle`.
    #[default]
    None,
    /// cert-manager: an Issuer and a Certificate per Deployment are rendered, and cert-manager
    /// writes `caBundle`.
    CertManager,
    /// The service CA of OpenShift, asked by annotations.
    ServiceCa,
    /// The caller: it makes what [`Rendered::certificates`](super::Rendered::certificates)
    /// lists.
    Own,
}

impl CertificateProvider {
    /// Whether Deployments get their certificates from Secrets of a known name.
    pub(super) const fn mounts_secrets(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// A certificate that the caller has to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookCertificate {
    /// Name of the Service that is called under the certificate.
    pub service: String,
    /// Name of the Secret, of type `kubernetes.io/tls`, that the Deployment mounts: keys
    /// `tls.crt` and `tls.key`.
    pub secret: String,
    /// Namespace of both.
    pub namespace: String,
    /// The names the certificate is for.
    pub dns_names: Vec<String>,
    /// The objects into which the CA certificate must be written.
    pub ca_targets: Vec<CaTarget>,
}

/// An object whose `caBundle` must be written: in each webhook of a configuration, in
/// `spec.conversion.webhook.clientConfig` of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaTarget {
    /// Kind of the object.
    pub kind: CaTargetKind,
    /// Name of the object; all kinds are cluster-scoped.
    pub name: String,
}

/// Kinds of objects that hold a `caBundle`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum CaTargetKind {
    /// `ValidatingWebhookConfiguration` of `admissionregistration.k8s.io/v1`.
    ValidatingWebhookConfiguration,
    /// `MutatingWebhookConfiguration` of `admissionregistration.k8s.io/v1`.
    MutatingWebhookConfiguration,
    /// `CustomResourceDefinition` of `apiextensions.k8s.io/v1`.
    CustomResourceDefinition,
}

impl CaTargetKind {
    /// The kind as the API spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ValidatingWebhookConfiguration => "ValidatingWebhookConfiguration",
            Self::MutatingWebhookConfiguration => "MutatingWebhookConfiguration",
            Self::CustomResourceDefinition => "CustomResourceDefinition",
        }
    }

    /// API version of the kind.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ValidatingWebhookConfiguration | Self::MutatingWebhookConfiguration => {
                "admissionregistration.k8s.io/v1"
            }
            Self::CustomResourceDefinition => "apiextensions.k8s.io/v1",
        }
    }
}

/// Asks the provider to write the CA certificate of a Service's certificate into `object`.
pub(super) fn annotate_ca(scene: &Scene<'_>, service: &str, object: &mut Value) {
    let (key, value) = match scene.certificates {
        CertificateProvider::None | CertificateProvider::Own => return,
        CertificateProvider::CertManager => (
            "cert-manager.io/inject-ca-from",
            format!("{}/{}", scene.namespace, names::certificate(service)),
        ),
        CertificateProvider::ServiceCa => (
            "service.beta.openshift.io/inject-cabundle",
            "true".to_owned(),
        ),
    };
    object["metadata"]["annotations"][key] = Value::String(value);
}

/// Asks the provider to make a certificate for a Service.
pub(super) fn annotate_service(scene: &Scene<'_>, service: &str, object: &mut Value) {
    if scene.certificates == CertificateProvider::ServiceCa {
        object["metadata"]["annotations"]["service.beta.openshift.io/serving-cert-secret-name"] =
            Value::String(names::certificate(service));
    }
}

/// Objects by which cert-manager makes the certificates, by name of the certificate.
pub(super) fn objects(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    if scene.certificates != CertificateProvider::CertManager {
        return Ok(());
    }
    let mut services: Vec<String> = webhooks::served(scene)
        .map(|served| served.service)
        .collect();
    services.sort_unstable();
    for service in services {
        let certificate = names::certificate(&service);
        let issuer = names::issuer(&certificate);
        objects.insert(
            json!({
                "apiVersion": CERT_MANAGER,
                "kind": "Issuer",
                "metadata": {"name": issuer, "namespace": scene.namespace},
                "spec": {"selfSigned": {}},
            }),
            format!("the Issuer of Service `{service}`"),
        )?;
        objects.insert(
            json!({
                "apiVersion": CERT_MANAGER,
                "kind": "Certificate",
                "metadata": {"name": certificate, "namespace": scene.namespace},
                "spec": {
                    "secretName": certificate,
                    "commonName": format!("{service}.{}", scene.namespace),
                    "dnsNames": dns_names(scene, &service),
                    "usages": ["server auth"],
                    "issuerRef": {"name": issuer},
                    "duration": "17520h0m0s",
                    "renewBefore": "24h0m0s",
                },
            }),
            format!("the Certificate of Service `{service}`"),
        )?;
    }
    Ok(())
}

fn dns_names(scene: &Scene<'_>, service: &str) -> Vec<String> {
    ["", ".svc", ".svc.cluster.local"]
        .iter()
        .map(|suffix| format!("{service}.{}{suffix}", scene.namespace))
        .collect()
}

/// The certificates that the caller has to make.
pub(super) fn wanted(scene: &Scene<'_>) -> Vec<WebhookCertificate> {
    if scene.certificates != CertificateProvider::Own {
        return Vec::new();
    }
    let mut certificates: Vec<WebhookCertificate> = webhooks::served(scene)
        .map(|served| {
            let mut ca_targets: Vec<CaTarget> = served
                .webhooks
                .iter()
                .flat_map(|webhook| {
                    let target = |kind, name: &str| CaTarget {
                        kind,
                        name: name.to_owned(),
                    };
                    let name = webhooks::configuration_name(webhook);
                    match webhook.kind() {
                        WebhookKind::Validating => {
                            vec![target(CaTargetKind::ValidatingWebhookConfiguration, name)]
                        }
                        WebhookKind::Mutating => {
                            vec![target(CaTargetKind::MutatingWebhookConfiguration, name)]
                        }
                        WebhookKind::Conversion => webhook
                            .conversion_crds
                            .iter()
                            .map(|crd| target(CaTargetKind::CustomResourceDefinition, crd))
                            .collect(),
                        WebhookKind::Unknown => Vec::new(),
                    }
                })
                .collect();
            ca_targets.sort_unstable();
            WebhookCertificate {
                secret: names::certificate(&served.service),
                namespace: scene.namespace.to_owned(),
                dns_names: dns_names(scene, &served.service),
                service: served.service,
                ca_targets,
            }
        })
        .collect();
    certificates.sort_by(|left, right| left.service.cmp(&right.service));
    certificates
}
