//! Texts that users and tools match on, in one place.
//!
//! They are those of the upstream API, kept to the letter.

use std::error::Error;

use olm_runtime::Chain;

/// Prefix of everything that goes wrong while content is fetched.
pub(crate) const SOURCE: &str = "source bundle content: ";

/// Prefix of everything that goes wrong while content is put into the store.
pub(crate) const PERSIST: &str = "persist bundle content: ";

/// What [`HEALTHY`](olm_api::conditions::HEALTHY) says when everything works.
pub(crate) const HEALTHY: &str = "BundleDeployment is healthy";

/// What [`HEALTHY`](olm_api::conditions::HEALTHY) says when nothing is installed.
pub(crate) const NOT_INSTALLED: &str = "Installed condition is false";

/// The content of a Bundle is stored; `source` is its `spec.source.type`.
pub(crate) fn unpacked(source: &str) -> String {
    format!("Successfully unpacked the {source} Bundle")
}

/// A BundleDeployment waits for its Bundle.
pub(crate) fn waiting_for_bundle(bundle: &str) -> String {
    format!("Waiting for the {bundle} Bundle to be unpacked")
}

/// The Bundle of a BundleDeployment is unpacked.
pub(crate) fn bundle_unpacked(bundle: &str) -> String {
    format!("Successfully unpacked the {bundle} Bundle")
}

/// The Bundle of a BundleDeployment cannot be unpacked.
pub(crate) fn bundle_failed(bundle: &str, why: &str) -> String {
    format!("Failed to unpack the {bundle} Bundle: {why}")
}

/// Everything of a Bundle is applied and works.
pub(crate) fn installed(bundle: &str) -> String {
    format!("Instantiated bundle {bundle} successfully")
}

/// The finalizer of a Bundle failed.
pub(crate) fn finalizer_failed(error: &(dyn Error + 'static)) -> String {
    format!(
        "finalizer \"{}\" failed: {}",
        olm_api::names::FINALIZER_BUNDLE,
        Chain(error)
    )
}
