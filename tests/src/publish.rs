//! Bundles and catalogs as images in a registry, packed and pushed with the suite's own crates.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use olm_fs::{Digest, pack};
use olm_registry::push::{NewImage, NewLayer};
use olm_registry::{Access, Client, ClientConfig, Credentials, Reference};
use olm_tree::{MemoryTree, RelPath, Tree};

use crate::Registry;
use crate::content::PackageContent;

/// The label that says where in an image the catalog is.
pub const CATALOG_LABEL: &str = "operators.operatorframework.io.index.configs.v1";

/// A catalog that was published, and its bundles.
#[derive(Clone, Debug)]
pub struct Published {
    /// The reference of the catalog, by its tag.
    pub reference: String,
    /// The digest of the catalog.
    pub digest: String,
    /// The reference of each bundle by digest, by the bundle's name.
    pub images: BTreeMap<String, String>,
}

/// Pushes to one registry, as one user.
#[derive(Debug)]
pub struct Publisher<'a> {
    registry: &'a Registry,
    access: Access,
}

impl<'a> Publisher<'a> {
    /// Pushes without credentials.
    pub fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            access: Access::default(),
        }
    }

    /// Pushes as a user with a password.
    pub fn with_password(registry: &'a Registry, user: &str, password: &str) -> Self {
        let credentials = Credentials::Basic {
            username: user.to_owned(),
            password: password.to_owned(),
        };
        let access = Access {
            credentials,
            ..Access::default()
        };
        Self { registry, access }
    }

    /// Pushes the bundles of `packages` and a catalog of them under `name` (`repository:tag`).
    ///
    /// # Errors
    /// When something cannot be packed or pushed.
    pub async fn catalog(&self, name: &str, packages: &[PackageContent]) -> Result<Published> {
        let mut tree = MemoryTree::default();
        let mut images = BTreeMap::new();
        for package in packages {
            for bundle in &package.bundles {
                let name = format!("bundles/{}:v{}", package.name, bundle.version);
                let image = self.bundle(&name, &bundle.files).await?;
                images.insert(bundle.name.clone(), image);
            }
            let file = package.catalog_file(&images)?;
            tree.insert(&format!("{}/catalog.yaml", package.name), file)?;
        }
        let (reference, digest) = self.catalog_tree(name, &tree).await?;
        Ok(Published {
            reference,
            digest,
            images,
        })
    }

    /// Pushes a folder of catalog files as a catalog image; gives its reference and its digest.
    ///
    /// # Errors
    /// When it cannot be packed or pushed.
    pub async fn catalog_tree(&self, name: &str, tree: &dyn Tree) -> Result<(String, String)> {
        let label = (CATALOG_LABEL.to_owned(), "/configs".to_owned());
        let image = image(tree, "configs", [label])?;
        let digest = self.push(name, &image).await?;
        Ok((
            format!("{}/{name}", self.registry.host()),
            digest.to_string(),
        ))
    }

    /// Pushes a bundle; gives its reference by digest.
    ///
    /// # Errors
    /// When it cannot be packed or pushed.
    pub async fn bundle(&self, name: &str, files: &dyn Tree) -> Result<String> {
        let digest = self.push(name, &image(files, "", [])?).await?;
        let repository = name
            .split_once(':')
            .map_or(name, |(repository, _)| repository);
        Ok(format!("{}/{repository}@{digest}", self.registry.host()))
    }

    /// Pushes an image under `name`; gives its digest.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub async fn push(&self, name: &str, image: &NewImage) -> Result<Digest> {
        let mut config = ClientConfig::default();
        if let Some(authority) = self.registry.authority() {
            config
                .extra_root_certificates
                .push(authority.as_bytes().to_vec());
        }
        let client = Client::new(config)?;
        let reference: Reference = format!("{}/{name}", self.registry.host()).parse()?;
        client
            .push_image(&reference, image, &self.access)
            .await
            .with_context(|| format!("cannot push `{name}`"))
    }
}

/// An image of one layer that holds `tree` below `folder`.
///
/// # Errors
/// When the tree cannot be packed.
pub fn image(
    tree: &dyn Tree,
    folder: &str,
    labels: impl IntoIterator<Item = (String, String)>,
) -> Result<NewImage> {
    let options = pack::Options {
        prefix: RelPath::parse(folder)?,
        ..pack::Options::default()
    };
    let (mut plain, mut packed) = (Vec::new(), Vec::new());
    pack::tar(tree, &options, &mut plain)?;
    pack::tar_gz(tree, &options, &mut packed)?;
    Ok(NewImage {
        layers: vec![NewLayer::tar_gz(packed, Digest::of(&plain))],
        labels: labels.into_iter().collect(),
        ..NewImage::default()
    })
}
