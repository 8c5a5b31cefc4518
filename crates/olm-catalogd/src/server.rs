//! The content over HTTP: three paths per catalog, the same bytes.
//!
//! ```text
//! GET, HEAD  [PREFIX]/catalogs/NAME/all.json      application/json
//! GET, HEAD  [PREFIX]/catalogs/NAME/api/v1/all    application/jsonl
//! GET, HEAD  [PREFIX]/catalogs/NAME/api/v1/metas  application/jsonl, selected lines
//! ```
//!
//! Every replica serves, leader or not, from the first moment: what the store holds was whole when
//! the process ended. Validators, ranges, encodings and HEAD are those of [`olm_serve::content`]; the
//! entity tag of all three is the digest in `status.contentDigest`, so that a reader who sends it as
//! `If-Match` gets the lines that the status speaks of or 412, from whichever replica.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use olm_serve::content::{self, Encoding};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tracing::debug;

use crate::metas::Query;
use crate::store::{Content, ContentStore};

/// Selections that are looked up at the same time; each reads the index from disk.
const SELECTIONS: usize = 8;

/// Content below this is not worth compressing, in bytes (specification of catalogd, 11.5).
const COMPRESSED_MIN: u64 = 1400;

/// Bounds of the histogram of request durations, in seconds (specification of catalogd, 8).
const BUCKETS: [f64; 19] = [
    0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.6, 2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 10.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

/// Durations of requests to the content server, from the request's head to the answer's last byte.
#[derive(Clone, Debug)]
pub struct Metrics {
    durations: Family<Code, Histogram, fn() -> Histogram>,
}

impl Metrics {
    /// Registers the metric `catalogd_http_request_duration_seconds`.
    pub fn register(registry: &mut Registry) -> Self {
        let durations: Family<Code, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register(
            "catalogd_http_request_duration_seconds",
            "Histogram of request duration in seconds",
            durations.clone(),
        );
        Self { durations }
    }
}

/// Lines that are looked at without another thread, which would take longer to wake.
const AT_ONCE: u32 = 128;

#[derive(Debug)]
struct Server {
    store: Arc<ContentStore>,
    metrics: Metrics,
    /// Path in front of `/catalogs/`, without a slash at its end.
    prefix: String,
    selections: Semaphore,
}

/// The routes. `prefix` is the path of the external address, which stands before `/catalogs/`.
pub fn router(store: Arc<ContentStore>, metrics: Metrics, prefix: &str) -> Router {
    let prefix = prefix.trim_end_matches('/').to_owned();
    Router::new().fallback(answer).with_state(Arc::new(Server {
        store,
        metrics,
        prefix,
        selections: Semaphore::new(SELECTIONS),
    }))
}

/// What a path asks for of a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// `all.json`, the address in `status.contentURL`.
    File,
    /// `api/v1/all`.
    All,
    /// `api/v1/metas`.
    Metas,
}

impl Endpoint {
    const fn content_type(self) -> HeaderValue {
        match self {
            Self::File => HeaderValue::from_static("application/json"),
            Self::All | Self::Metas => HeaderValue::from_static("application/jsonl"),
        }
    }

    /// The answer for a catalog that is not served. The file is spoken of as a file server would.
    fn unknown_catalog(self) -> Response {
        match self {
            Self::File => no_route(),
            Self::All | Self::Metas => content::refusal(StatusCode::NOT_FOUND, None),
        }
    }

    /// The answer where no catalog can have that name.
    fn bad_name(self, problem: &str) -> Response {
        match self {
            Self::File => no_route(),
            Self::All | Self::Metas => {
                let message = format!("invalid catalog name: {problem}");
                content::refusal(StatusCode::BAD_REQUEST, Some(&message))
            }
        }
    }
}

/// The catalog and the endpoint that a path names.
fn route<'a>(prefix: &str, path: &'a str) -> Option<(&'a str, Endpoint)> {
    let rest = path.strip_prefix(prefix)?.strip_prefix("/catalogs/")?;
    let (name, rest) = rest.split_once('/')?;
    let endpoint = match rest {
        "all.json" => Endpoint::File,
        "api/v1/all" => Endpoint::All,
        "api/v1/metas" => Endpoint::Metas,
        _ => return None,
    };
    (!name.is_empty()).then_some((name, endpoint))
}

/// Why no catalog can have that name, in the words of the API server; `None` where one can.
fn name_problem(name: &str) -> Option<&'static str> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(inner)
            && bytes.last().copied().is_some_and(inner)
            && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
    };
    if name.len() > 253 {
        return Some("must be no more than 253 characters");
    }
    (!name.split('.').all(label)).then_some(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
         '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used \
         for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let begin = Instant::now();
    // The body is of no use here, and not to be held over an await.
    let (head, _body) = request.into_parts();
    let response = respond(&server, &head).await;
    let code = Code {
        code: response.status().as_u16(),
    };
    debug!(method = %head.method, uri = %head.uri, status = code.code, "handled request");
    let metrics = server.metrics.clone();
    response.map(|inner| {
        Body::new(Timed {
            inner,
            begin,
            code,
            metrics,
        })
    })
}

async fn respond(server: &Server, request: &Parts) -> Response {
    let Some((catalog, endpoint)) = route(&server.prefix, request.uri.path()) else {
        return no_route();
    };
    if !content::is_read(&request.method) {
        return content::method_not_allowed();
    }
    if let Some(problem) = name_problem(catalog) {
        return endpoint.bad_name(problem);
    }
    let query = match endpoint {
        Endpoint::Metas => Query::parse(request.uri.query()),
        Endpoint::File | Endpoint::All => Ok(Query::default()),
    };
    let Ok(query) = query else {
        return content::refusal(StatusCode::BAD_REQUEST, None);
    };
    let found = match server.store.open_content(catalog) {
        Ok(Some(found)) => found,
        Ok(None) => return endpoint.unknown_catalog(),
        Err(error) => return broken(catalog, &error),
    };
    if query.is_all() {
        whole(request, &found, endpoint)
    } else {
        selected(server, request, catalog, found, query).await
    }
}

/// Everything that a catalog has, in the form that the reader prefers.
fn whole(request: &Parts, found: &Content, endpoint: Endpoint) -> Response {
    let mut forms = vec![Encoding::Identity];
    let compressed = [(Encoding::Gzip, &found.gzip), (Encoding::Zstd, &found.zstd)];
    for (encoding, form) in &compressed {
        if form.is_some() {
            // The best of equals comes first.
            forms.insert(0, *encoding);
        }
    }
    let chosen = if found.len < COMPRESSED_MIN {
        content::negotiate(&request.headers, &[Encoding::Identity])
    } else {
        None
    };
    let chosen = chosen.or_else(|| content::negotiate(&request.headers, &forms));
    let Some(encoding) = chosen else {
        return content::not_acceptable();
    };
    let form = compressed
        .into_iter()
        .find(|(other, _)| *other == encoding)
        .and_then(|(_, form)| form.as_ref());
    let (file, length) = form.map_or((&found.lines, found.len), |(file, length)| (file, *length));
    let content = content::Content {
        file: Arc::clone(file),
        length,
        ..plain(found, endpoint)
    };
    let content = content::Content {
        encoding,
        ..content
    };
    content::respond(&request.method, &request.headers, content)
}

/// The lines that are asked for, as they are in the file and in its order.
async fn selected(
    server: &Server,
    request: &Parts,
    catalog: &str,
    found: Content,
    query: Query,
) -> Response {
    let (method, headers) = (&request.method, &request.headers);
    if content::negotiate(headers, &[Encoding::Identity]).is_none() {
        return content::not_acceptable();
    }
    let answer = plain(&found, Endpoint::Metas);
    if let Some(answer) = content::precondition(method, headers, &answer) {
        return answer;
    }
    match found
        .index
        .select_within(query.schema(), query.package(), query.name(), AT_ONCE)
    {
        Ok(Some(parts)) => return content::respond_parts(method, headers, answer, parts),
        Ok(None) => {}
        Err(error) => return broken(catalog, &error),
    }
    let Ok(_turn) = server.selections.acquire().await else {
        return content::refusal(StatusCode::SERVICE_UNAVAILABLE, None);
    };
    let index = Arc::clone(&found.index);
    let select = move || index.select(query.schema(), query.package(), query.name());
    match tokio::task::spawn_blocking(select).await {
        Ok(Ok(parts)) => content::respond_parts(method, headers, answer, parts),
        Ok(Err(error)) => broken(catalog, &error),
        Err(error) => broken(catalog, &error),
    }
}

/// The plain form of a content.
fn plain(found: &Content, endpoint: Endpoint) -> content::Content {
    content::Content {
        file: Arc::clone(&found.lines),
        length: found.len,
        digest: found.digest.as_str().to_owned(),
        modified: Some(SystemTime::from(found.modified)),
        content_type: endpoint.content_type(),
        encoding: Encoding::Identity,
    }
}

fn no_route() -> Response {
    content::refusal(StatusCode::NOT_FOUND, Some("404 page not found"))
}

fn broken(catalog: &str, error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(catalog, error = %olm_runtime::Chain(error), "cannot read stored content");
    content::refusal(StatusCode::INTERNAL_SERVER_ERROR, None)
}

/// A body that reports, when it is dropped, how long the request took.
struct Timed {
    inner: Body,
    begin: Instant,
    code: Code,
    metrics: Metrics,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        let seconds = self.begin.elapsed().as_secs_f64();
        self.metrics
            .durations
            .get_or_create(&self.code)
            .observe(seconds);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
