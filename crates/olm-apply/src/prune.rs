//! Removing what a new version no longer has.

use std::collections::HashSet;

use crate::applier::Applier;
use crate::error::ApplyError;
use crate::identity::ObjectId;
use crate::instances::InstanceCount;
use crate::phases::Phase;
use crate::removal::Removal;

/// What came of a prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Objects whose deletion was asked for or that were gone already.
    pub removed: Vec<ObjectId>,
    /// Definitions that stay because objects of their kind exist. They stay in the inventory, and
    /// a later prune tries again.
    pub kept: Vec<(ObjectId, InstanceCount)>,
    /// Objects that are no longer the owner's to delete: they carry another's labels, or none and
    /// nothing of what the owner applied.
    pub released: Vec<ObjectId>,
    /// Namespaces that stay because objects of other owners are in them.
    pub occupied: Vec<ObjectId>,
    /// Namespaces that stay because objects of the new set are in them, and with those all that is
    /// beside them. They stay in the inventory.
    pub inhabited: Vec<ObjectId>,
}

impl Pruned {
    /// What has to stay in the inventory beside the new set.
    pub fn remaining(&self) -> impl Iterator<Item = &ObjectId> {
        let kept = self.kept.iter().map(|(id, _)| id);
        kept.chain(&self.inhabited)
    }
}

impl Applier {
    /// Deletes what is in `old` and not in `new`, in reverse order of application. An object is
    /// deleted only if it is the owner's, by its labels or, where they were lost, by what was
    /// applied to it, and only the very object that was looked at.
    ///
    /// Call it when the new set is applied. It asks for deletions and does not wait for them.
    ///
    /// # Errors
    ///
    /// The first object that cannot be read or deleted; another call goes on from there.
    pub async fn prune(
        &self,
        owner: &crate::Owner,
        old: &[ObjectId],
        new: &[ObjectId],
    ) -> Result<Pruned, ApplyError> {
        let wanted: HashSet<_> = new.iter().map(ObjectId::key).collect();
        let inhabited: HashSet<&str> = new
            .iter()
            .filter_map(|id| id.namespace.as_deref())
            .collect();
        let obsolete: Vec<&ObjectId> = old
            .iter()
            .filter(|id| !wanted.contains(&id.key()))
            .collect();
        let mut pruned = Pruned::default();
        for phase in Phase::ALL.into_iter().rev() {
            let mut doomed = Vec::new();
            for id in obsolete.iter().filter(|id| Phase::of_object(id) == phase) {
                if id.is_kind("", "Namespace") && inhabited.contains(id.name.as_str()) {
                    pruned.inhabited.push((*id).clone());
                } else if id.is_crd()
                    && self.is_there(owner, id).await?
                    && let Some(instances) = self.count_instances(id).await?
                    && instances.may_remain()
                {
                    pruned.kept.push(((*id).clone(), instances));
                } else {
                    doomed.push(*id);
                }
            }
            for (id, removal) in self.remove_all(owner, &doomed).await? {
                match removal {
                    Removal::Gone | Removal::Going => pruned.removed.push(id),
                    Removal::NotOurs => pruned.released.push(id),
                    Removal::Occupied => pruned.occupied.push(id),
                }
            }
        }
        Ok(pruned)
    }
}
