//! Integration tests: the parts of the suite against a real control plane and real registries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod admission;
mod apply;
mod catalogd;
mod catalogd_life;
mod catalogd_replicas;
mod catalogd_serving;
mod chart;
mod corpus;
mod harness;
mod olmctl_bundle;
mod olmctl_catalog;
mod olmctl_cluster;
mod rukpak;
