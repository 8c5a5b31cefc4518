//! Certificates that the suite makes for itself.
//!
//! [`issue_ca`] and [`issue_leaf`] make key pairs; [`ServingCertificate`] keeps one for a server of
//! the suite in a Secret, hands it to the TLS endpoint and publishes its authority in the ConfigMap
//! `olm-trust`, from which clients take it by [`trust`](crate::trust).

mod issue;
mod material;
mod serving;

pub use issue::{
    CA_LIFETIME, Facts, IssueError, KeyPair, LEAF_LIFETIME, inspect, issue_ca, issue_leaf,
    needs_renewal,
};
pub use serving::{CertificateError, ServingCertificate, service_names};
