//! Preconditions of a request (RFC 9110 section 13) against one content.

use std::time::SystemTime;

use http::{HeaderMap, Method, header};

use crate::range::{self, ByteRange};

/// Entity tags that are read of one header.
const MAX_TAGS: usize = 64;

/// What the preconditions of a request lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Full,
    Part(ByteRange),
    NotModified,
    PreconditionFailed,
    Unsatisfiable,
}

/// The validators of the content at hand.
#[derive(Debug)]
pub(crate) struct Validators<'a> {
    /// The digest, without quotes.
    pub(crate) digest: &'a str,
    /// The entity tag of the chosen form, with quotes.
    pub(crate) tag: &'a str,
    /// In whole seconds.
    pub(crate) modified: Option<SystemTime>,
    /// Size of the chosen form; `None` where ranges are not offered.
    pub(crate) length: Option<u64>,
}

/// Applies the preconditions in the order of RFC 9110 section 13.2.2.
pub(crate) fn judge(method: &Method, headers: &HeaderMap, content: &Validators<'_>) -> Verdict {
    if headers.contains_key(header::IF_MATCH) {
        if !tags_include(headers, &header::IF_MATCH, content, Comparison::Strong) {
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
        if tags_include(headers, &header::IF_NONE_MATCH, content, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if let (Some(limit), Some(modified)) =
        (date(headers, &header::IF_MODIFIED_SINCE), content.modified)
        && modified <= limit
    {
        return Verdict::NotModified;
    }

    // RFC 9110 section 14.2: ranges are defined for GET only.
    let Some(length) = content.length.filter(|_| method == Method::GET) else {
        return Verdict::Full;
    };
    if !if_range_holds(headers, content) {
        return Verdict::Full;
    }
    let asked = headers.get(header::RANGE);
    match asked.and_then(|value| value.to_str().ok()) {
        Some(text) => match range::parse(text, length) {
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
    content: &Validators<'_>,
    comparison: Comparison,
) -> bool {
    // A digest has no comma and no quote, so the list can be split at commas.
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|text| text.split(','))
        .take(MAX_TAGS)
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
                .and_then(|text| text.strip_prefix(content.digest))
                .is_some_and(|suffix| matches!(suffix, "" | "-gzip" | "-zstd"))
        })
}

/// A date in a header; what is none counts as absent (RFC 9110 sections 13.1.3 and 13.1.4).
fn date(headers: &HeaderMap, name: &header::HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}
