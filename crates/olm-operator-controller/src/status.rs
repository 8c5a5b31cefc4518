//! The status of an Operator, from what a pass found out. Pure.
//!
//! `Ready` says that the bundle that was chosen runs; `Stalled` is there while only a change of the
//! Operator can help.
//!
//! | Found out | `Resolved` | `Installed` |
//! |---|---|---|
//! | the range is none | Unknown | what runs, else Unknown |
//! | no bundle can be chosen | False, why | what runs, else Unknown |
//! | a bundle was chosen | True | what runs, else what keeps it from running |
//!
//! What runs is never hidden by what is asked for: `installed` and `installedBundleResource` stand
//! as long as something is installed.

use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions::{self, operator as reasons};
use olm_api::operator::BundleIdentity;

use crate::{deployment, messages};

/// What came of choosing a bundle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolution {
    /// `spec.version` is no range.
    InvalidSpec,
    /// No bundle can be chosen; why.
    Refused(String),
    /// This one was chosen.
    Chosen(BundleIdentity),
}

/// What came of handing the chosen bundle over.
#[derive(Clone, Debug)]
pub(crate) enum Handover {
    /// Nothing was chosen, so nothing was handed over.
    NotAttempted,
    /// It could not be; why.
    Failed(String),
    /// The BundleDeployment holds it.
    Done(Box<BundleDeployment>),
}

/// Everything that a pass found out.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) resolution: Resolution,
    pub(crate) handover: Handover,
    /// The bundle that runs.
    pub(crate) installed: Option<BundleIdentity>,
}

/// One condition, without the time and the generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) kind: &'static str,
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The conditions of an Operator; one that is not among them is to be absent.
pub(crate) fn verdicts(findings: &Findings) -> Vec<Verdict> {
    let resolved = resolved(&findings.resolution);
    let installed = installed(findings);
    let mut verdicts = vec![ready(findings, &resolved, &installed)];
    // A range that is none cannot become one by waiting.
    if findings.resolution == Resolution::InvalidSpec {
        verdicts.push(Verdict {
            kind: conditions::STALLED,
            status: "True",
            ..resolved.clone()
        });
    }
    verdicts.extend([resolved, installed]);
    verdicts
}

/// Whether the bundle that was chosen is the one that runs, and works.
fn ready(findings: &Findings, resolved: &Verdict, installed: &Verdict) -> Verdict {
    let kind = conditions::READY;
    let not_ready = |reason: &Verdict| Verdict {
        kind,
        status: "False",
        ..reason.clone()
    };
    if resolved.status != "True" {
        return not_ready(resolved);
    }
    if installed.status != "True" {
        return not_ready(installed);
    }
    let arrived = match (&findings.resolution, &findings.installed) {
        (Resolution::Chosen(chosen), Some(running)) => {
            chosen.name == running.name && chosen.image == running.image
        }
        _ => false,
    };
    if !arrived {
        // What runs is in order; it is not yet what was chosen.
        return Verdict {
            reason: reasons::INSTALLATION_STATUS_UNKNOWN,
            ..not_ready(installed)
        };
    }
    if let Handover::Done(deployment) = &findings.handover
        && let Some(health) = deployment::condition(deployment, conditions::HEALTHY)
        && health.status == "False"
    {
        return Verdict {
            kind,
            status: "False",
            reason: conditions::deployment::UNHEALTHY,
            message: health.message.clone(),
        };
    }
    Verdict {
        kind,
        ..installed.clone()
    }
}

fn resolved(resolution: &Resolution) -> Verdict {
    let (status, reason, message) = match resolution {
        Resolution::InvalidSpec => (
            "Unknown",
            reasons::RESOLUTION_UNKNOWN,
            messages::RESOLUTION_SPEC_INVALID.to_owned(),
        ),
        Resolution::Refused(why) => ("False", reasons::RESOLUTION_FAILED, why.clone()),
        Resolution::Chosen(bundle) => (
            "True",
            reasons::SUCCESS,
            messages::resolved_to(&bundle.image),
        ),
    };
    Verdict {
        kind: conditions::RESOLVED,
        status,
        reason,
        message,
    }
}

fn installed(findings: &Findings) -> Verdict {
    let (status, reason, message) = installed_parts(findings);
    Verdict {
        kind: conditions::INSTALLED,
        status,
        reason,
        message,
    }
}

fn installed_parts(findings: &Findings) -> (&'static str, &'static str, String) {
    let unknown = |message: &str| {
        (
            "Unknown",
            reasons::INSTALLATION_STATUS_UNKNOWN,
            message.to_owned(),
        )
    };
    if let Some(running) = &findings.installed {
        let mut message = messages::installed_from(&running.image);
        match (&findings.resolution, &findings.handover) {
            (Resolution::Chosen(_), Handover::Done(deployment)) => {
                let installed = deployment::condition(deployment, conditions::INSTALLED);
                match (requested_is(deployment, running), installed) {
                    // What is to run is what runs, and it is not in order: that is the news. What
                    // its Bundles go through meanwhile changes nothing of what runs.
                    (true, Some(installed)) if installed.status == "False" => {
                        return (
                            "False",
                            reasons::INSTALLATION_FAILED,
                            messages::deployment_not_ready(&installed.message),
                        );
                    }
                    (false, _) => {
                        if let Some(next) = deployment::requested(deployment) {
                            let trouble = trouble(deployment).unwrap_or_else(progress);
                            message.push_str(&messages::moving_to(&next, &trouble));
                        }
                    }
                    _ => {}
                }
            }
            (Resolution::Chosen(next), Handover::Failed(why)) if next.image != running.image => {
                message.push_str(&messages::moving_to(next, why));
            }
            _ => {}
        }
        return ("True", reasons::SUCCESS, message);
    }
    match (&findings.resolution, &findings.handover) {
        (Resolution::InvalidSpec, _) => unknown(messages::INSTALLATION_SPEC_INVALID),
        (Resolution::Refused(_), _) | (_, Handover::NotAttempted) => {
            unknown(messages::INSTALLATION_RESOLUTION_FAILED)
        }
        (_, Handover::Failed(why)) => ("False", reasons::INSTALLATION_FAILED, why.clone()),
        (_, Handover::Done(deployment)) => {
            match deployment::condition(deployment, conditions::INSTALLED) {
                Some(condition) if condition.status == "True" => unknown(&progress()),
                Some(condition) => (
                    "False",
                    reasons::INSTALLATION_FAILED,
                    messages::deployment_not_ready(&condition.message),
                ),
                None => match deployment::condition(deployment, conditions::HAS_VALID_BUNDLE) {
                    Some(condition) if !condition.message.is_empty() => unknown(&format!(
                        "{}: {}",
                        messages::DEPLOYMENT_STATUS_UNKNOWN,
                        condition.message
                    )),
                    _ => unknown(messages::DEPLOYMENT_STATUS_UNKNOWN),
                },
            }
        }
    }
}

fn progress() -> String {
    "waiting for the bundledeployment".to_owned()
}

fn requested_is(deployment: &BundleDeployment, running: &BundleIdentity) -> bool {
    deployment::requested(deployment)
        .is_some_and(|next| next.image == running.image && next.name == running.name)
}

/// What keeps the BundleDeployment from having installed what it asks for.
fn trouble(deployment: &BundleDeployment) -> Option<String> {
    [conditions::INSTALLED, conditions::HAS_VALID_BUNDLE]
        .into_iter()
        .filter_map(|kind| deployment::condition(deployment, kind))
        .find(|condition| condition.status != "True")
        .map(|condition| condition.message.clone())
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
