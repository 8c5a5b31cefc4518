//! Finding what an owner applied, where its inventory was lost.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _};
use kube::api::ObjectMeta;

use crate::applier::{Applier, WIDTH};
use crate::discovery::{Resource, in_order_of_preference};
use crate::error::{ApplyError, RequestError};
use crate::identity::ObjectId;
use crate::owner::Owner;
use crate::phases;
use crate::requests::PAGE;

/// Group of the suite's own kinds, whose objects carry owner labels for other reasons.
const OWN_GROUP: &str = "core.rukpak.io";

impl Applier {
    /// Every object that carries the owner's labels and that this field manager applied, in the
    /// order of application: the inventory of an owner whose status was lost.
    ///
    /// Reads every kind that the API server serves; not for every day. Labels alone would not do:
    /// controllers copy them, from a Service to its endpoints for example. A group whose extension
    /// server does not answer is left out, with a warning: it could be away for ever.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn find_owned(&self, owner: &Owner) -> Result<Vec<ObjectId>, ApplyError> {
        let client = self.requests.client();
        let groups = client.list_api_groups().await;
        let groups = groups.map_err(|error| ApplyError::Discovery {
            group_version: "apis".to_owned(),
            source: RequestError::from(error),
        })?;
        let mut versions = vec![(String::new(), "v1".to_owned())];
        for group in groups.groups.iter().filter(|group| group.name != OWN_GROUP) {
            let ordered = in_order_of_preference(group);
            versions.extend(
                ordered
                    .into_iter()
                    .map(|version| (group.name.clone(), version)),
            );
        }
        let mut seen = BTreeSet::new();
        let mut kinds = Vec::new();
        for (group, version) in versions {
            let resources = match self.discovery().all(&group, &version).await {
                Ok(resources) => resources,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(group, version, error, "cannot look for applied objects");
                    continue;
                }
            };
            let new = resources
                .into_iter()
                .filter(|resource| seen.insert((group.clone(), resource.api.kind.clone())));
            kinds.extend(new);
        }
        let selector = owner.selector();
        let mut found = Vec::new();
        // Owned: a stream that borrows here makes a future that cannot be boxed.
        let mut lists = stream::iter(kinds)
            .map(|kind| {
                let selector = selector.clone();
                async move { self.owned_of_kind(&kind, &selector).await }
            })
            .buffer_unordered(WIDTH);
        while let Some(owned) = lists.next().await {
            found.extend(owned?);
        }
        drop(lists);
        phases::sort(&mut found);
        Ok(found)
    }

    async fn owned_of_kind(
        &self,
        resource: &Resource,
        selector: &str,
    ) -> Result<Vec<ObjectId>, ApplyError> {
        let mut found = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let list = self
                .requests
                .list_metadata(resource, None, Some(selector), page.as_deref(), PAGE)
                .await;
            let list = match list {
                Ok(list) => list,
                // Some kinds can be read and patched by name only.
                Err(error) if matches!(error.code(), Some(404 | 405)) => return Ok(found),
                Err(source) => {
                    return Err(ApplyError::List {
                        kind: resource.api.kind.clone(),
                        api_version: resource.api.api_version.clone(),
                        source,
                    });
                }
            };
            found.extend(
                list.items
                    .into_iter()
                    .map(|item| item.metadata)
                    .filter(|metadata| is_applied_by(metadata, self.requests.manager()))
                    .filter_map(|metadata| {
                        Some(ObjectId {
                            group: resource.api.group.clone(),
                            version: resource.api.version.clone(),
                            kind: resource.api.kind.clone(),
                            namespace: metadata.namespace,
                            name: metadata.name?,
                        })
                    }),
            );
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = Some(token),
                None => return Ok(found),
            }
        }
    }
}

fn is_applied_by(metadata: &ObjectMeta, manager: &str) -> bool {
    metadata.managed_fields.iter().flatten().any(|entry| {
        entry.manager.as_deref() == Some(manager) && entry.operation.as_deref() == Some("Apply")
    })
}
