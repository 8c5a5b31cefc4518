//! Uploaded archives on disk, one per Bundle.

use std::collections::HashSet;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use olm_fs::{AtomicFile, Digest, FileError, Hasher};
use tokio::sync::{Mutex, MutexGuard};

/// Largest archive, in bytes: ten times the largest public bundle, unpacked.
pub(crate) const MAX_ARCHIVE: u64 = 64 << 20;
/// Most bytes of all archives together.
const MAX_TOTAL: u64 = 1 << 30;

/// What archives are called, behind the UID of their Bundle.
const SUFFIX: &str = ".tgz";
/// How the names of files begin that are being written.
const TEMPORARY: &str = ".tmp-";

/// The folder of uploaded archives; clones share it. A file is there whole or not at all; it is named
/// after the UID of its Bundle, so that a Bundle never finds what was meant for an earlier one of its
/// name.
#[derive(Clone, Debug)]
pub(crate) struct Uploads {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    max_archive: u64,
    max_total: u64,
    /// Held while an archive is put in force, and while one is unpacked and its Bundle told so:
    /// what a Bundle is pinned to is what lies here.
    settling: Mutex<()>,
    /// The UIDs of Bundles whose archive no pass has looked at yet.
    fresh: std::sync::Mutex<HashSet<String>>,
}

/// An archive that was received and is not in force yet.
#[derive(Debug)]
pub(crate) struct Received {
    file: AtomicFile,
    /// Whether it is what was there before.
    pub(crate) is_known: bool,
}

/// Why an archive was not received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReceiveError {
    /// It is too large.
    #[error("the archive has more than {0} bytes")]
    TooLarge(u64),
    /// There is no room for it.
    #[error("the archives of all Bundles have more than {0} bytes")]
    Full(u64),
    /// It broke off.
    #[error("read request body")]
    Body(#[source] io::Error),
    /// The disk refuses.
    #[error("failed to store bundle data")]
    Store(#[from] FileError),
    /// The disk refuses to be written to or read from.
    #[error("failed to store bundle data")]
    Disk(#[source] io::Error),
}

impl Uploads {
    /// Opens the folder below `storage`, and removes what a crash left half written.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn open(storage: &Path) -> Result<Self, FileError> {
        Self::open_with(storage, MAX_ARCHIVE, MAX_TOTAL)
    }

    fn open_with(storage: &Path, max_archive: u64, max_total: u64) -> Result<Self, FileError> {
        let folder = storage.join("uploads");
        olm_fs::create_dir_all(&folder)?;
        for name in olm_fs::names(&folder)? {
            if name.starts_with(TEMPORARY) {
                olm_fs::remove_file(&folder.join(name))?;
            }
        }
        Ok(Self {
            shared: Arc::new(Shared {
                folder,
                max_archive,
                max_total,
                settling: Mutex::default(),
                fresh: std::sync::Mutex::default(),
            }),
        })
    }

    /// Waits until nobody else puts an archive in force or unpacks one; nobody does while the guard
    /// is held.
    pub(crate) async fn settle(&self) -> MutexGuard<'_, ()> {
        self.shared.settling.lock().await
    }

    /// Opens the archive of a Bundle; `None` when there is none. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn get(&self, uid: &str) -> Result<Option<std::fs::File>, FileError> {
        match olm_fs::open(&self.path(uid)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an archive to its end. Blocks.
    ///
    /// # Errors
    ///
    /// It is above the limits, breaks off or cannot be written. Nothing is left of it then.
    pub(crate) fn receive(&self, uid: &str, mut body: impl Read) -> Result<Received, ReceiveError> {
        let mut room = self.shared.max_total.saturating_sub(self.total(uid)?);
        let mut file = AtomicFile::create(&self.path(uid))?;
        let (mut hasher, mut size) = (Hasher::new(), 0_u64);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReceiveError::Body(error)),
            };
            size = size.saturating_add(read as u64);
            if size > self.shared.max_archive {
                return Err(ReceiveError::TooLarge(self.shared.max_archive));
            }
            room = room
                .checked_sub(read as u64)
                .ok_or(ReceiveError::Full(self.shared.max_total))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            hasher.update(bytes);
            file.write_all(bytes).map_err(ReceiveError::Disk)?;
        }
        let is_known = self.digest(uid)? == Some(hasher.finish());
        Ok(Received { file, is_known })
    }

    /// Puts an archive in force, in place of the one before. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses; the one before stays in force.
    pub(crate) fn commit(&self, uid: &str, received: Received) -> Result<(), ReceiveError> {
        received.file.commit()?;
        self.fresh().insert(uid.to_owned());
        Ok(())
    }

    /// Whether an archive came for a Bundle since the last call.
    pub(crate) fn take_news(&self, uid: &str) -> bool {
        self.fresh().remove(uid)
    }

    fn fresh(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        let fresh = self.shared.fresh.lock();
        fresh.unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the archive of a Bundle, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn remove(&self, uid: &str) -> Result<(), FileError> {
        olm_fs::remove_file(&self.path(uid))
    }

    /// Removes the archives of all Bundles but these, unless one came within `settle`: who knows these
    /// may not know its Bundle yet. How many. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn retain(
        &self,
        uids: &HashSet<String>,
        settle: Duration,
    ) -> Result<usize, FileError> {
        let mut removed = 0;
        let is_settled = |path: &Path| {
            let metadata = olm_fs::metadata(path)?;
            let age = metadata.and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
            Ok::<_, FileError>(age.is_some_and(|age| age >= settle))
        };
        for name in olm_fs::names(&self.shared.folder)? {
            let uid = name.strip_suffix(SUFFIX);
            let path = self.shared.folder.join(&name);
            if uid.is_some_and(|uid| !name.starts_with(TEMPORARY) && !uids.contains(uid))
                && is_settled(&path)?
            {
                olm_fs::remove_file(&path)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The bytes of all archives but that of `uid`, with those that are being received.
    fn total(&self, uid: &str) -> Result<u64, FileError> {
        let own = self.path(uid);
        let mut total = 0_u64;
        for name in olm_fs::names(&self.shared.folder)? {
            let path = self.shared.folder.join(name);
            if path != own
                && let Some(metadata) = olm_fs::metadata(&path)?
            {
                total = total.saturating_add(metadata.len());
            }
        }
        Ok(total)
    }

    fn digest(&self, uid: &str) -> Result<Option<Digest>, ReceiveError> {
        let Some(mut file) = self.get(uid)? else {
            return Ok(None);
        };
        let mut hasher = Hasher::new();
        io::copy(&mut file, &mut hasher).map_err(ReceiveError::Disk)?;
        Ok(Some(hasher.finish()))
    }

    /// UIDs are made by the API server; whatever else one holds is left out of the name.
    fn path(&self, uid: &str) -> PathBuf {
        let name: String = uid
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        self.shared.folder.join(format!("{name}{SUFFIX}"))
    }
}

impl Received {
    /// The archive, to be read from its beginning. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub(crate) fn read(&self) -> Result<std::fs::File, ReceiveError> {
        Ok(self.file.reopen()?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn an_archive_is_there_whole_and_goes_with_its_bundle() {
        let scratch = tempfile::tempdir().unwrap();
        let uploads = Uploads::open_with(scratch.path(), 3, 100).unwrap();
        let received = uploads.receive("a", &b"one"[..]).unwrap();
        assert!(!received.is_known);
        assert!(uploads.get("a").unwrap().is_none());
        assert_eq!(io::read_to_string(received.read().unwrap()).unwrap(), "one");
        uploads.commit("a", received).unwrap();
        assert!(uploads.take_news("a") && !uploads.take_news("a"));
        assert!(uploads.receive("a", &b"one"[..]).unwrap().is_known);
        assert!(!uploads.receive("a", &b"two"[..]).unwrap().is_known);
        let too_large = uploads.receive("a", &b"four"[..]);
        assert!(matches!(too_large, Err(ReceiveError::TooLarge(3))));

        // A restart keeps it, and nothing half written.
        std::mem::forget(uploads.receive("a", &b"tw"[..]).unwrap());
        let uploads = Uploads::open(scratch.path()).unwrap();
        let names = olm_fs::names(&scratch.path().join("uploads")).unwrap();
        assert_eq!(names, ["a.tgz"]);
        let file = uploads.get("a").unwrap().unwrap();
        assert_eq!(io::read_to_string(file).unwrap(), "one");
        let known = HashSet::from(["a".to_owned()]);
        let nobody = HashSet::new();
        assert_eq!(uploads.retain(&known, Duration::ZERO).unwrap(), 0);
        assert_eq!(uploads.retain(&nobody, Duration::from_hours(1)).unwrap(), 0);
        assert_eq!(uploads.retain(&nobody, Duration::ZERO).unwrap(), 1);
        assert!(uploads.get("a").unwrap().is_none());
        uploads.remove("a").unwrap();
    }

    #[test]
    fn all_archives_together_are_limited_and_one_may_replace_itself() {
        let scratch = tempfile::tempdir().unwrap();
        let uploads = Uploads::open_with(scratch.path(), 6, 9).unwrap();
        let put = |uid, bytes: &[u8]| {
            let received = uploads.receive(uid, bytes)?;
            uploads.commit(uid, received)
        };
        put("a", b"sixsix").unwrap();
        assert!(matches!(put("b", b"four"), Err(ReceiveError::Full(9))));
        put("b", b"ten").unwrap();
        put("a", b"sevens").unwrap();
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(scratch.path()).unwrap();
        let path = uploads.path("../../x");
        assert_eq!(path, scratch.path().join("uploads/x.tgz"));
    }
}
