//! One pass over a BundleDeployment.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use olm_api::bundle_deployment::{AppliedBundle, BundleDeployment};
use olm_api::conditions::{HAS_VALID_BUNDLE, HEALTHY, INSTALLED, deployment as reasons};
use olm_api::names::{FINALIZER_BUNDLE_DEPLOYMENT, PROVISIONER_PLAIN};
use olm_apply::{ApplyError, Phase};
use olm_runtime::{Action, Pass, Reconciler, conditions, finalizer};

use super::bundles::{self, Standing};
use super::error::DeploymentError;
use super::phase::{Aim, Installation, Progress};
use super::status::{self, Findings, Said};
use super::{DeploymentReconciler, inventory};
use crate::{format, messages};

/// How soon to look again while something is waited for whose changes are not watched yet.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How soon to look again while something is waited for whose changes lead to a pass by themselves:
/// a net under the watches, and no more, as each look renders the bundle and reads all its objects.
const LOOK_AT_LEAST: Duration = Duration::from_mins(5);

/// Failures in a row after which a passing one is shown.
const SHOWN_AFTER: u32 = 2;

#[async_trait]
impl Reconciler for DeploymentReconciler {
    type Object = BundleDeployment;
    type Error = DeploymentError;
    const NAME: &'static str = "bundledeployment";

    async fn reconcile(
        &self,
        object: Arc<BundleDeployment>,
        pass: &Pass,
    ) -> Result<Action, DeploymentError> {
        if !format::is_own_class(&object.spec.provisioner_class_name) {
            return Ok(Action::AwaitChange);
        }
        // The inventory must be the one that was written last, which a cache does not promise.
        let live = self
            .deployments
            .get_opt(&object.name_any())
            .await
            .map_err(|source| DeploymentError::Api("read", source))?;
        let Some(object) = live.filter(|live| live.uid() == object.uid()) else {
            return Ok(Action::AwaitChange);
        };
        if finalizer::is_deleting(&object) {
            return self.uninstall(&object, pass).await;
        }
        let class = &object.spec.provisioner_class_name;
        if class != PROVISIONER_PLAIN {
            let error = DeploymentError::UnsupportedClass(class.clone());
            let findings = Findings {
                valid: Some(Said::no(reasons::BUNDLE_LOAD_FAILED, error.message())),
                ..Findings::default()
            };
            self.write_status(&object, &findings, pass).await?;
            self.publish(&object, &findings).await;
            return Err(error);
        }
        finalizer::ensure(&self.client, &object, FINALIZER_BUNDLE_DEPLOYMENT)
            .await
            .map_err(|source| DeploymentError::Api("add the finalizer to", source))?;
        let object = if inventory::is_lost(&object) {
            self.recall(object, pass).await?
        } else {
            object
        };

        let mut findings = Findings::default();
        let outcome = self.settle(&object, &mut findings, pass).await;
        self.write_status(&object, &findings, pass).await?;
        self.publish(&object, &findings).await;
        // Only what the status no longer speaks of may go.
        if let (Ok(_), Some(installed), Some(said)) =
            (&outcome, &findings.active_bundle, &findings.installed)
            && said.is_yes()
        {
            self.collect_bundles(&object, installed, true).await?;
        }
        outcome
    }

    async fn undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), DeploymentError> {
        self.cannot_read(metadata, error, pass).await
    }
}

impl DeploymentReconciler {
    async fn settle(
        &self,
        object: &BundleDeployment,
        findings: &mut Findings,
        pass: &Pass,
    ) -> Result<Action, DeploymentError> {
        let (name, standing) = match self.wanted_bundle(object).await {
            Ok(found) => found,
            Err(error) => {
                findings.valid = Some(Said::unknown(reasons::RECONCILE_FAILED, error.message()));
                self.repair_besides(object, findings, pass).await;
                return Err(error);
            }
        };
        findings.valid = Some(bundles::said(&name, &standing));
        self.collect_bundles(object, &name, false).await?;
        let Standing::Unpacked(digest) = standing else {
            return self.repair(object, findings, pass).await.map(wait);
        };
        let target = AppliedBundle {
            bundle: name,
            provisioner_class_name: object.spec.template.spec.provisioner_class_name.clone(),
            content_digest: digest.to_string(),
            config: inventory::recorded(object.spec.config.as_ref()),
            certificate_provider: None,
        };
        match self.install(object, target, findings, pass).await {
            Ok(action) => Ok(action),
            Err(error) => {
                blame(object, &error, findings, pass);
                self.repair_besides(object, findings, pass).await;
                Err(error)
            }
        }
    }

    /// Takes the next steps towards `target`, which is new or installed.
    async fn install(
        &self,
        object: &BundleDeployment,
        target: AppliedBundle,
        findings: &mut Findings,
        pass: &Pass,
    ) -> Result<Action, DeploymentError> {
        let before = inventory::of(object.status.as_ref());
        let loaded = match self.load(object, target.clone(), pass).await {
            Ok(loaded) => loaded,
            Err(error) => {
                if error.is_trouble() && inventory::is_installed(&before, &target) {
                    findings.succeeded(&target.bundle);
                    repair_failed(&error, findings, pass);
                }
                return Err(error);
            }
        };
        let target = loaded.bundle.clone();
        if before.applying.is_none() && before.installed.as_ref() == Some(&target) {
            findings.succeeded(&target.bundle);
            let outcome = self
                .bring(object, loaded, Aim::Repair, findings, pass)
                .await;
            return match outcome {
                Ok(installation) => Ok(wait(judge(&installation, findings))),
                Err(error) => {
                    repair_failed(&error, findings, pass);
                    Err(error)
                }
            };
        }
        if let Some(refusals) = self.undone.standing(object, &target, pass.now()) {
            return Err(ApplyError::Undone(refusals).into());
        }
        let installation = match self
            .bring(object, loaded, Aim::Install, findings, pass)
            .await
        {
            Ok(installation) => installation,
            Err(error) => {
                if let DeploymentError::Apply(ApplyError::Undone(refusals)) = &error {
                    tracing::warn!(bundle = %target.bundle, "undone, as it cannot be installed");
                    let refusals = refusals.clone();
                    self.undone.note(object, target, refusals, pass.now());
                }
                return Err(error);
            }
        };
        let look_again = judge(&installation, findings);
        match installation.progress {
            Progress::Complete => {
                findings.succeeded(&target.bundle);
                self.undone.forget(&object.name_any());
                tracing::info!(bundle = %target.bundle, "installed");
            }
            Progress::Waiting(what) => {
                let phase = installation.phase.map_or("objects", Phase::describe);
                let rolls_out = format!("{phase}: {what}");
                findings.progressing = Some(Said::yes(reasons::ROLLING_OUT, rolls_out));
                findings.installed =
                    Some(Said::unknown(reasons::INSTALLATION_STATUS_UNKNOWN, what));
            }
        }
        Ok(wait(look_again))
    }

    /// Repairs what runs while the template's bundle is not to be had. Where it was begun to be
    /// replaced, only what is gone is made again. Returns when to look again.
    async fn repair(
        &self,
        object: &BundleDeployment,
        findings: &mut Findings,
        pass: &Pass,
    ) -> Result<Option<Duration>, DeploymentError> {
        let before = inventory::of(object.status.as_ref());
        let is_whole = before.applying.is_none() && findings.inventory.is_none();
        let is_due = findings
            .installed
            .as_ref()
            .is_none_or(|said| !said.is_yes());
        let Some(installed) = before
            .installed
            .clone()
            .filter(|_| is_due && !findings.prunes)
        else {
            return Ok(None);
        };
        let outcome = async {
            let loaded = self.load(object, installed, pass).await?;
            if is_whole {
                self.bring(object, loaded, Aim::Repair, findings, pass)
                    .await
            } else {
                let held = findings.inventory.as_ref().unwrap_or(&before);
                self.restore(object, loaded, held).await
            }
        }
        .await;
        match outcome {
            Ok(installation) if findings.healthy.is_none() => Ok(judge(&installation, findings)),
            Ok(installation) => Ok(installation.look_again),
            Err(error) => {
                if findings.healthy.is_none() {
                    repair_failed(&error, findings, pass);
                }
                Err(error)
            }
        }
    }

    /// [`Self::repair`] in a pass that has failed for another reason, which decides when the next
    /// one is.
    async fn repair_besides(
        &self,
        object: &BundleDeployment,
        findings: &mut Findings,
        pass: &Pass,
    ) {
        if let Err(error) = self.repair(object, findings, pass).await {
            tracing::warn!(
                error = %olm_runtime::Chain(&error),
                "cannot repair what is installed"
            );
        }
    }

    pub(crate) async fn write_status(
        &self,
        object: &BundleDeployment,
        findings: &Findings,
        pass: &Pass,
    ) -> Result<(), DeploymentError> {
        let status = status::project(object, findings, pass.now());
        self.status.apply(object, &status).await?;
        Ok(())
    }

    /// Publishes an event for each condition that now says something else.
    async fn publish(&self, object: &BundleDeployment, findings: &Findings) {
        let before = object
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        // How a rollout proceeds is no news for anybody; that it ended is.
        let rolls_out = findings
            .installed
            .as_ref()
            .is_some_and(|said| !said.is_yes());
        let healthy = findings.healthy.as_ref().filter(|_| !rolls_out);
        for (type_, action, said) in [
            (HAS_VALID_BUNDLE, "Unpack", findings.valid.as_ref()),
            (INSTALLED, "Install", findings.installed.as_ref()),
            (HEALTHY, "Watch", healthy),
        ] {
            let Some(said) = said else { continue };
            let earlier = conditions::get(before.unwrap_or_default(), type_);
            let is_news = earlier.is_none_or(|earlier| earlier.reason != said.reason());
            match said.reason() {
                _ if !is_news => {}
                reasons::UNPACK_PENDING
                | reasons::INSTALLATION_STATUS_UNKNOWN
                | reasons::INSTALLATION_STATUS_FALSE => {}
                reason if said.is_yes() => {
                    self.events
                        .normal(object, reason, action, said.message())
                        .await;
                }
                reason => {
                    self.events
                        .warning(object, reason, action, said.message())
                        .await;
                }
            }
        }
    }
}

/// Writes down why the template's bundle is not installed.
fn blame(object: &BundleDeployment, error: &DeploymentError, findings: &mut Findings, pass: &Pass) {
    if findings.installed.is_some() {
        // It is installed; that it could not be repaired is said of its health.
        return;
    }
    if let DeploymentError::Format(_) = error {
        findings.valid = Some(Said::no(reasons::BUNDLE_LOAD_FAILED, error.message()));
        return;
    }
    if !error.is_passing() || pass.failures() >= SHOWN_AFTER {
        let class = &object.spec.template.spec.provisioner_class_name;
        let message = messages::install_failed(error.message(), class);
        findings.install_failed(status::failure_reason(object), message);
    }
}

/// Writes down how what runs is; returns when to look again.
fn judge(installation: &Installation, findings: &mut Findings) -> Option<Duration> {
    if installation.health.is_healthy() {
        findings.healthy = Some(match &installation.progress {
            Progress::Complete => Said::healthy(),
            Progress::Waiting(what) => Said::unhealthy(what),
        });
    } else {
        findings.healthy = Some(Said::unhealthy(&installation.health.message()));
    }
    let waits = installation.progress != Progress::Complete || !installation.health.is_healthy();
    let pause = match (waits, installation.is_watched) {
        (false, true) => None,
        (true, true) => Some(olm_runtime::spread(LOOK_AT_LEAST)),
        (_, false) => Some(LOOK_AGAIN),
    };
    pause.into_iter().chain(installation.look_again).min()
}

fn repair_failed(error: &DeploymentError, findings: &mut Findings, pass: &Pass) {
    if error.is_passing() && pass.failures() < SHOWN_AFTER {
        return;
    }
    let message = format!("cannot repair what is installed: {}", error.message());
    findings.healthy = Some(Said::no(reasons::RECONCILE_FAILED, message));
}

fn wait(look_again: Option<Duration>) -> Action {
    look_again.map_or(Action::AwaitChange, Action::RequeueAfter)
}

#[cfg(test)]
mod tests {
    use olm_apply::Health;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::works(Progress::Complete, true, None, None)]
    #[case::certificates(Progress::Complete, true, Some(60), Some((60, 60)))]
    #[case::waits(Progress::Waiting("x".to_owned()), true, None, Some((240, 400)))]
    #[case::waits_with_certificates(Progress::Waiting("x".to_owned()), true, Some(60), Some((60, 60)))]
    #[case::not_watched_yet(Progress::Waiting("x".to_owned()), false, None, Some((5, 5)))]
    fn what_is_watched_is_not_polled(
        #[case] progress: Progress,
        #[case] is_watched: bool,
        #[case] certificates: Option<u64>,
        #[case] seconds: Option<(u64, u64)>,
    ) {
        let installation = Installation {
            progress,
            phase: None,
            health: Health::default(),
            look_again: certificates.map(Duration::from_secs),
            is_watched,
        };
        let pause = judge(&installation, &mut Findings::default());
        let is_expected = match (pause, seconds) {
            (Some(pause), Some((least, most))) => (least..=most).contains(&pause.as_secs()),
            (pause, expected) => pause.is_none() && expected.is_none(),
        };
        assert!(is_expected, "{pause:?} is not in {seconds:?}");
    }
}
