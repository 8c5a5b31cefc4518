//! A place for files that live as long as one piece of work.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::files::{FileError, failed};

/// A directory that only this user may enter (mode 0700), in the folder for temporary files. It is
/// removed with all that is in it when this is dropped, which blocks.
///
/// For what other programs must be handed as files, such as keys.
#[derive(Debug)]
pub struct ScratchDir(TempDir);

impl ScratchDir {
    /// Makes an empty one.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn new() -> Result<Self, FileError> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("olm-rs-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let made = builder.tempdir();
        made.map(Self).map_err(failed(
            "create a temporary directory in",
            &std::env::temp_dir(),
        ))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a new file that only this user may read (mode 0600), and gives its path. `name` is
    /// one that the program itself chose.
    ///
    /// # Errors
    /// [`FileError::Io`], also when there is such a file already.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, FileError> {
        let path = self.path().join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options
            .open(&path)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(failed("write", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_reads_what_is_in_it_and_nothing_is_left() {
        let scratch = ScratchDir::new().unwrap();
        let file = scratch.write("key", b"secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(scratch.path()), 0o700);
        assert!(scratch.write("key", b"other").is_err());
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
