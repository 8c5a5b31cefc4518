//! The custom resources of olm-rs and the words that its parts share.
//!
//! **Problem.** Three controllers, a webhook, a command-line tool and their users meet only through
//! the Kubernetes API. What one part writes another matches on: fields, condition types, reasons,
//! labels, annotations, names.
//!
//! **Model.** Each kind is a module with its spec and its status; [`crds`] makes the definitions
//! that are shipped. Every other word is a constant, spelled here and nowhere else.
//!
//! **Guarantees.** The groups, kinds, fields, defaults, condition types and reasons are those of the
//! upstream `v1alpha1` APIs; every object that is valid there is valid here and means the same,
//! except that an Operator needs a `spec` and keeps its `packageName`. Fields that upstream does not
//! have are optional.
//!
//! ```
//! use olm_api::operator::{Operator, OperatorSpec};
//!
//! let operator = Operator::new(
//!     "etcd",
//!     OperatorSpec {
//!         package_name: "etcd".to_owned(),
//!         version: Some(">=0.9.0 <0.10.0".to_owned()),
//!         ..OperatorSpec::default()
//!     },
//! );
//! assert_eq!(operator.spec.package_name, "etcd");
//! ```

#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns repeat the names of their keys"
)]

pub mod annotations;
pub mod bundle;
pub mod bundle_deployment;
pub mod catalog;
pub mod conditions;
mod crds;
pub mod labels;
pub mod names;
pub mod operator;
pub mod rbac;
mod schema;

pub use crds::crds;
