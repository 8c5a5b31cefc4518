//! The rendered objects: in order, and no two with one identity.

use std::collections::HashMap;

use serde_json::Value;

use super::{RenderError, group};
use crate::manifests::text;

/// Objects in the order of insertion.
#[derive(Debug, Default)]
pub(super) struct Objects {
    placed: Vec<(Value, String)>,
    /// Position by identity.
    positions: HashMap<Identity, usize>,
}

/// Group (not version: one object is served in several), kind, namespace and name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    group: String,
    kind: String,
    namespace: String,
    name: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        write!(f, " `")?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        write!(f, "{}`", self.name)
    }
}

impl Objects {
    /// Appends an object. An equal one collapses into the first.
    ///
    /// # Errors
    ///
    /// [`RenderError::Conflict`] where a different object has its identity.
    pub(super) fn insert(&mut self, object: Value, origin: String) -> Result<(), RenderError> {
        let identity = Identity {
            group: group(&object).to_owned(),
            kind: text(&object, &["kind"]).to_owned(),
            namespace: text(&object, &["metadata", "namespace"]).to_owned(),
            name: text(&object, &["metadata", "name"]).to_owned(),
        };
        if let Some((first, first_origin)) = self
            .positions
            .get(&identity)
            .and_then(|position| self.placed.get(*position))
        {
            if *first == object {
                return Ok(());
            }
            return Err(RenderError::Conflict {
                identity: identity.to_string(),
                first: first_origin.clone(),
                second: origin,
            });
        }
        self.positions.insert(identity, self.placed.len());
        self.placed.push((object, origin));
        Ok(())
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.placed.into_iter().map(|(object, _)| object).collect()
    }
}
