//! Where content comes from.
//!
//! A catalog or a bundle is named by a reference that may mean something else tomorrow. This crate
//! turns the name into a file tree and the digest it resolved to, once per digest: what is in the
//! [`Store`](olm_fs::Store) already is not pulled again, and a reference by digest that is in it
//! needs no network at all.
//!
//! | Source | What pins it | Stored under |
//! |---|---|---|
//! | [`image`] | the digest of manifest or index | that digest; of a directory of an image, one made of both |
//! | [`git`] | the commit | the digest of its files |
//! | [`http`] | the digest of its files | that digest |
//! | [`store_files`] (ConfigMaps, uploads) | the digest of its files | that digest |
//!
//! What it promises: a tree is whole, is what its digest names, and stayed within its
//! [`Caps`](olm_fs::layers::Caps); memory is independent of the content's size; git and web servers
//! are asked only where the [`Guard`] lets them, and credentials go to the server that was named and
//! to no other, and not where they send less than 1 KiB/s; an error says in the words that users know what failed, and
//! [whether trying again may help](SourceError::is_terminal).
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use olm_fs::{Store, layers::Caps};
//! use olm_registry::{Access, Client, ClientConfig};
//! use olm_source::image::{self, Filter};
//!
//! let client = Client::new(ClientConfig::default())?;
//! let store = Store::open("/var/cache/catalogd/unpack".as_ref())?;
//! let reference = "quay.io/operatorhubio/catalog:latest".parse()?;
//! let (access, filter) = (Access::default(), Filter::catalog());
//! let fetched =
//!     image::fetch(&client, &reference, &access, &filter, Caps::CATALOG, &store).await?;
//! println!("{}", fetched.resolved);
//! # Ok(())
//! # }
//! ```

mod content;
mod error;
pub mod git;
mod guard;
pub mod http;
pub mod image;
mod inside;
mod pipe;
#[cfg(test)]
mod redirect_tests;
#[cfg(test)]
mod slow_tests;
mod speed;
mod web;

pub use self::content::{ContentError, Stored, store_files};
pub use self::error::SourceError;
pub use self::guard::{Guard, GuardError};
pub use self::inside::inside;
pub use self::web::{BasicCredentials, Endpoint, WebAccess, WebError};
