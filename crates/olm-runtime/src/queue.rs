//! What waits for a pass and what is in one, under the names that client-go made customary.
//!
//! The queue itself belongs to the controller library, which says nothing about it. It is therefore
//! counted at its two ends: where an object is triggered, and where its pass begins.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// The one priority there is, as it stands in the label of the depth.
const PRIORITY: &str = "0";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    name: &'static str,
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DepthLabels {
    name: &'static str,
    controller: &'static str,
    priority: &'static str,
}

type Histograms = Family<QueueLabels, Histogram, fn() -> Histogram>;

/// The metrics of the queues of all controllers of a process; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct QueueMetrics {
    depth: Family<DepthLabels, Gauge>,
    adds: Family<QueueLabels, Counter>,
    retries: Family<QueueLabels, Counter>,
    waited: Histograms,
    worked: Histograms,
    queues: Queues,
}

impl QueueMetrics {
    /// Registers the metrics; once per process.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited: Family::new_with_constructor(seconds),
            worked: Family::new_with_constructor(seconds),
            queues: Queues::default(),
        };
        let queue = registry.sub_registry_with_prefix("workqueue");
        queue.register(
            "depth",
            "Current depth of workqueue by workqueue and priority",
            metrics.depth.clone(),
        );
        queue.register(
            "adds",
            "Total number of adds handled by workqueue",
            metrics.adds.clone(),
        );
        queue.register(
            "retries",
            "Total number of retries handled by workqueue",
            metrics.retries.clone(),
        );
        queue.register(
            "queue_duration_seconds",
            "Time in seconds that an item stays in workqueue before it is taken",
            metrics.waited.clone(),
        );
        queue.register(
            "work_duration_seconds",
            "Time in seconds that processing an item from workqueue takes",
            metrics.worked.clone(),
        );
        queue.register_collector(Box::new(metrics.queues.clone()));
        metrics
    }

    /// The queue of one controller, with its series visible from now on.
    pub(crate) fn queue(&self, controller: &'static str) -> Queue {
        let labels = QueueLabels {
            name: controller,
            controller,
        };
        let depth = DepthLabels {
            name: controller,
            controller,
            priority: PRIORITY,
        };
        let state = SharedState::default();
        lock(&self.queues.0).insert(controller, Arc::clone(&state));
        Queue {
            state,
            depth: self.depth.get_or_create_owned(&depth),
            adds: self.adds.get_or_create_owned(&labels),
            retries: self.retries.get_or_create_owned(&labels),
            waited: self.waited.get_or_create_owned(&labels),
            worked: self.worked.get_or_create_owned(&labels),
        }
    }
}

/// From 10 ns to 1000 s.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(1e-8, 10.0, 12))
}

/// An object in a queue: namespace and name.
type Key = (Option<String>, String);

#[derive(Debug, Default)]
struct State {
    /// Since when an object waits for a pass.
    waiting: HashMap<Key, Instant>,
    /// When an object that had a pass is due again.
    due: HashMap<Key, Instant>,
    /// Since when there is a pass over an object.
    working: HashMap<Key, Instant>,
}

type SharedState = Arc<Mutex<State>>;

/// The queue of one controller; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    state: SharedState,
    depth: Gauge,
    adds: Counter,
    retries: Counter,
    waited: Histogram,
    worked: Histogram,
}

impl Queue {
    /// An object is to have a pass; one that waits already is not counted again.
    pub(crate) fn add(&self, namespace: Option<&str>, name: &str) {
        let mut state = lock(&self.state);
        if let Entry::Vacant(place) = state.waiting.entry(key(namespace, name)) {
            place.insert(Instant::now());
            self.depth.inc();
            self.adds.inc();
        }
    }

    /// The pass over an object begins; it ends when the guard is dropped.
    pub(crate) fn begin(&self, namespace: Option<&str>, name: &str) -> Work {
        let key = key(namespace, name);
        let now = Instant::now();
        let mut state = lock(&self.state);
        let due = state.due.remove(&key);
        let since = if let Some(since) = state.waiting.remove(&key) {
            self.depth.dec();
            since
        } else {
            // Its time had come: it was in the queue only since then.
            self.adds.inc();
            due.unwrap_or(now)
        };
        self.waited.observe(elapsed(since, now));
        state.working.insert(key.clone(), now);
        drop(state);
        Work {
            queue: self.clone(),
            key,
            since: now,
        }
    }

    /// There was a trigger for an object that is not there.
    pub(crate) fn forget(&self, namespace: Option<&str>, name: &str) {
        let key = key(namespace, name);
        let mut state = lock(&self.state);
        state.due.remove(&key);
        if state.waiting.remove(&key).is_some() {
            self.depth.dec();
        }
    }
}

fn key(namespace: Option<&str>, name: &str) -> Key {
    (namespace.map(str::to_owned), name.to_owned())
}

fn elapsed(since: Instant, now: Instant) -> f64 {
    now.saturating_duration_since(since).as_secs_f64()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pass under way.
#[derive(Debug)]
pub(crate) struct Work {
    queue: Queue,
    key: Key,
    since: Instant,
}

impl Work {
    /// The object is to have another pass after `delay`.
    pub(crate) fn again_in(&self, delay: Duration) {
        self.queue.retries.inc();
        if let Some(due) = Instant::now().checked_add(delay) {
            lock(&self.queue.state).due.insert(self.key.clone(), due);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let now = Instant::now();
        lock(&self.queue.state).working.remove(&self.key);
        self.queue.worked.observe(elapsed(self.since, now));
    }
}

/// The queues by controller; what of them is only true at one moment is counted when it is asked
/// for.
#[derive(Debug, Clone, Default)]
struct Queues(Arc<Mutex<BTreeMap<&'static str, SharedState>>>);

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = Instant::now();
        let queues = lock(&self.0);
        let times: Vec<_> = queues
            .iter()
            .map(|(controller, state)| {
                let state = lock(state);
                let times = state.working.values().map(|since| elapsed(*since, now));
                let (sum, longest) = times.fold((0.0, 0.0_f64), |(sum, longest), time| {
                    (sum + time, longest.max(time))
                });
                (*controller, sum, longest)
            })
            .collect();
        drop(queues);
        let mut gauge = |name, help, value: fn(&(&'static str, f64, f64)) -> f64| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for times in &times {
                let labels = QueueLabels {
                    name: times.0,
                    controller: times.0,
                };
                ConstGauge::new(value(times)).encode(family.encode_family(&labels)?)?;
            }
            Ok(())
        };
        gauge(
            "unfinished_work_seconds",
            "Seconds of work that is in progress and not yet in work_duration; a value that keeps \
             growing is a sign of stuck work",
            |times| times.1,
        )?;
        gauge(
            "longest_running_processor_seconds",
            "Seconds that the longest running processor for workqueue has been running",
            |times| times.2,
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    fn assert_lines(registry: &Registry, lines: &[&str]) {
        let text = text(registry);
        for line in lines {
            assert!(
                text.contains(&format!("workqueue_{line}\n")),
                "{line}\n{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_and_what_is_worked_on_is_counted() {
        let mut registry = Registry::default();
        let queue = QueueMetrics::register(&mut registry).queue("catalog");
        assert_lines(
            &registry,
            &[
                "depth{name=\"catalog\",controller=\"catalog\",priority=\"0\"} 0",
                "adds_total{name=\"catalog\",controller=\"catalog\"} 0",
                "retries_total{name=\"catalog\",controller=\"catalog\"} 0",
                "unfinished_work_seconds{name=\"catalog\",controller=\"catalog\"} 0.0",
            ],
        );
        queue.add(None, "a");
        queue.add(None, "b");
        tokio::time::advance(Duration::from_secs(2)).await;
        queue.add(None, "a");
        let work = queue.begin(None, "a");
        queue.forget(None, "b");
        queue.forget(None, "unknown");
        tokio::time::advance(Duration::from_secs(3)).await;
        let other = queue.begin(Some("ns"), "a");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_lines(
            &registry,
            &[
                "depth{name=\"catalog\",controller=\"catalog\",priority=\"0\"} 0",
                "adds_total{name=\"catalog\",controller=\"catalog\"} 3",
                "queue_duration_seconds_sum{name=\"catalog\",controller=\"catalog\"} 2.0",
                "unfinished_work_seconds{name=\"catalog\",controller=\"catalog\"} 5.0",
                "longest_running_processor_seconds{name=\"catalog\",controller=\"catalog\"} 4.0",
            ],
        );
        work.again_in(Duration::from_mins(1));
        drop((work, other));
        tokio::time::advance(Duration::from_secs(62)).await;
        drop(queue.begin(None, "a"));
        assert_lines(
            &registry,
            &[
                "retries_total{name=\"catalog\",controller=\"catalog\"} 1",
                "adds_total{name=\"catalog\",controller=\"catalog\"} 4",
                "queue_duration_seconds_sum{name=\"catalog\",controller=\"catalog\"} 4.0",
                "queue_duration_seconds_count{name=\"catalog\",controller=\"catalog\"} 3",
                "work_duration_seconds_sum{name=\"catalog\",controller=\"catalog\"} 5.0",
                "work_duration_seconds_count{name=\"catalog\",controller=\"catalog\"} 3",
                "longest_running_processor_seconds{name=\"catalog\",controller=\"catalog\"} 0.0",
            ],
        );
    }
}
