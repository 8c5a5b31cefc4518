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
        file: Arc::new(file),
        length: BODY.len() as u64,
        digest: "sha256:abc".to_owned(),
        modified: Some(httpdate::parse_http_date(DATE).unwrap() + Duration::from_millis(300)),
        content_type: HeaderValue::from_static("application/json"),
        encoding,
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
    let response = respond(&method, &headers(pairs), content(Encoding::Identity));
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
        304 => assert_eq!(body, ""),
        _ => assert!(body.starts_with(&wanted.to_string()), "{body}"),
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
    let response = respond(&Method::GET, &wanted, content(Encoding::Gzip));
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::ETAG], "\"sha256:abc-gzip\"");
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[header::VARY], "accept-encoding");
}

#[tokio::test]
async fn a_reader_finishes_on_the_content_it_began_with() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.json");
    std::fs::write(&path, BODY).unwrap();
    let mut opened = content(Encoding::Identity);
    opened.file = Arc::new(std::fs::File::open(&path).unwrap());
    let response = respond(&Method::GET, &HeaderMap::new(), opened);
    let replacement = directory.path().join("new");
    std::fs::write(&replacement, "abcdefghijkl").unwrap();
    std::fs::rename(&replacement, &path).unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, BODY);
}

/// The answer for bytes 4 to 6, 6 to 8 and 1 to 2 of the content.
async fn select(method: Method, pairs: &[(&'static str, &str)]) -> (StatusCode, HeaderMap, String) {
    let parts = vec![4..6, 6..8, 1..2];
    let content = content(Encoding::Identity);
    let response = respond_parts(&method, &headers(pairs), content, parts);
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (head.status, head.headers, body)
}

#[rstest]
#[case::plain(&[], 200)]
#[case::of_the_content(&[("if-match", "\"sha256:abc\"")], 200)]
#[case::of_other_content(&[("if-match", "\"sha256:old\"")], 412)]
#[case::any_content(&[("if-match", "*")], 200)]
#[case::known(&[("if-none-match", "\"sha256:abc\"")], 304)]
#[case::any_known(&[("if-none-match", "*")], 304)]
#[case::other_known(&[("if-none-match", "\"sha256:old\"")], 200)]
#[case::tag_beats_date(&[("if-none-match", "\"x\""), ("if-modified-since", DATE)], 200)]
#[case::since(&[("if-modified-since", DATE)], 304)]
#[case::since_in_the_form_of_rfc_850(
    &[("if-modified-since", "Saturday, 21-Nov-26 10:00:00 GMT")], 304
)]
#[case::since_in_the_form_of_asctime(&[("if-modified-since", "Sat Nov 21 10:00:00 2026")], 304)]
#[case::not_a_date(&[("if-modified-since", "yesterday")], 200)]
#[case::unmodified_since(&[("if-unmodified-since", "Sat, 21 Nov 2026 09:00:00 GMT")], 412)]
#[case::no_ranges(&[("range", "bytes=0-1")], 200)]
#[tokio::test]
async fn a_selection_is_judged_by_the_digest_of_the_whole(
    #[case] pairs: &[(&'static str, &str)],
    #[case] wanted: u16,
) {
    let (status, headers, body) = select(Method::GET, pairs).await;
    assert_eq!(status.as_u16(), wanted);
    assert_eq!(headers[header::ETAG], "\"sha256:abc\"");
    assert_eq!(headers[header::LAST_MODIFIED], DATE);
    assert!(!headers.contains_key(header::ACCEPT_RANGES));
    match wanted {
        200 => {
            assert_eq!(body, "45671");
            assert_eq!(headers[header::CONTENT_LENGTH], "5");
        }
        304 => {
            assert_eq!(body, "");
            assert!(!headers.contains_key(header::CONTENT_TYPE));
        }
        _ => assert_eq!(body, "412 Precondition Failed\n"),
    }
    let (head_status, head_headers, head_body) = select(Method::HEAD, pairs).await;
    assert_eq!((head_status, head_headers), (status, headers));
    if wanted < 400 {
        assert_eq!(head_body, "");
    }
}

#[tokio::test]
async fn other_methods_select_nothing() {
    let (status, headers, body) = select(Method::POST, &[]).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(headers[header::ALLOW], "GET, HEAD");
    assert_eq!(body, "Method Not Allowed\n");
}
