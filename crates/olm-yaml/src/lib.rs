//! YAML and JSON as Kubernetes programs read them, with limits.
//!
//! Bundles and catalogs are written by people and generators for the Go readers of Kubernetes.
//! Those read YAML 1.1 scalars, take JSON where the stream starts with `{`, split a stream at
//! `---` before parsing, resolve merge keys and let the last of two equal keys win. This crate
//! gives the same values, as [`serde_json::Value`], and puts a bound on everything that foreign
//! input could inflate: bytes, documents, depth, and what aliases expand to.
//!
//! * [`documents`] reads a stream of any number of documents.
//! * [`from_slice`] reads one document into a type, [`part`] one part of a stream split elsewhere.
//! * [`to_string`] writes YAML with sorted keys that YAML 1.1 and 1.2 readers read alike.
//!
//! # Scalars
//! Plain `y`, `yes`, `on`, `n`, `no`, `off` (also capitalised or in capitals) are booleans,
//! `0644` is octal 420, `1_000` is 1000, an integral float such as `1.0` is the integer 1; an
//! integer beyond 64 bits becomes a float. Dates stay text. Keys that are not text are written as
//! text: `1`, `true`. `.inf` and `.nan`, which JSON cannot hold, are null. A quoted or `!!str`
//! scalar is always text. Tags of an application's own are an error.
//!
//! # Merge keys
//! A plain `<<` fills in the keys its mapping does not have itself, whatever the order in which
//! they are written; of several merged mappings the first one wins.
//!
//! ```
//! use olm_yaml::{Limits, documents};
//!
//! let stream = b"kind: A\non: yes\n---\nkind: B\n";
//! let read: Result<Vec<_>, _> = documents(stream, &Limits::default()).collect();
//! let read = read?;
//! assert_eq!(read[0].value, serde_json::json!({"kind": "A", "true": true}));
//! assert_eq!((read[1].index, read[1].line), (1, 4));
//! # Ok::<(), olm_yaml::YamlError>(())
//! ```

mod build;
mod emit;
mod error;
mod scalar;
mod stream;

pub use emit::to_string;
pub use error::YamlError;
pub use stream::{Document, Documents, Limits, documents, from_slice, part};
