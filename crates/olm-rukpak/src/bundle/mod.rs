//! The controller of Bundles: fetch, check, pin, store.

mod error;
mod reconcile;
mod status;
mod undecodable;

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt as _;
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_fs::Digest;
use olm_runtime::Objects;
use olm_runtime::events::Events;
use olm_runtime::status::StatusWriter;

use crate::contents::Contents;
use crate::pin;
use crate::server::ContentUrl;
use crate::source::Sources;
use crate::uploads::Uploads;

/// Reconciles Bundles of the classes that this controller knows.
pub(crate) struct BundleReconciler {
    client: Client,
    bundles: Api<Bundle>,
    status: StatusWriter,
    events: Events,
    contents: Contents,
    sources: Sources,
    references: References,
    uploads: Uploads,
    url: ContentUrl,
    fetch_within: Duration,
}

/// Longest time for one source.
const FETCH_WITHIN: Duration = Duration::from_mins(8);

impl BundleReconciler {
    pub(crate) fn new(
        client: Client,
        events: Events,
        contents: Contents,
        references: References,
        system_namespace: String,
        uploads: Uploads,
        url: ContentUrl,
    ) -> Self {
        Self {
            bundles: Api::all(client.clone()),
            status: StatusWriter::new(client.clone(), names::MANAGER_RUKPAK)
                .owning_conditions(&status::OWNED),
            sources: Sources::new(
                client.clone(),
                system_namespace,
                contents.clone(),
                uploads.clone(),
            ),
            client,
            events,
            contents,
            references,
            uploads,
            url,
            fetch_within: FETCH_WITHIN,
        }
    }
}

/// Who needs which content, as far as the caches know.
#[derive(Clone, Debug)]
pub(crate) struct References {
    bundles: Objects<Bundle>,
    deployments: Objects<BundleDeployment>,
}

impl References {
    pub(crate) fn new(bundles: Objects<Bundle>, deployments: Objects<BundleDeployment>) -> Self {
        Self {
            bundles,
            deployments,
        }
    }

    /// Waits until the caches are filled; `false` when they never will be.
    pub(crate) async fn ready(&self) -> bool {
        self.bundles.wait_until_ready().await && self.deployments.wait_until_ready().await
    }

    /// The UIDs of the Bundles that content is uploaded for. `None` where that is not known.
    pub(crate) fn uploads(&self) -> Option<HashSet<String>> {
        if self.ready().now_or_never() != Some(true) {
            return None;
        }
        let bundles = self.bundles.all();
        let all_decode = self.bundles.references().len() == bundles.len();
        all_decode.then(|| {
            let uploads = bundles
                .iter()
                .filter(|bundle| bundle.spec.source.kind == "upload");
            uploads
                .filter_map(|bundle| bundle.metadata.uid.clone())
                .collect()
        })
    }

    /// Every digest that a Bundle is pinned to or that a BundleDeployment runs or applies, leaving
    /// out the Bundle with the UID `except`. `None` where that is not known: while the caches are
    /// not filled, and where an object does not decode.
    pub(crate) fn digests(&self, except: Option<&str>) -> Option<HashSet<Digest>> {
        if self.ready().now_or_never() != Some(true) {
            return None;
        }
        let (bundles, deployments) = (self.bundles.all(), self.deployments.all());
        let all_decode = self.bundles.references().len() == bundles.len()
            && self.deployments.references().len() == deployments.len();
        if !all_decode {
            return None;
        }
        let pinned = bundles
            .iter()
            .filter(|bundle| except.is_none() || bundle.metadata.uid.as_deref() != except)
            .filter_map(|bundle| pin::digest(bundle.status.as_ref()?));
        let applied = deployments
            .iter()
            .filter_map(|deployment| deployment.status.as_ref()?.inventory.as_ref())
            .flat_map(|inventory| [&inventory.installed, &inventory.applying])
            .flatten()
            .filter_map(|applied| applied.content_digest.parse().ok());
        Some(pinned.chain(applied).collect())
    }
}
