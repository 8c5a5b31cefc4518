//! The Bundle of the template: found or made; the others collected.

use std::sync::Arc;

use kube::ResourceExt as _;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::core::Status;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;

use crate::deployment::bundles::{self, Standing};
use crate::deployment::error::DeploymentError;
use crate::deployment::{DeploymentReconciler, template};

impl DeploymentReconciler {
    /// The name of the Bundle that the template asks for, and how it stands. Makes it where there
    /// is none.
    pub(crate) async fn wanted_bundle(
        &self,
        object: &BundleDeployment,
    ) -> Result<(String, Standing), DeploymentError> {
        let wanted = template::bundle(object);
        let name = wanted.name_any();
        let hash = template::hash(&object.spec.template);
        let known = self.known_bundles.get(&name, None);
        let standing = bundles::standing(object, &hash, known.as_deref());
        if !matches!(standing, Standing::Absent | Standing::Blocked) {
            return Ok((name, standing));
        }
        // The cache may lag behind; only the API server knows.
        let failed = |operation| {
            let bundle = name.clone();
            move |source| DeploymentError::Bundle {
                operation,
                bundle,
                source,
            }
        };
        if standing == Standing::Absent {
            match self.bundles.create(&PostParams::default(), &wanted).await {
                Ok(_) => {
                    tracing::info!(bundle = %name, "made the Bundle of the template");
                    return Ok((name, Standing::Pending));
                }
                Err(kube::Error::Api(status)) if status.is_already_exists() => {}
                Err(source) => return Err(failed("create")(source)),
            }
        }
        let live = self.bundles.get_opt(&name).await.map_err(failed("read"))?;
        let standing = bundles::standing(object, &hash, live.as_ref());
        let is_going = live
            .as_ref()
            .is_some_and(|live| live.metadata.deletion_timestamp.is_some());
        match standing {
            // It goes, and its going is an event that leads here again.
            Standing::Blocked if is_going => Ok((name, standing)),
            Standing::Blocked => Err(DeploymentError::ForeignBundle(name)),
            standing => Ok((name, standing)),
        }
    }

    /// Deletes the Bundles that nothing needs any more.
    pub(crate) async fn collect_bundles(
        &self,
        object: &BundleDeployment,
        wanted: &str,
        installed: bool,
    ) -> Result<(), DeploymentError> {
        let all = self.known_bundles.all();
        let doomed = if installed {
            others(object, wanted, &all)
        } else {
            bundles::superseded(object, wanted, &all)
        };
        if !doomed.is_empty() {
            tracing::info!(bundles = ?bundles::names(&doomed), "collecting superseded Bundles");
        }
        for bundle in doomed {
            let parameters = DeleteParams::default().preconditions(Preconditions {
                uid: bundle.uid(),
                resource_version: None,
            });
            match self.bundles.delete(&bundle.name_any(), &parameters).await {
                Ok(_) => {}
                Err(kube::Error::Api(status))
                    if status.is_not_found() || is_for_another(&status) => {}
                Err(source) => {
                    let bundle = bundle.name_any();
                    return Err(DeploymentError::Bundle {
                        operation: "delete",
                        bundle,
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Whether the object that was meant is gone and another has its name. Any other conflict says that
/// the same request is to be made again.
fn is_for_another(status: &Status) -> bool {
    status.is_conflict() && status.message.contains("precondition")
}

/// Every Bundle of the deployment but the one that is installed.
fn others<'a>(
    object: &BundleDeployment,
    installed: &str,
    all: &'a [Arc<Bundle>],
) -> Vec<&'a Bundle> {
    all.iter()
        .filter(|bundle| template::owns(object, bundle))
        .filter(|bundle| bundle.metadata.deletion_timestamp.is_none())
        .filter(|bundle| bundle.name_any() != installed)
        .map(AsRef::as_ref)
        .collect()
}
