//! Loading a catalog into types, for tools.
//!
//! Every document that cannot be read is a finding with its place; the others are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::ops::ControlFlow;

use olm_tree::{RelPath, Tree};

use crate::config::{Config, Property};
use crate::decode::{DecodeError, Document};
use crate::property::{BUNDLE_OBJECT, CSV_METADATA};
use crate::{Broken, FbcError, Limits, Located, Lost, Meta, MetaError, Receiver, walk_into};

/// Longest line of a served catalog, in bytes.
const MAX_LINE: usize = 64 << 20;
/// Most findings that are kept; a catalog of another format has one for each document.
const MAX_FINDINGS: usize = 1_000;

/// What is kept of a catalog.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// Everything: as much memory as the catalog has bytes, and half as much again.
    Everything,
    /// What checks, lists and graphs need: no embedded manifests, no descriptions (their place is
    /// kept, empty), no documents of other schemas. Some KiB for each bundle. Default.
    #[default]
    Graph,
}

/// Where a document stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, from the root of the tree; none in a stream.
    pub file: Option<RelPath>,
    /// Position in the file, from 0, where it is known.
    pub document: Option<usize>,
    /// Line on which it starts, from 1, where it is known.
    pub line: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.document, self.line) {
            (Some(file), Some(document), Some(line)) => {
                write!(f, "file `{file}`, document {document} (line {line})")
            }
            (Some(file), Some(document), None) => write!(f, "file `{file}`, document {document}"),
            (Some(file), None, Some(line)) => write!(f, "file `{file}` (line {line})"),
            (Some(file), None, None) => write!(f, "file `{file}`"),
            (None, _, Some(line)) => write!(f, "line {line}"),
            (None, ..) => f.write_str("content"),
        }
    }
}

/// A document that was left out, or a whole file of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file, or a part of it, is no document.
    #[error("{place}")]
    File {
        /// Where.
        place: Place,
        /// The cause.
        source: Broken,
    },
    /// The line is no document.
    #[error("{place}")]
    Line {
        /// Where.
        place: Place,
        /// The cause.
        source: LineProblem,
    },
    /// The document does not have the shape of its schema.
    #[error("{place}")]
    Document {
        /// Where.
        place: Place,
        /// The package it belongs to, where it names one.
        package: Option<String>,
        /// The cause.
        source: DecodeError,
    },
    /// More documents cannot be read than are listed.
    #[error("{count} further documents cannot be read")]
    More {
        /// How many.
        count: usize,
    },
}

/// Why a line of a stream is no document.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineProblem {
    /// It is no JSON.
    #[error("cannot be parsed")]
    Json {
        /// The cause.
        #[from]
        source: serde_json::Error,
    },
    /// It is no document.
    #[error(transparent)]
    Meta(#[from] MetaError),
}

/// Why a stream could not be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream broke.
    #[error("catalog content cannot be read at line {line}")]
    Io {
        /// The line, from 1.
        line: usize,
        /// The cause.
        source: io::Error,
    },
    /// A line has more than 64 MiB.
    #[error("line {line} of the catalog content is longer than {MAX_LINE} bytes")]
    TooLong {
        /// The line, from 1.
        line: usize,
    },
    /// There is no document at all.
    #[error("catalog is empty")]
    Empty,
}

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The documents that could be read.
    pub config: Config,
    /// Those that could not, in the order met.
    pub findings: Vec<LoadError>,
    /// Packages of which documents were left out, as far as one can tell: those that a document
    /// names, and those with documents beside one that cannot be read or named like its folder.
    pub incomplete: BTreeSet<String>,
    /// How many documents were met, those of other packages included.
    pub documents: usize,
}

/// Collects documents.
#[derive(Debug)]
pub struct Loader {
    keep: Keep,
    package: Option<String>,
    loaded: Loaded,
    /// Findings beyond [`MAX_FINDINGS`].
    more: usize,
    /// Packages by the folder of their documents.
    folders: BTreeMap<RelPath, BTreeSet<String>>,
}

impl Loader {
    /// A loader that keeps what is asked for, of one package alone where it is named.
    pub fn new(keep: Keep, package: Option<&str>) -> Self {
        Self {
            keep,
            package: package.map(str::to_owned),
            loaded: Loaded::default(),
            more: 0,
            folders: BTreeMap::new(),
        }
    }

    /// Loads a tree of YAML and JSON files.
    ///
    /// # Errors
    /// Those of [`walk_into`], but for a tree of which no file can be read: that is findings.
    pub fn tree(
        mut self,
        tree: &dyn Tree,
        root: &RelPath,
        limits: &Limits,
    ) -> Result<Loaded, FbcError> {
        let mut reading = Reading {
            loader: &mut self,
            packages: BTreeSet::new(),
        };
        let (broken, more) = match walk_into(tree, root, limits, &mut reading) {
            Ok(report) => (report.broken, report.more_broken),
            Err(FbcError::AllBroken { broken }) => (broken, 0),
            Err(error) => return Err(error),
        };
        for source in broken {
            self.broken(source);
        }
        self.more += more;
        Ok(self.finish())
    }

    /// Loads a stream of JSON lines, as a catalog is served. Empty lines are skipped.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn lines(mut self, reader: impl BufRead) -> Result<Loaded, StreamError> {
        each_line(reader, |line, meta| {
            let place = Place {
                line: Some(line),
                ..Place::default()
            };
            match meta {
                Ok(meta) => self.meta(meta, place),
                Err(source) => {
                    self.loaded.documents += 1;
                    self.finding(LoadError::Line { place, source });
                }
            }
        })?;
        Ok(self.finish())
    }

    /// Takes one document.
    pub fn meta(&mut self, meta: Meta, place: Place) {
        self.loaded.documents += 1;
        let package = meta.package_name();
        let package = (!package.is_empty()).then(|| package.to_owned());
        if self.package.is_some() && self.package != package {
            return;
        }
        if let (Some(package), Some(file)) = (&package, &place.file) {
            let folder = file.parent().unwrap_or_default();
            let packages = self.folders.entry(folder).or_default();
            if !packages.contains(package) {
                packages.insert(package.clone());
            }
        }
        match Document::decode(meta) {
            Ok(document) => self.add(document),
            Err(source) => {
                self.loaded.incomplete.extend(package.clone());
                self.finding(LoadError::Document {
                    place,
                    package,
                    source,
                });
            }
        }
    }

    fn add(&mut self, document: Document) {
        let config = &mut self.loaded.config;
        match document {
            Document::Package(package) => config.packages.push(package),
            Document::Channel(channel) => config.channels.push(channel),
            Document::Bundle(mut bundle) => {
                if self.keep == Keep::Graph {
                    bundle.properties.iter_mut().for_each(empty);
                    bundle.properties.shrink_to_fit();
                }
                config.bundles.push(bundle);
            }
            Document::Deprecations(deprecations) => config.deprecations.push(deprecations),
            Document::Other(mut other) => {
                if self.keep == Keep::Graph {
                    other.line = String::new();
                }
                config.others.push(other);
            }
        }
    }

    /// Notes a document or file that could not be read, and which packages that makes incomplete:
    /// its own, or else those beside it and those named like its folders.
    fn broken(&mut self, source: Broken) {
        if let Some(package) = &source.package {
            self.loaded.incomplete.insert(package.clone());
        } else {
            let mut folder = source.file.parent().unwrap_or_default();
            if let Some(packages) = self.folders.get(&folder) {
                self.loaded.incomplete.extend(packages.iter().cloned());
            }
            while let Some(name) = folder.file_name() {
                self.loaded.incomplete.insert(name.to_owned());
                folder = folder.parent().unwrap_or_default();
            }
        }
        let place = Place {
            file: Some(source.file.clone()),
            document: source.document,
            line: None,
        };
        self.finding(LoadError::File { place, source });
    }

    fn finding(&mut self, finding: LoadError) {
        if self.loaded.findings.len() < MAX_FINDINGS {
            self.loaded.findings.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// What was loaded.
    pub fn finish(mut self) -> Loaded {
        if self.more > 0 {
            self.loaded
                .findings
                .push(LoadError::More { count: self.more });
        }
        self.loaded
    }
}

/// Hands the documents of a tree to a loader.
struct Reading<'a> {
    loader: &'a mut Loader,
    /// The packages of the file.
    packages: BTreeSet<String>,
}

impl Receiver for Reading<'_> {
    fn meta(&mut self, meta: Located<Meta>) -> ControlFlow<()> {
        let package = meta.item.package_name();
        if !package.is_empty() && !self.packages.contains(package) {
            self.packages.insert(package.to_owned());
        }
        let place = Place {
            file: Some(meta.file),
            document: Some(meta.document),
            line: Some(meta.line),
        };
        // A document that is lost for those who serve it is looked at all the same.
        self.loader.meta(meta.item, place);
        ControlFlow::Continue(())
    }

    fn empty(&mut self, file: &RelPath, line: usize) {
        let place = Place {
            file: Some(file.clone()),
            document: None,
            line: Some(line),
        };
        // As the reference has it: an empty document of YAML stands for null.
        let source = DecodeError::NoSchema {
            blob: "null\n".to_owned(),
        };
        self.loader.finding(LoadError::Document {
            place,
            package: None,
            source,
        });
    }

    fn end(&mut self, lost: Lost<'_>) -> ControlFlow<()> {
        let packages = std::mem::take(&mut self.packages);
        let incomplete = &mut self.loader.loaded.incomplete;
        match lost {
            Lost::Nothing => {}
            Lost::Packages(packages) => incomplete.extend(packages.iter().cloned()),
            Lost::Everything => incomplete.extend(packages),
        }
        ControlFlow::Continue(())
    }
}

/// Reads a stream of JSON lines, as a catalog is served, document by document; `sink` is given the
/// line, from 1, and the document. Empty lines are skipped.
///
/// # Errors
/// [`StreamError`].
pub fn each_line(
    mut reader: impl BufRead,
    mut sink: impl FnMut(usize, Result<Meta, LineProblem>),
) -> Result<(), StreamError> {
    let mut buffer = Vec::new();
    let mut found = false;
    for line in 1.. {
        buffer.clear();
        let read = reader
            .by_ref()
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut buffer)
            .map_err(|source| StreamError::Io { line, source })?;
        if read == 0 {
            break;
        }
        if read > MAX_LINE && !buffer.ends_with(b"\n") {
            return Err(StreamError::TooLong { line });
        }
        let text = buffer.trim_ascii();
        if !text.is_empty() {
            found = true;
            sink(line, read_meta(text));
        }
    }
    if found {
        Ok(())
    } else {
        Err(StreamError::Empty)
    }
}

fn read_meta(text: &[u8]) -> Result<Meta, LineProblem> {
    let value: serde_json::Value = serde_json::from_slice(text)?;
    Ok(Meta::from_value(&value)?)
}

/// Drops the value of a property that is big and needed no more, if it is valid; where it is not,
/// it stays, so that the checks find it.
fn empty(property: &mut Property) {
    let big = matches!(property.type_.as_str(), BUNDLE_OBJECT | CSV_METADATA);
    if big && crate::property::parse(0, property).is_ok() {
        *property = Property::new(
            std::mem::take(&mut property.type_),
            &serde_json::Value::Object(serde_json::Map::new()),
        );
    }
}
