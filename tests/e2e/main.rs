//! End-to-end tests: the suite's own binaries as processes on a real control plane.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod away;
mod bad_input;
mod by_hand;
mod catalog_swaps;
mod crash;
mod crowd;
mod decisions;
mod dependencies;
mod harness;
mod health;
mod kills;
mod operators;
mod packages;
mod proxy;
mod rbac;
mod refusals;
mod registry_faults;
mod rollback;
mod user;
mod way;
mod world;
