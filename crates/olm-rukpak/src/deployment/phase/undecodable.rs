//! A BundleDeployment that does not decode.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMetaExt as _;
use olm_api::bundle::{BundleSource, BundleSpec};
use olm_api::bundle_deployment::{
    BundleDeployment, BundleDeploymentSpec, BundleTemplate, CrdDeletionPolicy,
};
use olm_api::conditions::{HAS_VALID_BUNDLE, READY, deployment as reasons};
use olm_runtime::conditions::Status;
use olm_runtime::{Action, Pass};

use crate::deployment::error::DeploymentError;
use crate::deployment::{DeploymentReconciler, status};
use crate::format;
use crate::undecodable::{Raw, Says};

impl DeploymentReconciler {
    /// Says on the BundleDeployment that it cannot be read; what is installed stays. One that is
    /// being deleted is uninstalled like any other, which takes the inventory and not the spec.
    pub(crate) async fn cannot_read(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), DeploymentError> {
        let raw = Raw::read::<BundleDeployment>(&self.client, metadata).await;
        let raw = raw.map_err(|source| DeploymentError::Api("read", source))?;
        let Some(raw) = raw.filter(|raw| format::is_own_class(raw.class())) else {
            return Ok(());
        };
        if metadata.deletion_timestamp.is_some() {
            return match self.uninstall(&without_spec(metadata, &raw), pass).await? {
                Action::AwaitChange => Ok(()),
                Action::RequeueAfter(pause) => Err(DeploymentError::StillGoing(pause)),
            };
        }
        let message = format!("the BundleDeployment cannot be read: {error}");
        let says = [(HAS_VALID_BUNDLE, Status::Unknown), (READY, Status::False)];
        let says = says.map(|(type_, status)| Says {
            type_,
            status,
            reason: reasons::RECONCILE_FAILED,
            message: &message,
        });
        let is_news = raw
            .report::<BundleDeployment>(&self.client, &says, &[], &status::OWNED, pass.now())
            .await
            .map_err(|source| DeploymentError::Api("write the status of", source))?;
        if is_news {
            let object = metadata.clone().into_response_partial::<BundleDeployment>();
            self.events
                .warning(&object, reasons::RECONCILE_FAILED, "Unpack", &message)
                .await;
        }
        Ok(())
    }
}

/// The policy, which must hold although the rest cannot be read; one that nobody knows is taken for
/// the one that loses nothing.
fn deletion_policy(raw: &Raw) -> Option<CrdDeletionPolicy> {
    match raw.field("crdDeletionPolicy")? {
        "Delete" => Some(CrdDeletionPolicy::Delete),
        _ => Some(CrdDeletionPolicy::Retain),
    }
}

/// The object with an empty spec, and with its status where that decodes.
fn without_spec(metadata: &ObjectMeta, raw: &Raw) -> BundleDeployment {
    BundleDeployment {
        metadata: metadata.clone(),
        spec: BundleDeploymentSpec {
            provisioner_class_name: raw.class().to_owned(),
            template: BundleTemplate {
                metadata: None,
                spec: BundleSpec {
                    provisioner_class_name: String::new(),
                    source: BundleSource::default(),
                },
            },
            config: None,
            install_namespace: None,
            crd_upgrade_safety: None,
            crd_deletion_policy: deletion_policy(raw),
        },
        status: raw.status(),
    }
}
