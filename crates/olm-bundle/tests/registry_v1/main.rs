//! The `registry+v1` format on small bundles made for the purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod config;
mod fixture;
mod garbage;
mod inspect;
mod render;
mod validate;
mod webhooks;
