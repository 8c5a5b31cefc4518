//! A cluster with catalogd alone, and what its Catalogs say.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::{Api, Client};
use olm_api::catalog::{Catalog, CatalogStatus};
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, wait};
use reqwest::Response;
use serde_json::{Value, json};

/// One cluster with catalogd alone, and an open registry.
pub(super) struct CatalogdCluster {
    pub(super) suite: Suite,
    pub(super) registry: Registry,
    pub(super) catalogs: Api<Catalog>,
    pub(super) client: Client,
}

impl CatalogdCluster {
    pub(super) async fn start() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let options = SuiteOptions::plain_http([registry.host()]);
        let suite = Suite::start_only(&cluster, options, &["catalogd"]).await?;
        let client = cluster.client().await?;
        Ok(Self {
            catalogs: Api::all(client.clone()),
            suite,
            registry,
            client,
        })
    }

    pub(super) async fn create(&self, name: &str, image: Value) -> Result<()> {
        let catalog = serde_json::from_value(json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1",
            "kind": "Catalog",
            "metadata": {"name": name},
            "spec": {"source": {"type": "image", "image": image}},
        }))?;
        self.catalogs
            .create(&PostParams::default(), &catalog)
            .await?;
        Ok(())
    }

    /// The status once the condition `Unpacked` has this status, for the object as it is.
    pub(super) async fn unpacked(&self, name: &str, status: &str) -> Result<CatalogStatus> {
        let catalog = Wait::new(format!("Unpacked of `{name}` is {status}"))
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                wait::has_condition(catalog, "Unpacked", status)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// The status once `wanted` holds.
    pub(super) async fn status(
        &self,
        what: &str,
        name: &str,
        wanted: impl Fn(&CatalogStatus) -> bool,
    ) -> Result<CatalogStatus> {
        let catalog = Wait::new(what)
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                catalog.status.as_ref().is_some_and(&wanted)
            })
            .await?;
        catalog.status.context("no status")
    }

    /// A client that trusts what the suite publishes and nothing else.
    pub(super) async fn http(&self) -> Result<reqwest::Client> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), self.suite.namespace());
        let trust = maps.get("olm-trust").await?.data.unwrap_or_default();
        let authority = trust.get("catalogd").context("no authority of catalogd")?;
        let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes())?;
        Ok(reqwest::Client::builder().tls_certs_only(roots).build()?)
    }

    pub(super) async fn get(&self, url: &str) -> Result<Response> {
        Ok(self.http().await?.get(url).send().await?)
    }
}

pub(super) fn message(status: &CatalogStatus) -> &str {
    let unpacked = status.conditions.iter().find(|row| row.type_ == "Unpacked");
    unpacked.map_or("", |row| row.message.as_str())
}

pub(super) fn has(status: &CatalogStatus, kind: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|row| row.type_ == kind && row.status == "True")
}

pub(super) fn last_poll(status: &CatalogStatus) -> Option<i64> {
    let image = status.resolved_source.as_ref()?.image.as_ref()?;
    Some(image.last_poll_attempt.0.as_second())
}
