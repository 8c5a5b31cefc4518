//! The range language of an Operator's `spec.version`.
//!
//! Blank or comma is AND, `||` is OR; operators `= != > >= => < <= =< ~ ~> ^`; parts of a version
//! may be missing or `x`, `X`, `*`; `A - B` is `>= A, <= B`. The meaning is that of version 3 of
//! Masterminds' `semver` library with all its quirks (`^*` is only 0.0.0, `~0.0.0` is everything).

use std::fmt;
use std::str::FromStr;

use crate::identifiers::compare_prerelease;
use crate::{MAX_LENGTH, Version};

/// When pre-releases satisfy a constraint. A version that is none is never affected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PrereleaseMode {
    /// A comparator lets pre-releases pass only if its own operand is one; `!=` with a full version
    /// always does. Library 3.2 and 3.3.
    Single,
    /// All comparators of an AND group let them pass if the operand of one of them is a pre-release.
    /// Library 3.4 and later.
    #[default]
    Group,
    /// Pre-releases always pass.
    Include,
}

/// A parsed constraint. Displays as the text it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Constraint {
    text: String,
    groups: Vec<Vec<Comparator>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Comparator {
    operator: Operator,
    operand: Version,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How much of the operand was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// `1.2.3`
    Exact,
    /// `1.2`, `1.2.x`
    PatchOpen,
    /// `1`, `1.x`
    MinorOpen,
    /// `*`
    Any,
}

impl Constraint {
    /// Parses a constraint.
    ///
    /// # Errors
    /// Empty text and everything outside the grammar is refused; see [`ConstraintError`].
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong);
        }
        let rewritten = rewrite_hyphens(text);
        let groups = rewritten.split("||").map(group).collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            groups,
        })
    }

    /// Whether a version satisfies the constraint.
    pub fn matches(&self, version: &Version, mode: PrereleaseMode) -> bool {
        self.groups.iter().any(|group| {
            let group_allows = group
                .iter()
                .any(|comparator| comparator.operand.is_prerelease());
            group.iter().all(|comparator| {
                let allowed = !version.is_prerelease()
                    || match mode {
                        PrereleaseMode::Include => true,
                        PrereleaseMode::Group => group_allows,
                        PrereleaseMode::Single => {
                            comparator.operand.is_prerelease()
                                || (comparator.operator == Operator::NotEqual
                                    && comparator.form == Form::Exact)
                        }
                    };
                allowed && comparator.holds(version)
            })
        })
    }

    /// The text it was parsed from.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one full version a constraint such as `1.2.3`, `v1.2.3` or `= 1.2.3` names; `None` for
    /// everything that is a range.
    pub fn exact(&self) -> Option<&Version> {
        match self.groups.as_slice() {
            [group] => match group.as_slice() {
                [
                    Comparator {
                        operator: Operator::Equal,
                        operand,
                        form: Form::Exact,
                    },
                ] => Some(operand),
                _ => None,
            },
            _ => None,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        Self::parse(text)
    }
}

impl Comparator {
    /// Whether the comparator holds, pre-releases being allowed.
    fn holds(&self, v: &Version) -> bool {
        let c = &self.operand;
        let same_major = v.major() == c.major();
        let same_minor = same_major && v.minor() == c.minor();
        let minor_of = |version: &Version| (version.major(), version.minor());
        match (self.operator, self.form) {
            (Operator::Equal, Form::Exact) => v == c,
            (Operator::Equal | Operator::Tilde, Form::MinorOpen) => v >= c && same_major,
            (Operator::Equal | Operator::Tilde, Form::PatchOpen) => v >= c && same_minor,
            (Operator::Tilde, Form::Exact) => {
                v >= c && (same_minor || (c.major(), c.minor(), c.patch()) == (0, 0, 0))
            }
            (Operator::NotEqual, Form::Exact | Form::Any) => v != c,
            (Operator::NotEqual, Form::MinorOpen) => !same_major,
            (Operator::NotEqual, Form::PatchOpen) => {
                !same_minor
                    || ((v.is_prerelease() || c.is_prerelease())
                        && compare_prerelease(v.prerelease(), c.prerelease()).is_ne())
            }
            (Operator::Greater, Form::Exact | Form::Any) => v > c,
            (Operator::Greater, Form::PatchOpen) => minor_of(v) > minor_of(c),
            (Operator::Greater, Form::MinorOpen) => v.major() > c.major(),
            (Operator::GreaterOrEqual, _) | (Operator::Equal | Operator::Tilde, Form::Any) => {
                v >= c
            }
            (Operator::Less, _) => v < c,
            (Operator::LessOrEqual, Form::Exact) => v <= c,
            (Operator::LessOrEqual, Form::PatchOpen | Form::Any) => minor_of(v) <= minor_of(c),
            (Operator::LessOrEqual, Form::MinorOpen) => v.major() <= c.major(),
            (Operator::Caret, form) => {
                v >= c
                    && if c.major() > 0 || form == Form::MinorOpen {
                        same_major
                    } else if c.minor() > 0 || form == Form::PatchOpen {
                        same_minor
                    } else {
                        same_minor && v.patch() == c.patch()
                    }
            }
        }
    }
}

/// Why a text is not a constraint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstraintError {
    /// Longer than [`MAX_LENGTH`].
    #[error("constraint is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// An alternative does not follow the grammar. The text is that of the Go library.
    #[error("improper constraint: {0}")]
    Improper(String),
    /// An operand follows the grammar but names no version. The text is that of the Go library.
    #[error("constraint Parser Error")]
    Operand,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0c' | '\r')
}

/// Replaces each `A - B` by `>= A, <= B `, from left to right.
fn rewrite_hyphens(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((low, high, after)) = hyphen_range(rest) {
            out.extend([">= ", low, ", <= ", high, " "]);
            rest = after;
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// A hyphen range at the start of a text, with the blanks around it: both ends and what follows.
fn hyphen_range(text: &str) -> Option<(&str, &str, &str)> {
    let (low, rest) = operand(text.trim_start_matches(is_blank))?;
    let rest = rest
        .strip_prefix(is_blank)?
        .trim_start_matches(is_blank)
        .strip_prefix('-')?;
    let rest = rest.strip_prefix(is_blank)?.trim_start_matches(is_blank);
    let (high, rest) = operand(rest)?;
    Some((low.text, high.text, rest.trim_start_matches(is_blank)))
}

/// The pieces of an operand as written.
struct Operand<'a> {
    text: &'a str,
    parts: [Option<&'a str>; 3],
    /// With its hyphen.
    prerelease: &'a str,
}

/// Scans an operand at the start of a text.
fn operand(text: &str) -> Option<(Operand<'_>, &str)> {
    let mut parts = [None; 3];
    let mut rest = text.strip_prefix('v').unwrap_or(text);
    for (at, slot) in parts.iter_mut().enumerate() {
        let start = if at == 0 {
            Some(rest)
        } else {
            rest.strip_prefix('.')
        };
        let Some((part, after)) = start.and_then(run_of_part) else {
            break;
        };
        *slot = Some(part);
        rest = after;
    }
    parts[0]?;
    let (prerelease, rest) = suffix(rest, '-');
    let (_, rest) = suffix(rest, '+');
    let written = text.get(..text.len() - rest.len())?;
    Some((
        Operand {
            text: written,
            parts,
            prerelease,
        },
        rest,
    ))
}

/// A run of the characters of which parts are made; whether it is one is checked later.
fn run_of_part(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '|')))
        .unwrap_or(text.len());
    text.split_at_checked(end)
        .filter(|(part, _)| !part.is_empty())
}

/// A suffix of dot-separated identifiers behind its mark, or nothing.
fn suffix(text: &str, mark: char) -> (&str, &str) {
    let is_identifier = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut end = 0;
    let mut next = mark;
    while let Some(identifier) = text.get(end..).and_then(|rest| rest.strip_prefix(next)) {
        let length = identifier
            .find(|c| !is_identifier(c))
            .unwrap_or(identifier.len());
        if length == 0 {
            break;
        }
        end += next.len_utf8() + length;
        next = '.';
    }
    text.split_at_checked(end).unwrap_or(("", text))
}

/// Parses one alternative: comparators with blanks or a comma between them.
fn group(text: &str) -> Result<Vec<Comparator>, ConstraintError> {
    let improper = || ConstraintError::Improper(text.to_owned());
    let mut scanned = Vec::new();
    let mut rest = text.trim_start_matches(is_blank);
    loop {
        let (operator, after) = operator(rest);
        let (operand, after) = operand(after.trim_start_matches(is_blank)).ok_or_else(improper)?;
        scanned.push((operator, operand));
        let next = after.trim_start_matches(is_blank);
        if next.is_empty() {
            break;
        }
        let separated = next.len() < after.len();
        rest = match next.strip_prefix(',') {
            Some(next) => next.trim_start_matches(is_blank),
            None if separated => next,
            None => return Err(improper()),
        };
    }
    scanned
        .into_iter()
        .map(|(operator, operand)| comparator(operator, &operand))
        .collect()
}

fn operator(text: &str) -> (Operator, &str) {
    const OPERATORS: [(&str, Operator); 10] = [
        ("!=", Operator::NotEqual),
        (">=", Operator::GreaterOrEqual),
        ("=>", Operator::GreaterOrEqual),
        ("<=", Operator::LessOrEqual),
        ("=<", Operator::LessOrEqual),
        ("~>", Operator::Tilde),
        ("~", Operator::Tilde),
        ("^", Operator::Caret),
        (">", Operator::Greater),
        ("<", Operator::Less),
    ];
    for (written, operator) in OPERATORS {
        if let Some(rest) = text.strip_prefix(written) {
            return (operator, rest);
        }
    }
    (Operator::Equal, text.strip_prefix('=').unwrap_or(text))
}

fn comparator(operator: Operator, operand: &Operand<'_>) -> Result<Comparator, ConstraintError> {
    let open = |part: Option<&str>| part.is_none_or(|part| matches!(part, "x" | "X" | "*"));
    let [major, minor, patch] = operand.parts;
    let pre = operand.prerelease;
    let (form, text) = match (major, minor) {
        (Some(major), Some(minor)) if !open(Some(major)) && !open(Some(minor)) => {
            if open(patch) {
                (Form::PatchOpen, format!("{major}.{minor}.0{pre}"))
            } else {
                (Form::Exact, operand.text.to_owned())
            }
        }
        (Some(major), _) if !open(Some(major)) => (Form::MinorOpen, format!("{major}.0.0{pre}")),
        _ => (Form::Any, format!("0.0.0{pre}")),
    };
    let operand = Version::parse_lenient(&text).map_err(|_| ConstraintError::Operand)?;
    Ok(Comparator {
        operator,
        operand,
        form,
    })
}
