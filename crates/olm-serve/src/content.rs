//! Answers for one immutable content: validators, ranges, HEAD, encodings, parts.
//!
//! Rules: RFC 9110 sections 8.8 (validators), 12.5.3 (encodings), 13 (conditional requests) and 14
//! (ranges). The entity tag is the digest of the content and so the same on each replica and after
//! each restart; an encoded form has the tag of the plain form plus `-gzip` or `-zstd`. For
//! `If-Match` and `If-None-Match` all forms of the same content count as equal, so that a reader may
//! check the digest it knows and still get a compressed answer.
//!
//! An answer with a selection of lines ([`respond_parts`]) has the tag of the whole content: under
//! its own address, which names the selection, it is a function of that content and changes with
//! nothing else.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::conditional::{self, Validators, Verdict};
pub use crate::negotiate::{Encoding, negotiate};
use crate::parts::Parts;

/// One open file and what the answer says about it.
#[derive(Debug)]
pub struct Content {
    /// The open file, which readers share: it is read by offset. The answer reads from this handle
    /// and no other.
    pub file: Arc<File>,
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
}

impl Content {
    fn tag(&self) -> String {
        match self.encoding {
            Encoding::Identity => format!("\"{}\"", self.digest),
            other => format!("\"{}-{}\"", self.digest, other.name()),
        }
    }

    fn judge(&self, method: &Method, headers: &HeaderMap, length: Option<u64>) -> Verdict {
        let validators = Validators {
            digest: &self.digest,
            tag: &self.tag(),
            modified: self.modified.map(whole_seconds),
            length,
        };
        conditional::judge(method, headers, &validators)
    }

    /// What every answer about this content says.
    fn validators(&self) -> HeaderMap {
        let mut answer = HeaderMap::new();
        if let Ok(tag) = HeaderValue::from_str(&self.tag()) {
            answer.insert(header::ETAG, tag);
        }
        // `no-cache` means "ask before using": the digest makes the question cheap.
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(value) = self.modified.map(whole_seconds).and_then(http_date) {
            answer.insert(header::LAST_MODIFIED, value);
        }
        answer
    }
}

/// Answers `method` with `headers` for the whole `content`, or one range of it.
///
/// GET and HEAD are answered, everything else gets 405 with `Allow`. A file that turns out shorter
/// than [`Content::length`] breaks the connection instead of ending the body early.
pub fn respond(method: &Method, headers: &HeaderMap, content: Content) -> Response {
    if !is_read(method) {
        return method_not_allowed();
    }
    let verdict = content.judge(method, headers, Some(content.length));
    let mut answer = content.validators();
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let (status, part) = match verdict {
        Verdict::NotModified => return (StatusCode::NOT_MODIFIED, answer).into_response(),
        Verdict::PreconditionFailed => return precondition_failed(answer),
        Verdict::Unsatisfiable => {
            let value = format!("bytes */{}", content.length);
            answer.extend(named(header::CONTENT_RANGE, &value));
            let status = StatusCode::RANGE_NOT_SATISFIABLE;
            return (status, answer, text(status)).into_response();
        }
        Verdict::Full => (StatusCode::OK, 0..content.length),
        Verdict::Part(range) => {
            let value = format!("bytes {}-{}/{}", range.first, range.last, content.length);
            answer.extend(named(header::CONTENT_RANGE, &value));
            (StatusCode::PARTIAL_CONTENT, range.first..range.last + 1)
        }
    };
    if content.encoding != Encoding::Identity {
        let name = HeaderValue::from_static(content.encoding.name());
        answer.insert(header::CONTENT_ENCODING, name);
    }
    let content_type = content.content_type.clone();
    let parts = Parts::new(content.file, [part]);
    send(method, status, answer, content_type, parts)
}

/// What the preconditions of a request lead to where they are not met: 304 or 412. For callers that
/// have work to do before they can call [`respond_parts`], which looks once more.
pub fn precondition(method: &Method, headers: &HeaderMap, content: &Content) -> Option<Response> {
    match content.judge(method, headers, None) {
        Verdict::NotModified => {
            Some((StatusCode::NOT_MODIFIED, content.validators()).into_response())
        }
        Verdict::PreconditionFailed => Some(precondition_failed(content.validators())),
        Verdict::Full | Verdict::Part(_) | Verdict::Unsatisfiable => None,
    }
}

/// Answers with a selection of the bytes of `content`, which must be its plain form, in the order of
/// `parts`. Ranges are not offered.
///
/// Only what is being sent is in memory, beside 16 bytes for each part.
pub fn respond_parts(
    method: &Method,
    headers: &HeaderMap,
    content: Content,
    parts: Vec<Range<u64>>,
) -> Response {
    if !is_read(method) {
        return method_not_allowed();
    }
    if let Some(answer) = precondition(method, headers, &content) {
        return answer;
    }
    let answer = content.validators();
    let content_type = content.content_type.clone();
    let parts = Parts::new(content.file, parts);
    send(method, StatusCode::OK, answer, content_type, parts)
}

fn send(
    method: &Method,
    status: StatusCode,
    mut answer: HeaderMap,
    content_type: HeaderValue,
    parts: Parts,
) -> Response {
    answer.insert(header::CONTENT_TYPE, content_type);
    answer.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(parts.length()));
    if method == Method::HEAD {
        return (status, answer).into_response();
    }
    // Little is read here and now: to have another thread do it would take longer.
    let body = match parts.read_little() {
        Ok(bytes) => Body::from(bytes),
        Err(parts) => Body::from_stream(parts.into_stream()),
    };
    (status, answer, body).into_response()
}

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Whether the method reads.
pub fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// The answer to a method other than GET and HEAD.
pub fn method_not_allowed() -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    let status = StatusCode::METHOD_NOT_ALLOWED;
    (status, allow, plain("Method Not Allowed\n".to_owned())).into_response()
}

/// The answer to a reader who refuses every form that there is (see [`negotiate`]).
pub fn not_acceptable() -> Response {
    let vary = [(header::VARY, HeaderValue::from_static("accept-encoding"))];
    let status = StatusCode::NOT_ACCEPTABLE;
    (status, vary, text(status)).into_response()
}

/// An answer that says nothing but its status, or `message`, as text of one line.
pub fn refusal(status: StatusCode, message: Option<&str>) -> Response {
    match message {
        Some(message) => (status, plain(format!("{message}\n"))).into_response(),
        None => (status, text(status)).into_response(),
    }
}

fn precondition_failed(answer: HeaderMap) -> Response {
    let status = StatusCode::PRECONDITION_FAILED;
    (status, answer, text(status)).into_response()
}

/// `404 Not Found` and a line feed, as text.
fn text(status: StatusCode) -> impl IntoResponse {
    plain(format!("{status}\n"))
}

fn plain(body: String) -> impl IntoResponse {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::X_CONTENT_TYPE_OPTIONS, NOSNIFF),
    ];
    (headers, body)
}

fn named(name: header::HeaderName, value: &str) -> Option<(header::HeaderName, HeaderValue)> {
    Some((name, HeaderValue::from_str(value).ok()?))
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
