//! The registry, catalogd and the catalog go away, one after the other and together: what is
//! installed stays, is repaired, and says nothing but the truth.

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::Operator;
use olm_tests::scenario::Scenario;
use olm_tests::{Wait, wait};
use serde_json::json;

use crate::packages::package;
use crate::user::{PATIENCE, Recorder, Text, User};
use crate::world::World;

const CATALOGD: &str = "catalogd";
const CONTROLLER: &str = "operator-controller";
const RUKPAK: &str = "rukpak";

/// What is told of these conditions, with their messages.
fn told<K: serde::Serialize>(object: &K, kinds: &[&str]) -> String {
    let rows = kinds.iter().map(|kind| {
        let condition = wait::condition(object, kind).unwrap_or_default();
        let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        format!(
            "{kind}={}/{}: {}",
            text("status"),
            text("reason"),
            text("message")
        )
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn of_operator(operator: &Operator) -> Option<String> {
    let installed = operator.status.as_ref()?.installed.as_ref()?;
    let rows = told(operator, &["Installed", "Healthy", "Ready", "Resolved"]);
    Some(format!("{}\n{rows}", installed.version))
}

fn of_deployment(deployment: &BundleDeployment) -> Option<String> {
    let active = deployment.status.as_ref()?.active_bundle.clone()?;
    let rows = told(deployment, &["HasValidBundle", "Installed", "Healthy"]);
    Some(format!("{active}\n{rows}"))
}

/// Everything that the two objects told, which has to be one thing.
struct Story {
    operator: Recorder,
    deployment: Recorder,
}

impl Story {
    /// Begins once what is told is that all is well.
    async fn begin(user: &User<'_>, name: &str) -> Result<Self> {
        let story = Self {
            operator: Recorder::start(user.operators.clone(), name, of_operator),
            deployment: Recorder::start(user.deployments.clone(), name, of_deployment),
        };
        Wait::new("the watches have begun")
            .value(async || {
                let begun = story.operator.seen().len() == 1 && story.deployment.seen().len() == 1;
                Ok(begun.then_some(()))
            })
            .await?;
        let seen = story.operator.seen().concat();
        for kind in ["Installed", "Healthy", "Ready", "Resolved"] {
            ensure!(seen.contains(&format!("{kind}=True/")), "{seen}");
        }
        Ok(story)
    }

    fn is_one(&self) -> Result<()> {
        for seen in [self.operator.seen(), self.deployment.seen()] {
            ensure!(
                seen.len() == 1,
                "it was told in turn:\n{}",
                seen.join("\n\n")
            );
        }
        Ok(())
    }
}

struct Place<'a> {
    user: User<'a>,
    name: String,
    accounts: Api<ServiceAccount>,
    account: String,
    asked: std::cell::Cell<u32>,
}

impl Place<'_> {
    /// A change of the spec is followed, and an object that is deleted comes back.
    async fn lives(&self, version: &str) -> Result<()> {
        // Anything that holds the version will do; it is the text that changes.
        self.asked.set(self.asked.get() + 1);
        let range = format!(">=0.0.{}", self.asked.get());
        let spec = json!({"packageName": self.name, "version": range});
        self.user.ask(&self.name, spec).await?;
        self.user.installed(&self.name, version).await?;
        self.user.deletes(&self.accounts, &self.account).await
    }
}

/// Ends a process as an update of the suite does, and starts another one.
async fn anew(world: &World, component: &str) -> Result<()> {
    world.suite.stop(component, PATIENCE).await?;
    world.suite.start_component(component).await
}

#[tokio::test]
async fn whatever_is_away_what_is_installed_stays_and_goes_on_when_it_is_back() -> Result<()> {
    let world = World::own().await?;
    let user = world.user().await?;
    let mut scenario = Scenario::load()?;
    for bundle in &mut scenario.base.bundles {
        // Its own one is out of reach.
        bundle.meta["image"] = json!("");
    }
    let name = scenario.base.name.clone();
    let [first, others @ ..] = scenario.base_versions.as_slice() else {
        anyhow::bail!("no versions")
    };
    let old = others
        .iter()
        .fold(scenario.base.clone(), |package, version| {
            package.without(version)
        });
    user.publish("real", &[old]).await?;
    user.ask(&name, json!({"packageName": name})).await?;
    user.installed(&name, first).await?;
    let accounts =
        Api::<ServiceAccount>::namespaced(user.client.clone(), &format!("{name}-system"));
    let listed = accounts.list(&ListParams::default()).await?;
    let account = listed.iter().map(kube::ResourceExt::name_any);
    let account = account.filter(|account| account != "default").min();
    let place = Place {
        user,
        account: account.context("it has no ServiceAccount")?,
        accounts,
        name,
        asked: std::cell::Cell::default(),
    };
    let (user, name) = (&place.user, place.name.as_str());
    let story = Story::begin(user, name).await?;

    // The registry, also for processes that begin anew.
    world.registry.kill()?;
    place.lives(first).await.context("without a registry")?;
    anew(&world, RUKPAK).await?;
    place
        .lives(first)
        .await
        .context("rukpak, without a registry")?;
    anew(&world, CATALOGD).await?;
    anew(&world, CONTROLLER).await?;
    place
        .lives(first)
        .await
        .context("all anew, without a registry")?;
    story.is_one()?;

    // Then catalogd, too.
    world.suite.stop(CATALOGD, PATIENCE).await?;
    place.lives(first).await.context("without catalogd")?;
    anew(&world, CONTROLLER).await?;
    place.lives(first).await.context("anew, without catalogd")?;
    world.registry.start_again().await?;
    place.lives(first).await.context("with a registry")?;
    world.restart(CATALOGD).await?;
    story.is_one()?;

    // The catalog, while everything else is there.
    user.catalogs
        .delete("real", &DeleteParams::default())
        .await?;
    Wait::new("the catalog is gone")
        .within(PATIENCE)
        .gone(&user.catalogs, "real")
        .await?;
    place.lives(first).await.context("without the catalog")?;
    anew(&world, CONTROLLER).await?;
    place
        .lives(first)
        .await
        .context("anew, without the catalog")?;
    story.is_one()?;
    drop(story);

    // Catalogs that do not offer it: that is told, and changes nothing of what runs.
    user.publish("other", &[package("elsewhere", &["1.0.0"])])
        .await?;
    let text = [format!("no package {name:?}")];
    let text = text.each_ref().map(String::as_str);
    let row = "Resolved=False/ResolutionFailed";
    let operator = user.said(name, row, Text::Has(&text)).await?;
    for (kind, reason) in [("Installed", "Success"), ("Healthy", "Healthy")] {
        ensure!(wait::has_reason(&operator, kind, "True", reason), "{kind}");
    }
    let running = operator.status.clone().unwrap_or_default();
    assert_eq!(running.installed.map(|of| of.version).as_ref(), Some(first));
    let image = running.installed_bundle_resource;
    assert_eq!(
        wait::message(&operator, "Installed"),
        format!("installed from {image:?}")
    );
    user.deletes(&place.accounts, &place.account).await?;

    // It is back with more.
    user.publish("real", std::slice::from_ref(&scenario.base))
        .await?;
    let last = others.last().context("one version only")?;
    user.installed(name, last).await?;
    user.remove(&[name]).await?;
    world.is_unharmed()
}
