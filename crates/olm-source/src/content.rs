//! Content that has no digest of its own: it is stored under that of its files.

use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use olm_fs::layers::{Applier, Caps, LayerError, PathFilter};
use olm_fs::pack::{self, PackError};
use olm_fs::{Digest, DirTree, Hasher, Pending, Store, StoreError};
use olm_tree::{RelPath, TreeError};
use tokio::task::spawn_blocking;

use crate::pipe::pipe;

/// Content in the store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The digest that it is stored under: that of its files, packed as [`olm_fs::pack::tar`] does.
    pub digest: Digest,
    /// The files.
    pub tree: DirTree,
}

/// Content that could not be taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// There is no place for it, or the disk refuses.
    #[error("cannot store the content")]
    Store(#[from] StoreError),
    /// It is not an archive, or not within the limits.
    #[error("error creating FS")]
    Archive(#[from] LayerError),
    /// What was stored cannot be read back.
    #[error("cannot read the content")]
    Read(#[from] PackError),
    /// The task that unpacks ended without a result: it panicked, or the process is ending.
    #[error("the unpacking was interrupted")]
    Interrupted,
}

impl ContentError {
    /// Whether the content itself is at fault, so that the same bytes fail again.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Archive(source) => source.is_content(),
            Self::Read(PackError::Tree(source)) => !matches!(source, TreeError::Io { .. }),
            Self::Read(_) => true,
            Self::Store(_) | Self::Interrupted => false,
        }
    }
}

/// An archive that was not taken in: its bytes stopped coming, or it is at fault.
#[derive(Debug)]
pub(crate) enum Broken<E> {
    Stream(E),
    Content(ContentError),
}

/// Unpacks an archive as it comes and stores what `folders` keep of it. Memory does not grow with
/// it; of one that breaks off, nothing is stored.
pub(crate) async fn unpack<E>(
    archive: impl Stream<Item = Result<Bytes, E>>,
    folders: &[RelPath],
    caps: Caps,
    into: &Store,
) -> Result<Pending, Broken<E>> {
    let (store, filter) = (into.clone(), PathFilter::below(folders.iter().cloned()));
    let begun = blocking(move || {
        let pending = store.begin()?;
        let applier = Applier::new(&pending, filter, caps)?.of_archives();
        Ok::<_, StoreError>((pending, applier))
    });
    let (pending, mut applier) = begun
        .await
        .and_then(|begun| begun.map_err(ContentError::Store))
        .map_err(Broken::Content)?;
    let (writer, reader) = pipe();
    let pulling = async move {
        let mut archive = pin!(archive);
        while let Some(piece) = archive.next().await {
            match piece {
                Ok(bytes) => {
                    if !writer.write(bytes).await {
                        return Ok(());
                    }
                }
                Err(error) => {
                    writer.fail().await;
                    return Err(error);
                }
            }
        }
        Ok(())
    };
    let unpacking = blocking(move || applier.apply(reader));
    let (pulled, unpacked) = tokio::join!(pulling, unpacking);
    pulled.map_err(Broken::Stream)?;
    unpacked
        .and_then(|unpacked| unpacked.map_err(ContentError::Archive))
        .map_err(Broken::Content)?;
    Ok(pending)
}

/// Puts what was unpacked into the store, under the digest of its files.
pub(crate) async fn commit(pending: Pending) -> Result<Stored, ContentError> {
    blocking(move || {
        let options = pack::Options {
            file_bytes: Caps::BUNDLE.kept_bytes,
            ..pack::Options::default()
        };
        let mut hasher = Hasher::new();
        pack::tar(&pending.tree()?, &options, &mut hasher)?;
        let digest = hasher.finish();
        let tree = pending.commit(&digest)?;
        Ok(Stored { digest, tree })
    })
    .await?
}

/// Stores files that are in memory already.
///
/// # Errors
/// [`ContentError`]; two files of one path, or one below another, are such a case.
pub async fn store_files(
    files: Vec<(RelPath, Vec<u8>)>,
    into: &Store,
) -> Result<Stored, ContentError> {
    let store = into.clone();
    let pending = blocking(move || {
        let pending = store.begin()?;
        for (path, bytes) in &files {
            pending.write(path, bytes)?;
        }
        Ok::<_, StoreError>(pending)
    })
    .await??;
    commit(pending).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ContentError> {
    spawn_blocking(work)
        .await
        .map_err(|_| ContentError::Interrupted)
}
