#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use axum::routing::get;
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

#[tokio::test]
async fn connections_above_the_cap_wait_for_a_free_slot() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let (address, token, tasks) =
        start(Router::new().route("/", get(|| async { "hello" })), limits).await;
    let first = TcpStream::connect(address).await.unwrap();
    let second =
        tokio::spawn(
            async move { exchange(TcpStream::connect(address).await.unwrap(), "/").await },
        );
    let first = exchange(first, "/").await;
    assert!(first.ends_with("hello"));
    assert!(second.await.unwrap().ends_with("hello"));
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
async fn a_new_certificate_serves_new_connections_without_a_restart() {
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
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        assert!(exchange(stream, "/").await.ends_with("hello"));
    }
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
