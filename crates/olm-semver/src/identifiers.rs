//! The dot-separated identifiers of pre-releases and of bundle releases: their form and their order.

use std::cmp::Ordering;

use crate::VersionError;

/// Compares two pre-release texts by precedence; `""` stands for a release and is highest.
pub(crate) fn compare_prerelease(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => compare_identifiers(a, b),
    }
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    let number = |text: &str| {
        if is_digits(text) {
            text.parse::<u64>().ok()
        } else {
            None
        }
    };
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (number(a), number(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => a.cmp(b),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Checks one identifier of a pre-release, or of a release, strictly.
///
/// # Errors
/// The rule it breaks, in the words of the Go library.
pub fn check_prerelease_identifier(identifier: &str) -> Result<(), VersionError> {
    if identifier.is_empty() {
        return Err(VersionError::EmptyPrerelease);
    }
    if !is_identifier(identifier) {
        return Err(VersionError::PrereleaseCharacter(identifier.to_owned()));
    }
    if has_leading_zero(identifier) {
        return Err(VersionError::PrereleaseZeroes(identifier.to_owned()));
    }
    if is_digits(identifier) && identifier.parse::<u64>().is_err() {
        return Err(VersionError::Range(identifier.to_owned()));
    }
    Ok(())
}

/// Compares two bundle releases: dot-separated identifiers ordered as in a pre-release, except that
/// having none is lowest.
pub fn compare_releases(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_identifiers(a, b),
    }
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

pub(crate) fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

pub(crate) fn has_leading_zero(text: &str) -> bool {
    text.len() > 1 && text.starts_with('0') && is_digits(text)
}
