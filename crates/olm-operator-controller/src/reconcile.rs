//! A pass over one Operator.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions;
use olm_api::operator::{BundleIdentity, Operator, OperatorSpec, OperatorStatus};
use olm_resolver::{EdgeMode, Facts};
use olm_runtime::conditions::get;
use olm_runtime::events::Events;
use olm_runtime::status::StatusWriter;
use olm_runtime::{Action, Objects, Pass, Reconciler, async_trait};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::catalogs::Snapshot;
use crate::deployment;
use crate::error::PassError;
use crate::phase::handover::hand_over;
use crate::phase::observe::{observe, status_of};
use crate::phase::resolve::{Answer, Question, resolve};
use crate::status::{self, Findings, Handover, Resolution};

/// The conditions that this controller sets.
pub(crate) const CONDITIONS: [&str; 4] = [
    conditions::INSTALLED,
    conditions::READY,
    conditions::RESOLVED,
    conditions::STALLED,
];

/// Chooses a bundle for each Operator and hands it to rukpak.
pub(crate) struct OperatorReconciler {
    pub(crate) client: Client,
    pub(crate) operators: Objects<Operator>,
    pub(crate) deployments: Objects<BundleDeployment>,
    pub(crate) catalogs: watch::Receiver<Arc<Snapshot>>,
    /// What is known of the cluster; `None` until it was asked.
    pub(crate) facts: watch::Receiver<Option<Arc<Facts>>>,
    pub(crate) status: StatusWriter,
    pub(crate) events: Events,
    pub(crate) mode: EdgeMode,
}

#[async_trait]
impl Reconciler for OperatorReconciler {
    type Object = Operator;
    type Error = PassError;
    const NAME: &'static str = "operator";

    async fn reconcile(&self, operator: Arc<Operator>, pass: &Pass) -> Result<Action, PassError> {
        // Its BundleDeployment goes with it, by its owner reference.
        if operator.metadata.deletion_timestamp.is_some() {
            return Ok(Action::AwaitChange);
        }
        let catalogs = self.catalogs.borrow().clone();
        if !catalogs.listed || !self.deployments.wait_until_ready().await {
            return Ok(Action::AwaitChange);
        }
        // The end of the asking triggers another pass.
        let Some(facts) = self.facts.borrow().clone() else {
            return Ok(Action::AwaitChange);
        };
        let observed = observe(&self.client, &operator).await?;
        let answer = resolve(&Question {
            operator: &operator,
            installed: observed.installed.as_ref(),
            deployment: observed.deployment.as_ref(),
            catalogs: &catalogs,
            operators: &self.operators.all(),
            deployments: &self.deployments.all(),
            mode: self.mode,
            facts: &facts,
        });
        let (resolution, handover, failure) = match answer {
            // The end of the reading triggers another pass.
            Answer::NotYet => return Ok(Action::AwaitChange),
            Answer::InvalidSpec => (Resolution::InvalidSpec, Handover::NotAttempted, None),
            Answer::Refused(why) => (Resolution::Refused(why), Handover::NotAttempted, None),
            Answer::Chosen(wanted) => {
                let current = observed.deployment.as_ref();
                let resolution = Resolution::Chosen(wanted.identity.clone());
                match hand_over(&self.client, &operator, current, &wanted).await {
                    Ok(handover) => (resolution, handover, None),
                    Err(error) => {
                        let why = olm_runtime::Chain(&error).to_string();
                        (resolution, Handover::Failed(why), Some(error))
                    }
                }
            }
        };
        let findings = Findings {
            resolution,
            handover,
            installed: observed.installed,
        };
        self.report(&operator, &findings, pass).await?;
        failure.map_or(Ok(Action::AwaitChange), Err)
    }

    async fn undecodable(
        &self,
        metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), PassError> {
        if metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        let name = metadata.name.as_deref().unwrap_or_default();
        let operator = Operator {
            metadata: metadata.clone(),
            spec: OperatorSpec::default(),
            // What it says already is not said again, and what it says is installed stays.
            status: status_of(&self.client, name).await?,
        };
        let why = format!("the Operator cannot be read: {error}");
        // What runs for it does so all the same.
        let observed = observe(&self.client, &operator).await?;
        let findings = Findings {
            resolution: Resolution::Refused(why),
            handover: Handover::NotAttempted,
            installed: observed.installed,
        };
        self.report(&operator, &findings, pass).await
    }
}

impl OperatorReconciler {
    /// Writes the status, and tells people what changed.
    async fn report(
        &self,
        operator: &Operator,
        findings: &Findings,
        pass: &Pass,
    ) -> Result<(), PassError> {
        let before = operator.status.clone().unwrap_or_default();
        let after = project(operator, findings, pass.now());
        self.status.apply(operator, &after).await?;
        self.tell(operator, findings, &before, &after).await;
        Ok(())
    }

    async fn tell(
        &self,
        operator: &Operator,
        findings: &Findings,
        before: &OperatorStatus,
        after: &OperatorStatus,
    ) {
        if before.resolved != after.resolved
            && let Some(resolved) = &after.resolved
        {
            let note = format!("resolved to {} ({})", describe(resolved), resolved.image);
            info!(bundle = resolved.name, "bundle chosen");
            self.events
                .normal(operator, "Resolved", "Resolve", &note)
                .await;
        }
        if before.installed != after.installed
            && let Some(installed) = &after.installed
        {
            let note = format!("installed {}", describe(installed));
            info!(bundle = installed.name, "bundle installed");
            self.events
                .normal(operator, "Installed", "Install", &note)
                .await;
        }
        // That something is under way is no news; that it cannot go on is.
        let waits = matches!(&findings.handover, Handover::Done(deployment)
            if deployment::condition(deployment, conditions::INSTALLED)
                .is_some_and(|condition| condition.status == "Unknown"));
        for kind in [conditions::RESOLVED, conditions::INSTALLED] {
            let Some(now) = get(&after.conditions, kind) else {
                continue;
            };
            let is_news =
                get(&before.conditions, kind).is_none_or(|before| before.message != now.message);
            if now.status == "False" && is_news && !(waits && kind == conditions::INSTALLED) {
                let (reason, message) = (&now.reason, &now.message);
                warn!(reason, message, "operator is held up");
                self.events
                    .warning(operator, reason, "Reconcile", message)
                    .await;
            }
        }
    }
}

fn describe(bundle: &BundleIdentity) -> String {
    format!("{} {}", bundle.package, bundle.version)
}

fn project(operator: &Operator, findings: &Findings, now: jiff::Timestamp) -> OperatorStatus {
    let before = operator
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    let mut list = olm_runtime::conditions::owned(before.unwrap_or_default(), &CONDITIONS);
    let generation = operator.metadata.generation;
    let verdicts = status::verdicts(findings);
    list.retain(|condition| {
        verdicts
            .iter()
            .any(|verdict| verdict.kind == condition.type_)
    });
    for verdict in verdicts {
        let status = match verdict.status {
            "True" => olm_runtime::conditions::Status::True,
            "False" => olm_runtime::conditions::Status::False,
            _ => olm_runtime::conditions::Status::Unknown,
        };
        let (kind, reason, message) = (verdict.kind, verdict.reason, &verdict.message);
        olm_runtime::conditions::set(&mut list, kind, status, reason, message, generation, now);
    }
    let resolved = match &findings.resolution {
        Resolution::Chosen(bundle) => Some(bundle.clone()),
        _ => None,
    };
    let image = |bundle: &Option<BundleIdentity>| {
        bundle
            .as_ref()
            .map(|bundle| bundle.image.clone())
            .unwrap_or_default()
    };
    OperatorStatus {
        installed_bundle_resource: image(&findings.installed),
        resolved_bundle_resource: image(&resolved),
        installed: findings.installed.clone(),
        resolved,
        observed_generation: generation,
        conditions: list,
        ..OperatorStatus::default()
    }
}

/// How long a pass may take: everything in it is a handful of calls to the API server.
pub(crate) const PASS: Duration = Duration::from_mins(1);

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
