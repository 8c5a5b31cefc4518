//! The one write of a status: by server-side apply, and only when it says something new.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// Objects whose last written status is remembered; above that the memory starts anew.
const MAX_REMEMBERED: usize = 16_384;

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// The object or its status cannot be turned into JSON, or the object has no name.
    #[error("cannot encode the status of `{object}`")]
    Encode {
        /// Name of the object.
        object: String,
        /// What the encoder found.
        source: serde_json::Error,
    },
    /// The API server refused or is away.
    #[error("cannot write the status of `{object}`")]
    Write {
        /// Name of the object.
        object: String,
        /// What the client found.
        source: kube::Error,
    },
}

/// What became of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It was sent.
    Yes,
    /// It says what the object already says.
    Unchanged,
    /// The object is gone, or another one has its name now.
    Gone,
}

/// Writes statuses as one field manager; clones share the memory of what was written.
///
/// The caller's object comes from a cache that may lag behind the last write. A status is therefore
/// skipped only where it equals the cached object's *and* what this writer wrote last: else two
/// quick changes, there and back, would leave the first one standing.
#[derive(Clone)]
pub struct StatusWriter {
    client: Client,
    manager: &'static str,
    conditions: Option<&'static [&'static str]>,
    last: Arc<Mutex<HashMap<String, u64>>>,
}

impl StatusWriter {
    /// A writer for the field manager `manager`.
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            manager,
            conditions: None,
            last: Arc::default(),
        }
    }

    /// Names the types of the conditions that this controller owns: others are neither sent nor
    /// compared, so that they stay with those who set them.
    #[must_use]
    pub fn owning_conditions(mut self, types: &'static [&'static str]) -> Self {
        self.conditions = Some(types);
        self
    }

    /// Makes `status` the status of `object`, as far as this field manager owns it: fields that it
    /// set before and are missing now are removed.
    pub async fn apply<K>(
        &self,
        object: &K,
        status: &impl Serialize,
    ) -> Result<Written, StatusError>
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let encode = |source| StatusError::Encode {
            object: object.name_any(),
            source,
        };
        let desired = self.narrow(serde_json::to_value(status).map_err(encode)?);
        let whole = serde_json::to_value(object).map_err(encode)?;
        let current = self.narrow(whole.get("status").cloned().unwrap_or(Value::Null));
        let print = fingerprint(&desired);
        let uid = object.uid().unwrap_or_default();
        let differs_from_last = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.get(&uid).is_some_and(|written| *written != print)
        };
        if current == desired && !differs_from_last {
            return Ok(Written::Unchanged);
        }
        let written = send(&self.client, object, desired, self.manager).await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if written == Written::Gone {
            last.remove(&uid);
        } else {
            if last.len() >= MAX_REMEMBERED {
                last.clear();
            }
            last.insert(uid, print);
        }
        Ok(written)
    }

    /// Without nulls (absent and null mean the same) and without the conditions of others.
    fn narrow(&self, mut status: Value) -> Value {
        prune_nulls(&mut status);
        if let (Some(types), Some(Value::Array(conditions))) =
            (self.conditions, status.get_mut("conditions"))
        {
            conditions.retain(|condition| {
                condition
                    .get("type")
                    .and_then(Value::as_str)
                    .is_some_and(|name| types.contains(&name))
            });
        }
        status
    }
}

impl fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusWriter")
            .field("manager", &self.manager)
            .field("conditions", &self.conditions)
            .finish_non_exhaustive()
    }
}

/// Writes `status` by server-side apply where it differs from what `object` says.
///
/// For single writes; a controller uses a [`StatusWriter`], which also copes with a lagging cache.
pub async fn apply_status<K>(
    client: &Client,
    object: &K,
    status: &impl Serialize,
    manager: &'static str,
) -> Result<Written, StatusError>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    StatusWriter::new(client.clone(), manager)
        .apply(object, status)
        .await
}

async fn send<K>(
    client: &Client,
    object: &K,
    status: Value,
    manager: &str,
) -> Result<Written, StatusError>
where
    K: Resource<DynamicType = ()>,
{
    let metadata = object.meta();
    let name = object.name_any();
    let resource = ApiResource::erase::<K>(&());
    let mut identity = Map::new();
    identity.insert("name".to_owned(), json!(name));
    if let Some(namespace) = &metadata.namespace {
        identity.insert("namespace".to_owned(), json!(namespace));
    }
    // The server refuses the write when another object has taken the name.
    if let Some(uid) = &metadata.uid {
        identity.insert("uid".to_owned(), json!(uid));
    }
    let api: Api<DynamicObject> = match &metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let body = json!({
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": identity,
        "status": status,
    });
    let params = PatchParams::apply(manager).force();
    match api.patch_status(&name, &params, &Patch::Apply(&body)).await {
        Ok(_) => Ok(Written::Yes),
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(Written::Gone),
        Err(kube::Error::Api(answer))
            if answer.is_conflict() && answer.message.contains("UID in precondition") =>
        {
            Ok(Written::Gone)
        }
        Err(source) => Err(StatusError::Write {
            object: name,
            source,
        }),
    }
}

fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

fn fingerprint(value: &Value) -> u64 {
    // Maps are sorted, so equal values print alike.
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
