//! All Operators together: what is selected, and what is said where nothing can be.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::redundant_closure_for_method_calls,
    reason = "tests"
)]

mod constraints;
#[path = "../documents/mod.rs"]
mod documents;
mod hostile;
mod interactions;
mod mutations;
mod random;
mod scenarios;
mod small;
mod updates;
mod wishes;
mod world;
