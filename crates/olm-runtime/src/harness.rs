//! One pass of a [`Reconciler`]: limits, retries, isolation, metrics.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use kube::Resource;
use kube::runtime::controller::Action as Requeue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, debug, error, info, info_span, warn};

use crate::backoff::Backoffs;
use crate::chain::Chain;
use crate::controller::Surroundings;
use crate::metrics::Outcome;
use crate::objects::Guarded;
use crate::queue::{Queue, Work};
use crate::reconcile::{Action, Failure, Pass, Reconciler, Retry};

/// Time that passes under way get to end by themselves when the process does. It must leave time for
/// giving up the lease within the process's own grace.
const WIND_DOWN: Duration = Duration::from_secs(3);

/// What the passes of one controller share.
pub(crate) struct Harness<R: Reconciler> {
    reconciler: R,
    backoffs: Backoffs,
    pass_limit: Duration,
    surroundings: Surroundings,
    queue: Queue,
    under_way: TaskTracker,
    fatal: OnceLock<String>,
    stop: CancellationToken,
}

impl<R: Reconciler> Harness<R> {
    pub(crate) fn new(
        reconciler: R,
        pass_limit: Duration,
        surroundings: Surroundings,
        queue: Queue,
    ) -> Self {
        Self {
            reconciler,
            backoffs: Backoffs::default(),
            pass_limit,
            surroundings,
            queue,
            under_way: TaskTracker::new(),
            fatal: OnceLock::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Waits until no pass is under way. It is asked for once, when no more are begun.
    pub(crate) async fn idle(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Waits for a pass that says that the controller must stop.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Why the controller must stop.
    pub(crate) fn fatal(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }

    /// Runs one pass whatever it does, and says when the next one is due.
    pub(crate) async fn pass(&self, object: Arc<Guarded<R::Object>>) -> Requeue {
        let _under_way = self.under_way.token();
        let metadata = object.meta();
        let namespace = metadata.namespace.as_deref();
        let name = metadata.name.as_deref().unwrap_or_default();
        let work = self.queue.begin(namespace, name);
        let label = namespace.map_or_else(|| name.to_owned(), |ns| format!("{ns}/{name}"));
        let span = info_span!("pass", controller = R::NAME, object = label);
        let uid = metadata.uid.clone().unwrap_or(label);
        self.timed(&object, &uid, &work).instrument(span).await
    }

    async fn timed(&self, object: &Guarded<R::Object>, uid: &str, work: &Work) -> Requeue {
        let Surroundings {
            metrics,
            clock,
            shutdown,
        } = &self.surroundings;
        let pass = Pass {
            clock: Arc::clone(clock),
            failures: self.backoffs.failures(uid),
            shutdown: shutdown.clone(),
        };
        let active = metrics.begin(R::NAME);
        let started = Instant::now();
        let attempt = AssertUnwindSafe(self.attempt(object, &pass)).catch_unwind();
        let attempt = tokio::time::timeout(self.pass_limit, attempt);
        let ended = tokio::select! {
            biased;
            ended = attempt => ended,
            () = patience(shutdown) => {
                info!("pass broken off, the process ends");
                return Requeue::await_change();
            }
        };
        let took = started.elapsed();
        drop(active);

        let (outcome, next) = match ended {
            Ok(Ok(Ok(action))) => {
                self.backoffs.reset(uid);
                match action {
                    Action::AwaitChange => (Outcome::Success, None),
                    Action::RequeueAfter(delay) => (Outcome::RequeueAfter, Some(delay)),
                }
            }
            Ok(Ok(Err(failure))) => self.failed(uid, &failure),
            Ok(Err(panic)) => {
                let delay = self.backoffs.fail(uid, Instant::now());
                let panic = crate::process::panic_text(panic.as_ref());
                error!(panic, retry_in = ?delay, "pass panicked");
                (Outcome::Panicked, Some(delay))
            }
            Err(_elapsed) => {
                let delay = self.backoffs.fail(uid, Instant::now());
                error!(limit = ?self.pass_limit, retry_in = ?delay, "pass took too long");
                (Outcome::TimedOut, Some(delay))
            }
        };
        metrics.end(R::NAME, outcome, took.as_secs_f64());
        next.map_or_else(Requeue::await_change, |delay| {
            work.again_in(delay);
            Requeue::requeue(delay)
        })
    }

    async fn attempt(&self, object: &Guarded<R::Object>, pass: &Pass) -> Result<Action, R::Error> {
        match &object.0 {
            Ok(object) => self.reconciler.reconcile(Arc::clone(object), pass).await,
            Err(invalid) => {
                warn!(error = %invalid.error, "object does not decode");
                self.reconciler
                    .undecodable(&invalid.metadata, &invalid.error, pass)
                    .await?;
                Ok(Action::AwaitChange)
            }
        }
    }

    fn failed(&self, uid: &str, failure: &R::Error) -> (Outcome, Option<Duration>) {
        let reason = failure.reason();
        let error = Chain(failure);
        match failure.retry() {
            Retry::Backoff => {
                let delay = self.backoffs.fail(uid, Instant::now());
                warn!(reason, %error, retry_in = ?delay, "pass failed");
                (Outcome::Error, Some(delay))
            }
            Retry::After(delay) => {
                debug!(reason, %error, retry_in = ?delay, "pass waits");
                (Outcome::RequeueAfter, Some(delay))
            }
            Retry::OnChange => {
                self.backoffs.reset(uid);
                warn!(reason, %error, "pass failed until something changes");
                (Outcome::TerminalError, None)
            }
            Retry::Stop => {
                error!(reason, %error, "controller must stop");
                // The first reason is the one that is reported.
                let _ = self.fatal.set(error.to_string());
                self.stop.cancel();
                (Outcome::TerminalError, None)
            }
        }
    }
}

/// Ends when passes have had their time to end by themselves.
async fn patience(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(WIND_DOWN).await;
}
