#![allow(clippy::unwrap_used, reason = "tests")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use olm_api::bundle_deployment::BundleDeploymentStatus;
use olm_api::operator::{Operator, OperatorSpec};

use super::*;
use crate::deployment::Wanted;

fn bundle(version: &str) -> BundleIdentity {
    BundleIdentity {
        name: format!("p.v{version}"),
        version: version.to_owned(),
        package: "p".to_owned(),
        channel: None,
        catalog: None,
        image: format!("r/p:{version}"),
    }
}

fn handed_over(version: &str, conditions: &[(&str, &str, &str)]) -> Handover {
    let operator = Operator::new(
        "p",
        OperatorSpec {
            package_name: "p".to_owned(),
            ..OperatorSpec::default()
        },
    );
    let wanted = Wanted {
        identity: bundle(version),
        ..Wanted::default()
    };
    let mut deployment = deployment::desired(&operator, &wanted).unwrap();
    deployment.metadata.generation = Some(1);
    deployment.status = Some(BundleDeploymentStatus {
        observed_generation: Some(1),
        conditions: conditions
            .iter()
            .map(|(kind, status, message)| Condition {
                type_: (*kind).to_owned(),
                status: (*status).to_owned(),
                reason: "R".to_owned(),
                message: (*message).to_owned(),
                last_transition_time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
                observed_generation: Some(1),
            })
            .collect(),
        ..BundleDeploymentStatus::default()
    });
    Handover::Done(Box::new(deployment))
}

fn findings(resolution: Resolution, handover: Handover, installed: Option<&str>) -> Findings {
    let operator = Operator::new("p", OperatorSpec::default());
    let observed = Observed::default();
    Findings {
        resolution,
        installed: installed.map(bundle),
        deployment: match &handover {
            Handover::Done(deployment) => Some((**deployment).clone()),
            _ => None,
        },
        ..Findings::observed(&observed, &operator, handover)
    }
}

fn row(resolution: Resolution, handover: Handover, installed: Option<&str>) -> (String, String) {
    let verdicts = verdicts(&findings(resolution, handover, installed));
    let text = |kind: &str| {
        let found = verdicts
            .iter()
            .find(|verdict| verdict.kind == kind)
            .unwrap();
        format!("{}/{}: {}", found.status, found.reason, found.message)
    };
    (text("Resolved"), text("Installed"))
}

#[test]
fn a_text_that_is_no_range_leaves_both_unknown() {
    assert_eq!(
        row(Resolution::InvalidSpec(None), Handover::NotAttempted, None),
        (
            "Unknown/ResolutionUnknown: validation has not been attempted as spec is invalid"
                .to_owned(),
            "Unknown/InstallationStatusUnknown: installation has not been attempted as spec is \
             invalid"
                .to_owned()
        )
    );
}

#[test]
fn a_refusal_does_not_hide_what_runs() {
    let refused = || Resolution::Refused("no package \"p\" found".to_owned());
    assert_eq!(
        row(refused(), Handover::NotAttempted, None).1,
        "Unknown/InstallationStatusUnknown: installation has not been attempted as resolution \
         failed"
    );
    assert_eq!(
        row(refused(), Handover::NotAttempted, Some("1.0.0")).1,
        "True/Success: installed from \"r/p:1.0.0\""
    );
}

#[test]
fn the_way_of_a_first_install_is_told() {
    let chosen = || Resolution::Chosen(bundle("1.0.0"));
    assert_eq!(
        row(chosen(), handed_over("1.0.0", &[]), None),
        (
            "True/Success: resolved to \"r/p:1.0.0\"".to_owned(),
            "Unknown/InstallationStatusUnknown: bundledeployment status is unknown".to_owned()
        )
    );
    let unpacking = [(
        "HasValidBundle",
        "True",
        "Waiting for the p-1 Bundle to be unpacked",
    )];
    assert_eq!(
        row(chosen(), handed_over("1.0.0", &unpacking), None).1,
        "Unknown/InstallationStatusUnknown: bundledeployment status is unknown: Waiting for the \
         p-1 Bundle to be unpacked"
    );
    let failing = [("Installed", "False", "failed to install")];
    assert_eq!(
        row(chosen(), handed_over("1.0.0", &failing), None).1,
        "False/InstallationFailed: bundledeployment not ready: failed to install"
    );
    let installed = [("Installed", "True", "")];
    assert_eq!(
        row(chosen(), handed_over("1.0.0", &installed), Some("1.0.0")).1,
        "True/Success: installed from \"r/p:1.0.0\""
    );
}

#[test]
fn an_upgrade_that_fails_leaves_what_runs_and_says_why() {
    let chosen = Resolution::Chosen(bundle("1.1.0"));
    let failing = [("Installed", "False", "Deployment \"x\" is invalid")];
    assert_eq!(
        row(chosen, handed_over("1.1.0", &failing), Some("1.0.0")).1,
        "True/Success: installed from \"r/p:1.0.0\"; moving to p 1.1.0: Deployment \"x\" is \
         invalid"
    );
}

#[test]
fn what_runs_and_is_out_of_order_is_reported() {
    let chosen = Resolution::Chosen(bundle("1.0.0"));
    let failing = [("Installed", "False", "boom")];
    assert_eq!(
        row(chosen, handed_over("1.0.0", &failing), Some("1.0.0")).1,
        "False/InstallationFailed: bundledeployment not ready: boom"
    );
}

#[test]
fn a_bundle_in_trouble_does_not_hide_that_its_release_runs() {
    let again = [
        ("Installed", "True", ""),
        ("HasValidBundle", "False", "cannot unpack p-2"),
    ];
    for installed in [&again[..], &again[1..]] {
        let chosen = Resolution::Chosen(bundle("1.0.0"));
        assert_eq!(
            row(chosen, handed_over("1.0.0", installed), Some("1.0.0")).1,
            "True/Success: installed from \"r/p:1.0.0\""
        );
    }
    let chosen = Resolution::Chosen(bundle("1.1.0"));
    assert_eq!(
        row(chosen, handed_over("1.1.0", &again), Some("1.0.0")).1,
        "True/Success: installed from \"r/p:1.0.0\"; moving to p 1.1.0: cannot unpack p-2"
    );
}

#[test]
fn ready_means_that_what_was_chosen_runs() {
    let ready = |resolution: Resolution, handover: Handover, installed: Option<&str>| {
        let verdicts = verdicts(&findings(resolution, handover, installed));
        let stalled = verdicts.iter().any(|verdict| verdict.kind == "Stalled");
        let found = verdicts
            .iter()
            .find(|verdict| verdict.kind == "Ready")
            .unwrap();
        (found.status, found.reason, stalled)
    };
    let installed = [("Installed", "True", "")];
    let chosen = || Resolution::Chosen(bundle("1.1.0"));
    assert_eq!(
        ready(chosen(), handed_over("1.1.0", &installed), Some("1.1.0")),
        ("True", "Success", false)
    );
    let broken = [("Installed", "True", ""), ("Healthy", "False", "no pods")];
    assert_eq!(
        ready(chosen(), handed_over("1.1.0", &broken), Some("1.1.0")),
        ("False", "Unhealthy", false)
    );
    assert_eq!(
        ready(chosen(), handed_over("1.1.0", &[]), Some("1.0.0")),
        ("False", "InstallationStatusUnknown", false)
    );
    // The same bundle, asked for in another way that is not there yet, or never will be.
    assert_eq!(
        ready(chosen(), handed_over("1.1.0", &[]), Some("1.1.0")),
        ("False", "InstallationStatusUnknown", false)
    );
    let wrong = [
        ("HasValidBundle", "False", "unknown field"),
        ("Stalled", "True", "unknown field"),
    ];
    assert_eq!(
        ready(chosen(), handed_over("1.1.0", &wrong), Some("1.1.0")),
        ("False", "InstallationStatusUnknown", true)
    );
    assert_eq!(
        ready(
            Resolution::Refused("no".to_owned()),
            Handover::NotAttempted,
            Some("1.0.0")
        ),
        ("False", "ResolutionFailed", false)
    );
    assert_eq!(
        ready(Resolution::InvalidSpec(None), Handover::NotAttempted, None),
        ("False", "ResolutionUnknown", true)
    );
}

fn told(findings: &Findings, kind: &str) -> String {
    let verdicts = verdicts(findings);
    let found = verdicts.iter().find(|verdict| verdict.kind == kind);
    let found = found.unwrap();
    format!("{}/{}: {}", found.status, found.reason, found.message)
}

#[test]
fn what_catalogs_say_against_it_is_told() {
    let chosen = Resolution::Chosen(bundle("1.0.0"));
    let mut findings = findings(chosen, Handover::NotAttempted, Some("1.0.0"));
    let kinds = [
        "PackageDeprecated",
        "ChannelDeprecated",
        "BundleDeprecated",
        "Deprecated",
    ];
    for kind in kinds {
        assert_eq!(
            told(&findings, kind),
            "Unknown/DeprecationStatusUnknown: deprecation status unknown: catalog data unavailable"
        );
    }
    findings.deprecations = Some(Deprecations::default());
    assert_eq!(
        kinds.map(|kind| told(&findings, kind)),
        [
            "False/NotDeprecated: package not deprecated",
            "False/NotDeprecated: channel not deprecated",
            "False/NotDeprecated: bundle not deprecated",
            "False/NotDeprecated: not deprecated",
        ]
    );
    findings.deprecations = Some(Deprecations {
        package: vec!["use q".to_owned()],
        channels: Vec::new(),
        bundle: vec!["it leaks".to_owned()],
    });
    assert_eq!(
        kinds.map(|kind| told(&findings, kind)),
        [
            "True/Deprecated: use q",
            "False/NotDeprecated: channel not deprecated",
            "True/Deprecated: it leaks",
            "True/Deprecated: use q\nit leaks",
        ]
    );
    findings.installed = None;
    assert_eq!(
        told(&findings, "BundleDeprecated"),
        "Unknown/Absent: no bundle installed yet"
    );
}

#[test]
fn what_is_under_way_is_told() {
    let progress = |change: &dyn Fn(&mut Findings)| {
        let chosen = Resolution::Chosen(bundle("1.0.0"));
        let installed = [("Installed", "True", ""), ("Healthy", "True", "fine")];
        let mut findings = findings(chosen, handed_over("1.0.0", &installed), Some("1.0.0"));
        change(&mut findings);
        told(&findings, "Progressing")
    };
    assert_eq!(progress(&|_| {}), "True/Succeeded: Desired state reached");
    assert_eq!(
        progress(&|findings| findings.resolution = Resolution::Refused("no".to_owned())),
        "False/Blocked: no"
    );
    assert!(progress(&|findings| findings.suspended = true).starts_with("False/Suspended: "));
    assert_eq!(
        progress(&|findings| findings.pending = Some(bundle("1.1.0"))),
        "False/ApprovalRequired: the upgrade to p 1.1.0 waits for approval: set \
         spec.approvedVersion to \"1.1.0\""
    );
    assert_eq!(
        progress(&|findings| findings.handover = Handover::Waiting(vec!["q".to_owned()])),
        "True/WaitingForDependencies: waiting for dependencies: q"
    );
    assert_eq!(
        progress(&|findings| findings.handover = Handover::Failing("away".to_owned())),
        "True/Retrying: away"
    );
    let moving = |findings: &mut Findings| {
        findings.resolution = Resolution::Chosen(bundle("1.1.0"));
        findings.handover = handed_over("1.1.0", &[("Installed", "Unknown", "not yet")]);
    };
    assert_eq!(progress(&moving), "True/RollingOut: not yet");
}

#[test]
fn definitions_that_stay_are_told_whatever_is_asked_for() {
    let Handover::Done(mut deployment) = handed_over("1.0.0", &[]) else {
        unreachable!()
    };
    deployment.metadata.generation = Some(2);
    deployment.status.as_mut().unwrap().conditions = vec![Condition {
        type_: "DefinitionsKept".to_owned(),
        status: "True".to_owned(),
        reason: "UnsafeRollback".to_owned(),
        message: "stay: a".to_owned(),
        last_transition_time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
        observed_generation: Some(1),
    }];
    let done = Handover::Done(deployment);
    let findings = findings(Resolution::Chosen(bundle("1.0.0")), done, Some("1.0.0"));
    let told = told(&findings, "DefinitionsKept");
    assert_eq!(told, "True/UnsafeRollback: stay: a");
}
