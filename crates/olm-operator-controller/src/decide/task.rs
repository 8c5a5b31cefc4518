//! The task that decides whenever something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::ResourceExt;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::Operator;
use olm_resolver::{EdgeMode, Facts};
use olm_runtime::{ObjectRef, Objects};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Cluster, Decider, Decisions};
use crate::catalogs::Snapshot;
use crate::deployment;
use crate::metrics::Metrics;

/// Changes that come this soon after one another are decided about together.
const TOGETHER: Duration = Duration::from_millis(20);

/// Longest pause between two decisions while changes keep coming.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What decisions depend on, as it is kept up to date.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) operators: Objects<Operator>,
    pub(crate) deployments: Objects<BundleDeployment>,
    pub(crate) bundles: Objects<Bundle>,
    pub(crate) catalogs: watch::Receiver<Arc<Snapshot>>,
    /// `None` until the cluster was asked.
    pub(crate) facts: watch::Receiver<Option<Arc<Facts>>>,
    pub(crate) mode: EdgeMode,
}

/// The newest decisions; `None` until there are any.
pub(crate) type Latest = Option<Arc<Decisions>>;

/// Decides until it is told to end.
pub(crate) async fn run(
    sources: Sources,
    wake: Arc<Notify>,
    latest: watch::Sender<Latest>,
    metrics: Metrics,
    token: CancellationToken,
) {
    let decide = decide_always(sources, wake, latest, metrics);
    tokio::select! {
        () = token.cancelled() => {}
        () = decide => {}
    }
}

async fn decide_always(
    mut sources: Sources,
    wake: Arc<Notify>,
    latest: watch::Sender<Latest>,
    metrics: Metrics,
) {
    let operators = sources.operators.clone();
    let (deployments, bundles) = (sources.deployments.clone(), sources.bundles.clone());
    let is_listed = operators.wait_until_ready().await
        && deployments.wait_until_ready().await
        && bundles.wait_until_ready().await;
    if !is_listed {
        return;
    }
    let decider = Arc::new(Mutex::new(Decider::default()));
    loop {
        let mut took = Duration::ZERO;
        if let Some(cluster) = sources.now() {
            metrics.read(&cluster.catalogs);
            let installed = cluster.deployments.iter().filter(|deployment| {
                deployment::is_installed(deployment)
                    && deployment::owning_operator(deployment).is_some()
            });
            let installed = installed.count();
            let decider = Arc::clone(&decider);
            let began = Instant::now();
            let made = tokio::task::spawn_blocking(move || {
                let mut decider = decider.lock().unwrap_or_else(PoisonError::into_inner);
                decider.decide(&cluster)
            });
            match made.await {
                Ok(decisions) => {
                    metrics.decided(&decisions, installed, began.elapsed());
                    let decisions = keep_equal(decisions, latest.borrow().as_deref());
                    latest.send_replace(Some(Arc::new(decisions)));
                }
                Err(ended) => error!(error = %ended, "deciding ended early"),
            }
            took = began.elapsed();
            debug!(?took, "decided");
        }
        tokio::select! {
            () = wake.notified() => {}
            Ok(()) = sources.catalogs.changed() => {}
            Ok(()) = sources.facts.changed() => {}
            else => return,
        }
        // The longer it takes, the more is decided at once: a third of the time at most.
        tokio::time::sleep((took * 2).clamp(TOGETHER, LONGEST_PAUSE)).await;
    }
}

/// Decisions that are what they were before are the same ones, so that nobody acts on them again.
fn keep_equal(mut decisions: Decisions, before: Option<&Decisions>) -> Decisions {
    if let Some(before) = before {
        for (name, decision) in &mut decisions {
            if let Some(old) = before.get(name).filter(|old| *old == decision) {
                *decision = Arc::clone(old);
            }
        }
    }
    decisions
}

impl Sources {
    fn now(&mut self) -> Option<Cluster> {
        let catalogs = self.catalogs.borrow_and_update().clone();
        let facts = self.facts.borrow_and_update().clone()?;
        if !catalogs.listed {
            return None;
        }
        let operators = self.operators.all();
        let decoded: BTreeSet<String> = operators.iter().map(|o| o.name_any()).collect();
        let references = self.operators.references().into_iter();
        let deployments = self.deployments.all();
        // Only where something is under way does it matter which Bundle runs.
        let active = deployments
            .iter()
            .filter(|deployment| !deployment::is_installed(deployment))
            .filter_map(|deployment| deployment::active_bundle(deployment));
        let bundles: BTreeMap<String, Arc<Bundle>> = active
            .filter_map(|name| Some((name.to_owned(), self.bundles.get(name, None)?)))
            .collect();
        Some(Cluster {
            unreadable: references
                .map(|reference| reference.name)
                .filter(|name| !decoded.contains(name))
                .collect(),
            operators,
            deployments,
            bundles,
            catalogs,
            facts,
            mode: self.mode,
        })
    }
}

/// Tells the Operators whose decisions changed since it was last asked.
pub(crate) fn changed(
    latest: watch::Receiver<Latest>,
) -> impl Fn() -> Vec<ObjectRef<Operator>> + Send + Sync + 'static {
    let known: Mutex<Option<Arc<Decisions>>> = Mutex::new(None);
    move || {
        let now = latest.borrow().clone();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, now.clone());
        let Some(now) = now else { return Vec::new() };
        let is_new = |name: &String, decision| {
            let old = before.as_ref().and_then(|before| before.get(name));
            old.is_none_or(|old| !Arc::ptr_eq(old, decision))
        };
        now.iter()
            .filter(|(name, decision)| is_new(name, decision))
            .map(|(name, _)| ObjectRef::new(name))
            .collect()
    }
}
