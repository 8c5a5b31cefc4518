//! Content on its way into the store.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use olm_fbc::Meta;
use olm_fbc::index::IndexBuilder;
use olm_fs::{AtomicDir, Digest, Hasher};

use crate::shelf::{INDEX, LINES};
use crate::store::{CONTENT_MAX, StoreError};

/// Content being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter {
    folder: AtomicDir,
    lines: BufWriter<File>,
    index: IndexBuilder,
    hasher: Hasher,
}

impl ContentWriter {
    /// Begins a directory beside the contents, which gets its name at the end.
    pub(crate) fn create(contents: &Path) -> Result<Self, StoreError> {
        let folder = AtomicDir::create(contents)?;
        let lines = folder.file(LINES)?;
        Ok(Self {
            folder,
            lines: BufWriter::with_capacity(64 << 10, lines),
            index: IndexBuilder::new(),
            hasher: Hasher::new(),
        })
    }

    /// Adds one document.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Write`].
    pub fn add(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.push([&meta.schema, &meta.package, &meta.name], &meta.line)
    }

    /// Adds one line that only a reader of everything gets; the line feed is added here.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], [`StoreError::Write`].
    pub fn line(&mut self, line: &str) -> Result<(), StoreError> {
        self.push([""; 3], line)
    }

    fn push(&mut self, values: [&str; 3], line: &str) -> Result<(), StoreError> {
        let added = u64::try_from(line.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        if self.index.length().saturating_add(added) > CONTENT_MAX {
            return Err(StoreError::TooLarge);
        }
        let [schema, package, name] = values;
        let indexed = self.index.push(schema, package, name, added);
        indexed.map_err(|source| StoreError::Write { source })?;
        for bytes in [line.as_bytes(), b"\n"] {
            self.hasher.update(bytes);
            self.lines
                .write_all(bytes)
                .map_err(|source| StoreError::Write { source })?;
        }
        Ok(())
    }

    /// Ends the content, which is now ready to be published.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn finish(self) -> Result<Staged, StoreError> {
        let failed = |source| StoreError::Write { source };
        self.lines
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        let digest = self.hasher.finish();
        let index = self.folder.file(INDEX)?;
        let written = self.index.write(digest.as_str(), index);
        written.map_err(failed)?;
        Ok(Staged {
            folder: self.folder,
            digest,
            length: self.index.length(),
        })
    }
}

/// Finished content that no catalog serves yet; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    pub(crate) folder: AtomicDir,
    pub(crate) digest: Digest,
    pub(crate) length: u64,
}

impl Staged {
    /// The digest of the content.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }
}
