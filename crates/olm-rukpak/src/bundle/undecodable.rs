//! A Bundle that does not decode.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMetaExt as _;
use olm_api::bundle::Bundle;
use olm_api::conditions::{READY, UNPACKED, phase, unpack};
use olm_api::names::FINALIZER_BUNDLE;
use olm_runtime::conditions::Status;
use olm_runtime::{Pass, finalizer};

use super::error::BundleError;
use super::{BundleReconciler, status};
use crate::format;
use crate::undecodable::{Raw, Says};

impl BundleReconciler {
    /// Says on the Bundle that it cannot be read, and lets go of it where it is being deleted: what
    /// it stored is left to the sweep.
    pub(crate) async fn cannot_read(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), BundleError> {
        let raw = Raw::read::<Bundle>(&self.client, metadata).await;
        let raw = raw.map_err(|source| BundleError::Api("read", source))?;
        let Some(raw) = raw.filter(|raw| format::is_own_class(raw.class())) else {
            return Ok(());
        };
        let object = metadata.clone().into_response_partial::<Bundle>();
        if finalizer::is_deleting(&object) {
            finalizer::remove(&self.client, &object, FINALIZER_BUNDLE)
                .await
                .map_err(|source| BundleError::Api("remove the finalizer from", source))?;
            return Ok(());
        }
        let message = format!("the Bundle cannot be read: {error}");
        let says = [UNPACKED, READY].map(|type_| Says {
            type_,
            status: Status::False,
            reason: unpack::FAILED,
            message: &message,
        });
        let phase = [("phase", phase::FAILING)];
        let is_news = raw
            .report::<Bundle>(&self.client, &says, &phase, &status::OWNED, pass.now())
            .await
            .map_err(|source| BundleError::Api("write the status of", source))?;
        if is_news {
            self.events
                .warning(&object, unpack::FAILED, "Unpack", &message)
                .await;
        }
        Ok(())
    }
}
