//! Certificates of the webhooks of installed bundles, made by the suite itself.
//!
//! Each BundleDeployment has an authority of its own, in a Secret of the suite's namespace, where
//! the bundle's workload cannot read it. The leaf of each webhook Service is a Secret in the install
//! namespace and an object of the installation like any other: owned, repaired, removed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use olm_api::labels::{OWNER_KIND, OWNER_KIND_BUNDLE_DEPLOYMENT, OWNER_NAME};
use olm_bundle::registry_v1::{CaTarget, CaTargetKind, WebhookCertificate};
use olm_runtime::certificates::{
    Authority, CA_CERTIFICATE, IssueError, KeyPair, read_leaf, renewal_in, write_leaf,
};
use serde_json::{Value, json};

/// Least time between two looks at certificates.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Longest time between two looks at certificates, against clocks that jump.
const LOOK_AT_LEAST: Duration = Duration::from_hours(12);

/// Why certificates cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CertificateError {
    /// The API server refuses or is away.
    #[error("cannot {operation} Secret `{namespace}/{name}`")]
    Api {
        /// What was attempted.
        operation: &'static str,
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make the certificate of Service `{service}`")]
    Issue {
        /// Name of the Service.
        service: String,
        /// Why not.
        source: IssueError,
    },
    /// The Secret that the authority would be kept in is somebody else's.
    #[error(
        "Secret `{namespace}/{name}` is not this BundleDeployment's, and the authority of its \
         webhooks would be kept there: delete or rename that Secret, or give the BundleDeployment \
         another name"
    )]
    Foreign {
        /// Namespace of the Secret.
        namespace: String,
        /// Name of the Secret.
        name: String,
    },
}

/// Name of the Secret with the authority of a BundleDeployment.
pub(crate) fn authority_name(deployment: &str) -> String {
    format!("{deployment}-webhook-ca")
}

/// Whether a Secret with the name of an authority is that of this BundleDeployment: only then it is
/// believed, written or removed.
pub(crate) fn is_authority_of(secret: &Secret, deployment: &str) -> bool {
    let label = |key| secret.metadata.labels.as_ref()?.get(key);
    label(OWNER_KIND).is_some_and(|kind| kind == OWNER_KIND_BUNDLE_DEPLOYMENT)
        && label(OWNER_NAME).is_some_and(|name| name == deployment)
}

/// Sees to it that there is a certificate for each of `wanted`: adds the Secrets to `objects`, and
/// writes the authority into those of them that must know it. Returns when to look again; nothing
/// where nothing is wanted.
///
/// Certificates that are in place and young are used again, so that the same bundle gives the same
/// objects; the workload reads a new one from its volume without being restarted.
///
/// # Errors
///
/// [`CertificateError`].
pub(crate) async fn add(
    client: &Client,
    system_namespace: &str,
    deployment: &str,
    wanted: &[WebhookCertificate],
    objects: &mut Vec<Value>,
    now: Timestamp,
) -> Result<Option<Duration>, CertificateError> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let authority = authority(client, system_namespace, deployment, now).await?;
    let mut next = look_again(authority.certificate(), now);
    for certificate in wanted {
        let api: Api<Secret> = Api::namespaced(client.clone(), &certificate.namespace);
        let failed = |source| CertificateError::Api {
            operation: "read",
            namespace: certificate.namespace.clone(),
            name: certificate.secret.clone(),
            source,
        };
        let found = api.get_opt(&certificate.secret).await.map_err(failed)?;
        let in_place = found
            .and_then(|secret| read_leaf(secret.data.as_ref()?))
            .filter(|leaf| authority.keeps(leaf, &certificate.dns_names, now));
        let leaf = match in_place {
            Some(leaf) => leaf,
            None => authority
                .issue_leaf(&certificate.dns_names, now)
                .map_err(|source| CertificateError::Issue {
                    service: certificate.service.clone(),
                    source,
                })?,
        };
        next = next.min(look_again(&leaf.certificate, now));
        objects.push(leaf_secret(certificate, &leaf, &authority));
        trust(objects, &certificate.ca_targets, &authority);
    }
    Ok(Some(next))
}

/// Removes the authority of a BundleDeployment; none is fine.
///
/// # Errors
///
/// [`CertificateError::Api`].
pub(crate) async fn remove_authority(
    client: &Client,
    system_namespace: &str,
    deployment: &str,
) -> Result<(), CertificateError> {
    let name = authority_name(deployment);
    let api: Api<Secret> = Api::namespaced(client.clone(), system_namespace);
    let failed = |operation| {
        let (namespace, name) = (system_namespace.to_owned(), name.clone());
        move |source| CertificateError::Api {
            operation,
            namespace,
            name,
            source,
        }
    };
    let Some(secret) = api.get_opt(&name).await.map_err(failed("read"))? else {
        return Ok(());
    };
    if !is_authority_of(&secret, deployment) {
        return Ok(());
    }
    match api.delete(&name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(source) => Err(failed("delete")(source)),
    }
}

/// Reads the authority; makes it where there is none or it is damaged, renews it where it is old.
/// A Secret of somebody else is refused and not touched.
async fn authority(
    client: &Client,
    namespace: &str,
    deployment: &str,
    now: Timestamp,
) -> Result<Authority, CertificateError> {
    let name = authority_name(deployment);
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |operation| {
        let (namespace, name) = (namespace.to_owned(), name.clone());
        move |source| CertificateError::Api {
            operation,
            namespace,
            name,
            source,
        }
    };
    let found = api.get_opt(&name).await.map_err(failed("read"))?;
    if let Some(secret) = &found
        && !is_authority_of(secret, deployment)
    {
        return Err(CertificateError::Foreign {
            namespace: namespace.to_owned(),
            name,
        });
    }
    let held = found
        .as_ref()
        .and_then(|secret| Authority::read(secret.data.as_ref()?));
    let unissued = |source| CertificateError::Issue {
        service: name.clone(),
        source,
    };
    let made = match held {
        None => Authority::issue(&name, now).map_err(unissued)?,
        Some(held) => match held.renew(&name, now).map_err(unissued)? {
            None => return Ok(held),
            Some(renewed) => renewed,
        },
    };
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(namespace.to_owned()),
            labels: Some(
                [
                    (
                        OWNER_KIND.to_owned(),
                        OWNER_KIND_BUNDLE_DEPLOYMENT.to_owned(),
                    ),
                    (OWNER_NAME.to_owned(), deployment.to_owned()),
                ]
                .into(),
            ),
            // A replacement fails where somebody else was faster.
            resource_version: found
                .as_ref()
                .and_then(|old| old.metadata.resource_version.clone()),
            ..ObjectMeta::default()
        },
        data: Some(made.write()),
        ..Secret::default()
    };
    let parameters = PostParams::default();
    match found {
        None => api
            .create(&parameters, &secret)
            .await
            .map_err(failed("create"))?,
        Some(_) => api
            .replace(&name, &parameters, &secret)
            .await
            .map_err(failed("replace"))?,
    };
    Ok(made)
}

fn leaf_secret(wanted: &WebhookCertificate, leaf: &KeyPair, authority: &Authority) -> Value {
    let mut data = write_leaf(leaf);
    let bundle = ByteString(authority.bundle().into_bytes());
    data.insert(CA_CERTIFICATE.to_owned(), bundle);
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": wanted.secret, "namespace": wanted.namespace},
        "data": data,
    })
}

/// Writes the authority into the objects that call the webhooks.
fn trust(objects: &mut [Value], targets: &[CaTarget], authority: &Authority) {
    let bundle = json!(ByteString(authority.bundle().into_bytes()));
    for object in objects {
        let found = targets.iter().find(|target| {
            object["kind"] == target.kind.as_str()
                && object["metadata"]["name"] == target.name.as_str()
        });
        let Some(target) = found else { continue };
        match target.kind {
            CaTargetKind::ValidatingWebhookConfiguration
            | CaTargetKind::MutatingWebhookConfiguration => {
                for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
                    webhook["clientConfig"]["caBundle"] = bundle.clone();
                }
            }
            CaTargetKind::CustomResourceDefinition => {
                object["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] =
                    bundle.clone();
            }
            _ => {}
        }
    }
}

/// Time until the certificate is due, within the limits of looking again.
fn look_again(certificate: &str, now: Timestamp) -> Duration {
    renewal_in(certificate, now)
        .unwrap_or(LOOK_AGAIN)
        .clamp(LOOK_AGAIN, LOOK_AT_LEAST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::{Arc, Mutex};

    use axum::http::{Method, Request, Response, StatusCode};
    use kube::client::Body;
    use rstest::rstest;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn wanted() -> WebhookCertificate {
        WebhookCertificate {
            service: "a-service".to_owned(),
            secret: "a-service-cert".to_owned(),
            namespace: "a".to_owned(),
            dns_names: vec!["a-service.a".to_owned(), "a-service.a.svc".to_owned()],
            ca_targets: vec![CaTarget {
                kind: CaTargetKind::ValidatingWebhookConfiguration,
                name: "check".to_owned(),
            }],
        }
    }

    fn made() -> (Authority, KeyPair) {
        let authority = Authority::issue("a-webhook-ca", now()).unwrap();
        let leaf = authority.issue_leaf(&wanted().dns_names, now()).unwrap();
        (authority, leaf)
    }

    /// An API server with this Secret, and what it is asked to do.
    fn serving(secret: Secret) -> (Client, Arc<Mutex<Vec<Method>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let service = tower::service_fn(move |request: Request<Body>| {
            log.lock().unwrap().push(request.method().clone());
            let body = Body::from(serde_json::to_vec(&secret).unwrap());
            async move {
                let answer = Response::builder().status(StatusCode::OK).body(body);
                Ok::<_, std::convert::Infallible>(answer.unwrap())
            }
        });
        (Client::new(service, "default"), asked)
    }

    /// A sound authority in a Secret with these labels.
    fn kept(labels: &Value) -> Secret {
        let (authority, _) = made();
        serde_json::from_value(json!({
            "metadata": {"name": "a-webhook-ca", "namespace": "olm-system", "labels": labels},
            "data": authority.write(),
        }))
        .unwrap()
    }

    #[rstest]
    #[case::nobody(json!({}))]
    #[case::name_alone(json!({OWNER_NAME: "a"}))]
    #[case::another_kind(json!({OWNER_KIND: "Operator", OWNER_NAME: "a"}))]
    #[case::another(json!({OWNER_KIND: "BundleDeployment", OWNER_NAME: "b"}))]
    #[tokio::test]
    async fn an_authority_of_somebody_else_is_refused_and_never_touched(#[case] labels: Value) {
        let (client, asked) = serving(kept(&labels));
        let outcome = authority(&client, "olm-system", "a", now()).await;
        assert_eq!(
            outcome.unwrap_err().to_string(),
            "Secret `olm-system/a-webhook-ca` is not this BundleDeployment's, and the authority of \
             its webhooks would be kept there: delete or rename that Secret, or give the \
             BundleDeployment another name"
        );
        remove_authority(&client, "olm-system", "a").await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [Method::GET, Method::GET]);
    }

    #[tokio::test]
    async fn the_own_authority_is_used_as_it_is() {
        let secret = kept(&json!({OWNER_KIND: "BundleDeployment", OWNER_NAME: "a"}));
        let held = Authority::read(secret.data.as_ref().unwrap());
        let (client, asked) = serving(secret);
        let found = authority(&client, "olm-system", "a", now()).await;
        assert_eq!(found.ok(), held);
        assert_eq!(*asked.lock().unwrap(), [Method::GET]);
    }

    #[test]
    fn the_secret_of_a_leaf_has_all_that_a_webhook_server_reads() {
        let (authority, leaf) = made();
        let secret = leaf_secret(&wanted(), &leaf, &authority);
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let data = secret.data.unwrap();
        assert_eq!(read_leaf(&data), Some(leaf));
        assert_eq!(data["ca.crt"].0, authority.bundle().into_bytes());
    }

    #[test]
    fn only_the_configurations_of_the_service_learn_of_the_authority() {
        let (authority, _) = made();
        let configuration = |name: &str| {
            json!({"kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
                   "webhooks": [{"clientConfig": {}}]})
        };
        let mut objects = [configuration("check"), configuration("other")];
        trust(&mut objects, &wanted().ca_targets, &authority);
        assert!(objects[0]["webhooks"][0]["clientConfig"]["caBundle"].is_string());
        assert_eq!(objects[1], configuration("other"));
    }

    #[test]
    fn the_next_look_is_never_far_away() {
        let (_, leaf) = made();
        let certificate = leaf.certificate;
        assert_eq!(look_again(&certificate, now()), LOOK_AT_LEAST);
        let later = now() + jiff::SignedDuration::from_hours(24 * 80);
        assert_eq!(look_again(&certificate, later), LOOK_AGAIN);
        assert_eq!(look_again("damaged", now()), LOOK_AGAIN);
    }
}
