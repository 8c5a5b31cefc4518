//! What monitoring is told besides the metrics that every controller has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use olm_runtime::SharedClock;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::catalogs::Snapshot;
use crate::decide::{Answer, Decisions};

/// Upper bounds of the time buckets, in seconds: from one Operator to thousands of them.
const SECONDS: [f64; 10] = [0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabel {
    answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CatalogLabel {
    catalog: String,
}

/// The metrics; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    resolved: Family<AnswerLabel, Gauge>,
    installed: Gauge,
    duration: Histogram,
    bundles: Family<CatalogLabel, Gauge>,
    read: Family<CatalogLabel, Gauge>,
    /// The digest of each catalog that is told of.
    known: Arc<Mutex<BTreeMap<String, String>>>,
    clock: SharedClock,
}

impl Metrics {
    /// Registers the metrics; once per process.
    pub(crate) fn register(registry: &mut Registry, clock: SharedClock) -> Self {
        let metrics = Self {
            resolved: Family::default(),
            installed: Gauge::default(),
            duration: Histogram::new(SECONDS),
            bundles: Family::default(),
            read: Family::default(),
            known: Arc::default(),
            clock,
        };
        let registry = registry.sub_registry_with_prefix("operator_controller");
        registry.register(
            "operators",
            "Operators by what came of choosing a bundle: resolved, refused, invalid or waiting",
            metrics.resolved.clone(),
        );
        registry.register(
            "operators_installed",
            "Operators whose bundle is installed",
            metrics.installed.clone(),
        );
        registry.register(
            "resolution_seconds",
            "Time that deciding for all Operators took",
            metrics.duration.clone(),
        );
        registry.register(
            "catalog_bundles",
            "Bundles of each catalog as it was last read",
            metrics.bundles.clone(),
        );
        registry.register(
            "catalog_read_timestamp_seconds",
            "When this process first had the content of each catalog that it has now",
            metrics.read.clone(),
        );
        metrics
    }

    /// Tells what was decided, and how long that took.
    pub(crate) fn decided(&self, decisions: &Decisions, installed: usize, took: Duration) {
        let mut counts: BTreeMap<&'static str, i64> = ["resolved", "refused", "invalid", "waiting"]
            .map(|answer| (answer, 0))
            .into();
        for decision in decisions.values() {
            let answer = match &decision.answer {
                Answer::Chosen(_) => "resolved",
                Answer::Refused(_) => "refused",
                Answer::InvalidSpec(_) => "invalid",
                Answer::NotYet => "waiting",
            };
            *counts.entry(answer).or_default() += 1;
        }
        for (answer, count) in counts {
            self.resolved
                .get_or_create(&AnswerLabel { answer })
                .set(count);
        }
        self.installed
            .set(i64::try_from(installed).unwrap_or(i64::MAX));
        self.duration.observe(took.as_secs_f64());
    }

    /// Tells of the catalogs that were read.
    pub(crate) fn read(&self, catalogs: &Snapshot) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = catalogs.catalogs.iter();
        let contents = contents.filter_map(|(name, of)| Some((name, of.content.as_ref()?)));
        let contents: BTreeMap<_, _> = contents.collect();
        known.retain(|name, _| {
            let stays = contents.contains_key(name);
            if !stays {
                let label = CatalogLabel {
                    catalog: name.clone(),
                };
                self.bundles.remove(&label);
                self.read.remove(&label);
            }
            stays
        });
        for (name, content) in contents {
            if known.get(name) == Some(&content.digest) {
                continue;
            }
            known.insert(name.clone(), content.digest.clone());
            let label = CatalogLabel {
                catalog: name.clone(),
            };
            let packages = content.model.packages();
            let bundles: usize = packages.map(|package| package.bundles.len()).sum();
            let bundles = i64::try_from(bundles).unwrap_or(i64::MAX);
            self.bundles.get_or_create(&label).set(bundles);
            let now: Timestamp = self.clock.now();
            self.read.get_or_create(&label).set(now.as_second());
        }
    }
}
