//! Content from an image of a registry.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use olm_fs::layers::{Applier, Caps, LayerError, PathFilter};
use olm_fs::{Digest, DirTree, Pending, Store};
use olm_registry::{Access, Client, Image, Reference, RegistryError};
use olm_tree::{RelPath, Tree, TreeError};
use tokio::task::spawn_blocking;

use crate::error::SourceError;
use crate::pipe::{Reader, Writer, pipe};
use crate::speed::{self, MinimumSpeed};

/// The label that names the folder of a catalog image that holds the catalog.
pub const CATALOG_LABEL: &str = "operators.operatorframework.io.index.configs.v1";

/// Which part of an image is wanted. One [`Store`] must always be given the same, but for the
/// directory of [`Filter::FoldersOf`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Everything.
    All,
    /// The folder that this label names, at its full path; an image without the label is an error.
    FolderFromLabel(String),
    /// These folders, as far as the image has them; it must have one of them.
    Folders(Vec<RelPath>),
    /// These folders of a directory of the image, as far as it has them; it must have one of them.
    /// What is stored has them at their paths below the directory.
    FoldersOf {
        /// The directory; the root is the same as [`Filter::Folders`].
        directory: RelPath,
        /// The folders in it.
        folders: Vec<RelPath>,
    },
}

impl Filter {
    /// What a catalog image is unpacked with: the folder of [`CATALOG_LABEL`].
    pub fn catalog() -> Self {
        Self::FolderFromLabel(CATALOG_LABEL.to_owned())
    }

    /// What the content of an image is stored under: the image's own digest, unless another part of
    /// the same image may be in the same store.
    fn key(&self, image: &Digest) -> Digest {
        match self.directory() {
            None => image.clone(),
            Some(directory) => Digest::of(format!("{image}\n{directory}").as_bytes()),
        }
    }

    /// The directory that is to be the root, where that is not the image's own.
    fn directory(&self) -> Option<&RelPath> {
        match self {
            Self::FoldersOf { directory, .. } if !directory.is_root() => Some(directory),
            _ => None,
        }
    }

    /// The filter for the layers, and the folders of which one must be there.
    fn of(
        &self,
        reference: &Reference,
        image: &Image,
    ) -> Result<(PathFilter, Vec<RelPath>), SourceError> {
        let folders =
            match self {
                Self::All => return Ok((PathFilter::all(), Vec::new())),
                Self::Folders(folders) => folders.clone(),
                Self::FoldersOf { directory, folders } => {
                    let full = folders
                        .iter()
                        .filter_map(|folder| directory.join(folder.as_str()).ok());
                    return Ok((PathFilter::below(full), folders.clone()));
                }
                Self::FolderFromLabel(label) => {
                    let value = image.config.labels.get(label).ok_or_else(|| {
                        SourceError::MissingLabel {
                            image: reference.to_string(),
                            label: label.clone(),
                        }
                    })?;
                    let folder = RelPath::parse(value.trim_start_matches('/')).map_err(|_| {
                        SourceError::Label {
                            image: reference.to_string(),
                            label: label.clone(),
                        }
                    })?;
                    vec![folder]
                }
            };
        Ok((PathFilter::below(folders.iter().cloned()), folders))
    }
}

/// What was fetched.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fetched {
    /// The reference by digest; of an index, by that of the index.
    pub resolved: Reference,
    /// What the content is under in the store: the same digest, or, of a directory of the image, one
    /// made of both.
    pub digest: Digest,
    /// The content. A catalog's folder is at its full path in it.
    pub tree: DirTree,
    /// Whether it was in the store already, so that nothing was pulled.
    pub cached: bool,
}

/// Fetches an image into the store.
///
/// A reference with a digest that is in the store costs no request; one with a tag costs one to
/// resolve it. Otherwise the layers are pulled one after the other and unpacked as they come;
/// memory does not grow with the image, and a registry that sends less than 1 KiB/s over a minute is
/// not waited for. Dropping the future, or the end of the process, leaves
/// nothing in the store but a temporary that [`Store::sweep`] removes.
///
/// # Errors
/// [`SourceError`]; [`SourceError::is_terminal`] tells whether trying again may help.
pub async fn fetch(
    client: &Client,
    reference: &Reference,
    access: &Access,
    filter: &Filter,
    caps: Caps,
    into: &Store,
) -> Result<Fetched, SourceError> {
    let speed = MinimumSpeed::LAYER;
    fetch_at(speed, client, reference, access, filter, caps, into).await
}

/// The same from a registry whose layers do not come slower than this.
pub(crate) async fn fetch_at(
    speed: MinimumSpeed,
    client: &Client,
    reference: &Reference,
    access: &Access,
    filter: &Filter,
    caps: Caps,
    into: &Store,
) -> Result<Fetched, SourceError> {
    let digest = client
        .resolve(reference, access)
        .await
        .map_err(SourceError::Descriptor)?;
    let resolved = reference.with_digest(digest.clone());
    let digest = filter.key(&digest);
    let (store, key) = (into.clone(), digest.clone());
    if let Some(tree) = blocking(move || store.get(&key))
        .await?
        .map_err(SourceError::Cache)?
    {
        return Ok(Fetched {
            resolved,
            digest,
            tree,
            cached: true,
        });
    }
    let image = Wanted {
        client,
        reference,
        resolved: &resolved,
        access,
        filter,
        caps,
        speed,
    };
    let (pending, wanted) = pull(image, into).await?;
    let key = digest.clone();
    let tree = blocking(move || {
        if holds(&pending, &wanted)? {
            pending.commit(&key).map(Ok).map_err(SourceError::Store)
        } else {
            Ok(Err(wanted))
        }
    })
    .await??
    .map_err(|wanted| empty(reference, filter, &wanted))?;
    Ok(Fetched {
        resolved,
        digest,
        tree,
        cached: false,
    })
}

/// The content of an image that is needed only once. It is not in the store: it is not flushed, and
/// it is removed when this is dropped, which blocks.
#[derive(Debug)]
pub struct Scratch {
    tree: DirTree,
    _pending: Pending,
}

impl Scratch {
    /// The content. A catalog's folder is at its full path in it.
    pub const fn tree(&self) -> &DirTree {
        &self.tree
    }
}

/// Pulls and unpacks an image as [`fetch`] does, but for use at once and once only. `reference` has
/// a digest; `into` is where the content lies meanwhile.
///
/// # Errors
/// Those of [`fetch`].
pub async fn fetch_once(
    client: &Client,
    reference: &Reference,
    access: &Access,
    filter: &Filter,
    caps: Caps,
    into: &Store,
) -> Result<Scratch, SourceError> {
    let digest = client
        .resolve(reference, access)
        .await
        .map_err(SourceError::Descriptor)?;
    let resolved = reference.with_digest(digest);
    let image = Wanted {
        client,
        reference,
        resolved: &resolved,
        access,
        filter,
        caps,
        speed: MinimumSpeed::LAYER,
    };
    let (pending, wanted) = pull(image, into).await?;
    blocking(move || {
        let tree = pending.tree().map_err(SourceError::Store)?;
        if holds(&pending, &wanted)? {
            Ok::<_, SourceError>(Ok(Scratch {
                tree,
                _pending: pending,
            }))
        } else {
            Ok(Err(wanted))
        }
    })
    .await??
    .map_err(|wanted| empty(reference, filter, &wanted))
}

/// What is pulled, by whom and within which limits.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    client: &'a Client,
    /// As it was asked for, and by digest.
    reference: &'a Reference,
    resolved: &'a Reference,
    access: &'a Access,
    filter: &'a Filter,
    caps: Caps,
    speed: MinimumSpeed,
}

/// Pulls the layers of an image one after the other and unpacks them as they come. Gives also the
/// folders of which the image must have one.
async fn pull(wanted: Wanted<'_>, into: &Store) -> Result<(Pending, Vec<RelPath>), SourceError> {
    let Wanted {
        client,
        reference,
        resolved,
        access,
        filter,
        caps,
        speed,
    } = wanted;
    let image = client.image(resolved, access).await.map_err(|source| {
        let image = reference.to_string();
        match source {
            RegistryError::Manifest { what: "config", .. } => SourceError::Config { image, source },
            source => SourceError::Manifest { image, source },
        }
    })?;
    let size = image
        .layers
        .iter()
        .fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
    if size > caps.compressed_bytes {
        let limit = caps.compressed_bytes;
        return Err(SourceError::TooLarge {
            image: reference.to_string(),
            size,
            limit,
        });
    }
    let (paths, wanted) = filter.of(reference, &image)?;
    let store = into.clone();
    let (pending, mut applier) = blocking(move || {
        let pending = store.begin()?;
        let applier = Applier::new(&pending, paths, caps)?;
        Ok((pending, applier))
    })
    .await?
    .map_err(SourceError::Create)?;
    for layer in &image.layers {
        let blob = client
            .blob(resolved, layer, access)
            .map_err(SourceError::Layer)?;
        let blob = speed::watched(blob, speed, || RegistryError::TooSlow {
            image: resolved.to_string(),
            registry: resolved.registry().to_owned(),
            bytes_per_second: speed.bytes_per_second,
            window: speed.window,
        });
        applier = apply(applier, blob).await?;
    }
    tracing::debug!(image = %resolved, applied = ?applier.applied(), "image unpacked");
    let Some(directory) = filter.directory().cloned() else {
        return Ok((pending, wanted));
    };
    let below = blocking(move || pending.below(&directory)).await?;
    Ok((below.map_err(SourceError::Store)?, wanted))
}

/// Whether one of the wanted folders is there.
fn holds(pending: &Pending, wanted: &[RelPath]) -> Result<bool, SourceError> {
    let tree = pending.tree().map_err(SourceError::Store)?;
    Ok(wanted.is_empty() || holds_one(&tree, wanted).map_err(SourceError::Read)?)
}

/// Whether a tree has one of the folders. That the disk does not tell is no answer.
fn holds_one(tree: &dyn Tree, folders: &[RelPath]) -> Result<bool, TreeError> {
    for folder in folders {
        match tree.list(folder) {
            Ok(_) => return Ok(true),
            Err(TreeError::NotFound { .. } | TreeError::NotADirectory { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn empty(reference: &Reference, filter: &Filter, wanted: &[RelPath]) -> SourceError {
    let folders: Vec<_> = wanted.iter().map(RelPath::as_str).collect();
    let (image, folder) = (reference.to_string(), folders.join(", "));
    match filter.directory() {
        None => SourceError::Empty { image, folder },
        Some(directory) => SourceError::EmptyDirectory {
            image,
            directory: directory.to_string(),
            folder,
        },
    }
}

/// Applies one layer while it is pulled.
async fn apply(
    applier: Applier,
    blob: impl Stream<Item = Result<Bytes, RegistryError>>,
) -> Result<Applier, SourceError> {
    let (writer, reader) = pipe();
    let mut pulling = std::pin::pin!(pump(blob, writer));
    let mut unpacking = std::pin::pin!(blocking(move || unpack(applier, reader)));
    tokio::select! {
        pulled = &mut pulling => {
            // The other end stops a moment after this one; nothing may write any more once the
            // directory is dropped.
            let unpacked = unpacking.await;
            pulled.map_err(SourceError::Layer)?;
            unpacked?.map_err(SourceError::Apply)
        }
        unpacked = &mut unpacking => match unpacked? {
            Err(error @ LayerError::Write { .. }) => Err(SourceError::Apply(error)),
            // Whether the content is at fault or was damaged on the way, its digest tells.
            unpacked => {
                pulling.await.map_err(SourceError::Layer)?;
                unpacked.map_err(SourceError::Apply)
            }
        },
    }
}

fn unpack(mut applier: Applier, reader: Reader) -> Result<Applier, LayerError> {
    applier.apply(reader)?;
    Ok(applier)
}

/// Moves the blob into the pipe, and on to its end where nobody reads any more, for its digest.
async fn pump(
    blob: impl Stream<Item = Result<Bytes, RegistryError>>,
    writer: Writer,
) -> Result<(), RegistryError> {
    let mut blob = std::pin::pin!(blob);
    let mut writer = Some(writer);
    loop {
        match blob.try_next().await {
            Ok(None) => return Ok(()),
            Ok(Some(bytes)) => {
                if let Some(open) = &writer
                    && !open.write(bytes).await
                {
                    writer = None;
                }
            }
            Err(error) => {
                if let Some(open) = writer {
                    open.fail().await;
                }
                return Err(error);
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    spawn_blocking(work)
        .await
        .map_err(|_| SourceError::Interrupted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io;

    use olm_tree::{Entry, MemoryTree};

    use super::*;

    /// A disk with a bad sector.
    struct Broken;

    impl Tree for Broken {
        fn list(&self, directory: &RelPath) -> Result<Vec<Entry>, TreeError> {
            Err(TreeError::Io {
                path: directory.clone(),
                source: io::Error::from_raw_os_error(5),
            })
        }

        fn read(&self, file: &RelPath, _limit: u64) -> Result<Vec<u8>, TreeError> {
            self.list(file).map(|_| Vec::new())
        }
    }

    #[test]
    fn a_disk_that_fails_is_not_an_image_without_content() {
        let folders = ["manifests", "metadata"].map(|folder| RelPath::parse(folder).unwrap());
        let error = SourceError::Read(holds_one(&Broken, &folders).unwrap_err());
        let pinned = format!("quay.io/a/b@{}", Digest::of(b""));
        assert!(!error.is_terminal(&pinned.parse().unwrap()));
        assert_eq!(
            error.report(),
            "error unpacking image: error reading the content: cannot read `manifests`: \
             Input/output error (os error 5)"
        );
    }

    #[test]
    fn a_file_is_no_folder_and_one_of_several_is_enough() {
        let folders = ["manifests", "metadata"].map(|folder| RelPath::parse(folder).unwrap());
        let mut tree = MemoryTree::new();
        tree.insert("manifests", "a file").unwrap();
        assert!(!holds_one(&tree, &folders).unwrap());
        tree.insert("metadata/a", "").unwrap();
        assert!(holds_one(&tree, &folders).unwrap());
    }
}
