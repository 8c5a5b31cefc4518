//! The formats in which operators are shipped, turned into Kubernetes objects.
//!
//! # The problem
//!
//! A bundle image holds either ready manifests (`plain+v0`) or a ClusterServiceVersion, its
//! CustomResourceDefinitions and some further objects (`registry+v1`). Both come from strangers:
//! they are incomplete, contain fields that no schema declares, repeat themselves and contradict
//! themselves. A cluster needs one clean, ordered set of objects, or a reason why there is none.
//!
//! # The model
//!
//! * [`plain_v0::load`] reads a tree into its objects, in order; [`plain_v0::distinct`] drops those
//!   that are there twice.
//! * [`registry_v1::load`] reads a tree into a [`registry_v1::Bundle`]; its
//!   [`validate`](registry_v1::Bundle::validate) answers all that can be known without any
//!   configuration, and [`check_install_mode`](registry_v1::Bundle::check_install_mode) whether
//!   the operator can watch the namespaces asked for.
//! * [`registry_v1::Config`] is what may be said about an installation: the namespaces to watch and
//!   changes of the Deployments.
//! * [`registry_v1::render`] turns a bundle and [`registry_v1::RenderOptions`] into objects and
//!   tells which certificates the caller has to make.
//! * [`inspect`] tells authors everything that is wrong with a bundle, by file and line.
//!
//! # Guarantees
//!
//! * Pure: everything is read through [`olm_tree::Tree`], nothing is written, no clock is read.
//! * The same tree and options give the same objects in the same order.
//! * Every file, the sum of all files and the number of objects are capped; no content, however
//!   broken, makes it panic.
//! * Parts of a ClusterServiceVersion and of CustomResourceDefinitions are decoded by their
//!   schemas, so that no undeclared field reaches an API server that would refuse it.
//! * Definitions and roles of `v1beta1` are rendered as `v1` where that means the same, and refused
//!   with the reason otherwise.
//! * Rendered objects carry nothing that only servers and controllers write ([`keep_authored`]).
//!
//! # Example
//!
//! ```
//! let tree = olm_tree::MemoryTree::new();
//! let error = olm_bundle::plain_v0::load(&tree).unwrap_err();
//! assert!(error.to_string().starts_with("get objects from bundle manifests: "));
//! ```

mod authored;
pub mod hash;
mod inspect;
mod manifests;
pub mod plain_v0;
pub mod registry_v1;

pub use authored::keep_authored;
pub use inspect::{Finding, Severity, inspect};
pub use manifests::{ManifestProblem, ManifestsError};
