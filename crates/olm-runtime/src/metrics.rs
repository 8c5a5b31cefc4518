//! The metrics of controllers, under the names that controller-runtime made customary.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::queue::{Queue, QueueMetrics};

/// Upper bounds of the time buckets, in seconds.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9,
    1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 15.0, 20.0,
    30.0, 40.0, 60.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabel {
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: &'static str,
    result: &'static str,
}

type PerController<M> = Family<ControllerLabel, M>;

/// How one pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    RequeueAfter,
    Error,
    TerminalError,
    TimedOut,
    Panicked,
}

/// The metrics of all controllers of a process; clones share them.
#[derive(Debug, Clone)]
pub struct ReconcileMetrics {
    total: Family<ResultLabels, Counter>,
    errors: PerController<Counter>,
    terminal_errors: PerController<Counter>,
    panics: PerController<Counter>,
    timeouts: PerController<Counter>,
    seconds: Family<ControllerLabel, Histogram, fn() -> Histogram>,
    concurrency: PerController<Gauge>,
    active: PerController<Gauge>,
    queues: QueueMetrics,
}

impl ReconcileMetrics {
    /// Registers the metrics; once per process.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            total: Family::default(),
            errors: Family::default(),
            terminal_errors: Family::default(),
            panics: Family::default(),
            timeouts: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS.iter().copied())),
            concurrency: Family::default(),
            active: Family::default(),
            queues: QueueMetrics::register(registry),
        };
        let passes = registry.sub_registry_with_prefix("controller_runtime");
        passes.register(
            "reconcile",
            "Total number of reconciliations per controller and result",
            metrics.total.clone(),
        );
        passes.register(
            "reconcile_errors",
            "Total number of reconciliation errors per controller",
            metrics.errors.clone(),
        );
        passes.register(
            "terminal_reconcile_errors",
            "Total number of reconciliation errors that only a change can end, per controller",
            metrics.terminal_errors.clone(),
        );
        passes.register(
            "reconcile_panics",
            "Total number of reconciliation panics per controller",
            metrics.panics.clone(),
        );
        passes.register(
            "reconcile_timeouts",
            "Total number of reconciliations that took longer than they may, per controller",
            metrics.timeouts.clone(),
        );
        passes.register(
            "reconcile_time_seconds",
            "Length of time per reconciliation per controller",
            metrics.seconds.clone(),
        );
        passes.register(
            "max_concurrent_reconciles",
            "Maximum number of concurrent reconciles per controller",
            metrics.concurrency.clone(),
        );
        passes.register(
            "active_workers",
            "Number of currently used workers per controller",
            metrics.active.clone(),
        );
        metrics
    }

    /// Makes the series of a controller visible before its first pass, and gives it its queue.
    pub(crate) fn announce(&self, controller: &'static str, concurrency: u16) -> Queue {
        let label = ControllerLabel { controller };
        self.concurrency
            .get_or_create(&label)
            .set(i64::from(concurrency));
        self.active.get_or_create(&label).set(0);
        for family in [
            &self.errors,
            &self.terminal_errors,
            &self.panics,
            &self.timeouts,
        ] {
            drop(family.get_or_create(&label));
        }
        for result in ["success", "error", "requeue_after", "requeue"] {
            drop(
                self.total
                    .get_or_create(&ResultLabels { controller, result }),
            );
        }
        self.queues.queue(controller)
    }

    /// Counts a pass as active until the guard is dropped.
    pub(crate) fn begin(&self, controller: &'static str) -> ActivePass {
        let gauge = self
            .active
            .get_or_create_owned(&ControllerLabel { controller });
        gauge.inc();
        ActivePass(gauge)
    }

    pub(crate) fn end(&self, controller: &'static str, outcome: Outcome, seconds: f64) {
        let label = ControllerLabel { controller };
        self.seconds.get_or_create(&label).observe(seconds);
        let result = match outcome {
            Outcome::Success => "success",
            Outcome::RequeueAfter => "requeue_after",
            Outcome::Error | Outcome::TerminalError | Outcome::TimedOut | Outcome::Panicked => {
                self.errors.get_or_create(&label).inc();
                "error"
            }
        };
        match outcome {
            Outcome::TerminalError => {
                self.terminal_errors.get_or_create(&label).inc();
            }
            Outcome::TimedOut => {
                self.timeouts.get_or_create(&label).inc();
            }
            Outcome::Panicked => {
                self.panics.get_or_create(&label).inc();
            }
            Outcome::Success | Outcome::RequeueAfter | Outcome::Error => {}
        }
        self.total
            .get_or_create(&ResultLabels { controller, result })
            .inc();
    }
}

/// A pass under way.
#[derive(Debug)]
pub(crate) struct ActivePass(Gauge);

impl Drop for ActivePass {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn keeps_the_customary_names() {
        let mut registry = Registry::default();
        let metrics = ReconcileMetrics::register(&mut registry);
        drop(metrics.announce("catalog", 4));
        let active = metrics.begin("catalog");
        metrics.end("catalog", Outcome::Panicked, 0.2);
        metrics.end("catalog", Outcome::TerminalError, 0.2);
        metrics.end("catalog", Outcome::Success, 0.2);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "controller_runtime_reconcile_total{controller=\"catalog\",result=\"success\"} 1",
            "controller_runtime_reconcile_total{controller=\"catalog\",result=\"error\"} 2",
            "controller_runtime_reconcile_total{controller=\"catalog\",result=\"requeue\"} 0",
            "controller_runtime_reconcile_errors_total{controller=\"catalog\"} 2",
            "controller_runtime_terminal_reconcile_errors_total{controller=\"catalog\"} 1",
            "controller_runtime_reconcile_panics_total{controller=\"catalog\"} 1",
            "controller_runtime_reconcile_timeouts_total{controller=\"catalog\"} 0",
            "controller_runtime_reconcile_time_seconds_count{controller=\"catalog\"} 3",
            "controller_runtime_max_concurrent_reconciles{controller=\"catalog\"} 4",
            "controller_runtime_active_workers{controller=\"catalog\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        drop(active);
    }
}
