//! Clients of the Kubernetes API.

use std::path::Path;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Silence after which a short call is given up.
const SHORT_READ: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A kubeconfig cannot be used.
    #[error("cannot use the kubeconfig `{file}`")]
    Kubeconfig {
        /// The file, or `default`.
        file: String,
        /// What the reader found.
        source: KubeconfigError,
    },
    /// The configuration does not make a client.
    #[error("cannot build the Kubernetes client")]
    Build {
        /// What the client found.
        source: kube::Error,
    },
}

/// The two clients of a process.
#[derive(Clone)]
pub struct Clients {
    /// For watches and large answers: no read timeout.
    pub streaming: Client,
    /// For everything else: an answer that stalls for 30 s fails.
    pub short: Client,
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// Makes ring the TLS provider of the process, unless one was chosen before. Every `main` calls it
/// first.
pub fn install_tls_provider() {
    // An error means that a provider is in place, which is all that is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Connects by `kubeconfig` where given, else by the pod's service account, else by the default
/// kubeconfig. No request is made.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Clients, ClientError> {
    let config = match kubeconfig {
        Some(file) => {
            let failed = |source| ClientError::Kubeconfig {
                file: file.display().to_string(),
                source,
            };
            let kubeconfig = Kubeconfig::read_from(file).map_err(failed)?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
                .await
                .map_err(failed)?
        }
        None => match Config::incluster() {
            Ok(config) => config,
            Err(_not_in_a_cluster) => Config::from_kubeconfig(&KubeConfigOptions::default())
                .await
                .map_err(|source| ClientError::Kubeconfig {
                    file: "default".to_owned(),
                    source,
                })?,
        },
    };
    let mut short = config.clone();
    short.read_timeout = Some(SHORT_READ);
    short.write_timeout = Some(SHORT_READ);
    let build = |config| Client::try_from(config).map_err(|source| ClientError::Build { source });
    Ok(Clients {
        streaming: build(config)?,
        short: build(short)?,
    })
}
