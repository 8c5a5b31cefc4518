//! Content-addressed directories.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use olm_tree::RelPath;
use tempfile::TempDir;

use crate::files::{self, FileError};
use crate::quota::{self, Exceeded, Quota};
use crate::{Digest, DirTree};

/// Begin of the names of directories that are being filled.
const TEMPORARY: &str = ".tmp-";
/// Begin of the names of directories into which a digest is moved to be removed.
const TRASH: &str = ".trash-";
/// Age from which an abandoned temporary is removed where the file system has no locks.
const ABANDONED: Duration = Duration::from_hours(1);

/// An operation on a [`Store`] that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk refused.
    #[error("cannot {operation} in the store `{}`", root.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The store's directory.
        root: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// The quota leaves less.
    #[error(
        "the store `{}` is full: {} more would be above its quota of {} (there are {}); remove \
         what is no longer needed or raise the quota",
        root.display(),
        mebibytes(*size),
        mebibytes(*quota),
        mebibytes(*used)
    )]
    Full {
        /// The store's directory.
        root: PathBuf,
        /// Bytes on disk of what was to be stored.
        size: u64,
        /// Bytes on disk of what is stored.
        used: u64,
        /// Bytes that there may be.
        quota: u64,
    },
    /// A single file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// Directories under one root, each named after the digest of what it was made from.
///
/// A directory appears under its digest whole or not at all: it is filled under a temporary name,
/// flushed, and renamed. It leaves by being renamed away first. So a crash at any moment leaves at
/// most temporaries, which [`sweep`](Self::sweep) removes. Several tasks and processes may use one
/// root; putting the same digest twice at the same moment is fine. The calls block.
///
/// Two stores must not share a root when they keep different parts of the same image.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    quota: Option<Arc<Quota>>,
}

impl Store {
    /// Opens the store at `root`, making the directory (mode 0700) when it is not there.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        files::create_dir_all(root)?;
        Ok(Self {
            root: root.to_owned(),
            quota: None,
        })
    }

    /// Lets it and its clones hold at most so many bytes: files and directories count as whole
    /// blocks of 4 KiB. What is stored already stays, even if it is more. What is being filled does
    /// not count, and no other process may use the same root.
    ///
    /// # Errors
    /// [`StoreError`] when what is stored cannot be measured.
    pub fn with_quota(mut self, bytes: u64) -> Result<Self, StoreError> {
        let mut stored = HashMap::new();
        for digest in self.list()? {
            let measured = Dir::open_ambient_dir(self.path(&digest), ambient_authority())
                .and_then(|dir| walk(&dir, |_| Ok(())));
            let (_, size) = measured.map_err(self.failed("measure a directory"))?;
            stored.insert(digest, size);
        }
        self.quota = Some(Arc::new(Quota::new(bytes, stored)));
        Ok(self)
    }

    /// Bytes on disk of all that is stored, where there is a quota.
    pub fn used(&self) -> Option<u64> {
        self.quota.as_ref().map(|quota| quota.used())
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a new directory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn begin(&self) -> Result<Pending, StoreError> {
        let (temporary, lock) = self.scratch(TEMPORARY)?;
        Ok(Pending {
            temporary,
            store: self.clone(),
            _lock: lock,
        })
    }

    /// A new directory in the store, and the lock that keeps every sweep away from it.
    fn scratch(&self, prefix: &str) -> Result<(TempDir, File), StoreError> {
        // A sweep may find the directory between its creation and its lock: then once more.
        for _ in 0..64 {
            let directory = tempfile::Builder::new()
                .prefix(prefix)
                .tempdir_in(&self.root)
                .map_err(self.failed("create a temporary directory"))?;
            let lock = match File::open(directory.path()) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(self.failed("open a temporary directory"))?,
            };
            match lock.try_lock() {
                Ok(()) | Err(TryLockError::Error(_)) => {}
                Err(TryLockError::WouldBlock) => continue,
            }
            // A sweep holds the lock while it removes, so what is there now stays there.
            if directory.path().is_dir() {
                return Ok((directory, lock));
            }
        }
        Err(self.failed("keep a temporary directory")(io::Error::other(
            "it is swept away",
        )))
    }

    /// Whether `digest` is stored.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        Ok(self.metadata(digest)?.is_some())
    }

    /// The tree of `digest`, if it is stored.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn get(&self, digest: &Digest) -> Result<Option<DirTree>, StoreError> {
        if self.metadata(digest)?.is_none() {
            return Ok(None);
        }
        match Dir::open_ambient_dir(self.path(digest), ambient_authority()) {
            Ok(dir) => Ok(Some(DirTree::new(dir))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("open a directory")(e)),
        }
    }

    /// When `digest` was stored.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn stored_at(&self, digest: &Digest) -> Result<Option<SystemTime>, StoreError> {
        let Some(metadata) = self.metadata(digest)? else {
            return Ok(None);
        };
        metadata
            .modified()
            .map(Some)
            .map_err(self.failed("read a time"))
    }

    /// Removes `digest`; `false` when it was not there. A [`DirTree`] of it that is still in use
    /// reads "file does not exist" from then on.
    ///
    /// # Errors
    /// [`StoreError::Io`]. The digest is then either still stored whole or gone.
    pub fn remove(&self, digest: &Digest) -> Result<bool, StoreError> {
        let (trash, _lock) = self.scratch(TRASH)?;
        match std::fs::rename(self.path(digest), trash.path().join("content")) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(self.failed("move a directory away")(e)),
        }
        if let Some(quota) = &self.quota {
            quota.give_back(digest);
        }
        files::sync_dir(&self.root)?;
        trash.close().map_err(self.failed("remove a directory"))?;
        Ok(true)
    }

    /// The stored digests, sorted.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn list(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(files::names(&self.root)?
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect())
    }

    /// Removes every stored digest for which `keep` says no; returns those. `keep` must say yes
    /// for what is about to be used, also by tasks that have just put it.
    ///
    /// # Errors
    /// [`StoreError`] of the first that could not be removed; the others were tried.
    pub fn retain(&self, mut keep: impl FnMut(&Digest) -> bool) -> Result<Vec<Digest>, StoreError> {
        let mut removed = Vec::new();
        let mut failure = None;
        for digest in self.list()? {
            if keep(&digest) {
                continue;
            }
            match self.remove(&digest) {
                Ok(true) => removed.push(digest),
                Ok(false) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(removed), Err)
    }

    /// Removes what crashed processes left: directories half filled or half removed, which no
    /// living process holds. Returns how many. To be called at the start, may be called at any
    /// time: it takes nothing from those who put and remove at the same moment.
    ///
    /// # Errors
    /// [`StoreError`] of the first that could not be removed; the others were tried.
    pub fn sweep(&self) -> Result<usize, StoreError> {
        let mut swept = 0;
        let mut failure = None;
        for name in files::names(&self.root)? {
            if !name.starts_with(TRASH) && !name.starts_with(TEMPORARY) {
                continue;
            }
            let path = self.root.join(&name);
            // Held until it is gone: whoever made it a moment ago finds it locked and makes another.
            let Some(_lock) = claim(&path) else {
                continue;
            };
            match files::remove_dir_all(&path) {
                Ok(()) => swept += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(swept), |error| Err(error.into()))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.as_str())
    }

    /// The metadata of a stored directory. Anything else under that name counts as absent.
    fn metadata(&self, digest: &Digest) -> Result<Option<std::fs::Metadata>, StoreError> {
        match std::fs::symlink_metadata(self.path(digest)) {
            Ok(metadata) => Ok(metadata.is_dir().then_some(metadata)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.failed("look up a digest")(e)),
        }
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        let root = self.root.clone();
        move |source| StoreError::Io {
            operation,
            root,
            source,
        }
    }
}

fn is_no_directory(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Takes the lock of a temporary that no living process holds. Where the file system has no locks,
/// an old one counts as such.
fn claim(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let free = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED)),
    };
    free.then_some(file)
}

/// A directory being filled. Dropped without [`commit`](Self::commit), it is removed.
#[derive(Debug)]
pub struct Pending {
    temporary: TempDir,
    store: Store,
    /// Tells sweeps of other tasks and processes that this one is alive.
    _lock: File,
}

impl Pending {
    pub(crate) fn dir(&self) -> Result<Dir, StoreError> {
        Dir::open_ambient_dir(self.temporary.path(), ambient_authority())
            .map_err(self.store.failed("open a temporary directory"))
    }

    /// Writes one file, making its parents; for content that does not come as layers.
    ///
    /// # Errors
    /// [`StoreError::Io`], also when something is at that path already.
    pub fn write(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StoreError> {
        let dir = self.dir()?;
        if let Some((parent, _)) = path.as_str().rsplit_once('/') {
            dir.create_dir_all(parent)
                .map_err(self.store.failed("create a directory"))?;
        }
        dir.open_with(
            path.as_str(),
            OpenOptions::new().write(true).create_new(true),
        )
        .and_then(|mut file| io::Write::write_all(&mut file, bytes))
        .map_err(self.store.failed("write a file"))
    }

    /// What is below `directory`, as a directory of its own; the rest is removed. It is empty where
    /// there is no such directory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn below(self, directory: &RelPath) -> Result<Self, StoreError> {
        if directory.is_root() {
            return Ok(self);
        }
        let below = self.store.begin()?;
        let (whole, root) = (self.dir()?, below.dir()?);
        let failed = self.store.failed("move a directory");
        let from = match whole.open_dir(directory.as_str()) {
            Ok(from) => from,
            Err(e) if is_no_directory(&e) => return Ok(below),
            Err(e) => return Err(failed(e)),
        };
        let names = from.entries().and_then(|entries| {
            let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
            names.collect::<io::Result<Vec<_>>>()
        });
        names
            .and_then(|names| {
                names
                    .iter()
                    .try_for_each(|name| from.rename(name, &root, name))
            })
            .map_err(failed)?;
        Ok(below)
    }

    /// The content so far, as a tree.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn tree(&self) -> Result<DirTree, StoreError> {
        Ok(DirTree::new(self.dir()?))
    }

    /// Flushes every file and directory and puts the whole under `digest`. When another task was
    /// faster, its content stays and this one is dropped.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Io`]; nothing is then under `digest` that was not there
    /// before.
    pub fn commit(self, digest: &Digest) -> Result<DirTree, StoreError> {
        let flush = self.store.failed("flush a directory");
        let size = sync_tree(&self.dir()?).map_err(flush)?;
        let Some(quota) = self.store.quota.clone() else {
            return self.publish(digest);
        };
        quota
            .take(digest, size)
            .map_err(|Exceeded { used, quota }| StoreError::Full {
                root: self.store.root.clone(),
                size,
                used,
                quota,
            })?;
        let store = self.store.clone();
        let published = self.publish(digest);
        if published.is_err() && !store.contains(digest)? {
            quota.give_back(digest);
        }
        published
    }

    fn publish(self, digest: &Digest) -> Result<DirTree, StoreError> {
        let target = self.store.path(digest);
        let mut renamed = std::fs::rename(self.temporary.path(), &target);
        if let Err(error) = &renamed {
            match error.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                    let tree = self.store.get(digest)?;
                    return tree.ok_or_else(|| {
                        self.store.failed("open a directory")(io::ErrorKind::NotFound.into())
                    });
                }
                // A file that does not belong there.
                io::ErrorKind::NotADirectory => {
                    files::remove_file(&target)?;
                    renamed = std::fs::rename(self.temporary.path(), &target);
                }
                _ => {}
            }
        }
        renamed.map_err(self.store.failed("rename a directory"))?;
        let Self {
            temporary,
            store,
            _lock,
        } = self;
        // It is no longer there under this name, so there is nothing to remove.
        let _path = temporary.keep();
        files::sync_dir(&store.root)?;
        store
            .get(digest)?
            .ok_or_else(|| store.failed("open a directory")(io::ErrorKind::NotFound.into()))
    }
}

/// Flushes all files, then the directories that name them; gives the bytes on disk of all.
fn sync_tree(root: &Dir) -> io::Result<u64> {
    let (directories, size) = walk(root, cap_std::fs::File::sync_all)?;
    for directory in directories.iter().rev() {
        root.open(directory)?.sync_all()?;
    }
    Ok(size)
}

/// Visits all files; gives the directories, each after the one that it is in, and the bytes on disk
/// of all.
fn walk(
    root: &Dir,
    mut visit: impl FnMut(&cap_std::fs::File) -> io::Result<()>,
) -> io::Result<(Vec<String>, u64)> {
    let mut directories = vec![String::from(".")];
    let (mut at, mut size) = (0, 0_u64);
    while let Some(directory) = directories.get(at).cloned() {
        size = size.saturating_add(quota::on_disk(0));
        for entry in root.read_dir(&directory)? {
            let entry = entry?;
            let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                let file = root.open(&path)?;
                size = size.saturating_add(quota::on_disk(file.metadata()?.len()));
                visit(&file)?;
            }
        }
        at += 1;
    }
    Ok((directories, size))
}
