//! The range language of `skipRange` and of required packages.
//!
//! Comparators (`= == ! != > >= < <=` and a full version) separated by blanks are AND, ` || ` is
//! OR; a lower-case `x` stands for any number. Pre-releases follow plain precedence. Accepted and
//! evaluated is exactly what version 4 of the Go library `blang/semver` accepts, including what it
//! does by accident: tokens of one byte are dropped, `!=1.2.x` is never true, `1.x.x` is
//! `>=1.0.0 <1.1.0`. The one exception is an empty alternative, on which that library crashes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use std::cmp::Ordering;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use crate::{MAX_LENGTH, Version, VersionError};

/// A parsed range. Displays as the text it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Range {
    text: String,
    alternatives: Vec<Vec<Comparator>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Comparator {
    operator: Operator,
    operand: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Range {
    /// Parses a range.
    ///
    /// # Errors
    /// The texts are those of the Go library; see [`RangeError`].
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.len() > MAX_LENGTH {
            return Err(RangeError::TooLong);
        }
        let tokens = tokens(text);
        if tokens.first().is_some_and(|token| token == "||") {
            return Err(RangeError::LeadingOr);
        }
        if tokens.last().is_none_or(|token| token == "||") {
            return Err(RangeError::TrailingOr);
        }
        let mut alternatives = Vec::new();
        for alternative in tokens.split(|token| token == "||") {
            if alternative.is_empty() {
                return Err(RangeError::EmptyAlternative);
            }
            let mut comparators = Vec::new();
            for token in alternative {
                for comparator in expand_wildcards(token)? {
                    comparators.push(Comparator::parse(&comparator)?);
                }
            }
            alternatives.push(comparators);
        }
        Ok(Self {
            text: text.to_owned(),
            alternatives,
        })
    }

    /// Whether a version lies in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|comparators| {
            comparators
                .iter()
                .all(|comparator| comparator.holds(version))
        })
    }

    /// The range as intervals of versions by precedence: a version lies in the range if, and only
    /// if, it lies in one of them. They may overlap, and may be empty. For searches in sorted
    /// versions, where asking [`Range::contains`] of each would be too slow.
    pub fn intervals(&self) -> Vec<(Bound<&Version>, Bound<&Version>)> {
        self.alternatives.iter().flat_map(intervals).collect()
    }

    /// The text it was parsed from.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What lies between the bounds of all comparators, cut at the versions that are excluded.
fn intervals(comparators: &Vec<Comparator>) -> Vec<(Bound<&Version>, Bound<&Version>)> {
    let mut lower = Bound::Unbounded;
    let mut upper = Bound::Unbounded;
    let mut excluded = Vec::new();
    for Comparator { operator, operand } in comparators {
        match operator {
            Operator::NotEqual => excluded.push(operand),
            Operator::Equal => {
                lower = later(lower, Bound::Included(operand));
                upper = earlier(upper, Bound::Included(operand));
            }
            Operator::Greater => lower = later(lower, Bound::Excluded(operand)),
            Operator::GreaterOrEqual => lower = later(lower, Bound::Included(operand)),
            Operator::Less => upper = earlier(upper, Bound::Excluded(operand)),
            Operator::LessOrEqual => upper = earlier(upper, Bound::Included(operand)),
        }
    }
    excluded.sort_unstable();
    let mut intervals = Vec::new();
    for cut in excluded {
        intervals.push((lower, earlier(upper, Bound::Excluded(cut))));
        lower = later(lower, Bound::Excluded(cut));
    }
    intervals.push((lower, upper));
    intervals
}

/// The lower bound that lets less through.
fn later<'a>(a: Bound<&'a Version>, b: Bound<&'a Version>) -> Bound<&'a Version> {
    match (a, b) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other,
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            match x.cmp(y) {
                Ordering::Less => b,
                Ordering::Greater => a,
                Ordering::Equal => excluding(a, b),
            }
        }
    }
}

/// The upper bound that lets less through.
fn earlier<'a>(a: Bound<&'a Version>, b: Bound<&'a Version>) -> Bound<&'a Version> {
    match (a, b) {
        (Bound::Unbounded, other) | (other, Bound::Unbounded) => other,
        (Bound::Included(x) | Bound::Excluded(x), Bound::Included(y) | Bound::Excluded(y)) => {
            match x.cmp(y) {
                Ordering::Less => a,
                Ordering::Greater => b,
                Ordering::Equal => excluding(a, b),
            }
        }
    }
}

/// Of two bounds at one version, the one that excludes it.
fn excluding<'a>(a: Bound<&'a Version>, b: Bound<&'a Version>) -> Bound<&'a Version> {
    if matches!(a, Bound::Excluded(_)) {
        a
    } else {
        b
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        Self::parse(text)
    }
}

impl Comparator {
    fn parse(text: &str) -> Result<Self, RangeError> {
        let (written, operand) = split_operator(text)?;
        let operator = match written {
            "" | "=" | "==" => Operator::Equal,
            "!" | "!=" => Operator::NotEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            other => {
                return Err(RangeError::Operator {
                    operator: other.to_owned(),
                    comparator: text.to_owned(),
                });
            }
        };
        let operand = Version::parse_strict(operand).map_err(|error| RangeError::Operand {
            operand: operand.to_owned(),
            comparator: text.to_owned(),
            error,
        })?;
        Ok(Self { operator, operand })
    }

    fn holds(&self, version: &Version) -> bool {
        let operand = &self.operand;
        match self.operator {
            Operator::Equal => version == operand,
            Operator::NotEqual => version != operand,
            Operator::Greater => version > operand,
            Operator::GreaterOrEqual => version >= operand,
            Operator::Less => version < operand,
            Operator::LessOrEqual => version <= operand,
        }
    }
}

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Longer than [`MAX_LENGTH`].
    #[error("range is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Starts with `||`.
    #[error("First element in range is '||'")]
    LeadingOr,
    /// Ends with `||`, or holds no comparator at all.
    #[error("Last element in range is '||'")]
    TrailingOr,
    /// Nothing between two `||`.
    #[error("Empty element in range between '||'")]
    EmptyAlternative,
    /// A comparator without any digit.
    #[error("Could not get version from string: {0:?}")]
    NoVersion(String),
    /// An unknown operator.
    #[error(
        "Could not parse Range {comparator:?}: Could not parse comparator {operator:?} in {comparator:?}"
    )]
    Operator {
        /// What stands before the first digit.
        operator: String,
        /// The whole comparator.
        comparator: String,
    },
    /// An operand that is not a strict version.
    #[error(
        "Could not parse Range {comparator:?}: Could not parse version {operand:?} in {comparator:?}: {error}"
    )]
    Operand {
        /// What stands from the first digit on.
        operand: String,
        /// The whole comparator.
        comparator: String,
        /// Why it is no version; part of the text, as in the Go library.
        error: VersionError,
    },
}

/// Splits at blanks that do not follow `>`, `<` or `=`, drops pieces of one byte and removes the
/// blanks that are left.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut push = |piece: &str| {
        if piece.len() > 1 {
            tokens.push(piece.replace(' ', ""));
        }
    };
    let mut start = 0;
    let mut previous = None;
    for (at, c) in text.char_indices() {
        if c != ' ' {
            previous = Some(c);
        } else if !matches!(previous, Some('>' | '<' | '=')) {
            push(text.get(start..at).unwrap_or_default());
            start = at + 1;
        }
    }
    push(text.get(start..).unwrap_or_default());
    tokens
}

fn split_operator(comparator: &str) -> Result<(&str, &str), RangeError> {
    let digit = comparator
        .find(|c: char| c.is_ascii_digit())
        .ok_or_else(|| RangeError::NoVersion(comparator.to_owned()))?;
    let (operator, operand) = comparator.split_at(digit);
    Ok((operator.trim(), operand))
}

/// The comparators that one with a lower-case `x` anywhere stands for; any other is itself.
fn expand_wildcards(comparator: &str) -> Result<Vec<String>, RangeError> {
    if !comparator.contains('x') {
        return Ok(vec![comparator.to_owned()]);
    }
    let (operator, operand) = split_operator(comparator)?;
    let mut flat = operand.replacen(".x.x", ".x", 1).replacen(".x", ".0", 1);
    if flat.split('.').count() == 2 {
        flat.push_str(".0");
    }
    // Where there is nothing to count up, a comparator without version is left, an error later.
    let up = || next_after(operand, &flat).unwrap_or_default();
    Ok(match operator {
        ">" => vec![format!(">={}", up())],
        ">=" => vec![format!(">={flat}")],
        "<" => vec![format!("<{flat}")],
        "<=" => vec![format!("<{}", up())],
        "" | "=" | "==" => vec![format!(">={flat}"), format!("<{}", up())],
        "!" | "!=" => vec![format!("<{flat}"), format!(">={}", up())],
        _ => vec![flat],
    })
}

/// The first version after all that a wildcard stands for.
fn next_after(operand: &str, flat: &str) -> Option<String> {
    let written: Vec<&str> = operand.split('.').collect();
    let counted = match written.as_slice() {
        [_, "x"] => 0,
        [_, _, "x"] => 1,
        _ => return None,
    };
    let mut parts: Vec<String> = flat.split('.').map(str::to_owned).collect();
    let part = parts.get_mut(counted)?;
    *part = part.parse::<i64>().ok()?.checked_add(1)?.to_string();
    Some(parts.join("."))
}
/// As its text.
impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}
