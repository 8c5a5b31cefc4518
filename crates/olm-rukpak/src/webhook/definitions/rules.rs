//! What of a changed definition has to be looked at, and the words for what is wrong: those of the
//! upstream webhook, to the letter.

use std::collections::{BTreeMap, BTreeSet};

use olm_api::annotations::SAFE_CRD_UPGRADE_VALIDATION;
use serde_json::Value;

/// What is needed of a definition.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) list_kind: String,
    pub(super) plural: String,
    versions: BTreeMap<String, Version>,
    stored: BTreeSet<String>,
    has_webhook: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Version {
    served: bool,
    schema: Value,
}

/// The custom resources at one version, and the schemas that each of them must satisfy, with their
/// versions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) version: String,
    pub(super) schemas: Vec<(String, Value)>,
}

impl Definition {
    pub(super) fn read(object: &Value) -> Result<Self, &'static str> {
        let spec = &object["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let versions = spec["versions"]
            .as_array()
            .ok_or("spec.versions is not a list")?;
        let stored = object["status"]["storedVersions"].as_array();
        Ok(Self {
            name: text(&object["metadata"]["name"]),
            group: text(&spec["group"]),
            kind: text(&spec["names"]["kind"]),
            list_kind: text(&spec["names"]["listKind"]),
            plural: text(&spec["names"]["plural"]),
            versions: versions
                .iter()
                .map(|version| {
                    let schema = version["schema"]["openAPIV3Schema"].clone();
                    let served = version["served"] == true;
                    (text(&version["name"]), Version { served, schema })
                })
                .collect(),
            stored: stored.into_iter().flatten().map(text).collect(),
            has_webhook: spec["conversion"]["strategy"] == "Webhook",
        })
    }
}

/// What has to be looked at where `new` replaces `old`.
///
/// Custom resources at a version that both serve must satisfy its schema where that changed, and
/// those of every version that comes, unless a webhook converts between them.
///
/// # Errors
///
/// Why it must not replace it, whatever custom resources there are.
pub(super) fn looks(old: &Definition, new: &Definition) -> Result<Vec<Look>, String> {
    let removed = old
        .versions
        .keys()
        .filter(|name| !new.versions.contains_key(*name));
    let removed: Vec<&str> = removed
        .filter(|name| old.stored.contains(*name))
        .map(String::as_str)
        .collect();
    if !removed.is_empty() {
        let text = format!("cannot remove stored versions [{}]", removed.join(" "));
        return Err(existing(&old.name, &text));
    }
    let added: Vec<(String, Value)> = new
        .versions
        .iter()
        .filter(|(name, _)| !new.has_webhook && !old.versions.contains_key(*name))
        .map(|(name, version)| (name.clone(), version.schema.clone()))
        .collect();
    let mut looks = Vec::new();
    for (name, before) in old.versions.iter().filter(|(_, version)| version.served) {
        let Some(after) = new.versions.get(name) else {
            continue;
        };
        let mut schemas = Vec::new();
        if before.schema != after.schema {
            schemas.push((name.clone(), after.schema.clone()));
        }
        schemas.extend(added.iter().cloned());
        if !schemas.is_empty() {
            let version = name.clone();
            looks.push(Look { version, schemas });
        }
    }
    Ok(looks)
}

/// Whether `new` has every version that objects may be stored in.
///
/// # Errors
///
/// The first version that it has not.
pub(super) fn stored_versions(old: &Definition, new: &Definition) -> Result<(), String> {
    match old
        .stored
        .iter()
        .find(|name| !new.versions.contains_key(*name))
    {
        None => Ok(()),
        Some(version) => Err(format!(
            "risk of data loss updating \"{}\": new CRD removes version {version} that is listed as a stored version on the existing CRD",
            old.name
        )),
    }
}

/// The whole denial.
pub(super) fn refusal(operation: &str, name: &str, error: &str) -> String {
    format!(
        "failed to validate safety of {operation} for CRD \"{name}\" (NOTE: to disable this validation, set the \"{SAFE_CRD_UPGRADE_VALIDATION}\" annotation to \"false\"): {error}"
    )
}

/// What precedes everything about custom resources that exist.
pub(super) fn existing(name: &str, error: &str) -> String {
    format!("error validating existing CRs against new CRD's schema for \"{name}\": {error}")
}

/// A custom resource does not satisfy the schema of `version`.
pub(super) fn broken(name: &str, object: &Value, version: &str, errors: &[String]) -> String {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let errors = match errors {
        [error] => error.clone(),
        errors => format!("[{}]", errors.join(", ")),
    };
    let error = format!(
        "existing custom object {}/{} failed validation for new schema version {version}: {errors}",
        text("namespace"),
        text("name")
    );
    existing(name, &error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn definition(versions: &[(&str, bool, u32)], stored: &[&str], strategy: &str) -> Definition {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(name, served, maximum)| {
                json!({"name": name, "served": served,
                       "schema": {"openAPIV3Schema": {"maximum": maximum}}})
            })
            .collect();
        Definition::read(&json!({
            "metadata": {"name": "things.x.io"},
            "spec": {"group": "x.io", "versions": versions, "conversion": {"strategy": strategy},
                     "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things"}},
            "status": {"storedVersions": stored}}))
        .unwrap()
    }

    #[rstest]
    #[case::same(&[("v1", true, 1)], "None", &[])]
    #[case::changed(&[("v1", true, 2)], "None", &["v1: v1"])]
    #[case::added(&[("v1", true, 1), ("v2", true, 2)], "None", &["v1: v2"])]
    #[case::both(&[("v1", true, 2), ("v2", true, 2)], "None", &["v1: v1 v2"])]
    #[case::converted(&[("v1", true, 2), ("v2", true, 2)], "Webhook", &["v1: v1"])]
    fn only_what_changes_is_looked_at(
        #[case] versions: &[(&str, bool, u32)],
        #[case] strategy: &str,
        #[case] expected: &[&str],
    ) {
        let old = definition(&[("v1", true, 1), ("v0", true, 1)], &["v1"], "None");
        let new = definition(versions, &[], strategy);
        let looks: Vec<String> = looks(&old, &new)
            .unwrap()
            .iter()
            .map(|look| {
                let names: Vec<&str> = look.schemas.iter().map(|(name, _)| name.as_str()).collect();
                format!("{}: {}", look.version, names.join(" "))
            })
            .collect();
        assert_eq!(looks, expected);
        assert_eq!(stored_versions(&old, &new), Ok(()));
    }

    #[test]
    fn a_version_that_was_not_served_has_no_custom_resources_to_look_at() {
        let old = definition(&[("v1", false, 1)], &[], "None");
        assert_eq!(
            looks(&old, &definition(&[("v1", true, 2)], &[], "None")),
            Ok(vec![])
        );
    }

    #[test]
    fn stored_versions_stay() {
        let old = definition(&[("v1", true, 1), ("v0", true, 1)], &["v0", "v1"], "None");
        let new = definition(&[("v2", true, 1)], &[], "None");
        assert_eq!(
            looks(&old, &new).unwrap_err(),
            "error validating existing CRs against new CRD's schema for \"things.x.io\": cannot \
             remove stored versions [v0 v1]"
        );
        assert_eq!(
            stored_versions(&old, &new).unwrap_err(),
            "risk of data loss updating \"things.x.io\": new CRD removes version v0 that is listed \
             as a stored version on the existing CRD"
        );
    }

    #[test]
    fn a_denial_names_the_custom_resource_and_the_way_around() {
        let object = json!({"metadata": {"name": "a"}});
        let error = broken("things.x.io", &object, "v1", &["x".into(), "y".into()]);
        assert_eq!(
            refusal("UPDATE", "things.x.io", &error),
            "failed to validate safety of UPDATE for CRD \"things.x.io\" (NOTE: to disable this \
             validation, set the \"core.rukpak.io/safe-crd-upgrade-validation\" annotation to \
             \"false\"): error validating existing CRs against new CRD's schema for \"things.x.io\": \
             existing custom object /a failed validation for new schema version v1: [x, y]"
        );
    }

    #[test]
    fn what_is_no_definition_is_not_decoded() {
        assert_eq!(
            Definition::read(&json!({})),
            Err("spec.versions is not a list")
        );
    }
}
