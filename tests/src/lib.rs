//! A real Kubernetes control plane, real registries and the suite's own processes, for tests.
//!
//! **Problem.** Controllers can only be proven against a real API server, on machines that have
//! neither Docker nor `kind` nor ready-made binaries.
//!
//! **Model.** [`assets`] finds etcd, the Kubernetes servers, kwok, the registry and helm, or builds
//! them once from their Go modules. [`ControlPlane`] runs a cluster of them on free ports;
//! [`Registry`] runs an OCI registry; [`Chart`] renders and applies the project's Helm chart; and
//! [`Suite`] runs the Deployments of that chart as local processes, each with the token of its own
//! `ServiceAccount`. Webhooks that name a Service reach local listeners through the API server's
//! egress selector ([`egress`]), so nothing that was rendered is rewritten.
//!
//! **Guarantees.** No child outlives the test process, not even when it is killed. All files are in
//! one temporary folder, removed when the process ends (`OLM_TEST_KEEP=1` keeps it and says where).
//! Every wait has a deadline, and what it prints when that passes names the condition and shows the
//! object and the ends of the logs ([`wait`]).
//!
//! | Variable | Meaning |
//! |---|---|
//! | `OLM_TEST_KUBECONFIG`, `OLM_TEST_HOST` | use this cluster; the address at which it reaches this machine |
//! | `KUBEBUILDER_ASSETS` | folder with ready-made binaries of the right minor versions |
//! | `OLM_TEST_BIN_DIR` | folder of the suite's binaries; default: next to the test executable |
//! | `OLM_TEST_SWAPS` | `full` swaps catalog content 1,000 times instead of 24 |
//! | `OLM_TEST_CRASH` | `full` kills at every write, before it and after it, instead of at some |
//! | `OLM_TEST_KEEP` | `1` keeps the temporary folder |
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions};
//!
//! let cluster = ControlPlane::shared().await?;
//! let registry = Registry::start(RegistryOptions::default()).await?;
//! let options = SuiteOptions::plain_http([registry.host()]);
//! let suite = Suite::start(&cluster, options).await?;
//! suite.kill("rukpak")?;
//! suite.start_component("rukpak").await?;
//! # Ok(())
//! # }
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "a harness reads environment, clock and files"
)]

pub mod api_proxy;
pub mod assets;
pub mod bench;
pub mod bench_catalogd;
pub mod bench_operators;
pub mod bench_rukpak;
pub mod bombs;
mod build;
pub mod catalogd;
pub mod certificates;
pub mod chart;
pub mod content;
pub mod control_plane;
pub mod crowd;
pub mod demo;
pub mod egress;
pub mod fixture;
pub mod git;
mod instance;
pub mod kubeconfig;
pub mod pod;
pub mod ports;
pub mod process;
pub mod publish;
pub mod raw_images;
pub mod registry;
pub mod report;
pub mod scenario;
pub mod scratch;
mod servers;
pub mod snapshot;
pub mod suite;
pub mod token_server;
pub mod usage;
pub mod wait;

pub use chart::{Chart, Rendered};
pub use control_plane::{Component, ControlPlane, ControlPlaneOptions};
pub use process::Process;
pub use registry::{Registry, RegistryAuth, RegistryOptions};
pub use suite::{Suite, SuiteOptions};
pub use wait::Wait;

use std::path::PathBuf;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The runtime that lives as long as the process; what several tests share runs here, because a
/// test's own runtime ends with that test.
pub(crate) fn runtime() -> anyhow::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            // TLS clients need one provider for the process; a second call changes nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("olm-harness")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot start the harness runtime: {error}"))
}

/// The root of the checkout that this harness was built from.
pub fn workspace() -> PathBuf {
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    tests.parent().map_or_else(|| tests.clone(), PathBuf::from)
}
