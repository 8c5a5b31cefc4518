//! The steps of a pass over a BundleDeployment.

mod bundle;
mod install;
mod load;
mod restore;
mod undecodable;
mod uninstall;

pub(crate) use self::install::{Aim, Installation, Progress};
