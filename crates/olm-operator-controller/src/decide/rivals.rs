//! Which of several Operators for one package has it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_api::operator::Operator;
use olm_resolver::{Catalog, choose};

use super::Cluster;
use super::there::There;
use super::wish::Wish;
use crate::deployment;

/// How good the claim of an Operator to its package is; the best comes first.
///
/// What is installed, or is being installed, stays with its Operator: so the answer does not change
/// back and forth with what the catalogs offer. An Operator that cannot succeed stands back behind
/// one that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// A bundle of the package runs for it.
    Runs,
    /// It has a BundleDeployment for the package.
    HandedOver,
    /// A bundle can be chosen for it.
    Possible,
    /// None can.
    Hopeless,
}

/// The names of the Operators that have their packages, for packages that several ask for: the one
/// with the best claim, among equals the oldest, among those of one second the first by name.
pub(super) fn holders(
    cluster: &Cluster,
    models: &[&Catalog],
    looked: &[(&Operator, Option<&BundleDeployment>, There)],
) -> BTreeMap<String, String> {
    let mut asking: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (place, (operator, ..)) in looked.iter().enumerate() {
        let places = asking.entry(&operator.spec.package_name).or_default();
        places.push(place);
    }
    asking
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .filter_map(|(package, places)| {
            let ranks = places.into_iter().map(|place| {
                let (operator, deployment, _) = &looked[place];
                rank(cluster, models, operator, *deployment)
            });
            let (_, _, name) = ranks.min()?;
            Some((package.to_owned(), name))
        })
        .collect()
}

type Rank = (Claim, Option<Time>, String);

fn rank(
    cluster: &Cluster,
    models: &[&Catalog],
    operator: &Operator,
    deployment: Option<&BundleDeployment>,
) -> Rank {
    let created = operator.metadata.creation_timestamp.clone();
    let claim = claim(cluster, models, operator, deployment);
    (claim, created, operator.name_any())
}

fn claim(
    cluster: &Cluster,
    models: &[&Catalog],
    operator: &Operator,
    deployment: Option<&BundleDeployment>,
) -> Claim {
    let of_package = deployment.filter(|deployment| {
        deployment::is_controlled_by(deployment, operator)
            && deployment::requested(deployment)
                .is_some_and(|asked| asked.package == operator.spec.package_name)
    });
    match of_package {
        Some(deployment) if deployment::active_bundle(deployment).is_some() => Claim::Runs,
        Some(_) => Claim::HandedOver,
        None if is_possible(cluster, models, operator) => Claim::Possible,
        None => Claim::Hopeless,
    }
}

fn is_possible(cluster: &Cluster, models: &[&Catalog], operator: &Operator) -> bool {
    let Ok(wish) = Wish::new(operator, &cluster.catalogs) else {
        return false;
    };
    let models: Vec<&Catalog> = models
        .iter()
        .filter(|catalog| wish.may_answer(&catalog.name))
        .copied()
        .collect();
    operator.name_any().len() <= names::BUNDLE_DEPLOYMENT_NAME_MAX
        && choose(&models, &wish.request(), cluster.mode, &cluster.facts).is_ok()
}
