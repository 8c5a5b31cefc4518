//! A registry in front of a real one, which can be made to answer badly.
//!
//! Repositories below `denied/` are refused with 401, those below `limited/` with 429, and blobs below
//! `half/` break off in the middle, each until [`Proxy::recover`]; everything else is passed on.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;

/// What of an answer is passed on.
const HEADERS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    HeaderName::from_static("docker-content-digest"),
    HeaderName::from_static("docker-distribution-api-version"),
];

#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    well: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone)]
struct Upstream {
    url: String,
    client: reqwest::Client,
    well: Arc<Mutex<BTreeSet<String>>>,
}

impl Proxy {
    /// Starts it, on a thread that lives as long as the process.
    pub(crate) fn start(url: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let well = Arc::new(Mutex::new(BTreeSet::new()));
        let upstream = Upstream {
            url: url.to_owned(),
            client: reqwest::Client::builder().build()?,
            well: Arc::clone(&well),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("no runtime")?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(answer).with_state(upstream);
                axum::serve(listener, router).await.unwrap();
            });
        });
        Ok(Self { address, well })
    }

    /// `127.0.0.1:PORT`, as image references name it.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// From now on it answers well for a repository.
    pub(crate) fn recover(&self, repository: &str) {
        self.well.lock().unwrap().insert(repository.to_owned());
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches("/v2/").to_owned();
    let repository = path.split("/blobs/").next().unwrap_or_default();
    let repository = repository.split("/manifests/").next().unwrap_or_default();
    let ill = !upstream.well.lock().unwrap().contains(repository);
    if ill && repository.starts_with("limited/") {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
        return (StatusCode::TOO_MANY_REQUESTS, body).into_response();
    }
    if ill && repository.starts_with("denied/") {
        let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"e2e\"")];
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#;
        return (StatusCode::UNAUTHORIZED, challenge, body).into_response();
    }
    let half = ill && repository.starts_with("half/") && path.contains("/blobs/");
    match forward(&upstream, request, half).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(upstream: &Upstream, request: Request, half: bool) -> Result<Response> {
    // Its body is not needed, and may not be kept while waiting.
    let (request, _) = request.into_parts();
    let url = format!("{}{}", upstream.url, request.uri);
    let mut asked = upstream.client.request(request.method.clone(), url);
    if let Some(accept) = request.headers.get(header::ACCEPT) {
        asked = asked.header(header::ACCEPT, accept);
    }
    let answer = asked.send().await?;
    let mut response = Response::builder().status(answer.status());
    for name in HEADERS {
        if let Some(value) = answer.headers().get(&name) {
            response = response.header(name, value);
        }
    }
    if request.method == Method::HEAD {
        return Ok(response.body(Body::empty())?);
    }
    let bytes = answer.bytes().await?;
    if !half {
        return Ok(response.body(Body::from(bytes))?);
    }
    let first = bytes.slice(..bytes.len() / 2);
    let first = futures::stream::once(async { Ok(first) });
    let broken = futures::stream::once(async {
        // What came before has to be sent, else the answer never began.
        tokio::task::yield_now().await;
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Ok(response.body(Body::from_stream(first.chain(broken)))?)
}
