//! Keeping alive what runs while the way to another bundle is blocked halfway.

use kube::ResourceExt as _;
use olm_api::bundle_deployment::{BundleDeployment, Inventory};
use olm_apply::{ApplyOptions, ObjectId, Owner, Placement};

use super::install::{Installation, Progress};
use super::load::Loaded;
use crate::deployment::error::DeploymentError;
use crate::deployment::{DeploymentReconciler, inventory};

impl DeploymentReconciler {
    /// Makes again what is gone of `loaded`, which runs, while another bundle was begun to be
    /// applied and does not get on. What is there may be the other's already and is left alone;
    /// nothing is pruned, and `held`, what may exist, stays as it is.
    pub(crate) async fn restore(
        &self,
        object: &BundleDeployment,
        loaded: Loaded,
        held: &Inventory,
    ) -> Result<Installation, DeploymentError> {
        let placement = Placement {
            owner: Owner::bundle_deployment(object.name_any()),
            install_namespace: loaded.namespace,
            protected_namespaces: vec![self.system_namespace.clone()],
        };
        let set = self.applier.prepare(loaded.objects, &placement).await?;
        let all: Vec<ObjectId> = set.ids().cloned().collect();
        let is_watched = self.watches.ensure(&all).await?;
        let gone = self.applier.absent(set).await?;
        if gone.ids().next().is_some() {
            let known = inventory::ids(held);
            let (plan, refusals) = self.applier.preflight_each(gone, &known).await?;
            let applied = self.applier.apply(plan, ApplyOptions::default()).await?;
            tracing::info!(
                bundle = %loaded.bundle.bundle,
                written = applied.written(),
                refused = refusals.len(),
                "made again what was gone"
            );
        }
        Ok(Installation {
            progress: Progress::Complete,
            phase: None,
            health: self.applier.read_health(&all).await?,
            look_again: loaded.look_again,
            is_watched,
        })
    }
}
