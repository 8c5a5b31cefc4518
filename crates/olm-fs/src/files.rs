//! Single files and directories at paths that the program itself chose (flags, cache directories).
//!
//! Nothing here takes a path from outside: such paths go through [`DirTree`](crate::DirTree),
//! [`layers`](crate::layers) or [`Store`](crate::Store).

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The path it was tried on.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// The file has more bytes than the caller allows.
    #[error("file `{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
}

impl FileError {
    /// Whether the cause is that nothing is at that path.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

pub(crate) fn failed(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> FileError + use<> {
    let path = path.to_owned();
    move |source| FileError::Io {
        operation,
        path,
        source,
    }
}

/// Makes a directory and its parents, each with mode 0700; one that exists is left as it is.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_dir_all(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(failed("create directory", path))
}

/// Opens a file for reading.
///
/// # Errors
/// [`FileError::Io`].
pub fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(failed("open", path))
}

/// What is at a path, not following a link; `None` when there is nothing.
///
/// # Errors
/// [`FileError::Io`].
pub fn metadata(path: &Path) -> Result<Option<fs::Metadata>, FileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failed("look up", path)(e)),
    }
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`FileError::TooLarge`], [`FileError::Io`].
pub fn read_capped(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed("read", path))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
            limit,
        });
    }
    Ok(bytes)
}

/// Removes a file; that it is not there is no error.
///
/// # Errors
/// [`FileError::Io`].
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// Removes a directory with all that is below it, never following a link; that it is not there is
/// no error.
///
/// # Errors
/// [`FileError::Io`].
pub fn remove_dir_all(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

/// The names in a directory, sorted; names that are not UTF-8 are left out. A directory that does
/// not exist has none.
///
/// # Errors
/// [`FileError::Io`].
pub fn names(path: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("list", path))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", path))?;
        if let Ok(name) = entry.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Flushes a directory, so that what was created in it or renamed survives a loss of power.
pub(crate) fn sync_dir(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("flush", path))
}

/// Writes a file so that readers, and a restart at any moment, see either the old content or the
/// whole new one.
///
/// # Errors
/// [`FileError::Io`]; the old content is then untouched.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.commit()
}

/// A file being written beside its final path; [`commit`](Self::commit) puts it there. Dropped
/// without that, it leaves nothing. Writes are not buffered.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will be at `path`, whose directory must exist. The temporary is in that
    /// directory, its name begins with `.tmp-`.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let temporary = tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(directory(path))
            .map_err(failed("create a temporary for", path))?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
        })
    }

    /// What was written so far, to be read from its beginning.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn reopen(&self) -> Result<File, FileError> {
        self.temporary
            .reopen()
            .map_err(failed("open the temporary for", &self.path))
    }

    /// Flushes the content, renames it to its path and flushes the directory.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn commit(self) -> Result<(), FileError> {
        let path = self.path.clone();
        self.commit_as(&path)
    }

    /// The same under another path of the same directory, for a name that depends on the content.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn commit_as(self, path: &Path) -> Result<(), FileError> {
        let Self { temporary, .. } = self;
        temporary
            .as_file()
            .sync_all()
            .map_err(failed("flush", path))?;
        temporary
            .persist(path)
            .map_err(|e| e.error)
            .map_err(failed("rename a temporary to", path))?;
        sync_dir(directory(path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]
    use super::*;

    #[test]
    fn a_file_that_is_replaced_has_the_old_or_the_new_content_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.json");
        write_atomic(&path, b"old").unwrap();
        let mut half = AtomicFile::create(&path).unwrap();
        half.write_all(b"ne").unwrap();
        assert_eq!(io::read_to_string(half.reopen().unwrap()).unwrap(), "ne");
        assert_eq!(read_capped(&path, 10).unwrap(), b"old");
        drop(half);
        write_atomic(&path, b"new").unwrap();
        assert_eq!(read_capped(&path, 3).unwrap(), b"new");
        assert_eq!(names(dir.path()).unwrap(), ["all.json"]);
    }

    #[test]
    fn a_file_above_the_limit_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_atomic(&path, b"four").unwrap();
        let error = read_capped(&path, 3).unwrap_err();
        assert!(
            error.to_string().ends_with("/f` is larger than 3 bytes"),
            "{error}"
        );
        assert!(
            read_capped(&dir.path().join("none"), 3)
                .unwrap_err()
                .is_not_found()
        );
    }
}
