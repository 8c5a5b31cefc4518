//! Certificates that the suite makes for itself.
//!
//! [`issue_ca`] and [`issue_leaf`] make key pairs; an [`Authority`] is kept and renewed with those
//! before it, for leaves in Secrets of their own; [`ServingCertificate`] keeps one for a server of
//! the suite in a Secret, hands it to the TLS endpoint and publishes its authority in the ConfigMap
//! `olm-trust`, from which clients take it by [`trust`](crate::trust).

mod authority;
mod issue;
mod material;
mod serving;

pub use authority::{Authority, CA_CERTIFICATE, Entries, read_leaf, write_leaf};
pub use issue::{
    CA_LIFETIME, Facts, IssueError, KeyPair, LEAF_LIFETIME, inspect, issue_ca, issue_leaf,
    needs_renewal, renewal_in,
};
pub use serving::{CertificateError, ServingCertificate, service_names};
