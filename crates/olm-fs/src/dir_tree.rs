//! A directory on disk as a [`Tree`].

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use olm_tree::{Entry, NodeKind, RelPath, Tree, TreeError};

use crate::files::{FileError, failed};

/// Entries that one directory may have; more is an error, not a silent cut.
const MAX_ENTRIES: usize = 200_000;

/// A [`Tree`] over a directory, held open: renaming or moving the directory does not disturb it.
///
/// Only regular files and directories exist in it. Links, devices, sockets, FIFOs and names that
/// are not UTF-8 or hold a backslash are left out of listings, and asking for one by name says
/// "file does not exist". No link is ever followed, in no component of a path. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct DirTree {
    dir: Arc<Dir>,
}

impl DirTree {
    /// The tree at `path`, which the program chose itself (a flag, a cache directory).
    ///
    /// # Errors
    /// [`FileError::Io`] when it is not a directory that can be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Dir::open_ambient_dir(path, ambient_authority())
            .map(Self::new)
            .map_err(failed("open directory", path))
    }

    pub(crate) fn new(dir: Dir) -> Self {
        Self { dir: Arc::new(dir) }
    }

    /// What is at `path`, once each component above it was seen to be a real directory.
    fn kind(&self, path: &RelPath) -> io::Result<Option<(NodeKind, u64)>> {
        if path.is_root() {
            return Ok(Some((NodeKind::Directory, 0)));
        }
        let mut seen = String::with_capacity(path.as_str().len());
        let mut last = None;
        for component in path.components() {
            if !matches!(last, None | Some((NodeKind::Directory, _))) {
                return Ok(None);
            }
            if !seen.is_empty() {
                seen.push('/');
            }
            seen.push_str(component);
            let metadata = match self.dir.symlink_metadata(&seen) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                other => other?,
            };
            last = match kind_of(metadata.file_type()) {
                None => return Ok(None),
                Some(NodeKind::Directory) => Some((NodeKind::Directory, 0)),
                Some(NodeKind::File) => Some((NodeKind::File, metadata.len())),
            };
        }
        Ok(last)
    }

    /// The size of a file.
    fn size(&self, file: &RelPath) -> Result<u64, TreeError> {
        match self.kind(file).map_err(io_error(file))? {
            None => Err(TreeError::NotFound {
                operation: "open",
                path: file.clone(),
            }),
            Some((NodeKind::Directory, _)) => Err(TreeError::IsADirectory { path: file.clone() }),
            Some((NodeKind::File, size)) => Ok(size),
        }
    }
}

fn kind_of(kind: cap_std::fs::FileType) -> Option<NodeKind> {
    if kind.is_dir() {
        Some(NodeKind::Directory)
    } else if kind.is_file() {
        Some(NodeKind::File)
    } else {
        None
    }
}

fn io_error(path: &RelPath) -> impl FnOnce(io::Error) -> TreeError + use<> {
    let path = path.clone();
    move |source| TreeError::Io { path, source }
}

impl Tree for DirTree {
    fn list(&self, directory: &RelPath) -> Result<Vec<Entry>, TreeError> {
        let text = match self.kind(directory).map_err(io_error(directory))? {
            None => {
                return Err(TreeError::NotFound {
                    operation: "readdir",
                    path: directory.clone(),
                });
            }
            Some((NodeKind::File, _)) => {
                return Err(TreeError::NotADirectory {
                    path: directory.clone(),
                });
            }
            Some((NodeKind::Directory, _)) if directory.is_root() => ".",
            Some((NodeKind::Directory, _)) => directory.as_str(),
        };
        let mut entries = Vec::new();
        for entry in self.dir.read_dir(text).map_err(io_error(directory))? {
            let entry = entry.map_err(io_error(directory))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.contains('\\') {
                continue;
            }
            let Some(kind) = kind_of(entry.file_type().map_err(io_error(directory))?) else {
                continue;
            };
            let size = match kind {
                NodeKind::Directory => 0,
                NodeKind::File => entry.metadata().map_err(io_error(directory))?.len(),
            };
            if entries.len() == MAX_ENTRIES {
                let cause = format!("more than {MAX_ENTRIES} entries in one directory");
                return Err(io_error(directory)(io::Error::other(cause)));
            }
            entries.push(Entry { name, kind, size });
        }
        entries.sort_unstable_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        Ok(entries)
    }

    fn read(&self, file: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        let size = self.size(file)?;
        let too_large = || TreeError::TooLarge {
            path: file.clone(),
            limit,
        };
        if size > limit {
            return Err(too_large());
        }
        let opened = self.dir.open(file.as_str()).map_err(io_error(file))?;
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // The file may have grown since its size was asked.
        opened
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(io_error(file))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
            return Err(too_large());
        }
        Ok(bytes)
    }

    fn reader(&self, file: &RelPath) -> Result<Box<dyn Read + Send + '_>, TreeError> {
        self.size(file)?;
        let opened = self.dir.open(file.as_str()).map_err(io_error(file))?;
        Ok(Box::new(opened))
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
    use std::os::unix::fs::symlink;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    #[test]
    fn files_and_directories_are_listed_in_byte_order_and_links_are_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), b"s").unwrap();
        std::fs::create_dir(dir.path().join("b")).unwrap();
        std::fs::write(dir.path().join("b/x"), b"12").unwrap();
        std::fs::write(dir.path().join("B"), b"1").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink("b", dir.path().join("in")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("a")).unwrap();
        let tree = DirTree::open(dir.path()).unwrap();
        let names: Vec<_> = tree
            .list(&RelPath::root())
            .unwrap()
            .into_iter()
            .map(|e| (e.name, e.kind, e.size))
            .collect();
        assert_eq!(
            names,
            [
                ("B".to_owned(), NodeKind::File, 1),
                ("b".to_owned(), NodeKind::Directory, 0)
            ]
        );
        assert_eq!(tree.read(&path("b/x"), 2).unwrap(), b"12");
        let mut text = String::new();
        let mut reader = tree.reader(&path("b/x")).unwrap();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "12");
        assert!(tree.reader(&path("in/x")).is_err_and(|e| e.is_not_found()));
        for link in ["a", "out/secret", "in/x"] {
            let error = tree.read(&path(link), 10).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("open {link}: file does not exist")
            );
        }
        assert!(matches!(
            tree.list(&path("in")),
            Err(TreeError::NotFound { .. })
        ));
        assert!(matches!(
            tree.read(&path("b/x"), 1),
            Err(TreeError::TooLarge { limit: 1, .. })
        ));
        assert!(matches!(
            tree.read(&path("b"), 1),
            Err(TreeError::IsADirectory { .. })
        ));
        assert!(matches!(
            tree.list(&path("B")),
            Err(TreeError::NotADirectory { .. })
        ));
        assert!(matches!(
            tree.read(&path("B/x"), 1),
            Err(TreeError::NotFound { .. })
        ));
    }
}
