//! A proxy before the API server, which counts writes and can let each of them, and each watch, go
//! wrong.
//!
//! It speaks for whoever asks: credentials are passed on as they are. A write is what changes
//! objects: not a dry run, not a review, and not a Lease or an Event, which are written whenever
//! time passes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum_server::tls_rustls::RustlsConfig;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::io::StreamReader;

use crate::certificates::Authority;
use crate::kubeconfig::{self, User};
use crate::process::lock;

/// Largest request; the API server takes 3 MiB.
const MAX_BODY: usize = 8 << 20;
/// Longest line of a watch: an object, of which the database takes 1.5 MiB.
const MAX_EVENT: usize = 16 << 20;
/// A watch breaks off before each event of this number.
const CUT_EVERY: usize = 4;

/// What happens to all requests of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// All is passed on.
    #[default]
    Fair,
    /// Every other write of a path, the first one too, is refused with 409 and not passed on.
    Conflicts,
    /// Every other watch of a path, the first one too, is told that its version is gone (410).
    Gone,
    /// Watches break off before every fourth event.
    Cut,
    /// Watches tell every event twice.
    Twice,
}

/// When a write is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before it is passed on; it never is.
    Before,
    /// After the API server answered; nobody learns the answer.
    After,
}

/// What is done at a write.
type Action = Box<dyn FnOnce() + Send>;

struct Strike {
    write: usize,
    moment: Moment,
    action: Action,
}

#[derive(Default)]
struct Plan {
    weather: Weather,
    /// The writes since the count began.
    writes: Vec<String>,
    /// What else was sent that is more than a question.
    passing: Vec<String>,
    strike: Option<Strike>,
    /// How often each was asked for, by method and path.
    asked: HashMap<String, usize>,
    events: usize,
}

/// The proxy; it ends with the process.
pub struct ApiProxy {
    kubeconfig: PathBuf,
    plan: Arc<Mutex<Plan>>,
}

impl std::fmt::Debug for ApiProxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ApiProxy")
            .field("kubeconfig", &self.kubeconfig)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Upstream {
    url: String,
    client: reqwest::Client,
    plan: Arc<Mutex<Plan>>,
}

impl ApiProxy {
    /// Starts one before the API server of the kubeconfig `like`; its own files go to `folder`.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read, or nothing can be listened on.
    pub async fn start(like: &Path, folder: &Path) -> Result<Self> {
        crate::certificates::install_provider();
        let config = Config::from_custom_kubeconfig(
            Kubeconfig::read_from(like)?,
            &KubeConfigOptions::default(),
        )
        .await?;
        let roots = config.root_cert.unwrap_or_default();
        let roots = roots
            .iter()
            .map(|der| reqwest::Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()?;
        let plan = Arc::<Mutex<Plan>>::default();
        let upstream = Upstream {
            url: config
                .cluster_url
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
            client: reqwest::Client::builder()
                .tls_certs_only(roots)
                .no_gzip()
                .no_proxy()
                .build()?,
            plan: Arc::clone(&plan),
        };
        let authority = Authority::new("proxy")?;
        let identity = authority.server(&["127.0.0.1"])?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address: SocketAddr = listener.local_addr()?;
        let kubeconfig = kubeconfig::write(
            folder.join("proxy.kubeconfig"),
            &format!("https://{address}"),
            &authority.certificate(),
            &User::Token("replaced by that of who uses it"),
        )?;
        let tls = RustlsConfig::from_pem(identity.certificate.into(), identity.key.into()).await?;
        let router = Router::new().fallback(answer).with_state(upstream);
        let runtime = crate::runtime()?;
        let server = {
            // Its socket belongs to the runtime that outlives the tests.
            let _entered = runtime.enter();
            axum_server::from_tcp_rustls(listener, tls)?
        };
        runtime.spawn(server.serve(router.into_make_service()));
        Ok(Self { kubeconfig, plan })
    }

    /// A kubeconfig that leads here; it holds no valid credentials.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on requests meet this.
    pub fn weather(&self, weather: Weather) {
        let mut plan = lock(&self.plan);
        plan.weather = weather;
        plan.asked.clear();
        plan.events = 0;
    }

    /// Counts writes from now on, and forgets what was to be struck.
    pub fn count(&self) {
        let mut plan = lock(&self.plan);
        plan.writes.clear();
        plan.passing.clear();
        plan.strike = None;
    }

    /// The writes since the count began, as `METHOD PATH`.
    pub fn writes(&self) -> Vec<String> {
        lock(&self.plan).writes.clone()
    }

    /// What was sent since the count began and changes nothing or only passing things, as
    /// `METHOD PATH`: Leases, Events, dry runs, reviews and tokens.
    pub fn passing(&self) -> Vec<String> {
        lock(&self.plan).passing.clone()
    }

    /// What was sent since the count began besides renewals of Leases, as `METHOD PATH`, and how many
    /// renewals there were: a controller at rest sends nothing else.
    pub fn besides_renewals(&self) -> (Vec<String>, usize) {
        let mut sent = self.writes();
        let (renewals, others): (Vec<_>, Vec<_>) = self
            .passing()
            .into_iter()
            .partition(|request| request.contains("/leases/"));
        sent.extend(others);
        (sent, renewals.len())
    }

    /// Counts from now on, and does `action` once at the `write`th write, counted from one.
    pub fn strike(&self, write: usize, moment: Moment, action: impl FnOnce() + Send + 'static) {
        let mut plan = lock(&self.plan);
        plan.writes.clear();
        plan.strike = Some(Strike {
            write,
            moment,
            action: Box::new(action),
        });
    }

    /// Whether what was to be struck still waits for its write.
    pub fn waits(&self) -> bool {
        lock(&self.plan).strike.is_some()
    }
}

impl Plan {
    /// Whether a request of `key` is one of those, every other one, that go wrong.
    fn goes_wrong(&mut self, key: String) -> bool {
        let times = self.asked.entry(key).or_default();
        *times += 1;
        *times % 2 == 1
    }

    /// What a watch delivers for an event.
    fn event(&mut self, line: String) -> Vec<std::io::Result<Bytes>> {
        self.events += 1;
        let line = Bytes::from(line + "\n");
        match self.weather {
            Weather::Cut if self.events.is_multiple_of(CUT_EVERY) => {
                vec![Err(std::io::Error::from(
                    std::io::ErrorKind::ConnectionReset,
                ))]
            }
            Weather::Twice => vec![Ok(line.clone()), Ok(line)],
            _ => vec![Ok(line)],
        }
    }
}

async fn answer(State(upstream): State<Upstream>, request: Request) -> Response {
    let watch = request.method() == Method::GET && has(request.uri(), "watch=", &["true", "1"]);
    let result = if watch {
        watched(&upstream, request).await
    } else if is_write(request.method(), request.uri()) {
        written(&upstream, request).await
    } else {
        if changes(request.method()) {
            let sent = format!("{} {}", request.method(), request.uri().path());
            lock(&upstream.plan).passing.push(sent);
        }
        passed_on(&upstream, request).await
    };
    result.unwrap_or_else(|error| {
        let message = format!("the proxy cannot ask the API server: {error:#}");
        status(StatusCode::BAD_GATEWAY, "BadGateway", &message)
    })
}

fn has(uri: &Uri, key: &str, values: &[&str]) -> bool {
    uri.query().unwrap_or_default().split('&').any(|part| {
        part.strip_prefix(key)
            .is_some_and(|value| values.contains(&value))
    })
}

fn changes(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method)
}

fn is_write(method: &Method, uri: &Uri) -> bool {
    let passing = ["/leases", "/events", "reviews", "/token"];
    changes(method)
        && !has(uri, "dryRun=", &["All"])
        && !passing.iter().any(|kind| uri.path().contains(kind))
}

async fn passed_on(upstream: &Upstream, request: Request) -> Result<Response> {
    let answer = forward(upstream, request).await?;
    let (code, headers) = head(&answer);
    let body = Body::from_stream(answer.bytes_stream());
    Ok((code, headers, body).into_response())
}

async fn written(upstream: &Upstream, request: Request) -> Result<Response> {
    let write = format!("{} {}", request.method(), request.uri().path());
    let (strike, refused) = {
        let mut plan = lock(&upstream.plan);
        plan.writes.push(write.clone());
        let now = plan.writes.len();
        let strike = plan.strike.take_if(|strike| strike.write == now);
        let refused = plan.weather == Weather::Conflicts && plan.goes_wrong(write);
        (strike, refused)
    };
    if refused {
        let message =
            "the object has been modified; please apply your changes to the latest version";
        return Ok(status(StatusCode::CONFLICT, "Conflict", message));
    }
    let strike = match strike {
        Some(strike) if strike.moment == Moment::Before => {
            (strike.action)();
            return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
        }
        strike => strike,
    };
    let answer = forward(upstream, request).await?;
    let (code, headers) = head(&answer);
    let body = answer.bytes().await?;
    if let Some(strike) = strike {
        (strike.action)();
    }
    Ok((code, headers, body).into_response())
}

async fn watched(upstream: &Upstream, mut request: Request) -> Result<Response> {
    let wrong = {
        let mut plan = lock(&upstream.plan);
        let key = format!("WATCH {}", request.uri().path());
        plan.weather == Weather::Gone && plan.goes_wrong(key)
    };
    if wrong {
        let gone =
            json!({"type": "ERROR", "object": failure(410, "Expired", "too old resource version")});
        return Ok(format!("{gone}\n").into_response());
    }
    // Events are told apart by line, which compressed ones are not.
    request.headers_mut().remove(header::ACCEPT_ENCODING);
    let answer = forward(upstream, request).await?;
    let (code, headers) = head(&answer);
    let plan = Arc::clone(&upstream.plan);
    let bytes = answer.bytes_stream().map_err(std::io::Error::other);
    let codec = LinesCodec::new_with_max_length(MAX_EVENT);
    let events = FramedRead::new(StreamReader::new(bytes), codec).flat_map(move |line| {
        stream::iter(match line {
            Ok(line) => lock(&plan).event(line),
            Err(error) => vec![Err(std::io::Error::other(error))],
        })
    });
    Ok((code, headers, Body::from_stream(events)).into_response())
}

async fn forward(upstream: &Upstream, request: Request) -> Result<reqwest::Response> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await?;
    for name in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION] {
        parts.headers.remove(name);
    }
    let target = parts
        .uri
        .path_and_query()
        .context("a request without a path")?;
    let asked = upstream
        .client
        .request(parts.method, format!("{}{target}", upstream.url))
        .headers(parts.headers)
        .body(body);
    Ok(asked.send().await?)
}

/// Status and headers of an answer, without those that speak of the connection.
fn head(answer: &reqwest::Response) -> (StatusCode, HeaderMap) {
    let mut headers = answer.headers().clone();
    for name in [
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::CONNECTION,
    ] {
        headers.remove(name);
    }
    (answer.status(), headers)
}

fn failure(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    (code, axum::Json(failure(code.as_u16(), reason, message))).into_response()
}
