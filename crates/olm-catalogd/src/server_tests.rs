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

/// A package, its channel, a bundle of it, another package with a bundle, and a line that no
/// selection finds.
const METAS: [&str; 7] = [
    r#"{"name":"foo","schema":"olm.package"}"#,
    r#"{"name":"stable","package":"foo","schema":"olm.channel"}"#,
    r#"{"name":"foo.v1","package":"foo","schema":"olm.bundle"}"#,
    r#"{"name":"bar","schema":"olm.package"}"#,
    r#"{"name":"stable","package":"bar","schema":"olm.channel"}"#,
    r#"{"name":"bar.v1","package":"bar","schema":"olm.bundle"}"#,
    r#"{"any":"thing"}"#,
];

struct Fixture {
    router: Router,
    store: Arc<ContentStore>,
    registry: Registry,
    cache: tempfile::TempDir,
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
        cache,
    }
}

fn publish(store: &ContentStore, lines: &str) {
    let mut writer = store.begin().unwrap();
    for line in lines.lines() {
        let value = serde_json::from_str(line).unwrap();
        let meta = olm_fbc::Meta::from_value(&value).unwrap();
        assert_eq!(meta.line, line);
        writer.add(&meta).unwrap();
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
#[case("/catalogs/test-catalog/api/v1c")]
#[case("/catalogs/test-catalog/api/v1/graphql")]
#[case("/catalogs/test-catalog.jsonl")]
#[case("/catalogs//all.json")]
#[case("/catalogs/Test-Catalog/all.json")]
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

fn everything() -> String {
    METAS.map(|line| format!("{line}\n")).concat()
}

fn with_metas() -> Fixture {
    let fixture = fixture("");
    // As if nothing had been there before.
    fixture.store.remove("test-catalog").unwrap();
    publish(&fixture.store, &everything());
    fixture
}

#[rstest::rstest]
#[case::nothing("", &[0, 1, 2, 3, 4, 5, 6])]
#[case::empty_values("?schema=&package=&name=", &[0, 1, 2, 3, 4, 5, 6])]
#[case::schema("?schema=olm.package", &[0, 3])]
#[case::schema_and_name("?schema=olm.package&name=bar", &[3])]
#[case::schema_and_package("?schema=olm.channel&package=foo", &[1])]
#[case::all_three("?schema=olm.bundle&package=foo&name=foo.v1", &[2])]
#[case::package_without_its_own_line("?package=foo", &[1, 2])]
#[case::package_and_name("?package=bar&name=stable", &[4])]
#[case::name("?name=stable", &[1, 4])]
#[case::first_value_counts("?schema=olm.bundle&schema=olm.package", &[2, 5])]
#[case::no_such_package("?package=none", &[])]
#[case::no_such_schema("?schema=OLM.package", &[])]
#[case::they_do_not_hold_together("?package=foo&name=bar.v1", &[])]
#[tokio::test]
async fn metas_gives_the_lines_that_are_asked_for_as_they_are(
    #[case] query: &str,
    #[case] lines: &[usize],
) {
    let fixture = with_metas();
    let path = format!("/catalogs/test-catalog/api/v1/metas{query}");
    let wanted: String = lines.iter().flat_map(|n| [METAS[*n], "\n"]).collect();
    let (status, headers, body) = ask(&fixture, Method::GET, &path, &[]).await;
    assert_eq!((status, &body), (StatusCode::OK, &wanted));
    assert_eq!(headers["content-type"], "application/jsonl");
    assert_eq!(headers["last-modified"], "Tue, 14 Nov 2023 22:13:20 GMT");
    let tag = format!("\"{}\"", Digest::of(everything().as_bytes()));
    assert_eq!(headers["etag"], tag.as_str());

    let (head, head_headers, head_body) = ask(&fixture, Method::HEAD, &path, &[]).await;
    assert_eq!((head, head_body.as_str()), (StatusCode::OK, ""));
    assert_eq!(head_headers, headers);
    for (name, value, code) in [
        ("if-match", tag.as_str(), 200),
        ("if-match", "\"sha256:00\"", 412),
        ("if-none-match", tag.as_str(), 304),
        ("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT", 304),
        ("if-modified-since", "no date", 200),
        ("accept-encoding", "identity;q=0", 406),
        ("accept-encoding", "gzip", 200),
    ] {
        let (status, _, _) = ask(&fixture, Method::GET, &path, &[(name, value)]).await;
        assert_eq!(status.as_u16(), code, "{name}: {value}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let (status, headers, body) = ask(&fixture, method, &path, &[]).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers["allow"], "GET, HEAD");
        assert_eq!(body, "Method Not Allowed\n");
    }
}

#[rstest::rstest]
#[case::unknown_catalog("/catalogs/other/api/v1/all", 404, "404 Not Found\n")]
#[case::unknown_catalog_metas("/catalogs/other/api/v1/metas?schema=a", 404, "404 Not Found\n")]
#[case::unknown_parameter(
    "/catalogs/test-catalog/api/v1/metas?colour=a",
    400,
    "400 Bad Request\n"
)]
#[case::unknown_parameter_comes_first(
    "/catalogs/other/api/v1/metas?colour=a",
    400,
    "400 Bad Request\n"
)]
#[case::bad_name(
    "/catalogs/Test-Catalog/api/v1/all",
    400,
    "invalid catalog name: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
     characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
     'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')\n"
)]
#[case::long_name(
    &format!("/catalogs/{}/api/v1/metas", "a".repeat(254)),
    400,
    "invalid catalog name: must be no more than 253 characters\n"
)]
#[tokio::test]
async fn the_api_says_what_is_wrong(#[case] path: &str, #[case] code: u16, #[case] text: &str) {
    let (status, headers, body) = ask(&fixture(""), Method::GET, path, &[]).await;
    assert_eq!((status.as_u16(), body.as_str()), (code, text));
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

/// A catalog whose compressed forms are there; these hold a text instead of compressed bytes.
fn compressed(lines: &str) -> Fixture {
    let mut fixture = fixture("");
    publish(&fixture.store, lines);
    let cache = fixture.cache.path().to_owned();
    let folder = cache
        .join("content")
        .join(Digest::of(lines.as_bytes()).as_str());
    olm_fs::write_atomic(&folder.join("lines.gz"), b"gzip form").unwrap();
    olm_fs::write_atomic(&folder.join("lines.zst"), b"zstd form").unwrap();
    fixture.store = Arc::new(ContentStore::open(&cache).unwrap());
    let metrics = Metrics::register(&mut Registry::default());
    fixture.router = router(Arc::clone(&fixture.store), metrics, "");
    fixture
}

fn large() -> String {
    everything().repeat(10)
}

#[rstest::rstest]
#[case::plain("", None)]
#[case::gzip("gzip", Some("gzip"))]
#[case::zstd("zstd", Some("zstd"))]
#[case::both("gzip, deflate, br, zstd", Some("zstd"))]
#[case::weights("zstd;q=0.1, gzip;q=0.2", Some("gzip"))]
#[case::not_accepted("br", None)]
#[tokio::test]
async fn large_content_comes_in_the_form_that_the_reader_prefers(
    #[case] accept: &str,
    #[case] encoding: Option<&str>,
    #[values("all.json", "api/v1/all", "api/v1/metas")] endpoint: &str,
) {
    let fixture = compressed(&large());
    let path = format!("/catalogs/test-catalog/{endpoint}");
    let accept = [("accept-encoding", accept)];
    let (status, headers, body) = ask(&fixture, Method::GET, &path, &accept).await;
    assert_eq!(status, StatusCode::OK);
    let told = headers.get("content-encoding").map(|v| v.to_str().unwrap());
    assert_eq!(told, encoding);
    assert_eq!(headers["vary"], "accept-encoding");
    let digest = Digest::of(large().as_bytes());
    match encoding {
        None => {
            assert_eq!(body, large());
            assert_eq!(headers["etag"], format!("\"{digest}\"").as_str());
        }
        Some(name) => {
            assert_eq!(body, format!("{name} form"));
            assert_eq!(headers["content-length"], "9");
            assert_eq!(headers["etag"], format!("\"{digest}-{name}\"").as_str());
        }
    }
    // The digest is that of the content, whatever the form; ranges are of the plain one.
    let tag = format!("\"{digest}\"");
    let with = [
        accept[0],
        ("if-match", tag.as_str()),
        ("range", "bytes=0-4"),
    ];
    let (status, _, body) = ask(&fixture, Method::GET, &path, &with).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::PARTIAL_CONTENT, &large()[..5])
    );
}

#[tokio::test]
async fn small_content_is_plain_unless_that_is_refused() {
    let fixture = compressed(&everything());
    assert!(everything().len() < 1024);
    let path = "/catalogs/test-catalog/all.json";
    for (accept, code, wanted) in [
        ("gzip", 200, everything().as_str()),
        ("gzip, identity;q=0", 200, "gzip form"),
        ("br, *;q=0", 406, "406 Not Acceptable\n"),
    ] {
        let accept = [("accept-encoding", accept)];
        let (status, _, body) = ask(&fixture, Method::GET, path, &accept).await;
        assert_eq!(
            (status.as_u16(), body.as_str()),
            (code, wanted),
            "{accept:?}"
        );
    }
}

#[tokio::test]
async fn many_readers_at_once_all_get_what_they_ask_for() {
    let fixture = with_metas();
    let all = "/catalogs/test-catalog/api/v1/all".to_owned();
    let one = "/catalogs/test-catalog/api/v1/metas?schema=olm.package".to_owned();
    let packages = [METAS[0], METAS[3]]
        .map(|line| format!("{line}\n"))
        .concat();
    let different = (0..50).map(|n| {
        let path = format!("/catalogs/test-catalog/api/v1/metas?name={n}");
        (path, String::new())
    });
    let asked: Vec<(String, String)> = std::iter::repeat_n((one.clone(), packages.clone()), 100)
        .chain(different)
        .chain(std::iter::repeat_n((all, everything()), 20))
        .chain(std::iter::repeat_n((one, packages), 20))
        .collect();
    let answers = asked.iter().map(async |(path, wanted)| {
        let (status, _, body) = ask(&fixture, Method::GET, path, &[]).await;
        assert_eq!((status, &body), (StatusCode::OK, wanted), "{path}");
    });
    assert_eq!(futures::future::join_all(answers).await.len(), 190);
}

#[tokio::test]
async fn a_selection_that_began_before_a_change_is_of_the_old_lines_to_the_end() {
    let fixture = with_metas();
    let request = Request::get("/catalogs/test-catalog/api/v1/metas?package=foo")
        .body(Body::empty())
        .unwrap();
    let response = fixture.router.clone().oneshot(request).await.unwrap();
    publish(&fixture.store, "{}\n");
    fixture.store.remove("test-catalog").unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(bytes, format!("{}\n{}\n", METAS[1], METAS[2]));
}
