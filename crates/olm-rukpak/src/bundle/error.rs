//! Why a pass over a Bundle failed, and when it is worth another try.

use olm_api::names;
use olm_fs::StoreError;
use olm_runtime::phase::TimedOut;
use olm_runtime::status::StatusError;
use olm_runtime::{Failure, Retry};

use crate::format::FormatError;
use crate::messages;
use crate::source::FetchError;

/// Why a Bundle cannot be unpacked or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum BundleError {
    /// The class is this project's and is not built yet.
    #[error(
        "provisioner class \"{0}\" is not supported; supported: {plain}, {registry}",
        plain = names::PROVISIONER_PLAIN,
        registry = names::PROVISIONER_REGISTRY
    )]
    UnsupportedClass(String),
    /// The content cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The content is not a bundle.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The disk refuses.
    #[error("cannot use the content store")]
    Store(#[from] StoreError),
    /// It took too long.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The API server refuses or is away.
    #[error("cannot {0} the Bundle")]
    Api(&'static str, #[source] kube::Error),
    /// The status cannot be written.
    #[error(transparent)]
    Status(#[from] StatusError),
}

impl BundleError {
    /// What the status says of it; nothing where the status is not about that.
    pub(crate) fn message(&self) -> Option<String> {
        let chain = olm_runtime::Chain(self);
        match self {
            Self::Format(_) | Self::UnsupportedClass(_) => Some(chain.to_string()),
            Self::Store(_) => Some(format!("{}{chain}", messages::PERSIST)),
            Self::Api(..) | Self::Status(_) => None,
            _ => Some(format!("{}{chain}", messages::SOURCE)),
        }
    }
}

impl Failure for BundleError {
    fn reason(&self) -> &'static str {
        match self {
            Self::UnsupportedClass(_) => "UnsupportedClass",
            Self::Fetch(error) => error.reason(),
            Self::Format(_) => "InvalidBundle",
            Self::Store(_) => "StoreFailed",
            Self::TimedOut(_) => "TimedOut",
            Self::Api(..) => "APIError",
            Self::Status(_) => "StatusFailed",
        }
    }

    fn retry(&self) -> Retry {
        match self {
            // The spec cannot change, and the same content is as unfit the next time.
            Self::UnsupportedClass(_) | Self::Format(_) => Retry::OnChange,
            Self::Fetch(error) if error.is_terminal() => Retry::OnChange,
            _ => Retry::Backoff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_not_built_yet_is_told_from_those_that_are() {
        let error = BundleError::UnsupportedClass("core-rukpak-io-helm".to_owned());
        let text = "provisioner class \"core-rukpak-io-helm\" is not supported; \
                    supported: core-rukpak-io-plain, core-rukpak-io-registry";
        assert_eq!(error.message().as_deref(), Some(text));
        assert!(matches!(error.retry(), Retry::OnChange));
    }
}
