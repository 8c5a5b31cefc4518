//! catalogd alone on a control plane of its own, and clients that trust it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use olm_api::catalog::{Catalog, CatalogStatus};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use crate::publish::Publisher;
use crate::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, wait};

/// Name of the component.
pub const CATALOGD: &str = "catalogd";

/// One cluster with catalogd alone, and an open registry.
#[derive(Debug)]
pub struct Catalogd {
    /// The control plane.
    pub cluster: ControlPlane,
    /// The suite, of which only catalogd runs.
    pub suite: Suite,
    /// The registry.
    pub registry: Registry,
}

impl Catalogd {
    /// Starts it, and waits until catalogd is ready.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start() -> Result<Self> {
        Self::with([], []).await
    }

    /// The same with more registries without TLS, and more arguments of catalogd.
    ///
    /// # Errors
    /// As [`Catalogd::start`].
    pub async fn with(
        registries: impl IntoIterator<Item = String>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        let options = SuiteOptions {
            plain_http_registries: registries.into_iter().collect(),
            arguments: BTreeMap::from([(CATALOGD.to_owned(), arguments.into_iter().collect())]),
            ..SuiteOptions::default()
        };
        Self::install(options).await
    }

    /// The same for measurements: with the lease of the chart, which is not lost while the machine
    /// is busy.
    ///
    /// # Errors
    /// As [`Catalogd::start`].
    pub async fn measured() -> Result<Self> {
        let options = SuiteOptions {
            rendered_leases: true,
            ..SuiteOptions::default()
        };
        Self::install(options).await
    }

    async fn install(mut options: SuiteOptions) -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        options.plain_http_registries.push(registry.host());
        let suite = Suite::install(&cluster, options).await?;
        suite.start_component(CATALOGD).await?;
        Ok(Self {
            cluster,
            suite,
            registry,
        })
    }

    /// A client of the API server.
    ///
    /// # Errors
    /// When there is none.
    pub async fn client(&self) -> Result<Client> {
        self.cluster.client().await
    }

    /// The Catalogs of the cluster.
    ///
    /// # Errors
    /// As [`Catalogd::client`].
    pub async fn catalogs(&self) -> Result<Api<Catalog>> {
        Ok(Api::all(self.client().await?))
    }

    /// Pushes a catalog of one file under `name` (`repository:tag`); gives its reference and the
    /// digest of the image.
    ///
    /// # Errors
    /// When it cannot be pushed.
    pub async fn publish(&self, name: &str, lines: &str) -> Result<(String, String)> {
        let mut tree = MemoryTree::default();
        tree.insert("package/catalog.json", lines)?;
        Publisher::new(&self.registry)
            .catalog_tree(name, &tree)
            .await
    }

    /// Creates a Catalog whose `spec.source.image` is `image`.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn create(&self, name: &str, image: Value) -> Result<()> {
        let catalog = serde_json::from_value(json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1",
            "kind": "Catalog",
            "metadata": {"name": name},
            "spec": {"source": {"type": "image", "image": image}},
        }))?;
        let catalogs = self.catalogs().await?;
        catalogs.create(&PostParams::default(), &catalog).await?;
        Ok(())
    }

    /// Merges `spec` into that of a Catalog.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub async fn change(&self, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        let catalogs = self.catalogs().await?;
        catalogs
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// The status once the condition `Unpacked` has this status, for the object as it is.
    ///
    /// # Errors
    /// When that does not come to be.
    pub async fn unpacked(&self, name: &str, status: &str) -> Result<CatalogStatus> {
        let catalogs = self.catalogs().await?;
        let catalog = Wait::new(format!("Unpacked of `{name}` is {status}"))
            .logs(&self.suite)
            .object(&catalogs, name, |catalog| {
                wait::has_condition(catalog, "Unpacked", status)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// The status once `holds` for it.
    ///
    /// # Errors
    /// When that does not come to be.
    pub async fn status(
        &self,
        what: &str,
        name: &str,
        holds: impl Fn(&CatalogStatus) -> bool,
    ) -> Result<CatalogStatus> {
        let catalogs = self.catalogs().await?;
        let catalog = Wait::new(what)
            .logs(&self.suite)
            .object(&catalogs, name, |catalog| {
                catalog.status.as_ref().is_some_and(&holds)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// A client that trusts what the suite publishes and nothing else; it decompresses nothing.
    /// Waits until it is published.
    ///
    /// # Errors
    /// When nothing is published in time.
    pub async fn http(&self) -> Result<reqwest::Client> {
        Ok(self.trusting().await?.build()?)
    }

    /// The same without HTTP/2.
    ///
    /// # Errors
    /// As [`Catalogd::http`].
    pub async fn http1(&self) -> Result<reqwest::Client> {
        Ok(self.trusting().await?.http1_only().build()?)
    }

    async fn trusting(&self) -> Result<reqwest::ClientBuilder> {
        let client = self.client().await?;
        let maps = Api::<ConfigMap>::namespaced(client, self.suite.namespace());
        let authority = Wait::new("the authority of catalogd in the ConfigMap olm-trust")
            .logs(&self.suite)
            .value(async || {
                let trust = maps.get_opt("olm-trust").await?;
                Ok(trust.and_then(|trust| trust.data?.remove(CATALOGD)))
            })
            .await?;
        let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes())?;
        Ok(reqwest::Client::builder().tls_certs_only(roots).no_gzip())
    }

    /// The address of an endpoint of a catalog at one replica.
    ///
    /// # Errors
    /// When there is no such replica.
    pub fn url(&self, replica: &str, catalog: &str, endpoint: &str) -> Result<String> {
        let address = self.suite.address(replica, 8443)?;
        Ok(format!("https://{address}/catalogs/{catalog}/{endpoint}"))
    }

    /// The cache folder of a replica.
    pub fn cache(&self, replica: &str) -> PathBuf {
        self.suite.directory().join(replica).join("data")
    }
}

/// The message of the condition `Unpacked`.
pub fn message(status: &CatalogStatus) -> &str {
    let unpacked = status.conditions.iter().find(|row| row.type_ == "Unpacked");
    unpacked.map_or("", |row| row.message.as_str())
}

/// When the registry was last asked with success, in seconds.
pub fn last_poll(status: &CatalogStatus) -> Option<i64> {
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    Some(image.last_poll_attempt.0.as_second())
}

/// A package's line, as it is served.
pub fn package(name: &str) -> String {
    format!("{{\"name\":\"{name}\",\"schema\":\"olm.package\"}}\n")
}
