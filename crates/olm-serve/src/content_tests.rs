#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::Write as _;

use http_body_util::BodyExt;
use rstest::rstest;

use super::*;

const BODY: &str = "0123456789";
const DATE: &str = "Sat, 21 Nov 2026 10:00:00 GMT";

fn content(encoding: Encoding) -> Content {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(BODY.as_bytes()).unwrap();
    Content {
        file,
        length: BODY.len() as u64,
        digest: "sha256:abc".to_owned(),
        modified: Some(httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(300)),
        content_type: HeaderValue::from_static("application/json"),
        encoding,
        negotiated: true,
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                header::HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect()
}

async fn ask(method: Method, pairs: &[(&'static str, &str)]) -> (StatusCode, HeaderMap, String) {
    let response = respond(&method, &headers(pairs), content(Encoding::Identity)).await;
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test]
async fn a_plain_get_carries_the_validators_and_the_body() {
    let (status, headers, body) = ask(Method::GET, &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body, BODY);
    assert_eq!(headers[header::ETAG], "\"sha256:abc\"");
    assert_eq!(headers[header::LAST_MODIFIED], DATE);
    assert_eq!(headers[header::CONTENT_LENGTH], "10");
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(headers[header::ACCEPT_RANGES], "bytes");
    assert!(!headers.contains_key(header::CONTENT_ENCODING));
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let (status, headers, body) = ask(Method::HEAD, &[("range", "bytes=0-1")]).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, ""));
    assert_eq!(headers[header::CONTENT_LENGTH], "10");
}

#[rstest]
#[case(Method::POST)]
#[case(Method::DELETE)]
#[case(Method::OPTIONS)]
#[tokio::test]
async fn other_methods_are_refused_with_the_allowed_ones(#[case] method: Method) {
    let (status, headers, _) = ask(method, &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "GET, HEAD");
}

#[rstest]
#[case::same_tag(&[("if-none-match", "\"sha256:abc\"")], 304)]
#[case::weak_tag_in_a_list(&[("if-none-match", "\"x\", W/\"sha256:abc\"")], 304)]
#[case::tag_of_the_gzip_form(&[("if-none-match", "\"sha256:abc-gzip\"")], 304)]
#[case::any(&[("if-none-match", "*")], 304)]
#[case::other_tag(&[("if-none-match", "\"sha256:abcd\"")], 200)]
#[case::tag_beats_date(&[("if-none-match", "\"x\""), ("if-modified-since", DATE)], 200)]
#[case::same_second(&[("if-modified-since", DATE)], 304)]
#[case::older_copy(&[("if-modified-since", "Sat, 21 Nov 2026 09:59:59 GMT")], 200)]
#[case::not_a_date(&[("if-modified-since", "yesterday")], 200)]
#[case::match_holds(&[("if-match", "\"sha256:abc\"")], 200)]
#[case::match_fails(&[("if-match", "\"sha256:old\"")], 412)]
#[case::match_needs_a_strong_tag(&[("if-match", "W/\"sha256:abc\"")], 412)]
#[case::unmodified_since(&[("if-unmodified-since", "Sat, 21 Nov 2026 09:00:00 GMT")], 412)]
#[case::range(&[("range", "bytes=2-4")], 206)]
#[case::range_past_the_end(&[("range", "bytes=10-")], 416)]
#[case::several_ranges(&[("range", "bytes=0-1,4-5")], 200)]
#[case::range_of_current(&[("range", "bytes=2-"), ("if-range", "\"sha256:abc\"")], 206)]
#[case::range_of_another(&[("range", "bytes=2-"), ("if-range", "\"sha256:old\"")], 200)]
#[case::range_by_date(&[("range", "bytes=2-"), ("if-range", DATE)], 206)]
#[case::mismatch_before_range(&[("range", "bytes=2-"), ("if-match", "\"x\"")], 412)]
#[tokio::test]
async fn preconditions_decide(#[case] pairs: &[(&'static str, &str)], #[case] wanted: u16) {
    let (status, headers, body) = ask(Method::GET, pairs).await;
    assert_eq!(status.as_u16(), wanted);
    assert_eq!(headers[header::ETAG], "\"sha256:abc\"");
    match wanted {
        200 => assert_eq!(body, BODY),
        206 => assert!(BODY.contains(&body) && body.len() < BODY.len()),
        _ => assert_eq!(body, ""),
    }
}

#[tokio::test]
async fn a_range_names_its_place_in_the_whole() {
    let (_, headers, body) = ask(Method::GET, &[("range", "bytes=2-4")]).await;
    assert_eq!(body, "234");
    assert_eq!(headers[header::CONTENT_RANGE], "bytes 2-4/10");
    assert_eq!(headers[header::CONTENT_LENGTH], "3");
    let (_, headers, _) = ask(Method::GET, &[("range", "bytes=20-")]).await;
    assert_eq!(headers[header::CONTENT_RANGE], "bytes */10");
}

#[tokio::test]
async fn an_encoded_form_has_its_own_tag_and_matches_the_digest() {
    let wanted = headers(&[("if-match", "\"sha256:abc\"")]);
    let response = respond(&Method::GET, &wanted, content(Encoding::Gzip)).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::ETAG], "\"sha256:abc-gzip\"");
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[header::VARY], "accept-encoding");
}

#[rstest]
#[case::nothing_asked(None, Encoding::Identity)]
#[case::best_of_ours(Some("gzip, zstd"), Encoding::Zstd)]
#[case::only_gzip(Some("gzip"), Encoding::Gzip)]
#[case::weights(Some("gzip;q=1.0, zstd;q=0.5"), Encoding::Gzip)]
#[case::star(Some("*"), Encoding::Zstd)]
#[case::refused(Some("gzip;q=0, zstd;q=0"), Encoding::Identity)]
#[case::unknown(Some("br"), Encoding::Identity)]
#[case::bad_weight(Some("gzip;q=7"), Encoding::Identity)]
fn chooses_the_form_the_reader_prefers(#[case] accept: Option<&str>, #[case] wanted: Encoding) {
    let forms = [Encoding::Zstd, Encoding::Gzip, Encoding::Identity];
    let mut asked = HeaderMap::new();
    if let Some(accept) = accept {
        asked.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_str(accept).unwrap(),
        );
    }
    assert_eq!(negotiate(&asked, &forms), wanted);
    asked.insert(header::RANGE, HeaderValue::from_static("bytes=0-"));
    assert_eq!(negotiate(&asked, &forms), Encoding::Identity);
}

#[tokio::test]
async fn a_reader_finishes_on_the_content_it_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.json");
    std::fs::write(&path, BODY).unwrap();
    let mut opened = content(Encoding::Identity);
    opened.file = std::fs::File::open(&path).unwrap();
    let response = respond(&Method::GET, &HeaderMap::new(), opened).await;
    let replacement = directory.path().join("new");
    std::fs::write(&replacement, "abcdefghijkl").unwrap();
    std::fs::rename(&replacement, &path).unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, BODY);
}
