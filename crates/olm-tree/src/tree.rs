//! The tree trait and its errors.

use std::io::{self, Cursor, Read};

use crate::RelPath;

/// What a node of a tree is. Links do not exist: an implementation resolves them within its root
/// or leaves them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name within its directory: one path component.
    pub name: String,
    /// File or directory.
    pub kind: NodeKind,
    /// Size in bytes of a file; 0 for a directory.
    pub size: u64,
}

/// A read-only file tree.
pub trait Tree: Send + Sync {
    /// The entries of a directory, sorted by the bytes of their names.
    ///
    /// # Errors
    /// [`TreeError::NotFound`] (operation `readdir`), [`TreeError::NotADirectory`],
    /// [`TreeError::Io`].
    fn list(&self, directory: &RelPath) -> Result<Vec<Entry>, TreeError>;

    /// The content of a file.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] when it has more than `limit` bytes; [`TreeError::NotFound`]
    /// (operation `open`), [`TreeError::IsADirectory`], [`TreeError::Io`].
    fn read(&self, file: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError>;

    /// The content of a file piece by piece, for readers that must not hold it whole. A tree
    /// that has no better way reads the file whole.
    ///
    /// # Errors
    /// As [`read`](Self::read) without its limit; later ones are errors of the reader.
    fn reader(&self, file: &RelPath) -> Result<Box<dyn Read + Send + '_>, TreeError> {
        let bytes = self.read(file, u64::MAX)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

/// Why a tree could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// Nothing at that path. The text is that of Go's `fs.PathError`, which users of the
    /// reference know from its conditions.
    #[error("{operation} {path}: file does not exist")]
    NotFound {
        /// `open` or `readdir`.
        operation: &'static str,
        /// The path asked for.
        path: RelPath,
    },
    /// A file where a directory was asked for.
    #[error("readdir {path}: not a directory")]
    NotADirectory {
        /// The path asked for.
        path: RelPath,
    },
    /// A directory where a file was asked for.
    #[error("read {path}: is a directory")]
    IsADirectory {
        /// The path asked for.
        path: RelPath,
    },
    /// The file has more bytes than the reader allows.
    #[error("file `{path}` is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: RelPath,
        /// The limit in bytes.
        limit: u64,
    },
    /// The storage failed.
    #[error("cannot read `{path}`")]
    Io {
        /// The path asked for.
        path: RelPath,
        /// The cause.
        source: io::Error,
    },
}

impl TreeError {
    /// Whether the path does not exist.
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
