//! What a bundle can be installed with, and its author should know.

use std::collections::BTreeSet;

use olm_semver::Version;
use olm_tree::Tree;
use serde_json::Value;

use super::locate::in_description;
use super::report::{Place, Report};
use crate::manifests::Manifest;
use crate::registry_v1::{Bundle, subdomain_problems};

/// What of the ClusterServiceVersion is not kept when it is loaded.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Where each one is.
    descriptions: Vec<Place>,
    min_kube_version: Option<String>,
    properties: bool,
}

impl Sources {
    pub(super) fn of(manifests: &[Manifest]) -> Self {
        let mut sources = Self::default();
        for manifest in manifests {
            if manifest.kind() == "ClusterServiceVersion" {
                sources.descriptions.push(manifest.place());
                let text = |path: &str| {
                    let value = manifest.object.pointer(path);
                    value.and_then(Value::as_str).map(str::to_owned)
                };
                sources.min_kube_version = text("/spec/minKubeVersion");
                sources.properties = text("/metadata/annotations/olm.properties").is_some();
            }
        }
        sources
    }
}

pub(super) fn check(bundle: &Bundle, sources: &Sources, tree: &dyn Tree, report: &mut Report) {
    let described = |marks: &[&str]| in_description(bundle, tree, marks);
    for place in sources.descriptions.iter().rev().skip(1) {
        let problem = "another ClusterServiceVersion comes later and counts instead".to_owned();
        report.warning(place.clone(), problem);
    }
    for reason in subdomain_problems(bundle.csv_name()) {
        let problem = format!("metadata.name {:?}: {reason}", bundle.csv_name());
        report.warning(described(&["metadata", bundle.csv_name()]), problem);
    }
    let modes = &bundle.csv.spec.install_modes;
    let mut seen = BTreeSet::new();
    if modes.is_empty() {
        report.warning(bundle.place(), "install modes not found".to_owned());
    }
    if modes.iter().any(|mode| !seen.insert(mode.kind.as_str())) {
        let problem = "duplicate install modes present".to_owned();
        report.warning(described(&["installModes"]), problem);
    }
    if let Some(version) = &sources.min_kube_version
        && Version::parse_tolerant(version).is_err()
    {
        let problem = format!("csv.Spec.MinKubeVersion has an invalid value: {version}");
        report.warning(described(&["minKubeVersion"]), problem);
    }
    if sources.properties {
        let problem =
            "the annotation olm.properties belongs into metadata/properties.yaml".to_owned();
        report.warning(described(&["olm.properties"]), problem);
    }
    check_examples(bundle, &described(&["alm-examples"]), report);
    let owned: BTreeSet<&str> = bundle
        .csv
        .spec
        .customresourcedefinitions
        .owned
        .iter()
        .map(|crd| crd.name.as_str())
        .collect();
    for crd in bundle.crds.iter().filter(|crd| !owned.contains(crd.name())) {
        let problem = format!(
            "CRD {:?} is present in bundle {:?} but not defined in CSV",
            crd.name(),
            bundle.csv_name()
        );
        report.warning(crd.place(), problem);
    }
    check_accounts(bundle, report);
}

/// The examples that consoles show.
fn check_examples(bundle: &Bundle, place: &Place, report: &mut Report) {
    let Some(text) = bundle.annotations().get("alm-examples") else {
        return;
    };
    let Ok(examples) = serde_json::from_str::<Vec<Value>>(text) else {
        let problem = "the annotation alm-examples is no JSON list".to_owned();
        report.warning(place.clone(), problem);
        return;
    };
    let provided: BTreeSet<(String, String)> = bundle
        .provided_apis()
        .into_iter()
        .map(|api| (format!("{}/{}", api.group, api.version), api.kind))
        .collect();
    for example in &examples {
        let text = |key: &str| example[key].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let problem = if version.is_empty() {
            "'apiVersion' is missing"
        } else if kind.is_empty() {
            "'kind' is missing"
        } else if provided.contains(&(version, kind)) {
            continue;
        } else {
            "example must have a provided API"
        };
        report.warning(place.clone(), format!("alm-examples: {problem}"));
    }
}

/// Accounts of the operator that other tools want to make themselves.
fn check_accounts(bundle: &Bundle, report: &mut Report) {
    let used: BTreeSet<&str> = bundle
        .csv
        .spec
        .install
        .spec
        .deployments
        .iter()
        .filter_map(|deployment| {
            let pod = deployment.spec.template.spec.as_ref()?;
            pod.service_account_name.as_deref()
        })
        .collect();
    for manifest in &bundle.others {
        if manifest.kind() == "ServiceAccount" && used.contains(manifest.name()) {
            let problem = format!(
                "invalid service account found in bundle. This service account {} in your bundle is \
                 not valid: a Deployment of the operator uses it, and other tools make it \
                 themselves",
                manifest.name()
            );
            report.warning(manifest.place(), problem);
        }
    }
}
