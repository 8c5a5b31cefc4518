//! Secrets that a Bundle may name for a git or web server.
//!
//! A Bundle names a Secret of the suite's namespace and a host to send it to, so who may create
//! Bundles could have any Secret sent to a host of theirs. Only Secrets that are made for this can be
//! named: those of the two types for it, others only with a label; and each may be bound to hosts.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt as _};
use olm_api::annotations::ALLOWED_HOSTS;
use olm_api::labels::SOURCE_SECRET;
use olm_runtime::allowed_hosts::allows;
use olm_source::git::SshAccess;
use olm_source::{BasicCredentials, Endpoint};

const BASIC: &str = "kubernetes.io/basic-auth";
const SSH: &str = "kubernetes.io/ssh-auth";
const OPAQUE: &str = "Opaque";

const USERNAME: &str = "username";
const PASSWORD: &str = "password";
const AUTHORITIES: &str = "ca.crt";
const PRIVATE_KEY: &str = "ssh-privatekey";
const KNOWN_HOSTS: &str = "ssh-knownhosts";

/// Why a Secret cannot be used. No text holds a part of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SecretError {
    /// It cannot be read, or is not there.
    #[error("cannot read secret `{secret}`")]
    Read {
        /// Namespace and name.
        secret: String,
        /// What the client found.
        source: kube::Error,
    },
    /// Bundles may not name it.
    #[error(
        "secret `{secret}` is of type `{kind}`, wanted `{wanted}`, or `Opaque` with the label \
         `core.rukpak.io/source-secret: \"true\"`"
    )]
    Kind {
        /// Namespace and name.
        secret: String,
        /// Its type.
        kind: String,
        /// The type for this server.
        wanted: &'static str,
    },
    /// It is bound to other hosts.
    #[error(
        "secret `{secret}` is not for the host `{host}`: its annotation `{ALLOWED_HOSTS}` lacks it"
    )]
    Host {
        /// Namespace and name.
        secret: String,
        /// The host of the source.
        host: String,
    },
    /// It has nothing for this server.
    #[error("secret `{secret}` has no key `{key}`")]
    Key {
        /// Namespace and name.
        secret: String,
        /// A key that it should have.
        key: &'static str,
    },
}

impl SecretError {
    /// Whether nothing can help but a change of the Secret, which is watched.
    pub(crate) fn is_terminal(&self) -> bool {
        match self {
            Self::Read { source, .. } => is_missing(source),
            Self::Kind { .. } | Self::Host { .. } | Self::Key { .. } => true,
        }
    }
}

/// Whether there is no such object.
pub(crate) fn is_missing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found())
}

/// A Secret that may be used for a server.
pub(crate) struct SourceSecret(Secret);

impl SourceSecret {
    /// Reads the Secret `name` of `namespace` for a server.
    ///
    /// Needs `get` on the Secret.
    pub(crate) async fn read(
        client: &Client,
        namespace: &str,
        name: &str,
        endpoint: &Endpoint,
    ) -> Result<Self, SecretError> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let shown = format!("{namespace}/{name}");
        let secret = secrets
            .get(name)
            .await
            .map_err(|source| SecretError::Read {
                secret: shown.clone(),
                source,
            })?;
        Self::judge(secret, shown, endpoint)
    }

    fn judge(secret: Secret, shown: String, endpoint: &Endpoint) -> Result<Self, SecretError> {
        let wanted = if endpoint.is_ssh { SSH } else { BASIC };
        let kind = secret.type_.as_deref().unwrap_or(OPAQUE);
        let is_released = secret.labels().get(SOURCE_SECRET).map(String::as_str) == Some("true");
        if kind != wanted && !(kind == OPAQUE && is_released) {
            return Err(SecretError::Kind {
                secret: shown,
                kind: kind.to_owned(),
                wanted,
            });
        }
        let hosts = secret.annotations().get(ALLOWED_HOSTS);
        if hosts.is_some_and(|hosts| !allows(hosts, &endpoint.host, endpoint.port)) {
            return Err(SecretError::Host {
                secret: shown,
                host: endpoint.host.clone(),
            });
        }
        let this = Self(secret);
        let key = if endpoint.is_ssh {
            PRIVATE_KEY
        } else {
            PASSWORD
        };
        let has_something =
            this.value(key).is_some() || (!endpoint.is_ssh && this.authorities().is_some());
        if has_something {
            Ok(this)
        } else {
            Err(SecretError::Key { secret: shown, key })
        }
    }

    fn value(&self, key: &str) -> Option<Vec<u8>> {
        let value = self.0.data.as_ref()?.get(key)?;
        Some(value.0.clone())
    }

    /// User and password, if it has a password. Servers of tokens take any user, also none.
    pub(crate) fn basic(&self) -> Option<BasicCredentials> {
        let text = |key| Some(String::from_utf8_lossy(&self.value(key)?).into_owned());
        Some(BasicCredentials {
            username: text(USERNAME).unwrap_or_default(),
            password: text(PASSWORD)?,
        })
    }

    /// The authorities that the server's certificate may be from, as PEM.
    pub(crate) fn authorities(&self) -> Option<Vec<u8>> {
        self.value(AUTHORITIES)
    }

    /// The key for an ssh server, and what is known of its own.
    pub(crate) fn into_ssh(self) -> SshAccess {
        SshAccess {
            private_key: self.value(PRIVATE_KEY),
            known_hosts: self.value(KNOWN_HOSTS),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn endpoint(is_ssh: bool) -> Endpoint {
        Endpoint {
            host: "git.example.com".to_owned(),
            port: 8443,
            is_ssh,
        }
    }

    fn judge(kind: &str, keys: &[&str], metadata: &Value, is_ssh: bool) -> Result<(), String> {
        let data: serde_json::Map<_, _> = keys
            .iter()
            .map(|key| ((*key).to_owned(), json!("Z2VoZWlt")))
            .collect();
        let secret = json!({"type": kind, "metadata": metadata, "data": data});
        let secret = serde_json::from_value(secret).unwrap();
        SourceSecret::judge(secret, "olm-system/s".to_owned(), &endpoint(is_ssh))
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    #[rstest]
    #[case::basic(BASIC, &["username", "password"], false, true)]
    #[case::ssh(SSH, &["ssh-privatekey"], true, true)]
    #[case::only_an_authority(BASIC, &["ca.crt"], false, true)]
    #[case::basic_for_ssh(BASIC, &["username", "password"], true, false)]
    #[case::ssh_for_web(SSH, &["ssh-privatekey"], false, false)]
    #[case::opaque(OPAQUE, &["username", "password"], false, false)]
    #[case::tls(
        "kubernetes.io/tls", &["tls.key", "password"], false, false)]
    #[case::token(
        "kubernetes.io/service-account-token", &["token", "password"], false, false)]
    #[case::empty(BASIC, &[], false, false)]
    #[case::ssh_without_key(SSH, &["ssh-knownhosts", "ca.crt"], true, false)]
    fn only_secrets_for_it_are_used(
        #[case] kind: &str,
        #[case] keys: &[&str],
        #[case] is_ssh: bool,
        #[case] fine: bool,
    ) {
        assert_eq!(judge(kind, keys, &json!({}), is_ssh).is_ok(), fine);
    }

    #[rstest]
    #[case(json!({"labels": {"core.rukpak.io/source-secret": "true"}}), OPAQUE, true)]
    #[case(json!({"labels": {"core.rukpak.io/source-secret": "false"}}), OPAQUE, false)]
    #[case(json!({"labels": {"core.rukpak.io/source-secret": "true"}}), "kubernetes.io/tls", false)]
    fn an_opaque_one_needs_its_label(
        #[case] metadata: Value,
        #[case] kind: &str,
        #[case] fine: bool,
    ) {
        let judged = judge(kind, &["username", "password"], &metadata, false);
        assert_eq!(judged.is_ok(), fine);
        let text = judged.err().unwrap_or_default();
        assert!(
            fine || text.contains("core.rukpak.io/source-secret"),
            "{text}"
        );
    }

    #[rstest]
    #[case("git.example.com", true)]
    #[case("other.example.com, Git.Example.com", true)]
    #[case("git.example.com:8443", true)]
    #[case("git.example.com:443", false)]
    #[case("*.example.com", true)]
    #[case("*.git.example.com", false)]
    #[case("*.ample.com", false)]
    #[case("example.com", false)]
    #[case("", false)]
    fn it_may_be_bound_to_hosts(#[case] hosts: &str, #[case] fine: bool) {
        let metadata = json!({"annotations": {"core.rukpak.io/allowed-hosts": hosts}});
        let judged = judge(BASIC, &["username", "password"], &metadata, false);
        assert_eq!(judged.is_ok(), fine, "{judged:?}");
    }
}
