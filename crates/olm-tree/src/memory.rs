//! A tree held in memory.

use std::collections::BTreeMap;

use crate::{Entry, NodeKind, PathError, RelPath, Tree, TreeError};

/// A tree held in memory: for tests, config maps and unpacked small archives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree {
    root: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(Vec<u8>),
    Directory(BTreeMap<String, Self>),
}

impl MemoryTree {
    /// An empty tree.
    pub const fn new() -> Self {
        Self {
            root: BTreeMap::new(),
        }
    }

    /// Puts a file, creating its parents and replacing a file of the same path.
    ///
    /// # Errors
    /// The path is refused, is the root or a directory, or has a file as one of its parents.
    pub fn insert(&mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<(), InsertError> {
        let path = RelPath::parse(path)?;
        let Some(name) = path.file_name() else {
            return Err(InsertError::Directory { path });
        };
        let parent = self.directory_mut(&path.parent().unwrap_or_default())?;
        if let Some(Node::Directory(_)) = parent.get(name) {
            return Err(InsertError::Directory { path });
        }
        parent.insert(name.to_owned(), Node::File(bytes.into()));
        Ok(())
    }

    /// Creates an empty directory with its parents; an existing one is kept as it is.
    ///
    /// # Errors
    /// The path is refused or leads through a file.
    pub fn create_directory(&mut self, path: &str) -> Result<(), InsertError> {
        self.directory_mut(&RelPath::parse(path)?).map(|_| ())
    }

    fn directory_mut(
        &mut self,
        path: &RelPath,
    ) -> Result<&mut BTreeMap<String, Node>, InsertError> {
        let mut directory = &mut self.root;
        for component in path.components() {
            let node = directory
                .entry(component.to_owned())
                .or_insert_with(|| Node::Directory(BTreeMap::new()));
            match node {
                Node::Directory(next) => directory = next,
                Node::File(_) => return Err(InsertError::FileInTheWay { path: path.clone() }),
            }
        }
        Ok(directory)
    }

    fn find(&self, path: &RelPath) -> Option<Found<'_>> {
        let mut found = Found::Directory(&self.root);
        for component in path.components() {
            found = match found {
                Found::File(_) => return None,
                Found::Directory(entries) => match entries.get(component)? {
                    Node::File(bytes) => Found::File(bytes),
                    Node::Directory(next) => Found::Directory(next),
                },
            };
        }
        Some(found)
    }
}

enum Found<'tree> {
    File(&'tree [u8]),
    Directory(&'tree BTreeMap<String, Node>),
}

impl Tree for MemoryTree {
    fn list(&self, directory: &RelPath) -> Result<Vec<Entry>, TreeError> {
        match self.find(directory) {
            None => Err(TreeError::NotFound {
                operation: "readdir",
                path: directory.clone(),
            }),
            Some(Found::File(_)) => Err(TreeError::NotADirectory {
                path: directory.clone(),
            }),
            Some(Found::Directory(entries)) => Ok(entries
                .iter()
                .map(|(name, node)| {
                    let (kind, size) = match node {
                        Node::File(bytes) => (NodeKind::File, bytes.len() as u64),
                        Node::Directory(_) => (NodeKind::Directory, 0),
                    };
                    Entry {
                        name: name.clone(),
                        kind,
                        size,
                    }
                })
                .collect()),
        }
    }

    fn read(&self, file: &RelPath, limit: u64) -> Result<Vec<u8>, TreeError> {
        match self.find(file) {
            None => Err(TreeError::NotFound {
                operation: "open",
                path: file.clone(),
            }),
            Some(Found::Directory(_)) => Err(TreeError::IsADirectory { path: file.clone() }),
            Some(Found::File(bytes)) if bytes.len() as u64 > limit => Err(TreeError::TooLarge {
                path: file.clone(),
                limit,
            }),
            Some(Found::File(bytes)) => Ok(bytes.to_vec()),
        }
    }
}

/// Why a file or directory could not be put into a [`MemoryTree`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InsertError {
    /// The text is not a path inside the tree.
    #[error("invalid path")]
    Path(#[from] PathError),
    /// A parent of the path is a file.
    #[error("a parent of `{path}` is a file")]
    FileInTheWay {
        /// The path to be created.
        path: RelPath,
    },
    /// The path is a directory.
    #[error("`{path}` is a directory")]
    Directory {
        /// The path to be written.
        path: RelPath,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    fn sample() -> MemoryTree {
        let mut tree = MemoryTree::new();
        tree.insert("b/two", "22").unwrap();
        tree.insert("b/one", "1").unwrap();
        tree.insert("B", "").unwrap();
        tree.create_directory("empty").unwrap();
        tree
    }

    #[test]
    fn directories_are_listed_by_the_bytes_of_their_names() {
        let tree = sample();
        let names = |at: &str| -> Vec<String> {
            tree.list(&path(at))
                .unwrap()
                .into_iter()
                .map(|entry| entry.name)
                .collect()
        };
        assert_eq!(names(""), ["B", "b", "empty"]);
        assert_eq!(names("b"), ["one", "two"]);
        assert!(names("empty").is_empty());
        let entries = tree.list(&path("b")).unwrap();
        assert_eq!(entries.last().unwrap().size, 2);
        assert_eq!(entries.last().unwrap().kind, NodeKind::File);
    }

    #[test]
    fn errors_read_like_those_of_go() {
        let tree = sample();
        let text = |error: TreeError| error.to_string();
        assert_eq!(
            text(
                tree.read(&path("metadata/annotations.yaml"), 9)
                    .unwrap_err()
            ),
            "open metadata/annotations.yaml: file does not exist"
        );
        assert_eq!(
            text(tree.list(&path("manifests")).unwrap_err()),
            "readdir manifests: file does not exist"
        );
        assert_eq!(
            text(tree.list(&path("B")).unwrap_err()),
            "readdir B: not a directory"
        );
        assert_eq!(
            text(tree.read(&path("b"), 9).unwrap_err()),
            "read b: is a directory"
        );
        assert!(tree.read(&path("B/x"), 9).unwrap_err().is_not_found());
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let tree = sample();
        assert_eq!(tree.read(&path("b/two"), 2).unwrap(), b"22");
        assert!(matches!(
            tree.read(&path("b/two"), 1),
            Err(TreeError::TooLarge { limit: 1, .. })
        ));
    }

    #[test]
    fn a_file_never_becomes_a_directory() {
        let mut tree = sample();
        assert!(matches!(
            tree.insert("B/x", ""),
            Err(InsertError::FileInTheWay { .. })
        ));
        assert!(matches!(
            tree.insert("b", ""),
            Err(InsertError::Directory { .. })
        ));
        assert!(matches!(
            tree.insert("", ""),
            Err(InsertError::Directory { .. })
        ));
        tree.insert("b/one", "new").unwrap();
        assert_eq!(tree.read(&path("b/one"), 9).unwrap(), b"new");
    }
}
