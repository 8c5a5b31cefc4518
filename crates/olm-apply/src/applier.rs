//! The one who applies: a client, a field manager, a cache of kinds.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use kube::Client;
use serde_json::Value;

use crate::claims::Claims;
use crate::discovery::{Discovery, Resource};
use crate::error::{ApplyError, RequestError};
use crate::identity::ObjectId;
use crate::prepare::{self, ObjectSet, Placement, Served};
use crate::requests::Requests;

/// Requests in flight at once, for one call.
pub(crate) const WIDTH: usize = 8;

/// Applies, prunes, removes and judges sets of objects. Cheap to clone; one per process, so that
/// all passes share what is known of the served kinds.
#[derive(Clone)]
pub struct Applier {
    pub(crate) requests: Requests,
    /// For watches, which are silent for long.
    pub(crate) streaming: Client,
    discovery: Arc<Discovery>,
    pub(crate) claims: Arc<Claims>,
}

impl fmt::Debug for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applier")
            .field("manager", &self.requests.manager())
            .finish_non_exhaustive()
    }
}

impl Applier {
    /// An applier that writes as `field_manager`, which must never change between releases: what
    /// was applied under another name is not taken away when the manifest drops it.
    ///
    /// `client` should give up on answers that stall; see [`Applier::watching_through`].
    pub fn new(client: Client, field_manager: impl Into<String>) -> Self {
        Self {
            streaming: client.clone(),
            requests: Requests::new(client.clone(), field_manager.into()),
            discovery: Arc::new(Discovery::new(client)),
            claims: Arc::default(),
        }
    }

    /// Watches through `client`, which must not give up on an answer that is silent for minutes.
    /// Without this the client of [`Applier::new`] has to do.
    #[must_use]
    pub fn watching_through(mut self, client: Client) -> Self {
        self.streaming = client;
        self
    }

    /// What is known of the served kinds.
    pub fn discovery(&self) -> &Arc<Discovery> {
        &self.discovery
    }

    /// Makes manifests ready: strips what is not the author's, gives them a namespace and the
    /// owner's labels, and puts them in order. Reads which kinds are served, writes nothing.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Refused`] with every manifest that is malformed, of an unknown kind, twice in
    /// the set or in a reserved namespace.
    pub async fn prepare(
        &self,
        objects: Vec<Value>,
        placement: &Placement,
    ) -> Result<ObjectSet, ApplyError> {
        let mut refusals = Vec::new();
        let drafts = prepare::draft(objects, &mut refusals);
        let kinds: HashSet<_> = drafts.iter().map(prepare::Draft::kind).collect();
        let mut served = Served::new();
        let mut lookups = stream::iter(kinds)
            .map(|kind| async move {
                let found = self.discovery.find(&kind.0, &kind.1, &kind.2).await;
                (kind, found)
            })
            .buffer_unordered(WIDTH);
        while let Some((kind, found)) = lookups.next().await {
            if let Some(resource) = found? {
                served.insert(kind, resource);
            }
        }
        drop(lookups);
        let set = prepare::place(drafts, &served, placement, &mut refusals);
        if refusals.is_empty() {
            Ok(set)
        } else {
            Err(ApplyError::Refused(refusals))
        }
    }

    /// The kind of something that was applied once, if it is served at all.
    pub(crate) async fn resource_of(&self, id: &ObjectId) -> Result<Option<Resource>, ApplyError> {
        self.discovery
            .find_in_any_version(&id.group, &id.version, &id.kind)
            .await
    }
}

/// Names the object of a failed request.
pub(crate) fn about(
    operation: &'static str,
    object: &ObjectId,
) -> impl FnOnce(RequestError) -> ApplyError {
    let object = object.clone();
    move |source| ApplyError::Request {
        operation,
        object,
        source,
    }
}

#[cfg(test)]
mod tests {
    use futures::future::BoxFuture;
    use serde_json::Value;

    use super::*;
    use crate::{ApplyOptions, Owner, Plan, UninstallOptions};

    /// Reconcilers box their futures; that this compiles is the test.
    #[expect(dead_code, reason = "compiled, never called")]
    fn every_call_can_be_boxed<'a>(
        applier: &'a Applier,
        owner: &'a Owner,
        ids: &'a [ObjectId],
        placement: &'a Placement,
        plan: Plan,
        set: ObjectSet,
        objects: Vec<Value>,
    ) -> Vec<BoxFuture<'a, ()>> {
        vec![
            Box::pin(async move { drop(applier.prepare(objects, placement).await) }),
            Box::pin(async move { drop(applier.preflight(set, ids).await) }),
            Box::pin(async move { drop(applier.apply(plan, ApplyOptions::default()).await) }),
            Box::pin(async move { drop(applier.prune(owner, ids, ids).await) }),
            Box::pin(async move {
                drop(
                    applier
                        .uninstall(owner, ids, UninstallOptions::default())
                        .await,
                );
            }),
            Box::pin(async move { drop(applier.remaining_instances(owner, ids).await) }),
            Box::pin(async move { drop(applier.read_health(ids).await) }),
            Box::pin(async move { drop(applier.find_owned(owner).await) }),
        ]
    }
}
