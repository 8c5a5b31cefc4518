//! The authorities of the suite's servers, as their clients see them.

use std::fmt;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::chain::Chain;
use crate::watch_backoff::WatchBackoff;

/// Longest bundle that is taken (a ConfigMap holds at most 1 MiB).
const MAX_BUNDLE: usize = 1 << 20;

/// The authorities of one component, from the ConfigMap `olm-trust`. Clones share them.
#[derive(Debug, Clone)]
pub struct Trust(watch::Receiver<Option<Arc<str>>>);

/// The watch that keeps a [`Trust`] up to date; must be [run](Self::run).
pub struct TrustWatch {
    api: Api<ConfigMap>,
    component: &'static str,
    sender: watch::Sender<Option<Arc<str>>>,
}

/// Sets up the trust in `component`, whose authorities are in the ConfigMap `olm-trust` of
/// `namespace` under the component's name.
pub fn watch(client: Client, namespace: &str, component: &'static str) -> (Trust, TrustWatch) {
    let sender = watch::Sender::new(None);
    let trust = Trust(sender.subscribe());
    (
        trust,
        TrustWatch {
            api: Api::namespaced(client, namespace),
            component,
            sender,
        },
    )
}

impl Trust {
    /// The PEM bundle, or `None` while none was published.
    pub fn current(&self) -> Option<Arc<str>> {
        self.0.borrow().clone()
    }

    /// Waits for the first bundle; `None` when the watch ended before.
    pub async fn wait_first(&self) -> Option<Arc<str>> {
        let mut receiver = self.0.clone();
        receiver.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Waits until the bundle is another than the one last returned by this method or by
    /// [`Self::current`] at the time of cloning; `None` when the watch ended.
    pub async fn changed(&mut self) -> Option<Arc<str>> {
        loop {
            self.0.changed().await.ok()?;
            if let Some(bundle) = self.0.borrow_and_update().clone() {
                return Some(bundle);
            }
        }
    }
}

impl TrustWatch {
    /// Follows the ConfigMap until `token` is cancelled. A bundle that vanishes or is damaged leaves
    /// the one before in use.
    pub async fn run(self, token: CancellationToken) {
        let selector = format!("metadata.name={}", olm_api::names::TRUST_CONFIG_MAP);
        let config = watcher::Config::default().fields(&selector);
        let events = watcher(self.api.clone(), config)
            .backoff(WatchBackoff::default())
            .applied_objects();
        self.follow(events.take_until(token.cancelled_owned()))
            .await;
    }

    async fn follow(self, events: impl Stream<Item = Result<ConfigMap, watcher::Error>>) {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(map) => self.take(map.data.as_ref().and_then(|data| data.get(self.component))),
                Err(error) => {
                    warn!(error = %Chain(&error), "watch of the trust failed, trying again");
                }
            }
        }
    }

    fn take(&self, bundle: Option<&String>) {
        let Some(bundle) = bundle else { return };
        if self.sender.borrow().as_deref() == Some(bundle.as_str()) {
            return;
        }
        if !is_usable(bundle) {
            warn!(
                component = self.component,
                "published authorities are damaged, ignored"
            );
            return;
        }
        info!(component = self.component, "authorities loaded");
        self.sender.send_replace(Some(Arc::from(bundle.as_str())));
    }
}

impl fmt::Debug for TrustWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustWatch")
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}

/// Whether the bundle holds at least one certificate and nothing that is no PEM.
fn is_usable(bundle: &str) -> bool {
    bundle.len() <= MAX_BUNDLE
        && bundle.contains("-----BEGIN CERTIFICATE-----")
        && CertificateDer::pem_slice_iter(bundle.as_bytes()).all(|item| item.is_ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::certificates::issue_ca;

    fn map(bundle: &str) -> ConfigMap {
        let data = BTreeMap::from([("catalogd".to_owned(), bundle.to_owned())]);
        ConfigMap {
            data: Some(data),
            ..ConfigMap::default()
        }
    }

    fn authority() -> String {
        let now = "2026-11-21T10:00:00Z".parse().unwrap();
        issue_ca("example", now, Duration::from_hours(1))
            .unwrap()
            .certificate
    }

    #[tokio::test]
    async fn follows_good_bundles_and_keeps_the_last_one() {
        let sender = watch::Sender::new(None);
        let trust = Trust(sender.subscribe());
        let service = tower::service_fn(|_request: http::Request<kube::client::Body>| async {
            Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("unused"))
        });
        let watch = TrustWatch {
            api: Api::namespaced(Client::new(service, "olm-system"), "olm-system"),
            component: "catalogd",
            sender,
        };
        assert_eq!(trust.current(), None);
        let (first, second) = (authority(), authority());
        let waiting = tokio::spawn({
            let trust = trust.clone();
            async move { trust.wait_first().await }
        });
        let both = format!("{first}{second}");
        let events = vec![
            ConfigMap::default(),
            map("damaged"),
            map(&first),
            map(&both),
            map("-----BEGIN CERTIFICATE-----\n"),
        ];
        watch.follow(futures::stream::iter(events).map(Ok)).await;
        assert_eq!(trust.current().as_deref(), Some(both.as_str()));
        assert!(waiting.await.unwrap().is_some());
    }
}
