//! The certificate of one of the suite's servers, kept in a Secret and renewed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use olm_serve::tls::{CertificateSource, TlsError};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::issue::{IssueError, KeyPair};
use super::material::{Material, Reason};
use crate::chain::Chain;
use crate::clock::SharedClock;

/// Time between two looks at the Secret: how long another replica's renewal may go unnoticed.
const CHECK_EVERY: Duration = Duration::from_mins(1);
/// How often two replicas may be in each other's way before an attempt is given up.
const ATTEMPTS: usize = 5;
/// Pause between attempts while there is no certificate at all.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Time for one look, with all its calls.
const CHECK_LIMIT: Duration = Duration::from_secs(45);
/// How long clients may take to learn of an authority that was published.
const KNOWN_AFTER: Duration = Duration::from_secs(5);
/// Pause between two attempts to have a certificate at all.
const PAUSE: Duration = Duration::from_secs(2);

/// Why there is no serving certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The Secret cannot be read or written.
    #[error("cannot keep the certificate in the Secret `{secret}`")]
    Secret {
        /// Name of the Secret.
        secret: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The authority cannot be published.
    #[error("cannot publish the authority in the ConfigMap `{config_map}`")]
    Publish {
        /// Name of the ConfigMap.
        config_map: &'static str,
        /// What the client found.
        source: kube::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make the certificate")]
    Issue(#[from] IssueError),
    /// The endpoint does not take it.
    #[error("cannot use the certificate")]
    Use(#[from] TlsError),
    /// Others changed the Secret each time.
    #[error("the Secret `{secret}` changes too often")]
    Contended {
        /// Name of the Secret.
        secret: String,
    },
    /// The API server did not answer in time.
    #[error("keeping the certificate took too long")]
    TimedOut,
}

/// A server's certificate: Secret `COMPONENT-tls`, key `COMPONENT` of ConfigMap `olm-trust`, and the
/// TLS endpoint, kept in step.
///
/// All replicas of a component share the Secret; whoever is first writes it. The authority lives
/// about ten years, the leaf 90 days; both are renewed after two thirds of their life. A leaf of an
/// authority that clients do not know yet serves 5 s after that was published, and the earlier one stays
/// trusted, also where the Secret was deleted: no client meets a certificate that it cannot check.
pub struct ServingCertificate {
    client: Client,
    namespace: String,
    component: &'static str,
    secret: String,
    names: Vec<String>,
    clock: SharedClock,
    source: CertificateSource,
    current: Option<Material>,
    bundle: watch::Sender<String>,
    leaf: watch::Sender<Option<KeyPair>>,
}

impl ServingCertificate {
    /// Reads or makes the certificate, loads it and publishes its authority.
    ///
    /// `names` are the DNS names and addresses of the server; see [`service_names`].
    pub async fn ensure(
        client: Client,
        namespace: &str,
        component: &'static str,
        names: Vec<String>,
        clock: SharedClock,
    ) -> Result<Self, CertificateError> {
        let mut certificate = Self::later(client, namespace, component, names, clock);
        certificate.check().await?;
        Ok(certificate)
    }

    /// As [`Self::ensure`], without a certificate yet: [`Self::keep`] gets it, as soon as the API
    /// server answers. For servers that are to be up before.
    pub fn later(
        client: Client,
        namespace: &str,
        component: &'static str,
        mut names: Vec<String>,
        clock: SharedClock,
    ) -> Self {
        names.sort();
        names.dedup();
        Self {
            client,
            namespace: namespace.to_owned(),
            component,
            secret: format!("{component}-tls"),
            names,
            clock,
            source: CertificateSource::new(),
            current: None,
            bundle: watch::Sender::new(String::new()),
            leaf: watch::Sender::new(None),
        }
    }

    /// As [`Self::ensure`], again and again until it is done: the API server may come later than this
    /// process. `None` when `token` was cancelled before. Failures are logged.
    pub async fn obtain(
        client: Client,
        namespace: &str,
        component: &'static str,
        names: Vec<String>,
        clock: SharedClock,
        token: &CancellationToken,
    ) -> Option<Self> {
        loop {
            let (client, clock) = (client.clone(), clock.clone());
            let made = Self::ensure(client, namespace, component, names.clone(), clock);
            let made = tokio::select! {
                () = token.cancelled() => return None,
                made = made => made,
            };
            match made {
                Ok(certificate) => return Some(certificate),
                Err(error) => warn!(error = %Chain(&error), "no serving certificate yet"),
            }
            tokio::select! {
                () = token.cancelled() => return None,
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// What the TLS endpoint is set up with; follows every renewal.
    pub fn source(&self) -> CertificateSource {
        self.source.clone()
    }

    /// The authorities' certificates (PEM) now and on every change, for those who patch them into
    /// webhook configurations.
    pub fn bundle(&self) -> watch::Receiver<String> {
        self.bundle.subscribe()
    }

    /// The key pair in use now and on every change; nothing while there is none.
    pub fn leaf(&self) -> watch::Receiver<Option<KeyPair>> {
        self.leaf.subscribe()
    }

    /// Looks after the certificate until `token` is cancelled. A failing look is logged and
    /// repeated; the certificate in use stays.
    pub async fn keep(mut self, token: CancellationToken) {
        while self.current.is_none() {
            let outcome = tokio::select! {
                () = token.cancelled() => return,
                outcome = self.check() => outcome,
            };
            let Err(error) = outcome else { break };
            warn!(secret = self.secret, error = %Chain(&error), "no serving certificate yet");
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(FIRST_PAUSE) => {}
            }
        }
        let mut ticks = tokio::time::interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let outcome = tokio::select! {
                () = token.cancelled() => return,
                outcome = self.check() => outcome,
            };
            if let Err(error) = outcome {
                warn!(secret = self.secret, error = %Chain(&error), "cannot check the certificate");
            }
        }
    }

    async fn check(&mut self) -> Result<(), CertificateError> {
        let material = tokio::time::timeout(CHECK_LIMIT, self.settle())
            .await
            .map_err(|_elapsed| CertificateError::TimedOut)??;
        if let Some(current) = &self.current
            && !current.vouches_for(&material)
        {
            self.announce(&material.bundle_beside(current)).await?;
            tokio::time::sleep(KNOWN_AFTER).await;
        }
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.leaf != material.leaf)
        {
            self.source.set_pem(
                material.leaf.certificate.as_bytes(),
                material.leaf.key.as_bytes(),
            )?;
            info!(secret = self.secret, names = ?self.names, "serving certificate loaded");
            self.leaf.send_replace(Some(material.leaf.clone()));
        }
        let bundle = material.bundle();
        self.current = Some(material);
        self.announce(&bundle).await
    }

    /// Tells everybody whom to trust.
    async fn announce(&self, bundle: &str) -> Result<(), CertificateError> {
        self.bundle.send_if_modified(|current| {
            let changed = *current != bundle;
            bundle.clone_into(current);
            changed
        });
        tokio::time::timeout(CHECK_LIMIT, self.publish(bundle))
            .await
            .map_err(|_elapsed| CertificateError::TimedOut)?
    }

    /// Brings the Secret into shape and returns what it holds then.
    async fn settle(&self) -> Result<Material, CertificateError> {
        let failed = |source| CertificateError::Secret {
            secret: self.secret.clone(),
            source,
        };
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            let found = api.get_opt(&self.secret).await.map_err(failed)?;
            let held = found
                .as_ref()
                .and_then(|secret| Material::read(secret.data.as_ref()?));
            let (material, reason) = match held {
                None => {
                    let made = match &self.current {
                        Some(lost) => lost.succeed(self.component, &self.names, now)?,
                        None => Material::issue(self.component, &self.names, now)?,
                    };
                    (made, Reason::Missing)
                }
                Some(held) => match held.renew(self.component, &self.names, now)? {
                    None => return Ok(held),
                    Some(due) => due,
                },
            };
            let written = match found {
                None => {
                    api.create(&PostParams::default(), &self.fresh(&material))
                        .await
                }
                Some(mut secret) => {
                    secret.data.get_or_insert_default().extend(material.write());
                    secret.metadata.managed_fields = None;
                    api.replace(&self.secret, &PostParams::default(), &secret)
                        .await
                }
            };
            match written {
                Ok(_) => {
                    info!(secret = self.secret, reason = ?reason, "certificate issued");
                    return Ok(material);
                }
                // Another replica was faster: take what it wrote.
                Err(kube::Error::Api(status))
                    if status.is_conflict()
                        || status.is_already_exists()
                        || status.is_not_found() => {}
                Err(source) => return Err(failed(source)),
            }
        }
        Err(CertificateError::Contended {
            secret: self.secret.clone(),
        })
    }

    fn fresh(&self, material: &Material) -> Secret {
        Secret {
            metadata: ObjectMeta {
                name: Some(self.secret.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(BTreeMap::from([(
                    "app.kubernetes.io/name".to_owned(),
                    self.component.to_owned(),
                )])),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(material.write()),
            ..Secret::default()
        }
    }

    async fn publish(&self, bundle: &str) -> Result<(), CertificateError> {
        let name = olm_api::names::TRUST_CONFIG_MAP;
        let failed = |source| CertificateError::Publish {
            config_map: name,
            source,
        };
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(name).await.map_err(failed)?;
        let published = found
            .as_ref()
            .and_then(|map| map.data.as_ref()?.get(self.component));
        if published.is_some_and(|published| published == bundle) {
            return Ok(());
        }
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace},
            "data": {self.component: bundle},
        });
        let params = PatchParams::apply(self.component).force();
        api.patch(name, &params, &Patch::Apply(&body))
            .await
            .map_err(failed)?;
        info!(
            config_map = name,
            key = self.component,
            "authority published"
        );
        Ok(())
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServingCertificate")
            .field("namespace", &self.namespace)
            .field("secret", &self.secret)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// The DNS names of a Service, from the shortest to the fully qualified one.
pub fn service_names(service: &str, namespace: &str) -> Vec<String> {
    vec![
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ]
}

#[cfg(test)]
#[path = "serving_tests.rs"]
mod tests;
