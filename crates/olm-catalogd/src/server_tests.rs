#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use http::Method;
use http_body_util::BodyExt;
use jiff::Timestamp;
use olm_fs::Digest;
use tower::ServiceExt;

use super::*;
use crate::record::BrokenFiles;
use crate::store::Owner;

const LINES: &str = "{\"schema\":\"olm.package\"}\n{\"schema\":\"olm.channel\"}\n";

struct Fixture {
    router: Router,
    store: Arc<ContentStore>,
    registry: Registry,
    _cache: tempfile::TempDir,
}

fn fixture(prefix: &str) -> Fixture {
    let cache = tempfile::tempdir().unwrap();
    let store = Arc::new(ContentStore::open(cache.path()).unwrap());
    publish(&store, LINES);
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let router = router(Arc::clone(&store), metrics, prefix);
    Fixture {
        router,
        store,
        registry,
        _cache: cache,
    }
}

fn publish(store: &ContentStore, lines: &str) {
    let mut writer = store.begin().unwrap();
    for line in lines.lines() {
        writer.line(line).unwrap();
    }
    let staged = writer.finish().unwrap();
    let now = Timestamp::from_second(1_700_000_000).unwrap();
    let image = Digest::of(lines.as_bytes());
    let owner = Owner {
        name: "test-catalog",
        uid: "1",
    };
    store
        .publish(owner, staged, &image, BrokenFiles::default(), now)
        .unwrap();
}

async fn ask(
    fixture: &Fixture,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, http::HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        parts.headers,
        String::from_utf8(bytes.to_vec()).unwrap(),
    )
}

#[rstest::rstest]
#[case("/catalogs/test-catalog/all.json", "application/json")]
#[case("/catalogs/test-catalog/api/v1/all", "application/jsonl")]
#[tokio::test]
async fn both_paths_give_the_same_bytes_with_the_digest_as_tag(
    #[case] path: &str,
    #[case] kind: &str,
) {
    let fixture = fixture("");
    let (status, headers, body) = ask(&fixture, Method::GET, path, &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, LINES));
    let tag = format!("\"{}\"", Digest::of(LINES.as_bytes()));
    assert_eq!(headers["etag"], tag.as_str());
    assert_eq!(headers["content-type"], kind);
    assert_eq!(headers["content-length"], LINES.len().to_string().as_str());
    assert_eq!(headers["last-modified"], "Tue, 14 Nov 2023 22:13:20 GMT");

    let (status, headers, body) = ask(&fixture, Method::HEAD, path, &[]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(headers["content-length"], LINES.len().to_string().as_str());

    let known = [("if-none-match", tag.as_str())];
    assert_eq!(
        ask(&fixture, Method::GET, path, &known).await.0,
        StatusCode::NOT_MODIFIED
    );
    let other = [("if-match", "\"sha256:00\"")];
    assert_eq!(
        ask(&fixture, Method::GET, path, &other).await.0,
        StatusCode::PRECONDITION_FAILED
    );
    let range = [("range", "bytes=0-8")];
    let (status, _, body) = ask(&fixture, Method::GET, path, &range).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::PARTIAL_CONTENT, &LINES[..9])
    );
    let posted = ask(&fixture, Method::POST, path, &[]).await;
    assert_eq!(posted.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[rstest::rstest]
#[case("/")]
#[case("/catalogs/")]
#[case("/catalogs/test-catalog")]
#[case("/catalogs/test-catalog/")]
#[case("/catalogs/test-catalog/api/")]
#[case("/catalogs/test-catalog/api/v1")]
#[case("/catalogs/test-catalog/api/v1/all/")]
#[case("/catalogs/test-catalog/all.json/")]
#[case("/catalogs/test-catalog/non-existent.txt")]
#[case("/catalogs/other/all.json")]
#[case("/catalogs/../catalogs/test-catalog/all.json")]
#[case("/catalogs/%2e%2e/all.json")]
#[case("/test-catalog/all.json")]
#[tokio::test]
async fn everything_else_is_not_found(#[case] path: &str) {
    let (status, headers, body) = ask(&fixture(""), Method::GET, path, &[]).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::NOT_FOUND, "404 page not found\n")
    );
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn the_path_of_the_external_address_stands_in_front() {
    let fixture = fixture("/olm/");
    let path = "/olm/catalogs/test-catalog/all.json";
    assert_eq!(
        ask(&fixture, Method::GET, path, &[]).await.0,
        StatusCode::OK
    );
    let path = "/catalogs/test-catalog/all.json";
    assert_eq!(
        ask(&fixture, Method::GET, path, &[]).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn requests_are_counted_by_code_when_their_answer_has_ended() {
    let fixture = fixture("");
    ask(
        &fixture,
        Method::GET,
        "/catalogs/test-catalog/all.json",
        &[],
    )
    .await;
    ask(&fixture, Method::GET, "/catalogs/none/all.json", &[]).await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &fixture.registry).unwrap();
    for line in [
        "catalogd_http_request_duration_seconds_count{code=\"200\"} 1",
        "catalogd_http_request_duration_seconds_count{code=\"404\"} 1",
        "catalogd_http_request_duration_seconds_bucket{le=\"0.5\",code=\"200\"} 1",
        "# HELP catalogd_http_request_duration_seconds Histogram of request duration in seconds",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_reader_that_began_before_a_change_gets_the_old_bytes_to_the_end() {
    let fixture = fixture("");
    let request = Request::get("/catalogs/test-catalog/all.json")
        .body(Body::empty())
        .unwrap();
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    publish(&fixture.store, "{}\n");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes, LINES);
}
