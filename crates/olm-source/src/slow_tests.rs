//! Servers that send a few bytes now and then, without an end.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, header::CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use olm_fs::layers::Caps;
use olm_fs::{Digest, Store, pack};
use olm_registry::{Access, Client, ClientConfig, Reference};
use olm_tree::{MemoryTree, RelPath};

use crate::git::{self, Revision, SshAccess};
use crate::speed::MinimumSpeed;
use crate::{Guard, WebAccess, http, image};

/// What a git server of protocol version 2 says first.
const GREETING: &str = "001e# service=git-upload-pack\n0000000eversion 2\n000cls-refs\n\
                        0012fetch=shallow\n0000";

/// A part of the list of references of a git server, as it may be sent again and again.
fn references() -> Vec<u8> {
    format!("003d{} refs/heads/main\n", "0123456789".repeat(4)).into_bytes()
}

/// An archive whose content cannot be compressed.
fn archive() -> Vec<u8> {
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let mut tree = MemoryTree::new();
    let noise: Vec<u8> = noise.take(64 << 10).collect();
    tree.insert("manifests/a", noise).unwrap();
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes).unwrap();
    bytes
}

/// An endless answer, ten bytes at a time, which are counted.
fn drip(content: Vec<u8>, sent: Arc<AtomicUsize>) -> Body {
    let all = content.into_iter().cycle();
    let pieces = stream::unfold(all, move |mut all| {
        let piece: Bytes = all.by_ref().take(10).collect();
        sent.fetch_add(piece.len(), Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Some((Ok::<_, std::io::Error>(piece), all))
        }
    });
    Body::from_stream(pieces)
}

/// An image of one layer, in a registry that says all of it but the layer: its digest there, its
/// manifest and its configuration.
fn image() -> [(String, String); 2] {
    let config = r#"{"os":"linux"}"#.to_owned();
    let (of_config, of_layer) = (Digest::of(config.as_bytes()), Digest::of(&archive()));
    let manifest = format!(
        r#"{{"config":{{"digest":"{of_config}","size":{}}},"layers":[{{"digest":"{of_layer}","size":{}}}]}}"#,
        config.len(),
        archive().len()
    );
    [manifest, config].map(|text| (Digest::of(text.as_bytes()).to_string(), text))
}

/// A web server that drips, also as a git server or a registry after its first answers, and what it
/// has sent.
async fn start() -> (SocketAddr, Arc<AtomicUsize>) {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let router = Router::new().fallback(move |method: Method, uri: axum::http::Uri| {
        let sent = Arc::clone(&counter);
        async move {
            let kind = |name| {
                [(
                    CONTENT_TYPE,
                    format!("application/x-git-upload-pack-{name}"),
                )]
            };
            let answer: Response = if uri.path().ends_with("/info/refs") {
                (kind("advertisement"), GREETING).into_response()
            } else if let Some((_, text)) = image()
                .into_iter()
                .find(|(digest, _)| uri.path().ends_with(digest))
            {
                text.into_response()
            } else if method == Method::POST {
                (kind("result"), drip(references(), sent)).into_response()
            } else {
                drip(archive(), sent).into_response()
            };
            answer
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, sent)
}

#[tokio::test]
async fn an_archive_that_drips_is_refused_by_name() {
    let (address, sent) = start().await;
    let speed = MinimumSpeed {
        bytes_per_second: 1 << 10,
        window: Duration::from_millis(500),
    };
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let (access, guard) = (WebAccess::default(), Guard::new(true));
    let (url, folders) = (format!("http://{address}/a.tgz"), [RelPath::root()]);
    let fetched = http::fetch_at(speed, &url, &access, &guard, &folders, Caps::BUNDLE, &store);
    let error = fetched.await.unwrap_err();
    assert!(!error.is_content() && !error.is_terminal());
    assert_eq!(
        olm_error::Chain::new(&error).to_string(),
        format!(
            "GET {url}: the server is too slow: less than 1024 bytes per second came over 500ms"
        )
    );
    // It had begun, so this is no silence.
    assert!(sent.load(Ordering::Relaxed) > 20);
    assert_eq!(store.sweep().unwrap(), 0);
}

#[tokio::test]
async fn a_repository_that_drips_is_refused_by_name() {
    let (address, sent) = start().await;
    // git counts in whole seconds.
    let speed = MinimumSpeed {
        bytes_per_second: 1 << 10,
        window: Duration::from_secs(1),
    };
    let request = git::Request {
        repository: format!("http://{address}/a.git"),
        revision: Revision::Branch("main".to_owned()),
        directory: String::new(),
        web: WebAccess::default(),
        ssh: SshAccess::default(),
    };
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let (guard, folders) = (Guard::new(true), [RelPath::root()]);
    let fetched = git::fetch_at(speed, &request, &guard, &folders, Caps::BUNDLE, &store);
    let error = fetched.await.unwrap_err();
    assert!(!error.is_terminal());
    assert_eq!(
        olm_error::Chain::new(&error).to_string(),
        "bundle unpack git clone error: the server is too slow: less than 1024 bytes per second \
         came over 1s"
    );
    assert!(sent.load(Ordering::Relaxed) > 20);
}

#[tokio::test]
async fn a_layer_that_drips_is_refused_by_name() {
    let (address, sent) = start().await;
    let speed = MinimumSpeed {
        bytes_per_second: 1 << 10,
        window: Duration::from_millis(500),
    };
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let client = Client::new(ClientConfig {
        plain_http: vec![address.to_string()],
        ..ClientConfig::default()
    })
    .unwrap();
    let [(digest, _), _] = image();
    let reference: Reference = format!("{address}/a@{digest}").parse().unwrap();
    let (access, filter) = (Access::default(), image::Filter::All);
    let fetched = image::fetch_at(
        speed,
        &client,
        &reference,
        &access,
        &filter,
        Caps::BUNDLE,
        &store,
    );
    let error = fetched.await.unwrap_err();
    assert!(!error.is_terminal(&reference));
    assert_eq!(
        error.report(),
        format!(
            "error unpacking image: error getting uncompressed layer data: registry `{address}` is \
             too slow: less than 1024 bytes per second of image `{reference}` came over 500ms"
        )
    );
    assert!(sent.load(Ordering::Relaxed) > 20);
    assert_eq!(store.sweep().unwrap(), 0);
}
