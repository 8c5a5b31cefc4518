//! Content that was uploaded.

use olm_api::bundle::BundleSource;
use olm_source::http::HttpError;

use super::{FetchError, Fetched, Sources};
use crate::contents::blocking;

impl Sources {
    /// The content of the archive that was uploaded for the Bundle with this UID.
    pub(super) async fn upload(
        &self,
        source: &BundleSource,
        uid: &str,
    ) -> Result<Fetched, FetchError> {
        let (uploads, key) = (self.uploads.clone(), uid.to_owned());
        let file = blocking(move || uploads.get(&key))
            .await
            .map_err(FetchError::Uploaded)?;
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
}
