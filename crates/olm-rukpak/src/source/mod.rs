//! What Bundles name as their source, fetched and stored.

mod config_maps;
pub(crate) mod copies;
mod error;
mod image;
mod secret;
mod servers;
mod upload;
pub(crate) mod watches;

use kube::Client;
use olm_api::bundle::BundleSource;
use olm_fs::{Digest, DirTree};

use self::copies::Copies;
pub(crate) use self::error::FetchError;

use crate::contents::Contents;
use crate::uploads::Uploads;

/// A type of source that content is fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Image,
    Git,
    Http,
    ConfigMaps,
    Upload,
}

impl Kind {
    /// The type of a source, if it is one and what it asks for is there.
    pub(crate) fn of(source: &BundleSource) -> Result<Self, FetchError> {
        let (kind, is_set, name) = match source.kind.as_str() {
            "image" => (Self::Image, source.image.is_some(), "image"),
            "git" => (Self::Git, source.git.is_some(), "git"),
            "http" => (Self::Http, source.http.is_some(), "http"),
            "configMaps" => {
                let entries = source.config_maps.as_ref();
                let is_set = entries.is_some_and(|entries| !entries.is_empty());
                (Self::ConfigMaps, is_set, "configmaps")
            }
            "upload" => (Self::Upload, source.upload.is_some(), "upload"),
            other => return Err(FetchError::UnsupportedType(other.to_owned())),
        };
        if is_set {
            Ok(kind)
        } else {
            Err(FetchError::Unset(name))
        }
    }
}

/// What a source gave.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    /// The source with everything that moves replaced by what it resolved to.
    pub(crate) resolved: BundleSource,
    /// The digest that the content is stored under.
    pub(crate) digest: Digest,
    /// The content.
    pub(crate) tree: DirTree,
}

/// Fetches sources; clones share the store.
#[derive(Clone)]
pub(crate) struct Sources {
    client: Client,
    /// Where Secrets and ConfigMaps are.
    namespace: String,
    contents: Contents,
    uploads: Uploads,
    copies: Copies,
}

impl Sources {
    pub(crate) fn new(
        client: Client,
        namespace: String,
        contents: Contents,
        uploads: Uploads,
    ) -> Self {
        Self {
            copies: Copies::new(client.clone(), &namespace),
            client,
            namespace,
            contents,
            uploads,
        }
    }

    /// Fetches a source and stores its content. `pinned` is what the same source once resolved to:
    /// that is fetched then. `uid` is that of the Bundle.
    pub(crate) async fn fetch(
        &self,
        source: &BundleSource,
        pinned: Option<&BundleSource>,
        uid: &str,
    ) -> Result<Fetched, FetchError> {
        match Kind::of(source)? {
            Kind::Image => self.image(source, pinned).await,
            Kind::Git => self.git(source, pinned).await,
            Kind::Http => self.http(source).await,
            Kind::ConfigMaps => self.config_maps(source).await,
            Kind::Upload => self.upload(source, uid).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!({"type": "image", "image": {"ref": "a"}}), None)]
    #[case(json!({"type": "image", "git": {"repository": "a", "ref": {}}}),
        Some("bundle source image configuration is unset"))]
    #[case(json!({"type": "git"}), Some("bundle source git configuration is unset"))]
    #[case(json!({"type": "http", "image": {"ref": "a"}}),
        Some("bundle source http configuration is unset"))]
    #[case(json!({"type": "configMaps", "configMaps": []}),
        Some("bundle source configmaps configuration is unset"))]
    #[case(json!({"type": "upload", "upload": {}}), None)]
    #[case(json!({"type": "upload"}), Some("bundle source upload configuration is unset"))]
    #[case(json!({"type": "ftp"}), Some("source type \"ftp\" not supported"))]
    fn a_source_must_be_what_it_says(#[case] source: Value, #[case] text: Option<&str>) {
        let source: BundleSource = serde_json::from_value(source).unwrap();
        let found = Kind::of(&source).err().map(|error| error.to_string());
        assert_eq!(found.as_deref(), text);
    }
}
