//! SIGKILL of a controller at its writes: before each is sent and after each was answered. Whatever
//! is cut off, the end is that of an undisturbed run. The same while writes and watches go wrong.
//!
//! A proxy before the API server counts the writes. A few of them are struck in each run of the
//! tests; `OLM_TEST_CRASH=full` strikes all (`make test-crash`).

mod operators;
mod rukpak;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_tests::api_proxy::{ApiProxy, Moment, Weather};
use olm_tests::snapshot::Snapshot;
use olm_tests::{ControlPlane, Registry, Suite, SuiteOptions, Wait, report, scratch};
use rustix::process::{Pid, Signal, kill_process};

/// How long any step may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Of so many writes one is struck, where not all are.
const STRIDE: usize = 6;
const WEATHERS: [Weather; 4] = [
    Weather::Conflicts,
    Weather::Gone,
    Weather::Cut,
    Weather::Twice,
];

/// What a user does, one stage after the other, and how each ends.
trait Story {
    /// The component that is struck.
    const VICTIM: &str;

    type Stage: Copy + Debug + Ord + 'static;

    /// In the order in which they are gone through; what the last one leaves is what the first one
    /// began with.
    const STAGES: &[Self::Stage];

    /// Does what a user does for a stage.
    async fn ask(&self, stage: Self::Stage) -> Result<()>;

    /// Waits until the controllers say that a stage is over.
    async fn reached(&self, stage: Self::Stage) -> Result<()>;

    fn place(&self) -> &Place;
}

/// A control plane of its own, with the victim behind a proxy.
struct Place {
    suite: Suite,
    proxy: ApiProxy,
    client: Client,
}

/// What the undisturbed run came to, and how many writes each stage took.
struct Reference<Stage> {
    ends: BTreeMap<Stage, Snapshot>,
    writes: BTreeMap<Stage, usize>,
}

impl Place {
    /// Starts these components, in this order.
    async fn start(registry: &Registry, victim: &str, components: &[&str]) -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let folder = scratch::subdirectory("proxy")?;
        let proxy = ApiProxy::start(cluster.kubeconfig(), &folder).await?;
        let kubeconfigs = BTreeMap::from([(victim.to_owned(), proxy.kubeconfig().to_owned())]);
        let options = SuiteOptions {
            kubeconfigs,
            rendered_leases: true,
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, components).await?;
        let client = cluster.client().await?;
        Ok(Self {
            suite,
            proxy,
            client,
        })
    }

    /// Waits until all Bundles are gone: they follow what made them by garbage collection.
    async fn no_bundles(&self) -> Result<()> {
        let bundles: Api<Bundle> = Api::all(self.client.clone());
        Wait::new("the Bundles are gone")
            .within(PATIENCE)
            .logs(&self.suite)
            .explained(async || {
                let left = bundles.list(&ListParams::default()).await?.items;
                let left: Vec<String> = left
                    .iter()
                    .map(|bundle| format!("{:?}", bundle.metadata))
                    .collect();
                Ok(if left.is_empty() {
                    Ok(())
                } else {
                    Err(left.join("\n"))
                })
            })
            .await
    }

    /// What the cluster holds once two looks at it are equal.
    async fn settled(&self) -> Result<Snapshot> {
        let mut last: Option<Snapshot> = None;
        Wait::new("nothing changes any more")
            .within(PATIENCE)
            .every(Duration::from_secs(1))
            .logs(&self.suite)
            .explained(async || {
                let now = Snapshot::take(&self.client).await?;
                Ok(match last.replace(now.clone()) {
                    Some(last) if last == now => Ok(now),
                    Some(last) => Err(last.differences(&now).join("\n")),
                    None => Err("there was only one look".to_owned()),
                })
            })
            .await
    }

    /// Waits until the cluster holds what it held at the same end before.
    async fn came_to(&self, end: &Snapshot) -> Result<()> {
        Wait::new("the end is that of an undisturbed run")
            .within(PATIENCE)
            .logs(&self.suite)
            .explained(async || {
                let differences = end.differences(&Snapshot::take(&self.client).await?);
                Ok(if differences.is_empty() {
                    Ok(())
                } else {
                    Err(differences.join("\n"))
                })
            })
            .await
    }

    /// Starts the victim again whenever it has ended; never returns but with an error.
    async fn keep_running(&self, victim: &str) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), self.suite.namespace());
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.suite.process(victim)?.exited()?.is_some() {
                // Nobody needs to wait for a lease whose holder is known to be dead.
                leases
                    .delete(victim, &DeleteParams::default())
                    .await
                    .map(drop)
                    .or_else(|error| match error {
                        kube::Error::Api(status) if status.is_not_found() => Ok(()),
                        error => Err(error),
                    })?;
                self.suite.start_process(victim).await?;
            }
        }
    }
}

async fn undisturbed<S: Story>(story: &S) -> Result<Reference<S::Stage>> {
    let place = story.place();
    let (mut ends, mut writes) = (BTreeMap::new(), BTreeMap::new());
    for &stage in S::STAGES {
        place.proxy.count();
        story.ask(stage).await?;
        story.reached(stage).await?;
        ends.insert(stage, place.settled().await?);
        let made = place.proxy.writes();
        report::line(&format!("{stage:?}: {} writes", made.len()));
        writes.insert(stage, made.len());
    }
    Ok(Reference { ends, writes })
}

/// Goes through all stages; the victim is killed at this write of each. Says of how many stages it
/// was.
async fn struck_at<S: Story>(
    story: &S,
    write: usize,
    moment: Moment,
    reference: &Reference<S::Stage>,
) -> Result<usize> {
    let place = story.place();
    let mut struck = 0;
    for &stage in S::STAGES {
        let is_struck = write <= reference.writes[&stage];
        if is_struck {
            let pid = place.suite.process(S::VICTIM)?.pid();
            let pid = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            let pid = pid.with_context(|| format!("{} does not run", S::VICTIM))?;
            place.proxy.strike(write, moment, move || {
                // It may have ended by itself in the same moment.
                let _ = kill_process(pid, Signal::KILL);
            });
        } else {
            place.proxy.count();
        }
        story.ask(stage).await?;
        let through = async {
            story.reached(stage).await?;
            place.came_to(&reference.ends[&stage]).await
        };
        tokio::select! {
            over = through => over.with_context(|| {
                let made = place.proxy.writes();
                let at = made.get(write - 1).map_or("a write that was not made", String::as_str);
                format!("{stage:?}, killed {moment:?} write {write}, {at}")
            })?,
            ended = place.keep_running(S::VICTIM) => ended?,
        }
        if is_struck && !place.proxy.waits() {
            struck += 1;
        }
    }
    Ok(struck)
}

/// Kills the victim at some of its writes, or at all.
async fn struck<S: Story>(story: &S) -> Result<()> {
    let reference = undisturbed(story).await?;
    let most = reference.writes.values().max().copied().unwrap_or_default();
    ensure!(most > 0, "nothing was written");
    let all = std::env::var("OLM_TEST_CRASH").as_deref() == Ok("full");
    let (mut struck, mut cases) = (0, 0);
    for write in 1..=most {
        for (number, moment) in [Moment::Before, Moment::After].into_iter().enumerate() {
            // Both moments are spread over the writes.
            if all || (write + number * STRIDE / 2).is_multiple_of(STRIDE) {
                cases += reference.writes.values().filter(|of| write <= **of).count();
                struck += struck_at(story, write, moment, &reference).await?;
            }
        }
    }
    report::line(&format!("{struck} of {cases} writes were struck"));
    // A write may be one of the status that another pass made unnecessary, not most of them.
    ensure!(struck * 4 >= cases * 3, "too few writes were struck");
    Ok(())
}

/// Goes through all stages in each weather.
async fn weathered<S: Story>(story: &S) -> Result<()> {
    let reference = undisturbed(story).await?;
    let place = story.place();
    for weather in WEATHERS {
        place.proxy.weather(weather);
        // Its watches begin anew.
        place.suite.restart(S::VICTIM).await?;
        for &stage in S::STAGES {
            story.ask(stage).await?;
            let through = async {
                story.reached(stage).await?;
                place.came_to(&reference.ends[&stage]).await
            };
            through
                .await
                .with_context(|| format!("{stage:?} in {weather:?}"))?;
        }
        report::line(&format!("{weather:?}: the same end"));
    }
    Ok(())
}
