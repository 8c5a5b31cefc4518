//! From a template to the Bundle that it stands for: hash, name, labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ObjectMeta;
use kube::{Resource as _, ResourceExt as _};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::{BundleDeployment, BundleTemplate};
use olm_api::{labels, names};

/// The hash of a template: SHA-224 of its JSON in base 36. Any change of labels, annotations or
/// spec changes it; `spec.config` of the deployment is no part of it.
///
/// Only stability from one release to the next matters: a different hash makes every deployment
/// change over to a new Bundle once.
pub(crate) fn hash(template: &BundleTemplate) -> String {
    // A struct of strings, lists and maps with string keys has a JSON form.
    let json = serde_json::to_vec(template).unwrap_or_default();
    olm_bundle::hash::sha224_base36(&json)
}

/// Name of the Bundle that a deployment makes for a template of this hash: at most
/// [`names::BUNDLE_NAME_MAX`] characters, at least six of them from the hash.
pub(crate) fn bundle_name(deployment: &str, hash: &str) -> String {
    let mut name = format!("{deployment}-{hash}");
    name.truncate(names::BUNDLE_NAME_MAX);
    name
}

/// The Bundle that the deployment's template stands for.
pub(crate) fn bundle(deployment: &BundleDeployment) -> Bundle {
    let template = &deployment.spec.template;
    let hash = hash(template);
    let owner = deployment.name_any();
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = metadata.labels.unwrap_or_default();
    labels.extend([
        (
            labels::OWNER_KIND.to_owned(),
            labels::OWNER_KIND_BUNDLE_DEPLOYMENT.to_owned(),
        ),
        (labels::OWNER_NAME.to_owned(), owner.clone()),
        (labels::BUNDLE_TEMPLATE_HASH.to_owned(), hash.clone()),
    ]);
    let mut bundle = Bundle::new(&bundle_name(&owner, &hash), template.spec.clone());
    bundle.metadata = ObjectMeta {
        labels: Some(labels),
        annotations: metadata.annotations,
        owner_references: Some(vec![owner_reference(deployment)]),
        ..bundle.metadata
    };
    bundle
}

fn owner_reference(deployment: &BundleDeployment) -> OwnerReference {
    OwnerReference {
        api_version: BundleDeployment::api_version(&()).into_owned(),
        kind: BundleDeployment::kind(&()).into_owned(),
        name: deployment.name_any(),
        uid: deployment.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// Whether the deployment made this Bundle: its labels say so, and it is this very deployment and
/// not an earlier one of the same name.
pub(crate) fn owns(deployment: &BundleDeployment, bundle: &Bundle) -> bool {
    let labels = bundle.labels();
    labels
        .get(labels::OWNER_KIND)
        .is_some_and(|kind| kind == labels::OWNER_KIND_BUNDLE_DEPLOYMENT)
        && labels.get(labels::OWNER_NAME) == deployment.metadata.name.as_ref()
        && bundle
            .owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
}

/// Whether the Bundle stands for a template of this hash.
pub(crate) fn matches(bundle: &Bundle, hash: &str) -> bool {
    bundle
        .labels()
        .get(labels::BUNDLE_TEMPLATE_HASH)
        .is_some_and(|label| label == hash)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_api::bundle::{BundleSource, BundleSpec, ImageSource};
    use olm_api::bundle_deployment::{BundleDeploymentSpec, TemplateMetadata};
    use rstest::rstest;

    use super::*;

    pub(crate) fn deployment(name: &str) -> BundleDeployment {
        let mut deployment = BundleDeployment::new(
            name,
            BundleDeploymentSpec {
                provisioner_class_name: names::PROVISIONER_PLAIN.to_owned(),
                template: BundleTemplate {
                    metadata: None,
                    spec: BundleSpec {
                        provisioner_class_name: names::PROVISIONER_REGISTRY.to_owned(),
                        source: BundleSource {
                            kind: "image".to_owned(),
                            image: Some(ImageSource {
                                reference: "quay.io/example/bundle:v1".to_owned(),
                                ..ImageSource::default()
                            }),
                            ..BundleSource::default()
                        },
                    },
                },
                config: None,
                install_namespace: None,
                crd_upgrade_safety: None,
                crd_deletion_policy: None,
            },
        );
        deployment.metadata.uid = Some("uid-1".to_owned());
        deployment.metadata.generation = Some(1);
        deployment
    }

    fn metadata(template: &mut BundleTemplate) -> &mut TemplateMetadata {
        template.metadata.get_or_insert_default()
    }

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_hash_stays_the_same_from_release_to_release() {
        assert_eq!(
            hash(&deployment("etcd").spec.template),
            "1vtqenfnbo13exd6wxscmh117efplmfwzcn8xqovkw47"
        );
    }

    #[rstest]
    #[case::label(|template: &mut BundleTemplate| {
        metadata(template).labels = Some(one("e2e-test", "stub"));
    })]
    #[case::annotation(|template: &mut BundleTemplate| {
        metadata(template).annotations = Some(one("note", "1"));
    })]
    #[case::directory(|template: &mut BundleTemplate| {
        let image = template.spec.source.image.as_mut();
        image.unwrap().directory = Some("deploy".to_owned());
    })]
    #[case::spec(|template: &mut BundleTemplate| {
        template.spec.source.kind = "git".to_owned();
    })]
    fn any_change_of_the_template_asks_for_another_bundle(
        #[case] edit: impl Fn(&mut BundleTemplate),
    ) {
        let first = deployment("etcd");
        let mut edited = first.clone();
        edit(&mut edited.spec.template);
        let (before, after) = (hash(&first.spec.template), hash(&edited.spec.template));
        assert_ne!(before, after);
        assert!(matches(&bundle(&first), &before) && !matches(&bundle(&first), &after));
        assert_ne!(bundle(&first).name_any(), bundle(&edited).name_any());
        // The user's own object is left as it was.
        let untouched = deployment("etcd").spec.template;
        assert_eq!(first.spec.template, untouched);
    }

    #[test]
    fn configuration_is_no_part_of_the_template() {
        let first = deployment("etcd");
        let mut configured = first.clone();
        configured.spec.config = Some(BTreeMap::new());
        assert_eq!(hash(&first.spec.template), hash(&configured.spec.template));
    }

    #[test]
    fn without_the_label_of_the_hash_a_bundle_stands_for_no_template() {
        let first = deployment("etcd");
        let mut other = bundle(&first);
        other.labels_mut().remove(labels::BUNDLE_TEMPLATE_HASH);
        assert!(!matches(&other, &hash(&first.spec.template)));
        other.metadata.labels = None;
        assert!(!matches(&other, &hash(&first.spec.template)) && !owns(&first, &other));
    }

    #[rstest]
    #[case::hyphen("etcd", "etcd-cluster")]
    #[case::hyphens("a-b", "a")]
    fn names_that_begin_alike_are_told_apart(#[case] one: &str, #[case] two: &str) {
        let (one, two) = (deployment(one), deployment(two));
        assert!(owns(&one, &bundle(&one)) && !owns(&one, &bundle(&two)));
        assert!(owns(&two, &bundle(&two)) && !owns(&two, &bundle(&one)));
    }

    #[rstest]
    #[case::short("etcd")]
    #[case::longest("a23456789-123456789-123456789-123456789-12345")]
    fn names_fit_and_keep_six_characters_of_the_hash(#[case] name: &str) {
        let bundle = bundle(&deployment(name));
        let made = bundle.name_any();
        assert!(made.len() <= names::BUNDLE_NAME_MAX);
        assert!(made.starts_with(&format!("{name}-")) && made.len() >= name.len() + 7);
    }

    #[test]
    fn a_generated_bundle_is_owned_by_its_deployment_and_by_no_namesake() {
        let deployment = deployment("etcd");
        let bundle = bundle(&deployment);
        assert!(owns(&deployment, &bundle));
        assert!(matches(&bundle, &hash(&deployment.spec.template)));
        assert_eq!(bundle.spec, deployment.spec.template.spec);
        let owner = bundle.owner_references().first().unwrap().clone();
        assert_eq!(
            (owner.controller, owner.block_owner_deletion),
            (Some(true), Some(true))
        );
        let mut namesake = deployment;
        namesake.metadata.uid = Some("uid-2".to_owned());
        assert!(!owns(&namesake, &bundle));
    }
}
