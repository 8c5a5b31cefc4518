//! From the objects of a bundle to those that rukpak applies.
//!
//! rukpak asks the cluster which kinds live in a namespace; here only those of Kubernetes and those
//! that the bundle defines are known.

use std::collections::BTreeSet;

use olm_apply::{ApplyError, MAX_OBJECTS, ObjectId, Refusal, RefusalReason};
use olm_bundle::keep_authored;
use serde_json::Value;

use super::scope::{Scope, Scopes};

/// Objects as they are applied but for the labels of their owner, and what is not known of them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Placed {
    pub(super) objects: Vec<Value>,
    /// What the cluster decides.
    pub(super) notes: Vec<String>,
}

/// Takes away what is not the author's, and puts objects that name no namespace into
/// `install_namespace`. The order stays.
///
/// # Errors
///
/// [`ApplyError::Refused`], with what rukpak says of objects that it does not apply.
pub(super) fn place(
    objects: Vec<Value>,
    install_namespace: Option<&str>,
) -> Result<Placed, Box<ApplyError>> {
    let scopes = Scopes::beside(&objects);
    let mut placed = Placed::default();
    let mut refusals = Vec::new();
    let mut known: BTreeSet<(String, String, Option<String>, String)> = BTreeSet::new();
    if objects.len() > MAX_OBJECTS {
        refusals.push(nameless(format!("more than {MAX_OBJECTS} objects")));
    }
    for mut object in objects.into_iter().take(MAX_OBJECTS) {
        let mut id = match ObjectId::of(&object) {
            Ok(id) => id,
            Err(error) => {
                refusals.push(nameless(error.to_string()));
                continue;
            }
        };
        keep_authored(&mut object);
        match scopes.of(&id.group, &id.kind) {
            Some(Scope::Cluster) => id.namespace = None,
            Some(Scope::Namespaced) if id.namespace.is_none() => {
                id.namespace = install_namespace.map(str::to_owned);
                if id.namespace.is_none() {
                    let problem = "has no namespace, and none is configured";
                    refusals.push(malformed(&id, problem));
                }
            }
            None if id.namespace.is_none() => placed.notes.push(format!(
                "{id} is printed without a namespace: whether {} objects live in one is known to \
                 the cluster only",
                id.kind
            )),
            _ => {}
        }
        if let Some(problem) = settle(&mut object, &id) {
            refusals.push(malformed(&id, problem));
        }
        placed.objects.push(object);
        let key = (
            id.group.clone(),
            id.kind.clone(),
            id.namespace.clone(),
            id.name.clone(),
        );
        if !known.insert(key) {
            refusals.push(Refusal {
                object: Some(id),
                reason: RefusalReason::Duplicate,
            });
        }
    }
    if !refusals.is_empty() {
        return Err(Box::new(ApplyError::Refused(refusals)));
    }
    Ok(placed)
}

fn nameless(problem: String) -> Refusal {
    Refusal {
        object: None,
        reason: RefusalReason::Malformed(problem),
    }
}

fn malformed(id: &ObjectId, problem: &str) -> Refusal {
    Refusal {
        object: Some(id.clone()),
        reason: RefusalReason::Malformed(problem.to_owned()),
    }
}

/// Writes the namespace down, and labels and annotations as the API reads them; says what of them it
/// cannot read.
fn settle(object: &mut Value, id: &ObjectId) -> Option<&'static str> {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut)?;
    metadata.remove("namespace");
    if let Some(namespace) = &id.namespace {
        metadata.insert("namespace".to_owned(), Value::from(namespace.as_str()));
    }
    for (field, problem) in [
        ("labels", "`metadata.labels` is not a map of strings"),
        (
            "annotations",
            "`metadata.annotations` is not a map of strings",
        ),
    ] {
        match metadata.get_mut(field) {
            None => {}
            Some(Value::Object(entries)) if !entries.is_empty() => {
                // A key without a value is written as null; the API reads it as empty.
                for value in entries.values_mut().filter(|value| value.is_null()) {
                    *value = Value::from("");
                }
                if !entries.values().all(Value::is_string) {
                    return Some(problem);
                }
            }
            Some(Value::Null | Value::Object(_)) => {
                metadata.remove(field);
            }
            Some(_) => return Some(problem),
        }
    }
    None
}
