//! `plain+v0`: a bundle whose `manifests` directory holds ready objects.
//!
//! Every file of the directory is read, whatever its name, in name order; documents keep their
//! order, lists are flattened in place, empty documents are skipped. Nothing is templated.

use std::collections::HashSet;

use olm_tree::Tree;
use serde_json::Value;

use crate::manifests::{self, ManifestsError};

/// Why a tree is not a `plain+v0` bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// The objects cannot be read.
    #[error("get objects from bundle manifests: {0}")]
    Manifests(ManifestsError),
    /// There is nothing to install.
    #[error(
        "invalid bundle: found zero objects: plain+v0 bundles are required to contain at least \
         one object"
    )]
    NoObjects,
}

/// Reads the objects of a `plain+v0` bundle.
///
/// # Errors
///
/// [`PlainError`], whose texts are those that users of the plain provisioner know.
pub fn load(tree: &dyn Tree) -> Result<Vec<Value>, PlainError> {
    let objects = manifests::read(tree).map_err(PlainError::Manifests)?;
    if objects.is_empty() {
        return Err(PlainError::NoObjects);
    }
    Ok(objects
        .into_iter()
        .map(|manifest| manifest.object)
        .collect())
}

/// The objects without those that are equal to an earlier one: identical objects count once. Two
/// different ones of one identity are left for whoever applies them to refuse.
pub fn distinct(objects: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    objects
        .into_iter()
        .filter(|object| seen.insert(object.to_string()))
        .collect()
}
