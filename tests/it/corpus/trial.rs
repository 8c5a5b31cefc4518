//! A bundle is tried: installed or refused as it should be, and removed.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use super::table::Need::{self, Kinds, PriorityClass};
use super::table::Outcome::{Installs, InstallsOnce, Refused};
use super::table::Stage::{self, Apply};
use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::api::scheduling::v1::PriorityClass as PriorityClasses;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use kube::{Client, discovery};
use olm_api::bundle_deployment::{BundleDeployment, InventoryObject};
use olm_tests::chart::Chart;
use olm_tests::fixture::definition;
use olm_tests::publish::Publisher;
use olm_tests::snapshot::Snapshot;
use olm_tests::wait::message;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, chart, report, wait,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cases::Case;
use super::inventory::{NAMESPACE, WATCHED, identity, rendered};

/// How long a bundle may take to be installed, refused or removed.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Corpus {
    pub(super) suite: Suite,
    pub(super) registry: Registry,
    pub(super) client: Client,
    pub(super) deployments: Api<BundleDeployment>,
}

impl Corpus {
    pub(super) async fn new() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let options = SuiteOptions {
            rendered_leases: true,
            // One of the bundles is cert-manager: nobody else is to rely on it here.
            chart: Chart {
                values: vec!["rukpak.certificateProvider=own".to_owned()],
                ..Chart::default()
            },
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
        let client = cluster.client().await?;
        let watched =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": WATCHED}});
        chart::apply(&client, &watched, "default").await?;
        Ok(Self {
            suite,
            registry,
            deployments: Api::all(client.clone()),
            client,
        })
    }

    /// Pushes a bundle; its reference.
    pub(super) async fn publish(&self, case: &Case) -> Result<String> {
        let (package, name) = (case.package(), case.name());
        let tag = name.trim_start_matches(package).trim_start_matches('-');
        let publisher = Publisher::new(&self.registry);
        publisher
            .bundle(&format!("bundles/{package}:v{tag}"), &case.files)
            .await
    }

    /// Lines of the log that say that somebody else wrote at the same time: nobody else writes here,
    /// so rukpak would stand in its own way.
    pub(super) fn conflicts(&self) -> Result<Vec<String>> {
        let log = self.suite.log("rukpak")?;
        let conflicts = log
            .lines()
            .filter(|line| line.contains("the object has been modified"));
        Ok(conflicts.map(str::to_owned).collect())
    }

    /// Installs a bundle or sees it refused, and removes it again; tells it in a line, and what
    /// became of it.
    pub(super) async fn try_case(&self, case: &Case) -> Result<String> {
        let name = case.name();
        let reference = self.publish(case).await?;
        let start = Instant::now();
        self.create(&name, &reference, &case.config()).await?;
        let outcome = self.follow(case, &name).await;
        let (took, start) = (start.elapsed(), Instant::now());
        let removed = self.delete(&self.deployments, &name).await;
        let removing = start.elapsed();
        if let InstallsOnce(need) = case.outcome {
            self.take_away(need).await?;
        }
        let line = match &outcome {
            Ok(line) => line.as_str(),
            Err(_) => "FAILED",
        };
        report::line(&format!(
            "{:<68} {:5.1} s {line}; removed in {:.1} s",
            case.title(),
            took.as_secs_f64(),
            removing.as_secs_f64()
        ));
        removed?;
        outcome
    }

    /// Waits until the bundle's fate is what it should be; in words.
    pub(super) async fn follow(&self, case: &Case, name: &str) -> Result<String> {
        match case.outcome {
            Refused(stage, texts) => self.refused(name, stage, texts).await,
            Installs => self.installed(case, name).await,
            InstallsOnce(need) => {
                let lack = self.lacks(name, need).await?;
                self.bring(need).await?;
                let installed = self.installed(case, name).await?;
                Ok(format!("{lack}; once that is there: {installed}"))
            }
        }
    }

    /// Waits until it is said what a bundle lacks; in words.
    pub(super) async fn lacks(&self, name: &str, need: Need) -> Result<String> {
        match need {
            Kinds(kinds) => {
                let missing: Vec<String> = kinds
                    .iter()
                    .map(|(version, kind, _)| {
                        format!(r#"no matches for kind "{kind}" in version "{version}""#)
                    })
                    .collect();
                // One that was served a moment ago is first not found.
                let holds = |deployment: &BundleDeployment| {
                    let said = message(deployment, "Installed");
                    wait::has_reason(deployment, "Installed", "False", "InstallFailed")
                        && said.contains("required resource not found")
                        && missing.iter().all(|missing| said.contains(missing))
                };
                let waits = Wait::new(format!("{name} is refused: {}", missing.join(", ")));
                let waits = waits.within(PATIENCE).logs(&self.suite);
                waits.object(&self.deployments, name, holds).await?;
                Ok(format!("refused, InstallFailed: {}", missing.join(", ")))
            }
            PriorityClass(class) => {
                let missing = format!("no PriorityClass with name {class} was found");
                self.waits(name, &missing).await?;
                Ok(format!("waits: {missing}"))
            }
        }
    }

    /// Waits until it is said what a bundle waits for.
    pub(super) async fn waits(&self, name: &str, text: &str) -> Result<()> {
        let holds = |deployment: &BundleDeployment| {
            wait::has_reason(
                deployment,
                "Installed",
                "Unknown",
                "InstallationStatusUnknown",
            ) && message(deployment, "Installed").contains(text)
        };
        let waits = Wait::new(format!("{name} is not installed: {text}"));
        let waits = waits.within(PATIENCE).logs(&self.suite);
        waits.object(&self.deployments, name, holds).await?;
        Ok(())
    }

    pub(super) async fn bring(&self, need: Need) -> Result<()> {
        let objects: Vec<Value> = match need {
            Kinds(kinds) => kinds
                .iter()
                .map(|(version, kind, plural)| definition(version, kind, plural))
                .collect(),
            PriorityClass(class) => vec![json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {"name": class}, "value": 1_000_000_000,
            })],
        };
        for object in objects {
            chart::apply(&self.client, &object, "default").await?;
        }
        Ok(())
    }

    pub(super) async fn take_away(&self, need: Need) -> Result<()> {
        match need {
            Kinds(kinds) => {
                let api = Api::<CustomResourceDefinition>::all(self.client.clone());
                for (version, _, plural) in kinds {
                    let group = version.split('/').next().unwrap_or_default();
                    self.delete(&api, &format!("{plural}.{group}")).await?;
                }
                Ok(())
            }
            PriorityClass(class) => {
                let api = Api::<PriorityClasses>::all(self.client.clone());
                self.delete(&api, class).await
            }
        }
    }

    /// Waits until the BundleDeployment is refused as it should be; in words.
    pub(super) async fn refused(&self, name: &str, stage: Stage, texts: &[&str]) -> Result<String> {
        let (type_, reason) = stage.condition();
        let refused = Wait::new(format!("{name}: {type_}=False, {reason}, {texts:?}"))
            .within(PATIENCE)
            .every(Duration::from_millis(100))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                wait::has_reason(deployment, type_, "False", reason)
            })
            .await?;
        let message = message(&refused, type_);
        for text in texts {
            ensure!(message.contains(text), "{name}: no `{text}` in `{message}`");
        }
        ensure!(
            !wait::has_condition(&refused, "Installed", "True"),
            "{name} is refused and installed"
        );
        if stage != Apply {
            let status = refused.status.clone().unwrap_or_default();
            ensure!(
                status.inventory.unwrap_or_default().objects.is_empty(),
                "{name} is not valid, and something was applied"
            );
        }
        let texts: Vec<&str> = texts.iter().map(|text| text.trim()).collect();
        Ok(format!("refused, {reason}: {}", texts.join(" … ")))
    }

    /// Waits until the bundle is installed, and looks for everything that belongs to it.
    pub(super) async fn installed(&self, case: &Case, name: &str) -> Result<String> {
        let deployment = Wait::new(format!("{name} is installed and healthy"))
            .within(PATIENCE)
            .every(Duration::from_millis(100))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                wait::has_reason(deployment, "Installed", "True", "InstallationSucceeded")
                    && wait::has_reason(deployment, "Healthy", "True", "Healthy")
                    && wait::has_condition(deployment, "HasValidBundle", "True")
            })
            .await?;
        let status = deployment.status.context("no status")?;
        ensure!(
            status.install_namespace.as_deref() == Some(NAMESPACE),
            "{name} is installed in {:?}",
            status.install_namespace
        );
        let there = status.inventory.context("no inventory")?.objects;
        let wanted = rendered(&case.files, &case.config())?;
        let listed: BTreeSet<[String; 4]> = there.iter().map(identity).collect();
        ensure!(
            listed == wanted,
            "{name} is installed without {:?}, and with {:?}",
            wanted.difference(&listed).collect::<Vec<_>>(),
            listed.difference(&wanted).collect::<Vec<_>>()
        );
        let mut deployments = 0;
        for object in &there {
            let live = self.read(object).await?;
            let works = match object.kind.as_str() {
                "Deployment" => {
                    deployments += 1;
                    wait::has_condition(&live, "Available", "True")
                }
                "CustomResourceDefinition" => wait::has_condition(&live, "Established", "True"),
                _ => true,
            };
            ensure!(works, "{name} is installed without:\n{}", wait::yaml(&live));
        }
        Ok(format!(
            "installed, {} objects, Deployments Available: {deployments}",
            there.len()
        ))
    }

    pub(super) async fn read(&self, object: &InventoryObject) -> Result<DynamicObject> {
        let kind = GroupVersionKind::gvk(&object.group, &object.version, &object.kind);
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind).await?;
        let api: Api<DynamicObject> = match (&object.namespace, capabilities.scope) {
            (Some(namespace), Scope::Namespaced) => {
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
            (None, Scope::Cluster) => Api::all_with(self.client.clone(), &resource),
            _ => bail!("{object:?} has the wrong scope"),
        };
        let found = api.get_opt(&object.name).await?;
        found.with_context(|| format!("{object:?} does not exist"))
    }

    pub(super) async fn create(&self, name: &str, reference: &str, config: &Value) -> Result<()> {
        let deployment = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": name},
            "spec": {
                "provisionerClassName": "core-rukpak-io-plain",
                "installNamespace": NAMESPACE,
                "config": config,
                "template": {"spec": {
                    "provisionerClassName": "core-rukpak-io-registry",
                    "source": {"type": "image", "image": {"ref": reference}},
                }},
            },
        }))?;
        self.deployments
            .create(&PostParams::default(), &deployment)
            .await?;
        Ok(())
    }

    /// Deletes an object, where it is there, and waits until it is gone.
    pub(super) async fn delete<K>(&self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            answer => answer?,
        };
        Wait::new(format!("{name} is gone"))
            .within(PATIENCE)
            .logs(&self.suite)
            .gone(api, name)
            .await
    }

    /// Waits until the cluster is as it was; what differs is said.
    pub(super) async fn is_as_before(&self, before: &Snapshot) -> Result<()> {
        // The garbage collector of a new cluster learns of new kinds, such as Bundles, within 30 s.
        Wait::new("the cluster is as it was before")
            .every(Duration::from_millis(500))
            .explained(async || {
                let now = Snapshot::take(&self.client).await?;
                let differences: Vec<String> = before
                    .differences(&now)
                    .into_iter()
                    .filter(|line| !came_with_the_namespace(line))
                    .collect();
                Ok(if differences.is_empty() {
                    Ok(())
                } else {
                    Err(differences.join("\n"))
                })
            })
            .await
    }
}

/// Whether a difference is the install namespace, which stays, or what Kubernetes puts into any.
pub(super) fn came_with_the_namespace(line: &str) -> bool {
    [
        format!("Namespace. /{NAMESPACE}"),
        format!("ServiceAccount. {NAMESPACE}/default"),
        format!("ConfigMap. {NAMESPACE}/kube-root-ca.crt"),
    ]
    .iter()
    .any(|key| line == format!("only in the second: {key}"))
}
