//! Passes that other passes ask for.

use kube::runtime::reflector::ObjectRef;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::{BundleDeployment, BundleDeploymentStatus};
use olm_api::conditions::{INSTALLED, deployment as reasons};
use olm_apply::ApplyError;
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

    /// Kinds came, which others may wait for.
    pub(crate) fn kinds_came(&self) {
        self.call(|message| message.starts_with(ApplyError::MISSING_PREFIX));
    }

    /// Objects went, which may have been in the way of others.
    pub(crate) fn objects_went(&self) {
        self.call(|_message| true);
    }

    /// Calls those whose installation failed for a reason that `may_help` says may be over. Others
    /// are left to their own retries, whose delay grows with each that is in vain.
    fn call(&self, may_help: impl Fn(&str) -> bool) {
        for reference in self.deployments.references_where(|deployment| {
            deployment
                .status
                .as_ref()
                .and_then(failure)
                .is_some_and(&may_help)
        }) {
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

/// Why the installation failed, if it did.
fn failure(status: &BundleDeploymentStatus) -> Option<&str> {
    let installed = conditions::get(&status.conditions, INSTALLED)?;
    let reason = installed.reason.as_str();
    matches!(reason, reasons::INSTALL_FAILED | reasons::UPGRADE_FAILED)
        .then_some(installed.message.as_str())
}
