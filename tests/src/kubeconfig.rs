//! Kubeconfig files for one cluster and one user.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::certificates::Identity;
use crate::scratch;

/// Who the file's owner is to the API server.
#[derive(Debug)]
pub enum User<'a> {
    /// A client certificate and key.
    Certificate(&'a Identity),
    /// A bearer token, such as a `ServiceAccount`'s.
    Token(&'a str),
}

/// Writes a kubeconfig for `server` (a URL), verified against the PEM certificate `authority`.
pub fn write(path: PathBuf, server: &str, authority: &str, user: &User<'_>) -> Result<PathBuf> {
    let user: Value = match user {
        User::Certificate(identity) => json!({
            "client-certificate-data": base64(identity.certificate.as_bytes()),
            "client-key-data": base64(identity.key.as_bytes()),
        }),
        User::Token(token) => json!({ "token": token }),
    };
    let cluster = json!({
        "server": server,
        "certificate-authority-data": base64(authority.as_bytes()),
    });
    write_parts(path, &cluster, &user)
}

/// Writes a kubeconfig for the cluster of the kubeconfig `like`'s current context with `token`.
pub fn write_with_token(path: PathBuf, like: &Path, token: &str) -> Result<PathBuf> {
    let mut config = read(like)?;
    let context = config
        .current_context
        .take()
        .context("the kubeconfig has no current context")?;
    let context = config
        .contexts
        .into_iter()
        .find(|named| named.name == context);
    let cluster = context
        .and_then(|named| named.context)
        .map(|context| context.cluster);
    let cluster = config
        .clusters
        .into_iter()
        .find(|named| Some(&named.name) == cluster.as_ref())
        .and_then(|named| named.cluster)
        .context("the kubeconfig's current context names no cluster")?;
    write_parts(
        path,
        &serde_json::to_value(cluster)?,
        &json!({ "token": token }),
    )
}

/// A client of the cluster and user of the kubeconfig's current context.
///
/// Its tasks live on the runtime of the caller, so one must not be shared between tests.
pub async fn client(path: &Path) -> Result<Client> {
    crate::runtime()?;
    let config = Config::from_custom_kubeconfig(read(path)?, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn read(path: &Path) -> Result<Kubeconfig> {
    Kubeconfig::read_from(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn write_parts(path: PathBuf, cluster: &Value, user: &Value) -> Result<PathBuf> {
    // JSON is YAML, and every client reads it.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": user }],
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "current-context": "test",
    });
    scratch::write(path, serde_json::to_vec_pretty(&config)?)
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
