//! What operator-controller costs with 1,000 Operators of a catalog of 1,000 packages: the time until
//! all are decided after the catalog changed, memory, and what it does at rest.
//!
//! There is no rukpak, so that nothing is measured but deciding and handing over. How fast an API
//! server takes writes is the machine's; so the same reads and writes by a client that does nothing
//! else stand beside.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tree::MemoryTree;
use serde_json::json;

use crate::api_proxy::ApiProxy;
use crate::publish::Publisher;
use crate::usage::Memory;
use crate::wait::has_condition;
use crate::{
    ControlPlane, Process, Registry, RegistryOptions, Suite, SuiteOptions, Wait, crowd, scratch,
};

const CONTROLLER: &str = "operator-controller";
const OPERATORS: usize = 1_000;
/// Versions of each package; each change of the catalog adds one and takes the oldest, so that the
/// catalog does not grow and what grows belongs to the Operators.
const VERSIONS: usize = 6;
/// Changes of the catalog.
const ROUNDS: usize = 3;
/// Writes at the same time, as many as there are passes.
const AT_ONCE: usize = 8;
/// How long the process is watched at rest.
const REST: Duration = Duration::from_mins(1);
/// Pause before memory is read as that of a process at rest.
const SETTLE: Duration = Duration::from_secs(5);
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_mins(5);

struct Bench {
    registry: Registry,
    proxy: ApiProxy,
    suite: Suite,
    client: Client,
}

/// Measures and prints.
///
/// # Errors
/// When something does not come out.
pub async fn run() -> Result<()> {
    println!("\noperator-controller with {OPERATORS} Operators:");
    let bench = Bench::start().await?;
    bench.publish(VERSIONS).await?;
    tokio::time::sleep(SETTLE).await;
    let without = bench.process()?.memory()?;
    println!(
        "  with the catalog and no Operator: {:.1} MiB resident, {:.1} of them its own",
        without.now, without.own
    );
    let started = Instant::now();
    bench.ask().await?;
    let asked = started.elapsed();
    bench.decided(VERSIONS).await?;
    println!(
        "  {OPERATORS} Operators applied in {:.1} s, all decided after {:.1} s",
        asked.as_secs_f64(),
        started.elapsed().as_secs_f64()
    );
    bench.quiet().await?;
    tokio::time::sleep(SETTLE).await;
    bench.print_memory("decided", without)?;
    for round in 1..=ROUNDS {
        let reference = bench.reference(round).await?;
        let (written, computed) = (bench.proxy.writes().len(), bench.process()?.processor()?);
        let (served, decided) = bench.change(VERSIONS + round).await?;
        bench.quiet().await?;
        let follows = decided.saturating_sub(served).as_secs_f64();
        let written = bench.proxy.writes().len() - written;
        let computed = bench.process()?.processor()?.saturating_sub(computed);
        println!(
            "  catalog change {round}: all decided {:.1} s after it was asked for, {:.1} s after it was \
             served (goal 30), with {written} writes and {:.1} s of a core; {:.1} s to read {OPERATORS} \
             objects and write each twice, ratio {:.2}",
            decided.as_secs_f64(),
            follows,
            computed.as_secs_f64(),
            reference.as_secs_f64(),
            follows / reference.as_secs_f64(),
        );
    }
    tokio::time::sleep(SETTLE).await;
    bench.print_memory("after these changes", without)?;
    bench.rest().await
}

impl Bench {
    async fn start() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let folder = scratch::subdirectory("proxy")?;
        let proxy = ApiProxy::start(cluster.kubeconfig(), &folder).await?;
        let options = SuiteOptions {
            kubeconfigs: BTreeMap::from([(CONTROLLER.to_owned(), proxy.kubeconfig().to_owned())]),
            rendered_leases: true,
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, &["catalogd", CONTROLLER]).await?;
        Ok(Self {
            client: cluster.client().await?,
            registry,
            proxy,
            suite,
        })
    }

    /// Publishes the catalog and waits until the controller has read it.
    async fn publish(&self, versions: usize) -> Result<()> {
        self.refer(versions).await?;
        Wait::new("the catalog is read")
            .within(PATIENCE)
            .logs(&self.suite)
            .value(async || {
                let log = self.suite.log(CONTROLLER)?;
                Ok(log.contains("catalog read").then_some(()))
            })
            .await
    }

    async fn refer(&self, versions: usize) -> Result<String> {
        let mut tree = MemoryTree::default();
        for number in 0..OPERATORS {
            let path = format!("{}/catalog.json", crowd::name(number));
            tree.insert(
                &path,
                crowd::numbered(number, versions - VERSIONS..versions),
            )?;
        }
        let image = format!("bench/crowd:v{versions}");
        let publisher = Publisher::new(&self.registry);
        let (reference, digest) = publisher.catalog_tree(&image, &tree).await?;
        let catalog = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "crowd"},
            "spec": {"source": {"type": "image", "image": {"ref": reference}}},
        });
        let catalogs = Api::<Catalog>::all(self.client.clone());
        let parameters = PatchParams::apply("bench").force();
        catalogs
            .patch("crowd", &parameters, &Patch::Apply(&catalog))
            .await?;
        Ok(digest)
    }

    /// Applies all Operators.
    async fn ask(&self) -> Result<()> {
        let operators = Api::<Operator>::all(self.client.clone());
        stream::iter(0..OPERATORS)
            .map(|number| {
                let operators = operators.clone();
                async move {
                    let name = crowd::name(number);
                    let operator = json!({
                        "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
                        "metadata": {"name": name}, "spec": {"packageName": name},
                    });
                    let parameters = PatchParams::apply("bench");
                    let patch = Patch::Apply(&operator);
                    operators.patch(&name, &parameters, &patch).await
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await?;
        Ok(())
    }

    /// Waits until the newest of so many versions was chosen for each Operator.
    async fn decided(&self, versions: usize) -> Result<()> {
        let version = format!("1.{}.0", versions - 1);
        let operators = Api::<Operator>::all(self.client.clone());
        let mut left: BTreeSet<String> = (0..OPERATORS).map(crowd::name).collect();
        let all = async {
            let mut events =
                std::pin::pin!(watcher::watcher(operators, watcher::Config::default()));
            while let Some(event) = events.next().await {
                if let Ok(Event::Apply(operator) | Event::InitApply(operator)) = event {
                    let status = operator.status.as_ref();
                    let resolved = status.and_then(|status| status.resolved.as_ref());
                    if resolved.is_some_and(|resolved| resolved.version == version)
                        && has_condition(&operator, "Resolved", "True")
                    {
                        left.remove(&operator.name_any());
                    }
                }
                if left.is_empty() {
                    return Ok(());
                }
            }
            bail!("the watch ended")
        };
        let ended = tokio::time::timeout(PATIENCE, all).await;
        ended.with_context(|| format!("not decided in time: {left:?}"))?
    }

    /// Changes the catalog; tells when it was served, and when all were decided.
    async fn change(&self, versions: usize) -> Result<(Duration, Duration)> {
        let catalogs = Api::<Catalog>::all(self.client.clone());
        let started = Instant::now();
        let digest = self.refer(versions).await?;
        let served = async {
            Wait::new("the catalog is served")
                .within(PATIENCE)
                .every(Duration::from_millis(20))
                .object(&catalogs, "crowd", |catalog| {
                    let status = catalog.status.as_ref();
                    let source = status.and_then(|status| status.resolved_source.as_ref());
                    let image = source.and_then(|source| source.image.as_ref());
                    image.is_some_and(|image| image.resolved_ref.ends_with(&digest))
                })
                .await?;
            Ok(started.elapsed())
        };
        let decided = async {
            self.decided(versions).await?;
            Ok(started.elapsed())
        };
        tokio::try_join!(served, decided)
    }

    /// The time to read as many objects as there are Operators and to write each of them twice.
    async fn reference(&self, round: usize) -> Result<Duration> {
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), "default");
        let started = Instant::now();
        stream::iter(0..OPERATORS)
            .map(|number| {
                let maps = maps.clone();
                async move {
                    let name = crowd::name(number);
                    maps.get_opt(&name).await?;
                    for write in 0..2 {
                        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
                            "metadata": {"name": name},
                            "data": {"round": format!("{round}-{write}"), "more": "x".repeat(2_000)}});
                        let parameters = PatchParams::apply("bench").force();
                        maps.patch(&name, &parameters, &Patch::Apply(&map)).await?;
                    }
                    Ok::<_, kube::Error>(())
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| std::future::ready(Ok(())))
            .await?;
        Ok(started.elapsed())
    }

    /// Waits until the controller has written all that it has to.
    async fn quiet(&self) -> Result<()> {
        let mut last = None;
        Wait::new("nothing is written any more")
            .within(PATIENCE)
            .every(Duration::from_secs(3))
            .logs(&self.suite)
            .value(async || {
                let now = self.proxy.writes().len();
                Ok((last.replace(now) == Some(now)).then_some(()))
            })
            .await
    }

    /// Watches what the process does with nothing to do.
    async fn rest(&self) -> Result<()> {
        self.proxy.count();
        let before = self.process()?.processor()?;
        tokio::time::sleep(REST).await;
        let used = self.process()?.processor()?.saturating_sub(before);
        let (sent, renewals) = self.proxy.besides_renewals();
        println!(
            "  at rest for {} s: {:.2} % of a core (goal 0.5), {} writes and Events (goal 0), \
             {renewals} renewals of the Lease",
            REST.as_secs(),
            100.0 * used.as_secs_f64() / REST.as_secs_f64(),
            sent.len(),
        );
        ensure!(sent.is_empty(), "it writes at rest: {sent:?}");
        Ok(())
    }

    fn print_memory(&self, when: &str, without: Memory) -> Result<()> {
        let now = self.process()?.memory()?.now;
        println!(
            "  {when}: {now:.1} MiB resident, {:.1} KiB for each Operator (goal 16)",
            (now - without.now) * 1024.0 / f64::from(u32::try_from(OPERATORS)?)
        );
        Ok(())
    }

    fn process(&self) -> Result<&Process> {
        self.suite.process(CONTROLLER)
    }
}
