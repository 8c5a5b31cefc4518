//! Content from outside, on disk.
//!
//! Catalogs and bundles come as layers of images: tar archives written by strangers. They are
//! unpacked by a process that other tenants of the node depend on. This crate is the only one that
//! touches the file system, and what it promises is:
//!
//! * nothing from outside is written or read outside the directory it was meant for: all paths go
//!   through capability handles of directories, links are never followed;
//! * nothing from outside costs more than its [`layers::Caps`], in bytes, files, memory or
//!   expansion;
//! * a [`Store`] holds a digest whole or not at all, whenever the process or the node dies;
//! * the same tree packs to the same bytes.
//!
//! The model: a [`Store`] gives a [`Pending`] directory, an [`layers::Applier`] fills it from
//! layers, committing it under a [`Digest`] gives a [`DirTree`], which everything above reads as
//! an `olm_tree::Tree`.
//!
//! ```
//! use olm_fs::layers::{Applier, Caps, PathFilter};
//! use olm_fs::{Digest, Store, pack};
//! use olm_tree::{MemoryTree, RelPath, Tree};
//!
//! let mut content = MemoryTree::new();
//! content.insert("configs/catalog.yaml", "schema: olm.package")?;
//! let mut layer = Vec::new();
//! pack::tar_gz(&content, &pack::Options::default(), &mut layer)?;
//!
//! # let scratch = tempfile::tempdir()?;
//! # let directory = scratch.path();
//! let store = Store::open(directory)?;
//! let pending = store.begin()?;
//! let mut applier = Applier::new(&pending, PathFilter::from_label("/configs")?, Caps::CATALOG)?;
//! applier.apply(layer.as_slice())?;
//! let tree = pending.commit(&Digest::of(&layer))?;
//! assert_eq!(tree.read(&RelPath::parse("configs/catalog.yaml")?, 1024)?, b"schema: olm.package");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    clippy::disallowed_methods,
    reason = "the disallowed methods are those that all other crates must take from here"
)]

mod atomic_dir;
pub mod compress;
mod digest;
mod dir_tree;
mod files;
pub mod layers;
pub mod pack;
mod quota;
mod scratch;
mod store;

pub use self::atomic_dir::AtomicDir;
pub use self::digest::{Digest, DigestError, Hasher};
pub use self::dir_tree::DirTree;
pub use self::files::{
    AtomicFile, FileError, create_dir_all, metadata, names, open, read_capped, remove_dir_all,
    remove_file, write_atomic,
};
pub use self::scratch::ScratchDir;
pub use self::store::{Pending, Store, StoreError};
