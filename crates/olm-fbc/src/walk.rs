//! Reading a tree.

use std::ops::ControlFlow;

use olm_tree::{NodeKind, RelPath, Tree, TreeError};

use crate::indexignore::{FILE_NAME, IndexIgnore, MAX_FILE_BYTES};
use crate::{Meta, MetaError, PatternError};

/// Bounds on what a catalog may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files in the tree, ignored ones included. Default 100,000.
    pub max_files: usize,
    /// Directories below one another. Default 64.
    pub max_depth: usize,
    /// Bounds on each file: bytes (default 256 MiB), documents, nesting, aliases.
    pub file: olm_yaml::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_files: 100_000,
            max_depth: 64,
            file: olm_yaml::Limits::default(),
        }
    }
}

/// Something read from a tree and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// What was read.
    pub item: T,
    /// The file, from the root of the tree.
    pub file: RelPath,
    /// Position of the document in the file, from 0.
    pub document: usize,
    /// Line on which the document starts, from 1.
    pub line: usize,
}

/// What a walk met.
#[derive(Debug, Default)]
pub struct WalkReport {
    /// Files read, broken ones included.
    pub files: usize,
    /// Files that `.indexignore` excludes.
    pub ignored: usize,
    /// Documents handed on.
    pub metas: usize,
    /// Files left out because they cannot be read, in path order.
    pub broken: Vec<Broken>,
    /// Whether the receiver stopped the walk.
    pub stopped: bool,
}

/// A file that was left out: nothing of it was handed on.
#[derive(Debug, thiserror::Error)]
#[error("file `{file}` cannot be read")]
pub struct Broken {
    /// The file, from the root of the tree.
    pub file: RelPath,
    /// The document at fault, from 0, where it is known.
    pub document: Option<usize>,
    /// The cause.
    pub source: FileError,
}

/// Why a file was left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read from the tree, or is too large.
    #[error("cannot be opened")]
    Read {
        /// The cause.
        #[from]
        source: TreeError,
    },
    /// One of its documents is no part of a catalog.
    #[error("document {document} is invalid")]
    Document {
        /// Position of the document, from 0.
        document: usize,
        /// The cause.
        source: MetaError,
    },
}

/// Why a tree is not a catalog.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FbcError {
    /// A directory or an `.indexignore` file cannot be read.
    #[error("catalog tree cannot be read")]
    Tree {
        /// The cause.
        #[from]
        source: TreeError,
    },
    /// A name in the tree is not a path component.
    #[error("invalid name in directory `{directory}`")]
    Name {
        /// The directory.
        directory: RelPath,
        /// The cause.
        source: olm_tree::PathError,
    },
    /// An `.indexignore` file holds what is no pattern.
    #[error("file `{file}` is invalid")]
    Ignore {
        /// The file.
        file: RelPath,
        /// The cause.
        source: PatternError,
    },
    /// A limit of the tree as a whole.
    #[error("catalog has more than {limit} {what}")]
    TooMany {
        /// `files` or `levels of directories`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// No file could be read.
    #[error("none of the {} files of the catalog can be read", .broken.len())]
    AllBroken {
        /// Every file with its error, in path order; at least one.
        broken: Vec<Broken>,
    },
    /// The tree holds no document.
    #[error("catalog is empty")]
    Empty,
}

/// Reads all documents below `root`, in path order and in the order of each file, and hands them to
/// `sink`, which may stop the walk.
///
/// Each file is read whole before its first document is handed on: of a file that cannot be read
/// nothing is, the others go on, and the report names it.
///
/// # Errors
/// The tree itself cannot be read or is too large, an `.indexignore` file is invalid, or there is
/// no readable document at all.
pub fn walk(
    tree: &dyn Tree,
    root: &RelPath,
    limits: &Limits,
    sink: &mut dyn FnMut(Located<Meta>) -> ControlFlow<()>,
) -> Result<WalkReport, FbcError> {
    let (files, ignore) = find_files(tree, root, limits)?;
    let mut report = WalkReport::default();
    for file in files {
        let relative = file.strip_prefix(root).unwrap_or_else(|| file.clone());
        if ignore.ignores(&relative) {
            report.ignored += 1;
            continue;
        }
        report.files += 1;
        match read_file(tree, &file, limits) {
            Ok(metas) => {
                for meta in metas {
                    report.metas += 1;
                    if sink(meta).is_break() {
                        report.stopped = true;
                        return Ok(report);
                    }
                }
            }
            Err(source) => {
                let document = match &source {
                    FileError::Document { document, .. } => Some(*document),
                    FileError::Read { .. } => None,
                };
                report.broken.push(Broken {
                    file,
                    document,
                    source,
                });
            }
        }
    }
    if report.metas == 0 {
        return Err(if report.broken.is_empty() {
            FbcError::Empty
        } else {
            FbcError::AllBroken {
                broken: report.broken,
            }
        });
    }
    Ok(report)
}

/// All files in path order, and the patterns of the tree, relative to `root`.
fn find_files(
    tree: &dyn Tree,
    root: &RelPath,
    limits: &Limits,
) -> Result<(Vec<RelPath>, IndexIgnore), FbcError> {
    let mut ignore = IndexIgnore::default();
    let mut files = Vec::new();
    let mut pending = vec![(root.clone(), NodeKind::Directory)];
    while let Some((path, kind)) = pending.pop() {
        if kind == NodeKind::File {
            if files.len() == limits.max_files {
                return Err(FbcError::TooMany {
                    what: "files",
                    limit: limits.max_files,
                });
            }
            files.push(path);
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or_default();
        if relative.components().count() > limits.max_depth {
            return Err(FbcError::TooMany {
                what: "levels of directories",
                limit: limits.max_depth,
            });
        }
        let entries = tree.list(&path)?;
        if pending.len() + entries.len() > limits.max_files {
            return Err(FbcError::TooMany {
                what: "files",
                limit: limits.max_files,
            });
        }
        for entry in entries.into_iter().rev() {
            let child = path.join(&entry.name).map_err(|source| FbcError::Name {
                directory: path.clone(),
                source,
            })?;
            if entry.name != FILE_NAME {
                pending.push((child, entry.kind));
            } else if entry.kind == NodeKind::File {
                let text = tree.read(&child, MAX_FILE_BYTES)?;
                ignore
                    .add(&relative, &String::from_utf8_lossy(&text))
                    .map_err(|source| FbcError::Ignore {
                        file: child,
                        source,
                    })?;
            }
        }
    }
    Ok((files, ignore))
}

fn read_file(
    tree: &dyn Tree,
    file: &RelPath,
    limits: &Limits,
) -> Result<Vec<Located<Meta>>, FileError> {
    let bytes = tree.read(file, limits.file.max_bytes as u64)?;
    let mut metas = Vec::new();
    for document in olm_yaml::documents(&bytes, &limits.file) {
        let position = metas.len();
        let invalid = |source| FileError::Document {
            document: position,
            source,
        };
        let document = document.map_err(|source| invalid(source.into()))?;
        let meta = Meta::from_value(&document.value).map_err(invalid)?;
        metas.push(Located {
            item: meta,
            file: file.clone(),
            document: document.index,
            line: document.line,
        });
    }
    Ok(metas)
}
