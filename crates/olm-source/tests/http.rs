//! Downloading archives from servers that do what they like.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_ENCODING, LOCATION};
use axum::http::{Response, StatusCode};
use olm_fs::layers::Caps;
use olm_fs::{Store, pack};
use olm_source::http::{self, HttpError};
use olm_source::{BasicCredentials, Guard, Stored, WebAccess};
use olm_tree::{MemoryTree, RelPath, Tree};
use tempfile::TempDir;

type Answer = Arc<dyn Fn(&str) -> Response<Body> + Send + Sync>;

struct Server {
    address: String,
    asked: Arc<Mutex<Vec<(String, bool)>>>,
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Response<Body> + Send + Sync + 'static) -> Self {
        type Shared = (Answer, Arc<Mutex<Vec<(String, bool)>>>);
        async fn serve(State((answer, asked)): State<Shared>, request: Request) -> Response<Body> {
            let path = request.uri().path().to_owned();
            let with_credentials = request.headers().contains_key(AUTHORIZATION);
            asked.lock().unwrap().push((path.clone(), with_credentials));
            answer(&path)
        }
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::default();
        let shared: Shared = (Arc::new(answer), Arc::clone(&asked));
        let router = Router::new().fallback(serve).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

fn archive() -> Vec<u8> {
    let mut tree = MemoryTree::new();
    tree.insert("manifests/a.yaml", "1").unwrap();
    tree.insert("other/b", "2").unwrap();
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes).unwrap();
    bytes
}

fn answer(status: u16, body: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

async fn fetch(url: &str, access: &WebAccess) -> (TempDir, Store, Result<Stored, HttpError>) {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let folders = [RelPath::parse("manifests").unwrap()];
    let guard = Guard::new(true);
    let fetched = http::fetch(url, access, &guard, &folders, Caps::BUNDLE, &store).await;
    (scratch, store, fetched)
}

async fn text(url: &str) -> String {
    let (_scratch, store, fetched) = fetch(url, &WebAccess::default()).await;
    assert!(store.list().unwrap().is_empty());
    assert_eq!(store.sweep().unwrap(), 0);
    olm_error::Chain::new(&fetched.unwrap_err()).to_string()
}

#[tokio::test]
async fn an_archive_is_unpacked_however_it_is_labelled_and_kept_by_the_digest_of_its_files() {
    let server = Server::start(|path| {
        let mut response = answer(200, archive());
        if path == "/labelled.tgz" {
            let label = "gzip".parse().unwrap();
            response.headers_mut().insert(CONTENT_ENCODING, label);
        }
        response
    })
    .await;
    let mut digests = Vec::new();
    for name in ["a.tgz", "labelled.tgz"] {
        let (_scratch, store, fetched) = fetch(&server.url(name), &WebAccess::default()).await;
        let stored = fetched.unwrap();
        let file = RelPath::parse("manifests/a.yaml").unwrap();
        assert_eq!(stored.tree.read(&file, 9).unwrap(), b"1");
        assert_eq!(stored.tree.list(&RelPath::root()).unwrap().len(), 1);
        assert_eq!(store.list().unwrap(), std::slice::from_ref(&stored.digest));
        digests.push(stored.digest);
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn what_is_no_archive_says_so_in_known_words() {
    let server = Server::start(|path| match path {
        "/text" => answer(200, b"some text".to_vec()),
        "/empty" => answer(200, Vec::new()),
        "/torn" => answer(200, archive()[..60].to_vec()),
        "/garbage" => answer(200, [&[0x1f, 0x8b][..], &[7; 100]].concat()),
        _ => answer(404, b"not here".to_vec()),
    })
    .await;
    for name in ["text", "empty"] {
        assert_eq!(text(&server.url(name)).await, "gzip: invalid header");
    }
    for name in ["torn", "garbage"] {
        let found = text(&server.url(name)).await;
        assert!(found.starts_with("error creating FS: "), "{found}");
    }
    let shown = server.url("none?token=geheim").replace("?token=geheim", "");
    assert_eq!(
        text(&server.url("none?token=geheim")).await,
        format!("GET {shown}: unexpected status \"404 Not Found\"")
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_not_taken_for_the_whole() {
    let server = Server::start(|_| {
        let half = archive()[..100].to_vec();
        let pieces = [Ok(half), Err(std::io::Error::other("gone"))];
        Response::new(Body::from_stream(futures::stream::iter(pieces)))
    })
    .await;
    let found = text(&server.url("a.tgz")).await;
    let begin = format!(
        "GET {}: http request for bundle content failed",
        server.url("a.tgz")
    );
    assert!(found.starts_with(&begin), "{found}");
}

#[tokio::test]
async fn redirects_take_no_credentials_along() {
    let elsewhere = Server::start(|_| answer(200, archive())).await;
    let target = elsewhere.url("b.tgz");
    let server = Server::start(move |path| {
        let mut response = answer(302, Vec::new());
        let location = match path {
            "/near" => "/near/by".to_owned(),
            "/near/by" => return answer(200, archive()),
            "/far" => target.clone(),
            "/file" => "file:///etc/passwd".to_owned(),
            "/loop" => "/loop".to_owned(),
            _ => return answer(302, Vec::new()),
        };
        let headers = response.headers_mut();
        headers.insert(LOCATION, location.parse().unwrap());
        response
    })
    .await;
    let access = WebAccess {
        credentials: Some(BasicCredentials {
            username: "ann".to_owned(),
            password: "secret".to_owned(),
        }),
        ..WebAccess::default()
    };
    for name in ["near", "far"] {
        let (_scratch, _store, fetched) = fetch(&server.url(name), &access).await;
        fetched.unwrap();
    }
    assert_eq!(
        *elsewhere.asked.lock().unwrap(),
        [("/b.tgz".to_owned(), false)]
    );
    assert!(server.asked.lock().unwrap().iter().all(|(_, with)| *with));
    for (name, reason) in [
        ("file", "its redirect leads to another protocol"),
        ("loop", "stopped after 10 redirects"),
        ("nowhere", "its redirect leads to no URL"),
    ] {
        let found = text(&server.url(name)).await;
        assert!(found.ends_with(reason), "{found}");
    }
}

#[tokio::test]
async fn a_url_of_this_machine_is_refused_and_nothing_is_asked() {
    let server = Server::start(|_| answer(200, archive())).await;
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let (guard, access) = (Guard::new(false), WebAccess::default());
    let url = server.url("a.tgz");
    let fetched = http::fetch(&url, &access, &guard, &[], Caps::BUNDLE, &store).await;
    let found = olm_error::Chain::new(&fetched.unwrap_err()).to_string();
    assert!(
        found.contains("the host `127.0.0.1` is at 127.0.0.1"),
        "{found}"
    );
    assert!(server.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_above_its_caps_is_refused() {
    let server = Server::start(|_| {
        let mut tree = MemoryTree::new();
        tree.insert("manifests/a", vec![0; 1 << 20]).unwrap();
        let mut bytes = Vec::new();
        pack::tar_gz(&tree, &pack::Options::default(), &mut bytes).unwrap();
        answer(200, bytes)
    })
    .await;
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let caps = Caps {
        file_bytes: 1 << 19,
        ..Caps::BUNDLE
    };
    let (guard, access) = (Guard::new(true), WebAccess::default());
    let folders = [RelPath::root()];
    let url = server.url("a.tgz");
    let fetched = http::fetch(&url, &access, &guard, &folders, caps, &store).await;
    let found = olm_error::Chain::new(&fetched.unwrap_err()).to_string();
    assert_eq!(
        found,
        "error creating FS: at entry `manifests/a`: more than 524288 bytes in one file"
    );
}
