#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, Bytes};
use axum::routing::get;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;

use super::*;

async fn boom() -> &'static str {
    panic!("boom")
}

async fn start(router: Router, limits: Limits) -> (SocketAddr, CancellationToken, TaskTracker) {
    let token = CancellationToken::new();
    let server = Server::bind("test", "127.0.0.1:0", router)
        .await
        .unwrap()
        .limits(limits);
    let address = server.local_address();
    let tasks = TaskTracker::new();
    tasks.spawn(server.run(token.clone()));
    tasks.close();
    (address, token, tasks)
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_panicking_handler_answers_500_and_the_next_request_is_served() {
    let router = Router::new()
        .route("/boom", get(boom))
        .route("/fine", get(|| async { "fine" }));
    let (address, token, tasks) = start(router, Limits::default()).await;
    let boom = exchange(TcpStream::connect(address).await.unwrap(), "/boom").await;
    assert!(boom.starts_with("HTTP/1.1 500"), "{boom}");
    let fine = exchange(TcpStream::connect(address).await.unwrap(), "/fine").await;
    assert!(
        fine.starts_with("HTTP/1.1 200") && fine.ends_with("fine"),
        "{fine}"
    );
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn shutdown_lets_the_request_under_way_finish() {
    let entered = Arc::new(Notify::new());
    let leave = Arc::new(Notify::new());
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        move || async move {
            entered.notify_one();
            leave.notified().await;
            "done"
        }
    };
    let (address, token, tasks) = start(
        Router::new().route("/slow", get(handler)),
        Limits::default(),
    )
    .await;
    let stream = TcpStream::connect(address).await.unwrap();
    let client = tokio::spawn(exchange(stream, "/slow"));
    entered.notified().await;
    token.cancel();
    leave.notify_one();
    assert!(client.await.unwrap().ends_with("done"));
    tasks.wait().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn shutdown_cuts_a_request_that_outlives_the_grace() {
    let entered = Arc::new(Notify::new());
    let seen = Arc::clone(&entered);
    let handler = move || async move {
        seen.notify_one();
        std::future::pending::<()>().await;
    };
    let limits = Limits {
        drain: Duration::from_millis(20),
        ..Limits::default()
    };
    let (address, token, tasks) = start(Router::new().route("/", get(handler)), limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    entered.notified().await;
    token.cancel();
    tasks.wait().await;
    let mut rest = Vec::new();
    let _cut = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

/// Asks for `/`, which answers `hello`, and leaves the connection open.
async fn hello(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
    }
}

/// Number of exchanges in which a server on the same thread gets to see whatever else is there.
const ROUNDS: usize = 50;

#[tokio::test]
async fn connections_above_the_cap_wait_for_a_free_slot() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let router = Router::new().route("/", get(async || "hello"));
    let (address, token, tasks) = start(router, limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    hello(&mut first).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..ROUNDS {
        hello(&mut first).await;
    }
    let early = second.try_read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(early, Err(io::ErrorKind::WouldBlock), "it did not wait");
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    token.cancel();
    tasks.wait().await;
}

async fn http2(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn streams_above_the_cap_of_a_connection_wait() {
    let entered = Arc::new(AtomicUsize::new(0));
    let leave = Arc::new(Notify::new());
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        async move || {
            entered.fetch_add(1, Ordering::SeqCst);
            leave.notified().await;
        }
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/slow", get(handler));
    let limits = Limits {
        streams: 2,
        ..Limits::default()
    };
    let (address, token, tasks) = start(router, limits).await;
    let mut client = http2(address).await;
    // The first answer has brought the limit to the client.
    client.send_request(request("http://x/")).await.unwrap();
    let slow: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client.send_request(request("http://x/slow"))))
        .collect();
    let mut other = TcpStream::connect(address).await.unwrap();
    while entered.load(Ordering::SeqCst) < 2 {
        hello(&mut other).await;
    }
    for _ in 0..ROUNDS {
        hello(&mut other).await;
    }
    assert_eq!(entered.load(Ordering::SeqCst), 2, "the third did not wait");
    leave.notify_waiters();
    while entered.load(Ordering::SeqCst) < 3 {
        hello(&mut other).await;
    }
    leave.notify_waiters();
    for slow in slow {
        assert!(slow.await.unwrap().unwrap().status().is_success());
    }
    drop((client, other));
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn requests_above_the_cap_are_refused_when_none_ends_in_time() {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let end = Arc::new(std::sync::Mutex::new(Some(receiver)));
    let endless = async move || {
        let end = end.lock().unwrap().take().unwrap();
        Body::from_stream(futures::stream::once(
            async move { end.await.map(|()| "ended") },
        ))
    };
    let router = Router::new()
        .route("/", get(async || "hello"))
        .route("/endless", get(endless));
    let limits = Limits {
        requests: 1,
        response: Duration::from_millis(50),
        ..Limits::default()
    };
    let (address, token, tasks) = start(router, limits).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    first
        .write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    first.read_buf(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let refused = exchange(TcpStream::connect(address).await.unwrap(), "/").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    sender.send(()).unwrap();
    first.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(b"ended\r\n0\r\n\r\n"));
    let served = exchange(TcpStream::connect(address).await.unwrap(), "/").await;
    assert!(served.ends_with("hello"), "{served}");
    token.cancel();
    tasks.wait().await;
}

fn without_end() -> Router {
    let drops = || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, io::Error>("drop")));
    let nothing = || Body::from_stream(futures::stream::pending::<io::Result<Bytes>>());
    Router::new()
        .route("/drops", get(async move || drops()))
        .route("/nothing", get(async move || nothing()))
}

fn impatient() -> Limits {
    Limits {
        response: Duration::from_millis(10),
        answer: Duration::from_millis(20),
        ..Limits::default()
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_broken_off() {
    let (address, token, tasks) = start(without_end(), impatient()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /drops HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(!answer.ends_with(b"0\r\n\r\n"), "it looks complete");
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn a_stream_that_takes_too_long_is_reset_also_where_nothing_moves() {
    let (address, token, tasks) = start(without_end(), impatient()).await;
    let mut client = http2(address).await;
    for path in ["http://x/drops", "http://x/nothing"] {
        let reset = match client.send_request(request(path)).await {
            Err(_) => true,
            Ok(answer) => {
                let mut body = answer.into_body();
                loop {
                    match body.frame().await {
                        Some(Ok(_)) => {}
                        other => break matches!(other, Some(Err(_))),
                    }
                }
            }
        };
        assert!(reset, "{path}");
    }
    drop(client);
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let limits = Limits {
        idle: Duration::from_millis(20),
        headers: Duration::from_hours(1),
        ..Limits::default()
    };
    let router = Router::new().route("/", get(async || "hello"));
    let (address, token, tasks) = start(router, limits).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    hello(&mut kept).await;
    let mut client = http2(address).await;
    client.send_request(request("http://x/")).await.unwrap();
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    assert_eq!(kept.read(&mut [0; 1]).await.unwrap(), 0);
    while client.ready().await.is_ok() {
        tokio::task::yield_now().await;
    }
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let limits = Limits {
        headers: Duration::from_millis(20),
        ..Limits::default()
    };
    let (address, token, tasks) =
        start(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    let _cut = stream.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    token.cancel();
    tasks.wait().await;
}

#[tokio::test]
async fn a_new_certificate_serves_new_connections_and_drops_no_open_one() {
    let source = CertificateSource::new();
    let token = CancellationToken::new();
    let router = Router::new().route("/", get(|| async { "hello" }));
    let server = Server::bind("test", "127.0.0.1:0", router)
        .await
        .unwrap()
        .tls(&source)
        .unwrap();
    let address = server.local_address();
    let running = tokio::spawn(server.run(token.clone()));

    let mut open = Vec::new();
    for _ in 0..2 {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        source
            .set_pem(
                certificate.as_bytes(),
                made.signing_key.serialize_pem().as_bytes(),
            )
            .unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        open.push(stream);
        // Connections under the certificate before go on.
        for stream in &mut open {
            hello(stream).await;
        }
    }
    drop(open);
    token.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn refuses_an_address_that_is_none() {
    for address in [":http", "nonsense", ":99999"] {
        let outcome = Server::bind("test", address, Router::new()).await;
        assert!(
            matches!(outcome, Err(BindError::Address { .. })),
            "{address}"
        );
    }
}
