//! A read-only file tree, whatever holds it.
//!
//! Bundles and catalogs arrive as layers of an image, as a Git checkout, as entries of a
//! `ConfigMap` or out of a test. Everything that reads them works on this crate's [`Tree`] and never
//! on the file system, so that it can be tested without one and cannot leave its root.
//!
//! * [`RelPath`] is a cleaned relative path. It cannot express anything outside its root.
//! * [`Tree`] lists directories and reads files, every read with a size limit.
//! * [`MemoryTree`] is a tree held in memory.
//!
//! Guarantees: listings are sorted by the bytes of the names, so walks are deterministic; no
//! function panics on foreign input.
//!
//! ```
//! use olm_tree::{MemoryTree, RelPath, Tree};
//!
//! let mut tree = MemoryTree::new();
//! tree.insert("manifests/operator.yaml", "kind: Deployment")?;
//! let manifests = RelPath::parse("manifests")?;
//! let names: Vec<String> = tree.list(&manifests)?.into_iter().map(|entry| entry.name).collect();
//! assert_eq!(names, ["operator.yaml"]);
//! assert_eq!(tree.read(&manifests.join("operator.yaml")?, 1024)?, b"kind: Deployment");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod memory;
mod path;
mod tree;

pub use memory::{InsertError, MemoryTree};
pub use path::{PathError, RelPath};
pub use tree::{Entry, NodeKind, Tree, TreeError};
