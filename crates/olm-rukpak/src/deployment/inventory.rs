//! What a BundleDeployment may have applied, before and after each step of a pass.

use std::collections::BTreeSet;

use olm_api::bundle_deployment::{
    AppliedBundle, BundleDeploymentStatus, Inventory, InventoryObject,
};
use olm_apply::ObjectId;

/// The inventory of a status; empty where none was written yet.
pub(crate) fn of(status: Option<&BundleDeploymentStatus>) -> Inventory {
    status
        .and_then(|status| status.inventory.clone())
        .unwrap_or_default()
}

/// The identities in an inventory.
pub(crate) fn ids(inventory: &Inventory) -> Vec<ObjectId> {
    inventory
        .objects
        .iter()
        .cloned()
        .map(ObjectId::from)
        .collect()
}

/// What to write before `target` is applied: everything that may exist then.
pub(crate) fn before(inventory: &Inventory, target: &AppliedBundle, new: &[ObjectId]) -> Inventory {
    Inventory {
        installed: inventory.installed.clone(),
        applying: Some(target.clone()),
        objects: union(ids(inventory).iter().chain(new)),
    }
}

/// What to write when `target` is installed and the rest is pruned, except for what `remaining`
/// had to stay.
pub(crate) fn after<'a>(
    target: &AppliedBundle,
    new: &'a [ObjectId],
    remaining: impl Iterator<Item = &'a ObjectId>,
) -> Inventory {
    Inventory {
        installed: Some(target.clone()),
        applying: None,
        objects: union(new.iter().chain(remaining)),
    }
}

/// Sorted, and one entry for each object: where two speak of one object in different versions, the
/// later one in the list, which is the one that it was last applied in.
fn union<'a>(ids: impl Iterator<Item = &'a ObjectId>) -> Vec<InventoryObject> {
    let all: Vec<&ObjectId> = ids.collect();
    let mut seen = BTreeSet::new();
    let mut objects: Vec<InventoryObject> = all
        .iter()
        .rev()
        .filter(|id| seen.insert(id.key()))
        .map(|&id| InventoryObject::from(id.clone()))
        .collect();
    objects.sort();
    objects
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(version: &str, name: &str) -> ObjectId {
        ObjectId {
            group: "example.com".into(),
            version: version.into(),
            kind: "Thing".into(),
            namespace: None,
            name: name.into(),
        }
    }

    fn names(inventory: &Inventory) -> Vec<String> {
        inventory
            .objects
            .iter()
            .map(|object| format!("{}/{}", object.version, object.name))
            .collect()
    }

    #[test]
    fn the_union_is_written_first_and_reduced_last() {
        let old = AppliedBundle {
            bundle: "old".into(),
            ..AppliedBundle::default()
        };
        let new = AppliedBundle {
            bundle: "new".into(),
            ..AppliedBundle::default()
        };
        let first = after(&old, &[id("v1", "a"), id("v1", "b")], std::iter::empty());
        assert_eq!(names(&first), ["v1/a", "v1/b"]);

        let during = before(&first, &new, &[id("v2", "b"), id("v2", "c")]);
        assert_eq!(names(&during), ["v1/a", "v2/b", "v2/c"]);
        assert_eq!(during.installed.as_ref(), Some(&old));
        assert_eq!(during.applying.as_ref(), Some(&new));

        let kept = id("v1", "a");
        let last = after(
            &new,
            &[id("v2", "b"), id("v2", "c")],
            std::iter::once(&kept),
        );
        assert_eq!(names(&last), ["v1/a", "v2/b", "v2/c"]);
        assert_eq!(
            (last.installed.as_ref(), last.applying.as_ref()),
            (Some(&new), None)
        );
    }
}
