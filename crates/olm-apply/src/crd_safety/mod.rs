//! What a new version of a `CustomResourceDefinition` could break: objects of the kind that exist,
//! and those who write and read them.
//!
//! The checks and their texts are those that users of OLM 1.0 know (operator-controller v1.11.0,
//! which takes them from crdify). Where a change fits none of them it is reported as such: what is
//! not known to be harmless is not applied unasked. Changes of descriptions, titles and examples are
//! harmless.

mod property;
mod schema;
mod text;

use std::collections::BTreeSet;
use std::fmt;

use kube::core::Version;
use serde_json::Value;

use self::text::{list, quoted};

/// One change of a definition that could break something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnsafeChange {
    /// Where; absent where the change is one of the definition as a whole.
    pub place: Option<Place>,
    /// The check that found it: `scope`, `storedVersionRemoval`, `existingFieldRemoval`, the name of
    /// a field of schemas (`enum`, `maxItems`) or `unhandled`.
    pub check: &'static str,
    /// What changed.
    pub text: String,
}

/// A place in the schemas of a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The version, `v1`; or where two versions that are served at the same time differ, both of
    /// them, the older one first, `v1alpha1 -> v1`.
    pub version: String,
    /// Path of the field from the root `^`, for example `^.spec.list.items.name`.
    pub path: String,
}

/// `VERSION: PATH: CHECK: TEXT`, or `CHECK: TEXT` of the definition as a whole.
impl fmt::Display for UnsafeChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { version, path }) = &self.place {
            write!(f, "{version}: {path}: ")?;
        }
        write!(f, "{}: {}", self.check, self.text)
    }
}

/// What `new` could break where `old` is in use, sorted; both are definitions of
/// `apiextensions.k8s.io/v1`, and `old` has the status that the API server keeps.
///
/// The schema of each version that both have is compared, and then the versions that `new` serves
/// at the same time with each other, unless a webhook converts between them; what `old` already
/// does wrong there is not held against `new`.
pub fn unsafe_changes(old: &Value, new: &Value) -> Vec<UnsafeChange> {
    let mut changes = BTreeSet::new();
    let scope = |definition: &Value| text_of(&definition["spec"]["scope"]).to_owned();
    if scope(old) != scope(new) {
        let (old, new) = (quoted(&scope(old)), quoted(&scope(new)));
        changes.insert(whole("scope", format!("scope changed : {old} -> {new}")));
    }
    let names: BTreeSet<&str> = versions(new).map(|(name, _)| name).collect();
    let stored = old["status"]["storedVersions"].as_array();
    let removed: BTreeSet<&str> = stored
        .into_iter()
        .flatten()
        .map(text_of)
        .filter(|name| !names.contains(name))
        .collect();
    if !removed.is_empty() {
        let text = format!("stored versions removed : {}", list(&removed));
        changes.insert(whole("storedVersionRemoval", text));
    }
    for (name, version) in versions(new) {
        if let Some((_, before)) = versions(old).find(|(before, _)| *before == name) {
            changes.extend(schema::compare(name, root(before), root(version)));
        }
    }
    if new["spec"]["conversion"]["strategy"] != "Webhook" {
        let known = between_versions(old);
        let found = between_versions(new);
        changes.extend(found.difference(&known).cloned());
    }
    changes.into_iter().collect()
}

fn whole(check: &'static str, text: String) -> UnsafeChange {
    UnsafeChange {
        place: None,
        check,
        text,
    }
}

/// What differs between versions that are served at the same time, read from the older to the newer.
fn between_versions(definition: &Value) -> BTreeSet<UnsafeChange> {
    let mut served: Vec<(&str, &Value)> = versions(definition)
        .filter(|(_, version)| version["served"] == true)
        .collect();
    served.sort_by_cached_key(|(name, _)| Version::parse(name).priority());
    let mut changes = BTreeSet::new();
    for (index, (old_name, old)) in served.iter().enumerate() {
        for (new_name, new) in &served[index + 1..] {
            let pair = format!("{old_name} -> {new_name}");
            changes.extend(schema::compare(&pair, root(old), root(new)));
        }
    }
    changes
}

fn versions(definition: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let versions = definition["spec"]["versions"].as_array();
    versions
        .into_iter()
        .flatten()
        .map(|version| (text_of(&version["name"]), version))
}

fn root(version: &Value) -> &Value {
    &version["schema"]["openAPIV3Schema"]
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
