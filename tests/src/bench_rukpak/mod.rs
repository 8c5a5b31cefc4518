//! What rukpak costs: rendering, the largest real bundle from a registry, and many deployments, at
//! work and at rest.
//!
//! Other work on the machine slows everything that is measured. So each time also stands as a
//! multiple of a fixed piece of work, done before and after it.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod bombs;
mod many;
mod rendering;
mod unpacking;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::api_proxy::ApiProxy;
use crate::{
    ControlPlane, Process, Registry, RegistryOptions, Suite, SuiteOptions, content, scratch,
};

const RUKPAK: &str = "rukpak";
/// Pause before memory is read as that of a process at rest.
const SETTLE: Duration = Duration::from_secs(5);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(5);

/// rukpak on a control plane of its own, behind a proxy that counts its writes.
struct Rukpak {
    cluster: ControlPlane,
    suite: Suite,
    registry: Registry,
    proxy: ApiProxy,
}

/// Measures and prints.
///
/// # Errors
/// When something does not come out.
pub async fn run() -> Result<()> {
    println!("\nrukpak (ratio: to sorting a million numbers):");
    let data = content::data()?;
    match &data {
        Some(data) => rendering::rendering(data)?,
        None => println!("  no real bundles here: rendering and unpacking are not measured"),
    }
    let rukpak = Rukpak::start().await?;
    tokio::time::sleep(SETTLE).await;
    println!(
        "  at rest, with nothing to do: {:.1} MiB resident",
        rukpak.process()?.memory()?.now
    );
    if let Some(data) = &data {
        unpacking::unpacking(&rukpak, data).await?;
    }
    bombs::refuse(&rukpak).await?;
    many::many(&rukpak).await
}

impl Rukpak {
    async fn start() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let folder = scratch::subdirectory("proxy")?;
        let proxy = ApiProxy::start(cluster.kubeconfig(), &folder).await?;
        let kubeconfigs = BTreeMap::from([(RUKPAK.to_owned(), proxy.kubeconfig().to_owned())]);
        let options = SuiteOptions {
            kubeconfigs,
            rendered_leases: true,
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", RUKPAK]).await?;
        Ok(Self {
            cluster,
            suite,
            registry,
            proxy,
        })
    }

    fn process(&self) -> Result<&Process> {
        self.suite.process(RUKPAK)
    }
}

/// Sorting a million numbers: the fixed piece of work.
fn fixed_work() -> Duration {
    let started = Instant::now();
    let mut state = 88_172_645_463_325_252_u64;
    let mut numbers: Vec<u64> = Vec::with_capacity(1_000_000);
    for _ in 0..1_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.push(state);
    }
    numbers.sort_unstable();
    black_box(numbers.get(numbers.len() / 2));
    started.elapsed()
}

/// The median; sorts them. Zero of none.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
