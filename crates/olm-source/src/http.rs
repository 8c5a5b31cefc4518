//! Content from a tar.gz archive on a web server.

use futures::{StreamExt as _, TryStreamExt as _};
use olm_fs::Store;
use olm_fs::layers::Caps;
use olm_tree::RelPath;

use crate::content::{self, Broken, ContentError, Stored};
use crate::guard::Guard;
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
    /// It cannot be unpacked or stored.
    #[error(transparent)]
    Content(#[from] ContentError),
}

impl HttpError {
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

/// Downloads a tar.gz archive and stores what `folders` keep of it, unpacking it as it comes.
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
    let (url, in_url) = web::parse(url)?;
    let access = WebAccess {
        credentials: access.credentials.clone().or(in_url),
        ..access.clone()
    };
    let answer = web::get(&url, "*/*", &access, guard).await?;
    let shown = web::redacted(&answer.url);
    let mut body = answer.response.bytes_stream().map_err(|error| {
        HttpError::Web(WebError::Failed {
            url: shown.clone(),
            source: Box::new(error.without_url()),
        })
    });
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
