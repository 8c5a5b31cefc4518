//! The controller of BundleDeployments: make the Bundle, apply its objects, keep them, remove them.

mod bundles;
pub(crate) mod certificates;
mod error;
mod inventory;
mod namespace;
mod phase;
pub(crate) mod provider;
mod reconcile;
pub(crate) mod status;
mod template;
mod undone;
mod wake;

use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_apply::{Applier, ManagedWatches};
use olm_runtime::Objects;
use olm_runtime::events::Events;
use olm_runtime::status::StatusWriter;

use self::undone::Undone;
pub(crate) use self::wake::Waker;
use crate::args::CertificateChoice;
use crate::contents::Contents;
use crate::source::copies::Copies;
use crate::uploads::Uploads;

/// Reconciles BundleDeployments of the class that this controller knows.
pub(crate) struct DeploymentReconciler {
    client: Client,
    deployments: Api<BundleDeployment>,
    bundles: Api<Bundle>,
    /// Bundles as the cache knows them.
    known_bundles: Objects<Bundle>,
    status: StatusWriter,
    events: Events,
    contents: Contents,
    uploads: Uploads,
    applier: Applier,
    watches: ManagedWatches,
    waker: Waker,
    system_namespace: String,
    certificate_provider: CertificateChoice,
    undone: Undone,
    copies: Copies,
}

/// What a [`DeploymentReconciler`] is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) known_bundles: Objects<Bundle>,
    pub(crate) events: Events,
    pub(crate) contents: Contents,
    pub(crate) uploads: Uploads,
    pub(crate) applier: Applier,
    pub(crate) watches: ManagedWatches,
    pub(crate) waker: Waker,
    pub(crate) system_namespace: String,
    pub(crate) certificate_provider: CertificateChoice,
}

impl DeploymentReconciler {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            client,
            known_bundles,
            events,
            contents,
            uploads,
            applier,
            watches,
            waker,
            system_namespace,
            certificate_provider,
        } = parts;
        Self {
            deployments: Api::all(client.clone()),
            bundles: Api::all(client.clone()),
            known_bundles,
            copies: Copies::new(client.clone(), &system_namespace),
            status: StatusWriter::new(client.clone(), names::MANAGER_RUKPAK)
                .owning_conditions(&status::OWNED),
            client,
            events,
            contents,
            uploads,
            applier,
            watches,
            waker,
            system_namespace,
            certificate_provider,
            undone: Undone::default(),
        }
    }
}
