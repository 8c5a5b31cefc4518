//! Texts that users and tools match on, in one place.
//!
//! They are those of the upstream API, kept to the letter.

use std::error::Error;

use olm_api::names;
use olm_runtime::Chain;

/// Prefix of everything that goes wrong while content is fetched.
pub(crate) const SOURCE: &str = "source bundle content: ";

/// What is said of a Bundle whose content was uploaded and is about to be unpacked.
pub(crate) const RECEIVED: &str = "received bundle upload, waiting for provisioner to unpack it.";

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

/// What is said of an installation that failed: `why`, and where a `registry+v1` bundle was given as
/// a plain one, which class it has. As a plain bundle it could be meant all the same, where the kind
/// of its description is served.
pub(crate) fn install_failed(why: String, class: &str) -> String {
    const UNKNOWN: &str = "no matches for kind \"ClusterServiceVersion\"";
    if class == names::PROVISIONER_PLAIN && why.contains(UNKNOWN) {
        let registry = names::PROVISIONER_REGISTRY;
        return format!(
            "{why}\nif this is a registry+v1 bundle, its provisioner class \
             (spec.template.spec.provisionerClassName) is {registry}"
        );
    }
    why
}

/// Definitions that a newer bundle no longer has, with the custom resources that keep them.
pub(crate) fn definitions_kept(kept: &[String]) -> String {
    format!(
        "left the bundle and stay while there are custom resources of their kinds: {}",
        kept.join(", ")
    )
}

/// Definitions that stay as an upgrade that was taken back brought them; a line for each change that
/// keeps one.
pub(crate) fn definitions_not_taken_back(why: &[String]) -> String {
    format!(
        "stay as the upgrade that was taken back brought them, as custom resources could be lost or \
         refused otherwise (to take them back all the same, set spec.crdUpgradeSafety to None, on the \
         Operator where there is one):\n{}",
        why.join("\n")
    )
}

/// What is said of an upgrade that is refused because it could break custom resources that exist.
pub(crate) fn unsafe_upgrade(why: &str) -> String {
    format!(
        "{why}\nnothing was changed; to upgrade although custom resources may be lost or refused, \
         set spec.crdUpgradeSafety to None, on the Operator where there is one"
    )
}

/// The finalizer of a Bundle failed.
pub(crate) fn finalizer_failed(error: &(dyn Error + 'static)) -> String {
    format!(
        "finalizer \"{}\" failed: {}",
        names::FINALIZER_BUNDLE,
        Chain(error)
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const MISSING: &str = "required resource not found: no matches for kind \
                           \"ClusterServiceVersion\" in version \"operators.coreos.com/v1alpha1\"";

    #[rstest]
    #[case(MISSING, "core-rukpak-io-plain", true)]
    #[case(MISSING, "core-rukpak-io-registry", false)]
    #[case("anything else", "core-rukpak-io-plain", false)]
    fn a_registry_bundle_that_is_given_as_a_plain_one_says_which_class_it_has(
        #[case] why: &str,
        #[case] class: &str,
        #[case] has_hint: bool,
    ) {
        let text = install_failed(why.to_owned(), class);
        assert!(text.starts_with(why));
        assert_eq!(text.ends_with("is core-rukpak-io-registry"), has_hint);
    }
}
