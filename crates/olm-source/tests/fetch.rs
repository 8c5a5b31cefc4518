//! Fetching from a registry that is a table of paths.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use olm_fs::layers::Caps;
use olm_fs::{Digest, Store, pack};
use olm_registry::{Access, Client, ClientConfig, Reference, Retry};
use olm_source::SourceError;
use olm_source::image::{self, CATALOG_LABEL, Fetched, Filter};
use olm_tree::{MemoryTree, RelPath, Tree};
use serde_json::json;

#[derive(Default)]
struct Content {
    paths: Mutex<BTreeMap<String, Vec<u8>>>,
    requests: AtomicUsize,
}

struct Fixture {
    content: Arc<Content>,
    address: String,
    client: Client,
    store: Store,
    _scratch: tempfile::TempDir,
}

fn layer(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tree = MemoryTree::new();
    for (path, text) in files {
        tree.insert(path, *text).unwrap();
    }
    let mut bytes = Vec::new();
    pack::tar_gz(&tree, &pack::Options::default(), &mut bytes).unwrap();
    bytes
}

impl Fixture {
    async fn new() -> Self {
        async fn answer(State(content): State<Arc<Content>>, request: Request) -> Response {
            content.requests.fetch_add(1, Ordering::SeqCst);
            let path = Uri::path(request.uri());
            match content.paths.lock().unwrap().get(path) {
                Some(bytes) => bytes.clone().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            }
        }
        let content = Arc::new(Content::default());
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&content));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(ClientConfig {
            plain_http: vec![address.clone()],
            retry: Retry {
                times: 1,
                delay: Duration::from_millis(1),
                ..Retry::default()
            },
            ..ClientConfig::default()
        })
        .unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let store = Store::open(scratch.path()).unwrap();
        Self {
            content,
            address,
            client,
            store,
            _scratch: scratch,
        }
    }

    fn put(&self, path: &str, bytes: Vec<u8>) {
        self.content
            .paths
            .lock()
            .unwrap()
            .insert(format!("/v2/a/b/{path}"), bytes);
    }

    fn put_blob(&self, bytes: Vec<u8>) -> serde_json::Value {
        let digest = Digest::of(&bytes).to_string();
        let descriptor = json!({"mediaType": "", "digest": digest, "size": bytes.len()});
        self.put(&format!("blobs/{digest}"), bytes);
        descriptor
    }

    /// Puts an image under the tag `1` and its digest.
    fn put_image(&self, label: Option<&str>, layers: Vec<Vec<u8>>) -> Digest {
        let labels: BTreeMap<_, _> = label
            .map(|value| (CATALOG_LABEL, value))
            .into_iter()
            .collect();
        let config = json!({"config": {"Labels": labels}}).to_string();
        let layers: Vec<_> = layers
            .into_iter()
            .map(|layer| self.put_blob(layer))
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "config": self.put_blob(config.into_bytes()), "layers": layers,
        });
        let manifest = manifest.to_string().into_bytes();
        let digest = Digest::of(&manifest);
        self.put("manifests/1", manifest.clone());
        self.put(&format!("manifests/{digest}"), manifest);
        digest
    }

    fn tag(&self) -> Reference {
        Reference::parse(&format!("{}/a/b:1", self.address)).unwrap()
    }

    async fn fetch(&self, reference: &Reference, filter: Filter) -> Result<Fetched, SourceError> {
        let access = Access::default();
        image::fetch(
            &self.client,
            reference,
            &access,
            &filter,
            Caps::CATALOG,
            &self.store,
        )
        .await
    }

    fn requests(&self) -> usize {
        self.content.requests.swap(0, Ordering::SeqCst)
    }
}

fn read(tree: &dyn Tree, path: &str) -> Option<String> {
    let bytes = tree.read(&RelPath::parse(path).unwrap(), 1 << 20).ok()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn the_folder_of_the_label_is_unpacked_and_found_again_without_the_network() {
    let fixture = Fixture::new().await;
    let digest = fixture.put_image(
        Some("/configs"),
        vec![
            layer(&[("configs/a", "1"), ("bin/opm", "x")]),
            layer(&[("configs/b", "2")]),
        ],
    );
    let first = fixture
        .fetch(&fixture.tag(), Filter::catalog())
        .await
        .unwrap();
    assert_eq!((&first.digest, first.cached), (&digest, false));
    assert_eq!(
        first.resolved.to_string(),
        format!("{}/a/b@{digest}", fixture.address)
    );
    assert_eq!(read(&first.tree, "configs/a").as_deref(), Some("1"));
    assert_eq!(read(&first.tree, "configs/b").as_deref(), Some("2"));
    assert_eq!(read(&first.tree, "bin/opm"), None);
    fixture.requests();
    let again = fixture
        .fetch(&first.resolved, Filter::catalog())
        .await
        .unwrap();
    assert!(again.cached);
    assert_eq!(fixture.requests(), 0);
    fixture
        .content
        .paths
        .lock()
        .unwrap()
        .retain(|path, _| path.contains("/manifests/1"));
    assert!(
        fixture
            .fetch(&fixture.tag(), Filter::catalog())
            .await
            .unwrap()
            .cached
    );
}

#[tokio::test]
async fn everything_or_chosen_folders_may_be_unpacked() {
    let fixture = Fixture::new().await;
    fixture.put_image(None, vec![layer(&[("manifests/a", "1"), ("bin/x", "2")])]);
    let all = fixture.fetch(&fixture.tag(), Filter::All).await.unwrap();
    assert_eq!(read(&all.tree, "bin/x").as_deref(), Some("2"));
    fixture.store.remove(&all.digest).unwrap();
    let folders = ["manifests", "metadata"].map(|text| RelPath::parse(text).unwrap());
    let some = fixture
        .fetch(&fixture.tag(), Filter::Folders(folders.to_vec()))
        .await
        .unwrap();
    assert_eq!(read(&some.tree, "manifests/a").as_deref(), Some("1"));
    assert_eq!(read(&some.tree, "bin/x"), None);
}

fn folders_of(directory: &str) -> Filter {
    Filter::FoldersOf {
        directory: RelPath::parse(directory).unwrap(),
        folders: ["manifests", "metadata"]
            .map(|text| RelPath::parse(text).unwrap())
            .to_vec(),
    }
}

#[tokio::test]
async fn a_directory_of_an_image_is_the_root_of_its_content() {
    let fixture = Fixture::new().await;
    let lower = layer(&[
        ("opt/deploy/manifests/a", "1"),
        ("opt/deploy/manifests/gone", ""),
    ]);
    let upper = layer(&[
        ("opt/deploy/manifests/.wh.gone", ""),
        ("opt/deploy/README", "2"),
        ("manifests/b", "3"),
    ]);
    let image = fixture.put_image(None, vec![lower, upper]);
    let (tag, part) = (fixture.tag(), folders_of("opt/deploy"));
    let deploy = fixture.fetch(&tag, part).await.unwrap();
    assert_eq!(read(&deploy.tree, "manifests/a").as_deref(), Some("1"));
    for absent in [
        "manifests/gone",
        "README",
        "manifests/b",
        "opt/deploy/manifests/a",
    ] {
        assert_eq!(read(&deploy.tree, absent), None, "{absent}");
    }
    // It is not taken for the image, nor the image for it, and each is found again.
    let whole = fixture.fetch(&fixture.tag(), folders_of("")).await.unwrap();
    assert_eq!(read(&whole.tree, "manifests/b").as_deref(), Some("3"));
    assert_eq!(whole.digest, image);
    assert_ne!(deploy.digest, image);
    assert_eq!(deploy.resolved, whole.resolved);
    let pinned = fixture.tag().with_digest(image);
    let before = fixture.content.requests.load(Ordering::SeqCst);
    for (directory, digest) in [("", &whole.digest), ("opt/deploy", &deploy.digest)] {
        let again = fixture.fetch(&pinned, folders_of(directory)).await.unwrap();
        assert!(again.cached);
        assert_eq!(again.digest, *digest);
    }
    assert_eq!(fixture.content.requests.load(Ordering::SeqCst), before);
}

#[rstest::rstest]
#[case::absent("absent")]
#[case::a_file("opt/file")]
#[case::below_a_file("opt/file/below")]
#[case::without_a_bundle("opt")]
#[tokio::test]
async fn a_directory_without_a_bundle_is_named(#[case] directory: &str) {
    let fixture = Fixture::new().await;
    let digest = fixture.put_image(
        None,
        vec![layer(&[
            ("opt/file", ""),
            ("opt/manifests.yaml", ""),
            ("manifests/b", "3"),
        ])],
    );
    let pinned = fixture.tag().with_digest(digest);
    let error = fixture.fetch(&pinned, folders_of(directory)).await;
    let error = error.unwrap_err();
    assert_eq!(
        error.report(),
        format!(
            "error unpacking image: image \"{pinned}\": its directory \"{directory}\" is not there or \
             holds nothing at \"manifests, metadata\""
        )
    );
    assert!(error.is_terminal(&pinned) && !error.is_terminal(&fixture.tag()));
    assert!(olm_fs::names(fixture.store.root()).unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_label_is_an_error_that_is_terminal_for_digests_only() {
    let fixture = Fixture::new().await;
    let digest = fixture.put_image(None, vec![layer(&[("configs/a", "1")])]);
    let tag = fixture.tag();
    let pinned = tag.with_digest(digest);
    let error = fixture.fetch(&tag, Filter::catalog()).await.unwrap_err();
    assert_eq!(
        error.report(),
        format!(
            "error unpacking image: catalog image \"{tag}\" is missing the required label \
             \"operators.operatorframework.io.index.configs.v1\""
        )
    );
    assert!(!error.is_terminal(&tag) && error.is_terminal(&pinned));
}

#[rstest::rstest]
#[case::nothing_there("/other", "holds nothing at \"other\"")]
#[case::out_of_the_image("../configs", "names no path in it")]
#[tokio::test]
async fn a_label_that_names_no_folder_is_an_error(#[case] label: &str, #[case] expected: &str) {
    let fixture = Fixture::new().await;
    fixture.put_image(Some(label), vec![layer(&[("configs/a", "1")])]);
    let error = fixture
        .fetch(&fixture.tag(), Filter::catalog())
        .await
        .unwrap_err();
    assert!(error.report().ends_with(expected), "{}", error.report());
    assert!(olm_fs::names(fixture.store.root()).unwrap().is_empty());
}

#[tokio::test]
async fn content_at_fault_is_terminal_under_a_digest_and_leaves_nothing() {
    let fixture = Fixture::new().await;
    let digest = fixture.put_image(Some("/configs"), vec![b"<html>".repeat(100_000)]);
    let pinned = fixture.tag().with_digest(digest);
    for _ in 0..2 {
        let error = fixture.fetch(&pinned, Filter::catalog()).await.unwrap_err();
        assert!(
            error
                .report()
                .starts_with("error unpacking image: error applying layer to archive: "),
            "{}",
            error.report()
        );
        assert!(error.is_terminal(&pinned));
        assert!(olm_fs::names(fixture.store.root()).unwrap().is_empty());
    }
}

#[tokio::test]
async fn content_that_was_damaged_on_the_way_is_not_at_fault() {
    let fixture = Fixture::new().await;
    let good = layer(&[("configs/a", &"text".repeat(100_000))]);
    let digest = fixture.put_image(Some("/configs"), vec![good.clone()]);
    let mut bad = good.clone();
    bad[200] ^= 0xff;
    fixture.put(&format!("blobs/{}", Digest::of(&good)), bad);
    let pinned = fixture.tag().with_digest(digest);
    let error = fixture.fetch(&pinned, Filter::catalog()).await.unwrap_err();
    assert!(
        error
            .report()
            .contains("the registry sent content with digest"),
        "{}",
        error.report()
    );
    assert!(!error.is_terminal(&pinned));
    fixture.put(&format!("blobs/{}", Digest::of(&good)), good);
    fixture.fetch(&pinned, Filter::catalog()).await.unwrap();
}

#[tokio::test]
async fn what_the_registry_lacks_is_never_terminal() {
    let fixture = Fixture::new().await;
    let tag = fixture.tag();
    let error = fixture.fetch(&tag, Filter::All).await.unwrap_err();
    assert_eq!(
        error.report(),
        format!(
            "error fetching image descriptor: image `{tag}` was not found: check its name, tag \
             or digest"
        )
    );
    let pinned = tag.with_digest(Digest::of(b"x"));
    let error = fixture.fetch(&pinned, Filter::All).await.unwrap_err();
    assert!(
        error.report().starts_with(&format!(
            "error unpacking image: error fetching remote image \"{pinned}\": "
        )),
        "{}",
        error.report()
    );
    assert!(!error.is_terminal(&pinned));
}

#[tokio::test]
async fn an_image_above_its_cap_is_refused_before_it_is_pulled() {
    let fixture = Fixture::new().await;
    fixture.put_image(None, vec![vec![0; 4096]]);
    let caps = Caps {
        compressed_bytes: 4095,
        ..Caps::BUNDLE
    };
    let (client, access) = (&fixture.client, Access::default());
    let tag = fixture.tag();
    let error = image::fetch(client, &tag, &access, &Filter::All, caps, &fixture.store)
        .await
        .unwrap_err();
    assert!(
        error
            .report()
            .ends_with("have 4096 bytes, which is more than 4095")
    );
    // The tag twice, for this registry tells no digest; the manifest; the configuration.
    assert_eq!(fixture.requests(), 4);
}

#[tokio::test]
async fn two_that_fetch_the_same_image_at_once_both_get_it() {
    let fixture = Fixture::new().await;
    fixture.put_image(None, vec![layer(&[("a", "1")])]);
    let tag = fixture.tag();
    let (one, two) = tokio::join!(
        fixture.fetch(&tag, Filter::All),
        fixture.fetch(&tag, Filter::All)
    );
    for fetched in [one.unwrap(), two.unwrap()] {
        assert_eq!(read(&fetched.tree, "a").as_deref(), Some("1"));
    }
    assert_eq!(olm_fs::names(fixture.store.root()).unwrap().len(), 1);
}

#[test]
fn a_reference_that_cannot_be_parsed_is_terminal() {
    let any = Reference::parse("quay.io/a/b:1").unwrap();
    let error = SourceError::from(Reference::parse("quay.io/A").unwrap_err());
    assert!(error.is_terminal(&any));
    assert!(
        error
            .report()
            .starts_with("error parsing image reference: image reference \"quay.io/A\"")
    );
}
