//! A cluster that the harness does not run: that of `OLM_TEST_KUBECONFIG`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{ControlPlane, Inner};
use crate::{kubeconfig, report, scratch};

impl ControlPlane {
    /// The cluster of this kubeconfig, which reaches this machine at `OLM_TEST_HOST`.
    pub(super) async fn external(kubeconfig: PathBuf) -> Result<Self> {
        let host = std::env::var("OLM_TEST_HOST")
            .ok()
            .filter(|host| !host.is_empty())
            .context(
                "OLM_TEST_KUBECONFIG is set but OLM_TEST_HOST is not: give the IP address at which \
             that cluster reaches this machine",
            )?;
        let host = host.parse().context("OLM_TEST_HOST is not an IP address")?;
        let start = Instant::now();
        let client = kubeconfig::client(&kubeconfig).await?;
        let version = client
            .apiserver_version()
            .await
            .with_context(|| format!("cannot reach the cluster of `{}`", kubeconfig.display()))?;
        let version = version.git_version;
        report::line(&format!(
            "cluster {version} of {} is used",
            kubeconfig.display()
        ));
        Ok(Self(Arc::new(Inner {
            directory: scratch::subdirectory("cluster")?,
            kubeconfig,
            host,
            version,
            ready_after: start.elapsed(),
            own: None,
        })))
    }

    /// A Service without selector, whose one `EndpointSlice` names this machine.
    pub(super) async fn expose_to_foreign_cluster(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
        listeners: &[SocketAddr],
    ) -> Result<()> {
        let client = self.client().await?;
        let params = PatchParams::apply("olm-tests").force();
        let services = Api::<Service>::namespaced(client.clone(), namespace);
        let remove = Patch::Merge(json!({ "spec": { "selector": null } }));
        let found = services
            .patch(service, &PatchParams::default(), &remove)
            .await?;
        let ports = found.spec.and_then(|spec| spec.ports).unwrap_or_default();
        let named = ports.iter().find(|of| of.port == i32::from(port));
        let name = named.and_then(|of| of.name.clone()).unwrap_or_default();
        let local = listeners.first().map(SocketAddr::port);
        let slice: EndpointSlice = serde_json::from_value(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{service}-{port}-olm-tests"),
                "labels": { "kubernetes.io/service-name": service },
            },
            "addressType": if self.0.host.is_ipv4() { "IPv4" } else { "IPv6" },
            "endpoints": local.map(|_| json!({ "addresses": [self.0.host] }))
                .into_iter().collect::<Vec<_>>(),
            "ports": [{ "name": name, "port": local, "protocol": "TCP" }],
        }))?;
        let slices = Api::<EndpointSlice>::namespaced(client, namespace);
        let name = slice.metadata.name.clone().unwrap_or_default();
        slices.patch(&name, &params, &Patch::Apply(&slice)).await?;
        Ok(())
    }
}
