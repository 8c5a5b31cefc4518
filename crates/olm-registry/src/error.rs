//! Why a registry did not give or take what was asked.

use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use olm_fs::Digest;

/// A cause below. Causes that are HTTP errors have their URL taken off, as it may hold signatures.
type Cause = Box<dyn Error + Send + Sync>;

/// An operation on a registry that failed. The message names the image and, where the user can do
/// something, what; no message and no `Debug` holds credentials or a URL's query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry has no such image or blob.
    #[error("image `{image}` was not found: check its name, tag or digest")]
    NotFound {
        /// The image, or the image and the part of it.
        image: String,
    },
    /// The registry, or the token service it names, wants other credentials.
    #[error(
        "access to image `{image}` was refused (HTTP {}, {}): check that the image exists and \
         that the pull secret is for its registry and repository",
        status.as_u16(), if *anonymous { "asked without credentials" } else { "asked with credentials" }
    )]
    Unauthorized {
        /// The image.
        image: String,
        /// 401 or 403.
        status: StatusCode,
        /// Whether no credentials were sent.
        anonymous: bool,
    },
    /// Too many requests.
    #[error(
        "registry `{registry}` limits the rate of requests for image `{image}` (HTTP 429): \
         use a pull secret or a mirror, or wait"
    )]
    RateLimited {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// How long the registry wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// Any other answer that is no success.
    #[error("registry `{registry}` answered HTTP {} for image `{image}`{code}", status.as_u16())]
    Status {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// The answer.
        status: StatusCode,
        /// The registry's error code with a blank before and in brackets, or empty.
        code: String,
        /// How long the registry wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// No connection, or it broke: name, network, TLS.
    #[error("registry `{registry}` cannot be reached for image `{image}`")]
    Connect {
        /// The image.
        image: String,
        /// The registry, or the token service it names.
        registry: String,
        /// The cause.
        source: Cause,
    },
    /// No answer in time.
    #[error("registry `{registry}` did not answer in time for image `{image}`")]
    Timeout {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
    },
    /// The answer began and did not end.
    #[error("the body of `{what}` of image `{image}` broke off after {received} bytes")]
    Body {
        /// The image.
        image: String,
        /// The digest or tag of the part.
        what: String,
        /// Bytes received.
        received: u64,
        /// The cause; none when the body ended early without an error.
        source: Option<Cause>,
    },
    /// The answer comes so slowly that it is not waited for.
    #[error(
        "registry `{registry}` is too slow: less than {bytes_per_second} bytes per second of image \
         `{image}` came over {window:?}"
    )]
    TooSlow {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// The least that must come.
        bytes_per_second: u32,
        /// How long that is measured.
        window: Duration,
    },
    /// A part is larger than allowed.
    #[error("`{what}` of image `{image}` is larger than {limit} bytes")]
    TooLarge {
        /// The image.
        image: String,
        /// The digest or tag of the part.
        what: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are others than those asked for.
    #[error("image `{image}`: the registry sent content with digest `{actual}` for `{expected}`")]
    DigestMismatch {
        /// The image.
        image: String,
        /// What was asked for.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The manifest or configuration is not one that can be used.
    #[error("the {what} of image `{image}` cannot be used: {reason}")]
    Manifest {
        /// The image.
        image: String,
        /// `manifest` or `config`.
        what: &'static str,
        /// The reason.
        reason: String,
    },
    /// Docker image manifest version 2, schema 1.
    #[error(
        "image `{image}` has a Docker schema 1 manifest, which is not supported: push it again \
         with a current tool"
    )]
    Schema1 {
        /// The image.
        image: String,
    },
    /// An index with no member that can be used.
    #[error("image `{image}` has no linux member in its index")]
    NoPlatform {
        /// The image.
        image: String,
    },
    /// The token service gave something else than a token.
    #[error("the token service of registry `{registry}` gave no usable token for `{image}`")]
    Token {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
    },
    /// A blob could not be pushed, and no status of an answer says why.
    #[error("image `{image}` cannot be pushed to registry `{registry}`: {reason}")]
    Upload {
        /// The image.
        image: String,
        /// The registry.
        registry: String,
        /// What went wrong.
        reason: &'static str,
    },
    /// This process cannot make the client.
    #[error("the registry client cannot be set up: {reason}")]
    Setup {
        /// The reason.
        reason: &'static str,
        /// The cause.
        source: Option<Cause>,
    },
}

impl RegistryError {
    /// Whether asking again, with nothing changed by anybody, may succeed: connections, timeouts,
    /// slow or broken bodies, 408, 429 and 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::TooSlow { .. }
            | Self::Body { .. }
            | Self::RateLimited { .. } => true,
            Self::Status { status, .. } => {
                status.is_server_error() || *status == StatusCode::REQUEST_TIMEOUT
            }
            _ => false,
        }
    }

    /// Whether the content that was asked for is at fault, and a digest that names it will always
    /// fail: an unusable manifest, a part above its limit, no member for any platform.
    pub const fn is_content(&self) -> bool {
        matches!(
            self,
            Self::Manifest { .. }
                | Self::Schema1 { .. }
                | Self::NoPlatform { .. }
                | Self::TooLarge { .. }
        )
    }

    /// The status of the answer, where there was one.
    pub const fn http_status(&self) -> Option<StatusCode> {
        match self {
            Self::NotFound { .. } => Some(StatusCode::NOT_FOUND),
            Self::RateLimited { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
            Self::Unauthorized { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the registry says that there is no such image.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the registry wants other credentials.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Unauthorized { .. })
    }

    /// Whether the registry limits the rate of requests.
    pub const fn is_rate_limited(&self) -> bool {
        matches!(self, Self::RateLimited { .. })
    }

    /// How long the registry wants to be left alone.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Status { retry_after, .. } => {
                *retry_after
            }
            _ => None,
        }
    }
}
