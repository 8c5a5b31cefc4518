//! A pass over one Operator.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Client, ResourceExt};
use olm_api::conditions;
use olm_api::operator::{BundleIdentity, Operator, OperatorSpec, OperatorStatus};
use olm_runtime::conditions::get;
use olm_runtime::events::Events;
use olm_runtime::status::StatusWriter;
use olm_runtime::{Action, Pass, Reconciler, async_trait};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::decide::task::Latest;
use crate::decide::there::{self, is_same};
use crate::decide::{Answer, Decision};
use crate::dependency::{self, Made};
use crate::error::PassError;
use crate::phase::handover::hand_over;
use crate::phase::observe::{Observed, observe, status_of};
use crate::status::{self, Findings, Handover, Resolution};
use crate::{deployment, messages};

/// The conditions that this controller sets.
pub(crate) const CONDITIONS: [&str; 11] = [
    conditions::BUNDLE_DEPRECATED,
    conditions::CHANNEL_DEPRECATED,
    conditions::DEFINITIONS_KEPT,
    conditions::DEPRECATED,
    conditions::HEALTHY,
    conditions::INSTALLED,
    conditions::PACKAGE_DEPRECATED,
    conditions::PROGRESSING,
    conditions::READY,
    conditions::RESOLVED,
    conditions::STALLED,
];

/// Time after which a pass looks again whether what was decided speaks of what is there.
const CATCH_UP: Duration = Duration::from_millis(250);

/// Time after which a pass looks again whether what is in the way of an Operator to make is gone.
const IN_THE_WAY: Duration = Duration::from_secs(2);

/// Hands the bundles that were chosen to rukpak, and what they require before them.
pub(crate) struct OperatorReconciler {
    pub(crate) client: Client,
    /// What was decided, and how to have it decided anew.
    pub(crate) decisions: watch::Receiver<Latest>,
    pub(crate) wake: Arc<Notify>,
    pub(crate) status: StatusWriter,
    pub(crate) events: Events,
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
        // The first decisions, and every change of one, trigger a pass.
        let Some(decisions) = self.decisions.borrow().clone() else {
            return Ok(Action::AwaitChange);
        };
        let observed = observe(&self.client, &operator).await?;
        let decision = decisions.get(&operator.name_any());
        let Some(decision) = decision.filter(|d| d.basis == observed.basis(&operator)) else {
            self.wake.notify_one();
            return Ok(Action::RequeueAfter(CATCH_UP));
        };
        if decision.answer == Answer::NotYet {
            return Ok(Action::AwaitChange);
        }
        let (handover, failure) = match self.act(&operator, &observed, decision, pass.now()).await {
            Ok(handover) => (handover, None),
            Err(error) => {
                let why = olm_runtime::Chain(&error).to_string();
                (Handover::Failing(why), Some(error))
            }
        };
        // An Operator that could not be made may be able to be without anything that is watched here
        // having changed.
        let blocked = !decision.makes.is_empty();
        let mut findings = Findings::new(&operator, &observed, decision, handover);
        let left = findings.take_time(&operator, pass.now());
        let rolls_back = findings.failed.is_some();
        self.report(&operator, &findings, pass).await?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        if rolls_back && there::failed_upgrade(&operator).is_none() {
            // The next decision leaves it out.
            self.wake.notify_one();
            return Ok(Action::RequeueAfter(CATCH_UP));
        }
        Ok(match left {
            _ if blocked => Action::RequeueAfter(IN_THE_WAY),
            Some(left) => Action::RequeueAfter(left),
            None => Action::AwaitChange,
        })
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
        let findings = Findings::refused(&operator, &observed, why);
        self.report(&operator, &findings, pass).await
    }
}

impl OperatorReconciler {
    /// Does what was decided.
    async fn act(
        &self,
        operator: &Operator,
        observed: &Observed,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<Handover, PassError> {
        if dependency::is_made(operator) {
            let required_by = decision.required_by.iter();
            let required_by: Vec<String> = required_by.map(|d| d.operator.clone()).collect();
            dependency::mark(&self.client, operator, &required_by).await?;
        }
        let Answer::Chosen(wanted) = &decision.answer else {
            return Ok(Handover::NotAttempted);
        };
        let mut waits = decision.waits.clone();
        for make in &decision.makes {
            match dependency::make(&self.client, make).await? {
                Made::There => info!(package = make.package, "Operator for a dependency made"),
                Made::Blocked(why) => {
                    let name = dependency::name(&make.package);
                    waits.push(messages::dependency_not_made(&make.package, &name, &why));
                }
            }
        }
        let asked = observed.there.asked.as_ref();
        let is_asked = asked.is_some_and(|asked| is_same(&asked.identity, &wanted.identity));
        if !is_asked && !waits.is_empty() {
            return Ok(Handover::Waiting(waits));
        }
        let current = observed.deployment.as_ref();
        hand_over(&self.client, operator, current, wanted, now).await
    }

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
            let note = format!(
                "resolved to {} ({}){}",
                describe(resolved),
                resolved.image,
                messages::held_back(&findings.held_back)
            );
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
        if before.failed_upgrade.is_none()
            && let Some(failed) = &after.failed_upgrade
        {
            let bundle = describe(&failed.bundle);
            let note = format!("{bundle} is taken back: {}", failed.message);
            warn!(bundle = failed.bundle.name, "upgrade failed");
            self.events
                .warning(operator, "UpgradeFailed", "RollBack", &note)
                .await;
        }
        // That something is under way is no news; that it cannot go on is.
        let waits = findings.deployment.as_ref().is_some_and(|deployment| {
            deployment::condition(deployment, conditions::INSTALLED)
                .is_some_and(|condition| condition.status == "Unknown")
        });
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
        dependencies: findings.dependencies.clone(),
        required_by: findings.required_by.clone(),
        pending_upgrade: findings.pending.clone(),
        failed_upgrade: findings.failed.clone(),
        observed_generation: generation,
        conditions: list,
    }
}

/// How long a pass may take: everything in it is a handful of calls to the API server.
pub(crate) const PASS: Duration = Duration::from_mins(1);

/// Passes at the same time. They wait for the API server most of the time.
pub(crate) const PASSES: u16 = 8;

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
