//! Images from registries.
//!
//! Catalogs and bundles live in registries that belong to somebody else: they are slow, limit
//! rates, break connections, hold what nobody checked. This crate pulls from them (and pushes
//! small images for tests and demonstrations). It is the only one that names the client library
//! below it.
//!
//! The model: a [`Reference`] names an image, an [`Access`] says who asks, a [`Client`] resolves
//! the one with the other to a digest, reads the [`Image`] and streams its layers as [`Blob`]s.
//!
//! What it promises:
//!
//! * what is read to its end has the digest that was asked for;
//! * every answer has a limit of size and of time; failures in passing are tried again, few times
//!   and within half a minute, and every error says whether it [is one](RegistryError::is_transient);
//! * HTTPS, but for registries that are named otherwise or are on this machine;
//! * what has mirrors is asked of them first, each with its own credentials, and of its own registry
//!   when none of them gives it;
//! * a file of authorities is followed as it changes: new connections trust what is in it now, and
//!   one that is damaged changes nothing;
//! * credentials go to their registry and to the token service it names, never in the clear where
//!   the registry is asked in HTTPS, and into no message and no `Debug`.
//!
//! ```no_run
//! # async fn pull() -> Result<(), Box<dyn std::error::Error>> {
//! use futures::TryStreamExt as _;
//! use olm_registry::{Access, Client, ClientConfig, Reference};
//!
//! let client = Client::new(ClientConfig::default())?;
//! let reference: Reference = "quay.io/operatorhubio/catalog:latest".parse()?;
//! let access = Access::default();
//! let digest = client.resolve(&reference, &access).await?;
//! let pinned = reference.with_digest(digest);
//! for layer in client.image(&pinned, &access).await?.layers {
//!     let mut blob = client.blob(&pinned, &layer, &access)?;
//!     while let Some(_bytes) = blob.try_next().await? {}
//! }
//! # Ok(())
//! # }
//! ```

mod answer;
pub mod auth;
mod blob;
mod challenge;
mod client;
mod config;
mod error;
mod manifest;
mod mirror;
pub mod push;
mod reference;
mod retry;
mod roots;
mod session;
mod token;

pub use self::auth::Credentials;
pub use self::blob::Blob;
pub use self::client::{Access, Client, Image};
pub use self::config::{ClientConfig, Limits, Retry, Timeouts};
pub use self::error::RegistryError;
pub use self::manifest::{ImageConfig, LayerDescriptor};
pub use self::mirror::{Mirror, MirrorError};
pub use self::reference::{Reference, ReferenceError};
pub use olm_fs::{Digest, DigestError};
