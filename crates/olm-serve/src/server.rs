//! The accept loop: bounded, with timeouts, TLS and graceful shutdown.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};
use tracing::{debug, info, warn};

use crate::request::{Activity, Bounded, Turns, in_turn};
use crate::stall::WriteStall;
use crate::tls::{CertificateSource, TlsError};

/// How long the loop waits after the system refused a connection (usually: no descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why a server could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is not `host:port` or `:port`.
    #[error("`{address}` is not an address of the form host:port")]
    Address {
        /// The address as given.
        address: String,
        /// What the resolver found.
        source: io::Error,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address as given.
        address: String,
        /// What the system answered.
        source: io::Error,
    },
    /// TLS cannot be configured.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

/// What one server grants its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; further ones wait in the system's backlog. Default 512.
    pub connections: usize,
    /// Requests of one connection at the same time (HTTP/2 streams). Default 100.
    pub streams: u32,
    /// Requests of all connections at the same time, each from its headers to the end of its
    /// answer; further ones wait as long as `response`, then get 503. Default 512.
    pub requests: usize,
    /// Time for a TLS handshake. Default 10 s.
    pub handshake: Duration,
    /// Time for the headers of a request, also the time a kept connection may idle. Default 30 s.
    pub headers: Duration,
    /// Time between two pieces of a request body. Default 30 s.
    pub body_idle: Duration,
    /// Size of a request body in bytes. Default 8 MiB.
    pub body_bytes: usize,
    /// Time until the handler has its response head; streaming the body is not counted.
    /// Default 60 s.
    pub response: Duration,
    /// Time in which the client must accept a piece of the answer. Default 60 s.
    pub write_stall: Duration,
    /// Time for a whole answer; what is not sent then is cut off. Default 10 min.
    pub answer: Duration,
    /// Time without a request after which a connection is closed, give or take as much again.
    /// Default 90 s.
    pub idle: Duration,
    /// Age at which a connection is asked to close after the requests under way. Default 1 h.
    pub connection_age: Duration,
    /// Time that requests under way get after the shutdown began. Default 8 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            streams: 100,
            requests: 512,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            body_bytes: 8 << 20,
            response: Duration::from_mins(1),
            write_stall: Duration::from_mins(1),
            answer: Duration::from_mins(10),
            idle: Duration::from_secs(90),
            connection_age: Duration::from_hours(1),
            drain: Duration::from_secs(8),
        }
    }
}

/// A bound HTTP or HTTPS server that has not started to accept.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    tls: Option<Arc<rustls::ServerConfig>>,
    limits: Limits,
}

impl Server {
    /// Binds `address` (`host:port`, or Go's `:port` for all interfaces) for `router`.
    ///
    /// `name` appears in log lines.
    pub async fn bind(
        name: &'static str,
        address: &str,
        router: Router,
    ) -> Result<Self, BindError> {
        let listener = listen(address).await?;
        let local = listener.local_addr().map_err(|source| BindError::Listen {
            address: address.to_owned(),
            source,
        })?;
        Ok(Self {
            name,
            listener,
            address: local,
            router,
            tls: None,
            limits: Limits::default(),
        })
    }

    /// Speaks TLS with the key pair of `source`.
    pub fn tls(mut self, source: &CertificateSource) -> Result<Self, BindError> {
        self.tls = Some(source.server_config()?);
        Ok(self)
    }

    /// Replaces the default limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The address that was bound, with the real port.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `token` is cancelled, then lets requests under way finish for
    /// [`Limits::drain`] and returns with every connection closed.
    pub async fn run(self, token: CancellationToken) {
        let limits = Arc::new(self.limits);
        // The outermost layer is the last one: a panic below any other layer is caught.
        let router = self
            .router
            .layer(DefaultBodyLimit::disable())
            .layer(RequestBodyLimitLayer::new(limits.body_bytes))
            .layer(RequestBodyTimeoutLayer::new(limits.body_idle))
            .layer(axum::middleware::from_fn_with_state(
                Turns::new(limits.requests, limits.answer),
                in_turn,
            ))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::SERVICE_UNAVAILABLE,
                limits.response,
            ))
            .layer(CatchPanicLayer::new());
        let acceptor = self.tls.map(TlsAcceptor::from);
        let slots = Arc::new(Semaphore::new(limits.connections));
        let connections = TaskTracker::new();
        let closing = token.child_token();
        let abort = CancellationToken::new();
        info!(server = self.name, address = %self.address, tls = acceptor.is_some(), "listening");

        loop {
            let slot = tokio::select! {
                () = token.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => match slot {
                    Ok(slot) => slot,
                    Err(_closed) => break,
                },
            };
            let accepted = tokio::select! {
                () = token.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _peer)) => stream,
                Err(error) => {
                    warn!(server = self.name, error = %error, "cannot accept a connection");
                    drop(slot);
                    tokio::select! {
                        () = token.cancelled() => break,
                        () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    }
                    continue;
                }
            };
            let connection = Connection {
                router: router.clone(),
                acceptor: acceptor.clone(),
                limits: Arc::clone(&limits),
                closing: closing.clone(),
            };
            let abort = abort.clone();
            let name = self.name;
            connections.spawn(async move {
                tokio::select! {
                    () = abort.cancelled() => {}
                    outcome = connection.serve(stream) => {
                        if let Err(error) = outcome {
                            debug!(server = name, error, "connection ended");
                        }
                    }
                }
                drop(slot);
            });
        }

        drop(self.listener);
        connections.close();
        if tokio::time::timeout(limits.drain, connections.wait())
            .await
            .is_err()
        {
            warn!(
                server = self.name,
                open = connections.len(),
                "connections cut at shutdown"
            );
            abort.cancel();
            connections.wait().await;
        }
        debug!(server = self.name, "stopped");
    }
}

async fn listen(address: &str) -> Result<TcpListener, BindError> {
    let failed = |source: io::Error| BindError::Listen {
        address: address.to_owned(),
        source,
    };
    if let Some(port) = address.strip_prefix(':') {
        let port = port.parse::<u16>().map_err(|source| BindError::Address {
            address: address.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, source),
        })?;
        // One dual-stack socket where the machine has IPv6, as Go binds `:port`.
        return match TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => Ok(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(failed(error)),
            Err(_no_ipv6) => TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port))
                .await
                .map_err(failed),
        };
    }
    let resolved: Vec<_> = tokio::net::lookup_host(address)
        .await
        .map_err(|source| BindError::Address {
            address: address.to_owned(),
            source,
        })?
        .collect();
    TcpListener::bind(resolved.as_slice()).await.map_err(failed)
}

struct Connection {
    router: Router,
    acceptor: Option<TlsAcceptor>,
    limits: Arc<Limits>,
    closing: CancellationToken,
}

impl Connection {
    async fn serve(self, stream: TcpStream) -> Result<(), String> {
        // Answers are written in whole pieces; Nagle's algorithm would only delay the last one.
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let stream = WriteStall::new(stream, self.limits.write_stall);
        let Some(acceptor) = &self.acceptor else {
            return self.speak_http(stream).await;
        };
        let stream = tokio::time::timeout(self.limits.handshake, acceptor.accept(stream))
            .await
            .map_err(|_elapsed| "the TLS handshake took too long".to_owned())?
            .map_err(|error| format!("TLS handshake failed: {error}"))?;
        self.speak_http(stream).await
    }

    async fn speak_http<S>(&self, stream: S) -> Result<(), String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let mut builder = auto::Builder::new(Bounded {
            limit: limits.response + limits.answer,
        });
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.headers)
            .max_buf_size(64 << 10);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(64 << 10)
            .max_send_buf_size(64 << 10)
            .keep_alive_interval(limits.headers)
            .keep_alive_timeout(limits.handshake);
        let activity = Activity::default();
        let (router, of) = (self.router.clone(), activity.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(of.clone());
            router.clone().oneshot(request)
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let age = tokio::time::sleep(limits.connection_age);
        tokio::pin!(age);
        let mut looks = tokio::time::interval_at(Instant::now() + limits.idle, limits.idle);
        loop {
            tokio::select! {
                outcome = connection.as_mut() => return outcome.map_err(|error| error.to_string()),
                () = self.closing.cancelled() => break,
                () = age.as_mut() => break,
                _ = looks.tick() => if activity.was_idle() {
                    break;
                },
            }
        }
        // Also ends a connection that has not said yet which version of HTTP it speaks.
        connection.as_mut().graceful_shutdown();
        tokio::time::timeout(limits.response + limits.answer, connection)
            .await
            .map_err(|_elapsed| "the last answer took too long".to_owned())?
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
