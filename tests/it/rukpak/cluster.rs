//! A cluster with rukpak, its webhook and a registry.

use anyhow::Result;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_tests::chart::Chart;
use olm_tests::publish::Publisher;
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, wait};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

pub(super) const PLAIN: &str = "core-rukpak-io-plain";

pub(super) const REGISTRY: &str = "core-rukpak-io-registry";

pub(super) const OWNER_NAME: &str = "core.rukpak.io/owner-name";

/// One cluster with rukpak and its webhook, and an open registry.
pub(super) struct RukpakCluster {
    pub(super) cluster: ControlPlane,
    pub(super) suite: Suite,
    pub(super) registry: Registry,
    pub(super) client: Client,
    pub(super) bundles: Api<Bundle>,
    pub(super) deployments: Api<BundleDeployment>,
}

impl RukpakCluster {
    pub(super) async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with these settings of the chart.
    pub(super) async fn start_with(values: &[&str]) -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let chart = Chart {
            values: values.iter().map(|text| (*text).to_owned()).collect(),
            ..Chart::default()
        };
        let mut options = SuiteOptions {
            chart,
            ..SuiteOptions::plain_http([registry.host()])
        };
        // git and web servers of tests are on this machine.
        let local = vec!["--allow-local-sources".to_owned()];
        options.arguments.insert("rukpak".to_owned(), local);
        let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
        let client = cluster.client().await?;
        Ok(Self {
            bundles: Api::all(client.clone()),
            deployments: Api::all(client.clone()),
            cluster,
            suite,
            registry,
            client,
        })
    }

    /// Pushes files as a bundle image; its reference by tag.
    pub(super) async fn push(&self, name: &str, files: &[(&str, Value)]) -> Result<String> {
        let mut tree = MemoryTree::default();
        for (path, object) in files {
            tree.insert(path, object.to_string())?;
        }
        self.push_tree(name, &tree).await
    }

    /// The same of a folder, which may have empty folders.
    pub(super) async fn push_tree(&self, name: &str, tree: &MemoryTree) -> Result<String> {
        Publisher::new(&self.registry).bundle(name, tree).await?;
        Ok(format!("{}/{name}", self.registry.host()))
    }

    pub(super) async fn create(
        &self,
        name: &str,
        class: &str,
        source: Value,
    ) -> Result<(), kube::Error> {
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "Bundle",
            "metadata": {"name": name},
            "spec": {"provisionerClassName": class, "source": source},
        }));
        let bundle = bundle.map_err(kube::Error::SerdeError)?;
        self.bundles.create(&PostParams::default(), &bundle).await?;
        Ok(())
    }

    /// Applies a BundleDeployment as operator-controller does.
    pub(super) async fn deploy(&self, name: &str, class: &str, reference: &str) -> Result<()> {
        self.deploy_with(name, class, reference, json!({})).await
    }

    pub(super) async fn deploy_with(
        &self,
        name: &str,
        class: &str,
        reference: &str,
        more: Value,
    ) -> Result<()> {
        let mut object = json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": name},
            "spec": {
                "provisionerClassName": PLAIN,
                "template": {"spec": {
                    "provisionerClassName": class,
                    "source": {"type": "image", "image": {"ref": reference}},
                }},
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        let parameters = PatchParams::apply("tests").force();
        self.deployments
            .patch(name, &parameters, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    /// The Bundle once its condition `Unpacked` has this reason.
    pub(super) async fn unpacked(&self, name: &str, reason: &str) -> Result<Bundle> {
        Wait::new(format!("Unpacked of Bundle `{name}` is {reason}"))
            .logs(&self.suite)
            .object(&self.bundles, name, |bundle| {
                wait::is_because(bundle, "Unpacked", reason)
            })
            .await
    }

    /// The BundleDeployment once a condition has this reason at the current generation.
    pub(super) async fn said(
        &self,
        name: &str,
        type_: &str,
        reason: &str,
    ) -> Result<BundleDeployment> {
        Wait::new(format!("{type_} of BundleDeployment `{name}` is {reason}"))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                wait::is_because(deployment, type_, reason)
            })
            .await
    }

    pub(super) async fn installed(&self, name: &str) -> Result<BundleDeployment> {
        self.said(name, "Installed", "InstallationSucceeded").await
    }

    pub(super) async fn uninstall(&self, name: &str) -> Result<()> {
        self.deployments
            .delete(name, &DeleteParams::default())
            .await?;
        Wait::new(format!("BundleDeployment `{name}` is gone"))
            .logs(&self.suite)
            .gone(&self.deployments, name)
            .await
    }

    /// The names of a deployment's Bundles.
    pub(super) async fn bundles_of(&self, name: &str) -> Result<Vec<String>> {
        let selector = format!("{OWNER_NAME}={name}");
        let found = self
            .bundles
            .list(&ListParams::default().labels(&selector))
            .await?;
        Ok(found.iter().map(kube::ResourceExt::name_any).collect())
    }
}
