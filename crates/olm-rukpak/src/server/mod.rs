//! The server of rukpak: the content of Bundles, and what is uploaded for them.
//!
//! ```text
//! GET, HEAD  /bundles/BUNDLE.tgz   the content of a Bundle that is unpacked: its status.contentURL
//! GET, HEAD  /uploads/BUNDLE.tgz   what was uploaded for a Bundle of the type upload
//! PUT        /uploads/BUNDLE.tgz   an upload
//! ```
//!
//! Who may do so, the cluster decides: the bearer of a token needs `get`, or `update` to upload, on
//! the path as a non-resource URL or on the Bundle itself. Archives have the digest of their bytes as
//! entity tag, and are served in ranges.

mod access;
mod content;
mod upload;
mod url;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_fs::Hasher;
use olm_runtime::Chain;
use olm_serve::Limits;
use olm_serve::content::{Content, Encoding, is_read, method_not_allowed, refusal};
use tokio::sync::{Semaphore, mpsc};

pub(crate) use self::url::ContentUrl;
pub use self::url::ExternalAddressError;

use crate::contents::{Contents, blocking};
use crate::uploads::{MAX_ARCHIVE, Uploads};

/// Archives that are received at the same time.
const UPLOADS_AT_ONCE: usize = 4;

/// Bytes by which the server's own limit is above that for archives, whose answer says more.
const SLACK: u64 = 64 << 10;

/// The limits of the server: bodies may be large and take their time.
pub(crate) fn limits() -> Limits {
    Limits {
        connections: 128,
        streams: 8,
        requests: 64,
        body_bytes: usize::try_from(MAX_ARCHIVE + SLACK).unwrap_or(usize::MAX),
        response: Duration::from_mins(5),
        ..Limits::default()
    }
}

/// What the server works with.
pub(crate) struct BundleServer {
    client: Client,
    contents: Contents,
    uploads: Uploads,
    url: ContentUrl,
    /// Whether this replica unpacks: what is uploaded must be on its disk.
    leading: Arc<AtomicBool>,
    /// Told about Bundles that something was uploaded for.
    wake: mpsc::Sender<ObjectRef<Bundle>>,
    slots: Semaphore,
}

/// An answer other than success: a status and a line of text.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// In the words of a file server.
    fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404 page not found")
    }

    /// The API server cannot be asked now.
    fn away(error: &kube::Error) -> Self {
        tracing::warn!(error = %Chain(error), "cannot ask the API server about a request");
        let text = "the API server cannot be asked now; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    /// The disk refuses.
    fn disk(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::warn!(error = %Chain(error), "cannot serve from disk");
        let text = Chain(error).to_string();
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

/// What a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bundle,
    Upload,
}

impl BundleServer {
    /// `leading` is whether this replica acts. Bundles that something was uploaded for are told to
    /// `wake`.
    pub(crate) fn new(
        client: Client,
        contents: Contents,
        uploads: Uploads,
        url: ContentUrl,
        leading: Arc<AtomicBool>,
        wake: mpsc::Sender<ObjectRef<Bundle>>,
    ) -> Self {
        Self {
            client,
            contents,
            uploads,
            url,
            leading,
            wake,
            slots: Semaphore::new(UPLOADS_AT_ONCE),
        }
    }

    /// The routes of the server.
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(answer).with_state(Arc::new(self))
    }

    /// What a path asks for, and of which Bundle.
    fn route<'a>(&self, path: &'a str) -> Option<(Kind, &'a str)> {
        let path = path.strip_prefix(self.url.prefix())?;
        let (kind, file) = match path.strip_prefix("/bundles/") {
            Some(file) => (Kind::Bundle, file),
            None => (Kind::Upload, path.strip_prefix("/uploads/")?),
        };
        // What is no name of an object would change the path of what is asked of the API server.
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let name = file.strip_suffix(".tgz").filter(|name| {
            let bytes = name.as_bytes();
            bytes.first().copied().is_some_and(is_plain)
                && bytes
                    .iter()
                    .all(|byte| is_plain(*byte) || matches!(byte, b'-' | b'.'))
        })?;
        Some((kind, name))
    }

    async fn respond(&self, request: Request) -> Result<Response, Refusal> {
        let (head, body) = request.into_parts();
        let (kind, name) = self.route(head.uri.path()).ok_or_else(Refusal::not_found)?;
        let is_upload = kind == Kind::Upload && head.method == Method::PUT;
        if !is_upload && !is_read(&head.method) {
            return Ok(method_not_allowed());
        }
        let verb = if is_upload { "update" } else { "get" };
        // As roles have it, whatever stands in front of it outside.
        let path = match kind {
            Kind::Bundle => format!("/bundles/{name}.tgz"),
            Kind::Upload => format!("/uploads/{name}.tgz"),
        };
        access::check(&self.client, &head.headers, verb, &path, name).await?;
        match kind {
            Kind::Bundle => self.give_content(&head, name).await,
            Kind::Upload if is_upload => self.take_upload(name, body).await,
            Kind::Upload => self.give_upload(&head, name).await,
        }
    }

    async fn bundle(&self, name: &str) -> Result<Bundle, Refusal> {
        let bundles: Api<Bundle> = Api::all(self.client.clone());
        match bundles.get_opt(name).await {
            Ok(Some(bundle)) => Ok(bundle),
            Ok(None) => {
                let text = format!("bundles.core.rukpak.io {name:?} not found");
                Err(Refusal::new(StatusCode::NOT_FOUND, text))
            }
            Err(error) => Err(Refusal::away(&error)),
        }
    }

    fn leads(&self) -> bool {
        self.leading.load(Ordering::Acquire)
    }
}

async fn answer(State(server): State<Arc<BundleServer>>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = match server.respond(request).await {
        Ok(response) => response,
        Err(Refusal { status, text }) => {
            let mut response = refusal(status, Some(&text));
            if status == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    };
    tracing::debug!(%method, %uri, status = response.status().as_u16(), "handled request");
    response
}

/// Serves an archive: its digest is that of its bytes.
async fn give(head: &Parts, file: std::fs::File) -> Result<Response, Refusal> {
    let content = blocking(move || describe(file)).await;
    let content = content.map_err(|error| Refusal::disk(&error))?;
    Ok(olm_serve::content::respond(
        &head.method,
        &head.headers,
        content,
    ))
}

fn describe(mut file: std::fs::File) -> io::Result<Content> {
    let metadata = file.metadata()?;
    let mut hasher = Hasher::new();
    io::copy(&mut file, &mut hasher)?;
    Ok(Content {
        file: Arc::new(file),
        length: metadata.len(),
        digest: hasher.finish().to_string(),
        modified: metadata.modified().ok(),
        content_type: HeaderValue::from_static("application/gzip"),
        encoding: Encoding::Identity,
    })
}
