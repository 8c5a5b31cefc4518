//! A cluster with the suite on it, open and closed registries, and one that falls ill on demand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow, ensure};
use olm_api::names;
use olm_tests::publish::Publisher;
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions};
use tokio::sync::OnceCell;

use crate::proxy::Proxy;
use crate::user::User;

const NAME: &str = "user";
const PASSWORD: &str = "geheim";

/// One control plane with the whole suite.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: ControlPlane,
    pub(crate) suite: Suite,
    pub(crate) registry: Registry,
    /// Wants a password.
    pub(crate) closed: Registry,
    /// Passes on what `registry` has, well or ill.
    pub(crate) proxy: Proxy,
    /// What ran at the start.
    processes: Vec<(String, u32)>,
    /// Whether a component was restarted on purpose.
    restarted: AtomicBool,
}

impl World {
    /// The one that most tests share; they keep out of each other's way by names of their own.
    pub(crate) async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<Result<World, String>> = OnceCell::const_new();
        let start = async || {
            let cluster = ControlPlane::shared().await?;
            Self::on(cluster).await
        };
        let shared = SHARED
            .get_or_init(async || start().await.map_err(|error| format!("{error:#}")))
            .await;
        shared.as_ref().map_err(|error| anyhow!("{error}"))
    }

    /// One for a test that needs the cluster for itself.
    pub(crate) async fn own() -> Result<Self> {
        Self::on(ControlPlane::own().await?).await
    }

    /// One in which operator-controller has more arguments.
    pub(crate) async fn own_with(arguments: &[&str]) -> Result<Self> {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let component = names::COMPONENT_OPERATOR_CONTROLLER.to_owned();
        let cluster = ControlPlane::own().await?;
        Self::with(cluster, [(component, arguments)].into()).await
    }

    async fn on(cluster: ControlPlane) -> Result<Self> {
        Self::with(cluster, BTreeMap::new()).await
    }

    async fn with(cluster: ControlPlane, arguments: BTreeMap<String, Vec<String>>) -> Result<Self> {
        let registry = Registry::start(RegistryOptions::default()).await?;
        let closed = Registry::start(RegistryOptions::password(NAME, PASSWORD)).await?;
        let proxy = Proxy::start(&registry.url())?;
        let options = SuiteOptions {
            rendered_leases: true,
            arguments,
            ..SuiteOptions::plain_http([registry.host(), closed.host(), proxy.host()])
        };
        let suite = Suite::start(&cluster, options).await?;
        let mut processes = Vec::new();
        for name in suite.components() {
            if let Some(pid) = suite.process(&name)?.pid() {
                processes.push((name, pid));
            }
        }
        ensure!(processes.len() == 4, "only these run: {processes:?}");
        Ok(Self {
            cluster,
            suite,
            registry,
            closed,
            proxy,
            processes,
            restarted: AtomicBool::new(false),
        })
    }

    /// Someone to act on the cluster, for one test.
    pub(crate) async fn user(&self) -> Result<User<'_>> {
        User::new(self).await
    }

    /// Pushes to the registry that wants a password.
    pub(crate) fn closed_publisher(&self) -> Publisher<'_> {
        Publisher::with_password(&self.closed, NAME, PASSWORD)
    }

    /// Restarts a component, after which its process is another one.
    pub(crate) async fn restart(&self, component: &str) -> Result<()> {
        self.restarted.store(true, Ordering::Relaxed);
        self.suite.restart(component).await
    }

    /// Every process still is the one that was started, nothing panicked, and no account lacked a
    /// right.
    pub(crate) fn is_unharmed(&self) -> Result<()> {
        self.is_unharmed_but_for(&[])
    }

    /// The same, where these were stopped on purpose.
    pub(crate) fn is_unharmed_but_for(&self, stopped: &[&str]) -> Result<()> {
        let running = self.processes.iter();
        for (name, pid) in running.filter(|(name, _)| !stopped.contains(&name.as_str())) {
            let process = self.suite.process(name)?;
            process.check()?;
            ensure!(
                self.restarted.load(Ordering::Relaxed) || process.pid() == Some(*pid),
                "`{name}` is another process than before\n{}",
                process.log_tail(40)
            );
            for line in process.log().lines() {
                let lower = line.to_lowercase();
                for bad in ["forbidden", "panicked", "does not have permission"] {
                    ensure!(!lower.contains(bad), "`{name}` says: {line}");
                }
            }
        }
        Ok(())
    }
}
