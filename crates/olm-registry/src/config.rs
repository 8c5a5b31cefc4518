//! How a client behaves.

use std::path::PathBuf;
use std::time::Duration;

use crate::mirror::Mirror;

/// What this program calls itself.
pub(crate) const USER_AGENT: &str = concat!("olm-rs/", env!("CARGO_PKG_VERSION"));

/// The behaviour of a [`Client`](crate::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// Registries, as `HOST` or `HOST:PORT`, that are spoken to in plain HTTP. Others are spoken
    /// to in HTTPS; those on this machine (`localhost`, `*.localhost`, 127.0.0.0/8, `::1`) in HTTP
    /// if they speak no HTTPS. Default: none.
    pub plain_http: Vec<String>,
    /// Where images can be had as well. These are asked first, once each, for tags and digests. Default:
    /// none.
    pub mirrors: Vec<Mirror>,
    /// PEM bundles of certificate authorities that are trusted besides the system's. Default:
    /// none.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// A file of at most 4 MiB with more of them. It is looked at before each operation, and where it
    /// has changed, new connections trust what is in it now; one that is gone or damaged leaves
    /// what was in it before in use, and is logged. Default: none.
    pub root_certificate_file: Option<PathBuf>,
    /// `User-Agent` of every request but the uploads of blobs, which have the default. Default:
    /// `olm-rs/VERSION`.
    pub user_agent: String,
    /// Limits of time.
    pub timeouts: Timeouts,
    /// When a request is sent again.
    pub retry: Retry,
    /// Limits of size.
    pub limits: Limits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            plain_http: Vec::new(),
            mirrors: Vec::new(),
            extra_root_certificates: Vec::new(),
            root_certificate_file: None,
            user_agent: USER_AGENT.to_owned(),
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            limits: Limits::default(),
        }
    }
}

/// Limits of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection with its TLS handshake. Default: 8 s.
    pub connect: Duration,
    /// Between two pieces of an answer. Default: 20 s.
    pub read: Duration,
    /// For one operation with its retries and tokens: a manifest, a configuration, the begin of
    /// a layer. The body of a layer may take as long as it keeps coming. Default: 30 s.
    pub operation: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(8),
            read: Duration::from_secs(20),
            operation: Duration::from_secs(30),
        }
    }
}

/// When a request that failed in passing (connection, timeout, broken body, 408, 429, 5xx) is sent
/// again. 401, 403 and 404 never are. Callers have their own, longer backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts; for a blob, how often its body may be taken up again. Default: 2.
    pub times: usize,
    /// First delay, doubled each time, with jitter; before the body of a blob is taken up again,
    /// always this. Default: 500 ms.
    pub delay: Duration,
    /// Longest `Retry-After` that is waited for; a longer one is an error at once, which tells it.
    /// Default: 10 s.
    pub longest_wait: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 2,
            delay: Duration::from_millis(500),
            longest_wait: Duration::from_secs(10),
        }
    }
}

/// Limits of size, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A manifest or index. Default: 4 MiB, which registries enforce as well.
    pub manifest: u64,
    /// The configuration of an image. Default: 4 MiB.
    pub config: u64,
    /// One layer as it arrives. Default: 4 GiB.
    pub blob: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 4 << 20,
            config: 4 << 20,
            blob: 4 << 30,
        }
    }
}
