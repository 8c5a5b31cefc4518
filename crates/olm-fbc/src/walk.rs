//! Reading a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use olm_tree::{NodeKind, RelPath, Tree, TreeError};
use olm_yaml::YamlError;

use crate::document::{self, Bad, Costs};
use crate::indexignore::{FILE_NAME, IndexIgnore, MAX_FILE_BYTES};
use crate::pipeline::{self, Event};
use crate::split::SplitError;
use crate::{Meta, MetaError, PatternError};

/// Bad documents that a report names; further ones are only counted.
const BROKEN_KEPT: usize = 1_000;

/// Bounds on what a catalog may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files in the tree, ignored ones included. Default 100,000.
    pub max_files: usize,
    /// Directories below one another. Default 64.
    pub max_depth: usize,
    /// Documents in the tree, empty and bad ones included. Default 1,000,000.
    pub max_documents: usize,
    /// Bounds on each document: bytes (default 16 MiB; the largest public ones have 10), nesting,
    /// and what aliases add (default 50,000 nodes; public ones have no aliases). A file may be of
    /// any size, as it is never held whole.
    pub document: olm_yaml::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_files: 100_000,
            max_depth: 64,
            max_documents: 1_000_000,
            document: olm_yaml::Limits {
                max_bytes: 16 << 20,
                max_expansion: 50_000,
                ..olm_yaml::Limits::default()
            },
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
    /// Documents handed on and not taken back.
    pub metas: usize,
    /// Every document, or file, that cannot be read, in path order; at most 1,000.
    pub broken: Vec<Broken>,
    /// How many there are beyond those.
    pub more_broken: usize,
    /// Whether the receiver stopped the walk.
    pub stopped: bool,
}

/// A document, or a file, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("file `{file}` cannot be read")]
pub struct Broken {
    /// The file, from the root of the tree.
    pub file: RelPath,
    /// The document at fault, from 0; `None` when it is the file as such.
    pub document: Option<usize>,
    /// The package that it alone costs; `None` when it costs all that its file has.
    pub package: Option<String>,
    /// The cause.
    pub source: FileError,
}

/// What is lost of a file with the documents in it that cannot be read.
///
/// A package is whole or it is not there: without one of its bundles, an older one would look like
/// the newest. So a bad document costs its package what the file has of it; where the package is
/// not known, it costs the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost<'a> {
    /// Nothing.
    Nothing,
    /// The documents of these packages.
    Packages(&'a BTreeSet<String>),
    /// All documents.
    Everything,
}

/// What takes in a tree document by document. Those of a file count once it has ended, and only as
/// far as [`end`](Self::end) does not say that they are lost.
pub trait Receiver {
    /// The next document; of the same file as the one before unless that has ended.
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()>;

    /// A document without content, which ends or begins on that line of the file. Nothing is lost
    /// by it; who reads a catalog passes it over, who writes one may want to know.
    fn empty(&mut self, _file: &RelPath, _line: usize) {}

    /// The end of a file.
    fn end(&mut self, lost: Lost<'_>) -> ControlFlow<()>;
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

fn files_of(broken: &[Broken]) -> usize {
    broken.chunk_by(|a, b| a.file == b.file).count()
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
    /// Nothing could be read.
    #[error("none of the {} files of the catalog can be read", files_of(.broken))]
    AllBroken {
        /// What is wrong, in path order; at least one, at most 1,000.
        broken: Vec<Broken>,
    },
    /// The tree holds no document.
    #[error("catalog is empty")]
    Empty,
}

/// Reads all documents below `root`, in path order and in the order of each file, and hands them to
/// `sink`, which may stop the walk.
///
/// The documents of a file are held until it has ended, and only those that are not [`Lost`] are
/// handed on. Use [`walk_into`] where a file may be large.
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
    struct Files<'a> {
        held: Vec<Located<Meta>>,
        sink: &'a mut dyn FnMut(Located<Meta>) -> ControlFlow<()>,
    }
    impl Receiver for Files<'_> {
        fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
            self.held.push(meta);
            ControlFlow::Continue(())
        }

        fn end(&mut self, lost: Lost<'_>) -> ControlFlow<()> {
            let mut held = self.held.drain(..);
            held.by_ref()
                .filter(|meta| !meta.item.is_lost(lost))
                .try_for_each(&mut *self.sink)
        }
    }
    let held = Vec::new();
    walk_into(tree, root, limits, &mut Files { held, sink })
}

/// The same in constant memory: hands each document on as soon as it is read, and tells at the end
/// of each file which of them are lost. Documents are decoded on several threads.
///
/// # Errors
/// Those of [`walk`].
pub fn walk_into(
    tree: &dyn Tree,
    root: &RelPath,
    limits: &Limits,
    receiver: &mut dyn Receiver,
) -> Result<WalkReport, FbcError> {
    let (files, ignore) = find_files(tree, root, limits)?;
    let mut ignored = 0;
    let mut documents = 0;
    let mut reading = Reading {
        receiver,
        report: WalkReport::default(),
        file: RelPath::root(),
        index: 0,
        counts: BTreeMap::new(),
        lost: BTreeSet::new(),
        all_lost: false,
        given_up: false,
    };
    pipeline::run(
        &limits.document,
        &mut |event| reading.event(event),
        |pipeline| {
            for file in files {
                let relative = file.strip_prefix(root).unwrap_or_else(|| file.clone());
                if ignore.ignores(&relative) {
                    ignored += 1;
                    continue;
                }
                if pipeline.is_stopped() {
                    break;
                }
                let source = tree.reader(&file);
                pipeline.file(file, source, || {
                    documents += 1;
                    if documents > limits.max_documents {
                        return Err(FbcError::TooMany {
                            what: "documents",
                            limit: limits.max_documents,
                        });
                    }
                    Ok(())
                })?;
            }
            Ok::<(), FbcError>(())
        },
    )?;
    let mut report = reading.report;
    report.ignored = ignored;
    if report.metas == 0 && !report.stopped {
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

/// A walk under way.
struct Reading<'a> {
    receiver: &'a mut dyn Receiver,
    report: WalkReport,
    /// The file that is read.
    file: RelPath,
    /// Position of its next document.
    index: usize,
    /// How many documents of it were handed on, by package.
    counts: BTreeMap<String, usize>,
    /// The packages that are lost of it.
    lost: BTreeSet<String>,
    all_lost: bool,
    /// Whether nobody knows where its next document begins.
    given_up: bool,
}

impl Reading<'_> {
    fn event(&mut self, event: Event) -> ControlFlow<()> {
        let flow = match event {
            Event::Begin(file) => {
                self.report.files += 1;
                self.file = file;
                self.index = 0;
                self.counts.clear();
                self.lost.clear();
                self.all_lost = false;
                self.given_up = false;
                ControlFlow::Continue(())
            }
            Event::Document { .. } | Event::Fault(_) if self.given_up => ControlFlow::Continue(()),
            Event::Document { line, read } => self.document(line, read),
            Event::Unreadable(source) => {
                self.broken(None, Costs::File, source.into());
                ControlFlow::Continue(())
            }
            Event::Fault(error) => {
                self.fault(error);
                ControlFlow::Continue(())
            }
            Event::End => self.end(),
        };
        self.report.stopped = flow.is_break();
        flow
    }

    fn document(&mut self, line: usize, read: Result<Option<Meta>, Bad>) -> ControlFlow<()> {
        let index = self.index;
        match read {
            Ok(None) => {
                self.receiver.empty(&self.file, line);
                ControlFlow::Continue(())
            }
            Ok(Some(meta)) => {
                self.index += 1;
                if self.all_lost {
                    return ControlFlow::Continue(());
                }
                match self.counts.get_mut(meta.package_name()) {
                    Some(count) => *count += 1,
                    None => {
                        self.counts.insert(meta.package_name().to_owned(), 1);
                    }
                }
                self.receiver.meta(Located {
                    item: meta,
                    file: self.file.clone(),
                    document: index,
                    line,
                })
            }
            Err(Bad { error, costs }) => {
                self.index += 1;
                let source = document::at(error, index, line);
                self.invalid(source, costs);
                ControlFlow::Continue(())
            }
        }
    }

    fn fault(&mut self, error: SplitError) {
        let error = match error {
            SplitError::Read(source) => {
                let path = self.file.clone();
                let error = TreeError::Io { path, source };
                return self.broken(None, Costs::Rest, error.into());
            }
            SplitError::TooLarge { limit } => MetaError::TooLarge { limit },
            SplitError::Separator { line, text } => YamlError::Separator { line, text }.into(),
        };
        self.index += 1;
        self.invalid(error, Costs::Rest);
    }

    fn invalid(&mut self, source: MetaError, costs: Costs) {
        let document = self.index.saturating_sub(1);
        self.broken(
            Some(document),
            costs,
            FileError::Document { document, source },
        );
    }

    fn broken(&mut self, document: Option<usize>, costs: Costs, source: FileError) {
        self.given_up |= costs == Costs::Rest;
        let package = match costs {
            Costs::Package(package) => {
                self.lost.insert(package.clone());
                Some(package)
            }
            Costs::File | Costs::Rest => {
                self.all_lost = true;
                None
            }
        };
        if self.report.broken.len() >= BROKEN_KEPT {
            self.report.more_broken += 1;
            return;
        }
        self.report.broken.push(Broken {
            file: self.file.clone(),
            document,
            package,
            source,
        });
    }

    fn end(&mut self) -> ControlFlow<()> {
        let lost = if self.all_lost {
            Lost::Everything
        } else if self.lost.is_empty() {
            Lost::Nothing
        } else {
            Lost::Packages(&self.lost)
        };
        let kept = |package: &String| match lost {
            Lost::Nothing => true,
            Lost::Packages(packages) => !packages.contains(package),
            Lost::Everything => false,
        };
        let metas = self.counts.iter().filter(|(package, _)| kept(package));
        self.report.metas += metas.map(|(_, count)| count).sum::<usize>();
        self.receiver.end(lost)
    }
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
