//! rukpak as a process against a real API server and a real registry.

mod admission;
mod archives;
mod certificates;
mod classes;
mod cluster;
mod config_maps;
mod configuration;
mod contents;
mod crd_validator;
mod definitions;
mod git;
mod lost;
mod objects;
mod plain;
mod private_registry;
mod real_bundles;
mod refusals;
mod registry_v1;
mod ssh_server;
mod status;
mod unpacking;
mod wrong;
