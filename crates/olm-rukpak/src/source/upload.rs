//! Content that was uploaded.

use std::fs::File;
use std::io::Read as _;

use kube::ResourceExt as _;
use olm_api::bundle::{Bundle, BundleSource};
use olm_source::http::HttpError;

use super::copies::MAX_COPY;
use super::{FetchError, Fetched, Sources};
use crate::contents::blocking;
use crate::uploads::ReceiveError;

impl Sources {
    /// The content of the archive that was uploaded for the Bundle with this UID.
    pub(super) async fn upload(
        &self,
        source: &BundleSource,
        uid: &str,
    ) -> Result<Fetched, FetchError> {
        let file = match self.uploaded(uid).await? {
            Some(file) => Some(file),
            None => self.restored(uid).await?,
        };
        let file = file.ok_or(FetchError::NotUploaded)?;
        let stored = self.contents.unpack(file).await;
        let stored = stored.map_err(|error| match error {
            HttpError::NoGzip => FetchError::NoGzip(error),
            other => FetchError::Untar(other),
        })?;
        Ok(Fetched {
            resolved: source.clone(),
            digest: stored.digest,
            tree: stored.tree,
        })
    }

    /// Keeps a copy in the cluster of what was uploaded for a Bundle.
    ///
    /// # Errors
    ///
    /// [`FetchError::Uploaded`] and [`FetchError::Copy`].
    pub(crate) async fn keep_upload(&self, bundle: &Bundle) -> Result<(), FetchError> {
        let uid = bundle.uid().unwrap_or_default();
        let Some(file) = self.uploaded(&uid).await? else {
            return Ok(());
        };
        let archive = blocking(move || {
            let mut archive = Vec::new();
            // One byte more than is kept tells what is too large.
            let mut file = file.take(MAX_COPY as u64 + 1);
            file.read_to_end(&mut archive).map(|_| archive)
        });
        let archive = archive.await;
        let archive = archive.map_err(|error| FetchError::Restore(ReceiveError::Disk(error)))?;
        let kept = self.copies.keep(bundle, &archive).await;
        kept.map_err(FetchError::Copy)
    }

    async fn uploaded(&self, uid: &str) -> Result<Option<File>, FetchError> {
        let (uploads, key) = (self.uploads.clone(), uid.to_owned());
        let file = blocking(move || uploads.get(&key)).await;
        file.map_err(FetchError::Uploaded)
    }

    /// What was uploaded and went with the disk, from its copy.
    async fn restored(&self, uid: &str) -> Result<Option<File>, FetchError> {
        let copy = self.copies.get(uid).await.map_err(FetchError::Copy)?;
        let Some(archive) = copy else {
            return Ok(None);
        };
        let (uploads, key) = (self.uploads.clone(), uid.to_owned());
        let restored = blocking(move || {
            let received = uploads.receive(&key, archive.as_slice())?;
            uploads.commit(&key, received)
        });
        restored.await.map_err(FetchError::Restore)?;
        tracing::info!(uid, "restored an upload from its copy");
        self.uploaded(uid).await
    }
}
