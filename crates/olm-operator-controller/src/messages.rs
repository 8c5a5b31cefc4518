//! Texts of an Operator's conditions that users and tests match on.
//!
//! They are those of the upstream controller, to the letter, unless a comment says otherwise.

use olm_api::operator::{BundleIdentity, FailedUpgrade};

/// `Resolved` when `spec.version` is no range.
pub(crate) const RESOLUTION_SPEC_INVALID: &str =
    "validation has not been attempted as spec is invalid";

/// `Installed` when `spec.version` is no range.
pub(crate) const INSTALLATION_SPEC_INVALID: &str =
    "installation has not been attempted as spec is invalid";

/// `Installed` when no bundle could be chosen.
pub(crate) const INSTALLATION_RESOLUTION_FAILED: &str =
    "installation has not been attempted as resolution failed";

/// `Installed` when the BundleDeployment says nothing yet.
pub(crate) const DEPLOYMENT_STATUS_UNKNOWN: &str = "bundledeployment status is unknown";

/// `Progressing` while `spec.suspend` is set.
pub(crate) const SUSPENDED: &str =
    "spec.suspend is set: nothing is decided, and what is installed is repaired";

/// `Progressing` when what was chosen runs.
pub(crate) const ARRIVED: &str = "Desired state reached";

/// `Healthy` when nothing runs.
pub(crate) const NOTHING_INSTALLED: &str = "nothing is installed";

/// `Healthy` when nothing is known of what runs.
pub(crate) const HEALTH_UNKNOWN: &str = "the bundledeployment does not say whether it is healthy";

/// A text with its cause, if there is one.
pub(crate) fn with_cause(text: &str, cause: Option<&str>) -> String {
    cause.map_or_else(|| text.to_owned(), |cause| format!("{text}: {cause}"))
}

/// `Progressing` when what was asked for was not there in time.
pub(crate) fn overdue(bundle: &BundleIdentity, deadline: &str, why: &str) -> String {
    format!(
        "{} {} is not installed and healthy after {deadline}: {why}",
        bundle.package, bundle.version
    )
}

/// `Progressing` once an upgrade was taken back.
pub(crate) fn rolled_back(failed: &FailedUpgrade) -> String {
    format!(
        "the upgrade to {} {} failed and was taken back, and is not tried again until the spec \
         changes or there is another one: {}",
        failed.bundle.package, failed.bundle.version, failed.message
    )
}

/// `Progressing` while an upgrade waits for approval.
pub(crate) fn approval_required(next: &BundleIdentity) -> String {
    format!(
        "the upgrade to {} {} waits for approval: set spec.approvedVersion to {:?}",
        next.package, next.version, next.version
    )
}

/// `Resolved` when a bundle was chosen.
pub(crate) fn resolved_to(image: &str) -> String {
    format!("resolved to {image:?}")
}

/// `Installed` when the bundle runs.
pub(crate) fn installed_from(image: &str) -> String {
    format!("installed from {image:?}")
}

/// `Installed` when the BundleDeployment is not installed.
pub(crate) fn deployment_not_ready(message: &str) -> String {
    format!("bundledeployment not ready: {message}")
}

/// `Installed` for a bundle of a format that no provisioner knows.
pub(crate) fn unknown_media_type(media_type: &str) -> String {
    format!("unknown bundle mediatype: {media_type}")
}

/// What is added to `Installed` while another bundle than the one that runs is being installed.
/// Upstream says nothing there.
pub(crate) fn moving_to(next: &BundleIdentity, message: &str) -> String {
    format!("; moving to {} {}: {message}", next.package, next.version)
}

/// What is added to a refusal where the selector leaves no catalog that could answer.
pub(crate) const NO_CATALOG_SELECTED: &str = ": no Catalog matches spec.catalogSelector";

/// `Installed` when a BundleDeployment of the Operator's name belongs to someone else. Upstream
/// takes it over.
pub(crate) fn foreign_deployment(name: &str, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!(
            "bundledeployment {name:?} exists and belongs to {owner}: rename the Operator, or remove \
             the bundledeployment"
        ),
        None => format!(
            "bundledeployment {name:?} exists and does not belong to this Operator: rename the \
             Operator, or remove the bundledeployment"
        ),
    }
}

/// `Installed` when a BundleDeployment of the Operator's name cannot exist.
pub(crate) fn name_too_long(name: &str, limit: usize) -> String {
    format!(
        "the name of the Operator has {} characters and its bundledeployment, which is named after \
         it, may have {limit}: make an Operator with a shorter name",
        name.len()
    )
}

/// `Resolved` of an Operator whose package another one has.
pub(crate) fn duplicate_package(package: &str, other: &str) -> String {
    let refusal = olm_resolver::Refusal::Duplicate {
        package: package.to_owned(),
        other: other.to_owned(),
    };
    refusal.to_string()
}

/// `Resolved` of an Operator for a package that is there as a dependency.
pub(crate) fn dependency_holds(package: &str, holder: &str) -> String {
    format!(
        "package {package:?} is already installed by Operator {holder:?}, which was made because \
         others require it: change that one as you need it and delete this one: duplicate identifier \
         \"required package {package}\" in input"
    )
}

/// `Installed` while something has to be there before.
pub(crate) fn waiting(waits: &[String]) -> String {
    format!("waiting for dependencies: {}", waits.join("; "))
}

/// `Installed` when the Operator for a dependency cannot be made.
pub(crate) fn dependency_not_made(package: &str, name: &str, why: &str) -> String {
    format!(
        "an Operator {name:?} for package {package:?}, which is required, cannot be made: {why}"
    )
}

/// What is added to `Resolved` while a better bundle is held back.
pub(crate) fn held_back(sentences: &[String]) -> String {
    sentences.iter().fold(String::new(), |mut text, sentence| {
        text.push_str("; ");
        text.push_str(sentence);
        text
    })
}

/// Why a bundle is held back that only leads on from one that failed.
pub(crate) fn behind_failed(beyond: &str, failed: &str) -> String {
    format!(
        "version {beyond} is held back: it is reached only through {failed}, which failed and was taken \
         back: change the spec to have {failed} tried again, or set spec.upgradeConstraintPolicy to \
         Ignore to go past it"
    )
}

/// What is added to a refusal while a catalog that may hold the answer cannot be read.
pub(crate) fn unread_catalog(catalog: &str, error: &str) -> String {
    format!("; catalog {catalog:?} cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_quoted() {
        assert_eq!(resolved_to("a/b@sha256:c"), "resolved to \"a/b@sha256:c\"");
        assert_eq!(installed_from("a/b"), "installed from \"a/b\"");
    }

    #[test]
    fn duplicates_keep_the_phrase_that_tests_match_on() {
        let text = duplicate_package("prometheus", "first");
        assert!(text.contains(r#"duplicate identifier "required package prometheus" in input"#));
    }
}
