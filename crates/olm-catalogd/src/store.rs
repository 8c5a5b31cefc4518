//! What this replica serves: contents named by their digest and, for each catalog, a record that
//! names one of them.
//!
//! ```text
//! CACHE/content/sha256:…/lines      JSON lines
//! CACHE/content/sha256:…/index      where the lines of a schema, package or name are
//! CACHE/content/sha256:…/lines.gz   the lines compressed, made afterwards
//! CACHE/content/sha256:…/lines.zst
//! CACHE/catalogs/NAME               the record of catalog NAME
//! ```
//!
//! No file changes once it is there. Lines and index are flushed and renamed into place together
//! before a record names them, and a record is replaced by a rename, so that a crash at any moment
//! leaves each catalog with its old or its new content. The records, and the files they name, are
//! also held open in memory, for the server: a look at them costs no search on the disk, any number
//! of readers share one handle, and a reader finishes on it whatever happens to its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use olm_fs::{Digest, FileError};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::record::{BrokenFiles, Record};
pub use crate::shelf::Content;
pub(crate) use crate::shelf::Uncompressed;
use crate::shelf::{GZIP, INDEX, LINES, Shelf, ZSTD};
pub use crate::writer::{ContentWriter, Staged};

/// Largest content of one catalog, in bytes. The largest public catalogs have 0.2 GB.
pub const CONTENT_MAX: u64 = 2 << 30;

/// Largest record, in bytes: 20 broken files with two texts of 512 bytes, escaped, and the rest.
const RECORD_MAX: u64 = 256 << 10;

/// Longest name of a Kubernetes object, and so of a record's file.
const NAME_MAX: usize = 253;

/// Why content could not be stored, found or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Content could not be written.
    #[error("cannot write catalog content")]
    Write {
        /// What the disk says.
        source: io::Error,
    },
    /// The content that is served cannot be looked at.
    #[error("cannot look at stored catalog content")]
    Look {
        /// What the disk says.
        source: io::Error,
    },
    /// The content is larger than [`CONTENT_MAX`].
    #[error("catalog content is larger than {CONTENT_MAX} bytes")]
    TooLarge,
    /// The name cannot be the name of a Catalog.
    #[error("`{name}` is not a name of a catalog")]
    Name {
        /// The name.
        name: String,
    },
    /// The record could not be encoded.
    #[error("cannot encode the record of catalog `{name}`")]
    Encode {
        /// The catalog.
        name: String,
        /// What the encoder says.
        source: serde_json::Error,
    },
    /// The content that a record should name is gone.
    #[error("content `{digest}` is gone")]
    Gone {
        /// Its digest.
        digest: Digest,
    },
}

impl StoreError {
    /// Whether the content itself is at fault, so that trying again would end the same.
    pub fn is_about_content(&self) -> bool {
        matches!(self, Self::TooLarge)
    }
}

/// A Catalog as the store knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
}

/// The parts of a record that come from an image.
struct Made {
    digest: Digest,
    length: u64,
    image: Digest,
    broken: BrokenFiles,
}

type Records = BTreeMap<String, Arc<Record>>;

/// What is served at one moment.
#[derive(Clone, Debug, Default)]
struct State {
    /// By the names of the catalogs.
    records: Arc<Records>,
    /// The content that these name, by digest.
    shelves: BTreeMap<Digest, Arc<Shelf>>,
}

impl State {
    /// Opens what `record` names, if it is whole.
    fn shelf(&mut self, folder: &Path, record: &Record) -> Option<Arc<Shelf>> {
        if let Some(open) = self.shelves.get(&record.digest)
            && open.length() == record.length
            && open.is_there().unwrap_or(false)
        {
            return Some(Arc::clone(open));
        }
        let opened = Arc::new(Shelf::open(folder, &record.digest, record.length)?);
        self.shelves
            .insert(record.digest.clone(), Arc::clone(&opened));
        Some(opened)
    }

    /// Closes what no record names.
    fn close_unnamed(&mut self) {
        let named: BTreeSet<&Digest> = self.records.values().map(|record| &record.digest).collect();
        self.shelves.retain(|digest, _| named.contains(digest));
    }
}

/// The store of one process. Its calls block; two processes must not share a directory.
#[derive(Debug)]
pub struct ContentStore {
    content: PathBuf,
    catalogs: PathBuf,
    /// Held over every change, so that no content is removed between being stored and being named.
    changes: Mutex<()>,
    state: ArcSwap<State>,
    /// Told when other content is served.
    changed: Notify,
}

impl ContentStore {
    /// Opens the store below `cache`, making its directories where they are missing, and reads what
    /// is there. Records that are damaged or whose content is not there are dropped, and so is what
    /// a crash left.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn open(cache: &Path) -> Result<Self, StoreError> {
        let store = Self {
            content: cache.join("content"),
            catalogs: cache.join("catalogs"),
            changes: Mutex::new(()),
            state: ArcSwap::default(),
            changed: Notify::new(),
        };
        olm_fs::create_dir_all(&store.content)?;
        olm_fs::create_dir_all(&store.catalogs)?;
        let mut records = Records::new();
        let mut state = State::default();
        for name in olm_fs::names(&store.catalogs)? {
            let usable = store.read_record(&name)?.filter(|record| {
                let folder = store.path(&record.digest);
                state.shelf(&folder, record).is_some()
            });
            if let Some(record) = usable {
                records.insert(name, Arc::new(record));
            } else {
                info!(entry = name, "removed an unusable record from the cache");
                remove(&store.catalogs.join(&name))?;
            }
        }
        state.records = Arc::new(records);
        state.close_unnamed();
        store.tidy(&state)?;
        store.state.store(Arc::new(state));
        Ok(store)
    }

    /// Removes everything from the folder of the contents that does not belong there.
    fn tidy(&self, state: &State) -> Result<(), StoreError> {
        for name in olm_fs::names(&self.content)? {
            let path = self.content.join(&name);
            let named = name
                .parse::<Digest>()
                .is_ok_and(|digest| state.shelves.contains_key(&digest));
            if !named {
                remove(&path)?;
                continue;
            }
            for file in olm_fs::names(&path)? {
                if ![LINES, INDEX, GZIP, ZSTD].contains(&file.as_str()) {
                    remove(&path.join(file))?;
                }
            }
        }
        Ok(())
    }

    /// The record of a catalog, without a look at the disk.
    pub fn record(&self, catalog: &str) -> Option<Arc<Record>> {
        self.state.load().records.get(catalog).cloned()
    }

    /// The record of a catalog if its content can be opened whole.
    pub fn present(&self, catalog: &str) -> Option<Arc<Record>> {
        let record = self.record(catalog)?;
        self.is_whole(&record).then_some(record)
    }

    /// A record, of any catalog, of whole content that was made from this image.
    pub fn made_from(&self, image: &Digest) -> Option<Arc<Record>> {
        let state = self.state.load();
        let found = state
            .records
            .values()
            .find(|record| record.image == *image && self.is_whole(record));
        found.cloned()
    }

    /// What a catalog serves now; `None` when that is nothing. Costs no more than a look at an open
    /// file, so that it may be called from where nothing may block.
    ///
    /// # Errors
    /// [`StoreError::Look`].
    pub fn open_content(&self, catalog: &str) -> Result<Option<Content>, StoreError> {
        // Between the look at the state and that at the file the content may be replaced.
        for _ in 0..3 {
            let state = self.state.load();
            let Some(record) = state.records.get(catalog) else {
                return Ok(None);
            };
            let Some(open) = state.shelves.get(&record.digest) else {
                return Ok(None);
            };
            let there = open.is_there();
            if there.map_err(|source| StoreError::Look { source })? {
                return Ok(Some(open.content(record)));
            }
        }
        Ok(None)
    }

    /// Content that is worth compressing and not compressed; in both forms, or in one.
    pub(crate) fn uncompressed(&self) -> Option<Uncompressed> {
        let state = self.state.load();
        state
            .shelves
            .iter()
            .find_map(|(digest, shelf)| shelf.uncompressed(digest, &self.path(digest)))
    }

    /// Takes in the compressed forms that were made.
    pub(crate) fn find_compressed(&self, content: &Uncompressed) {
        if let Some(shelf) = self.state.load().shelves.get(&content.digest) {
            shelf.find_compressed(&self.path(&content.digest));
        }
    }

    /// Waits until content is published, also when that is before it is polled.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> {
        self.changed.notified()
    }

    /// Begins new content.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn begin(&self) -> Result<ContentWriter, StoreError> {
        ContentWriter::create(&self.content)
    }

    /// Makes `staged`, which was made from `image`, the content of a catalog and gives its record.
    /// Where the catalog serves the same bytes already, the time of their modification stays.
    ///
    /// # Errors
    /// [`StoreError`]; the catalog then serves what it served before.
    pub fn publish(
        &self,
        catalog: Owner<'_>,
        staged: Staged,
        image: &Digest,
        broken: BrokenFiles,
        now: Timestamp,
    ) -> Result<Arc<Record>, StoreError> {
        check_name(catalog.name)?;
        let lock = self.lock();
        let Staged {
            folder,
            digest,
            length,
        } = staged;
        let path = self.path(&digest);
        if Shelf::open(&path, &digest, length).is_some() {
            // The same bytes are there; the temporary goes with the drop.
            drop(folder);
        } else {
            folder.commit_as(&path)?;
        }
        let made = Made {
            digest,
            length,
            image: image.clone(),
            broken,
        };
        self.name_content(&lock, catalog, made, now)
    }

    /// Lets a catalog serve content that another one made from the same image.
    ///
    /// # Errors
    /// [`StoreError::Gone`] when it was removed meanwhile, and others.
    pub fn share(
        &self,
        catalog: Owner<'_>,
        of: &Record,
        now: Timestamp,
    ) -> Result<Arc<Record>, StoreError> {
        check_name(catalog.name)?;
        let lock = self.lock();
        if !self.is_whole(of) {
            return Err(StoreError::Gone {
                digest: of.digest.clone(),
            });
        }
        let made = Made {
            digest: of.digest.clone(),
            length: of.length,
            image: of.image.clone(),
            broken: of.broken.clone(),
        };
        self.name_content(&lock, catalog, made, now)
    }

    /// Removes what a catalog serves; that there is nothing is no error.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove(&self, catalog: &str) -> Result<(), StoreError> {
        check_name(catalog)?;
        let lock = self.lock();
        self.forget(&lock, catalog)
    }

    /// Removes what one Catalog serves, but not what a later one of the same name does; gives
    /// whether there was something.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove_of(&self, catalog: Owner<'_>) -> Result<bool, StoreError> {
        check_name(catalog.name)?;
        let lock = self.lock();
        let found = self
            .record(catalog.name)
            .is_some_and(|record| record.uid == catalog.uid);
        if found {
            self.forget(&lock, catalog.name)?;
        }
        Ok(found)
    }

    /// All records by the names of their catalogs.
    pub fn records(&self) -> Arc<BTreeMap<String, Arc<Record>>> {
        Arc::clone(&self.state.load().records)
    }

    fn forget(&self, lock: &MutexGuard<'_, ()>, catalog: &str) -> Result<(), StoreError> {
        let mut state = State::clone(&self.state.load());
        olm_fs::remove_file(&self.catalogs.join(catalog))?;
        Arc::make_mut(&mut state.records).remove(catalog);
        state.close_unnamed();
        self.state.store(Arc::new(state));
        self.remove_unnamed(lock)
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name_content(
        &self,
        lock: &MutexGuard<'_, ()>,
        catalog: Owner<'_>,
        made: Made,
        now: Timestamp,
    ) -> Result<Arc<Record>, StoreError> {
        let Owner { name: catalog, uid } = catalog;
        let Made {
            digest,
            length,
            image,
            broken,
        } = made;
        let modified = match self.record(catalog) {
            Some(old) if old.digest == digest => old.modified,
            // HTTP tells times apart by whole seconds: a reader who goes by them must notice.
            Some(old) => old
                .modified
                .checked_add(SignedDuration::from_secs(1))
                .map_or(now, |later| now.max(later)),
            None => now,
        };
        let uid = uid.to_owned();
        let record = Record {
            uid,
            digest,
            length,
            image,
            modified,
            unpacked: now,
            broken,
        };
        let bytes = record.to_bytes().map_err(|source| StoreError::Encode {
            name: catalog.to_owned(),
            source,
        })?;
        let mut state = State::clone(&self.state.load());
        let folder = self.path(&record.digest);
        if state.shelf(&folder, &record).is_none() {
            return Err(StoreError::Gone {
                digest: record.digest,
            });
        }
        olm_fs::write_atomic(&self.catalogs.join(catalog), &bytes)?;
        let record = Arc::new(record);
        Arc::make_mut(&mut state.records).insert(catalog.to_owned(), Arc::clone(&record));
        state.close_unnamed();
        self.state.store(Arc::new(state));
        self.changed.notify_waiters();
        if let Err(error) = self.remove_unnamed(lock) {
            // The new content serves; what was not removed goes with the next change or start.
            warn!(%error, "cannot remove unused catalog content");
        }
        Ok(record)
    }

    /// Removes the content that no record names. Temporaries are left alone: they belong to writers
    /// of this process, and [`open`](Self::open) has removed the others.
    fn remove_unnamed(&self, _lock: &MutexGuard<'_, ()>) -> Result<(), StoreError> {
        let state = self.state.load();
        for name in olm_fs::names(&self.content)? {
            if let Ok(digest) = name.parse::<Digest>()
                && !state.shelves.contains_key(&digest)
            {
                remove(&self.content.join(&name))?;
            }
        }
        Ok(())
    }

    /// The record in a file of that name, if it is usable and its content whole.
    fn read_record(&self, name: &str) -> Result<Option<Record>, StoreError> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let bytes = match olm_fs::read_capped(&self.catalogs.join(name), RECORD_MAX) {
            Ok(bytes) => bytes,
            Err(FileError::TooLarge { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Record::from_bytes(&bytes))
    }

    fn is_whole(&self, record: &Record) -> bool {
        let folder = self.path(&record.digest);
        let length = |name| length_of(&folder.join(name)).ok().flatten();
        length(LINES) == Some(record.length) && length(INDEX).is_some()
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.content.join(digest.as_str())
    }
}

/// The size of a file; `None` when it is not there.
fn length_of(path: &Path) -> Result<Option<u64>, StoreError> {
    let metadata = olm_fs::metadata(path)?.filter(Metadata::is_file);
    Ok(metadata.map(|metadata| metadata.len()))
}

/// Removes what is at a path, a folder with all that is in it.
fn remove(path: &Path) -> Result<(), StoreError> {
    match olm_fs::metadata(path)? {
        Some(metadata) if metadata.is_dir() => olm_fs::remove_dir_all(path)?,
        Some(_) => olm_fs::remove_file(path)?,
        None => {}
    }
    Ok(())
}

/// Whether `name` may name a file: what Kubernetes allows as the name of a Catalog.
fn check_name(name: &str) -> Result<(), StoreError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    let fits = !name.is_empty()
        && name.len() <= NAME_MAX
        && name.bytes().all(allowed)
        && name
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric);
    if fits {
        Ok(())
    } else {
        Err(StoreError::Name {
            name: name.to_owned(),
        })
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
