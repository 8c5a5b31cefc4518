//! The harness round a [`Reconciler`]: queue, limits, retries, isolation, metrics.

use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::controller::{self, Action as Requeue};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoffs;
use crate::chain::Chain;
use crate::clock::SharedClock;
use crate::metrics::{Outcome, ReconcileMetrics};
use crate::objects::{Cache, Guarded, Objects, Watchable};
use crate::reconcile::{Action, Failure, Pass, Reconciler, Retry};

/// Passes at the same time where nothing else is said.
const CONCURRENCY: u16 = 4;
/// Longest pass where nothing else is said.
const PASS_LIMIT: Duration = Duration::from_mins(10);

/// A controller ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// A pass answered [`Retry::Stop`].
    #[error("controller `{controller}` cannot go on: {message}")]
    Stopped {
        /// Name of the controller.
        controller: &'static str,
        /// The error of the pass, with its causes.
        message: String,
    },
    /// The watch of the main kind ended.
    #[error("the watch of controller `{controller}` ended")]
    WatchEnded {
        /// Name of the controller.
        controller: &'static str,
    },
}

/// What a controller needs from its process.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Told about each pass.
    pub metrics: ReconcileMetrics,
    /// Tells the time.
    pub clock: SharedClock,
    /// Ends the controller: no new pass begins, passes under way finish.
    pub shutdown: CancellationToken,
}

type Reference<R> = ObjectRef<Guarded<<R as Reconciler>::Object>>;

/// A controller that has not been started.
///
/// The main kind triggers a pass when its generation, finalizers, annotations or labels change;
/// other triggers are added with the methods below. Everything that reaches the same object at once
/// leads to one pass.
pub struct Controller<R: Reconciler> {
    reconciler: R,
    api: Api<Guarded<R::Object>>,
    config: watcher::Config,
    objects: Objects<R::Object>,
    cache: Cache<R::Object>,
    triggers: Vec<BoxStream<'static, Reference<R>>>,
    concurrency: u16,
    pass_limit: Duration,
}

impl<R: Reconciler> Controller<R> {
    /// A controller over all objects of the reconciler's kind in the cluster.
    pub fn new(client: Client, reconciler: R) -> Self {
        let (objects, cache) = Cache::new();
        Self::assemble(client, objects, cache, reconciler)
    }

    /// As [`Self::new`], for a reconciler that reads the cache of its own kind.
    pub fn with_objects(client: Client, make: impl FnOnce(Objects<R::Object>) -> R) -> Self {
        let (objects, cache) = Cache::new();
        let reconciler = make(objects.clone());
        Self::assemble(client, objects, cache, reconciler)
    }

    fn assemble(
        client: Client,
        objects: Objects<R::Object>,
        cache: Cache<R::Object>,
        reconciler: R,
    ) -> Self {
        Self {
            reconciler,
            api: Api::all(client),
            config: watcher::Config::default(),
            objects,
            cache,
            triggers: Vec::new(),
            concurrency: CONCURRENCY,
            pass_limit: PASS_LIMIT,
        }
    }

    /// Narrows the main watch, for example by labels.
    #[must_use]
    pub fn selecting(mut self, config: watcher::Config) -> Self {
        self.config = config;
        self
    }

    /// How many objects may be in a pass at once; at least 1. Default 4.
    #[must_use]
    pub fn concurrency(mut self, passes: u16) -> Self {
        self.concurrency = passes.max(1);
        self
    }

    /// How long a pass may take before it is ended and counted as failed. Default 10 min.
    #[must_use]
    pub fn pass_limit(mut self, limit: Duration) -> Self {
        self.pass_limit = limit;
        self
    }

    /// The cache of the main kind, filled once the controller runs.
    pub fn objects(&self) -> Objects<R::Object> {
        self.objects.clone()
    }

    /// Triggers passes from another kind: each object that `stream` yields leads to passes over the
    /// objects that `mapper` names. See [`Watch`](crate::Watch) for streams.
    #[must_use]
    pub fn watches_stream<W, I>(
        mut self,
        stream: impl Stream<Item = Arc<W>> + Send + 'static,
        mapper: impl Fn(&W) -> I + Send + Sync + 'static,
    ) -> Self
    where
        W: Send + Sync + 'static,
        I: IntoIterator<Item = ObjectRef<R::Object>>,
        I::IntoIter: Send + 'static,
    {
        let references = stream.flat_map(move |object| {
            futures::stream::iter(
                mapper(&object)
                    .into_iter()
                    .map(|reference| guarded(&reference)),
            )
        });
        self.triggers.push(references.boxed());
        self
    }

    /// As [`Self::watches_stream`] over all objects of a kind in the cluster.
    #[must_use]
    pub fn watches<W, I>(
        self,
        client: Client,
        config: watcher::Config,
        mapper: impl Fn(&W) -> I + Send + Sync + 'static,
    ) -> Self
    where
        W: Watchable,
        I: IntoIterator<Item = ObjectRef<R::Object>>,
        I::IntoIter: Send + 'static,
    {
        let stream = crate::objects::Watch::<W>::all(client)
            .selecting(config)
            .stream();
        self.watches_stream(stream, mapper)
    }

    /// Triggers passes from a channel, for watches that come and go while the controller runs.
    #[must_use]
    pub fn triggered_by(mut self, mut receiver: mpsc::Receiver<ObjectRef<R::Object>>) -> Self {
        let references = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        self.triggers
            .push(references.map(|reference| guarded(&reference)).boxed());
        self
    }

    /// Runs until the shutdown token is cancelled and the passes under way have ended.
    ///
    /// # Errors
    ///
    /// When a pass answers [`Retry::Stop`] or the main watch ends by itself.
    pub async fn run(self, surroundings: Surroundings) -> Result<(), ControllerError> {
        let name = R::NAME;
        surroundings.metrics.announce(name, self.concurrency);
        let shutdown = surroundings.shutdown.clone();
        let harness = Arc::new(Harness {
            reconciler: self.reconciler,
            backoffs: Backoffs::default(),
            pass_limit: self.pass_limit,
            surroundings,
            fatal: OnceLock::new(),
            stop: CancellationToken::new(),
        });

        let changes = self
            .cache
            .fill(watcher(self.api, self.config))
            .applied_objects()
            .predicate_filter(
                predicates::generation
                    .combine(predicates::finalizers)
                    .combine(predicates::annotations)
                    .combine(predicates::labels),
                PredicateConfig::default(),
            );
        let mut controller = kube::runtime::Controller::for_stream(changes, self.objects.store())
            .with_config(controller::Config::default().concurrency(self.concurrency))
            .graceful_shutdown_on(shutdown.clone().cancelled_owned());
        for trigger in self.triggers {
            controller = controller.reconcile_on(trigger);
        }
        info!(
            controller = name,
            concurrency = self.concurrency,
            "controller starts"
        );
        let passes = controller.run(
            |object, harness: Arc<Harness<R>>| async move { Ok(harness.pass(object).await) },
            |_object, error: &Infallible, _harness| match *error {},
            Arc::clone(&harness),
        );
        tokio::pin!(passes);
        loop {
            let item = tokio::select! {
                () = harness.stop.cancelled() => break,
                item = passes.next() => item,
            };
            match item {
                None => break,
                Some(Ok(_)) => {}
                Some(Err(controller::Error::ObjectNotFound(object))) => {
                    debug!(controller = name, object = %object, "trigger for an object that is gone");
                }
                Some(Err(error)) => {
                    warn!(controller = name, error = %Chain(&error), "watch failed, trying again");
                }
            }
        }
        if let Some(message) = harness.fatal.get() {
            return Err(ControllerError::Stopped {
                controller: name,
                message: message.clone(),
            });
        }
        if shutdown.is_cancelled() {
            debug!(controller = name, "controller stopped");
            return Ok(());
        }
        Err(ControllerError::WatchEnded { controller: name })
    }
}

impl<R: Reconciler> fmt::Debug for Controller<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controller")
            .field("name", &R::NAME)
            .field("triggers", &self.triggers.len())
            .field("concurrency", &self.concurrency)
            .field("pass_limit", &self.pass_limit)
            .finish_non_exhaustive()
    }
}

fn guarded<K: Watchable>(reference: &ObjectRef<K>) -> ObjectRef<Guarded<K>> {
    let guarded = ObjectRef::new(&reference.name);
    match &reference.namespace {
        Some(namespace) => guarded.within(namespace),
        None => guarded,
    }
}

/// What the passes of one controller share.
struct Harness<R: Reconciler> {
    reconciler: R,
    backoffs: Backoffs,
    pass_limit: Duration,
    surroundings: Surroundings,
    fatal: OnceLock<String>,
    stop: CancellationToken,
}

impl<R: Reconciler> Harness<R> {
    /// Runs one pass whatever it does, and says when the next one is due.
    async fn pass(&self, object: Arc<Guarded<R::Object>>) -> Requeue {
        let metadata = object.meta();
        let uid = metadata.uid.clone().unwrap_or_else(|| {
            format!(
                "{}/{}",
                metadata.namespace.as_deref().unwrap_or_default(),
                metadata.name.as_deref().unwrap_or_default()
            )
        });
        let Surroundings {
            metrics,
            clock,
            shutdown,
        } = &self.surroundings;
        let pass = Pass {
            clock: Arc::clone(clock),
            failures: self.backoffs.failures(&uid),
            shutdown: shutdown.clone(),
        };
        let active = metrics.begin(R::NAME);
        let started = Instant::now();
        let attempt = AssertUnwindSafe(self.attempt(&object, &pass)).catch_unwind();
        let ended = tokio::time::timeout(self.pass_limit, attempt).await;
        let took = started.elapsed();
        drop(active);

        let (outcome, requeue) = match ended {
            Ok(Ok(Ok(action))) => {
                self.backoffs.reset(&uid);
                match action {
                    Action::AwaitChange => (Outcome::Success, Requeue::await_change()),
                    Action::RequeueAfter(delay) => (Outcome::RequeueAfter, Requeue::requeue(delay)),
                }
            }
            Ok(Ok(Err(failure))) => self.failed(&uid, &failure),
            Ok(Err(panic)) => {
                let delay = self.backoffs.fail(&uid, Instant::now());
                error!(
                    controller = R::NAME,
                    panic = crate::process::panic_text(panic.as_ref()),
                    retry_in = ?delay,
                    "pass panicked"
                );
                (Outcome::Panicked, Requeue::requeue(delay))
            }
            Err(_elapsed) => {
                let delay = self.backoffs.fail(&uid, Instant::now());
                error!(
                    controller = R::NAME,
                    limit = ?self.pass_limit,
                    retry_in = ?delay,
                    "pass took too long"
                );
                (Outcome::TimedOut, Requeue::requeue(delay))
            }
        };
        metrics.end(R::NAME, outcome, took.as_secs_f64());
        requeue
    }

    async fn attempt(&self, object: &Guarded<R::Object>, pass: &Pass) -> Result<Action, R::Error> {
        match &object.0 {
            Ok(object) => self.reconciler.reconcile(Arc::clone(object), pass).await,
            Err(invalid) => {
                warn!(controller = R::NAME, error = %invalid.error, "object does not decode");
                self.reconciler
                    .undecodable(&invalid.metadata, &invalid.error, pass)
                    .await?;
                Ok(Action::AwaitChange)
            }
        }
    }

    fn failed(&self, uid: &str, failure: &R::Error) -> (Outcome, Requeue) {
        let reason = failure.reason();
        match failure.retry() {
            Retry::Backoff => {
                let delay = self.backoffs.fail(uid, Instant::now());
                warn!(
                    controller = R::NAME,
                    reason,
                    error = %Chain(failure),
                    retry_in = ?delay,
                    "pass failed"
                );
                (Outcome::Error, Requeue::requeue(delay))
            }
            Retry::After(delay) => {
                debug!(
                    controller = R::NAME,
                    reason,
                    error = %Chain(failure),
                    retry_in = ?delay,
                    "pass waits"
                );
                (Outcome::RequeueAfter, Requeue::requeue(delay))
            }
            Retry::OnChange => {
                self.backoffs.reset(uid);
                warn!(
                    controller = R::NAME,
                    reason,
                    error = %Chain(failure),
                    "pass failed until something changes"
                );
                (Outcome::TerminalError, Requeue::await_change())
            }
            Retry::Stop => {
                let message = Chain(failure).to_string();
                error!(
                    controller = R::NAME,
                    reason,
                    error = message,
                    "controller must stop"
                );
                // The first reason is the one that is reported.
                let _ = self.fatal.set(message);
                self.stop.cancel();
                (Outcome::TerminalError, Requeue::await_change())
            }
        }
    }
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
