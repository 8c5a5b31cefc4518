//! Why a pass over a BundleDeployment failed, and when it is worth another try.

use std::time::Duration;

use olm_api::names;
use olm_apply::ApplyError;
use olm_fs::StoreError;
use olm_runtime::status::StatusError;
use olm_runtime::{Failure, Retry};

use super::certificates::CertificateError;
use super::namespace::NamespaceError;
use crate::format::FormatError;
use crate::messages;

/// How soon to look for a kind again that nobody serves yet. Definitions of other
/// BundleDeployments wake those that wait at once; this is for definitions from elsewhere.
const KIND_AGAIN: Duration = Duration::from_secs(15);

/// How soon to look for content again that is about to be fetched.
const CONTENT_AGAIN: Duration = Duration::from_secs(30);

/// Why a BundleDeployment is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DeploymentError {
    /// The class is this project's, and not one of BundleDeployments.
    #[error(
        "provisioner class \"{0}\" is not supported for BundleDeployments; supported: {plain} \
         (for every format of bundles: theirs is the class in spec.template.spec)",
        plain = names::PROVISIONER_PLAIN
    )]
    UnsupportedClass(String),
    /// The API server refuses a Bundle.
    #[error("cannot {operation} Bundle `{bundle}`")]
    Bundle {
        /// What was attempted.
        operation: &'static str,
        /// Name of the Bundle.
        bundle: String,
        /// What the client found.
        source: kube::Error,
    },
    /// A Bundle of the name that the template gives is somebody else's.
    #[error("Bundle `{0}` exists and was not made by this BundleDeployment")]
    ForeignBundle(String),
    /// The content of a Bundle is not in the store.
    #[error("the content of Bundle `{0}` is not in the store and is fetched again")]
    NoContent(String),
    /// The content of a Bundle is neither in the store nor to be had from anywhere but its author.
    #[error(
        "the content of Bundle `{0}` was uploaded and is lost: upload it again; what runs is left \
         as it is until then"
    )]
    UploadLost(String),
    /// The disk refuses.
    #[error("cannot read the content of Bundle `{bundle}`")]
    Store {
        /// Name of the Bundle.
        bundle: String,
        /// What the store found.
        source: StoreError,
    },
    /// The content cannot be turned into objects.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// There is no namespace to install in.
    #[error(transparent)]
    Namespace(#[from] NamespaceError),
    /// The namespace cannot be made.
    #[error("cannot make namespace `{namespace}`")]
    MakeNamespace {
        /// Name of the namespace.
        namespace: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The certificates cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// It is not known what the cluster has.
    #[error("cannot find out who makes certificates in the cluster")]
    Provider(#[source] kube::Error),
    /// The objects cannot be applied, read or removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The API server refuses or is away.
    #[error("cannot {0} the BundleDeployment")]
    Api(&'static str, #[source] kube::Error),
    /// The status cannot be written.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// One that does not decode is being uninstalled; when to look again.
    #[error("objects of the bundle are still being deleted")]
    StillGoing(Duration),
}

impl DeploymentError {
    /// What a condition says of it.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Apply(error) if error.is_unsafe_upgrade() => {
                messages::unsafe_upgrade(&error.message())
            }
            Self::Apply(error) => error.message(),
            other => olm_runtime::Chain(other).to_string(),
        }
    }

    /// Whether the surroundings are in the way, and neither the bundle nor what is asked for: what
    /// is installed stays installed then, and only its repair has to wait.
    pub(crate) fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::Format(_) | Self::Namespace(_) | Self::UnsupportedClass(_)
        )
    }

    /// Whether the same may succeed without anybody changing the bundle or the deployment, and
    /// nothing was decided: such errors do not belong into the status of an installation.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Apply(ApplyError::Refused(_) | ApplyError::Undone(_)) => false,
            Self::Apply(error) => error.is_transient(),
            Self::NoContent(_)
            | Self::Api(..)
            | Self::Provider(_)
            | Self::Status(_)
            | Self::StillGoing(_) => true,
            _ => false,
        }
    }
}

impl Failure for DeploymentError {
    fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedClass(_) => "UnsupportedClass",
            Self::Bundle { .. } | Self::ForeignBundle(_) => "BundleFailed",
            Self::NoContent(_) | Self::UploadLost(_) | Self::Store { .. } => "ContentMissing",
            Self::Format(_) => "BundleLoadFailed",
            Self::Namespace(_) | Self::MakeNamespace { .. } => "NamespaceFailed",
            Self::Certificate(_) | Self::Provider(_) => "CertificateFailed",
            Self::Apply(_) => "ApplyFailed",
            Self::Api(..) => "APIError",
            Self::Status(_) => "StatusFailed",
            Self::StillGoing(_) => "Uninstalling",
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // Neither the content nor the configuration gets better by waiting.
            Self::Format(_) | Self::Namespace(_) | Self::UnsupportedClass(_) => Retry::OnChange,
            Self::NoContent(_) | Self::UploadLost(_) => Retry::After(CONTENT_AGAIN),
            Self::StillGoing(pause) => Retry::After(*pause),
            Self::Apply(error) if error.is_missing_kind() => Retry::After(KIND_AGAIN),
            _ => Retry::Backoff,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("core-rukpak-io-helm")]
    #[case("core-rukpak-io-registry")]
    fn a_class_of_bundles_is_told_from_that_of_deployments(#[case] class: &str) {
        let error = DeploymentError::UnsupportedClass(class.to_owned());
        assert_eq!(
            error.message(),
            format!(
                "provisioner class \"{class}\" is not supported for BundleDeployments; \
                 supported: core-rukpak-io-plain (for every format of bundles: theirs is the \
                 class in spec.template.spec)"
            )
        );
        assert!(!error.is_passing());
        assert!(matches!(error.retry(), Retry::OnChange));
    }

    #[test]
    fn a_lost_upload_is_asked_for_at_once_and_no_fault_of_what_runs() {
        let error = DeploymentError::UploadLost("b".to_owned());
        assert_eq!(
            error.message(),
            "the content of Bundle `b` was uploaded and is lost: upload it again; what runs is \
             left as it is until then"
        );
        assert!(error.is_trouble() && !error.is_passing());
        assert!(DeploymentError::NoContent("b".to_owned()).is_passing());
    }
}
