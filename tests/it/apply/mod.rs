//! Applying, repairing, pruning, removing and watching objects on a real API server.

mod drift;
mod install;
mod objects;
mod owner;
mod real_bundles;
mod refusals;
mod uninstall;
mod upgrade;
mod watches;
