//! Credentials of registries, from the pull Secrets that Catalogs and Bundles name.
//!
//! A Secret's entries are sent to the registries that they name and to no other, whoever names the
//! Secret.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use olm_registry::auth::{AuthError, AuthFile};
use olm_registry::{Credentials, Reference};

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
        "secret `{namespace}/{name}` is of type `{kind}`, wanted `kubernetes.io/dockerconfigjson` \
         or `kubernetes.io/dockercfg`"
    )]
    Kind {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
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

/// The credentials that the Secret `name` of `namespace` has for an image; anonymous where no Secret
/// is named (`None` or empty), or where it has no entry for the image's registry.
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
    reference: &Reference,
) -> Result<Credentials, PullSecretError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(Credentials::Anonymous);
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
    Ok(auth_file(namespace, name, &secret)?.credentials(reference))
}

fn auth_file(namespace: &str, name: &str, secret: &Secret) -> Result<AuthFile, PullSecretError> {
    let (namespace, name) = (namespace.to_owned(), name.to_owned());
    let kind = secret.type_.as_deref().unwrap_or_default();
    let key = match kind {
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
