//! Requests for a catalog's content: address, query and headers are the client's. Whatever it sends,
//! the answer is one of HTTP's, and a body is the content or the part of it that its headers say.
#![no_main]

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;
use olm_catalogd::record::BrokenFiles;
use olm_catalogd::server::{Metrics, router};
use olm_catalogd::store::{ContentStore, Owner};
use tower::ServiceExt as _;

const LINES: [&str; 3] = [
    r#"{"defaultChannel":"stable","name":"p","schema":"olm.package"}"#,
    r#"{"entries":[{"name":"p.v1.0.0"}],"name":"stable","package":"p","schema":"olm.channel"}"#,
    r#"{"image":"i","name":"p.v1.0.0","package":"p","schema":"olm.bundle"}"#,
];

struct Served {
    router: Router,
    runtime: tokio::runtime::Runtime,
    content: Vec<u8>,
    _folder: tempfile::TempDir,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let store = ContentStore::open(folder.path()).expect("an empty store");
    let mut writer = store.begin().expect("a writer");
    for line in LINES {
        let value = serde_json::from_str(line).expect("JSON");
        writer
            .add(&olm_fbc::Meta::from_value(&value).expect("a meta"))
            .expect("room on the disk");
    }
    let staged = writer.finish().expect("room on the disk");
    let owner = Owner {
        name: "c",
        uid: "1",
    };
    let image = olm_fs::Digest::of(b"image");
    store
        .publish(
            owner,
            staged,
            &image,
            BrokenFiles::default(),
            jiff::Timestamp::UNIX_EPOCH,
        )
        .expect("published");
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    Served {
        router: router(Arc::new(store), metrics, ""),
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime"),
        content: LINES
            .iter()
            .flat_map(|line| [line.as_bytes(), b"\n"].concat())
            .collect(),
        _folder: folder,
    }
});

/// `METHOD ADDRESS`, then a header in each line.
fn request(text: &str) -> Option<Request<Body>> {
    let mut lines = text.lines();
    let (method, address) = lines.next()?.split_once(' ')?;
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    *request.uri_mut() = address.parse::<Uri>().ok()?;
    for line in lines.take(32) {
        let (name, value) = line.split_once(':')?;
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        request
            .headers_mut()
            .append(name, HeaderValue::from_str(value.trim()).ok()?);
    }
    Some(request)
}

fuzz_target!(|text: &str| {
    let Some(request) = request(text) else { return };
    let served = &*SERVED;
    let (read, metas) = (
        request.method() == Method::GET,
        request.uri().path().ends_with("/metas"),
    );
    served.runtime.block_on(async {
        let answer = served
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("the router never fails");
        let (head, body) = answer.into_parts();
        assert!(!head.status.is_server_error(), "{}", head.status);
        let body = body.collect().await.expect("a whole body").to_bytes();
        if !read || head.headers.contains_key(CONTENT_ENCODING) {
            return;
        }
        match head.status {
            StatusCode::OK if !metas => assert_eq!(body, served.content),
            StatusCode::PARTIAL_CONTENT => {
                let range = head.headers[CONTENT_RANGE].to_str().expect("text");
                let (first, rest) = range
                    .trim_start_matches("bytes ")
                    .split_once('-')
                    .expect("-");
                let (last, _) = rest.split_once('/').expect("/");
                let first: usize = first.parse().expect("a number");
                let last: usize = last.parse().expect("a number");
                assert_eq!(body, &served.content[first..=last]);
            }
            _ => return,
        }
        assert!(head.headers.contains_key(ETAG));
    });
});
