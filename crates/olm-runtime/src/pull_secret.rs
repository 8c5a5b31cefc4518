//! Credentials of registries, from the pull Secrets that Catalogs and Bundles name.
//!
//! A Secret's entries are sent to the registries that they name and to no other, whoever names the
//! Secret. A Secret of the type `Opaque` can be named only with the label for it, and each may be
//! bound to hosts.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt as _};
use olm_api::annotations::ALLOWED_HOSTS;
use olm_api::labels::SOURCE_SECRET;
use olm_registry::auth::{AuthError, AuthFile};
use olm_registry::{Access, Credentials, Reference};

use crate::allowed_hosts::allows;

/// Why a pull secret cannot be used. No text holds a part of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullSecretError {
    /// It cannot be read, or is not there.
    #[error("cannot read secret `{namespace}/{name}`")]
    Read {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// It is of a type that is not one of pull secrets.
    #[error(
        "secret `{namespace}/{name}` is of type `{kind}`, wanted `kubernetes.io/dockerconfigjson`, \
         `kubernetes.io/dockercfg`, or `Opaque` with the label `core.rukpak.io/source-secret: \
         \"true\"`"
    )]
    Kind {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
    },
    /// It is bound to other hosts.
    #[error(
        "secret `{namespace}/{name}` is not for the host `{host}`: its annotation \
         `core.rukpak.io/allowed-hosts` lacks it"
    )]
    Host {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The registry.
        host: String,
    },
    /// It lacks the key that its type asks for.
    #[error("secret `{namespace}/{name}` has no key `{key}`")]
    Key {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
    },
    /// What is under the key is no auth file.
    #[error("secret `{namespace}/{name}` cannot be used")]
    Content {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the reader found.
        source: AuthError,
    },
}

impl PullSecretError {
    /// Whether nothing can help but a change of the Secret.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Read { source, .. } => {
                matches!(source, kube::Error::Api(status) if status.is_not_found())
            }
            Self::Kind { .. } | Self::Host { .. } | Self::Key { .. } | Self::Content { .. } => true,
        }
    }
}

/// What a pull Secret holds, or nothing where none is named. Its `Debug` shows no credentials.
#[derive(Clone, Debug, Default)]
pub struct PullSecret(Option<Named>);

#[derive(Clone, Debug)]
struct Named {
    namespace: String,
    name: String,
    /// The hosts that it is bound to.
    hosts: Option<String>,
    file: AuthFile,
}

impl PullSecret {
    /// Reads the Secret `name` of `namespace`, if one is named (not `None` or empty).
    ///
    /// Needs `get` on the Secret.
    ///
    /// # Errors
    ///
    /// [`PullSecretError`], which names the Secret.
    pub async fn read(
        client: &Client,
        namespace: &str,
        name: Option<&str>,
    ) -> Result<Self, PullSecretError> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(Self::default());
        };
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secret = secrets
            .get(name)
            .await
            .map_err(|source| PullSecretError::Read {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                source,
            })?;
        Self::of(namespace, name, &secret)
    }

    fn of(namespace: &str, name: &str, secret: &Secret) -> Result<Self, PullSecretError> {
        Ok(Self(Some(Named {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            hosts: secret.annotations().get(ALLOWED_HOSTS).cloned(),
            file: auth_file(namespace, name, secret)?,
        })))
    }

    /// The credentials for an image; anonymous where no Secret is named, or where it has no entry for
    /// the image's registry.
    ///
    /// # Errors
    ///
    /// [`PullSecretError::Host`] where the Secret is bound to other hosts.
    pub fn credentials(&self, reference: &Reference) -> Result<Credentials, PullSecretError> {
        let Some(named) = &self.0 else {
            return Ok(Credentials::Anonymous);
        };
        let credentials = named.file.credentials(reference);
        let registry = reference.registry();
        let is_for_it = named.hosts.as_ref().is_none_or(|hosts| {
            let (host, port) = match registry.rsplit_once(':') {
                Some((host, port)) => (host, port.parse().unwrap_or(0)),
                None => (registry, 443),
            };
            allows(hosts, host, port)
        });
        if is_for_it || credentials.is_anonymous() {
            return Ok(credentials);
        }
        Err(PullSecretError::Host {
            namespace: named.namespace.clone(),
            name: named.name.clone(),
            host: registry.to_owned(),
        })
    }
}

impl PullSecret {
    /// What is to be told a registry client about who asks for an image, also at its mirrors. A Secret
    /// that is bound to hosts is not for mirrors.
    ///
    /// # Errors
    ///
    /// Those of [`Self::credentials`].
    pub fn access(
        &self,
        reference: &Reference,
        tls_verify: bool,
    ) -> Result<Access, PullSecretError> {
        let unbound = self.0.as_ref().filter(|named| named.hosts.is_none());
        Ok(Access {
            credentials: self.credentials(reference)?,
            mirror_credentials: unbound.map(|named| named.file.clone()).unwrap_or_default(),
            tls_verify,
        })
    }
}

fn auth_file(namespace: &str, name: &str, secret: &Secret) -> Result<AuthFile, PullSecretError> {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    let kind = secret.type_.as_deref().unwrap_or_default();
    let has = |key: &str| {
        secret
            .data
            .as_ref()
            .is_some_and(|data| data.contains_key(key))
    };
    let is_released = secret.labels().get(SOURCE_SECRET).map(String::as_str) == Some("true");
    let key = match kind {
        "" | "Opaque" if is_released && has(".dockercfg") => ".dockercfg",
        "" | "Opaque" if is_released => ".dockerconfigjson",
        "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
        "kubernetes.io/dockercfg" => ".dockercfg",
        other => {
            return Err(PullSecretError::Kind {
                namespace,
                name,
                kind: other.to_owned(),
            });
        }
    };
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    let Some(ByteString(bytes)) = value else {
        return Err(PullSecretError::Key {
            namespace,
            name,
            key,
        });
    };
    let parsed = match key {
        ".dockercfg" => AuthFile::from_dockercfg(bytes),
        _ => AuthFile::from_docker_config_json(bytes),
    };
    parsed.map_err(|source| PullSecretError::Content {
        namespace,
        name,
        source,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use rstest::rstest;

    use super::*;

    const AUTHS: &str = r#"{"auths": {"quay.io": {"username": "u", "password": "p"}}}"#;
    const BARE: &str = r#"{"quay.io": {"username": "u", "password": "p"}}"#;

    fn secret(kind: &str, key: &str, value: &str) -> Secret {
        let value = ByteString(value.as_bytes().to_vec());
        Secret {
            type_: Some(kind.to_owned()),
            data: Some(BTreeMap::from([(key.to_owned(), value)])),
            ..Secret::default()
        }
    }

    #[rstest]
    #[case("kubernetes.io/dockerconfigjson", ".dockerconfigjson", AUTHS)]
    #[case("kubernetes.io/dockercfg", ".dockercfg", BARE)]
    fn both_forms_of_pull_secrets_are_read(
        #[case] kind: &str,
        #[case] key: &str,
        #[case] value: &str,
    ) {
        let file = auth_file("olm-system", "pull", &secret(kind, key, value)).unwrap();
        assert!(
            !file
                .credentials(&Reference::parse("quay.io/c:v1").unwrap())
                .is_anonymous()
        );
        assert!(
            file.credentials(&Reference::parse("other.io/c:v1").unwrap())
                .is_anonymous()
        );
    }

    #[rstest]
    #[case(".dockerconfigjson", AUTHS)]
    #[case(".dockercfg", BARE)]
    fn an_opaque_one_is_read_where_it_has_the_label(#[case] key: &str, #[case] value: &str) {
        let mut labelled = secret("Opaque", key, value);
        assert!(auth_file("olm-system", "pull", &labelled).is_err());
        for (label, fine) in [("false", false), ("true", true)] {
            let labels = BTreeMap::from([(SOURCE_SECRET.to_owned(), label.to_owned())]);
            labelled.metadata.labels = Some(labels);
            assert_eq!(auth_file("olm-system", "pull", &labelled).is_ok(), fine);
        }
    }

    #[rstest]
    #[case("quay.io", "quay.io/c:v1", true)]
    #[case("quay.io:443", "quay.io/c:v1", true)]
    #[case("other.io", "quay.io/c:v1", false)]
    #[case("", "quay.io/c:v1", false)]
    // It has nothing for this registry, which is asked without credentials.
    #[case("quay.io", "other.io/c:v1", true)]
    fn one_that_is_bound_to_hosts_is_sent_to_no_other(
        #[case] hosts: &str,
        #[case] image: &str,
        #[case] fine: bool,
    ) {
        let mut bound = secret("kubernetes.io/dockerconfigjson", ".dockerconfigjson", AUTHS);
        let annotations = BTreeMap::from([(ALLOWED_HOSTS.to_owned(), hosts.to_owned())]);
        bound.metadata.annotations = Some(annotations);
        let bound = PullSecret::of("olm-system", "pull", &bound).unwrap();
        let found = bound.credentials(&Reference::parse(image).unwrap());
        let text = "secret `olm-system/pull` is not for the host `quay.io`: its annotation \
                    `core.rukpak.io/allowed-hosts` lacks it";
        assert_eq!(found.is_ok(), fine);
        assert!(fine || found.unwrap_err().to_string() == text);
    }

    #[rstest]
    #[case(
        "Opaque",
        ".dockerconfigjson",
        AUTHS,
        "secret `olm-system/pull` is of type `Opaque`"
    )]
    #[case(
        "kubernetes.io/dockercfg",
        ".dockerconfigjson",
        AUTHS,
        "secret `olm-system/pull` has no key `.dockercfg`"
    )]
    #[case(
        "kubernetes.io/dockerconfigjson",
        ".dockerconfigjson",
        "geheim",
        "secret `olm-system/pull` cannot be used"
    )]
    fn others_are_refused_by_name(
        #[case] kind: &str,
        #[case] key: &str,
        #[case] value: &str,
        #[case] text: &str,
    ) {
        let error = auth_file("olm-system", "pull", &secret(kind, key, value)).unwrap_err();
        let text_of = crate::Chain(&error).to_string();
        assert!(text_of.starts_with(text), "{text_of}");
        assert!(!text_of.contains("geheim"));
    }
}
