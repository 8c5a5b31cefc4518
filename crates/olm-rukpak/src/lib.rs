//! (in progress)

pub mod rbac;
