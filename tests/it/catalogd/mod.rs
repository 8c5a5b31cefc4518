//! catalogd as a process against a real API server and real registries.

mod bad_input;
mod cluster;
mod files;
mod polling;
mod replicas;
mod serving;
