//! The Deployments of the chart as local processes, each as its own `ServiceAccount`.
//!
//! Command, arguments and environment are those that the chart renders. Overridden is only what a
//! process outside a pod needs: listen and external addresses, `--tls-san`, folders,
//! `--kubeconfig`, `--system-namespace`, the lease durations and the registries of the test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{Service, ServiceAccount};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::chart::{Chart, Rendered};
use crate::control_plane::ControlPlane;
use crate::instance::Instance;
use crate::process::{Process, lock};
use crate::report::Logs;
use crate::wait::Wait;
use crate::{kubeconfig, scratch};

/// What the suite is started with.
#[derive(Clone, Debug, Default)]
pub struct SuiteOptions {
    /// The chart; default: the project's own.
    pub chart: Chart,
    /// Folder of the binaries; default: `OLM_TEST_BIN_DIR`, else next to the test executable.
    pub binaries: Option<PathBuf>,
    /// `host:port` of registries without TLS, passed as `--plain-http-registry`.
    pub plain_http_registries: Vec<String>,
    /// A file of PEM certificates, passed as `--registry-ca-file`.
    pub registry_ca_file: Option<PathBuf>,
    /// Whether leases last as the chart says (15 s); default: 3 s, so that the next process of a
    /// killed one need not wait for long. On a busy machine a lease that short may be lost, upon
    /// which its holder ends, and nobody starts it again.
    pub rendered_leases: bool,
    /// Kubeconfigs per Deployment, of whose cluster the processes are clients, each with its own
    /// token; default: that of the control plane.
    pub kubeconfigs: BTreeMap<String, PathBuf>,
    /// More arguments per Deployment, appended last.
    pub arguments: BTreeMap<String, Vec<String>>,
    /// More environment per Deployment, over what is rendered.
    pub environment: BTreeMap<String, Vec<(String, String)>>,
}

impl SuiteOptions {
    /// The usual ones, for registries without TLS at these `host:port`.
    pub fn plain_http(registries: impl IntoIterator<Item = String>) -> Self {
        Self {
            plain_http_registries: registries.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// The suite on one control plane.
#[derive(Debug)]
pub struct Suite {
    cluster: ControlPlane,
    options: SuiteOptions,
    rendered: Rendered,
    directory: PathBuf,
    instances: Vec<Instance>,
}

impl Suite {
    /// Applies the chart, starts one process per Deployment and waits until all are ready.
    pub async fn start(cluster: &ControlPlane, options: SuiteOptions) -> Result<Self> {
        let suite = Self::install(cluster, options).await?;
        for name in suite.components() {
            suite.start_process(&name).await?;
        }
        for name in suite.components() {
            suite.wait_ready(&name).await?;
        }
        Ok(suite)
    }

    /// Applies the chart and starts only these components, one after the other, each until it is
    /// ready.
    pub async fn start_only(
        cluster: &ControlPlane,
        options: SuiteOptions,
        components: &[&str],
    ) -> Result<Self> {
        let suite = Self::install(cluster, options).await?;
        for name in components {
            suite.start_component(name).await?;
        }
        Ok(suite)
    }

    /// Applies the chart and prepares one process per Deployment; nothing runs yet.
    pub async fn install(cluster: &ControlPlane, options: SuiteOptions) -> Result<Self> {
        let rendered = options.chart.render(cluster.version()).await?;
        rendered.apply(cluster).await?;
        let mut suite = Self {
            cluster: cluster.clone(),
            options,
            rendered,
            directory: scratch::subdirectory("suite")?,
            instances: Vec::new(),
        };
        for deployment in suite.rendered.of_kind::<Deployment>("Deployment")? {
            let name = deployment.metadata.name.clone().unwrap_or_default();
            let instance = suite.prepare(&deployment, name)?;
            suite.instances.push(instance);
        }
        ensure!(
            !suite.instances.is_empty(),
            "the chart renders no Deployment"
        );
        suite.expose().await?;
        Ok(suite)
    }

    /// Prepares another process of a Deployment, as a second replica would be, and gives its name
    /// (`NAME-1`, `NAME-2`, …), by which all other methods know it. It does not run yet.
    pub fn add_replica(&mut self, component: &str) -> Result<String> {
        let deployments = self.rendered.of_kind::<Deployment>("Deployment")?;
        let deployment = deployments
            .iter()
            .find(|deployment| deployment.metadata.name.as_deref() == Some(component))
            .with_context(|| format!("the chart renders no Deployment `{component}`"))?;
        let count = self
            .instances
            .iter()
            .filter(|of| of.pod.deployment == component)
            .count();
        let name = format!("{component}-{count}");
        let instance = self.prepare(deployment, name.clone())?;
        self.instances.push(instance);
        Ok(name)
    }

    /// The names of all processes, in the order of the rendered Deployments.
    pub fn components(&self) -> Vec<String> {
        self.instances
            .iter()
            .map(|instance| instance.name.clone())
            .collect()
    }

    /// The namespace of the suite.
    pub fn namespace(&self) -> &str {
        &self.rendered.namespace
    }

    /// What the chart rendered.
    pub fn rendered(&self) -> &Rendered {
        &self.rendered
    }

    /// The control plane it runs on.
    pub fn cluster(&self) -> &ControlPlane {
        &self.cluster
    }

    /// Starts a process, with a new token, and waits until it is ready.
    pub async fn start_component(&self, component: &str) -> Result<()> {
        self.start_process(component).await?;
        self.wait_ready(component).await
    }

    /// Starts a process, with a new token, without waiting.
    pub async fn start_process(&self, component: &str) -> Result<()> {
        let instance = self.instance(component)?;
        let token = self.token(component).await?;
        let path = instance.kubeconfig.clone();
        let like = self.options.kubeconfigs.get(&instance.pod.deployment);
        let like = like.map_or_else(|| self.cluster.kubeconfig(), PathBuf::as_path);
        kubeconfig::write_with_token(path, like, &token)?;
        instance.process.start()?;
        *lock(&instance.started) = true;
        self.expose().await
    }

    /// Ends a process with SIGKILL.
    pub fn kill(&self, component: &str) -> Result<()> {
        let instance = self.instance(component)?;
        *lock(&instance.started) = false;
        instance.process.kill()
    }

    /// Ends a process with SIGTERM and gives its exit status.
    ///
    /// # Errors
    /// When it has not ended after `within`; it is killed then.
    pub async fn stop(
        &self,
        component: &str,
        within: Duration,
    ) -> Result<std::process::ExitStatus> {
        let instance = self.instance(component)?;
        *lock(&instance.started) = false;
        instance.process.terminate(within).await
    }

    /// [`Suite::kill`], then [`Suite::start_component`].
    pub async fn restart(&self, component: &str) -> Result<()> {
        self.kill(component)?;
        self.start_component(component).await
    }

    /// Waits until the process answers 200 to `/readyz`.
    ///
    /// # Errors
    /// When it ended or is not ready after the deadline, with the end of its log.
    pub async fn wait_ready(&self, component: &str) -> Result<()> {
        let instance = self.instance(component)?;
        let address = self.address(component, 8081)?;
        Wait::new(format!("`{component}` is ready"))
            .within(Duration::from_secs(90))
            .logs(&instance.process)
            .explained(async || {
                if let Err(error) = instance.process.check() {
                    return Ok(Ok(Err(error)));
                }
                let (status, body) = get(address, "/readyz").await?;
                Ok(if status == 200 {
                    Ok(Ok(()))
                } else {
                    Err(format!("{status}: {body}"))
                })
            })
            .await?
    }

    /// The process of a component, for its log, id and memory.
    pub fn process(&self, component: &str) -> Result<&Process> {
        Ok(&self.instance(component)?.process)
    }

    /// Everything a component logged so far.
    pub fn log(&self, component: &str) -> Result<String> {
        Ok(self.process(component)?.log())
    }

    /// Where a component listens for what the chart calls `container_port`: 8080 metrics, 8081
    /// probes, 8443 content, 9443 webhooks.
    pub fn address(&self, component: &str, container_port: u16) -> Result<SocketAddr> {
        let port = self.instance(component)?.ports.get(&container_port);
        let port = port
            .with_context(|| format!("`{component}` does not listen on port {container_port}"))?;
        Ok((Ipv4Addr::LOCALHOST, port.number()).into())
    }

    /// The metrics of a component as text.
    pub async fn metrics(&self, component: &str) -> Result<String> {
        let (status, body) = get(self.address(component, 8080)?, "/metrics").await?;
        ensure!(
            status == 200,
            "`{component}` answers {status} to `/metrics`: {body}"
        );
        Ok(body)
    }

    /// A new token of the component's `ServiceAccount`, valid for a day.
    pub async fn token(&self, component: &str) -> Result<String> {
        let account = &self.instance(component)?.pod.service_account;
        let client = self.cluster.client().await?;
        let accounts = Api::<ServiceAccount>::namespaced(client, self.namespace());
        let request: TokenRequest = serde_json::from_value(
            json!({ "spec": { "expirationSeconds": 86_400, "audiences": [] } }),
        )?;
        let answer = accounts
            .create_token_request(account, &PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for the ServiceAccount `{account}`"))?;
        answer
            .status
            .map(|status| status.token)
            .context("the token request has no status")
    }

    /// A client with the rights of the component's `ServiceAccount` and no others.
    pub async fn client_as(&self, component: &str) -> Result<Client> {
        let token = self.token(component).await?;
        let path = self
            .directory
            .join(format!("{component}-client.kubeconfig"));
        kubeconfig::client(&kubeconfig::write_with_token(
            path,
            self.cluster.kubeconfig(),
            &token,
        )?)
        .await
    }

    fn instance(&self, name: &str) -> Result<&Instance> {
        let found = self.instances.iter().find(|instance| instance.name == name);
        found.with_context(|| format!("there is no component `{name}`"))
    }

    fn prepare(&self, deployment: &Deployment, name: String) -> Result<Instance> {
        Instance::prepare(
            &self.cluster,
            &self.options,
            &self.directory,
            deployment,
            name,
        )
    }

    /// Makes the rendered Services lead to the processes that they select.
    async fn expose(&self) -> Result<()> {
        for service in self.rendered.of_kind::<Service>("Service")? {
            let name = service.metadata.name.unwrap_or_default();
            let spec = service.spec.unwrap_or_default();
            let selector = spec.selector.unwrap_or_default();
            if selector.is_empty() {
                continue;
            }
            for port in spec.ports.unwrap_or_default() {
                let target = port.target_port.unwrap_or(IntOrString::Int(port.port));
                let listeners: Vec<SocketAddr> = self
                    .instances
                    .iter()
                    .filter(|instance| *lock(&instance.started))
                    .filter(|instance| {
                        selector
                            .iter()
                            .all(|(key, value)| instance.pod.labels.get(key) == Some(value))
                    })
                    .filter_map(|instance| instance.listener(&target))
                    .collect();
                let port = u16::try_from(port.port).context("a Service's port is out of range")?;
                if !(listeners.is_empty() && self.cluster.is_external()) {
                    self.cluster
                        .expose(self.namespace(), &name, port, &listeners)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// The folder of the suite's files and logs.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Logs for Suite {
    fn tails(&self) -> Vec<(String, String)> {
        self.instances
            .iter()
            .flat_map(|instance| instance.process.tails())
            .collect()
    }
}

/// A plain HTTP GET: status and body, at most 8 MiB.
pub async fn get(address: SocketAddr, path: &str) -> Result<(u16, String)> {
    let mut stream = tokio::net::TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(8 << 20).read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("not an HTTP response")?;
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok());
    Ok((status.context("not an HTTP response")?, body.to_owned()))
}
