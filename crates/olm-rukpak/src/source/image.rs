//! Content of images.

use olm_api::bundle::{BundleSource, ImageSource};
use olm_registry::Reference;
use olm_runtime::pull_secret::PullSecret;

use super::{FetchError, Fetched, Sources};

impl Sources {
    pub(super) async fn image(
        &self,
        source: &BundleSource,
        pinned: Option<&BundleSource>,
    ) -> Result<Fetched, FetchError> {
        let image = source.image.as_ref().ok_or(FetchError::Unset("image"))?;
        let pinned = pinned.and_then(|pinned| pinned.image.as_ref());
        let text = &pinned.unwrap_or(image).reference;
        let reference = Reference::parse(text).map_err(|source| FetchError::Reference {
            reference: text.clone(),
            source,
        })?;
        let within = image.directory.as_deref().unwrap_or_default();
        let directory = olm_source::inside(within).ok_or_else(|| FetchError::DirectoryOutside {
            directory: within.to_owned(),
            image: image.reference.clone(),
        })?;
        let secret = image.pull_secret.as_deref();
        let secret = PullSecret::read(&self.client, &self.namespace, secret).await?;
        let access = secret.access(&reference, true)?;
        let fetched = self.contents.fetch(&reference, &directory, &access).await;
        let fetched = fetched.map_err(|source| FetchError::Image {
            is_terminal: source.is_terminal(&reference),
            source: Box::new(source),
        })?;
        Ok(Fetched {
            resolved: resolved(fetched.resolved.to_string(), image.directory.clone()),
            digest: fetched.digest,
            tree: fetched.tree,
        })
    }
}

/// The source of an image, with the tag replaced by what it resolved to. The pull secret is left
/// out, as upstream does.
fn resolved(reference: String, directory: Option<String>) -> BundleSource {
    BundleSource {
        kind: "image".to_owned(),
        image: Some(ImageSource {
            reference,
            pull_secret: None,
            directory,
        }),
        ..BundleSource::default()
    }
}
