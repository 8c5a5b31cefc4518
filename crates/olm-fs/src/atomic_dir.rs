//! A directory that appears whole or not at all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::files::{FileError, directory, failed, names, remove_dir_all, remove_file, sync_dir};

/// A directory being filled beside its final path; [`commit_as`](Self::commit_as) puts it there.
/// Dropped without that, it leaves nothing.
#[derive(Debug)]
pub struct AtomicDir {
    temporary: TempDir,
}

impl AtomicDir {
    /// Begins a directory in `parent`, which must exist, under a name that begins with `.tmp-`.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(parent: &Path) -> Result<Self, FileError> {
        let temporary = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempdir_in(parent)
            .map_err(failed("create a temporary directory in", parent))?;
        Ok(Self { temporary })
    }

    /// Makes a new file in it, for reading and writing. `name` is one that the program chose.
    ///
    /// # Errors
    /// [`FileError::Io`], also when it is there already.
    pub fn file(&self, name: &str) -> Result<File, FileError> {
        let path = self.path().join(name);
        File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(failed("create", &path))
    }

    /// Where it is now.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes the files and the directory, renames it to `path` in the same parent, replacing what
    /// is there, and flushes the parent.
    ///
    /// # Errors
    /// [`FileError::Io`]; when something was at `path`, it may be gone.
    pub fn commit_as(self, path: &Path) -> Result<(), FileError> {
        for name in names(self.path())? {
            let file: PathBuf = self.path().join(name);
            File::open(&file)
                .and_then(|file| file.sync_all())
                .map_err(failed("flush", &file))?;
        }
        sync_dir(self.path())?;
        let rename = || std::fs::rename(self.path(), path);
        let renamed = match rename() {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                remove_file(path)?;
                rename()
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                ) =>
            {
                remove_dir_all(path)?;
                rename()
            }
            other => other,
        };
        renamed.map_err(failed("rename a temporary to", path))?;
        // It is no longer there under its temporary name, so there is nothing to remove.
        let _gone = self.temporary.keep();
        sync_dir(directory(path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write;

    use super::*;
    use crate::{read_capped, write_atomic};

    fn filled(parent: &Path, text: &str) -> AtomicDir {
        let dir = AtomicDir::create(parent).unwrap();
        dir.file("f").unwrap().write_all(text.as_bytes()).unwrap();
        dir
    }

    #[test]
    fn a_directory_appears_whole_and_replaces_what_is_there() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("d");
        let read = || read_capped(&path.join("f"), 10).unwrap();
        let first = filled(parent.path(), "old");
        assert!(first.file("f").is_err());
        first.commit_as(&path).unwrap();
        assert_eq!(read(), b"old");
        drop(filled(parent.path(), "dropped"));
        filled(parent.path(), "new").commit_as(&path).unwrap();
        assert_eq!(read(), b"new");
        remove_dir_all(&path).unwrap();
        write_atomic(&path, b"a file").unwrap();
        filled(parent.path(), "newer").commit_as(&path).unwrap();
        assert_eq!(read(), b"newer");
        assert_eq!(names(parent.path()).unwrap(), ["d"]);
    }
}
