//! Which of several Operators for one package has it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_api::operator::Operator;
use olm_resolver::choose;
use olm_semver::masterminds::Constraint;

use super::resolve::{Question, request};
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

/// The name of the other Operator that has the package: the one with the best claim, among equals
/// the oldest, among those of one second the first by name. `None` if the asking one has it.
pub(super) fn holder(question: &Question<'_>) -> Option<String> {
    let own = question.operator;
    let is_rival = |other: &&Operator| {
        other.spec.package_name == own.spec.package_name && other.metadata.name != own.metadata.name
    };
    let rivals = question.operators.iter().map(|other| &**other);
    let rivals: Vec<&Operator> = rivals.filter(is_rival).collect();
    if rivals.is_empty() {
        return None;
    }
    let own = rank(question, own, question.deployment);
    rivals
        .into_iter()
        .map(|rival| {
            let deployments = question.deployments.iter().map(|deployment| &**deployment);
            let name = Some(rival.name_any());
            let mut named = deployments.filter(|deployment| deployment.metadata.name == name);
            rank(question, rival, named.next())
        })
        .filter(|rival| *rival < own)
        .min()
        .map(|(_, _, name)| name)
}

type Rank = (Claim, Option<Time>, String);

fn rank(
    question: &Question<'_>,
    operator: &Operator,
    deployment: Option<&BundleDeployment>,
) -> Rank {
    let created = operator.metadata.creation_timestamp.clone();
    let claim = claim(question, operator, deployment);
    (claim, created, operator.name_any())
}

fn claim(
    question: &Question<'_>,
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
        None if is_possible(question, operator) => Claim::Possible,
        None => Claim::Hopeless,
    }
}

fn is_possible(question: &Question<'_>, operator: &Operator) -> bool {
    let version = operator.spec.version.as_deref().map(Constraint::parse);
    let Ok(version) = version.transpose() else {
        return false;
    };
    let request = request(operator, version, None);
    operator.name_any().len() <= names::BUNDLE_DEPLOYMENT_NAME_MAX
        && choose(
            &question.catalogs.models(),
            &request,
            question.mode,
            question.facts,
        )
        .is_ok()
}
