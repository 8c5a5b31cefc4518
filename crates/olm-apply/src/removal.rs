//! Deleting single objects, safely: only what is the owner's, only the object that was looked at.

use futures::stream::{self, StreamExt as _};

use crate::applier::{Applier, WIDTH, about};
use crate::discovery::Resource;
use crate::error::ApplyError;
use crate::identity::ObjectId;
use crate::owner::Owner;
use olm_api::labels::{OWNER_KIND, OWNER_NAME};

/// How the removal of an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It is not there.
    Gone,
    /// Its deletion is asked for; finalizers or contents may hold it.
    Going,
    /// It is no longer the owner's: it carries another's labels, or none and nothing of what the
    /// owner applied.
    NotOurs,
    /// It is a namespace with objects of another owner in it.
    Occupied,
}

/// Kinds of which every operator has at least one; they betray another owner in a namespace.
const TELLTALES: [(&str, &str, &str); 4] = [
    ("", "v1", "ServiceAccount"),
    ("apps", "v1", "Deployment"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
];

impl Applier {
    /// Asks for the deletion of each object, a few at once; in the order given.
    pub(crate) async fn remove_all(
        &self,
        owner: &Owner,
        ids: &[&ObjectId],
    ) -> Result<Vec<(ObjectId, Removal)>, ApplyError> {
        let mut removals = Vec::with_capacity(ids.len());
        let mut failure = None;
        // Owned, and collected: a stream that borrows here makes a future that cannot be boxed.
        let ids: Vec<ObjectId> = ids.iter().map(|&id| id.clone()).collect();
        let mut outcomes = stream::iter(ids)
            .map(|id| async move {
                let outcome = self.remove(owner, &id).await;
                (id, outcome)
            })
            .buffered(WIDTH);
        while let Some((id, outcome)) = outcomes.next().await {
            // One that fails must not keep the others.
            match outcome {
                Ok(removal) => removals.push((id, removal)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(removals),
        }
    }

    async fn remove(&self, owner: &Owner, id: &ObjectId) -> Result<Removal, ApplyError> {
        let Some(resource) = self.resource_of(id).await? else {
            return Ok(Removal::Gone);
        };
        let live = self
            .requests
            .get_metadata(&resource, id)
            .await
            .map_err(about("read", id))?;
        let Some(live) = live else {
            return Ok(Removal::Gone);
        };
        if !owner.holds(&live, self.requests.manager()) {
            return Ok(Removal::NotOurs);
        }
        if live.deletion_timestamp.is_some() {
            return Ok(Removal::Going);
        }
        if id.is_kind("", "Namespace") && self.is_occupied(owner, &id.name).await? {
            return Ok(Removal::Occupied);
        }
        self.requests
            .delete(&resource, id, live.uid)
            .await
            .map_err(about("delete", id))?;
        tracing::debug!(object = %id, "deleted");
        Ok(Removal::Going)
    }

    /// Whether an object that was looked at is still there, and still the owner's.
    pub(crate) async fn is_there(&self, owner: &Owner, id: &ObjectId) -> Result<bool, ApplyError> {
        let Some(resource) = self.resource_of(id).await? else {
            return Ok(false);
        };
        let live = self
            .requests
            .get_metadata(&resource, id)
            .await
            .map_err(about("read", id))?;
        Ok(live.is_some_and(|live| owner.holds(&live, self.requests.manager())))
    }

    // Two owners may share an install namespace that the first of them made.
    async fn is_occupied(&self, owner: &Owner, namespace: &str) -> Result<bool, ApplyError> {
        let selector = format!("{OWNER_KIND},{OWNER_NAME},{OWNER_NAME}!={}", owner.name);
        for (group, version, kind) in TELLTALES {
            let found = self.discovery().find(group, version, kind).await?;
            let Some(resource) = found else { continue };
            if self.any(&resource, namespace, &selector).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn any(
        &self,
        resource: &Resource,
        namespace: &str,
        selector: &str,
    ) -> Result<bool, ApplyError> {
        let list = self
            .requests
            .list_metadata(resource, Some(namespace), Some(selector), None, 1)
            .await
            .map_err(|source| ApplyError::List {
                kind: resource.api.kind.clone(),
                api_version: resource.api.api_version.clone(),
                source,
            })?;
        Ok(!list.items.is_empty())
    }
}
