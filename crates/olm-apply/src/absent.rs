//! What of a set is not in the cluster.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::applier::{Applier, WIDTH, about};
use crate::error::ApplyError;
use crate::prepare::{Manifest, ObjectSet};

impl Applier {
    /// The objects of a set that are not there, to make them again and leave all others alone.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn absent(&self, mut set: ObjectSet) -> Result<ObjectSet, ApplyError> {
        let manifests = std::mem::take(&mut set.manifests);
        let looks = stream::iter(manifests)
            .map(|manifest| async move {
                let is_there = manifest.served && self.finds(&manifest).await?;
                Ok::<_, ApplyError>((!is_there).then_some(manifest))
            })
            .buffered(WIDTH);
        let found: Vec<Option<Manifest>> = looks.try_collect().await?;
        set.manifests = found.into_iter().flatten().collect();
        Ok(set)
    }

    async fn finds(&self, manifest: &Manifest) -> Result<bool, ApplyError> {
        let found = self
            .requests
            .get_metadata(&manifest.resource, &manifest.id)
            .await;
        Ok(found.map_err(about("read", &manifest.id))?.is_some())
    }
}
