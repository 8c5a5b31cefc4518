//! What the suite costs: times and memory on a real control plane, from a release build.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use kube::api::{Api, DeleteParams};
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tree::MemoryTree;
use serde_json::json;

use crate::publish::Publisher;
use crate::scenario::Scenario;
use crate::wait::has_condition;
use crate::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, chart, content};

/// Installs that are timed.
const ROUNDS: usize = 20;

/// Pause before memory is read as that of processes at rest. Nothing tells when they have nothing
/// left to do: new ones still fill their caches, and operator-controller reads a catalog only after
/// it is served.
const SETTLE: Duration = Duration::from_secs(5);

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(3);

/// Measures and prints.
///
/// # Errors
///
/// When something does not come out.
pub async fn run() -> Result<()> {
    let cluster = ControlPlane::start().await?;
    let registry = Registry::start(RegistryOptions::default()).await?;
    let options = SuiteOptions {
        rendered_leases: true,
        ..SuiteOptions::plain_http([registry.host()])
    };
    let suite = Suite::install(&cluster, options).await?;
    println!("\nstart of the process until it is ready:");
    for component in suite.components() {
        let started = Instant::now();
        suite.start_component(&component).await?;
        println!("  {component:22} {:>6} ms", started.elapsed().as_millis());
    }
    tokio::time::sleep(SETTLE).await;
    memory(&suite, "at rest, with nothing to do")?;
    installs(&cluster, &registry, &suite).await?;
    memory(&suite, "after these installs, with one operator installed")?;
    catalog(&cluster, &registry, &suite).await?;
    sizes(&suite)?;
    Ok(())
}

async fn installs(cluster: &ControlPlane, registry: &Registry, suite: &Suite) -> Result<()> {
    let scenario = Scenario::load()?;
    let publisher = Publisher::new(registry);
    let pushed = publisher
        .catalog("bench/catalog:v1", std::slice::from_ref(&scenario.base))
        .await?;
    unpacked(cluster, "bench", &pushed.reference).await?;
    let client = cluster.client().await?;
    let operators = Api::<Operator>::all(client.clone());
    let (name, version) = (&scenario.base.name, &scenario.base_versions[0]);
    let operator = json!({
        "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
        "metadata": {"name": name}, "spec": {"packageName": name, "version": version},
    });
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let started = Instant::now();
        chart::apply(&client, &operator, "default").await?;
        Wait::new(format!("{name} is installed"))
            .within(PATIENCE)
            .every(Duration::from_millis(10))
            .logs(suite)
            .object(&operators, name, |operator| {
                has_condition(operator, "Installed", "True")
            })
            .await?;
        // The first one meets caches that are cold for good; it is told apart.
        if round == 0 {
            println!("\nOperator applied until Installed=True ({name} {version}):");
            println!("  first: {:.2} s", started.elapsed().as_secs_f64());
        } else {
            times.push(started.elapsed());
        }
        if round < ROUNDS {
            operators.delete(name, &DeleteParams::default()).await?;
            let deployments =
                Api::<olm_api::bundle_deployment::BundleDeployment>::all(client.clone());
            Wait::new(format!("{name} is gone"))
                .within(PATIENCE)
                .gone(&deployments, name)
                .await?;
        }
    }
    times.sort();
    let seconds = |at: usize| times.get(at).copied().unwrap_or_default().as_secs_f64();
    println!(
        "  {} more: median {:.2} s, worst {:.2} s, best {:.2} s",
        times.len(),
        seconds(times.len() / 2),
        seconds(times.len().saturating_sub(1)),
        seconds(0)
    );
    Ok(())
}

/// The whole real catalog as one image, where there is real data.
async fn catalog(cluster: &ControlPlane, registry: &Registry, suite: &Suite) -> Result<()> {
    let Some(data) = content::data()? else {
        println!("\nno real catalog here: memory with a large catalog is not measured");
        return Ok(());
    };
    let tree: MemoryTree = content::files(&data.join("catalogs/community-v4.20"))?;
    let publisher = Publisher::new(registry);
    let (reference, _) = publisher
        .catalog_tree("bench/community:v4.20", &tree)
        .await?;
    let started = Instant::now();
    unpacked(cluster, "community", &reference).await?;
    println!(
        "\nthe real catalog (37 packages, 803 bundles): served after {:.2} s",
        started.elapsed().as_secs_f64()
    );
    tokio::time::sleep(SETTLE).await;
    memory(suite, "with that catalog beside the first")
}

async fn unpacked(cluster: &ControlPlane, name: &str, reference: &str) -> Result<()> {
    let client = cluster.client().await?;
    let catalog = json!({
        "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
        "metadata": {"name": name},
        "spec": {"source": {"type": "image", "image": {"ref": reference}}},
    });
    chart::apply(&client, &catalog, "default").await?;
    Wait::new(format!("catalog {name} is unpacked"))
        .within(PATIENCE)
        .every(Duration::from_millis(10))
        .object(&Api::<Catalog>::all(client), name, |catalog| {
            has_condition(catalog, "Unpacked", "True")
        })
        .await?;
    Ok(())
}

fn memory(suite: &Suite, when: &str) -> Result<()> {
    println!("\nresident memory {when} (and the peak so far), MiB:");
    let (mut now, mut peak) = (0.0, 0.0);
    for component in suite.components() {
        let memory = suite.process(&component)?.memory()?;
        println!("  {component:22} {:>6.1} ({:.1})", memory.now, memory.peak);
        now += memory.now;
        peak += memory.peak;
    }
    println!("  {:22} {now:>6.1} ({peak:.1})", "all");
    Ok(())
}

fn sizes(suite: &Suite) -> Result<()> {
    println!("\nbinaries, MiB:");
    for component in suite.components() {
        let pid = suite
            .process(&component)?
            .pid()
            .context("it does not run")?;
        let path = std::fs::read_link(format!("/proc/{pid}/exe"))?;
        let bytes = std::fs::metadata(&path)?.len();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        println!(
            "  {component:22} {:>6.1} ({name})",
            f64::from(u32::try_from(bytes >> 10)?) / 1024.0
        );
    }
    Ok(())
}
