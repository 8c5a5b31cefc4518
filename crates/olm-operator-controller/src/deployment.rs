//! The BundleDeployment of an Operator: what is written into it, and what is read back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference};
use kube::{Resource, ResourceExt};
use olm_api::bundle::{Bundle, BundleSource, BundleSpec, ImageSource};
use olm_api::bundle_deployment::{
    BundleDeployment, BundleDeploymentSpec, BundleTemplate, TemplateMetadata,
};
use olm_api::operator::{BundleIdentity, Operator};
use olm_api::{annotations, conditions, names};
use olm_resolver::Declared;
use serde::{Deserialize, Serialize};

use crate::messages;

/// An API that a bundle provides, as it stands in an annotation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Api {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
}

/// A bundle that a BundleDeployment is to hold, or holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Wanted {
    pub(crate) identity: BundleIdentity,
    pub(crate) media_type: Option<String>,
    pub(crate) apis: Vec<Api>,
    /// What it declares; its APIs are not in it. `None` where that is not known.
    pub(crate) declared: Option<Declared>,
}

impl Wanted {
    /// Everything that it declares, for others to be judged by.
    pub(crate) fn declares(&self) -> Option<Declared> {
        let mut declared = self.declared.clone()?;
        let apis = self.apis.iter().cloned();
        declared.provides = apis.map(Api::into).collect();
        Some(declared)
    }
}

impl From<Api> for olm_resolver::Api {
    fn from(api: Api) -> Self {
        let Api {
            group,
            version,
            kind,
        } = api;
        Self {
            group,
            version,
            kind,
        }
    }
}

impl From<olm_resolver::Api> for Api {
    fn from(api: olm_resolver::Api) -> Self {
        let olm_resolver::Api {
            group,
            version,
            kind,
        } = api;
        Self {
            group,
            version,
            kind,
        }
    }
}

/// Longest record of what a bundle declares, in bytes: an object may have 256 KiB of annotations.
const MAX_DECLARED: usize = 64 << 10;

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
                            ..ImageSource::default()
                        }),
                        ..BundleSource::default()
                    },
                },
            },
            config: operator.spec.config.clone().filter(|c| !c.is_empty()),
            install_namespace: operator.spec.install_namespace.clone(),
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
    let mut facts = BTreeMap::from(
        [
            (annotations::PACKAGE, identity.package.clone()),
            (annotations::BUNDLE_NAME, identity.name.clone()),
            (annotations::BUNDLE_VERSION, identity.version.clone()),
            (annotations::PROVIDED_APIS, apis),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(text) = wanted.declared.as_ref().and_then(record) {
        facts.insert(annotations::DECLARED.to_owned(), text);
    }
    facts
}

/// What a bundle declares, as it stands in an annotation. Where it is too long, properties that only
/// rules look at are left out, and then the whole: it is then judged by what catalogs say of it.
fn record(declared: &Declared) -> Option<String> {
    let mut declared = Declared {
        provides: Vec::new(),
        ..declared.clone()
    };
    let write = |declared: &Declared| {
        let text = serde_json::to_string(declared).ok()?;
        (text.len() <= MAX_DECLARED).then_some(text)
    };
    write(&declared).or_else(|| {
        declared.properties.clear();
        write(&declared)
    })
}

/// What annotations, the image beside them and a provisioner class say of a bundle.
fn recorded_in(annotations: &BTreeMap<String, String>, spec: &BundleSpec) -> Option<Wanted> {
    let plain = spec.provisioner_class_name == names::PROVISIONER_PLAIN;
    let text = annotations.get(annotations::DECLARED);
    Some(Wanted {
        identity: identity(annotations, image(spec))?,
        media_type: plain.then(|| "plain+v0".to_owned()),
        apis: apis_in(annotations),
        declared: text.and_then(|text| serde_json::from_str(text).ok()),
    })
}

/// The bundle that the BundleDeployment asks for, with all that is recorded of it.
pub(crate) fn recorded(deployment: &BundleDeployment) -> Option<Wanted> {
    let spec = &deployment.spec.template.spec;
    recorded_in(deployment.annotations(), spec)
}

/// The bundle that the Bundle `bundle` was made for, with all that is recorded of it.
pub(crate) fn recorded_of(bundle: &Bundle) -> Option<Wanted> {
    recorded_in(bundle.annotations(), &bundle.spec)
}

/// When what the BundleDeployment asks for was asked for first.
pub(crate) fn requested_at(deployment: &BundleDeployment) -> Option<Timestamp> {
    let text = deployment.annotations().get(annotations::REQUESTED_AT)?;
    text.parse().ok()
}

/// Notes in `desired` when it was asked for first: `now`, unless `current` asks for the same.
pub(crate) fn note_time(
    desired: &mut BundleDeployment,
    current: Option<&BundleDeployment>,
    now: Timestamp,
) {
    let before = current
        .filter(|current| current.spec == desired.spec)
        .and_then(requested_at);
    let time = before.unwrap_or(now);
    let key = annotations::REQUESTED_AT.to_owned();
    desired.annotations_mut().insert(key, time.to_string());
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

fn apis_in(annotations: &BTreeMap<String, String>) -> Vec<Api> {
    annotations
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
    active_bundle(deployment).is_some() && is_settled(deployment)
}

/// Whether nothing but another request can help, as rukpak says.
pub(crate) fn is_stalled(deployment: &BundleDeployment) -> bool {
    condition(deployment, conditions::STALLED).is_some_and(|c| c.status == "True")
}

/// Whether what runs is as the BundleDeployment asks for it now, configuration and all.
pub(crate) fn is_settled(deployment: &BundleDeployment) -> bool {
    condition(deployment, conditions::INSTALLED).is_some_and(|c| c.status == "True")
}

/// Whether installing what the BundleDeployment asks for was tried and failed.
pub(crate) fn has_failed(deployment: &BundleDeployment) -> bool {
    condition(deployment, conditions::INSTALLED).is_some_and(|c| c.status == "False")
        || condition(deployment, conditions::HAS_VALID_BUNDLE).is_some_and(|c| c.status == "False")
}

/// Whether the bundle that the BundleDeployment asks for is installed and works.
pub(crate) fn is_working(deployment: &BundleDeployment) -> bool {
    is_installed(deployment)
        && condition(deployment, conditions::HEALTHY).is_none_or(|c| c.status != "False")
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
            declared: Some(Declared {
                labels: vec!["gold".to_owned()],
                ..Declared::default()
            }),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let deployment = desired(&operator(), &wanted()).unwrap();
        assert_eq!(requested(&deployment), Some(wanted().identity));
        assert_eq!(
            recorded(&deployment),
            Some(Wanted {
                media_type: None,
                ..wanted()
            })
        );
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
