//! Two schemas, walked side by side.

use serde_json::{Map, Value};

use super::property::{self, is_present};
use super::{Place, UnsafeChange, whole};

/// What every object has, whether its schema says so or not.
const IMPLIED: [&str; 3] = ["^.apiVersion", "^.kind", "^.metadata"];

/// What of the schema `old` the schema `new` could break, in the order of the schema; `version` is
/// what the places say.
///
/// What only `new` has is no change of what exists. The recursion is bounded by the depth to which
/// the decoders of both go.
pub(super) fn compare(version: &str, old: &Value, new: &Value) -> Vec<UnsafeChange> {
    let mut walk = Walk {
        version,
        path: "^".to_owned(),
        changes: Vec::new(),
    };
    walk.visit(old, new);
    walk.changes
}

struct Walk<'a> {
    version: &'a str,
    path: String,
    changes: Vec<UnsafeChange>,
}

impl Walk<'_> {
    fn visit(&mut self, old: &Value, new: &Value) {
        let none = Map::new();
        let (old, new) = (
            old.as_object().unwrap_or(&none),
            new.as_object().unwrap_or(&none),
        );
        for (check, text) in property::changes(old, new) {
            self.changes.push(UnsafeChange {
                place: Some(Place {
                    version: self.version.to_owned(),
                    path: self.path.clone(),
                }),
                check,
                text,
            });
        }
        let fields = old.get("properties").and_then(Value::as_object);
        for (name, before) in fields.into_iter().flatten() {
            let after = new.get("properties").and_then(|fields| fields.get(name));
            self.below(name, before, after);
        }
        for name in ["items", "additionalProperties"] {
            // `true` and `false` stand for a schema, too; they are compared as values.
            if let Some(before) = old.get(name).filter(|before| before.is_object()) {
                match new.get(name) {
                    Some(Value::Bool(_) | Value::Array(_)) => {}
                    after => self.below(name, before, after.filter(|after| is_present(after))),
                }
            }
        }
    }

    fn below(&mut self, name: &str, old: &Value, new: Option<&Value>) {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(name);
        if let Some(new) = new {
            self.visit(old, new);
        } else if !IMPLIED.contains(&self.path.as_str()) {
            let text = format!("removed field : {}.{}", self.version, self.path);
            self.changes.push(whole("existingFieldRemoval", text));
        }
        self.path.truncate(length);
    }
}
