//! SIGKILL at random moments of install and upgrade: the end state is that of an undisturbed run.
//!
//! Every run has a control plane of its own and does the same: it applies a Catalog, installs the
//! first version of a package and walks its channel to the last. Moments are drawn from the times
//! that the undisturbed run took. `OLM_TEST_SEED` repeats the draws that a run has printed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_tests::control_plane::Component;
use olm_tests::publish::Publisher;
use olm_tests::scenario::Scenario;
use olm_tests::snapshot::Snapshot;
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, report, wait};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// How long any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Time between two looks at the end state, which is an end only when both are equal.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a new process is busy with what it finds.
const BUSY: Duration = Duration::from_millis(600);
/// What a run does, and how often a controller is killed meanwhile.
const STAGES: [(Stage, usize); 3] = [(Stage::Catalog, 2), (Stage::Install, 3), (Stage::Walk, 5)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A Catalog names the image; it is unpacked and served.
    Catalog,
    /// An Operator is pinned to the first version.
    Install,
    /// It follows the channel to the last version.
    Walk,
}

/// The packages in their registry, the same for all runs.
#[derive(Debug)]
struct Published {
    registry: Registry,
    scenario: Scenario,
    catalog: String,
}

/// What the undisturbed run came to, and how long its stages took.
#[derive(Debug)]
struct Reference {
    end: Snapshot,
    took: [Duration; 3],
}

/// One run: a suite on a control plane of its own.
#[derive(Debug)]
struct Run {
    suite: Suite,
    published: &'static Published,
}

async fn published() -> Result<&'static Published> {
    static PUBLISHED: OnceCell<Published> = OnceCell::const_new();
    PUBLISHED
        .get_or_try_init(async || {
            let registry = Registry::start(RegistryOptions::default()).await?;
            let scenario = Scenario::load()?;
            let packages = [scenario.base.clone(), scenario.dependant.clone()];
            let publisher = Publisher::new(&registry);
            let catalog = publisher.catalog("kills/catalog:latest", &packages).await?;
            Ok(Published {
                registry,
                scenario,
                catalog: catalog.reference,
            })
        })
        .await
}

/// The undisturbed run, made once; where it fails, all tests that need it fail the same way.
async fn reference() -> Result<&'static Reference> {
    static REFERENCE: OnceCell<Result<Reference, String>> = OnceCell::const_new();
    let run = async || {
        undisturbed()
            .await
            .map_err(|error| format!("the undisturbed run: {error:#}"))
    };
    let reference = REFERENCE.get_or_init(run).await;
    reference.as_ref().map_err(|error| anyhow!("{error}"))
}

async fn undisturbed() -> Result<Reference> {
    let run = Run::start().await?;
    let mut took = [Duration::ZERO; 3];
    for ((stage, _), took) in STAGES.into_iter().zip(&mut took) {
        let start = Instant::now();
        run.ask(stage).await?;
        run.reached(stage).await?;
        *took = start.elapsed();
    }
    report::line(&format!("undisturbed, the stages took {took:.1?}"));
    let end = run.settled(|_| Vec::new()).await?;
    // What is compared must be there.
    for kind in ["Operator", "BundleDeployment", "Bundle", "Catalog"] {
        let (resource, own) = (format!("{kind}."), ".operatorframework.io ");
        ensure!(
            end.keys().iter().any(|key| key.starts_with(&resource)
                && (key.contains(own) || key.contains(".rukpak.io "))),
            "there is no {kind} in the end"
        );
    }
    Ok(Reference { end, took })
}

impl Run {
    async fn start() -> Result<Self> {
        let published = published().await?;
        let cluster = ControlPlane::own().await?;
        let options = SuiteOptions::plain_http([published.registry.host()]);
        let suite = Suite::start(&cluster, options).await?;
        Ok(Self { suite, published })
    }

    /// Does what a user does for a stage; again while the API server does not answer.
    async fn ask(&self, stage: Stage) -> Result<()> {
        let package = &self.published.scenario.base.name;
        let (kind, name, spec) = match stage {
            Stage::Catalog => {
                let image = json!({"ref": self.published.catalog, "pollInterval": "2s"});
                let source = json!({"type": "image", "image": image});
                ("Catalog", "kills", json!({"source": source}))
            }
            Stage::Install => {
                let version = &self.published.scenario.base_versions[0];
                let spec = json!({"packageName": package, "version": version});
                ("Operator", package.as_str(), spec)
            }
            Stage::Walk => {
                let spec = json!({"packageName": package, "channel": "stable"});
                ("Operator", package.as_str(), spec)
            }
        };
        let (api, resource) = self.api(kind).await?;
        let object = json!({
            "apiVersion": resource.api_version, "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("a-user").force();
        Wait::new(format!("{kind} {name} is applied"))
            .logs(self.suite.cluster())
            .value(async || {
                Ok(Some(
                    api.patch(name, &params, &Patch::Apply(&object)).await?,
                ))
            })
            .await?;
        Ok(())
    }

    /// Waits until the controllers say that the stage's aim is reached.
    async fn reached(&self, stage: Stage) -> Result<()> {
        let scenario = &self.published.scenario;
        let versions = &scenario.base_versions;
        let (kind, name, version) = match stage {
            Stage::Catalog => ("Catalog", "kills", None),
            Stage::Install => ("Operator", scenario.base.name.as_str(), versions.first()),
            Stage::Walk => ("Operator", scenario.base.name.as_str(), versions.last()),
        };
        Wait::new(format!("{kind} {name} is where {stage:?} leads"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.api(kind).await?.0, name, |object| match version {
                None => wait::has_condition(object, "Unpacked", "True"),
                Some(version) => {
                    let at = |path| object.data.pointer(path).and_then(Value::as_str);
                    at("/status/installed/version") == Some(version)
                        && at("/status/resolved/version") == Some(version)
                        && wait::has_condition(object, "Installed", "True")
                }
            })
            .await?;
        Ok(())
    }

    /// The state of the cluster once two looks at it are equal and `differences` finds none.
    async fn settled(&self, differences: impl Fn(&Snapshot) -> Vec<String>) -> Result<Snapshot> {
        let client = self.suite.cluster().client().await?;
        let mut last: Option<Snapshot> = None;
        Wait::new("the end state is reached, and stays")
            .within(PATIENCE)
            .every(PAUSE)
            .logs(&self.suite)
            .explained(async || {
                let now = Snapshot::take(&client).await?;
                let mut found = differences(&now);
                found.extend(match last.replace(now.clone()) {
                    Some(last) => last.differences(&now),
                    None => vec!["there was only one look".to_owned()],
                });
                let same = found.is_empty();
                Ok(if same { Ok(now) } else { Err(found.join("\n")) })
            })
            .await
    }

    /// Kills the component at random moments of a stage, and starts it again a little later.
    async fn disturb(
        &self,
        victim: &str,
        times: usize,
        span: Duration,
        dice: &mut StdRng,
    ) -> Result<()> {
        for _ in 0..times {
            // Mostly the new process is given the time to take the lease and to work for a while;
            // else it may be killed while it starts, or waits.
            if dice.random_bool(0.8) {
                self.works(victim).await?;
            }
            // Most is written right after the start; half of the moments fall there.
            let span = if dice.random() { span.min(BUSY) } else { span };
            let moment = dice.random_range(Duration::ZERO..span);
            let pause = Duration::from_millis(dice.random_range(50..400));
            tokio::time::sleep(moment).await;
            self.suite.kill(victim)?;
            report::line(&format!(
                "killed {victim} after {moment:.1?}, for {pause:.1?}"
            ));
            tokio::time::sleep(pause).await;
            self.suite.start_process(victim).await?;
        }
        Ok(())
    }

    /// Waits until the process that runs now leads, or, where nobody leads, is ready.
    async fn works(&self, component: &str) -> Result<()> {
        let process = self.suite.process(component)?;
        let arguments = process.program().arguments;
        if !arguments.iter().any(|of| of.starts_with("--leader-elect")) {
            return self.suite.wait_ready(component).await;
        }
        Wait::new(format!("{component} leads again"))
            .within(PATIENCE)
            .logs(&self.suite)
            .value(async || {
                let log = process.log();
                let started = log.rfind("waiting to become leader").unwrap_or_default();
                Ok(log[started..].contains("became leader").then_some(()))
            })
            .await
    }

    /// Starts processes again that have ended by themselves, as a kubelet would; never returns
    /// but with an error. A process may end because it lost its lease, and `excuse` may be more.
    async fn keep_running(&self, excuse: &str) -> Result<()> {
        let mut waiting: VecDeque<String> = VecDeque::new();
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            for component in self.suite.components() {
                let process = self.suite.process(&component)?;
                if process.exited()?.is_none() {
                    continue;
                }
                let tail = process.log_tail(20);
                ensure!(
                    tail.contains("lost the lease")
                        || (!excuse.is_empty() && tail.contains(excuse)),
                    "`{component}` has ended by itself\n--- end of its log ---\n{tail}"
                );
                if !waiting.contains(&component) {
                    report::line(&format!("{component} has ended by itself"));
                    waiting.push_back(component);
                }
            }
            // Without an API server there is no token to start with.
            while let Some(component) = waiting.front() {
                if self.suite.start_process(component).await.is_err() {
                    break;
                }
                waiting.pop_front();
            }
        }
    }

    async fn api(&self, kind: &str) -> Result<(Api<DynamicObject>, ApiResource)> {
        let group = match kind {
            "Catalog" => "catalogd.operatorframework.io",
            _ => "operators.operatorframework.io",
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1alpha1", kind));
        let client = self.suite.cluster().client().await?;
        Ok((Api::all_with(client, &resource), resource))
    }
}

/// The dice of a test, and the seed they were made with, printed.
fn dice(test: &str) -> Result<StdRng> {
    let seed = match std::env::var("OLM_TEST_SEED") {
        Ok(seed) => seed.parse().context("OLM_TEST_SEED is not a number")?,
        Err(_) => rand::random::<u32>().into(),
    };
    report::line(&format!("{test}: OLM_TEST_SEED={seed}"));
    Ok(StdRng::seed_from_u64(seed))
}

async fn killed_ten_times(victim: &str) -> Result<()> {
    let reference = reference().await?;
    let mut dice = dice(victim)?;
    let run = Run::start().await?;
    let story = async {
        for ((stage, times), took) in STAGES.into_iter().zip(reference.took) {
            run.ask(stage).await?;
            run.disturb(victim, times, took, &mut dice).await?;
            run.reached(stage).await?;
        }
        run.settled(|now| reference.end.differences(now)).await
    };
    tokio::select! {
        end = story => end.map(drop),
        ended = run.keep_running("") => ended,
    }
}

#[tokio::test]
async fn catalogd_killed_ten_times_comes_to_the_same_end() -> Result<()> {
    killed_ten_times("catalogd").await
}

#[tokio::test]
async fn operator_controller_killed_ten_times_comes_to_the_same_end() -> Result<()> {
    killed_ten_times("operator-controller").await
}

#[tokio::test]
async fn rukpak_killed_ten_times_comes_to_the_same_end() -> Result<()> {
    killed_ten_times("rukpak").await
}

#[tokio::test]
async fn rukpak_webhooks_killed_ten_times_comes_to_the_same_end() -> Result<()> {
    killed_ten_times("rukpak-webhooks").await
}

#[tokio::test]
async fn after_a_kill_of_the_api_server_and_of_etcd_it_goes_on() -> Result<()> {
    let reference = reference().await?;
    let mut dice = dice("control plane")?;
    let run = Run::start().await?;
    let story = async {
        for ((stage, _), took) in STAGES.into_iter().zip(reference.took) {
            run.ask(stage).await?;
            let victim = match stage {
                Stage::Catalog => None,
                Stage::Install => Some(Component::ApiServer),
                Stage::Walk => Some(Component::Etcd),
            };
            if let Some(victim) = victim {
                let moment = dice.random_range(Duration::ZERO..took);
                let pause = Duration::from_millis(dice.random_range(50..400));
                tokio::time::sleep(moment).await;
                run.suite.cluster().kill(victim)?;
                report::line(&format!(
                    "killed {victim:?} after {moment:.1?}, for {pause:.1?}"
                ));
                tokio::time::sleep(pause).await;
                run.suite.cluster().start_component(victim).await?;
            }
            run.reached(stage).await?;
        }
        run.settled(|now| reference.end.differences(now)).await
    };
    tokio::select! {
        end = story => end.map(drop),
        ended = run.keep_running("cannot connect to Kubernetes") => ended,
    }
}
