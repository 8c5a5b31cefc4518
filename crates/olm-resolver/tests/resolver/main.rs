//! What is chosen, and what a user reads when nothing is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod choose;
mod dependencies;
#[path = "../documents/mod.rs"]
mod documents;
mod fixture;
mod properties;
mod size;
