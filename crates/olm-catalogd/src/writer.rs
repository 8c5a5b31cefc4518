//! Content on its way into the store.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use olm_fbc::index::IndexBuilder;
use olm_fbc::{Lost, Meta};
use olm_fs::{AtomicDir, Digest, Hasher};

use crate::shelf::{INDEX, LINES};
use crate::store::{CONTENT_MAX, StoreError};

/// Bytes that are moved at a time.
const PIECE: usize = 64 << 10;

/// Content being written; dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub struct ContentWriter {
    folder: AtomicDir,
    lines: BufWriter<File>,
    index: IndexBuilder,
    hasher: Hasher,
    /// How it was when the last file of the catalog ended.
    settled: Settled,
}

/// What lines stay in any case.
#[derive(Debug, Default)]
struct Settled {
    lines: usize,
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
            settled: Settled::default(),
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

    /// Takes back what is lost of the documents that were added since this was last called, which
    /// is at the end of each file of a catalog.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    pub fn settle(&mut self, lost: Lost<'_>) -> Result<(), StoreError> {
        let taken = match lost {
            Lost::Nothing => Ok(()),
            Lost::Everything => self.take_back(|index, from| {
                index.truncate(from);
                Vec::new()
            }),
            Lost::Packages(packages) => {
                self.take_back(|index, from| index.take_back(from, packages))
            }
        };
        taken.map_err(|source| StoreError::Write { source })?;
        self.settled = Settled {
            lines: self.index.lines(),
            hasher: self.hasher.clone(),
        };
        Ok(())
    }

    /// Moves what stays of the unsettled lines together, as the index says.
    fn take_back(
        &mut self,
        index: impl FnOnce(&mut IndexBuilder, usize) -> Vec<Range<u64>>,
    ) -> io::Result<()> {
        self.lines.flush()?;
        let kept = index(&mut self.index, self.settled.lines);
        let length = self.index.length();
        let mut to = length
            - kept
                .iter()
                .map(|range| range.end - range.start)
                .sum::<u64>();
        self.hasher = self.settled.hasher.clone();
        let file = self.lines.get_mut();
        let mut piece = vec![0; PIECE];
        for range in kept {
            let mut at = range.start;
            while at < range.end {
                let count = usize::try_from(range.end - at).map_or(PIECE, |left| left.min(PIECE));
                let bytes = piece.get_mut(..count).unwrap_or_default();
                file.read_exact_at(bytes, at)?;
                self.hasher.update(bytes);
                file.write_all_at(bytes, to)?;
                at += count as u64;
                to += count as u64;
            }
        }
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
    use olm_fbc::index::Index;
    use serde_json::json;

    use super::*;

    fn meta(package: &str, name: &str, size: usize) -> Meta {
        let value = json!({
            "schema": if package.is_empty() { "olm.package" } else { "olm.bundle" },
            "package": package, "name": name, "x": "x".repeat(size),
        });
        Meta::from_value(&value).unwrap()
    }

    #[test]
    fn what_is_lost_of_a_file_is_as_if_it_had_never_been_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |metas: &[(Meta, bool)], lost: &[Option<&str>]| {
            let mut writer = ContentWriter::create(folder.path()).unwrap();
            for (n, (meta, ends)) in metas.iter().enumerate() {
                writer.add(meta).unwrap();
                if *ends {
                    match lost.get(n).copied().flatten() {
                        None => writer.settle(Lost::Nothing).unwrap(),
                        Some("") => writer.settle(Lost::Everything).unwrap(),
                        Some(package) => {
                            let packages = [package.to_owned()].into();
                            writer.settle(Lost::Packages(&packages)).unwrap();
                        }
                    }
                }
            }
            let staged = writer.finish().unwrap();
            let lines = std::fs::read(staged.folder.path().join(LINES)).unwrap();
            assert_eq!(Digest::of(&lines), staged.digest);
            assert_eq!(lines.len() as u64, staged.length);
            let index = std::fs::read(staged.folder.path().join(INDEX)).unwrap();
            Index::open(index.clone(), staged.digest.as_str(), staged.length).unwrap();
            (lines, index)
        };
        let metas = [
            (meta("", "a", 10), false),
            (meta("a", "a.v1", 70_000), true),
            (meta("", "b", 1), false),
            (meta("a", "a.v2", 150_000), false),
            (meta("b", "b.v1", 100_000), false),
            (meta("c", "c.v1", 90_000), true),
            (meta("d", "d.v1", 20_000), true),
            (meta("e", "e.v1", 5), true),
        ];
        let lost = [None, None, None, None, None, Some("b"), Some(""), None];
        let left: Vec<_> = [0, 1, 3, 5, 7].map(|n| metas[n].clone()).into();
        assert_eq!(write(&metas, &lost), write(&left, &[]));
    }

    #[test]
    fn a_full_disk_is_told_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = ContentWriter::create(folder.path()).unwrap();
        let full = File::options().write(true).open("/dev/full").unwrap();
        writer.lines = BufWriter::with_capacity(1000, full);
        let error = (0..3)
            .find_map(|_| writer.add(&meta("p", "n", 900)).err())
            .unwrap();
        let text = olm_runtime::Chain(&error).to_string();
        assert!(
            text.starts_with("cannot write catalog content: No space left on device"),
            "{text}"
        );
        assert!(!error.is_about_content());
        drop(writer);
        assert_eq!(olm_fs::names(folder.path()).unwrap(), [""; 0]);
    }
}
