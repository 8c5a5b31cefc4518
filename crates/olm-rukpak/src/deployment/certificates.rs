//! Certificates of the webhooks of installed bundles, made by the suite itself.
//!
//! Each BundleDeployment has an authority of its own, in a Secret of the suite's namespace, where
//! the bundle's workload cannot read it. The leaf of each webhook Service is a Secret in the install
//! namespace and an object of the installation like any other: owned, repaired, removed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use olm_api::labels::{OWNER_KIND, OWNER_KIND_BUNDLE_DEPLOYMENT, OWNER_NAME};
use olm_bundle::registry_v1::{CaTarget, CaTargetKind, WebhookCertificate};
use olm_runtime::certificates::{
    CA_LIFETIME, IssueError, KeyPair, LEAF_LIFETIME, inspect, issue_ca, issue_leaf, needs_renewal,
};
use serde_json::{Value, json};

const CA_CERTIFICATE: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const LEAF_CERTIFICATE: &str = "tls.crt";
const LEAF_KEY: &str = "tls.key";

/// Least time between two looks at certificates.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// Longest time between two looks at certificates, against clocks that jump.
const LOOK_AT_LEAST: Duration = Duration::from_hours(12);

/// What [`AppliedBundle::certificate_provider`](olm_api::bundle_deployment::AppliedBundle) says of
/// certificates that are made here.
pub(crate) const PROVIDER: &str = "own";

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
}

/// Name of the Secret with the authority of a BundleDeployment.
pub(crate) fn authority_name(deployment: &str) -> String {
    format!("{deployment}-webhook-ca")
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
    let mut next = renewal(&authority.certificate, now);
    for certificate in wanted {
        let api: Api<Secret> = Api::namespaced(client.clone(), &certificate.namespace);
        let failed = |source| CertificateError::Api {
            operation: "read",
            namespace: certificate.namespace.clone(),
            name: certificate.secret.clone(),
            source,
        };
        let found = api.get_opt(&certificate.secret).await.map_err(failed)?;
        let pair = match found.and_then(|secret| reusable(&secret, certificate, &authority, now)) {
            Some(pair) => pair,
            None => issue_leaf(&authority, &certificate.dns_names, now, LEAF_LIFETIME).map_err(
                |source| CertificateError::Issue {
                    service: certificate.service.clone(),
                    source,
                },
            )?,
        };
        next = next.min(renewal(&pair.certificate, now));
        objects.push(leaf_secret(certificate, &pair, &authority));
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
    let is_ours = secret
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(OWNER_NAME))
        .is_some_and(|owner| owner == deployment);
    if !is_ours {
        return Ok(());
    }
    match api.delete(&name, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(source) => Err(failed("delete")(source)),
    }
}

/// Reads the authority, or makes it where there is none, it is damaged or it is old.
async fn authority(
    client: &Client,
    namespace: &str,
    deployment: &str,
    now: Timestamp,
) -> Result<KeyPair, CertificateError> {
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
    if let Some(pair) = found
        .as_ref()
        .and_then(|secret| pair(secret, CA_CERTIFICATE, CA_KEY))
        && !needs_renewal(&pair.certificate, now)
    {
        return Ok(pair);
    }
    let made = issue_ca(&name, now, CA_LIFETIME).map_err(|source| CertificateError::Issue {
        service: name.clone(),
        source,
    })?;
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
        data: Some(data([
            (CA_CERTIFICATE, &made.certificate),
            (CA_KEY, &made.key),
        ])),
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

/// The leaf in a Secret, if it is for these names, of this authority and young.
fn reusable(
    secret: &Secret,
    wanted: &WebhookCertificate,
    authority: &KeyPair,
    now: Timestamp,
) -> Option<KeyPair> {
    let leaf = pair(secret, LEAF_CERTIFICATE, LEAF_KEY)?;
    let names: BTreeSet<String> = wanted.dns_names.iter().cloned().collect();
    let is_of_authority = text(secret, CA_CERTIFICATE)? == authority.certificate;
    let is_for_names = inspect(&leaf.certificate).ok()?.names == names;
    let fits = is_of_authority && is_for_names && !needs_renewal(&leaf.certificate, now);
    fits.then_some(leaf)
}

fn leaf_secret(wanted: &WebhookCertificate, leaf: &KeyPair, authority: &KeyPair) -> Value {
    let bytes = |text: &str| json!(ByteString(text.as_bytes().to_vec()));
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": wanted.secret, "namespace": wanted.namespace},
        "data": {
            CA_CERTIFICATE: bytes(&authority.certificate),
            LEAF_CERTIFICATE: bytes(&leaf.certificate),
            LEAF_KEY: bytes(&leaf.key),
        },
    })
}

/// Writes the authority into the objects that call the webhooks.
fn trust(objects: &mut [Value], targets: &[CaTarget], authority: &KeyPair) {
    let bundle = json!(ByteString(authority.certificate.as_bytes().to_vec()));
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

/// Time until two thirds of the certificate's life are over, within the limits of looking again.
fn renewal(certificate: &str, now: Timestamp) -> Duration {
    let Ok(facts) = inspect(certificate) else {
        return LOOK_AGAIN;
    };
    let life = facts.not_after.duration_since(facts.not_before);
    let left = life * 2 / 3 - now.duration_since(facts.not_before);
    let left = left.max(SignedDuration::ZERO).unsigned_abs();
    left.clamp(LOOK_AGAIN, LOOK_AT_LEAST)
}

fn pair(secret: &Secret, certificate: &str, key: &str) -> Option<KeyPair> {
    let certificate = text(secret, certificate)?;
    inspect(&certificate).ok()?;
    Some(KeyPair {
        certificate,
        key: text(secret, key)?,
    })
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

fn data<const N: usize>(
    entries: [(&str, &str); N],
) -> std::collections::BTreeMap<String, ByteString> {
    entries
        .into_iter()
        .map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn days(count: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * count)
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

    fn made() -> (KeyPair, Secret) {
        let authority = issue_ca("a-webhook-ca", now(), CA_LIFETIME).unwrap();
        let wanted = wanted();
        let leaf = issue_leaf(&authority, &wanted.dns_names, now(), LEAF_LIFETIME).unwrap();
        let secret = serde_json::from_value(leaf_secret(&wanted, &leaf, &authority)).unwrap();
        (authority, secret)
    }

    #[test]
    fn a_leaf_is_used_until_two_thirds_of_its_life_are_over() {
        let (authority, secret) = made();
        assert!(reusable(&secret, &wanted(), &authority, now() + days(59)).is_some());
        assert!(reusable(&secret, &wanted(), &authority, now() + days(61)).is_none());
    }

    #[test]
    fn a_leaf_of_another_authority_or_for_other_names_is_not_used() {
        let (authority, secret) = made();
        let other = issue_ca("a-webhook-ca", now(), CA_LIFETIME).unwrap();
        assert!(reusable(&secret, &wanted(), &other, now()).is_none());
        let moved = WebhookCertificate {
            dns_names: vec!["b.a.svc".to_owned()],
            ..wanted()
        };
        assert!(reusable(&secret, &moved, &authority, now()).is_none());
        let damaged = Secret::default();
        assert!(reusable(&damaged, &wanted(), &authority, now()).is_none());
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
        let (_, secret) = made();
        let certificate = text(&secret, LEAF_CERTIFICATE).unwrap();
        assert_eq!(renewal(&certificate, now()), LOOK_AT_LEAST);
        assert_eq!(renewal(&certificate, now() + days(80)), LOOK_AGAIN);
        assert_eq!(renewal("damaged", now()), LOOK_AGAIN);
    }
}
