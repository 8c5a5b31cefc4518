//! Operators that are made because others require their packages.
//!
//! Such an Operator has a label as long as nobody else has a say in its spec, and an annotation that
//! names who requires it. It is made once and never deleted by this controller.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{Operator, OperatorSpec};
use olm_api::{annotations, labels, names};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::decide::Make;
use crate::deployment;
use crate::error::PassError;

/// Letters of a package's name that stay in the name of its Operator where that would be too long.
const KEPT: usize = 36;
/// Longest name of a channel in an Operator.
const MAX_CHANNEL: usize = 48;

/// The name of the Operator that is made for a package: that of the package, or where it is too long
/// the beginning of it and a hash of the whole.
pub(crate) fn name(package: &str) -> String {
    if package.len() <= names::BUNDLE_DEPLOYMENT_NAME_MAX {
        return package.to_owned();
    }
    let kept: String = package.chars().take(KEPT).collect();
    let hash = hex::encode(Sha256::digest(package));
    format!("{kept}-{}", &hash[..8])
}

/// What came of making an Operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is there.
    There,
    /// It cannot be made as long as something is in the way; what.
    Blocked(String),
}

/// Makes the Operator for a package.
///
/// # Errors
///
/// When the API server does not take it.
pub(crate) async fn make(client: &Client, make: &Make) -> Result<Made, PassError> {
    let operator = wanted(make);
    let name = operator.name_any();
    let failed = |source| PassError::Dependency {
        name: name.clone(),
        source,
    };
    let api = Api::<Operator>::all(client.clone());
    if let Some(found) = api.get_opt(&name).await.map_err(failed)? {
        // Another pass made it: the next decision takes it into account.
        if found.spec.package_name == make.package {
            return Ok(Made::There);
        }
        return Ok(Made::Blocked(format!(
            "an Operator of this name is there for package {:?}; make one for package {:?} under \
             another name",
            found.spec.package_name, make.package
        )));
    }
    let deployments = Api::<BundleDeployment>::all(client.clone());
    if let Some(found) = deployments.get_opt(&name).await.map_err(failed)? {
        // The Operator before it was deleted; it is made again after the uninstall.
        let why = match deployment::owning_operator(&found) {
            Some(_) => "what was installed under this name is being removed".to_owned(),
            None => format!("bundledeployment {name:?} exists and belongs to somebody else"),
        };
        return Ok(Made::Blocked(why));
    }
    let params = PostParams {
        field_manager: Some(names::MANAGER_OPERATOR_CONTROLLER.to_owned()),
        ..PostParams::default()
    };
    match api.create(&params, &operator).await {
        Ok(_) => Ok(Made::There),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Made::There),
        Err(source) => Err(failed(source)),
    }
}

fn wanted(make: &Make) -> Operator {
    let spec = OperatorSpec {
        package_name: make.package.clone(),
        channel: make.channel.clone().filter(|channel| is_channel(channel)),
        ..OperatorSpec::default()
    };
    let mut operator = Operator::new(&name(&make.package), spec);
    operator.metadata.labels = Some(BTreeMap::from([(
        labels::DEPENDENCY.to_owned(),
        "true".to_owned(),
    )]));
    operator.metadata.annotations = Some(BTreeMap::from([(
        annotations::REQUIRED_BY.to_owned(),
        make.required_by.join(","),
    )]));
    operator
}

/// Whether an Operator may name the channel.
fn is_channel(channel: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    channel.len() <= MAX_CHANNEL && channel.split(['.', '-']).all(is_word)
}

/// Whether the Operator was made by this controller and is nobody else's.
pub(crate) fn is_made(operator: &Operator) -> bool {
    operator.labels().contains_key(labels::DEPENDENCY)
}

/// Keeps the marks of an Operator that was made: who requires it, and whether it is still nobody
/// else's.
///
/// # Errors
///
/// When the API server cannot be asked or told.
pub(crate) async fn mark(
    client: &Client,
    operator: &Operator,
    required_by: &[String],
) -> Result<(), PassError> {
    let name = operator.name_any();
    let api = Api::<Operator>::all(client.clone());
    let failed = |source| PassError::Dependency {
        name: name.clone(),
        source,
    };
    // Who has a say in the spec is not kept in the cache.
    let Some(current) = api.get_opt(&name).await.map_err(failed)? else {
        return Ok(());
    };
    if !is_made(&current) || current.uid() != operator.uid() {
        return Ok(());
    }
    let names = required_by.join(",");
    let metadata = if is_taken(&current) {
        json!({
            "labels": {labels::DEPENDENCY: null},
            "annotations": {annotations::REQUIRED_BY: null},
        })
    } else if current.annotations().get(annotations::REQUIRED_BY) == Some(&names) {
        return Ok(());
    } else {
        json!({"annotations": {annotations::REQUIRED_BY: names}})
    };
    let body = json!({"metadata": metadata});
    let params = PatchParams {
        field_manager: Some(names::MANAGER_OPERATOR_CONTROLLER.to_owned()),
        ..PatchParams::default()
    };
    match api.patch(&name, &params, &Patch::Merge(&body)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(source) => Err(failed(source)),
    }
}

/// Whether someone else has a field of the spec.
fn is_taken(operator: &Operator) -> bool {
    let managers = operator.metadata.managed_fields.iter().flatten();
    managers
        .filter(|entry| entry.manager.as_deref() != Some(names::MANAGER_OPERATOR_CONTROLLER))
        .filter(|entry| entry.subresource.as_deref().unwrap_or_default().is_empty())
        .filter_map(|entry| entry.fields_v1.as_ref())
        .filter_map(|fields| fields.0.get("f:spec"))
        .any(|spec| spec.as_object().is_some_and(|fields| !fields.is_empty()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn long_names_of_packages_are_cut_and_stay_apart() {
        assert_eq!(name("etcd"), "etcd");
        let (one, other) = ("a".repeat(46), "a".repeat(47));
        assert_eq!(name(&one).len(), 45);
        assert!(name(&one).starts_with(&format!("{}-", "a".repeat(36))));
        assert_ne!(name(&one), name(&other));
    }

    #[test]
    fn a_channel_that_no_operator_may_name_is_left_out() {
        let channel = |channel: &str| {
            let make = Make {
                package: "p".to_owned(),
                channel: Some(channel.to_owned()),
                required_by: Vec::new(),
            };
            wanted(&make).spec.channel
        };
        assert_eq!(channel("stable-3.8"), Some("stable-3.8".to_owned()));
        for odd in ["Stable", "a_b", "a..b", "-a", &"a".repeat(49)] {
            assert_eq!(channel(odd), None);
        }
    }

    #[test]
    fn whoever_has_a_field_of_the_spec_has_taken_it() {
        let with = |manager: &str, subresource: &str, fields: serde_json::Value| {
            let make = Make {
                package: "p".to_owned(),
                channel: None,
                required_by: vec!["a".to_owned()],
            };
            let mut operator = wanted(&make);
            operator.metadata.managed_fields = serde_json::from_value(json!([{
                "manager": manager, "subresource": subresource, "fieldsV1": fields,
            }]))
            .unwrap();
            is_taken(&operator)
        };
        let channel = || json!({"f:spec": {"f:channel": {}}});
        assert!(with("kubectl-edit", "", channel()));
        assert!(!with("operator-controller", "", channel()));
        assert!(!with("kubectl-label", "", json!({"f:metadata": {}})));
        assert!(!with("someone", "status", json!({"f:status": {}})));
    }
}
