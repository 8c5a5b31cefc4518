//! Who makes the certificates of the webhooks of a bundle.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt as _};
use olm_api::bundle_deployment::{AppliedBundle, BundleDeployment, Inventory};
use olm_bundle::registry_v1::CertificateProvider;

use super::error::DeploymentError;
use super::{DeploymentReconciler, certificates, inventory};
use crate::args::CertificateChoice;

/// API of cert-manager, and the kinds of it that bundles are rendered to.
const CERT_MANAGER: (&str, &[&str]) = ("cert-manager.io/v1", &["Certificate", "Issuer"]);
/// API by which OpenShift's service CA is configured, which is there where it is.
const SERVICE_CA: (&str, &[&str]) = ("operator.openshift.io/v1", &["ServiceCA"]);

/// Who makes certificates, as
/// [`AppliedBundle::certificate_provider`](olm_api::bundle_deployment::AppliedBundle) records it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    CertManager,
    ServiceCa,
    Own,
}

impl Provider {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::CertManager => "cert-manager",
            Self::ServiceCa => "service-ca",
            Self::Own => "own",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::CertManager, Self::ServiceCa, Self::Own]
            .into_iter()
            .find(|provider| provider.as_str() == text)
    }

    /// The one that is asked for; none for whoever it turns out to be.
    const fn asked_for(choice: CertificateChoice) -> Option<Self> {
        match choice {
            CertificateChoice::Auto => None,
            CertificateChoice::CertManager => Some(Self::CertManager),
            CertificateChoice::ServiceCa => Some(Self::ServiceCa),
            CertificateChoice::Own => Some(Self::Own),
        }
    }
}

impl From<Provider> for CertificateProvider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::CertManager => Self::CertManager,
            Provider::ServiceCa => Self::ServiceCa,
            Provider::Own => Self::Own,
        }
    }
}

impl DeploymentReconciler {
    /// Who makes the certificates of `bundle`: whoever it is recorded to be for it, else the one
    /// that is asked for, else whoever makes those of what is installed, else what the cluster has.
    pub(crate) async fn provider(
        &self,
        object: &BundleDeployment,
        bundle: &AppliedBundle,
    ) -> Result<Provider, DeploymentError> {
        let before = inventory::of(object.status.as_ref());
        if let Some(settled) = settled(self.certificate_provider, bundle, &before) {
            return Ok(settled);
        }
        unsettled(&self.client, &self.system_namespace, &object.name_any())
            .await
            .map_err(DeploymentError::Provider)
    }
}

/// Who it is where nothing is recorded. The record may be lost with the status; the authority of
/// `deployment` is kept elsewhere. What the cluster has decides where there is none.
async fn unsettled(
    client: &Client,
    system_namespace: &str,
    deployment: &str,
) -> Result<Provider, kube::Error> {
    let name = certificates::authority_name(deployment);
    let secrets: Api<Secret> = Api::namespaced(client.clone(), system_namespace);
    let found = secrets.get_opt(&name).await?;
    if found.is_some_and(|secret| certificates::is_authority_of(&secret, deployment)) {
        return Ok(Provider::Own);
    }
    detect(client).await
}

/// What is decided already.
fn settled(
    choice: CertificateChoice,
    bundle: &AppliedBundle,
    before: &Inventory,
) -> Option<Provider> {
    let recorded = |bundle: &AppliedBundle| {
        bundle
            .certificate_provider
            .as_deref()
            .and_then(Provider::parse)
    };
    recorded(bundle)
        .or_else(|| Provider::asked_for(choice))
        .or_else(|| before.applying.as_ref().and_then(recorded))
        .or_else(|| before.installed.as_ref().and_then(recorded))
        .or_else(|| {
            let is_issued = before.objects.iter().any(|object| {
                object.kind == "Certificate"
                    && CERT_MANAGER.0.split('/').next() == Some(&object.group)
            });
            is_issued.then_some(Provider::CertManager)
        })
}

/// What the cluster has.
async fn detect(client: &Client) -> Result<Provider, kube::Error> {
    for (api, provider) in [
        (CERT_MANAGER, Provider::CertManager),
        (SERVICE_CA, Provider::ServiceCa),
    ] {
        if serves(client, api).await? {
            return Ok(provider);
        }
    }
    Ok(Provider::Own)
}

async fn serves(client: &Client, (version, kinds): (&str, &[&str])) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(version).await {
        Ok(list) => Ok(kinds
            .iter()
            .all(|kind| list.resources.iter().any(|resource| resource.kind == *kind))),
        // A group that nobody serves is answered without a status.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use axum::http::{Request, Response, StatusCode};
    use kube::client::Body;
    use olm_api::bundle_deployment::InventoryObject;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    /// An API server with this Secret, and with the kinds of these group versions.
    fn cluster(secret: Option<Value>, serves: &'static [(&'static str, &'static str)]) -> Client {
        let service = tower::service_fn(move |request: Request<Body>| {
            let path = request.uri().path();
            let answer = if path.starts_with("/api/v1/namespaces/olm-system/secrets/") {
                secret.clone()
            } else {
                let version = path.trim_start_matches("/apis/");
                let kinds: Vec<Value> = serves
                    .iter()
                    .filter(|(known, _)| *known == version)
                    .map(|(_, kind)| {
                        json!({"kind": kind, "name": kind.to_lowercase(), "singularName": "",
                               "namespaced": true, "verbs": []})
                    })
                    .collect();
                (!kinds.is_empty()).then(|| {
                    json!({"kind": "APIResourceList", "groupVersion": version, "resources": kinds})
                })
            };
            let (status, body) = match answer {
                Some(body) => (StatusCode::OK, body),
                None => (
                    StatusCode::NOT_FOUND,
                    json!({"kind": "Status", "status": "Failure", "reason": "NotFound",
                           "message": "not found", "code": 404}),
                ),
            };
            async move {
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                let answer = Response::builder().status(status).body(body);
                Ok::<_, std::convert::Infallible>(answer.unwrap())
            }
        });
        Client::new(service, "default")
    }

    const ISSUED: (&str, &str) = ("cert-manager.io/v1", "Certificate");
    const ISSUER: (&str, &str) = ("cert-manager.io/v1", "Issuer");
    const SERVICE: (&str, &str) = ("operator.openshift.io/v1", "ServiceCA");

    #[rstest]
    #[case::bare(None, &[], Provider::Own)]
    #[case::cert_manager(None, &[ISSUED, ISSUER], Provider::CertManager)]
    #[case::half_of_it(None, &[ISSUED], Provider::Own)]
    #[case::service_ca(None, &[SERVICE], Provider::ServiceCa)]
    #[case::both(None, &[SERVICE, ISSUED, ISSUER], Provider::CertManager)]
    #[case::own_authority(Some("a"), &[SERVICE, ISSUED, ISSUER], Provider::Own)]
    #[case::authority_of_another(Some("b"), &[ISSUED, ISSUER], Provider::CertManager)]
    #[case::secret_of_another(Some(""), &[SERVICE], Provider::ServiceCa)]
    #[tokio::test]
    async fn only_the_own_authority_tells_that_it_is_installed(
        #[case] owner: Option<&str>,
        #[case] serves: &'static [(&'static str, &'static str)],
        #[case] expected: Provider,
    ) {
        let secret = owner.map(|owner| {
            let labels = match owner {
                "" => json!({}),
                owner => json!({"core.rukpak.io/owner-kind": "BundleDeployment",
                                "core.rukpak.io/owner-name": owner}),
            };
            json!({"metadata": {"name": "a-webhook-ca", "labels": labels}})
        });
        let found = unsettled(&cluster(secret, serves), "olm-system", "a").await;
        assert_eq!(found.unwrap(), expected);
    }

    fn applied(provider: Option<&str>) -> AppliedBundle {
        AppliedBundle {
            certificate_provider: provider.map(str::to_owned),
            ..AppliedBundle::default()
        }
    }

    #[rstest]
    #[case::nothing_is_known(CertificateChoice::Auto, None, None, None, None)]
    #[case::asked_for(CertificateChoice::ServiceCa, None, None, None, Some("service-ca"))]
    #[case::installed(CertificateChoice::Auto, None, None, Some("own"), Some("own"))]
    #[case::switched(
        CertificateChoice::CertManager,
        None,
        None,
        Some("own"),
        Some("cert-manager")
    )]
    #[case::repaired(CertificateChoice::CertManager, Some("own"), None, None, Some("own"))]
    #[case::begun(
        CertificateChoice::Auto,
        None,
        Some("cert-manager"),
        Some("own"),
        Some("cert-manager")
    )]
    #[case::unheard_of(CertificateChoice::Auto, None, None, Some("vault"), None)]
    fn auto_never_switches_what_is_installed(
        #[case] choice: CertificateChoice,
        #[case] bundle: Option<&str>,
        #[case] applying: Option<&str>,
        #[case] installed: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let before = Inventory {
            applying: applying.map(|provider| applied(Some(provider))),
            installed: installed.map(|provider| applied(Some(provider))),
            ..Inventory::default()
        };
        let found = settled(choice, &applied(bundle), &before);
        assert_eq!(found.map(Provider::as_str), expected);
    }

    #[test]
    fn a_certificate_in_a_rebuilt_inventory_tells_who_made_it() {
        let before = Inventory {
            objects: vec![InventoryObject {
                group: "cert-manager.io".into(),
                version: "v1".into(),
                kind: "Certificate".into(),
                ..InventoryObject::default()
            }],
            ..Inventory::default()
        };
        let found = settled(CertificateChoice::Auto, &applied(None), &before);
        assert_eq!(found, Some(Provider::CertManager));
    }
}
