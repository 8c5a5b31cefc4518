//! Stored contents as archives, the form in which they are served.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use olm_fs::layers::Caps;
use olm_fs::pack::{self, PackError};
use olm_fs::{AtomicFile, Digest, DirTree, FileError, StoreError};

const SUFFIX: &str = ".tgz";
const TEMPORARY: &str = ".tmp-";

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ArchiveError {
    /// The disk refuses.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Archives that were made when somebody asked for them, by the digest of what is in them. They can
/// be made again at any time: the same content packs to the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Archives {
    folder: PathBuf,
    /// One is made at a time.
    packing: Arc<Mutex<()>>,
}

impl Archives {
    /// Opens the folder below `storage`, and removes what a crash left half written.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn open(storage: &Path) -> Result<Self, FileError> {
        let folder = storage.join("archives");
        olm_fs::create_dir_all(&folder)?;
        for name in olm_fs::names(&folder)? {
            if name.starts_with(TEMPORARY) {
                olm_fs::remove_file(&folder.join(name))?;
            }
        }
        Ok(Self {
            folder,
            packing: Arc::default(),
        })
    }

    /// The archive of a content, made of `tree` where there is none yet. Blocks.
    ///
    /// # Errors
    ///
    /// [`ArchiveError`].
    pub(crate) fn get(&self, digest: &Digest, tree: &DirTree) -> Result<File, ArchiveError> {
        let path = self.path(digest);
        if let Some(file) = found(&path)? {
            return Ok(file);
        }
        let _alone = self.packing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = found(&path)? {
            return Ok(file);
        }
        let mut file = AtomicFile::create(&path)?;
        let options = pack::Options {
            file_bytes: Caps::BUNDLE.kept_bytes,
            ..pack::Options::default()
        };
        pack::tar_gz(tree, &options, &mut file)?;
        file.commit()?;
        Ok(olm_fs::open(&path)?)
    }

    /// Removes the archive of a content, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), FileError> {
        olm_fs::remove_file(&self.path(digest))
    }

    /// Removes the archives of all contents but those for which `keep` holds. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn retain(&self, keep: impl Fn(&Digest) -> bool) -> Result<(), FileError> {
        for name in olm_fs::names(&self.folder)? {
            let digest = name.strip_suffix(SUFFIX).and_then(|name| name.parse().ok());
            if digest.is_some_and(|digest| !keep(&digest)) {
                olm_fs::remove_file(&self.folder.join(name))?;
            }
        }
        Ok(())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{digest}{SUFFIX}"))
    }
}

fn found(path: &Path) -> Result<Option<File>, FileError> {
    match olm_fs::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
