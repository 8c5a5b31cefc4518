//! A Kubernetes cluster of real servers on free ports, with a simulated node.

mod foreign;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::OnceCell;

use crate::assets::{self, Tool};
use crate::egress::Egress;
use crate::kubeconfig;
use crate::ports::Port;
use crate::process::{Process, Program};
use crate::report::{self, Logs};
use crate::scratch;
use crate::servers::{self, Files};
use crate::wait::{Wait, has_condition};

/// How long the API server may take to become ready on a busy machine.
const READY: Duration = Duration::from_secs(90);

/// A server of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The database; its data survives a restart.
    Etcd,
    /// The API server.
    ApiServer,
    /// The controller manager.
    ControllerManager,
    /// The scheduler.
    Scheduler,
    /// The simulated kubelet.
    Kwok,
}

impl Component {
    const ALL: [Self; 5] = [
        Self::Etcd,
        Self::ApiServer,
        Self::ControllerManager,
        Self::Scheduler,
        Self::Kwok,
    ];

    fn tool(self) -> Tool {
        match self {
            Self::Etcd => Tool::Etcd,
            Self::ApiServer => Tool::KubeApiServer,
            Self::ControllerManager => Tool::KubeControllerManager,
            Self::Scheduler => Tool::KubeScheduler,
            Self::Kwok => Tool::Kwok,
        }
    }
}

/// What differs from the usual.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// More flags for kube-apiserver.
    pub api_server_flags: Vec<String>,
    /// More flags for kube-controller-manager.
    pub controller_manager_flags: Vec<String>,
}

/// A running cluster; clones are the same cluster. The servers end with the last clone, or with
/// the process.
#[derive(Clone)]
pub struct ControlPlane(Arc<Inner>);

struct Inner {
    directory: PathBuf,
    kubeconfig: PathBuf,
    host: IpAddr,
    version: String,
    ready_after: Duration,
    own: Option<Own>,
}

/// What exists only for a cluster that the harness started itself.
struct Own {
    processes: Vec<(Component, Process)>,
    egress: Egress,
    _ports: [Port; 3],
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ControlPlane")
            .field("version", &self.0.version)
            .field("kubeconfig", &self.0.kubeconfig)
            .finish_non_exhaustive()
    }
}

impl ControlPlane {
    /// The control plane that all tests of this process share, started on first use.
    ///
    /// # Errors
    /// When it could not be started; all callers get the same error, and no second try is made.
    pub async fn shared() -> Result<Self> {
        static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();
        let start = async || Self::start().await.map_err(|error| format!("{error:#}"));
        SHARED
            .get_or_init(start)
            .await
            .clone()
            .map_err(|error| anyhow!("{error}"))
    }

    /// A control plane for one test alone, never the cluster of `OLM_TEST_KUBECONFIG`.
    pub async fn own() -> Result<Self> {
        Self::with(ControlPlaneOptions::default()).await
    }

    /// A new control plane, or the cluster of `OLM_TEST_KUBECONFIG`.
    pub async fn start() -> Result<Self> {
        match std::env::var_os("OLM_TEST_KUBECONFIG").filter(|path| !path.is_empty()) {
            Some(path) => Self::external(PathBuf::from(path)).await,
            None => Self::own().await,
        }
    }

    /// A control plane of one's own with `options`.
    pub async fn with(options: ControlPlaneOptions) -> Result<Self> {
        let this = Self::bring_up(options).await?;
        report::line(&format!(
            "control plane {} up after {:.1} s (kubeconfig {})",
            this.0.version,
            this.0.ready_after.as_secs_f64(),
            this.0.kubeconfig.display()
        ));
        Ok(this)
    }

    /// A client with the admin's rights, for the caller's runtime.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.0.kubeconfig).await
    }

    /// The admin's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.0.kubeconfig
    }

    /// The folder of the control plane's files and logs.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The server's version, as in `v1.36.3`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    /// How long it took from the first server's start to the last being ready.
    pub fn ready_after(&self) -> Duration {
        self.0.ready_after
    }

    /// The address of this machine as the cluster reaches it: 127.0.0.1 but for a foreign cluster.
    pub fn host(&self) -> IpAddr {
        self.0.host
    }

    /// Whether it is the cluster of `OLM_TEST_KUBECONFIG`.
    pub fn is_external(&self) -> bool {
        self.0.own.is_none()
    }

    /// Runs kubectl as the admin and gives its standard output.
    ///
    /// # Errors
    /// When it does not end with 0, with what it wrote.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_with(self.kubeconfig(), arguments).await
    }

    /// Runs kubectl with another kubeconfig, such as a component's own.
    pub async fn kubectl_with(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::new(assets::find(Tool::Kubectl).await?)
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", self.directory())
            .args(arguments)
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            let (out, err) = (output.stdout, output.stderr);
            bail!(
                "kubectl {} ended with {}:\n{}{}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&out),
                String::from_utf8_lossy(&err)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes a Service's port lead to local `listeners`; the first that accepts is used, none
    /// refuses. The Service need not exist yet, except in a foreign cluster.
    pub async fn expose(
        &self,
        namespace: &str,
        service: &str,
        port: u16,
        listeners: &[SocketAddr],
    ) -> Result<()> {
        if let Some(own) = &self.0.own {
            own.egress.map(namespace, service, port, listeners.to_vec());
            return Ok(());
        }
        self.expose_to_foreign_cluster(namespace, service, port, listeners)
            .await
    }

    /// Ends a server with SIGKILL; its data is kept.
    pub fn kill(&self, component: Component) -> Result<()> {
        self.process(component)?.kill()
    }

    /// Starts a killed server again on its old ports and waits until it serves.
    pub async fn start_component(&self, component: Component) -> Result<()> {
        self.process(component)?.start()?;
        match component {
            Component::Etcd | Component::ApiServer => self.wait_ready().await,
            _ => Ok(()),
        }
    }

    /// [`ControlPlane::kill`], then [`ControlPlane::start_component`].
    pub async fn restart(&self, component: Component) -> Result<()> {
        self.kill(component)?;
        self.start_component(component).await
    }

    /// Waits until the API server calls itself ready.
    pub async fn wait_ready(&self) -> Result<()> {
        let client = self.client().await?;
        Wait::new("the API server is ready")
            .within(READY)
            .logs(self)
            .value(async || {
                // A dead server needs no deadline.
                Ok(match self.check() {
                    Err(error) => Some(Err(error)),
                    Ok(()) => is_ready(&client).await?.then_some(Ok(())),
                })
            })
            .await?
    }

    /// A server's process, for its log, memory and id.
    ///
    /// # Errors
    /// In a foreign cluster, whose servers the harness does not run.
    pub fn process(&self, component: Component) -> Result<&Process> {
        let own = self
            .0
            .own
            .as_ref()
            .context("OLM_TEST_KUBECONFIG: not this harness's server")?;
        own.processes
            .iter()
            .find(|(of, _)| *of == component)
            .map(|(_, process)| process)
            .context("no such server")
    }

    /// Fails with a log's end when a server has ended by itself.
    fn check(&self) -> Result<()> {
        self.0
            .own
            .iter()
            .flat_map(|own| &own.processes)
            .try_for_each(|(_, process)| process.check())
    }

    async fn bring_up(options: ControlPlaneOptions) -> Result<Self> {
        let mut tools = Vec::new();
        for component in Component::ALL {
            tools.push(assets::find(component.tool()).await?);
        }
        let stages = assets::kwok_stages().await?;
        let start = Instant::now();
        let directory = scratch::subdirectory("cluster")?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let (files, egress) = Files::write(&directory, &ports[2])?;
        let flags = |component| match component {
            Component::Etcd => servers::etcd(&directory, &ports),
            Component::ApiServer => {
                let mut flags = servers::api_server(&directory, &ports, &files);
                flags.extend(options.api_server_flags.iter().cloned());
                flags
            }
            Component::ControllerManager => {
                let mut flags = servers::controller_manager(&directory, &files);
                flags.extend(options.controller_manager_flags.iter().cloned());
                flags
            }
            Component::Scheduler => servers::scheduler(&files),
            Component::Kwok => servers::kwok(&files, &stages),
        };
        let processes = Component::ALL
            .into_iter()
            .zip(tools)
            .map(|(component, path)| {
                let program = Program {
                    path,
                    arguments: flags(component),
                    ..Program::default()
                };
                (
                    component,
                    Process::new(component.tool().name(), program, &directory),
                )
            })
            .collect();
        let mut inner = Inner {
            directory: directory.clone(),
            kubeconfig: files.admin.clone(),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            version: Tool::KubeApiServer.version()?,
            ready_after: Duration::ZERO,
            own: Some(Own {
                processes,
                egress,
                _ports: ports,
            }),
        };
        let this = Self(Arc::new(inner));
        for component in [Component::Etcd, Component::ApiServer] {
            this.process(component)?.start()?;
        }
        this.wait_ready().await?;
        for component in [
            Component::ControllerManager,
            Component::Scheduler,
            Component::Kwok,
        ] {
            this.process(component)?.start()?;
        }
        let client = this.client().await?;
        create_node(&client).await?;
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
        Wait::new("the default ServiceAccount exists")
            .logs(&this)
            .object(&accounts, "default", |_| true)
            .await?;
        Wait::new("the simulated node is Ready")
            .logs(&this)
            .object(&Api::<Node>::all(client.clone()), "node-0", |node| {
                has_condition(node, "Ready", "True")
            })
            .await?;
        let version = client.apiserver_version().await?.git_version;
        inner = Arc::into_inner(this.0).context("the control plane is already shared")?;
        inner.version = version;
        inner.ready_after = start.elapsed();
        Ok(Self(Arc::new(inner)))
    }
}

impl Logs for ControlPlane {
    fn tails(&self) -> Vec<(String, String)> {
        let processes = self.0.own.iter().flat_map(|own| &own.processes);
        processes
            .map(|(_, process)| (process.name().to_owned(), process.log_tail(12)))
            .collect()
    }
}

async fn is_ready(client: &Client) -> Result<bool> {
    let request = http::Request::get("/readyz").body(Vec::new())?;
    Ok(client.request_text(request).await? == "ok")
}

async fn create_node(client: &Client) -> Result<()> {
    let capacity = json!({ "cpu": "64", "memory": "256Gi", "pods": "5000" });
    let node: Node = serde_json::from_value(json!({
        "metadata": {
            "name": "node-0",
            "annotations": { "kwok.x-k8s.io/node": "fake" },
            "labels": {
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/hostname": "node-0",
                "kubernetes.io/os": "linux",
            },
        },
        "status": { "allocatable": capacity, "capacity": capacity },
    }))?;
    Api::all(client.clone())
        .create(&PostParams::default(), &node)
        .await?;
    Ok(())
}
