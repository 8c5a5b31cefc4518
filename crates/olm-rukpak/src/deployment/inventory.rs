//! What a BundleDeployment may have applied, before and after each step of a pass.

use std::collections::{BTreeMap, BTreeSet};

use olm_api::bundle_deployment::{
    AppliedBundle, BundleDeployment, BundleDeploymentStatus, Inventory, InventoryObject,
};
use olm_api::names::FINALIZER_BUNDLE_DEPLOYMENT;
use olm_apply::ObjectId;
use olm_runtime::{conditions, finalizer};
use serde_json::Value;

use super::status::OWNED;

/// Whether the inventory was lost, with the whole status (a restore from a backup, which keeps the
/// finalizer) or by itself. One that has no inventory because nothing was ever applied has conditions
/// that say so.
pub(crate) fn is_lost(deployment: &BundleDeployment) -> bool {
    if !finalizer::has(deployment, FINALIZER_BUNDLE_DEPLOYMENT) {
        return false;
    }
    let Some(status) = &deployment.status else {
        return true;
    };
    let says_nothing = conditions::owned(&status.conditions, &OWNED).is_empty();
    status.inventory.is_none() && (says_nothing || status.active_bundle.is_some())
}

/// Whether `target`, of which it is not known yet how its certificates are had, is what is installed.
pub(crate) fn is_installed(inventory: &Inventory, target: &AppliedBundle) -> bool {
    let installed = inventory.installed.as_ref();
    inventory.applying.is_none()
        && installed.is_some_and(|installed| {
            let wanted = AppliedBundle {
                certificate_provider: installed.certificate_provider.clone(),
                ..target.clone()
            };
            *installed == wanted
        })
}

/// Whether bringing `target` is the way back from another bundle, or from another configuration, that
/// was begun to be applied.
pub(crate) fn goes_back(inventory: &Inventory, target: &AppliedBundle) -> bool {
    inventory.applying.is_some() && inventory.installed.as_ref() == Some(target)
}

/// A configuration as the inventory keeps it: an API server drops nulls, which mean nothing here, and
/// without anything in it there is none.
pub(crate) fn recorded(
    config: Option<&BTreeMap<String, Value>>,
) -> Option<BTreeMap<String, Value>> {
    let kept: BTreeMap<String, Value> = config?
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), without_nulls(value)))
        .collect();
    (!kept.is_empty()).then_some(kept)
}

/// The value without members that are null. The recursion is bounded by the depth to which its
/// decoder went.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// The inventory of what was found in the cluster: what it was rendered from is not known.
pub(crate) fn found(ids: &[ObjectId]) -> Inventory {
    Inventory {
        objects: union(ids.iter()),
        ..Inventory::default()
    }
}

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
        kept_definitions: inventory.kept_definitions.clone(),
        objects: union(ids(inventory).iter().chain(new)),
    }
}

/// What to write when `target` is installed and the rest is pruned, except for what `remaining`
/// had to stay, and for definitions that stay as they are.
pub(crate) fn after<'a>(
    target: &AppliedBundle,
    kept_definitions: Vec<String>,
    new: &'a [ObjectId],
    remaining: impl Iterator<Item = &'a ObjectId>,
) -> Inventory {
    Inventory {
        installed: Some(target.clone()),
        applying: None,
        kept_definitions,
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
    #![allow(clippy::unwrap_used, reason = "tests")]

    use jiff::Timestamp;
    use olm_api::conditions::HAS_VALID_BUNDLE;
    use rstest::rstest;

    use super::*;
    use crate::deployment::template::tests::deployment;

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
    fn a_configuration_is_recorded_as_it_is_kept() {
        let config: BTreeMap<String, Value> = serde_json::from_value(serde_json::json!({
            "watchNamespace": null, "deploymentConfig": {"env": [{"name": "a", "value": null}]}}))
        .unwrap();
        assert_eq!(
            serde_json::to_value(recorded(Some(&config))).unwrap(),
            serde_json::json!({"deploymentConfig": {"env": [{"name": "a"}]}})
        );
        assert_eq!(recorded(None), None);
        let null = BTreeMap::from([("watchNamespace".to_owned(), Value::Null)]);
        assert_eq!(recorded(Some(&null)), None);
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
        let first = after(
            &old,
            Vec::new(),
            &[id("v1", "a"), id("v1", "b")],
            std::iter::empty(),
        );
        assert_eq!(names(&first), ["v1/a", "v1/b"]);

        let during = before(&first, &new, &[id("v2", "b"), id("v2", "c")]);
        assert_eq!(names(&during), ["v1/a", "v2/b", "v2/c"]);
        assert_eq!(during.installed.as_ref(), Some(&old));
        assert_eq!(during.applying.as_ref(), Some(&new));

        let kept = id("v1", "a");
        let last = after(
            &new,
            Vec::new(),
            &[id("v2", "b"), id("v2", "c")],
            std::iter::once(&kept),
        );
        assert_eq!(names(&last), ["v1/a", "v2/b", "v2/c"]);
        assert_eq!(
            (last.installed.as_ref(), last.applying.as_ref()),
            (Some(&new), None)
        );
    }

    #[test]
    fn what_is_installed_is_known_before_it_is_rendered() {
        let target = AppliedBundle {
            bundle: "a".into(),
            ..AppliedBundle::default()
        };
        let with_certificates = AppliedBundle {
            certificate_provider: Some("own".into()),
            ..target.clone()
        };
        let mut inventory = after(&with_certificates, Vec::new(), &[], std::iter::empty());
        assert!(is_installed(&inventory, &target));
        inventory.applying = Some(target.clone());
        assert!(!is_installed(&inventory, &target));
        let other = AppliedBundle {
            content_digest: "other".into(),
            ..target
        };
        inventory.applying = None;
        assert!(!is_installed(&inventory, &other));
        assert!(!is_installed(&Inventory::default(), &other));
    }

    #[test]
    fn the_way_back_is_told_from_the_way_on() {
        let bundle = |name: &str| AppliedBundle {
            bundle: name.into(),
            ..AppliedBundle::default()
        };
        let (old, new) = (bundle("old"), bundle("new"));
        let installed = after(&old, vec!["a".into()], &[], std::iter::empty());
        assert!(!goes_back(&installed, &old));
        assert!(!goes_back(&installed, &new));
        // Definitions that stay are not forgotten while the next bundle comes.
        let during = before(&installed, &new, &[]);
        assert_eq!(during.kept_definitions, ["a"]);
        assert!(!goes_back(&during, &new));
        assert!(goes_back(&during, &old));
        // Also when it was begun already.
        assert!(goes_back(&before(&during, &old, &[]), &old));
    }

    #[rstest]
    #[case::new(false, false, false, None, false)]
    #[case::no_status(true, false, false, None, true)]
    #[case::nothing_applied_yet(true, true, false, None, false)]
    #[case::only_the_inventory(true, true, true, None, true)]
    #[case::installed(true, true, true, Some(Inventory::default()), false)]
    fn a_lost_inventory_is_told_from_one_that_never_was(
        #[case] has_finalizer: bool,
        #[case] has_conditions: bool,
        #[case] is_active: bool,
        #[case] inventory: Option<Inventory>,
        #[case] expected: bool,
    ) {
        let mut object = deployment("etcd");
        if has_finalizer {
            object.metadata.finalizers = Some(vec![FINALIZER_BUNDLE_DEPLOYMENT.to_owned()]);
        }
        let mut status = BundleDeploymentStatus {
            active_bundle: is_active.then(|| "etcd-1".to_owned()),
            inventory,
            ..BundleDeploymentStatus::default()
        };
        if has_conditions {
            let list = &mut status.conditions;
            let now = Timestamp::UNIX_EPOCH;
            conditions::set(list, HAS_VALID_BUNDLE, true, "A", "", None, now);
        }
        object.status = (has_conditions || is_active).then_some(status);
        assert_eq!(is_lost(&object), expected);
    }
}
