//! The content over HTTP: two paths per catalog, the same bytes.
//!
//! ```text
//! GET, HEAD  [PREFIX]/catalogs/NAME/all.json    application/json
//! GET, HEAD  [PREFIX]/catalogs/NAME/api/v1/all  application/jsonl
//! ```
//!
//! Every replica serves, leader or not, from the first moment: what the store holds was whole when
//! the process ended. Validators, ranges and HEAD are those of [`olm_serve::content`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use olm_serve::content::{self, Content, Encoding};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::store::ContentStore;

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

#[derive(Debug)]
struct Server {
    store: Arc<ContentStore>,
    metrics: Metrics,
    /// Path in front of `/catalogs/`, without a slash at its end.
    prefix: String,
}

/// The routes. `prefix` is the path of the external address, which stands before `/catalogs/`.
pub fn router(store: Arc<ContentStore>, metrics: Metrics, prefix: &str) -> Router {
    let prefix = prefix.trim_end_matches('/').to_owned();
    Router::new().fallback(answer).with_state(Arc::new(Server {
        store,
        metrics,
        prefix,
    }))
}

/// The catalog and the media type that a path asks for.
fn route<'a>(prefix: &str, path: &'a str) -> Option<(&'a str, &'static str)> {
    let rest = path.strip_prefix(prefix)?.strip_prefix("/catalogs/")?;
    let (name, rest) = rest.split_once('/')?;
    match rest {
        "all.json" => Some((name, "application/json")),
        "api/v1/all" => Some((name, "application/jsonl")),
        _ => None,
    }
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let begin = Instant::now();
    // The body is of no use here, and not to be held over an await.
    let (head, _body) = request.into_parts();
    let response = respond(&server, &head).await;
    let code = Code {
        code: response.status().as_u16(),
    };
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
    let Some((catalog, kind)) = route(&server.prefix, request.uri.path()) else {
        return not_found();
    };
    let (store, name) = (Arc::clone(&server.store), catalog.to_owned());
    let opened = tokio::task::spawn_blocking(move || store.open_lines(&name)).await;
    let (record, file) = match opened {
        Ok(Ok(Some(found))) => found,
        Ok(Ok(None)) => return not_found(),
        Ok(Err(error)) => {
            tracing::error!(catalog, %error, "cannot open stored content");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Err(error) => {
            tracing::error!(catalog, %error, "cannot open stored content");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let content = Content {
        file,
        length: record.length,
        digest: record.digest.as_str().to_owned(),
        modified: Some(SystemTime::from(record.modified)),
        content_type: HeaderValue::from_static(kind),
        encoding: Encoding::Identity,
        negotiated: false,
    };
    content::respond(&request.method, &request.headers, content).await
}

fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::NOT_FOUND, headers, "404 page not found\n").into_response()
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
