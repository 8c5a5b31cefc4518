//! What a user does on the cluster, and sees there.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, Patch, PatchParams, PropagationPolicy};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tests::content::PackageContent;
use olm_tests::publish::Publisher;
use olm_tests::wait::message;
use olm_tests::{Wait, wait};
use olm_tree::MemoryTree;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::health;
use crate::world::World;

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// What a message must be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// This, to the letter.
    Is(&'a str),
    /// Something that holds all of these.
    Has(&'a [&'a str]),
    /// Anything.
    Any,
}

impl Text<'_> {
    fn fits(self, message: &str) -> bool {
        match self {
            Self::Is(text) => message == text,
            Self::Has(parts) => parts.iter().all(|part| message.contains(part)),
            Self::Any => true,
        }
    }
}

/// Someone with a client of the test's own runtime.
pub(crate) struct User<'a> {
    pub(crate) world: &'a World,
    pub(crate) client: Client,
    pub(crate) operators: Api<Operator>,
    pub(crate) deployments: Api<BundleDeployment>,
    pub(crate) catalogs: Api<Catalog>,
}

impl<'a> User<'a> {
    pub(crate) async fn new(world: &'a World) -> Result<Self> {
        let client = world.cluster.client().await?;
        Ok(Self {
            world,
            operators: Api::all(client.clone()),
            deployments: Api::all(client.clone()),
            catalogs: Api::all(client.clone()),
            client,
        })
    }

    /// Pushes the packages as the catalog `name`, makes a Catalog of it, and waits until that is
    /// what is served. Bundles that name an image of their own are not pushed.
    pub(crate) async fn publish(&self, name: &str, packages: &[PackageContent]) -> Result<()> {
        self.publish_with(name, packages, &[]).await
    }

    /// The same with more files in the catalog.
    pub(crate) async fn publish_with(
        &self,
        name: &str,
        packages: &[PackageContent],
        files: &[(&str, &str)],
    ) -> Result<()> {
        let publisher = Publisher::new(&self.world.registry);
        let mut tree = MemoryTree::default();
        for package in packages {
            let mut images = BTreeMap::new();
            for bundle in &package.bundles {
                if bundle.meta["image"] == "" || bundle.meta["image"].is_null() {
                    let repository = format!("bundles/{}:v{}", package.name, bundle.version);
                    let image = publisher.bundle(&repository, &bundle.files).await?;
                    images.insert(bundle.name.clone(), image);
                }
            }
            let file = package.catalog_file(&images)?;
            tree.insert(&format!("{}/catalog.yaml", package.name), file)?;
        }
        for (path, text) in files {
            tree.insert(path, *text)?;
        }
        let image = format!("catalogs/{name}:latest");
        let (reference, digest) = publisher.catalog_tree(&image, &tree).await?;
        self.serves(name, &reference, &digest).await
    }

    /// Applies a Catalog of this image and waits until what is under this digest is served.
    pub(crate) async fn serves(&self, name: &str, reference: &str, digest: &str) -> Result<()> {
        self.catalog(name, reference).await?;
        Wait::new(format!("Catalog `{name}` serves {digest}"))
            .within(PATIENCE)
            .logs(&self.world.suite)
            .object(&self.catalogs, name, |catalog| {
                let source = catalog
                    .status
                    .as_ref()
                    .and_then(|of| of.resolved_source.as_ref());
                let image = source.and_then(|source| source.image.as_ref());
                image.is_some_and(|image| image.resolved_ref.ends_with(digest))
                    && wait::has_condition(catalog, "Unpacked", "True")
                    && wait::has_condition(catalog, "Ready", "True")
            })
            .await?;
        Ok(())
    }

    /// Applies a Catalog of this image.
    pub(crate) async fn catalog(&self, name: &str, reference: &str) -> Result<()> {
        let image = json!({"ref": reference, "pollInterval": "2s"});
        let object = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": name},
            "spec": {"source": {"type": "image", "image": image}},
        });
        apply(&self.catalogs, name, &object).await
    }

    /// Applies an Operator.
    pub(crate) async fn ask(&self, name: &str, spec: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name}, "spec": spec,
        });
        apply(&self.operators, name, &object).await
    }

    /// The Operator once its condition `row` (`TYPE=STATUS/REASON`) says `text` of the object as
    /// it is.
    pub(crate) async fn said(&self, name: &str, row: &str, text: Text<'_>) -> Result<Operator> {
        let operator = self.says(&self.operators, name, row, text).await?;
        // What holds for every Operator at any time.
        let status = operator.status.clone().context("no status")?;
        for kind in ["Healthy", "Installed", "Progressing", "Ready", "Resolved"] {
            let condition = status.conditions.iter().find(|of| of.type_ == kind);
            let condition = condition.with_context(|| format!("`{name}` lacks {kind}"))?;
            ensure!(condition.observed_generation == operator.metadata.generation);
        }
        let known = [
            "BundleDeprecated",
            "ChannelDeprecated",
            "DefinitionsKept",
            "Deprecated",
            "Healthy",
            "Installed",
            "PackageDeprecated",
            "Progressing",
            "Ready",
            "Resolved",
            "Stalled",
        ];
        ensure!(
            status
                .conditions
                .iter()
                .all(|of| known.contains(&of.type_.as_str()))
        );
        health::is_known_when_looked_at(&operator)?;
        Ok(operator)
    }

    /// The same for any object.
    pub(crate) async fn says<K>(
        &self,
        api: &Api<K>,
        name: &str,
        row: &str,
        text: Text<'_>,
    ) -> Result<K>
    where
        K: Clone + DeserializeOwned + Serialize + Debug,
    {
        let (kind, rest) = row.split_once('=').context("TYPE=STATUS/REASON")?;
        let (status, reason) = rest.split_once('/').context("TYPE=STATUS/REASON")?;
        Wait::new(format!("`{name}` says {row}: {text:?}"))
            .within(PATIENCE)
            .logs(&self.world.suite)
            .object(api, name, |object| {
                wait::has_reason(object, kind, status, reason) && text.fits(&message(object, kind))
            })
            .await
    }

    /// The Operator, once it is refused with this text and nothing runs for it.
    pub(crate) async fn refused(&self, name: &str, text: &str) -> Result<Operator> {
        let row = "Resolved=False/ResolutionFailed";
        let operator = self.said(name, row, Text::Is(text)).await?;
        let status = operator.status.clone().unwrap_or_default();
        ensure!(status.resolved.is_none() && status.resolved_bundle_resource.is_empty());
        ensure!(status.installed.is_none() && status.installed_bundle_resource.is_empty());
        let installed = wait::condition(&operator, "Installed").context("no Installed")?;
        ensure!(
            installed["status"] == "Unknown"
                && installed["reason"] == "InstallationStatusUnknown"
                && installed["message"]
                    == "installation has not been attempted as resolution failed",
            "{installed}"
        );
        ensure!(wait::has_condition(&operator, "Ready", "False"));
        health::is(&operator, "Degraded")?;
        Ok(operator)
    }

    /// The Operator, once this version runs and nothing else is wanted.
    pub(crate) async fn installed(&self, name: &str, version: &str) -> Result<Operator> {
        let operator = Wait::new(format!("{name} {version} is installed"))
            .within(PATIENCE)
            .logs(&self.world.suite)
            .object(&self.operators, name, |operator| {
                let status = operator.status.clone().unwrap_or_default();
                status.installed.is_some_and(|of| of.version == version)
                    && status.resolved.is_some_and(|of| of.version == version)
                    && wait::has_reason(operator, "Installed", "True", "Success")
                    && wait::has_reason(operator, "Ready", "True", "Success")
            })
            .await?;
        let status = operator.status.clone().unwrap_or_default();
        let image = status.installed_bundle_resource;
        ensure!(image == status.resolved_bundle_resource && !image.is_empty());
        ensure!(message(&operator, "Installed") == format!("installed from {image:?}"));
        ensure!(message(&operator, "Resolved") == format!("resolved to {image:?}"));
        Ok(operator)
    }

    /// Deletes Operators and waits until they and their BundleDeployments are gone.
    pub(crate) async fn remove(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let parameters = DeleteParams {
                propagation_policy: Some(PropagationPolicy::Background),
                ..DeleteParams::default()
            };
            self.operators.delete(name, &parameters).await?;
        }
        for name in names {
            Wait::new(format!("Operator `{name}` is gone"))
                .within(PATIENCE)
                .gone(&self.operators, name)
                .await?;
            Wait::new(format!("BundleDeployment `{name}` is gone"))
                .within(PATIENCE)
                .logs(&self.world.suite)
                .gone(&self.deployments, name)
                .await?;
        }
        Ok(())
    }

    /// Deletes the Deployment of an installed fixture and waits until it is back.
    pub(crate) async fn breaks_deployment(&self, package: &str) -> Result<()> {
        let namespace = format!("{package}-system");
        let workloads: Api<Deployment> = Api::namespaced(self.client.clone(), &namespace);
        self.deletes(&workloads, package).await
    }

    /// Deletes an object and waits until there is another one.
    pub(crate) async fn deletes<K>(&self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: kube::Resource + Clone + DeserializeOwned + Serialize + Debug,
    {
        let before = api.get(name).await?.uid();
        api.delete(name, &DeleteParams::default()).await?;
        Wait::new(format!("`{name}` is back"))
            .within(PATIENCE)
            .logs(&self.world.suite)
            .object(api, name, |object| object.uid() != before)
            .await?;
        Ok(())
    }

    /// The message of the deployment's condition.
    pub(crate) async fn deployment_says(
        &self,
        name: &str,
        row: &str,
        text: Text<'_>,
    ) -> Result<String> {
        let kind = row.split('=').next().unwrap_or_default();
        let deployment = self.says(&self.deployments, name, row, text).await?;
        Ok(message(&deployment, kind))
    }

    /// The Bundle that runs.
    pub(crate) async fn active(&self, name: &str) -> Result<String> {
        let status = self.deployments.get(name).await?.status;
        status
            .and_then(|status| status.active_bundle)
            .context("no active Bundle")
    }
}

/// Applies an object as `kubectl apply --server-side` does.
pub(crate) async fn apply<K>(api: &Api<K>, name: &str, object: &Value) -> Result<()>
where
    K: Clone + DeserializeOwned + Debug,
{
    let parameters = PatchParams::apply("a-user").force();
    api.patch(name, &parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("cannot apply `{name}`"))?;
    Ok(())
}

/// Every different thing that a watch shows of one object, in order.
#[derive(Debug)]
pub(crate) struct Recorder {
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// Watches the object `name` from now on, and notes what `what` finds, if anything.
    pub(crate) fn start<K>(
        api: Api<K>,
        name: &str,
        what: impl Fn(&K) -> Option<String> + Send + 'static,
    ) -> Self
    where
        K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, config));
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
                    && let Some(note) = what(&object)
                {
                    let mut notes = notes.lock().unwrap();
                    if notes.last() != Some(&note) {
                        notes.push(note);
                    }
                }
            }
        });
        Self { seen, task }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
