//! catalogd: pulls catalog images, unpacks their File-Based Catalogs and serves them.
//!
//! **Problem.** A catalog is an image of some hundred megabytes that belongs to somebody else: its
//! tag moves, its registry goes away, a package in it may be broken. What resolves packages needs
//! its content at any time, whole, and cheaply.
//!
//! **Model.** A pass over a Catalog reads what it asks for, decides whether to ask the registry
//! now, turns a new image into JSON lines, publishes these in a [`store::ContentStore`] and writes
//! one status. The [`server`] answers from that store and knows nothing of passes. What each
//! replica needs on its own disk it makes itself, from what the leader's status names.
//!
//! **Guarantees.**
//! * A reader gets the old or the new content, whole, whatever happens meanwhile; the entity tag is
//!   the digest in `status.contentDigest`.
//! * Content is flushed and named before the status speaks of it. It outlives restarts, and is
//!   served before the first pass.
//! * While a registry is away or what it has is broken, the last good content is served and the
//!   status says so.
//! * A broken file costs its own packages only, and a broken Catalog harms no other.
//!
//! ```
//! use jiff::Timestamp;
//! use olm_catalogd::record::BrokenFiles;
//! use olm_catalogd::store::{ContentStore, Owner};
//! use olm_fs::Digest;
//!
//! # let folder = tempfile::tempdir()?;
//! let store = ContentStore::open(folder.path())?;
//! let mut content = store.begin()?;
//! content.line(r#"{"name":"etcd","schema":"olm.package"}"#)?;
//! let (owner, image) = (Owner { name: "community", uid: "1" }, Digest::of(b"manifest"));
//! let now = Timestamp::UNIX_EPOCH;
//! let record = store.publish(owner, content.finish()?, &image, BrokenFiles::default(), now)?;
//! assert_eq!(store.present("community"), Some(record));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod args;
mod certificate;
mod compress;
mod context;
mod error;
mod messages;
mod metas;
mod phase;
pub mod rbac;
mod readiness;
mod reconcile;
pub mod record;
mod replica;
pub mod server;
mod shelf;
mod start;
mod status;
pub mod store;
mod under_way;
mod writer;

pub use args::Args;
pub use start::{RunError, run};
