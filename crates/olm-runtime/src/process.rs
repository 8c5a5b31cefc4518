//! A whole process: start, servers, lease, controllers, background tasks, shutdown.
//!
//! ```no_run
//! use olm_runtime::{CommonArgs, Process, process};
//!
//! async fn start(args: CommonArgs) -> Result<(), olm_runtime::ProcessError> {
//!     let mut process = Process::start("example", &args).await?;
//!     let client = process.clients().short.clone();
//!     process.background("refresh", async move |token| {
//!         let _ = client;
//!         token.cancelled().await;
//!         Ok(())
//!     });
//!     process.run().await
//! }
//! # fn main() {}
//! ```

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use olm_serve::health::{Gate, Health};
use olm_serve::{BindError, Server};
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::args::{CommonArgs, is_disabled};
use crate::chain::Chain;
use crate::client::{self, ClientError, Clients};
use crate::clock::{SharedClock, SystemClock};
use crate::controller::{Controller, Surroundings};
use crate::events::Events;
use crate::lease::{LeaderElection, LeaseError};
use crate::logging::{self, LoggingError};
use crate::metrics::ReconcileMetrics;
use crate::reconcile::Reconciler;
use crate::run::Run;

/// Time that everything gets to end after the first signal.
const GRACE: Duration = Duration::from_secs(10);
/// Time for dropping what runs after the lease was lost.
const DROP: Duration = Duration::from_millis(500);

/// Any error of a task.
pub type TaskError = Box<dyn Error + Send + Sync + 'static>;
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send + 'static>>;
pub(crate) type Task = (
    &'static str,
    Box<dyn FnOnce(CancellationToken) -> TaskFuture + Send>,
);

/// Why a process could not start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// Logging cannot be set up.
    #[error("cannot set up logging")]
    Logging(#[from] LoggingError),
    /// The Kubernetes API cannot be used.
    #[error("cannot connect to Kubernetes")]
    Client(#[from] ClientError),
    /// A server cannot be bound.
    #[error("cannot start the {name} server")]
    Bind {
        /// Which server.
        name: &'static str,
        /// What the server found.
        source: BindError,
    },
    /// The signal handlers cannot be installed.
    #[error("cannot listen to signals")]
    Signals {
        /// What the system answered.
        source: std::io::Error,
    },
    /// Leader election was lost or cannot be set up.
    #[error("leader election ended")]
    Lease(#[from] LeaseError),
    /// A task or controller failed.
    #[error("task `{name}` failed")]
    Task {
        /// Name of the task.
        name: &'static str,
        /// What it reported.
        source: TaskError,
    },
    /// A task panicked.
    #[error("task `{name}` panicked: {message}")]
    Panicked {
        /// Name of the task.
        name: &'static str,
        /// What the panic said.
        message: String,
    },
    /// Not everything ended within the grace period.
    #[error("shutdown took too long")]
    Grace,
}

/// A process being set up; [`Self::run`] starts what was added.
pub struct Process {
    name: &'static str,
    args: CommonArgs,
    namespace: String,
    clients: Clients,
    clock: SharedClock,
    registry: Registry,
    metrics: ReconcileMetrics,
    health: Health,
    started: Gate,
    token: CancellationToken,
    tasks: TaskTracker,
    everywhere: Vec<Task>,
    leading: Vec<Task>,
    servers: Vec<Server>,
}

impl Process {
    /// Sets up logging, TLS and the clients, and answers health probes and obeys signals from now
    /// on: what a component does before [`Self::run`] may wait for the API server. Not ready until
    /// then. `name` is the component's name: that of its lease.
    pub async fn start(name: &'static str, args: &CommonArgs) -> Result<Self, ProcessError> {
        logging::init(&args.log_level, args.log_format)?;
        client::install_tls_provider();
        let clients = client::connect(args.kubeconfig.as_deref()).await?;
        let namespace = args.system_namespace().await;
        info!(
            name,
            version = env!("CARGO_PKG_VERSION"),
            namespace,
            "starting"
        );
        let process = Self::assemble(name, args.clone(), namespace, clients);
        process.listen_to_signals()?;
        process.answer_probes().await?;
        Ok(process)
    }

    fn assemble(name: &'static str, args: CommonArgs, namespace: String, clients: Clients) -> Self {
        let mut registry = Registry::default();
        let metrics = ReconcileMetrics::register(&mut registry);
        let health = Health::new();
        Self {
            name,
            args,
            namespace,
            clients,
            clock: SystemClock::shared(),
            registry,
            metrics,
            started: health.gate("started"),
            health,
            token: CancellationToken::new(),
            tasks: TaskTracker::new(),
            everywhere: Vec::new(),
            leading: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// The clients of the Kubernetes API.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The suite's namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The clock to hand on.
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    /// Where the component registers its own metrics.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Where the component adds its health checks.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Cancelled when the process is to end. Cancelling it ends the process.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// A recorder of events in the component's name.
    pub fn events(&self) -> Events {
        Events::new(self.clients.short.clone(), self.name, &self.args.instance)
    }

    /// Adds a server that runs on every replica, lease or not.
    pub fn server(&mut self, server: Server) -> &mut Self {
        self.servers.push(server);
        self
    }

    /// Adds a task that runs on every replica. It ends on its token; its error ends the process.
    pub fn background<F, Fut>(&mut self, name: &'static str, task: F) -> &mut Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.everywhere
            .push((name, Box::new(move |token| Box::pin(task(token)))));
        self
    }

    /// Adds a task that runs only while this replica leads.
    pub fn while_leading<F, Fut>(&mut self, name: &'static str, task: F) -> &mut Self
    where
        F: FnOnce(CancellationToken) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), TaskError>> + Send + 'static,
    {
        self.leading
            .push((name, Box::new(move |token| Box::pin(task(token)))));
        self
    }

    /// Adds a controller; it runs only while this replica leads.
    pub fn controller<R: Reconciler>(&mut self, controller: Controller<R>) -> &mut Self {
        let surroundings = self.surroundings();
        self.while_leading(R::NAME, move |shutdown| async move {
            Ok(controller
                .run(Surroundings {
                    shutdown,
                    ..surroundings
                })
                .await?)
        })
    }

    /// Adds a controller that runs on every replica, for work that each replica must do for itself
    /// (such as filling its own disk).
    pub fn controller_everywhere<R: Reconciler>(&mut self, controller: Controller<R>) -> &mut Self {
        let surroundings = self.surroundings();
        self.background(R::NAME, move |shutdown| async move {
            Ok(controller
                .run(Surroundings {
                    shutdown,
                    ..surroundings
                })
                .await?)
        })
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            metrics: self.metrics.clone(),
            clock: self.clock(),
            shutdown: self.token.clone(),
        }
    }

    fn listen_to_signals(&self) -> Result<(), ProcessError> {
        let failed = |source| ProcessError::Signals { source };
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let token = self.token.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                _ = terminate.recv() => info!("SIGTERM received"),
                _ = interrupt.recv() => info!("SIGINT received"),
            }
            token.cancel();
        });
        Ok(())
    }

    /// Serves `/healthz` and `/readyz`.
    async fn answer_probes(&self) -> Result<Option<SocketAddr>, ProcessError> {
        let address = &self.args.health_probe_bind_address;
        if is_disabled(address) {
            return Ok(None);
        }
        let server = Server::bind("health", address, self.health.router()).await;
        let server = server.map_err(unbound("health"))?;
        let address = server.local_address();
        self.tasks.spawn(server.run(self.token.clone()));
        Ok(Some(address))
    }

    /// Runs until SIGTERM, SIGINT, a failing task or a lost lease; then lets everything end within
    /// 10 s and gives the lease up.
    ///
    /// # Errors
    ///
    /// The first thing that went wrong; nothing after a signal that was obeyed in time.
    pub async fn run(self) -> Result<(), ProcessError> {
        let registry = Arc::new(self.registry);
        let mut servers = self.servers;
        let address = &self.args.metrics_bind_address;
        if !is_disabled(address) {
            let router = olm_serve::metrics::router(registry);
            let server = Server::bind("metrics", address, router).await;
            servers.push(server.map_err(unbound("metrics"))?);
        }
        let election = if self.args.leader_elect && !self.leading.is_empty() {
            Some(LeaderElection::new(
                self.clients.short.clone(),
                &self.namespace,
                self.name,
                &self.args.instance,
                self.args.lease_timing(),
                self.clock,
            )?)
        } else {
            None
        };

        let run = Run::new(self.token.clone());
        let tasks = self.tasks;
        // Servers outlive the tasks' token a little: they drain by themselves.
        for server in servers {
            tasks.spawn(server.run(self.token.clone()));
        }
        for task in self.everywhere {
            run.spawn(&tasks, task);
        }
        tasks.spawn(run.clone().lead(self.leading, election));
        self.started.open();

        self.token.cancelled().await;
        tasks.close();
        let in_time = tokio::select! {
            ended = tokio::time::timeout(GRACE, tasks.wait()) => ended.is_ok(),
            // What is left then are servers; the rest was dropped.
            () = run.lost().then(|()| tokio::time::sleep(DROP)) => true,
        };
        if let Some(failure) = run.take_failure() {
            return Err(failure);
        }
        if !in_time {
            warn!(open = tasks.len(), "tasks did not end in time");
            return Err(ProcessError::Grace);
        }
        info!("stopped");
        Ok(())
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |tasks: &[Task]| tasks.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        f.debug_struct("Process")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("everywhere", &names(&self.everywhere))
            .field("leading", &names(&self.leading))
            .finish_non_exhaustive()
    }
}

fn unbound(name: &'static str) -> impl FnOnce(BindError) -> ProcessError {
    move |source| ProcessError::Bind { name, source }
}

/// The exit code for the outcome of a process: 0, or 1 after one line that says why.
pub fn exit_code<E: Error + 'static>(outcome: Result<(), E>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let line = Chain(&failure).to_string();
    if tracing::dispatcher::has_been_set() {
        error!(error = line, "process failed");
    } else {
        // Standard error is the last resort; there is nobody left to tell when it fails too.
        let _ = writeln!(std::io::stderr(), "error: {line}");
    }
    ExitCode::FAILURE
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
