//! Credentials of registries, from Secrets of the suite's namespace.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use olm_registry::auth::{AuthError, AuthFile};
use olm_registry::{Access, Credentials, Reference};

/// Why credentials cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PullSecretError {
    /// The API server refuses, or there is no such Secret.
    #[error("cannot read pull secret `{name}`")]
    Read {
        /// Name of the Secret.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The Secret holds no credentials of registries.
    #[error("pull secret `{name}` holds neither `.dockerconfigjson` nor `.dockercfg`")]
    NoCredentials {
        /// Name of the Secret.
        name: String,
    },
    /// What it holds cannot be read.
    #[error("cannot read the credentials in pull secret `{name}`")]
    Malformed {
        /// Name of the Secret.
        name: String,
        /// What is wrong with it.
        source: AuthError,
    },
}

/// What proves to the registry of `reference` who is asking, from the Secret `name` in the suite's
/// namespace. Without a Secret nothing is sent.
///
/// A Secret is sent to the registries that it names and to no other, whoever names the Secret.
///
/// # Errors
///
/// [`PullSecretError`].
pub(crate) async fn access(
    client: &Client,
    system_namespace: &str,
    name: Option<&str>,
    reference: &Reference,
) -> Result<Access, PullSecretError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(Access {
            credentials: Credentials::Anonymous,
            tls_verify: true,
        });
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), system_namespace);
    let secret = secrets
        .get(name)
        .await
        .map_err(|source| PullSecretError::Read {
            name: name.to_owned(),
            source,
        })?;
    let credentials = credentials(name, &secret, reference)?;
    Ok(Access {
        credentials,
        tls_verify: true,
    })
}

fn credentials(
    name: &str,
    secret: &Secret,
    reference: &Reference,
) -> Result<Credentials, PullSecretError> {
    let data = secret.data.as_ref();
    let key = |key: &str| {
        data.and_then(|data| data.get(key))
            .map(|bytes| bytes.0.as_slice())
    };
    let file = match (key(".dockerconfigjson"), key(".dockercfg")) {
        (Some(bytes), _) => AuthFile::from_docker_config_json(bytes),
        (None, Some(bytes)) => AuthFile::from_dockercfg(bytes),
        (None, None) => {
            return Err(PullSecretError::NoCredentials {
                name: name.to_owned(),
            });
        }
    };
    file.map(|file| file.credentials(reference))
        .map_err(|source| PullSecretError::Malformed {
            name: name.to_owned(),
            source,
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use k8s_openapi::ByteString;

    use super::*;

    fn secret(key: &str, text: &str) -> Secret {
        Secret {
            data: Some([(key.to_owned(), ByteString(text.as_bytes().to_vec()))].into()),
            ..Secret::default()
        }
    }

    #[test]
    fn a_secret_is_sent_to_the_registry_that_it_names_and_to_no_other() {
        let json = r#"{"auths": {"registry.example.com": {"username": "u", "password": "p"}}}"#;
        let secret = secret(".dockerconfigjson", json);
        let named = Reference::parse("registry.example.com/a/b:v1").unwrap();
        let other = Reference::parse("evil.example.com/a/b:v1").unwrap();
        assert!(!credentials("s", &secret, &named).unwrap().is_anonymous());
        assert!(credentials("s", &secret, &other).unwrap().is_anonymous());
    }

    #[test]
    fn a_secret_of_another_kind_is_an_error_that_names_it() {
        let reference = Reference::parse("a/b").unwrap();
        let error = credentials("s", &secret("token", "x"), &reference).unwrap_err();
        assert!(error.to_string().contains("pull secret `s`"));
    }
}
