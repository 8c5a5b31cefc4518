//! File-Based Catalogs.
//!
//! A catalog is a directory tree of YAML and JSON documents, each an object with a `schema` and
//! mostly a `package` and a `name`. Its server reads that tree once and keeps every document as one
//! line of canonical JSON; its clients read those lines and need only a small part of them.
//!
//! * [`walk`] reads a tree: path order, `.indexignore`, one [`Meta`] per document. A file that
//!   cannot be read does not spoil the others; it is left out whole and reported.
//! * [`Meta`] is a document in canonical form, byte for byte as the reference server stores it.
//! * [`schema`] holds the documents that mean something to a resolver, and [`read_lines`] reads
//!   them from a stream of lines, dropping what a resolver never looks at without copying it.
//!
//! For tools, which know all of a catalog and say all that is wrong with it:
//!
//! * [`load`] reads a tree or a served stream into the typed documents of [`config`]; what cannot be
//!   read is a finding with its place and hides nothing else.
//! * [`convert`] makes a [`model`] of them, and [`validate`] collects what the reference would refuse,
//!   in its words.
//! * [`graph`] tells the head of a channel, its upgrades and what is wrong with them; [`release`]
//!   orders bundles; [`property`] reads what properties mean.
//! * [`write`](mod@write) writes documents in order, as JSON or YAML; [`mermaid`] draws channels.
//!
//! Guarantees: the order is deterministic; every file, line and count is limited; nothing panics on
//! foreign input.
//!
//! ```
//! use std::ops::ControlFlow;
//! use olm_fbc::{Item, Limits, Reading, read_lines, walk};
//! use olm_tree::{MemoryTree, RelPath};
//!
//! let mut tree = MemoryTree::new();
//! tree.insert("p/catalog.yaml", "schema: olm.package\nname: p\ndefaultChannel: stable\n")?;
//! let mut lines = String::new();
//! let report = walk(&tree, &RelPath::root(), &Limits::default(), &mut |meta| {
//!     lines.push_str(&meta.item.line);
//!     lines.push('\n');
//!     ControlFlow::Continue(())
//! })?;
//! assert_eq!((report.metas, report.broken.len()), (1, 0));
//! let items: Vec<Item> =
//!     read_lines(lines.as_bytes(), Reading::default()).collect::<Result<_, _>>()?;
//! assert!(matches!(&items[0], Item::Package(package) if package.name == "p"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod canonical;
mod check;
pub mod config;
pub mod convert;
pub mod decode;
mod document;
mod extent;
pub mod graph;
pub mod index;
mod indexignore;
mod lines;
pub mod load;
pub mod mermaid;
mod meta;
pub mod model;
mod pipeline;
pub mod property;
pub mod release;
mod rewrite;
pub mod schema;
mod split;
pub mod validate;
mod walk;
pub mod write;

pub use indexignore::PatternError;
pub use lines::{Item, LineError, Reading, read_item, read_lines};
pub use meta::{Meta, MetaError};
pub use walk::{
    Broken, FbcError, FileError, Limits, Located, Lost, Receiver, WalkReport, walk, walk_into,
};
