//! Adding and removing one finalizer without touching anything else.
//!
//! Both write `metadata.finalizers` alone, by a merge patch that carries the resource version they
//! decided on: when the object changed meanwhile the server answers 409 and the next pass decides
//! anew.

use std::fmt::Debug;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

/// Whether the object has the finalizer.
pub fn has<K: Resource>(object: &K, finalizer: &str) -> bool {
    object
        .meta()
        .finalizers
        .iter()
        .flatten()
        .any(|other| other == finalizer)
}

/// Whether the object is being deleted.
pub fn is_deleting<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Adds the finalizer where it is missing; returns whether it was.
///
/// An object that is being deleted is left alone: the server refuses new finalizers then.
///
/// # Errors
///
/// Those of the API; a conflict when the object changed since it was read.
pub async fn ensure<K>(client: &Client, object: &K, finalizer: &str) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + Debug,
{
    if has(object, finalizer) || is_deleting(object) {
        return Ok(false);
    }
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    finalizers.push(finalizer.to_owned());
    patch(client, object, &finalizers).await?;
    Ok(true)
}

/// Removes the finalizer where it is there; returns whether it was. An object that is gone is fine.
///
/// # Errors
///
/// Those of the API; a conflict when the object changed since it was read.
pub async fn remove<K>(client: &Client, object: &K, finalizer: &str) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + Debug,
{
    if !has(object, finalizer) {
        return Ok(false);
    }
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    finalizers.retain(|other| other != finalizer);
    match patch(client, object, &finalizers).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(true),
        outcome => outcome.map(|()| true),
    }
}

async fn patch<K>(client: &Client, object: &K, finalizers: &[String]) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()>,
{
    let resource = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match object.namespace() {
        Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let body = body(object, finalizers);
    api.patch_metadata(
        &object.name_any(),
        &PatchParams::default(),
        &Patch::Merge(&body),
    )
    .await?;
    Ok(())
}

fn body<K: Resource>(object: &K, finalizers: &[String]) -> Value {
    json!({"metadata": {
        "uid": object.meta().uid,
        "resourceVersion": object.meta().resource_version,
        "finalizers": finalizers,
    }})
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::ObjectMeta;

    use super::*;

    #[test]
    fn patches_only_finalizers_of_the_version_that_was_read() {
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some("a".to_owned()),
                uid: Some("u".to_owned()),
                resource_version: Some("7".to_owned()),
                finalizers: Some(vec!["other".to_owned()]),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        assert!(has(&object, "other") && !has(&object, "mine") && !is_deleting(&object));
        let wanted = json!({"metadata": {
            "uid": "u", "resourceVersion": "7", "finalizers": ["other", "mine"],
        }});
        assert_eq!(
            body(&object, &["other".to_owned(), "mine".to_owned()]),
            wanted
        );
    }
}
