//! What ends a pass over a Catalog.

use std::time::Duration;

use olm_api::conditions::unpack;
use olm_registry::RegistryError;
use olm_runtime::status::StatusError;
use olm_runtime::{Failure, Retry};
use olm_source::SourceError;

use crate::messages;

/// The content that a Catalog asks for cannot be served; the message is that of its condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Unserved {
    /// A reason of the condition `Unpacked`.
    pub(crate) reason: &'static str,
    /// The whole message.
    pub(crate) message: String,
    /// When to try again.
    pub(crate) retry: Retry,
}

impl Unserved {
    /// A failure before the content is stored, for which only a change of the object helps.
    pub(crate) fn terminal(cause: &str) -> Self {
        Self {
            retry: Retry::OnChange,
            ..Self::passing(cause)
        }
    }

    /// A failure before the content is stored, which is tried again.
    pub(crate) fn passing(cause: &str) -> Self {
        Self {
            reason: unpack::FAILED,
            message: messages::source_failed(cause),
            retry: Retry::Backoff,
        }
    }

    /// The image cannot be had; `terminal` as [`SourceError::is_terminal`] says.
    pub(crate) fn source(error: &SourceError, terminal: bool) -> Self {
        let wait = error.registry().and_then(RegistryError::retry_after);
        let retry = match wait {
            _ if terminal => Retry::OnChange,
            Some(wait) => Retry::After(wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)),
            None => Retry::Backoff,
        };
        Self {
            retry,
            ..Self::passing(&error.report())
        }
    }

    /// The content cannot be stored.
    pub(crate) fn store(cause: &str, terminal: bool) -> Self {
        Self {
            reason: unpack::FAILED_TO_STORE,
            message: messages::store_failed(cause),
            retry: if terminal {
                Retry::OnChange
            } else {
                Retry::Backoff
            },
        }
    }

    /// Whether only a change of the object helps.
    pub(crate) fn is_terminal(&self) -> bool {
        self.retry == Retry::OnChange
    }
}

/// Shortest time that a registry may ask to be left alone.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// Longest time that is waited because a registry asked for it.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Why a pass over a Catalog failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// The content cannot be served, and the status says so.
    #[error(transparent)]
    Unserved(#[from] Unserved),
    /// The status cannot be written.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// The finalizer cannot be written.
    #[error("cannot write the finalizer of catalog `{catalog}`")]
    Finalizer {
        /// The catalog.
        catalog: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The Catalog cannot be read.
    #[error("cannot read catalog `{catalog}`")]
    Read {
        /// The catalog.
        catalog: String,
        /// What the client found.
        source: kube::Error,
    },
    /// The clean-up before deletion failed, and the status says so.
    #[error("{0}")]
    Delete(String),
    /// The Catalog is not what the pass began with any more; the next pass does what it says now.
    #[error("the catalog has changed meanwhile")]
    Superseded,
    /// The process is ending; whoever comes next goes on.
    #[error("the process is ending")]
    Ending,
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unserved(failure) => failure.reason,
            Self::Status(_) => "StatusNotWritten",
            Self::Finalizer { source, .. } | Self::Read { source, .. } => source.reason(),
            Self::Delete(_) => unpack::FAILED_TO_DELETE,
            Self::Superseded => "Superseded",
            Self::Ending => "Ending",
        }
    }

    fn retry(&self) -> Retry {
        match self {
            Self::Unserved(failure) => failure.retry,
            // Another writer was faster; its change is already on the way here.
            Self::Finalizer {
                source: kube::Error::Api(answer),
                ..
            } if answer.is_conflict() => Retry::After(Duration::from_millis(200)),
            // The change may reach the passes a little later than those who ended this one.
            Self::Superseded => Retry::After(Duration::from_millis(50)),
            Self::Ending => Retry::After(Duration::from_secs(1)),
            Self::Status(_) | Self::Finalizer { .. } | Self::Read { .. } | Self::Delete(_) => {
                Retry::Backoff
            }
        }
    }
}
