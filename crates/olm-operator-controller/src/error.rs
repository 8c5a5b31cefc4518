//! What can end a pass over an Operator early.

use olm_runtime::status::StatusError;
use olm_runtime::{Failure, Retry};

/// Why a pass failed. What keeps a bundle from being chosen or installed is no failure of the pass:
/// it is reported in status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PassError {
    /// The API server could not be asked for what is there.
    #[error("cannot read {what} `{name}`")]
    Read {
        /// The kind.
        what: &'static str,
        /// The object.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The BundleDeployment could not be written; the status says so too.
    #[error("cannot write bundledeployment `{name}`")]
    Handover {
        /// The BundleDeployment.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// An Operator for what is required could not be written.
    #[error("cannot write operator `{name}`")]
    Dependency {
        /// The Operator.
        name: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The status could not be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl Failure for PassError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "ReadFailed",
            Self::Handover { .. } => "HandoverFailed",
            Self::Dependency { .. } => "DependencyFailed",
            Self::Status(_) => "StatusFailed",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}
