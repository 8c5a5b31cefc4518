//! What the statuses of Bundles and BundleDeployments say.

use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;

pub(super) use olm_tests::wait::message;

/// What a Bundle says of its unpacking.
pub(super) fn why(bundle: &Bundle) -> String {
    message(bundle, "Unpacked")
}

pub(super) fn active(deployment: &BundleDeployment) -> String {
    deployment
        .status
        .as_ref()
        .and_then(|status| status.active_bundle.clone())
        .unwrap_or_default()
}

pub(super) fn pinned(bundle: &Bundle) -> String {
    let source = bundle
        .status
        .as_ref()
        .and_then(|status| status.resolved_source.as_ref());
    let image = source.and_then(|source| source.image.as_ref());
    image
        .map(|image| image.reference.clone())
        .unwrap_or_default()
}
