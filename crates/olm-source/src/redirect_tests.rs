//! Where redirects may lead: servers on this machine, of which one counts as another machine's.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use olm_fs::Store;
use olm_fs::layers::Caps;
use olm_tree::RelPath;
use rstest::rstest;

use crate::git::{self, Revision, SshAccess};
use crate::{Guard, WebAccess, http};

/// A server that redirects everything to one place, and what it was asked for.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(target: Option<String>) -> Self {
        type Shared = (Option<String>, Arc<Mutex<Vec<String>>>);
        async fn serve(State((target, asked)): State<Shared>, request: Request) -> Response {
            let path = request.uri().path().to_owned();
            asked.lock().unwrap().push(path.clone());
            match target {
                // Once on the same server, so that there is a redirect that is followed, too.
                Some(_) if !path.starts_with("/near/") => {
                    let near = format!("/near{path}");
                    (StatusCode::FOUND, [(LOCATION, near)]).into_response()
                }
                Some(target) => (StatusCode::FOUND, [(LOCATION, target)]).into_response(),
                None => StatusCode::IM_A_TEAPOT.into_response(),
            }
        }
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let asked = Arc::default();
        let shared: Shared = (target, Arc::clone(&asked));
        let router = Router::new().fallback(serve).with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn fetch(url: &str, guard: &Guard) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let (access, folders) = (WebAccess::default(), [RelPath::root()]);
    let fetched = http::fetch(url, &access, guard, &folders, Caps::BUNDLE, &store).await;
    olm_error::Chain::new(&fetched.unwrap_err()).to_string()
}

#[rstest]
#[case("http://127.0.0.1:{port}/a.tgz", "127.0.0.1")]
#[case("http://127.1:{port}/a.tgz", "127.0.0.1")]
#[case("http://localhost:{port}/a.tgz", "localhost")]
#[case("http://[::ffff:7f00:1]:{port}/a.tgz", "[::ffff:7f00:1]")]
#[case("//0.0.0.0:{port}/a.tgz", "0.0.0.0")]
#[case("http://169.254.169.254/latest/meta-data", "169.254.169.254")]
#[tokio::test]
async fn a_redirect_to_this_machine_is_refused_like_a_url(
    #[case] target: &str,
    #[case] named: &str,
) {
    let inside = Server::start(None).await;
    let target = target.replace("{port}", &inside.address.port().to_string());
    let outside = Server::start(Some(target)).await;
    let guard = Guard::with_elsewhere(outside.address);
    let url = format!("http://{}/a.tgz", outside.address);
    let found = fetch(&url, &guard).await;
    let expected = format!("the host `{named}` is at ");
    assert!(found.contains(&expected), "{found}");
    assert_eq!(outside.asked(), ["/a.tgz", "/near/a.tgz"]);
    assert!(inside.asked().is_empty());
}

#[tokio::test]
async fn the_same_redirect_is_followed_where_this_machine_may_be_asked() {
    let inside = Server::start(None).await;
    let outside = Server::start(Some(format!("http://{}/b.tgz", inside.address))).await;
    let url = format!("http://{}/a.tgz", outside.address);
    let found = fetch(&url, &Guard::new(true)).await;
    assert!(found.contains("418"), "{found}");
    assert_eq!(inside.asked(), ["/b.tgz"]);
}

#[tokio::test]
async fn a_repository_that_redirects_to_this_machine_is_refused() {
    let inside = Server::start(None).await;
    let target = format!("http://{}/a.git/info/refs", inside.address);
    let outside = Server::start(Some(target)).await;
    let guard = Guard::with_elsewhere(outside.address);
    let request = git::Request {
        repository: format!("http://{}/a.git", outside.address),
        revision: Revision::Branch("main".to_owned()),
        directory: String::new(),
        web: WebAccess::default(),
        ssh: SshAccess::default(),
    };
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let fetched = git::fetch(&request, &guard, &[RelPath::root()], Caps::BUNDLE, &store).await;
    let found = olm_error::Chain::new(&fetched.unwrap_err()).to_string();
    assert!(
        found.contains("the host `127.0.0.1` is at 127.0.0.1"),
        "{found}"
    );
    assert_eq!(
        outside.asked(),
        ["/a.git/info/refs", "/near/a.git/info/refs"]
    );
    assert!(inside.asked().is_empty());
}
