//! From the text of one document to its meta, or to why it has none and what is lost with it.

use olm_yaml::YamlError;
use serde_json::Value;

use crate::block;
use crate::rewrite::Rewriter;
use crate::split::Kind;
use crate::{Meta, MetaError};

/// Schema of the documents whose name is that of a package.
const PACKAGE: &str = "olm.package";

/// A document that is no part of a catalog.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) error: MetaError,
    pub(crate) costs: Costs,
}

/// What cannot be told without a bad document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Costs {
    /// This package.
    Package(String),
    /// Any package of its file.
    File,
    /// Any package of its file, and where the documents after it begin.
    Rest,
}

/// Reads the text of a document; `None` when it is empty.
pub(crate) fn read(
    rewriter: &mut Rewriter,
    text: &[u8],
    kind: Kind,
    limits: &olm_yaml::Limits,
) -> Result<Option<Meta>, Bad> {
    let trimmed = text.trim_ascii_start();
    let read = if trimmed.starts_with(b"{") {
        rewriter.meta(trimmed)
    } else {
        block::meta(rewriter, text)
    };
    if let Some(meta) = read {
        return Ok(Some(meta));
    }
    let value = match kind {
        Kind::Json => match from_json(text) {
            Ok(value) => value,
            Err(error) => return Err(bad(error, Costs::Rest)),
        },
        Kind::Yaml | Kind::Either => match olm_yaml::part(text, limits) {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                let json = (kind == Kind::Either && matches!(error, YamlError::Yaml { .. }))
                    .then(|| from_json(text).err())
                    .flatten();
                let costs = written_package(text).map_or(Costs::File, Costs::Package);
                return Err(bad(json.unwrap_or(error), costs));
            }
        },
    };
    if value.is_null() {
        return Ok(None);
    }
    match Meta::from_value(&value) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) => Err(Bad {
            costs: package(&value).map_or(Costs::File, Costs::Package),
            error,
        }),
    }
}

fn bad(error: YamlError, costs: Costs) -> Bad {
    Bad {
        error: error.into(),
        costs,
    }
}

fn from_json(text: &[u8]) -> Result<Value, YamlError> {
    serde_json::from_slice(text).map_err(|source| YamlError::Json {
        index: 0,
        line: source.line(),
        source,
    })
}

/// The same error of the document at that place in its file.
pub(crate) fn at(error: MetaError, index: usize, line: usize) -> MetaError {
    let shift = |within: usize| line + within.saturating_sub(1);
    let MetaError::Syntax { source } = error else {
        return error;
    };
    let source = match source {
        YamlError::Yaml {
            line: within,
            source,
            ..
        } => YamlError::Yaml {
            index,
            line: shift(within),
            source,
        },
        YamlError::Json {
            line: within,
            source,
            ..
        } => YamlError::Json {
            index,
            line: shift(within),
            source,
        },
        YamlError::TooDeep {
            line: within,
            limit,
            ..
        } => YamlError::TooDeep {
            index,
            line: shift(within),
            limit,
        },
        other => other,
    };
    MetaError::Syntax { source }
}

/// The package that a decoded document belongs to, where there is no doubt.
fn package(value: &Value) -> Option<String> {
    let field = |name: &str| {
        let mut found = value
            .as_object()?
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (Some((_, Value::String(text))), None) if !text.is_empty() => Some(text.clone()),
            _ => None,
        }
    };
    let schema = field("schema")?;
    if schema == PACKAGE {
        field("name")
    } else {
        field("package")
    }
}

/// The package that a text names which cannot be decoded: the only line that begins with
/// `package:` says it plainly.
fn written_package(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix("package:"));
    let (value, None) = (found.next()?, found.next()) else {
        return None;
    };
    let value = value.trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| {
        let rest = value.strip_prefix(*quote)?;
        rest.strip_suffix(*quote)
    });
    let value = unquoted.unwrap_or(value);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let named = value.starts_with(|c: char| c.is_ascii_alphabetic()) && value.chars().all(plain);
    named.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;

    use super::*;

    fn costs(text: &str, kind: Kind) -> Costs {
        let limits = olm_yaml::Limits::default();
        let read = read(&mut Rewriter::default(), text.as_bytes(), kind, &limits);
        read.unwrap_err().costs
    }

    #[rstest]
    #[case::named("schema: s\npackage: p\nname: 1\n", Some("p"))]
    #[case::package("schema: olm.package\nname: p\nPackage: 5\n", Some("p"))]
    #[case::package_without_name("schema: olm.package\nname: 5\npackage: p\n", None)]
    #[case::no_package("schema: s\nname: 1\n", None)]
    #[case::two_packages("schema: s\npackage: p\nPackage: q\n", None)]
    #[case::list("- package: p\n", None)]
    #[case::syntax("schema: s\npackage: \"p\"\nname: [\n", Some("p"))]
    #[case::syntax_and_two("package: p\nx: [\npackage: q\n", None)]
    #[case::syntax_and_odd_name("package: &a p\nx: [\n", None)]
    #[case::syntax_and_nested("x:\n  package: p\ny: [\n", None)]
    fn a_bad_document_costs_its_package_where_it_names_one(
        #[case] text: &str,
        #[case] package: Option<&str>,
    ) {
        let expected = package.map_or(Costs::File, |package| Costs::Package(package.to_owned()));
        assert_eq!(costs(text, Kind::Yaml), expected);
    }

    #[test]
    fn behind_json_that_is_none_nothing_is_known_to_begin() {
        assert_eq!(
            costs(r#"{"schema":"s","package":"p",}"#, Kind::Json),
            Costs::Rest
        );
        assert_eq!(
            costs(r#"{"schema":"s","package":"p","name":1}"#, Kind::Json),
            Costs::Package("p".to_owned())
        );
    }
}
