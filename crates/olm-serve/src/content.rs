//! Answers for one immutable file: validators, ranges, HEAD, encodings.
//!
//! Rules: RFC 9110 sections 8.8 (validators), 13 (conditional requests) and 14 (ranges). The entity
//! tag is the digest of the content and so the same on each replica and after each restart; an
//! encoded form has the tag of the plain form plus `-gzip` or `-zstd`. For `If-Match` and
//! `If-None-Match` all forms of the same content count as equal, so that a reader may check the
//! digest it knows and still get a compressed answer.

use std::io::SeekFrom;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use range::ByteRange;

#[path = "range.rs"]
mod range;

/// Bytes read from the file at a time.
const CHUNK: usize = 64 << 10;

/// A stored form of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// The bytes themselves.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// One open file and what the answer says about it.
#[derive(Debug)]
pub struct Content {
    /// The open file, at any position. The answer reads from this handle and no other.
    pub file: std::fs::File,
    /// Size of the file in bytes.
    pub length: u64,
    /// Digest of the plain content, such as `sha256:…`; the strong entity tag without quotes.
    pub digest: String,
    /// When this content came to be; seconds are what HTTP can say.
    pub modified: Option<SystemTime>,
    /// Media type of the plain content.
    pub content_type: HeaderValue,
    /// How the bytes of `file` are encoded.
    pub encoding: Encoding,
    /// Whether other encodings of the same content exist, so that caches must tell them apart.
    pub negotiated: bool,
}

/// Chooses the form to open for a request among those that are stored.
///
/// The best is the one with the highest weight in `Accept-Encoding`; among equals the first of
/// `available` wins, so list them by preference. A request for a range gets the plain bytes: ranges
/// count bytes of the chosen form, and readers mean the plain one.
pub fn negotiate(headers: &HeaderMap, available: &[Encoding]) -> Encoding {
    if headers.contains_key(header::RANGE) {
        return Encoding::Identity;
    }
    let accepted = weights(headers);
    let mut best = (Encoding::Identity, 0_u16);
    for &encoding in available {
        let weight = weight_of(&accepted, encoding);
        if weight > best.1 {
            best = (encoding, weight);
        }
    }
    best.0
}

/// The names and weights (in thousandths) of `Accept-Encoding`; at most 32 are read.
fn weights(headers: &HeaderMap) -> Vec<(String, u16)> {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    items
        .take(32)
        .filter_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let name = parts
                .next()
                .filter(|name| !name.is_empty())?
                .to_ascii_lowercase();
            let mut weight = 1000;
            for part in parts {
                if let Some(text) = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")) {
                    weight = parse_weight(text)?;
                }
            }
            Some((name, weight))
        })
        .collect()
}

fn parse_weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

fn weight_of(accepted: &[(String, u16)], encoding: Encoding) -> u16 {
    let named = |name: &str| {
        accepted
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, q)| *q)
    };
    match named(encoding.name()).or_else(|| named("*")) {
        Some(weight) => weight,
        // Plain bytes are acceptable unless refused, but lose against anything that was named.
        None if encoding == Encoding::Identity => 1,
        None => 0,
    }
}

/// What the preconditions of a request lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Full,
    Part(ByteRange),
    NotModified,
    PreconditionFailed,
    Unsatisfiable,
}

/// The validators of the content at hand.
struct Validators<'a> {
    digest: &'a str,
    tag: &'a str,
    modified: Option<SystemTime>,
    length: u64,
}

/// Answers `method` with `headers` for `content`.
///
/// GET and HEAD are answered, everything else gets 405 with `Allow`. A file that turns out shorter
/// than [`Content::length`] breaks the connection instead of ending the body early.
pub async fn respond(method: &Method, headers: &HeaderMap, content: Content) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return method_not_allowed();
    }
    let tag = match content.encoding {
        Encoding::Identity => format!("\"{}\"", content.digest),
        other => format!("\"{}-{}\"", content.digest, other.name()),
    };
    let Ok(tag_value) = HeaderValue::from_str(&tag) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let modified = content.modified.map(whole_seconds);
    let validators = Validators {
        digest: &content.digest,
        tag: &tag,
        modified,
        length: content.length,
    };
    let verdict = judge(method, headers, &validators);

    let mut answer = HeaderMap::new();
    answer.insert(header::ETAG, tag_value);
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // `no-cache` means "ask before using": the digest makes the question cheap.
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(value) = modified.and_then(http_date) {
        answer.insert(header::LAST_MODIFIED, value);
    }
    if content.negotiated {
        answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }

    let (status, start, length) = match verdict {
        Verdict::NotModified => return (StatusCode::NOT_MODIFIED, answer).into_response(),
        Verdict::PreconditionFailed => {
            return (StatusCode::PRECONDITION_FAILED, answer).into_response();
        }
        Verdict::Unsatisfiable => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{}", content.length)) {
                answer.insert(header::CONTENT_RANGE, value);
            }
            return (StatusCode::RANGE_NOT_SATISFIABLE, answer).into_response();
        }
        Verdict::Full => (StatusCode::OK, 0, content.length),
        Verdict::Part(range) => {
            let value = format!("bytes {}-{}/{}", range.first, range.last, content.length);
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, range.first, range.length())
        }
    };
    answer.insert(header::CONTENT_TYPE, content.content_type);
    answer.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if content.encoding != Encoding::Identity {
        let name = HeaderValue::from_static(content.encoding.name());
        answer.insert(header::CONTENT_ENCODING, name);
    }
    if method == Method::HEAD {
        return (status, answer).into_response();
    }
    let mut file = tokio::fs::File::from_std(content.file);
    if let Err(error) = file.seek(SeekFrom::Start(start)).await {
        tracing::error!(error = %error, digest = content.digest, "cannot read stored content");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK));
    (status, answer, body).into_response()
}

/// The answer to a method other than GET and HEAD.
pub fn method_not_allowed() -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    (StatusCode::METHOD_NOT_ALLOWED, allow).into_response()
}

/// Applies the preconditions in the order of RFC 9110 section 13.2.2.
fn judge(method: &Method, headers: &HeaderMap, content: &Validators<'_>) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        if !tags_include(
            headers,
            &header::IF_MATCH,
            content.digest,
            Comparison::Strong,
        ) {
            return Verdict::PreconditionFailed;
        }
    } else if let (Some(limit), Some(modified)) = (
        date(headers, &header::IF_UNMODIFIED_SINCE),
        content.modified,
    ) && modified > limit
    {
        return Verdict::PreconditionFailed;
    }

    if headers.contains_key(header::IF_NONE_MATCH) {
        if tags_include(
            headers,
            &header::IF_NONE_MATCH,
            content.digest,
            Comparison::Weak,
        ) {
            return Verdict::NotModified;
        }
    } else if let (Some(limit), Some(modified)) =
        (date(headers, &header::IF_MODIFIED_SINCE), content.modified)
        && modified <= limit
    {
        return Verdict::NotModified;
    }

    // RFC 9110 section 14.2: ranges are defined for GET only.
    if method != Method::GET || !if_range_holds(headers, content) {
        return Verdict::Full;
    }
    match headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
    {
        Some(text) => match range::parse(text, content.length) {
            range::Parsed::One(part) => Verdict::Part(part),
            range::Parsed::Unsatisfiable => Verdict::Unsatisfiable,
            range::Parsed::Ignored => Verdict::Full,
        },
        None => Verdict::Full,
    }
}

fn if_range_holds(headers: &HeaderMap, content: &Validators<'_>) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else {
        return true;
    };
    if value.as_bytes().starts_with(b"\"") {
        return value.as_bytes() == content.tag.as_bytes();
    }
    match (date(headers, &header::IF_RANGE), content.modified) {
        (Some(asked), Some(modified)) => asked == modified,
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether the list of entity tags in a header names this content, or is `*`.
fn tags_include(
    headers: &HeaderMap,
    name: &header::HeaderName,
    digest: &str,
    comparison: Comparison,
) -> bool {
    // A digest has no comma and no quote, so the list can be split at commas.
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|tag| {
            if tag == "*" {
                return true;
            }
            let tag = match tag.strip_prefix("W/") {
                Some(_) if comparison == Comparison::Strong => return false,
                Some(rest) => rest,
                None => tag,
            };
            let opaque = tag
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            opaque
                .and_then(|text| text.strip_prefix(digest))
                .is_some_and(|suffix| matches!(suffix, "" | "-gzip" | "-zstd"))
        })
}

fn date(headers: &HeaderMap, name: &header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()),
        Err(_before) => SystemTime::UNIX_EPOCH,
    }
}

fn http_date(time: SystemTime) -> Option<HeaderValue> {
    // The formatter refuses years above 9999 by panicking.
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    if since.as_secs() >= 253_402_300_800 {
        return None;
    }
    HeaderValue::from_str(&httpdate::fmt_http_date(time)).ok()
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
