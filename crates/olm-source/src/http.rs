//! Content from a tar.gz archive on a web server.

use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use olm_fs::Store;
use olm_fs::layers::Caps;
use olm_tree::RelPath;

use crate::content::{self, Broken, ContentError, Stored};
use crate::guard::Guard;
use crate::speed::{self, MinimumSpeed};
use crate::web::{self, Endpoint, WebAccess, WebError};

/// How gzip begins (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An archive that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server does not give it.
    #[error(transparent)]
    Web(#[from] WebError),
    /// It is something else.
    #[error("gzip: invalid header")]
    NoGzip,
    /// Its bytes stopped coming.
    #[error("cannot read the archive")]
    Read(#[source] std::io::Error),
    /// It cannot be unpacked or stored.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl HttpError {
    /// Whether the content itself is at fault, so that the same bytes fail again.
    pub fn is_content(&self) -> bool {
        match self {
            Self::NoGzip => true,
            Self::Content(source) => source.is_content(),
            Self::Web(_) | Self::Read(_) => false,
        }
    }

    /// Whether nothing but another URL can help. What a server has at a URL may change.
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Web(source) if source.is_terminal())
    }
}

/// The server that a URL names.
///
/// # Errors
/// [`WebError::Url`].
pub fn endpoint(url: &str) -> Result<Endpoint, HttpError> {
    let (url, _credentials) = web::parse(url)?;
    Ok(web::endpoint(&url))
}

/// Downloads a tar.gz archive and stores what `folders` keep of it, unpacking it as it comes. A server
/// that sends less than 1 KiB/s over half a minute is not waited for.
///
/// # Errors
/// [`HttpError`].
pub async fn fetch(
    url: &str,
    access: &WebAccess,
    guard: &Guard,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Stored, HttpError> {
    let speed = MinimumSpeed::ARCHIVE;
    fetch_at(speed, url, access, guard, folders, caps, into).await
}

/// The same from a server that is not slower than this.
pub(crate) async fn fetch_at(
    speed: MinimumSpeed,
    url: &str,
    access: &WebAccess,
    guard: &Guard,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Stored, HttpError> {
    let (url, in_url) = web::parse(url)?;
    let access = WebAccess {
        credentials: access.credentials.clone().or(in_url),
        ..access.clone()
    };
    let answer = web::get(&url, "*/*", &access, guard).await?;
    let shown = web::redacted(&answer.url);
    let body = answer.response.bytes_stream().map_err(|error| {
        HttpError::Web(WebError::Failed {
            url: shown.clone(),
            source: Box::new(error.without_url()),
        })
    });
    let body = speed::watched(body, speed, || {
        HttpError::Web(WebError::TooSlow {
            url: shown.clone(),
            bytes_per_second: speed.bytes_per_second,
            window: speed.window,
        })
    });
    store(body, folders, caps, into).await
}

/// Stores what `folders` keep of a tar.gz archive that came from elsewhere.
///
/// # Errors
/// [`HttpError::NoGzip`], [`HttpError::Content`], [`HttpError::Read`].
pub async fn store_archive(
    archive: impl Stream<Item = std::io::Result<Bytes>>,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Stored, HttpError> {
    store(archive.map_err(HttpError::Read), folders, caps, into).await
}

async fn store(
    archive: impl Stream<Item = Result<Bytes, HttpError>>,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Stored, HttpError> {
    let mut body = pin!(archive);
    // Whatever else it is, its first bytes tell.
    let mut first = Vec::new();
    while first.len() < GZIP.len() {
        match body.next().await {
            Some(bytes) => first.extend_from_slice(&bytes?),
            None => break,
        }
    }
    if !first.starts_with(&GZIP) {
        return Err(HttpError::NoGzip);
    }
    let body = futures::stream::iter([Ok(first.into())]).chain(body);
    let pending =
        content::unpack(body, folders, caps, into)
            .await
            .map_err(|broken| match broken {
                Broken::Stream(error) => error,
                Broken::Content(error) => HttpError::Content(error),
            })?;
    Ok(content::commit(pending).await?)
}
