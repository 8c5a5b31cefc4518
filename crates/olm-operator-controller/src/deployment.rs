//! The BundleDeployment of an Operator: what is written into it, and what is read back.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference};
use kube::{Resource, ResourceExt};
use olm_api::bundle::{Bundle, BundleSource, BundleSpec, ImageSource};
use olm_api::bundle_deployment::{
    BundleDeployment, BundleDeploymentSpec, BundleTemplate, TemplateMetadata,
};
use olm_api::operator::{BundleIdentity, Operator};
use olm_api::{annotations, conditions, names};
use serde::{Deserialize, Serialize};

use crate::messages;

/// An API that a bundle provides, as it stands in an annotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

/// The bundle that a BundleDeployment is to hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) identity: BundleIdentity,
    pub(crate) media_type: Option<String>,
    pub(crate) apis: Vec<Api>,
}

/// The provisioner class for a media type.
///
/// # Errors
///
/// The text of the condition, for a media type that no provisioner knows.
pub(crate) fn provisioner_class(media_type: Option<&str>) -> Result<&'static str, String> {
    match media_type.unwrap_or_default() {
        "plain+v0" => Ok(names::PROVISIONER_PLAIN),
        "registry+v1" | "" => Ok(names::PROVISIONER_REGISTRY),
        other => Err(messages::unknown_media_type(other)),
    }
}

/// The BundleDeployment that `operator` needs for `wanted`, complete for a server-side apply.
///
/// # Errors
///
/// The text of the condition, for a bundle of an unknown format.
pub(crate) fn desired(operator: &Operator, wanted: &Wanted) -> Result<BundleDeployment, String> {
    let class = provisioner_class(wanted.media_type.as_deref())?;
    let identity = &wanted.identity;
    // What the bundle is stands on the template too, and so on the Bundle that runs, which says what
    // is installed while the BundleDeployment already asks for the next one.
    let facts = facts(wanted);
    let mut deployment = BundleDeployment::new(
        &operator.name_any(),
        BundleDeploymentSpec {
            provisioner_class_name: names::PROVISIONER_PLAIN.to_owned(),
            template: BundleTemplate {
                metadata: Some(TemplateMetadata {
                    annotations: Some(facts.clone()),
                    ..TemplateMetadata::default()
                }),
                spec: BundleSpec {
                    provisioner_class_name: class.to_owned(),
                    source: BundleSource {
                        kind: "image".to_owned(),
                        image: Some(ImageSource {
                            reference: identity.image.clone(),
                            pull_secret: None,
                        }),
                        ..BundleSource::default()
                    },
                },
            },
            config: None,
            install_namespace: None,
            crd_upgrade_safety: given(operator.spec.crd_upgrade_safety),
            crd_deletion_policy: given(operator.spec.crd_deletion_policy),
        },
    );
    let all = deployment.annotations_mut();
    all.extend(facts);
    let mut optional = |key: &str, value: &Option<String>| {
        if let Some(value) = value {
            all.insert(key.to_owned(), value.clone());
        }
    };
    optional(annotations::CHANNEL, &identity.channel);
    optional(annotations::CATALOG, &identity.catalog);
    deployment.metadata.owner_references = operator.controller_owner_ref(&()).map(|mut owner| {
        owner.block_owner_deletion = Some(true);
        vec![owner]
    });
    Ok(deployment)
}

/// A policy as it is handed on: the default is left unsaid, as in BundleDeployments of old.
fn given<T: Default + PartialEq>(policy: T) -> Option<T> {
    (policy != T::default()).then_some(policy)
}

fn facts(wanted: &Wanted) -> BTreeMap<String, String> {
    let identity = &wanted.identity;
    let apis = serde_json::to_string(&wanted.apis).unwrap_or_default();
    [
        (annotations::PACKAGE, identity.package.clone()),
        (annotations::BUNDLE_NAME, identity.name.clone()),
        (annotations::BUNDLE_VERSION, identity.version.clone()),
        (annotations::PROVIDED_APIS, apis),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Whether `current` already holds everything that `desired` asks for.
pub(crate) fn holds(current: &BundleDeployment, desired: &BundleDeployment) -> bool {
    let annotations = current.annotations();
    current.spec == desired.spec
        && desired
            .annotations()
            .iter()
            .all(|(key, value)| annotations.get(key) == Some(value))
        && desired
            .owner_references()
            .iter()
            .all(|o| current.owner_references().contains(o))
}

/// The bundle that annotations speak of, with the image beside them; `None` where they do not.
fn identity(annotations: &BTreeMap<String, String>, image: &str) -> Option<BundleIdentity> {
    Some(BundleIdentity {
        name: annotations.get(annotations::BUNDLE_NAME)?.clone(),
        version: annotations.get(annotations::BUNDLE_VERSION)?.clone(),
        package: annotations.get(annotations::PACKAGE)?.clone(),
        channel: annotations.get(annotations::CHANNEL).cloned(),
        catalog: annotations.get(annotations::CATALOG).cloned(),
        image: image.to_owned(),
    })
}

fn image(spec: &BundleSpec) -> &str {
    spec.source
        .image
        .as_ref()
        .map_or("", |image| &image.reference)
}

/// The bundle that the BundleDeployment asks for.
pub(crate) fn requested(deployment: &BundleDeployment) -> Option<BundleIdentity> {
    identity(
        deployment.annotations(),
        image(&deployment.spec.template.spec),
    )
}

/// The bundle that the Bundle `bundle` was made for.
pub(crate) fn of_bundle(bundle: &Bundle) -> Option<BundleIdentity> {
    identity(bundle.annotations(), image(&bundle.spec))
}

/// The APIs that the bundle asked for provides.
pub(crate) fn provided_apis(deployment: &BundleDeployment) -> Vec<Api> {
    deployment
        .annotations()
        .get(annotations::PROVIDED_APIS)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// A condition of the BundleDeployment, where it speaks of the current generation.
///
/// A condition without a generation of its own speaks of the one that the status as a whole does.
pub(crate) fn condition<'a>(deployment: &'a BundleDeployment, kind: &str) -> Option<&'a Condition> {
    let status = deployment.status.as_ref()?;
    let generation = deployment.metadata.generation;
    let condition = olm_runtime::conditions::get(&status.conditions, kind)?;
    let observed = condition.observed_generation.or(status.observed_generation);
    (observed == generation).then_some(condition)
}

/// Whether the bundle that the BundleDeployment asks for is the one that is installed.
pub(crate) fn is_installed(deployment: &BundleDeployment) -> bool {
    active_bundle(deployment).is_some()
        && condition(deployment, conditions::INSTALLED).is_some_and(|c| c.status == "True")
}

/// Whether installing what the BundleDeployment asks for was tried and failed.
pub(crate) fn has_failed(deployment: &BundleDeployment) -> bool {
    condition(deployment, conditions::INSTALLED).is_some_and(|c| c.status == "False")
        || condition(deployment, conditions::HAS_VALID_BUNDLE).is_some_and(|c| c.status == "False")
}

/// The name of the Bundle that runs.
pub(crate) fn active_bundle(deployment: &BundleDeployment) -> Option<&str> {
    deployment
        .status
        .as_ref()?
        .active_bundle
        .as_deref()
        .filter(|name| !name.is_empty())
}

/// The owner that controls the BundleDeployment.
pub(crate) fn controller(deployment: &BundleDeployment) -> Option<&OwnerReference> {
    deployment
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true))
}

/// Whether `operator` controls the BundleDeployment.
pub(crate) fn is_controlled_by(deployment: &BundleDeployment, operator: &Operator) -> bool {
    controller(deployment).is_some_and(|owner| Some(&owner.uid) == operator.uid().as_ref())
}

/// The name of the Operator that controls the BundleDeployment.
pub(crate) fn owning_operator(deployment: &BundleDeployment) -> Option<String> {
    let owner = controller(deployment)?;
    let group = owner.api_version.split('/').next().unwrap_or_default();
    (owner.kind == Operator::kind(&()) && group == Operator::group(&())).then(|| owner.name.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_api::bundle_deployment::BundleDeploymentStatus;
    use olm_api::operator::OperatorSpec;

    use super::*;

    fn operator() -> Operator {
        let mut operator = Operator::new(
            "etcd",
            OperatorSpec {
                package_name: "etcd".to_owned(),
                ..OperatorSpec::default()
            },
        );
        operator.metadata.uid = Some("u1".to_owned());
        operator
    }

    fn wanted() -> Wanted {
        Wanted {
            identity: BundleIdentity {
                name: "etcd.v1.0.0".to_owned(),
                version: "1.0.0".to_owned(),
                package: "etcd".to_owned(),
                channel: Some("alpha".to_owned()),
                catalog: Some("community".to_owned()),
                image: "r/etcd@sha256:1".to_owned(),
            },
            media_type: None,
            apis: vec![Api {
                group: "etcd.io".to_owned(),
                version: "v1".to_owned(),
                kind: "Etcd".to_owned(),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let deployment = desired(&operator(), &wanted()).unwrap();
        assert_eq!(requested(&deployment), Some(wanted().identity));
        assert_eq!(provided_apis(&deployment), wanted().apis);
        assert!(is_controlled_by(&deployment, &operator()));
        assert_eq!(owning_operator(&deployment).as_deref(), Some("etcd"));
        assert!(holds(&deployment, &deployment));
    }

    #[test]
    fn the_shape_is_the_one_that_rukpak_expects() {
        let deployment = desired(&operator(), &wanted()).unwrap();
        assert_eq!(
            deployment.spec.provisioner_class_name,
            "core-rukpak-io-plain"
        );
        let template = &deployment.spec.template.spec;
        assert_eq!(template.provisioner_class_name, "core-rukpak-io-registry");
        assert_eq!(template.source.kind, "image");
        let owner = controller(&deployment).unwrap();
        assert_eq!(owner.block_owner_deletion, Some(true));
    }

    #[test]
    fn media_types_choose_the_class() {
        assert_eq!(
            provisioner_class(Some("plain+v0")),
            Ok("core-rukpak-io-plain")
        );
        assert_eq!(provisioner_class(None), Ok("core-rukpak-io-registry"));
        assert_eq!(
            provisioner_class(Some("badmedia+v1")),
            Err("unknown bundle mediatype: badmedia+v1".to_owned())
        );
    }

    #[test]
    fn a_condition_of_an_older_generation_says_nothing() {
        let mut deployment = desired(&operator(), &wanted()).unwrap();
        deployment.metadata.generation = Some(2);
        deployment.status = Some(BundleDeploymentStatus {
            active_bundle: Some("etcd-1".to_owned()),
            observed_generation: Some(1),
            conditions: vec![Condition {
                type_: "Installed".to_owned(),
                status: "True".to_owned(),
                reason: "InstallationSucceeded".to_owned(),
                message: String::new(),
                last_transition_time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
                observed_generation: None,
            }],
            ..BundleDeploymentStatus::default()
        });
        assert!(!is_installed(&deployment));
        deployment.status.as_mut().unwrap().observed_generation = Some(2);
        assert!(is_installed(&deployment));
    }
}
