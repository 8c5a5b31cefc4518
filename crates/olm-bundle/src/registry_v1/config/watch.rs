//! The field `watchNamespace`, which exists as far as the install modes make it meaningful.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::InstallMode;
use super::{WATCH, schema};

/// What a namespace's name looks like.
const PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Longest name of a namespace, in characters.
const MAX_LENGTH: usize = 63;
/// Most namespaces that are watched one by one.
const MAX_NAMES: usize = 1000;

/// What is said of anything but a list of names, where no single one can be watched.
const SEVERAL: &str = "must name two or more namespaces, separated by commas, because this operator \
                       supports several (MultiNamespace install mode) and no single one";

/// What a single name has to do with the install namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Same,
    Other,
    Any,
}

/// What may be said in the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// Whether all namespaces may be watched.
    all: bool,
    /// Whether several names may be given.
    multi: bool,
    /// Whether several names are given, and the operator supports that.
    several: bool,
    /// What a single name may be; none where no single one can be watched.
    single: Option<Relation>,
}

impl Rules {
    /// The rules for an operator with these modes, given this value. Upstream knows no
    /// `MultiNamespace`: where the operator supports another mode of names, whatever is not a list of
    /// them is judged as if it were not supported.
    pub(super) fn of(modes: &BTreeSet<InstallMode>, value: Option<&Value>) -> Self {
        let supports = |mode| modes.contains(&mode);
        let all = supports(InstallMode::AllNamespaces);
        let multi = supports(InstallMode::MultiNamespace);
        let single = match (
            supports(InstallMode::OwnNamespace),
            supports(InstallMode::SingleNamespace),
        ) {
            (true, true) => Some(Relation::Any),
            (true, false) => Some(Relation::Same),
            (false, true) => Some(Relation::Other),
            (false, false) => None,
        };
        let is_list = value
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains(','));
        Self {
            all,
            multi,
            several: multi && is_list,
            single,
        }
    }

    /// Whether there is such a field.
    pub(super) const fn exists(self) -> bool {
        self.single.is_some() || self.multi
    }

    /// Whether the field must be there.
    pub(super) const fn is_required(self) -> bool {
        !self.all && self.exists()
    }

    /// What is said where the field must be there and is not.
    pub(super) fn missing(self) -> String {
        let text = schema::missing(WATCH);
        match self.single {
            None => format!("{text}: it {SEVERAL}"),
            Some(_) => text,
        }
    }

    /// The names in the field; none where it is null.
    pub(super) fn check(
        self,
        value: &Value,
        install_namespace: Option<&str>,
        problems: &mut Vec<String>,
    ) -> Option<Vec<String>> {
        let Value::String(text) = value else {
            if value.is_null() && self.all {
                return None;
            }
            self.is_no_null(value, problems);
            problems.push(if value.is_null() {
                self.missing()
            } else {
                schema::wrong_type(&[WATCH], value, "string")
            });
            return None;
        };
        if self.single.is_none() && !self.several {
            problems.push(format!("field {WATCH:?} {SEVERAL}"));
            return None;
        }
        let mut found = Vec::new();
        let names: Vec<&str> = if self.several {
            text.split(',').map(str::trim).collect()
        } else {
            vec![text]
        };
        if names.len() > MAX_NAMES {
            found.push(format!(
                "field {WATCH:?} names more than {MAX_NAMES} namespaces"
            ));
        }
        for name in names.iter().take(MAX_NAMES) {
            self.check_name(name, install_namespace, &mut found);
        }
        if !found.is_empty() {
            self.is_no_null(value, problems);
            problems.append(&mut found);
        }
        let mut distinct: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !distinct.iter().any(|known| known == name) {
                distinct.push(name.to_owned());
            }
        }
        Some(distinct)
    }

    /// Where null would be accepted, an error says so of everything that is not.
    fn is_no_null(self, value: &Value, problems: &mut Vec<String>) {
        if self.all {
            problems.push(format!("invalid value for field {WATCH:?}"));
            problems.push(schema::wrong_type(&[WATCH], value, "null"));
        }
    }

    fn check_name(self, name: &str, install_namespace: Option<&str>, found: &mut Vec<String>) {
        if !self.several
            && let Some(problem) = self.format(name, install_namespace)
        {
            found.push(problem);
        }
        let length = name.chars().count();
        if length > MAX_LENGTH {
            found.push(format!(
                "field {WATCH:?} must have maximum length of {MAX_LENGTH} (len={length})"
            ));
        }
        if length < 1 {
            found.push(format!(
                "field {WATCH:?} must have minimum length of 1 (len={length})"
            ));
        }
        if !is_label(name) {
            found.push(format!("field {WATCH:?} must match pattern {PATTERN:?}"));
        }
    }

    /// What a single name has to do with the install namespace.
    fn format(self, name: &str, install_namespace: Option<&str>) -> Option<String> {
        let namespace = install_namespace?;
        let (format, why) = match self.single? {
            Relation::Same if name != namespace => (
                "ownNamespaceInstallMode",
                format!(
                    "must be {namespace:?} (the namespace where the operator is installed) \
                     because this operator only supports OwnNamespace install mode"
                ),
            ),
            Relation::Other if name == namespace => (
                "singleNamespaceInstallMode",
                format!(
                    "must be different from {namespace:?} (the install namespace) because this \
                     operator uses SingleNamespace install mode to watch a different namespace"
                ),
            ),
            _ => return None,
        };
        Some(format!(
            "invalid format for field {WATCH:?}: '{name}' is not valid {format}: invalid value \
             {name:?}: {why}"
        ))
    }
}

/// Whether `name` matches [`PATTERN`].
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}
