//! rukpak as a process against a real API server and a real registry.

mod admission;
mod classes;
mod cluster;
mod lost;
mod objects;
mod plain;
mod real_bundles;
mod refusals;
mod registry_v1;
mod status;
mod unpacking;
mod wrong;
