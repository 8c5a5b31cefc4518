//! Passes that other passes ask for.

use kube::runtime::reflector::ObjectRef;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::{BundleDeployment, BundleDeploymentStatus};
use olm_api::conditions::{INSTALLED, deployment as reasons};
use olm_runtime::{Objects, conditions};
use tokio::sync::mpsc;

/// Asks for passes over BundleDeployments whose installation failed, and over Bundles whose content
/// is missing. Nothing depends on it but the delay: each of them looks again by itself.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    deployments: Objects<BundleDeployment>,
    deployment: mpsc::Sender<ObjectRef<BundleDeployment>>,
    bundle: mpsc::Sender<ObjectRef<Bundle>>,
}

/// The other ends of a [`Waker`].
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) deployments: mpsc::Receiver<ObjectRef<BundleDeployment>>,
    pub(crate) bundles: mpsc::Receiver<ObjectRef<Bundle>>,
}

/// Most calls that wait at once; what does not fit is dropped.
const WAITING: usize = 1024;

impl Waker {
    /// A waker and the ends to give to the controllers.
    pub(crate) fn new(deployments: Objects<BundleDeployment>) -> (Self, Calls) {
        let (deployment, called_deployments) = mpsc::channel(WAITING);
        let (bundle, called_bundles) = mpsc::channel(WAITING);
        let calls = Calls {
            deployments: called_deployments,
            bundles: called_bundles,
        };
        (
            Self {
                deployments,
                deployment,
                bundle,
            },
            calls,
        )
    }

    /// The cluster changed in a way that may help: kinds came, or objects went.
    pub(crate) fn failed_deployments(&self) {
        for reference in self
            .deployments
            .references_where(|deployment| deployment.status.as_ref().is_some_and(has_failed))
        {
            if self.deployment.try_send(reference).is_err() {
                break;
            }
        }
    }

    /// The content of a Bundle is wanted and not in the store.
    pub(crate) fn bundle(&self, name: &str) {
        // When so many wait already, this one is found by its own retries.
        let _ = self.bundle.try_send(ObjectRef::new(name));
    }
}

fn has_failed(status: &BundleDeploymentStatus) -> bool {
    conditions::get(&status.conditions, INSTALLED).is_some_and(|installed| {
        matches!(
            installed.reason.as_str(),
            reasons::INSTALL_FAILED | reasons::UPGRADE_FAILED
        )
    })
}
