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

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions::{self, operator as reasons};
use olm_api::names::BUNDLE_DEPLOYMENT_NAME_MAX;
use olm_api::operator::{
    BundleIdentity, Dependant, Dependency, FailedUpgrade, Operator, RollbackOnFailure,
};
use olm_runtime::GoDuration;

use crate::decide::deprecation::Deprecations;
use crate::decide::there::{failed_upgrade, is_same};
use crate::decide::{Answer, Decision, progress_deadline};
use crate::phase::observe::Observed;
use crate::{deployment, messages};

/// What came of choosing a bundle.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolution {
    /// The spec cannot be followed; why, where it is not `spec.version`.
    InvalidSpec(Option<String>),
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
    /// It could not be just now, and is tried again; why.
    Failing(String),
    /// Something has to be there before; what.
    Waiting(Vec<String>),
    /// The BundleDeployment holds it.
    Done(Box<BundleDeployment>),
}

/// Everything that a pass found out.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) resolution: Resolution,
    /// Why the bundle is not a better one.
    pub(crate) held_back: Vec<String>,
    pub(crate) handover: Handover,
    /// The bundle that runs.
    pub(crate) installed: Option<BundleIdentity>,
    /// The Operator's BundleDeployment as it is now.
    pub(crate) deployment: Option<BundleDeployment>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) required_by: Vec<Dependant>,
    /// What waits for approval.
    pub(crate) pending: Option<BundleIdentity>,
    /// Whether nothing is to be decided.
    pub(crate) suspended: bool,
    /// Whether no BundleDeployment can have the Operator's name.
    pub(crate) nameless: bool,
    /// The upgrade that failed and is left out.
    pub(crate) failed: Option<FailedUpgrade>,
    /// What was not installed and healthy in time, and why.
    pub(crate) overdue: Option<String>,
    /// `None` where no catalog says anything of the package.
    pub(crate) deprecations: Option<Deprecations>,
}

impl Findings {
    pub(crate) fn new(
        operator: &Operator,
        observed: &Observed,
        decision: &Decision,
        handover: Handover,
    ) -> Self {
        let name = operator.metadata.name.as_deref().unwrap_or_default();
        let resolution = match &decision.answer {
            Answer::InvalidSpec(why) => Resolution::InvalidSpec(why.clone()),
            Answer::NotYet => Resolution::Refused(String::new()),
            Answer::Refused(why) => Resolution::Refused(why.clone()),
            Answer::Chosen(wanted) => Resolution::Chosen(wanted.identity.clone()),
        };
        Self {
            resolution,
            held_back: decision.held_back.clone(),
            dependencies: decision.dependencies.clone(),
            required_by: decision.required_by.clone(),
            pending: decision.pending.clone(),
            suspended: operator.spec.suspend,
            nameless: name.len() > BUNDLE_DEPLOYMENT_NAME_MAX,
            deprecations: decision.deprecations.clone(),
            ..Self::observed(observed, operator, handover)
        }
    }

    /// What is told of an Operator that cannot be read.
    pub(crate) fn refused(operator: &Operator, observed: &Observed, why: String) -> Self {
        let status = operator.status.clone().unwrap_or_default();
        Self {
            resolution: Resolution::Refused(why),
            required_by: status.required_by,
            ..Self::observed(observed, operator, Handover::NotAttempted)
        }
    }

    fn observed(observed: &Observed, operator: &Operator, handover: Handover) -> Self {
        let own = |found: &&BundleDeployment| deployment::is_controlled_by(found, operator);
        let before = observed.deployment.as_ref().filter(own).cloned();
        let deployment = match &handover {
            Handover::Done(deployment) => Some((**deployment).clone()),
            _ => before,
        };
        Self {
            resolution: Resolution::InvalidSpec(None),
            held_back: Vec::new(),
            handover,
            installed: observed.installed().cloned(),
            deployment,
            dependencies: Vec::new(),
            required_by: Vec::new(),
            pending: None,
            suspended: false,
            nameless: false,
            failed: None,
            overdue: None,
            deprecations: None,
        }
    }

    /// Looks at the time: what was asked for has to be installed and healthy within the deadline.
    /// Answers what is left of it.
    pub(crate) fn take_time(&mut self, operator: &Operator, now: Timestamp) -> Option<Duration> {
        // Another bundle than the failed one was chosen: that one need not be remembered.
        let chosen = match &self.resolution {
            Resolution::Chosen(chosen) => Some(chosen),
            _ => None,
        };
        self.failed = failed_upgrade(operator).cloned().filter(|failed| {
            chosen.is_none_or(|chosen| {
                let runs = |running: &BundleIdentity| is_same(running, chosen);
                is_same(&failed.bundle, chosen) || self.installed.as_ref().is_some_and(runs)
            })
        });
        let Handover::Done(deployment) = &self.handover else {
            return None;
        };
        if deployment::is_installed(deployment) {
            return None;
        }
        let deadline = progress_deadline(&operator.spec).ok()?;
        let begun = deployment::requested_at(deployment)?;
        let end = begun.checked_add(deadline).ok()?;
        if now < end {
            // A little later, so that the next look is certainly behind the end.
            let left = now.duration_until(end).unsigned_abs();
            return Some(left + Duration::from_millis(10));
        }
        let asked = deployment::requested(deployment)?;
        let why = trouble(deployment).unwrap_or_else(waiting);
        let text = messages::overdue(&asked, &GoDuration::from(deadline).to_string(), &why);
        let automatic = operator.spec.rollback_on_failure == RollbackOnFailure::Automatic;
        let running = self.installed.as_ref();
        let is_upgrade = running.is_some_and(|running| !is_same(running, &asked));
        if automatic && is_upgrade && !operator.spec.suspend {
            self.failed.get_or_insert(FailedUpgrade {
                bundle: asked,
                message: why,
                time: Time(now),
                generation: operator.metadata.generation,
            });
        }
        self.overdue = Some(text);
        None
    }

    /// Whether what was handed over cannot be followed as it stands.
    fn is_stalled(&self) -> bool {
        let handed_over = match &self.handover {
            Handover::Done(deployment) => Some(deployment),
            _ => None,
        };
        !self.suspended && handed_over.is_some_and(|found| deployment::is_stalled(found))
    }

    /// Whether the bundle that was chosen is the one that runs.
    fn has_arrived(&self) -> bool {
        match (&self.resolution, &self.installed) {
            (Resolution::Chosen(chosen), Some(running)) => {
                chosen.name == running.name && chosen.image == running.image
            }
            _ => false,
        }
    }
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
    let resolved = resolved(findings);
    let installed = installed(findings);
    let progressing = progress::progressing(findings);
    let mut verdicts = vec![ready(findings, &resolved, &installed)];
    // What cannot be followed cannot become right by waiting.
    let is_stalled = match &findings.resolution {
        Resolution::InvalidSpec(_) => Some(&resolved),
        Resolution::Chosen(_) if findings.nameless => Some(&installed),
        Resolution::Chosen(_) if findings.overdue.is_some() || findings.is_stalled() => {
            Some(&progressing)
        }
        _ => None,
    };
    if let Some(verdict) = is_stalled {
        verdicts.push(Verdict {
            kind: conditions::STALLED,
            status: "True",
            ..verdict.clone()
        });
    }
    verdicts.extend([
        resolved,
        installed,
        progressing,
        progress::healthy(findings),
    ]);
    verdicts.extend(progress::kept(findings));
    let deprecations = findings.deprecations.as_ref();
    verdicts.extend(deprecated::verdicts(
        deprecations,
        findings.installed.is_some(),
    ));
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
    if !findings.has_arrived() {
        // What runs is in order; it is not yet what was chosen.
        return Verdict {
            reason: reasons::INSTALLATION_STATUS_UNKNOWN,
            ..not_ready(installed)
        };
    }
    if let Handover::Done(deployment) = &findings.handover
        && !deployment::is_settled(deployment)
    {
        // The bundle is the one that runs, but not as it is asked for now.
        return Verdict {
            kind,
            status: "False",
            reason: reasons::INSTALLATION_STATUS_UNKNOWN,
            message: trouble(deployment).unwrap_or_else(waiting),
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

fn resolved(findings: &Findings) -> Verdict {
    let (status, reason, message) = match &findings.resolution {
        Resolution::InvalidSpec(why) => (
            "Unknown",
            reasons::RESOLUTION_UNKNOWN,
            messages::with_cause(messages::RESOLUTION_SPEC_INVALID, why.as_deref()),
        ),
        Resolution::Refused(why) => ("False", reasons::RESOLUTION_FAILED, why.clone()),
        Resolution::Chosen(bundle) => (
            "True",
            reasons::SUCCESS,
            messages::resolved_to(&bundle.image) + &messages::held_back(&findings.held_back),
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
                            let trouble = trouble(deployment).unwrap_or_else(waiting);
                            message.push_str(&messages::moving_to(&next, &trouble));
                        }
                    }
                    _ => {}
                }
            }
            (Resolution::Chosen(next), Handover::Failed(why) | Handover::Failing(why))
                if next.image != running.image =>
            {
                message.push_str(&messages::moving_to(next, why));
            }
            (Resolution::Chosen(next), Handover::Waiting(waits)) => {
                message.push_str(&messages::moving_to(next, &messages::waiting(waits)));
            }
            _ => {}
        }
        return ("True", reasons::SUCCESS, message);
    }
    match (&findings.resolution, &findings.handover) {
        (Resolution::InvalidSpec(_), _) => unknown(messages::INSTALLATION_SPEC_INVALID),
        (Resolution::Refused(_), _) | (_, Handover::NotAttempted) => {
            unknown(messages::INSTALLATION_RESOLUTION_FAILED)
        }
        (_, Handover::Waiting(waits)) => unknown(&messages::waiting(waits)),
        (_, Handover::Failed(why) | Handover::Failing(why)) => {
            ("False", reasons::INSTALLATION_FAILED, why.clone())
        }
        (_, Handover::Done(deployment)) => {
            match deployment::condition(deployment, conditions::INSTALLED) {
                Some(condition) if condition.status == "True" => unknown(&waiting()),
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

fn waiting() -> String {
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

mod deprecated;
mod progress;

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
