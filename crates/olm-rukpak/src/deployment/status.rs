//! The status of a BundleDeployment, as a pure function of what was and what a pass found.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use olm_api::bundle_deployment::{BundleDeployment, BundleDeploymentStatus, Inventory};
use olm_api::conditions::{
    DEFINITIONS_KEPT, HAS_VALID_BUNDLE, HEALTHY, INSTALLED, PROGRESSING, READY, STALLED,
    UNINSTALLING, deployment,
};
use olm_runtime::conditions::{self, Status};

use crate::messages;

/// The condition types that this controller writes.
pub(crate) const OWNED: [&str; 8] = [
    DEFINITIONS_KEPT,
    HAS_VALID_BUNDLE,
    HEALTHY,
    INSTALLED,
    PROGRESSING,
    READY,
    STALLED,
    UNINSTALLING,
];

/// What is to be said in one condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    status: Status,
    reason: &'static str,
    message: String,
}

impl Said {
    pub(crate) fn yes(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: Status::True,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn no(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: Status::False,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn unknown(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: Status::Unknown,
            reason,
            message: message.into(),
        }
    }

    /// Everything that runs works.
    pub(crate) fn healthy() -> Self {
        Self::yes(deployment::HEALTHY, messages::HEALTHY)
    }

    /// Something does not work; one line for each object.
    pub(crate) fn unhealthy(lines: &str) -> Self {
        Self::no(deployment::UNHEALTHY, lines)
    }

    /// Whether this says yes.
    pub(crate) fn is_yes(&self) -> bool {
        self.status == Status::True
    }

    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// What a pass found. What it says nothing about stays as it was: an `Installed` of an earlier
/// generation keeps that generation, so that nobody takes it for an answer to the current one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    pub(crate) valid: Option<Said>,
    pub(crate) installed: Option<Said>,
    pub(crate) healthy: Option<Said>,
    /// What an installation that is under way waits for.
    pub(crate) progressing: Option<Said>,
    pub(crate) uninstalling: Option<Said>,
    pub(crate) kept: Option<Stay>,
    /// The Bundle that is installed now.
    pub(crate) active_bundle: Option<String>,
    /// The namespace that was installed to.
    pub(crate) install_namespace: Option<String>,
    /// What may exist from now on.
    pub(crate) inventory: Option<Inventory>,
    /// Whether what the bundle no longer has is being taken away.
    pub(crate) prunes: bool,
}

/// Definitions that stay for the sake of custom resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stay {
    /// Those that are in no bundle any more, with their custom resources.
    pub(crate) instances: Vec<String>,
    /// Those of an upgrade that was taken back; a line for each change that keeps one.
    pub(crate) not_taken_back: Vec<String>,
}

impl Stay {
    /// Reason and message, where there are any.
    fn said(&self) -> Option<(&'static str, String)> {
        let left = (!self.instances.is_empty()).then(|| {
            let message = messages::definitions_kept(&self.instances);
            (deployment::INSTANCES_EXIST, message)
        });
        let newer = (!self.not_taken_back.is_empty()).then(|| {
            let message = messages::definitions_not_taken_back(&self.not_taken_back);
            (deployment::UNSAFE_ROLLBACK, message)
        });
        match (newer, left) {
            (Some((reason, newer)), Some((_, left))) => Some((reason, format!("{newer}\n{left}"))),
            (newer, left) => newer.or(left),
        }
    }
}

impl Findings {
    /// A Bundle is installed.
    pub(crate) fn succeeded(&mut self, bundle: &str) {
        self.active_bundle = Some(bundle.to_owned());
        let message = messages::installed(bundle);
        self.installed = Some(Said::yes(deployment::INSTALLATION_SUCCEEDED, message));
    }

    /// The installation failed; nothing is known of its health.
    pub(crate) fn install_failed(&mut self, reason: &'static str, message: String) {
        self.installed = Some(Said::no(reason, message));
        self.healthy = Some(Said::no(
            deployment::INSTALLATION_STATUS_FALSE,
            messages::NOT_INSTALLED,
        ));
    }
}

/// The reason for an installation that failed: whether something was installed before.
pub(crate) fn failure_reason(deployment: &BundleDeployment) -> &'static str {
    let installed = deployment.status.as_ref().is_some_and(|status| {
        status.active_bundle.is_some()
            || status
                .inventory
                .as_ref()
                .is_some_and(|inventory| inventory.installed.is_some())
    });
    if installed {
        deployment::UPGRADE_FAILED
    } else {
        deployment::INSTALL_FAILED
    }
}

/// The status after a pass.
pub(crate) fn project(
    object: &BundleDeployment,
    findings: &Findings,
    now: Timestamp,
) -> BundleDeploymentStatus {
    let before = object.status.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let mut status = BundleDeploymentStatus {
        active_bundle: findings.active_bundle.clone().or(before.active_bundle),
        install_namespace: findings
            .install_namespace
            .clone()
            .or(before.install_namespace),
        inventory: findings.inventory.clone().or(before.inventory),
        observed_generation: generation,
        conditions: conditions::owned(&before.conditions, &OWNED),
    };
    for (type_, said) in [
        (HAS_VALID_BUNDLE, &findings.valid),
        (INSTALLED, &findings.installed),
        (HEALTHY, &findings.healthy),
        (PROGRESSING, &findings.progressing),
        (UNINSTALLING, &findings.uninstalling),
    ] {
        let Some(Said {
            status: truth,
            reason,
            message,
        }) = said
        else {
            continue;
        };
        conditions::set(
            &mut status.conditions,
            type_,
            *truth,
            reason,
            message,
            generation,
            now,
        );
    }
    if findings.progressing.is_none() {
        conditions::remove(&mut status.conditions, PROGRESSING);
    }
    if let Some(kept) = &findings.kept {
        let list = &mut status.conditions;
        if let Some((reason, message)) = kept.said() {
            conditions::set(
                list,
                DEFINITIONS_KEPT,
                true,
                reason,
                &message,
                generation,
                now,
            );
        } else {
            conditions::remove(list, DEFINITIONS_KEPT);
        }
    }
    let (ready, reason, message) = ready(&status.conditions, generation);
    let list = &mut status.conditions;
    match stalled(list, generation).cloned() {
        Some(why) => {
            let (reason, message) = (&why.reason, &why.message);
            conditions::set(list, STALLED, true, reason, message, generation, now);
        }
        None => {
            conditions::remove(list, STALLED);
        }
    }
    conditions::set(list, READY, ready, &reason, &message, generation, now);
    status
}

/// What only a change of the BundleDeployment can help: its Bundle never changes, so that one which
/// does not load as it is configured will not do so later.
fn stalled(list: &[Condition], generation: Option<i64>) -> Option<&Condition> {
    conditions::get(list, HAS_VALID_BUNDLE)
        .filter(|valid| valid.status == "False" && valid.reason == deployment::BUNDLE_LOAD_FAILED)
        .filter(|valid| valid.observed_generation == generation)
}

/// Whether what is asked for runs and works; if not, the first condition that says otherwise.
fn ready(list: &[Condition], generation: Option<i64>) -> (bool, String, String) {
    let says = |condition: &Condition| (condition.reason.clone(), condition.message.clone());
    if let Some(leaving) = conditions::get(list, UNINSTALLING) {
        let (reason, message) = says(leaving);
        return (false, reason, message);
    }
    for type_ in [HAS_VALID_BUNDLE, INSTALLED, HEALTHY] {
        let found = conditions::get(list, type_);
        let current = found.filter(|condition| condition.observed_generation == generation);
        match current {
            // A Bundle that is still awaited counts as valid; it is what is waited for all the same.
            Some(condition)
                if condition.status == "True" && condition.reason != deployment::UNPACK_PENDING => {
            }
            Some(condition) => {
                let (reason, message) = says(condition);
                return (false, reason, message);
            }
            None => {
                let reason = deployment::INSTALLATION_STATUS_UNKNOWN.to_owned();
                return (false, reason, format!("{type_} is not known yet"));
            }
        }
    }
    let (reason, message) = conditions::get(list, INSTALLED)
        .map(says)
        .unwrap_or_default();
    (true, reason, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_api::bundle_deployment::AppliedBundle;
    use rstest::rstest;

    use super::*;
    use crate::deployment::template::tests::deployment;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row(status: &BundleDeploymentStatus, type_: &str) -> (String, String, String, Option<i64>) {
        let found = conditions::get(&status.conditions, type_).unwrap().clone();
        (
            found.status,
            found.reason,
            found.message,
            found.observed_generation,
        )
    }

    #[test]
    fn a_pending_template_keeps_what_is_said_of_the_installation_and_its_generation() {
        let mut object = deployment("etcd");
        let installed = Findings {
            installed: Some(Said::yes(deployment::INSTALLATION_SUCCEEDED, "x")),
            healthy: Some(Said::healthy()),
            active_bundle: Some("etcd-1".to_owned()),
            ..Findings::default()
        };
        object.status = Some(project(&object, &installed, at(1)));
        object.metadata.generation = Some(2);
        let pending = Findings {
            valid: Some(Said::yes(
                deployment::UNPACK_PENDING,
                messages::waiting_for_bundle("etcd-2"),
            )),
            ..Findings::default()
        };
        let status = project(&object, &pending, at(2));
        assert_eq!(status.observed_generation, Some(2));
        assert_eq!(status.active_bundle.as_deref(), Some("etcd-1"));
        assert_eq!(
            row(&status, INSTALLED),
            (
                "True".into(),
                "InstallationSucceeded".into(),
                "x".into(),
                Some(1)
            )
        );
        assert_eq!(
            row(&status, HAS_VALID_BUNDLE),
            (
                "True".into(),
                "UnpackPending".into(),
                "Waiting for the etcd-2 Bundle to be unpacked".into(),
                Some(2)
            )
        );
        assert_eq!(
            row(&status, READY),
            (
                "False".into(),
                "UnpackPending".into(),
                "Waiting for the etcd-2 Bundle to be unpacked".into(),
                Some(2)
            )
        );
    }

    #[test]
    fn what_only_a_change_can_help_is_stalled_until_there_is_one() {
        let mut object = deployment("etcd");
        let refused = Findings {
            valid: Some(Said::no(deployment::BUNDLE_LOAD_FAILED, "unknown field")),
            ..Findings::default()
        };
        let status = project(&object, &refused, at(1));
        let (truth, reason, message, _) = row(&status, STALLED);
        assert_eq!(truth, "True");
        assert_eq!(
            (reason.as_str(), message.as_str()),
            ("BundleLoadFailed", "unknown field")
        );
        object.status = Some(status);
        object.metadata.generation = Some(2);
        for valid in [
            Said::no(deployment::UNPACK_FAILED, "the registry is away"),
            Said::yes(deployment::UNPACK_PENDING, "waiting"),
        ] {
            let findings = Findings {
                valid: Some(valid),
                ..Findings::default()
            };
            let status = project(&object, &findings, at(2));
            assert!(conditions::get(&status.conditions, STALLED).is_none());
        }
    }

    #[test]
    fn definitions_that_are_kept_are_named_until_they_are_not() {
        let mut object = deployment("etcd");
        let mut findings = Findings {
            kept: Some(Stay {
                instances: vec!["a.example.com (1 left: x)".to_owned()],
                ..Stay::default()
            }),
            ..Findings::default()
        };
        let status = project(&object, &findings, at(1));
        let (truth, reason, message, _) = row(&status, DEFINITIONS_KEPT);
        assert_eq!(
            (truth.as_str(), reason.as_str()),
            ("True", "InstancesExist")
        );
        assert_eq!(
            message,
            "left the bundle and stay while there are custom resources of their kinds: \
             a.example.com (1 left: x)"
        );
        object.status = Some(status);
        findings.kept = None;
        let status = project(&object, &findings, at(2));
        assert!(conditions::get(&status.conditions, DEFINITIONS_KEPT).is_some());
        findings.kept = Some(Stay {
            instances: vec!["a.example.com (1 left: x)".to_owned()],
            not_taken_back: vec!["b: why".to_owned(), "c: why".to_owned()],
        });
        let status = project(&object, &findings, at(3));
        let (_, reason, message, _) = row(&status, DEFINITIONS_KEPT);
        assert_eq!(reason, "UnsafeRollback");
        assert_eq!(
            message,
            "stay as the upgrade that was taken back brought them, as custom resources could be lost \
             or refused otherwise (to take them back all the same, set spec.crdUpgradeSafety to None, \
             on the Operator where there is one):\nb: why\nc: why\n\
             left the bundle and stay while there are custom resources of their kinds: \
             a.example.com (1 left: x)"
        );
        findings.kept = Some(Stay::default());
        let status = project(&object, &findings, at(4));
        assert!(conditions::get(&status.conditions, DEFINITIONS_KEPT).is_none());
    }

    #[test]
    fn a_failed_installation_says_that_health_is_not_known() {
        let object = deployment("etcd");
        let mut findings = Findings::default();
        findings.install_failed(failure_reason(&object), "no".to_owned());
        let status = project(&object, &findings, at(1));
        assert_eq!(
            row(&status, INSTALLED),
            ("False".into(), "InstallFailed".into(), "no".into(), Some(1))
        );
        assert_eq!(
            row(&status, HEALTHY),
            (
                "False".into(),
                "InstallationStatusFalse".into(),
                "Installed condition is false".into(),
                Some(1)
            )
        );
    }

    #[rstest]
    #[case::nothing(None, None, "InstallFailed")]
    #[case::only_begun(None, Some(Inventory { applying: Some(AppliedBundle::default()), ..Inventory::default() }), "InstallFailed")]
    #[case::active(Some("a"), None, "UpgradeFailed")]
    #[case::runs(None, Some(Inventory { installed: Some(AppliedBundle::default()), ..Inventory::default() }), "UpgradeFailed")]
    fn the_first_installation_fails_by_another_name_than_later_ones(
        #[case] active: Option<&str>,
        #[case] inventory: Option<Inventory>,
        #[case] reason: &str,
    ) {
        let mut object = deployment("etcd");
        object.status = Some(BundleDeploymentStatus {
            active_bundle: active.map(str::to_owned),
            inventory,
            ..BundleDeploymentStatus::default()
        });
        assert_eq!(failure_reason(&object), reason);
    }
}
