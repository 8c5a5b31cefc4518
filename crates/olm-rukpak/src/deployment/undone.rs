//! Installations that were undone, so that they are not made and undone again all the time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use olm_api::bundle_deployment::{AppliedBundle, BundleDeployment};
use olm_apply::Refusal;

/// Pause before the first new try; it doubles with each, up to the longest.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
const LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// What was undone, and why, by the name of its BundleDeployment. Only remembered: another process
/// tries at once.
#[derive(Debug, Default)]
pub(crate) struct Undone(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    generation: Option<i64>,
    bundle: AppliedBundle,
    refusals: Vec<Refusal>,
    pause: SignedDuration,
    until: Timestamp,
}

impl Undone {
    /// Why `bundle` was undone, while it is too early to try it again: nobody has changed the
    /// BundleDeployment since.
    pub(crate) fn standing(
        &self,
        deployment: &BundleDeployment,
        bundle: &AppliedBundle,
        now: Timestamp,
    ) -> Option<Vec<Refusal>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&deployment.name_any())?;
        let is_same = entry.generation == deployment.metadata.generation && entry.bundle == *bundle;
        (is_same && now < entry.until).then(|| entry.refusals.clone())
    }

    /// Remembers that `bundle` was undone.
    pub(crate) fn note(
        &self,
        deployment: &BundleDeployment,
        bundle: AppliedBundle,
        refusals: Vec<Refusal>,
        now: Timestamp,
    ) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = deployment.name_any();
        let before = entries.get(&name);
        let pause = before
            .filter(|before| before.bundle == bundle)
            .map_or(PAUSE, |before| LONGEST.min(before.pause * 2));
        let entry = Entry {
            generation: deployment.metadata.generation,
            bundle,
            refusals,
            pause,
            until: now + pause,
        };
        entries.insert(name, entry);
    }

    /// Forgets a BundleDeployment, which is installed or gone.
    pub(crate) fn forget(&self, deployment: &str) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.remove(deployment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::template::tests::deployment;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    fn bundle(name: &str) -> AppliedBundle {
        AppliedBundle {
            bundle: name.to_owned(),
            ..AppliedBundle::default()
        }
    }

    #[test]
    fn the_same_is_not_tried_again_at_once_and_ever_later() {
        let undone = Undone::default();
        let mut object = deployment("a");
        let is_undone = |object: &BundleDeployment, name: &str, minute| {
            let standing = undone.standing(object, &bundle(name), at(minute));
            standing.is_some()
        };
        assert!(!is_undone(&object, "one", 0));
        undone.note(&object, bundle("one"), Vec::new(), at(0));
        assert!(is_undone(&object, "one", 0) && !is_undone(&object, "one", 1));
        assert!(!is_undone(&object, "two", 0));
        undone.note(&object, bundle("one"), Vec::new(), at(1));
        assert!(is_undone(&object, "one", 2) && !is_undone(&object, "one", 3));
        for _ in 0..9 {
            undone.note(&object, bundle("one"), Vec::new(), at(3));
        }
        assert!(is_undone(&object, "one", 17) && !is_undone(&object, "one", 18));
        object.metadata.generation = Some(7);
        assert!(!is_undone(&object, "one", 4));
        undone.note(&object, bundle("one"), Vec::new(), at(3));
        undone.forget("a");
        assert!(!is_undone(&object, "one", 4));
    }
}
