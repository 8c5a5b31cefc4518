//! What a controller's author writes: a [`Reconciler`] and the [`Failure`]s of its passes.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;
use crate::phase::{self, TimedOut};

/// What happens after a good pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing until something that is watched changes.
    AwaitChange,
    /// Another pass after this time, or earlier when something changes.
    RequeueAfter(Duration),
}

/// What happens after a failed pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Count the failure and try again after a growing delay (750 ms to 15 min).
    Backoff,
    /// Try again after this time: something known is waited for. Not counted as a failure.
    After(Duration),
    /// The outcome cannot change until something that is watched does.
    OnChange,
    /// End the process: its state cannot be trusted.
    Stop,
}

/// An error that ends a pass.
pub trait Failure: Error + Send + Sync + 'static {
    /// One word for conditions, events and metrics, from a closed set.
    fn reason(&self) -> &'static str;
    /// When to try again.
    fn retry(&self) -> Retry;
}

impl Failure for kube::Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Api(status) if status.is_conflict() => "Conflict",
            Self::Api(status) if status.is_forbidden() => "Forbidden",
            _ => "APIError",
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Brings the world into the state that one object asks for.
///
/// A pass is level-based: it reads what is, decides, acts and reports, and assumes nothing about
/// what triggered it. The same object is never in two passes at once.
#[async_trait]
pub trait Reconciler: Send + Sync + 'static {
    /// The kind whose objects are reconciled.
    type Object: Resource<DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;
    /// What a pass can fail with.
    type Error: Failure;
    /// The controller's name in logs and metrics, such as `catalog`.
    const NAME: &'static str;

    /// One pass over one object.
    async fn reconcile(
        &self,
        object: Arc<Self::Object>,
        pass: &Pass,
    ) -> Result<Action, Self::Error>;

    /// Called instead of [`Self::reconcile`] for an object that does not decode, so that its status
    /// can say so. `error` is the decoder's message. The default does nothing; the harness logs.
    async fn undecodable(
        &self,
        metadata: &ObjectMeta,
        error: &str,
        pass: &Pass,
    ) -> Result<(), Self::Error> {
        let _ = (metadata, error, pass);
        Ok(())
    }
}

/// What a pass is told about itself.
#[derive(Debug, Clone)]
pub struct Pass {
    pub(crate) clock: SharedClock,
    pub(crate) failures: u32,
    pub(crate) shutdown: CancellationToken,
}

impl Pass {
    /// A pass by itself, for tests and for code outside of a controller.
    pub fn new(clock: SharedClock, shutdown: CancellationToken) -> Self {
        Self {
            clock,
            failures: 0,
            shutdown,
        }
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many passes over this object failed in a row before this one.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Cancelled when the process shuts down; a pass that waits for long listens to it.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// Runs one step of the pass; see [`phase::run`].
    pub async fn phase<F: Future>(
        &self,
        name: &'static str,
        limit: Duration,
        step: F,
    ) -> Result<F::Output, TimedOut> {
        phase::run(name, limit, step).await
    }
}
