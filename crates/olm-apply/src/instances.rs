//! The objects of the kinds that a bundle defines: counted, and removed before their definition.

use futures::stream::{self, StreamExt as _};

use crate::applier::{Applier, WIDTH, about};
use crate::discovery::Resource;
use crate::error::ApplyError;
use crate::identity::ObjectId;
use crate::requests::PAGE;

/// How many objects of a kind there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceCount {
    /// Name of the `CustomResourceDefinition`.
    pub definition: String,
    /// Kind that it defines.
    pub kind: String,
    /// Number of objects, in all namespaces; more than 0 in lists of what remains.
    pub count: u64,
    /// The first of them by namespace and name, at most three, to show where to look.
    pub examples: Vec<String>,
}

impl std::fmt::Display for InstanceCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({} left: {}",
            self.definition,
            self.count,
            self.examples.join(", ")
        )?;
        f.write_str(if self.count > self.examples.len() as u64 {
            ", …)"
        } else {
            ")"
        })
    }
}

const EXAMPLES: usize = 3;

impl Applier {
    /// Counts the objects of the kind that a definition defines; nothing where that kind is not
    /// served.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn count_instances(
        &self,
        definition: &ObjectId,
    ) -> Result<Option<InstanceCount>, ApplyError> {
        let Some(resource) = self.defined_resource(definition).await? else {
            return Ok(None);
        };
        let mut count = 0;
        let mut examples = Vec::new();
        let mut page: Option<String> = None;
        loop {
            let list = match self
                .requests
                .list_metadata(&resource, None, None, page.as_deref(), PAGE)
                .await
            {
                Ok(list) => list,
                // The definition is there but not served: it is being made or taken away.
                Err(error) if error.is_not_found() => break,
                Err(source) => return Err(list_error(&resource, source)),
            };
            count += list.items.len() as u64;
            for item in list
                .items
                .iter()
                .take(EXAMPLES - examples.len().min(EXAMPLES))
            {
                let name = item.metadata.name.as_deref().unwrap_or_default();
                examples.push(match &item.metadata.namespace {
                    Some(namespace) => format!("{namespace}/{name}"),
                    None => name.to_owned(),
                });
            }
            if let Some(more) = list.metadata.remaining_item_count {
                count += u64::try_from(more).unwrap_or_default();
                break;
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = Some(token),
                None => break,
            }
        }
        Ok(Some(InstanceCount {
            definition: definition.name.clone(),
            kind: resource.api.kind,
            count,
            examples,
        }))
    }

    /// Asks for the deletion of every object of the kind; those on their way out are left alone.
    pub(crate) async fn delete_instances(&self, definition: &ObjectId) -> Result<(), ApplyError> {
        let Some(resource) = self.defined_resource(definition).await? else {
            return Ok(());
        };
        let mut page: Option<String> = None;
        loop {
            let list = match self
                .requests
                .list_metadata(&resource, None, None, page.as_deref(), PAGE)
                .await
            {
                Ok(list) => list,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(source) => return Err(list_error(&resource, source)),
            };
            let doomed = list.items.into_iter().filter_map(|item| {
                let metadata = item.metadata;
                if metadata.deletion_timestamp.is_some() {
                    return None;
                }
                let id = ObjectId {
                    group: resource.api.group.clone(),
                    version: resource.api.version.clone(),
                    kind: resource.api.kind.clone(),
                    namespace: metadata.namespace,
                    name: metadata.name?,
                };
                Some((id, metadata.uid))
            });
            let mut deletions = stream::iter(doomed)
                .map(|(id, uid)| {
                    let resource = &resource;
                    async move {
                        let outcome = self.requests.delete(resource, &id, uid).await;
                        outcome.map_err(about("delete", &id))
                    }
                })
                .buffer_unordered(WIDTH);
            while let Some(outcome) = deletions.next().await {
                outcome?;
            }
            drop(deletions);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = Some(token),
                None => return Ok(()),
            }
        }
    }

    /// The kind that a definition defines, from its name and what is served: definitions are up
    /// to megabytes.
    async fn defined_resource(
        &self,
        definition: &ObjectId,
    ) -> Result<Option<Resource>, ApplyError> {
        match definition.name.split_once('.') {
            Some((plural, group)) => self.discovery().find_plural(group, plural).await,
            None => Ok(None),
        }
    }
}

fn list_error(resource: &Resource, source: crate::error::RequestError) -> ApplyError {
    ApplyError::List {
        kind: resource.api.kind.clone(),
        api_version: resource.api.api_version.clone(),
        source,
    }
}
