//! The controller harness: what every controller of the suite does in the same way.
//!
//! **Problem.** Reconcilers are short; what surrounds them is long and easy to get wrong: one object
//! that does not decode stops a watch, a failing object is tried without end or never again, a
//! panic takes everything down, two replicas act at once, a status write undoes another's, a
//! certificate expires on a Sunday.
//!
//! **Model.** A [`Process`] has clients, a clock, metrics, health checks, servers, background tasks
//! and [`Controller`]s. A controller drives one [`Reconciler`]: the harness decides when there is a
//! pass, the reconciler what is done in it, and the answer ([`Action`], or a [`Failure`] with its
//! [`Retry`]) when there is another. [`conditions`], [`status`], [`finalizer`], [`events`] and
//! [`phase`] are what passes are made of. [`certificates`] and [`trust`] give servers their
//! certificates and clients their authorities; [`RegistryArgs`] make the client of registries.
//!
//! **Guarantees.**
//! * The same object is in at most one pass; at most `concurrency` passes run; a pass has a limit of
//!   time; a panic ends the pass and nothing else.
//! * A failing object is retried after 750 ms, doubling to 15 min, per object; a good pass starts the
//!   count anew.
//! * An object that does not decode harms no other and is handed to
//!   [`Reconciler::undecodable`].
//! * With leader election, controllers run only while the lease is held; who loses it ends before
//!   another can take over. At shutdown passes get 3 s to end by themselves; then the lease is given
//!   up.
//! * `/healthz` answers from the first moment, whether or not the API server does; `/readyz` passes
//!   once everything was started.
//! * A status is written once per pass at most, only when it says something new, and leaves the
//!   conditions of others alone.
//! * Nothing waits in an unbounded queue; every task ends on the process's token.
//!
//! **Permissions.** What a component must be allowed, per feature:
//!
//! | Feature | Group, resource | Verbs | Where |
//! |---|---|---|---|
//! | controller | its kind | `list`, `watch` | cluster |
//! | [`status`] | its kind`/status` | `patch` | cluster |
//! | [`finalizer`] | its kind | `patch` | cluster |
//! | [`events`] | `events.k8s.io` `events` | `create`, `patch` | cluster (events on cluster-wide objects are in `default`) |
//! | [`lease`] | `coordination.k8s.io` `leases` | `create`; `get`, `update` by name | suite namespace |
//! | [`certificates`] | `secrets` | `create`; `get`, `update` by name | suite namespace |
//! | | `configmaps` | `create`; `get`, `patch` by name (`olm-trust`) | suite namespace |
//! | [`pull_secret`] | `secrets` | `get` | suite namespace |
//! | [`trust`] | `configmaps` | `list`, `watch` by name (`olm-trust`) | suite namespace |
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use k8s_openapi::api::core::v1::Namespace;
//! use olm_runtime::{Action, Failure, Pass, Reconciler, Retry, async_trait};
//!
//! #[derive(Debug, thiserror::Error)]
//! #[error("the registry is away")]
//! struct Away;
//!
//! impl Failure for Away {
//!     fn reason(&self) -> &'static str {
//!         "Away"
//!     }
//!     fn retry(&self) -> Retry {
//!         Retry::Backoff
//!     }
//! }
//!
//! struct Example;
//!
//! #[async_trait]
//! impl Reconciler for Example {
//!     type Object = Namespace;
//!     type Error = Away;
//!     const NAME: &'static str = "example";
//!
//!     async fn reconcile(&self, object: Arc<Namespace>, pass: &Pass) -> Result<Action, Away> {
//!         let _ = (object, pass.now());
//!         Ok(Action::RequeueAfter(olm_runtime::spread(Duration::from_secs(60))))
//!     }
//! }
//! ```

pub mod allowed_hosts;
pub mod args;
mod backoff;
pub mod certificates;
mod chain;
mod changes;
pub mod client;
pub mod clock;
pub mod conditions;
mod controller;
pub mod events;
pub mod finalizer;
mod go_duration;
mod harness;
pub mod lease;
pub mod logging;
mod metrics;
mod objects;
pub mod phase;
pub mod process;
pub mod pull_secret;
mod queue;
mod reconcile;
pub mod registry;
mod run;
#[cfg(test)]
mod scripted;
pub mod status;
mod truncate;
pub mod trust;
mod watch_backoff;

pub use args::CommonArgs;
pub use async_trait::async_trait;
pub use backoff::spread;
pub use chain::Chain;
pub use clock::{Clock, SharedClock, SystemClock};
pub use controller::{Controller, ControllerError, Surroundings};
pub use go_duration::{DurationError, GoDuration};
pub use kube::runtime::reflector::ObjectRef;
pub use metrics::ReconcileMetrics;
pub use objects::{Guarded, Objects, Watch, Watchable};
pub use process::{Process, ProcessError};
pub use reconcile::{Action, Failure, Pass, Reconciler, Retry};
pub use registry::RegistryArgs;
pub use watch_backoff::WatchBackoff;
