//! Telling the API server whom to trust: the authority, written into the webhook configuration.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use olm_api::names::{MANAGER_WEBHOOKS, SERVICE_RUKPAK_WEBHOOKS, WEBHOOK_CONFIGURATION};
use olm_runtime::{Chain, WatchBackoff};
use olm_serve::health::Gate;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How soon to try again after a failure, and to look again in any case.
const RETRY: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_mins(10);

/// Keeps `caBundle` of the suite's webhook configuration at what signs the server's certificate.
///
/// All replicas write the same. A configuration that is missing is waited for; only ours is ever
/// touched, and of it only the webhooks that lead to our Service or, where the webhook server runs
/// outside of the cluster, to an address.
pub(crate) struct Publisher {
    api: Api<DynamicObject>,
    bundle: watch::Receiver<String>,
    published: Gate,
}

impl Publisher {
    /// A publisher of `bundle`, which opens the gate `published` when the configuration knows it.
    pub(crate) fn new(client: Client, bundle: watch::Receiver<String>, published: Gate) -> Self {
        let resource = ApiResource::erase::<ValidatingWebhookConfiguration>(&());
        Self {
            api: Api::all_with(client, &resource),
            bundle,
            published,
        }
    }

    /// Runs until `token` is cancelled.
    pub(crate) async fn run(mut self, token: CancellationToken) {
        let selector = format!("metadata.name={WEBHOOK_CONFIGURATION}");
        let config = watcher::Config::default().fields(&selector);
        let changes = watcher(self.api.clone(), config)
            .backoff(WatchBackoff::default())
            .touched_objects();
        let mut changes = std::pin::pin!(changes);
        loop {
            let pause = match self.publish().await {
                Ok(()) => LOOK_AGAIN,
                Err(error) => {
                    tracing::warn!(
                        configuration = WEBHOOK_CONFIGURATION,
                        error = %Chain(&error),
                        "cannot write the authority, trying again"
                    );
                    RETRY
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                Some(_) = changes.next() => {}
                Ok(()) = self.bundle.changed() => {}
            }
        }
    }

    async fn publish(&mut self) -> Result<(), kube::Error> {
        let bundle = self.bundle.borrow_and_update().clone();
        let Some(mut configuration) = self.api.get_opt(WEBHOOK_CONFIGURATION).await? else {
            return Ok(());
        };
        if trust(&mut configuration.data, &bundle) {
            let parameters = PostParams {
                field_manager: Some(MANAGER_WEBHOOKS.to_owned()),
                ..PostParams::default()
            };
            configuration.metadata.managed_fields = None;
            match self
                .api
                .replace(WEBHOOK_CONFIGURATION, &parameters, &configuration)
                .await
            {
                Ok(_) => {
                    tracing::info!(configuration = WEBHOOK_CONFIGURATION, "authority written");
                }
                // Somebody else changed it, which is seen and leads here again.
                Err(kube::Error::Api(status)) if status.is_conflict() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        self.published.open();
        Ok(())
    }
}

/// Writes the authority into the webhooks that lead to our Service or to an address; whether
/// anything changed.
fn trust(configuration: &mut Value, bundle: &str) -> bool {
    let bundle = json!(ByteString(bundle.as_bytes().to_vec()));
    let mut changed = false;
    for webhook in configuration["webhooks"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        let client = &mut webhook["clientConfig"];
        let leads_here =
            client["service"]["name"] == SERVICE_RUKPAK_WEBHOOKS || client["url"].is_string();
        if leads_here && client["caBundle"] != bundle {
            client["caBundle"] = bundle.clone();
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_webhooks_that_lead_here_are_written_and_only_once() {
        let mut configuration = json!({"webhooks": [
            {"name": "outside", "clientConfig": {"url": "https://10.0.0.1:9443/"}},
            {"name": "ours", "clientConfig": {"service": {"name": SERVICE_RUKPAK_WEBHOOKS}}},
            {"name": "theirs", "clientConfig": {"service": {"name": "other"}}},
        ]});
        assert!(trust(&mut configuration, "pem"));
        for ours in [0, 1] {
            assert_eq!(
                configuration["webhooks"][ours]["clientConfig"]["caBundle"],
                "cGVt"
            );
        }
        assert!(
            configuration["webhooks"][2]["clientConfig"]
                .get("caBundle")
                .is_none()
        );
        assert!(!trust(&mut configuration, "pem"));
    }
}
