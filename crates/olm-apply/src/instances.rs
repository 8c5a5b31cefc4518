//! The objects of the kinds that a bundle defines: counted, and removed before their definition.

use futures::stream::{self, StreamExt as _};

use crate::applier::{Applier, WIDTH, about};
use crate::discovery::Resource;
use crate::error::ApplyError;
use crate::error::RequestError;
use crate::identity::ObjectId;
use crate::preflight::one_line;
use crate::requests::PAGE;

/// How many objects of a kind there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceCount {
    /// Name of the `CustomResourceDefinition`.
    pub definition: String,
    /// Kind that it defines.
    pub kind: String,
    /// Number of objects, in all namespaces; more than 0 in lists of what remains, unless there is
    /// trouble.
    pub count: u64,
    /// The first of them by namespace and name, at most three, to show where to look.
    pub examples: Vec<String>,
    /// Why they cannot be listed or deleted, where the API server or a webhook fails: a conversion
    /// webhook whose workload does not run, for example.
    pub trouble: Option<String>,
}

impl InstanceCount {
    /// Whether there are objects, or nobody can tell.
    pub fn may_remain(&self) -> bool {
        self.count > 0 || self.trouble.is_some()
    }
}

impl std::fmt::Display for InstanceCount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (", self.definition)?;
        if self.count > 0 {
            write!(f, "{} left: {}", self.count, self.examples.join(", "))?;
            if self.count > self.examples.len() as u64 {
                f.write_str(", …")?;
            }
        }
        if let Some(trouble) = &self.trouble {
            let separator = if self.count > 0 { "; " } else { "" };
            write!(f, "{separator}{trouble}")?;
        }
        f.write_str(")")
    }
}

const EXAMPLES: usize = 3;

impl Applier {
    /// Counts the objects of the kind that a definition defines; nothing where that kind is not
    /// served. That they cannot be listed for a reason that may last is said in the answer
    /// ([`InstanceCount::trouble`]).
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
        let mut trouble = None;
        loop {
            let list = match self
                .requests
                .list_metadata(&resource, None, None, page.as_deref(), PAGE)
                .await
            {
                Ok(list) => list,
                // The definition is there but not served: it is being made or taken away.
                Err(error) if error.is_not_found() => break,
                Err(error) if may_last(&error) => {
                    trouble = Some(format!(
                        "they cannot be listed: {}",
                        one_line(&error.to_string())
                    ));
                    break;
                }
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
            trouble,
        }))
    }

    /// Asks for the deletion of every object of the kind; those on their way out are left alone.
    /// Says why where one of them may not be deleted, by a webhook for example.
    pub(crate) async fn delete_instances(
        &self,
        definition: &ObjectId,
    ) -> Result<Option<String>, ApplyError> {
        let mut trouble = None;
        let Some(resource) = self.defined_resource(definition).await? else {
            return Ok(trouble);
        };
        let mut page: Option<String> = None;
        loop {
            let list = match self
                .requests
                .list_metadata(&resource, None, None, page.as_deref(), PAGE)
                .await
            {
                Ok(list) => list,
                Err(error) if error.is_not_found() => return Ok(trouble),
                // Counting them says so.
                Err(error) if may_last(&error) => return Ok(trouble),
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
                        (id, outcome)
                    }
                })
                .buffer_unordered(WIDTH);
            while let Some((id, outcome)) = deletions.next().await {
                match outcome {
                    Ok(()) => {}
                    Err(error) if may_last(&error) => {
                        let why = one_line(&error.to_string());
                        trouble.get_or_insert_with(|| format!("{id} cannot be deleted: {why}"));
                    }
                    Err(error) => return Err(about("delete", &id)(error)),
                }
            }
            drop(deletions);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = Some(token),
                None => return Ok(trouble),
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

/// Whether an answer is a refusal, or the failure of a webhook that the request has to pass: both last
/// until somebody does something about it.
fn may_last(error: &RequestError) -> bool {
    !error.is_transient() || error.code() == Some(500)
}

fn list_error(resource: &Resource, source: RequestError) -> ApplyError {
    ApplyError::List {
        kind: resource.api.kind.clone(),
        api_version: resource.api.api_version.clone(),
        source,
    }
}
