//! Whether anything is under way, and whether what runs works.

use olm_api::conditions::{self, operator as reasons};

use olm_runtime::conditions::get;

use super::{Findings, Handover, Resolution, Verdict, trouble, waiting};
use crate::{deployment, messages};

/// What is done about the Operator, or why nothing is.
pub(super) fn progressing(findings: &Findings) -> Verdict {
    let (status, reason, message) = parts(findings);
    Verdict {
        kind: conditions::PROGRESSING,
        status,
        reason,
        message,
    }
}

fn parts(findings: &Findings) -> (&'static str, &'static str, String) {
    if let Resolution::InvalidSpec(why) = &findings.resolution {
        let message = messages::with_cause(messages::RESOLUTION_SPEC_INVALID, why.as_deref());
        return ("False", reasons::INVALID_CONFIGURATION, message);
    }
    if findings.suspended {
        return ("False", reasons::SUSPENDED, messages::SUSPENDED.to_owned());
    }
    if let Resolution::Refused(why) = &findings.resolution {
        return ("False", reasons::BLOCKED, why.clone());
    }
    if let Some(why) = &findings.overdue {
        return ("False", reasons::PROGRESS_DEADLINE_EXCEEDED, why.clone());
    }
    match &findings.handover {
        Handover::NotAttempted => ("True", reasons::RETRYING, waiting()),
        Handover::Failed(why) => ("False", reasons::BLOCKED, why.clone()),
        Handover::Failing(why) => ("True", reasons::RETRYING, why.clone()),
        Handover::Waiting(waits) => {
            let message = messages::waiting(waits);
            ("True", reasons::WAITING_FOR_DEPENDENCIES, message)
        }
        Handover::Done(deployment) => {
            let trouble = trouble(deployment);
            match trouble {
                Some(why) if deployment::is_stalled(deployment) => ("False", reasons::BLOCKED, why),
                Some(why) if deployment::has_failed(deployment) => ("True", reasons::RETRYING, why),
                None if findings.has_arrived() && deployment::is_settled(deployment) => {
                    arrived(findings)
                }
                trouble if findings.failed.is_some() => {
                    let message = trouble.unwrap_or_else(waiting);
                    ("True", reasons::ROLLING_BACK, message)
                }
                trouble => {
                    let message = trouble.unwrap_or_else(waiting);
                    ("True", reasons::ROLLING_OUT, message)
                }
            }
        }
    }
}

fn arrived(findings: &Findings) -> (&'static str, &'static str, String) {
    if let Some(failed) = &findings.failed {
        let mut message = messages::rolled_back(failed);
        if let Some(kept) = kept(findings) {
            message.push_str("; definitions ");
            message.push_str(&kept.message);
        }
        return ("False", reasons::ROLLED_BACK, message);
    }
    match &findings.pending {
        Some(pending) => (
            "False",
            reasons::APPROVAL_REQUIRED,
            messages::approval_required(pending),
        ),
        None => ("True", reasons::SUCCEEDED, messages::ARRIVED.to_owned()),
    }
}

/// Definitions that are not those of what runs and stay, as rukpak says; `None` where there are none.
/// They stay whatever is asked for, so that the generation does not matter.
pub(super) fn kept(findings: &Findings) -> Option<Verdict> {
    let status = findings.deployment.as_ref()?.status.as_ref()?;
    let kept = get(&status.conditions, conditions::DEFINITIONS_KEPT)?;
    let reasons = [
        conditions::deployment::UNSAFE_ROLLBACK,
        conditions::deployment::INSTANCES_EXIST,
    ];
    Some(Verdict {
        kind: conditions::DEFINITIONS_KEPT,
        status: "True",
        reason: reasons.into_iter().find(|reason| *reason == kept.reason)?,
        message: kept.message.clone(),
    })
}

/// Whether what runs works, as rukpak says.
pub(super) fn healthy(findings: &Findings) -> Verdict {
    let kind = conditions::HEALTHY;
    let unknown = |message: &str| Verdict {
        kind,
        status: "Unknown",
        reason: reasons::INSTALLATION_STATUS_UNKNOWN,
        message: message.to_owned(),
    };
    if findings.installed.is_none() {
        return unknown(messages::NOTHING_INSTALLED);
    }
    let deployment = findings.deployment.as_ref();
    let health = deployment.and_then(|found| deployment::condition(found, conditions::HEALTHY));
    match health {
        Some(health) if health.status == "True" => Verdict {
            kind,
            status: "True",
            reason: conditions::deployment::HEALTHY,
            message: health.message.clone(),
        },
        Some(health) if health.status == "False" => Verdict {
            kind,
            status: "False",
            reason: conditions::deployment::UNHEALTHY,
            message: health.message.clone(),
        },
        Some(health) => unknown(&health.message),
        None => unknown(messages::HEALTH_UNKNOWN),
    }
}
