//! The `Range` header: one range of bytes.

/// A range inside the content; both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// What a `Range` header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// This part.
    One(ByteRange),
    /// Nothing that the content has.
    Unsatisfiable,
    /// Another unit, several ranges or bad syntax: the whole content is the permitted answer
    /// (RFC 9110 section 14.2).
    Ignored,
}

/// Reads `bytes=first-last`, `bytes=first-` or `bytes=-suffix` for a content of `length` bytes.
pub(crate) fn parse(text: &str, length: u64) -> Parsed {
    let Some((unit, set)) = text.split_once('=') else {
        return Parsed::Ignored;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Parsed::Ignored;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return Parsed::Ignored;
    };
    match (position(first), position(last)) {
        (Some(None), Some(Some(suffix))) => {
            if suffix == 0 || length == 0 {
                return Parsed::Unsatisfiable;
            }
            Parsed::One(ByteRange {
                first: length.saturating_sub(suffix),
                last: length - 1,
            })
        }
        (Some(Some(first)), Some(last)) => {
            if last.is_some_and(|last| last < first) {
                return Parsed::Ignored;
            }
            if first >= length {
                return Parsed::Unsatisfiable;
            }
            let end = length - 1;
            Parsed::One(ByteRange {
                first,
                last: last.map_or(end, |last| last.min(end)),
            })
        }
        _ => Parsed::Ignored,
    }
}

/// `Some(None)` for an absent number, `None` for bad syntax; numbers too large for 64 bits count as
/// the largest one.
#[expect(
    clippy::option_option,
    reason = "absent and malformed are different answers"
)]
fn position(text: &str) -> Option<Option<u64>> {
    if text.is_empty() {
        return Some(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn one(first: u64, last: u64) -> Parsed {
        Parsed::One(ByteRange { first, last })
    }

    #[rstest]
    #[case::closed("bytes=0-3", one(0, 3))]
    #[case::open("bytes=4-", one(4, 9))]
    #[case::suffix("bytes=-3", one(7, 9))]
    #[case::suffix_longer_than_content("bytes=-30", one(0, 9))]
    #[case::end_past_content("bytes=8-99", one(8, 9))]
    #[case::enormous_end("bytes=8-99999999999999999999999", one(8, 9))]
    #[case::start_past_content("bytes=10-", Parsed::Unsatisfiable)]
    #[case::empty_suffix("bytes=-0", Parsed::Unsatisfiable)]
    #[case::reversed("bytes=5-2", Parsed::Ignored)]
    #[case::several("bytes=0-1,3-4", Parsed::Ignored)]
    #[case::other_unit("lines=0-1", Parsed::Ignored)]
    #[case::sign("bytes=+1-2", Parsed::Ignored)]
    #[case::nothing("bytes=-", Parsed::Ignored)]
    fn reads_a_range_of_ten_bytes(#[case] text: &str, #[case] wanted: Parsed) {
        assert_eq!(parse(text, 10), wanted);
    }

    #[test]
    fn an_empty_content_satisfies_no_range() {
        assert_eq!(parse("bytes=0-", 0), Parsed::Unsatisfiable);
        assert_eq!(parse("bytes=-1", 0), Parsed::Unsatisfiable);
    }
}
