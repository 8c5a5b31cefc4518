//! Content of git and web servers, and the Secrets for them.

use olm_api::bundle::{Authorization, BundleSource, GitReference, GitSource};
use olm_source::git::{self, GitError, Revision};
use olm_source::http;
use olm_source::{Endpoint, WebAccess};

use super::secret::SourceSecret;
use super::{FetchError, Fetched, Sources};

impl Sources {
    pub(super) async fn git(
        &self,
        source: &BundleSource,
        pinned: Option<&BundleSource>,
    ) -> Result<Fetched, FetchError> {
        let wanted = source.git.as_ref().ok_or(FetchError::Unset("git"))?;
        let pinned = pinned.and_then(|pinned| pinned.git.as_ref()?.reference.commit.clone());
        let endpoint = git::endpoint(&wanted.repository)?;
        let secret = self.secret(wanted.auth.as_ref(), &endpoint).await?;
        let request = git::Request {
            repository: wanted.repository.clone(),
            revision: match pinned {
                Some(commit) => Revision::Pinned(commit),
                None => revision(&wanted.reference)?,
            },
            directory: wanted.directory.clone().unwrap_or_default(),
            web: web(wanted.auth.as_ref(), secret.as_ref()),
            ssh: secret.map(SourceSecret::into_ssh).unwrap_or_default(),
        };
        let fetched = self.contents.fetch_git(&request).await?;
        let reference = GitReference {
            commit: Some(fetched.commit),
            ..GitReference::default()
        };
        Ok(Fetched {
            resolved: BundleSource {
                git: Some(GitSource {
                    reference,
                    ..wanted.clone()
                }),
                ..source.clone()
            },
            digest: fetched.stored.digest,
            tree: fetched.stored.tree,
        })
    }

    pub(super) async fn http(&self, source: &BundleSource) -> Result<Fetched, FetchError> {
        let wanted = source.http.as_ref().ok_or(FetchError::Unset("http"))?;
        let endpoint = http::endpoint(&wanted.url)?;
        let secret = self.secret(wanted.auth.as_ref(), &endpoint).await?;
        let access = web(wanted.auth.as_ref(), secret.as_ref());
        let stored = self.contents.fetch_http(&wanted.url, &access).await?;
        Ok(Fetched {
            resolved: source.clone(),
            digest: stored.digest,
            tree: stored.tree,
        })
    }

    /// What the Secret that is named has for a server; `None` where none is named.
    async fn secret(
        &self,
        auth: Option<&Authorization>,
        endpoint: &Endpoint,
    ) -> Result<Option<SourceSecret>, FetchError> {
        let named = auth
            .and_then(|auth| auth.secret.as_ref()?.name.as_deref())
            .filter(|name| !name.is_empty());
        match named {
            None => Ok(None),
            Some(name) => {
                let read = SourceSecret::read(&self.client, &self.namespace, name, endpoint);
                Ok(Some(read.await?))
            }
        }
    }
}

fn web(auth: Option<&Authorization>, secret: Option<&SourceSecret>) -> WebAccess {
    let skip = auth.and_then(|auth| auth.insecure_skip_verify);
    WebAccess {
        credentials: secret.and_then(SourceSecret::basic),
        authorities: secret.and_then(SourceSecret::authorities),
        tls_verify: skip != Some(true),
    }
}

/// The one of branch, tag and commit that is set and not empty.
fn revision(reference: &GitReference) -> Result<Revision, GitError> {
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (
        set(&reference.branch),
        set(&reference.tag),
        set(&reference.commit),
    ) {
        (Some(branch), None, None) => Ok(Revision::Branch(branch)),
        (None, Some(tag), None) => Ok(Revision::Tag(tag)),
        (None, None, Some(commit)) => Ok(Revision::Commit(commit)),
        _ => Err(GitError::NoRevision),
    }
}
