//! Decisions that wait, stop or are taken back.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use olm_api::operator::Operator;
use olm_tests::Wait;
use olm_tests::content::PackageContent;
use olm_tests::fixture::{Package, Version};
use olm_tests::wait::{self, message};
use serde_json::json;

use crate::health;
use crate::packages::package;
use crate::user::{PATIENCE, Recorder, Text};
use crate::world::World;

fn installed(operator: &Operator) -> Option<String> {
    let status = operator.status.as_ref()?;
    Some(status.installed.as_ref()?.version.clone())
}

#[tokio::test]
async fn upgrades_wait_until_their_version_is_approved() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("stamp", &[package("stamp", &["1.0.0"])])
        .await?;
    let spec = |approved: Option<&str>| {
        let mut spec = json!({"packageName": "stamp", "upgradeApproval": "Manual"});
        if let Some(approved) = approved {
            spec["approvedVersion"] = json!(approved);
        }
        spec
    };
    // The first install is not gated.
    user.ask("stamp", spec(None)).await?;
    user.installed("stamp", "1.0.0").await?;
    user.publish("stamp", &[package("stamp", &["1.0.0", "1.1.0"])])
        .await?;
    let text =
        "the upgrade to stamp 1.1.0 waits for approval: set spec.approvedVersion to \"1.1.0\"";
    let row = "Progressing=False/ApprovalRequired";
    let operator = user.said("stamp", row, Text::Is(text)).await?;
    let pending = operator.status.clone().unwrap_or_default().pending_upgrade;
    assert_eq!(pending.context("nothing pends")?.version, "1.1.0");
    ensure!(wait::has_condition(&operator, "Ready", "True"));
    assert_eq!(installed(&operator).as_deref(), Some("1.0.0"));
    health::is(&operator, "Suspended")?;
    user.ask("stamp", spec(Some("1.1.0"))).await?;
    let operator = user.installed("stamp", "1.1.0").await?;
    health::is(&operator, "Healthy")?;
    let deployment = user.deployments.get("stamp").await?;
    health::is(&deployment, "Healthy")?;
    health::is_known_when_looked_at(&deployment)?;
    let catalog = user.catalogs.get("stamp").await?;
    health::is(&catalog, "Healthy")?;
    health::is_known_when_looked_at(&catalog)?;
    let status = operator.status.unwrap_or_default();
    ensure!(status.pending_upgrade.is_none());
    user.remove(&["stamp"]).await
}

#[tokio::test]
async fn nothing_is_decided_for_a_suspended_operator_and_it_is_repaired() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("siesta", &[package("siesta", &["1.0.0"])])
        .await?;
    let spec = |suspend: bool| json!({"packageName": "siesta", "suspend": suspend});
    let row = "Progressing=False/Suspended";
    user.ask("siesta", spec(true)).await?;
    user.said("siesta", row, Text::Any).await?;
    ensure!(user.deployments.get_opt("siesta").await?.is_none());
    user.ask("siesta", spec(false)).await?;
    user.installed("siesta", "1.0.0").await?;
    user.ask("siesta", spec(true)).await?;
    user.said("siesta", row, Text::Any).await?;
    user.publish("siesta", &[package("siesta", &["1.0.0", "1.1.0"])])
        .await?;
    user.breaks_deployment("siesta").await?;
    let operator = user.installed("siesta", "1.0.0").await?;
    ensure!(wait::has_reason(
        &operator,
        "Progressing",
        "False",
        "Suspended"
    ));
    health::is(&operator, "Suspended")?;
    user.ask("siesta", spec(false)).await?;
    user.installed("siesta", "1.1.0").await?;
    user.remove(&["siesta"]).await
}

#[tokio::test]
async fn only_selected_catalogs_answer() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("metal-tin", &[package("metal", &["2.0.0"])])
        .await?;
    user.publish("metal-gold", &[package("metal", &["1.0.0"])])
        .await?;
    let label = json!({"metadata": {"labels": {"tier": "gold"}}});
    user.catalogs
        .patch("metal-gold", &PatchParams::default(), &Patch::Merge(&label))
        .await?;
    let spec =
        |selector: serde_json::Value| json!({"packageName": "metal", "catalogSelector": selector});
    user.ask("metal", spec(json!({"matchLabels": {"tier": "gold"}})))
        .await?;
    let operator = user.installed("metal", "1.0.0").await?;
    let status = operator.status.unwrap_or_default();
    let catalog = status.installed.context("nothing installed")?.catalog;
    assert_eq!(catalog.as_deref(), Some("metal-gold"));
    user.remove(&["metal"]).await?;
    // By name, without a label.
    let by_name = json!({"matchLabels": {"olm.operatorframework.io/metadata.name": "metal-tin"}});
    user.ask("metal", spec(by_name)).await?;
    user.installed("metal", "2.0.0").await?;
    let odd =
        json!({"matchExpressions": [{"key": "tier", "operator": "Like", "values": ["gold"]}]});
    user.ask("metal", spec(odd)).await?;
    let row = "Progressing=False/InvalidConfiguration";
    let text = ["desired catalog selector is invalid"];
    let operator = user.said("metal", row, Text::Has(&text)).await?;
    ensure!(wait::has_condition(&operator, "Stalled", "True"));
    health::is(&operator, "Degraded")?;
    assert_eq!(installed(&operator).as_deref(), Some("2.0.0"));
    user.remove(&["metal"]).await?;
    user.ask("metal", spec(json!({"matchLabels": {"tier": "lead"}})))
        .await?;
    let text = "no package \"metal\" found: no Catalog matches spec.catalogSelector";
    user.refused("metal", text).await?;
    user.remove(&["metal"]).await
}

#[tokio::test]
async fn namespace_and_configuration_reach_the_bundle() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("tent", &[package("tent", &["1.0.0"])]).await?;
    let env = |value: &str| json!({"env": [{"name": "COLOUR", "value": value}]});
    let spec = |value: &str| {
        json!({"packageName": "tent", "installNamespace": "tent-camp",
            "config": {"deploymentConfig": env(value)}})
    };
    user.ask("tent", spec("red")).await?;
    user.installed("tent", "1.0.0").await?;
    let workloads: Api<Deployment> = Api::namespaced(user.client.clone(), "tent-camp");
    for colour in ["red", "green"] {
        user.ask("tent", spec(colour)).await?;
        Wait::new(format!("the Deployment has COLOUR={colour}"))
            .within(PATIENCE)
            .logs(&user.world.suite)
            .object(&workloads, "tent", |found| {
                let text = serde_json::to_string(&found.spec).unwrap_or_default();
                text.contains(&format!("\"COLOUR\",\"value\":\"{colour}\""))
            })
            .await?;
    }
    user.installed("tent", "1.0.0").await?;
    // What cannot be followed does not become right by waiting, and what ran runs.
    let mut wrong = spec("green");
    wrong["config"]["colour"] = json!("blue");
    user.ask("tent", wrong).await?;
    let text = "invalid configuration: unknown field \"colour\"";
    for row in ["Stalled=True/Blocked", "Progressing=False/Blocked"] {
        let operator = user.said("tent", row, Text::Has(&[text])).await?;
        ensure!(wait::has_condition(&operator, "Installed", "True"));
        ensure!(wait::has_condition(&operator, "Ready", "False"));
        assert_eq!(
            message(&operator, "Ready"),
            message(&operator, "Progressing")
        );
        health::is(&operator, "Degraded")?;
    }
    user.ask("tent", spec("green")).await?;
    let operator = user.installed("tent", "1.0.0").await?;
    ensure!(wait::condition(&operator, "Stalled").is_none());
    user.remove(&["tent"]).await
}

/// A package whose version 1.1.0 never becomes ready.
fn doomed(name: &str, versions: &[&str]) -> PackageContent {
    let versions = versions.iter().map(|version| match *version {
        "1.1.0" => Version::new(version).never_ready(),
        _ => Version::new(version),
    });
    Package::new(name, versions).content()
}

#[tokio::test]
async fn an_upgrade_that_never_becomes_healthy_is_taken_back_once() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("boomerang", &[doomed("boomerang", &["1.0.0"])])
        .await?;
    let spec = |version: &str| {
        json!({"packageName": "boomerang", "version": version, "progressDeadline": "5s",
            "rollbackOnFailure": "Automatic"})
    };
    user.ask("boomerang", spec(">=1.0.0")).await?;
    user.installed("boomerang", "1.0.0").await?;
    let active = user.active("boomerang").await?;
    let asked = Recorder::start(user.deployments.clone(), "boomerang", |deployment| {
        let annotations = deployment.metadata.annotations.as_ref()?;
        annotations
            .get(olm_api::annotations::BUNDLE_VERSION)
            .cloned()
    });
    user.publish("boomerang", &[doomed("boomerang", &["1.0.0", "1.1.0"])])
        .await?;
    let row = "Progressing=True/RollingOut";
    let operator = user.said("boomerang", row, Text::Any).await?;
    health::is(&operator, "Progressing")?;
    let row = "Progressing=False/RolledBack";
    let text = ["the upgrade to boomerang 1.1.0 failed and was taken back"];
    let operator = user.said("boomerang", row, Text::Has(&text)).await?;
    let failed = operator.status.clone().unwrap_or_default().failed_upgrade;
    let failed = failed.context("no failed upgrade")?;
    assert_eq!(failed.bundle.version, "1.1.0");
    ensure!(failed.message.contains("boomerang"), "{}", failed.message);
    health::is(&operator, "Degraded")?;
    user.installed("boomerang", "1.0.0").await?;
    assert_eq!(user.active("boomerang").await?, active);
    user.breaks_deployment("boomerang").await?;
    // A catalog that is read again changes nothing; another bundle does.
    let other = package("boomerang-neighbour", &["1.0.0"]);
    let again = [doomed("boomerang", &["1.0.0", "1.1.0"]), other];
    user.publish("boomerang", &again).await?;
    user.ask(
        "boomerang-neighbour",
        json!({"packageName": "boomerang-neighbour"}),
    )
    .await?;
    user.installed("boomerang-neighbour", "1.0.0").await?;
    assert_eq!(asked.seen(), ["1.0.0", "1.1.0", "1.0.0"]);
    // What is only behind it is told, and not tried by itself.
    let three = doomed("boomerang", &["1.0.0", "1.1.0", "1.2.0"]);
    user.publish("boomerang", &[three, again[1].clone()])
        .await?;
    let row = "Resolved=True/Success";
    let text = ["version 1.2.0 is held back: it is reached only through 1.1.0, which failed"];
    user.said("boomerang", row, Text::Has(&text)).await?;
    assert_eq!(asked.seen(), ["1.0.0", "1.1.0", "1.0.0"]);
    // A change of the spec has it tried again.
    user.ask("boomerang", spec(">=1.0.1")).await?;
    Wait::new("1.1.0 is tried again")
        .within(PATIENCE)
        .logs(&user.world.suite)
        .value(async || Ok((asked.seen().len() == 4).then_some(())))
        .await?;
    user.remove(&["boomerang", "boomerang-neighbour"]).await?;
    user.world.is_unharmed()
}

#[tokio::test]
async fn an_install_that_takes_too_long_is_told() -> Result<()> {
    let user = World::shared().await?.user().await?;
    user.publish("snail", &[doomed("snail", &["1.1.0"])])
        .await?;
    let spec = json!({"packageName": "snail", "progressDeadline": "2s"});
    user.ask("snail", spec).await?;
    let row = "Progressing=False/ProgressDeadlineExceeded";
    let text = ["snail 1.1.0 is not installed and healthy after 2s: "];
    let operator = user.said("snail", row, Text::Has(&text)).await?;
    ensure!(wait::has_condition(&operator, "Stalled", "True"));
    ensure!(!message(&operator, "Ready").is_empty());
    health::is(&operator, "Degraded")?;
    user.remove(&["snail"]).await
}
