//! A controller: what triggers the passes of a [`Reconciler`], from start to end.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use kube::runtime::controller;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::chain::Chain;
use crate::changes::{Change, News, changes};
use crate::clock::SharedClock;
use crate::harness::Harness;
use crate::metrics::ReconcileMetrics;
use crate::objects::{Cache, Guarded, Objects, Watchable, guarded};
use crate::reconcile::Reconciler;

/// Passes at the same time where nothing else is said.
const CONCURRENCY: u16 = 4;
/// Longest pass where nothing else is said.
const PASS_LIMIT: Duration = Duration::from_mins(10);

/// A controller ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControllerError {
    /// A pass answered [`Retry::Stop`](crate::Retry::Stop).
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
    /// Ends the controller: no new pass begins, passes under way get 3 s to end by themselves.
    pub shutdown: CancellationToken,
}

type Reference<R> = ObjectRef<Guarded<<R as Reconciler>::Object>>;
type Mapper<K> = Box<dyn Fn(&K) -> Vec<ObjectRef<K>> + Send + Sync>;

/// A controller that has not been started.
///
/// The main kind triggers a pass when its generation, finalizers, annotations, labels or managers
/// change;
/// other triggers are added with the methods below. Everything that reaches the same object at once
/// leads to one pass.
pub struct Controller<R: Reconciler> {
    reconciler: R,
    api: Api<Guarded<R::Object>>,
    config: watcher::Config,
    objects: Objects<R::Object>,
    cache: Cache<R::Object>,
    others: Option<Mapper<R::Object>>,
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
            others: None,
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

    /// Lets an object of the main kind trigger passes over others of its kind: those that `mapper`
    /// names for each that is made, calls for a pass itself, or goes.
    #[must_use]
    pub fn triggers_others(
        mut self,
        mapper: impl Fn(&R::Object) -> Vec<ObjectRef<R::Object>> + Send + Sync + 'static,
    ) -> Self {
        self.others = Some(Box::new(mapper));
        self
    }

    /// Triggers passes from a channel, for watches that come and go while the controller runs.
    #[must_use]
    pub fn triggered_by(mut self, mut receiver: mpsc::Receiver<ObjectRef<R::Object>>) -> Self {
        let references = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        self.triggers
            .push(references.map(|reference| guarded(&reference)).boxed());
        self
    }

    /// Runs until the shutdown token is cancelled and the passes under way have ended. Those that
    /// take longer than 3 s for it are broken off: whoever waits for the lease must not wait for
    /// them, and a pass may be cut off anywhere, as a crash would.
    ///
    /// # Errors
    ///
    /// When a pass answers [`Retry::Stop`](crate::Retry::Stop) or the main watch ends by itself.
    pub async fn run(self, surroundings: Surroundings) -> Result<(), ControllerError> {
        let name = R::NAME;
        let queue = surroundings.metrics.announce(name, self.concurrency);
        let shutdown = surroundings.shutdown.clone();
        let harness = Harness::new(
            self.reconciler,
            self.pass_limit,
            surroundings,
            queue.clone(),
        );
        let harness = Arc::new(harness);

        let events = self.cache.fill(watcher(self.api, self.config));
        let changes = changes(self.objects.store(), events);
        let objects = main_triggers(self.objects.clone(), changes, self.others);
        let waiting = queue.clone();
        let objects = objects.inspect(move |object| {
            if let Ok(object) = object {
                let meta = object.meta();
                waiting.add(
                    meta.namespace.as_deref(),
                    meta.name.as_deref().unwrap_or_default(),
                );
            }
        });
        let mut controller = kube::runtime::Controller::for_stream(objects, self.objects.store())
            .with_config(controller::Config::default().concurrency(self.concurrency))
            .graceful_shutdown_on(shutdown.clone().cancelled_owned());
        for trigger in self.triggers {
            let waiting = queue.clone();
            controller = controller.reconcile_on(trigger.inspect(move |reference| {
                waiting.add(reference.namespace.as_deref(), &reference.name);
            }));
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
        // The stream of passes does not end by itself while the first list is awaited.
        let wound_up = async {
            shutdown.cancelled().await;
            harness.idle().await;
        };
        tokio::pin!(passes, wound_up);
        loop {
            let item = tokio::select! {
                () = harness.stopped() => break,
                () = &mut wound_up => break,
                item = passes.next() => item,
            };
            match item {
                None => break,
                Some(Ok(_)) => {}
                Some(Err(controller::Error::ObjectNotFound(object))) => {
                    queue.forget(object.namespace.as_deref(), &object.name);
                    debug!(controller = name, object = %object, "trigger for an object that is gone");
                }
                Some(Err(error)) => {
                    warn!(controller = name, error = %Chain(&error), "watch failed, trying again");
                }
            }
        }
        if let Some(message) = harness.fatal() {
            return Err(ControllerError::Stopped {
                controller: name,
                message: message.to_owned(),
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

/// The objects of the main kind that are to have a pass because of its own changes.
fn main_triggers<K: Watchable>(
    objects: Objects<K>,
    changes: impl Stream<Item = watcher::Result<Change<K>>> + Send + 'static,
    others: Option<Mapper<K>>,
) -> impl Stream<Item = watcher::Result<Guarded<K>>> + Send + 'static {
    let mut news = News::new();
    changes.flat_map(move |change| {
        let due = match change {
            Err(error) => vec![Err(error)],
            Ok(change) if !news.is_news(&change) => Vec::new(),
            Ok(change) => {
                let mut due = Vec::new();
                let decoded = match &change {
                    Change::Present(object) | Change::Gone(object) => object.0.as_ref().ok(),
                };
                if let Some((mapper, object)) = others.as_ref().zip(decoded) {
                    let references = mapper(object);
                    due.extend(references.iter().filter_map(|other| objects.guarded(other)));
                }
                if let Change::Present(object) = change {
                    due.push(object);
                }
                due.into_iter().map(Ok).collect()
            }
        };
        futures::stream::iter(due)
    })
}

#[cfg(test)]
#[path = "controller_tests.rs"]
mod tests;
