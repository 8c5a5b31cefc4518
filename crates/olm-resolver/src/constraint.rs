//! Compound constraints (`olm.constraint`): a tree of tests that one bundle has to pass.

use std::fmt;

use olm_semver::blang;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Api, Bundle};
use crate::rule::Rule;

/// Longest value of the property, in bytes.
const MAX_BYTES: usize = 131_072;

/// Deepest tree.
const MAX_DEPTH: usize = 16;

/// A compound constraint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// What its author wants users to read where nothing passes; may be empty.
    pub failure_message: String,
    /// What a bundle has to pass.
    pub test: Test,
}

/// A test of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Test {
    /// It provides the API.
    Api(Api),
    /// It is of that package, in a range.
    Package {
        /// Name of the package.
        name: String,
        /// Versions that will do.
        range: blang::Range,
    },
    /// It passes all of these.
    All(Vec<Self>),
    /// It passes at least one of these.
    Any(Vec<Self>),
    /// It passes none of these.
    Not(Vec<Self>),
    /// It meets a rule.
    Rule(Rule),
}

impl Constraint {
    /// Reads the value of the property.
    ///
    /// # Errors
    /// What is wrong with it; the texts for an unknown field and an empty constraint are those of
    /// the reference.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX_BYTES {
            return Err(format!(
                "olm.constraint value is greater than max constraint size {MAX_BYTES} bytes"
            ));
        }
        let value =
            serde_json::from_str(json).map_err(|error| format!("parse olm.constraint: {error}"))?;
        let (failure_message, test) =
            constraint(&value, 1).map_err(|error| format!("parse olm.constraint: {error}"))?;
        Ok(Self {
            failure_message,
            test,
        })
    }

    /// Whether it only says what must not be there: then no other bundle that is installed may fail
    /// it.
    pub fn is_prohibition(&self) -> bool {
        !self.test.has_positive(true)
    }
}

impl Test {
    /// Whether a bundle passes.
    pub fn holds(&self, bundle: &Bundle) -> bool {
        self.holds_at(bundle, &mut 0)
    }

    /// The same, adding the steps that it may have taken.
    pub(crate) fn holds_at(&self, bundle: &Bundle, steps: &mut u64) -> bool {
        *steps = steps.saturating_add(1);
        match self {
            Self::Api(api) => bundle.provides.contains(api),
            Self::Package { name, range } => bundle.is_in(name, range),
            Self::All(tests) => cheap_first(tests).all(|test| test.holds_at(bundle, steps)),
            Self::Any(tests) => cheap_first(tests).any(|test| test.holds_at(bundle, steps)),
            Self::Not(tests) => !cheap_first(tests).any(|test| test.holds_at(bundle, steps)),
            Self::Rule(rule) => rule.holds_at(bundle, steps),
        }
    }

    /// Whether a look at a bundle decides it.
    fn is_cheap(&self) -> bool {
        matches!(self, Self::Api(_) | Self::Package { .. })
    }

    /// Whether some leaf asks for something to be there.
    fn has_positive(&self, positive: bool) -> bool {
        match self {
            Self::Api(_) | Self::Package { .. } | Self::Rule(_) => positive,
            Self::All(tests) | Self::Any(tests) => {
                tests.iter().any(|test| test.has_positive(positive))
            }
            Self::Not(tests) => tests.iter().any(|test| test.has_positive(!positive)),
        }
    }

    /// The leaves.
    pub(crate) fn leaves<'a>(&'a self, into: &mut Vec<&'a Self>) {
        match self {
            Self::All(tests) | Self::Any(tests) | Self::Not(tests) => {
                for test in tests {
                    test.leaves(into);
                }
            }
            _ => into.push(self),
        }
    }
}

/// Tests in an order that leaves rules for last.
fn cheap_first(tests: &[Test]) -> impl Iterator<Item = &Test> {
    let cheap = tests.iter().filter(|test| test.is_cheap());
    cheap.chain(tests.iter().filter(|test| !test.is_cheap()))
}

/// Writes what a bundle has to be or to have.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, name: &str, tests: &[Self]| {
            write!(f, "{name}(")?;
            for (at, test) in tests.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{test}")?;
            }
            f.write_str(")")
        };
        match self {
            Self::Api(api) => write!(f, "API {api}"),
            Self::Package { name, range } => {
                write!(f, "package {name:?} in range {:?}", range.as_str())
            }
            Self::All(tests) => list(f, "all", tests),
            Self::Any(tests) => list(f, "any", tests),
            Self::Not(tests) => list(f, "not", tests),
            Self::Rule(rule) => write!(f, "rule {:?}", rule.as_str()),
        }
    }
}

fn constraint(value: &Value, depth: usize) -> Result<(String, Test), String> {
    if depth > MAX_DEPTH {
        return Err(format!("constraint is nested deeper than {MAX_DEPTH}"));
    }
    let fields = object(value)?;
    let mut message = String::new();
    let mut test = None;
    for (key, value) in fields {
        let found = match key.as_str() {
            "failureMessage" => {
                text(value)?.clone_into(&mut message);
                continue;
            }
            "gvk" => {
                known(value, &["group", "version", "kind"])?;
                let field = |name| value.get(name).map_or(Ok(""), text).map(str::to_owned);
                Test::Api(Api {
                    group: field("group")?,
                    version: field("version")?,
                    kind: field("kind")?,
                })
            }
            "package" => {
                known(value, &["packageName", "versionRange"])?;
                let field = |name| value.get(name).map_or(Ok(""), text);
                let range = field("versionRange")?;
                Test::Package {
                    name: field("packageName")?.to_owned(),
                    range: blang::Range::parse(range)
                        .map_err(|error| format!("version range {range:?}: {error}"))?,
                }
            }
            "all" => Test::All(list(value, depth)?),
            "any" => Test::Any(list(value, depth)?),
            "not" => Test::Not(list(value, depth)?),
            "cel" => {
                known(value, &["rule"])?;
                Test::Rule(Rule::parse(value.get("rule").map_or(Ok(""), text)?)?)
            }
            unknown => return Err(format!("json: unknown field {unknown:?}")),
        };
        if test.replace(found).is_some() {
            return Err("constraint has more than one kind".to_owned());
        }
    }
    let test = test.ok_or_else(|| "constraint is empty".to_owned())?;
    Ok((message, test))
}

fn list(value: &Value, depth: usize) -> Result<Vec<Test>, String> {
    known(value, &["constraints"])?;
    let items = value.get("constraints").and_then(Value::as_array);
    let items = items.filter(|items| !items.is_empty());
    items
        .ok_or_else(|| "constraint is empty".to_owned())?
        .iter()
        .map(|item| constraint(item, depth + 1).map(|(_, test)| test))
        .collect()
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{value} is no object"))
}

fn known(value: &Value, fields: &[&str]) -> Result<(), String> {
    let unknown = object(value)?
        .keys()
        .find(|key| !fields.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(format!("json: unknown field {key:?}")))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is no text"))
}
