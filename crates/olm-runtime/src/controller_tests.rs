#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::sync::Mutex;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::SystemClock;
use crate::reconcile::{Action, Failure, Pass, Retry};
use crate::scripted;

#[derive(Debug, thiserror::Error)]
#[error("scripted")]
struct Scripted(Retry);

impl Failure for Scripted {
    fn reason(&self) -> &'static str {
        "Scripted"
    }

    fn retry(&self) -> Retry {
        self.0
    }
}

/// Does what the object's name says and reports each pass with its time.
#[derive(Clone)]
struct ByName {
    passes: mpsc::Sender<(String, Duration)>,
    start: Instant,
    seen: Arc<Mutex<Vec<String>>>,
}

impl ByName {
    async fn report(&self, name: &str) -> usize {
        let count = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(name.to_owned());
            seen.iter().filter(|other| *other == name).count()
        };
        let _ = self
            .passes
            .send((name.to_owned(), self.start.elapsed()))
            .await;
        count
    }
}

#[async_trait]
impl Reconciler for ByName {
    type Object = ConfigMap;
    type Error = Scripted;
    const NAME: &'static str = "by-name";

    async fn reconcile(&self, object: Arc<ConfigMap>, pass: &Pass) -> Result<Action, Scripted> {
        let name = object.metadata.name.clone().unwrap();
        let round = self.report(&name).await;
        match name.as_str() {
            "panics" if round == 1 => panic!("scripted"),
            "hangs" if round == 1 => std::future::pending().await,
            "winds up" => {
                pass.shutdown().cancelled().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.report("wound up").await;
                Ok(Action::AwaitChange)
            }
            "fails" if round <= 3 => {
                assert_eq!(pass.failures() as usize, round - 1);
                Err(Scripted(Retry::Backoff))
            }
            "waits" if round == 1 => Err(Scripted(Retry::After(Duration::from_secs(7)))),
            "refuses" => Err(Scripted(Retry::OnChange)),
            "stops" => Err(Scripted(Retry::Stop)),
            "polls" => Ok(Action::RequeueAfter(Duration::from_mins(1))),
            _ => Ok(Action::AwaitChange),
        }
    }

    async fn undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        _pass: &Pass,
    ) -> Result<(), Scripted> {
        assert!(error.contains("nvalid type"), "{error}");
        self.report(&format!(
            "undecodable {}",
            metadata.name.as_deref().unwrap()
        ))
        .await;
        Ok(())
    }
}

struct Bench {
    passes: mpsc::Receiver<(String, Duration)>,
    shutdown: CancellationToken,
    registry: Registry,
    running: tokio::task::JoinHandle<Result<(), ControllerError>>,
}

/// Runs the controller over objects of these names; one named `bad` does not decode, and with one
/// named `never` the list does not come.
fn run(names: &[&str], adjust: impl FnOnce(Controller<ByName>) -> Controller<ByName>) -> Bench {
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let data = if *name == "bad" { json!(7) } else { json!({}) };
            let metadata = json!({"name": name, "namespace": "ns", "uid": name, "generation": 1,
                "resourceVersion": "1"});
            json!({"metadata": metadata, "data": data})
        })
        .collect();
    let never = names.contains(&"never");
    let client = scripted::client(move |asked| {
        if never || asked.query.contains("watch=") {
            return None;
        }
        let list = json!({"apiVersion": "v1", "kind": "ConfigMapList",
            "metadata": {"resourceVersion": "1"}, "items": items});
        Some((200, list))
    });
    let (sender, passes) = mpsc::channel(100);
    let start = Instant::now();
    let reconciler = ByName {
        passes: sender,
        start,
        seen: Arc::default(),
    };
    let controller = adjust(Controller::new(client, reconciler));
    let mut registry = Registry::default();
    let shutdown = CancellationToken::new();
    let surroundings = Surroundings {
        metrics: ReconcileMetrics::register(&mut registry),
        clock: SystemClock::shared(),
        shutdown: shutdown.clone(),
    };
    let running = tokio::spawn(controller.run(surroundings));
    Bench {
        passes,
        shutdown,
        registry,
        running,
    }
}

impl Bench {
    async fn take(&mut self, count: usize) -> Vec<(String, Duration)> {
        let mut taken = Vec::new();
        for _ in 0..count {
            // Time stands still while anything runs: a pass that never comes is noticed at once.
            let pass = tokio::time::timeout(Duration::from_mins(10), self.passes.recv()).await;
            taken.push(pass.expect("another pass").unwrap());
        }
        taken
    }

    async fn stop(self) -> String {
        // Let the pass that reported last come to its end.
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

fn names(passes: &[(String, Duration)]) -> Vec<&str> {
    let mut names: Vec<_> = passes.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(start_paused = true)]
async fn one_bad_object_and_one_panic_harm_no_other() {
    let mut bench = run(&["bad", "good", "panics"], |controller| controller);
    let passes = bench.take(4).await;
    assert_eq!(
        names(&passes),
        ["good", "panics", "panics", "undecodable bad"]
    );
    let metrics = bench.stop().await;
    assert!(
        metrics.contains("reconcile_panics_total{controller=\"by-name\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("reconcile_total{controller=\"by-name\",result=\"success\"} 3\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("active_workers{controller=\"by-name\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_after_doubling_delays() {
    let mut bench = run(&["fails"], |controller| controller);
    let passes = bench.take(4).await;
    let gaps: Vec<f64> = passes
        .windows(2)
        .map(|pair| pair[1].1.as_secs_f64() - pair[0].1.as_secs_f64())
        .collect();
    for (gap, wanted) in gaps.iter().zip([0.75, 1.5, 3.0]) {
        assert!((gap / wanted - 1.0).abs() < 0.06, "{gaps:?}");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn waiting_is_no_failure_and_polling_goes_on() {
    let mut bench = run(&["waits", "polls"], |controller| controller);
    let passes = bench.take(5).await;
    let at = |wanted: &str| -> Vec<u64> {
        passes
            .iter()
            .filter(|(name, _)| name == wanted)
            .map(|(_, at)| at.as_secs())
            .collect()
    };
    assert_eq!(at("waits"), [0, 7]);
    assert_eq!(at("polls"), [0, 60, 120]);
    let metrics = bench.stop().await;
    assert!(
        metrics.contains("reconcile_errors_total{controller=\"by-name\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_takes_too_long_is_ended_and_tried_again() {
    let limit = Duration::from_secs(30);
    let mut bench = run(&["hangs"], |controller| controller.pass_limit(limit));
    let passes = bench.take(2).await;
    assert!(passes[1].1 >= limit);
    let metrics = bench.stop().await;
    assert!(
        metrics.contains("reconcile_timeouts_total{controller=\"by-name\"} 1\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_terminal_failure_waits_for_a_trigger() {
    let (sender, receiver) = mpsc::channel(4);
    let mut bench = run(&["refuses"], |controller| controller.triggered_by(receiver));
    bench.take(1).await;
    let quiet = tokio::time::timeout(Duration::from_hours(2), bench.passes.recv()).await;
    assert!(quiet.is_err());
    sender
        .send(ObjectRef::new("refuses").within("ns"))
        .await
        .unwrap();
    sender
        .send(ObjectRef::new("gone").within("ns"))
        .await
        .unwrap();
    assert_eq!(names(&bench.take(1).await), ["refuses"]);
    let metrics = bench.stop().await;
    assert!(
        metrics.contains("terminal_reconcile_errors_total{controller=\"by-name\"} 2\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn other_kinds_trigger_the_objects_that_the_mapper_names() {
    let secrets = futures::stream::iter([Arc::new("good"), Arc::new("unknown")]);
    let mut bench = run(&["good", "other"], |controller| {
        let objects = controller.objects();
        controller.watches_stream(
            secrets.chain(futures::stream::pending()).then(move |name| {
                let objects = objects.clone();
                async move {
                    assert!(objects.wait_until_ready().await);
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    name
                }
            }),
            |name: &&str| [ObjectRef::new(name).within("ns")],
        )
    });
    assert_eq!(names(&bench.take(3).await), ["good", "good", "other"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn stop_ends_the_controller_with_the_reason() {
    let bench = run(&["good", "stops"], |controller| controller.concurrency(1));
    let error = bench.running.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "controller `by-name` cannot go on: scripted"
    );
}

#[tokio::test(start_paused = true)]
async fn passes_get_a_moment_to_end_at_shutdown() {
    let mut bench = run(&["winds up", "hangs"], |controller| controller);
    bench.take(2).await;
    let asked = Instant::now();
    bench.shutdown.cancel();
    assert_eq!(names(&bench.take(1).await), ["wound up"]);
    let metrics = bench.stop().await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    // What was broken off is no pass that ended.
    assert!(
        metrics.contains("reconcile_total{controller=\"by-name\",result=\"success\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("active_workers{controller=\"by-name\"} 0\n"),
        "{metrics}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_controller_ends_also_while_the_first_list_is_awaited() {
    let bench = run(&["never"], |controller| controller);
    let ended = tokio::time::timeout(Duration::from_mins(1), bench.stop()).await;
    assert!(ended.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_object_triggers_others_of_its_kind() {
    let mut bench = run(&["first", "second"], |controller| {
        controller.triggers_others(|changed: &ConfigMap| {
            let is_first = changed.metadata.name.as_deref() == Some("first");
            let names = if is_first {
                ["second", "unknown"].as_slice()
            } else {
                &[]
            };
            names
                .iter()
                .map(|name| ObjectRef::new(name).within("ns"))
                .collect()
        })
    });
    assert_eq!(names(&bench.take(2).await), ["first", "second"]);
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_counted_until_its_pass() {
    let mut bench = run(&["waits", "good"], |controller| controller.concurrency(1));
    bench.take(3).await;
    let metrics = bench.stop().await;
    for line in [
        "workqueue_depth{name=\"by-name\",controller=\"by-name\",priority=\"0\"} 0\n",
        "workqueue_adds_total{name=\"by-name\",controller=\"by-name\"} 3\n",
        "workqueue_retries_total{name=\"by-name\",controller=\"by-name\"} 1\n",
        "workqueue_work_duration_seconds_count{name=\"by-name\",controller=\"by-name\"} 3\n",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
