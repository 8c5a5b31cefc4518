//! operator-controller: an Operator asks for a package; this controller chooses the bundle and hands
//! it to rukpak.
//!
//! **Problem.** People name a package, perhaps a channel or a range of versions. Which bundle that is
//! depends on all catalogs of the cluster, on what is installed, and on what leads from there to
//! where.
//!
//! **Model.** [`catalogs`](self) keeps a compact model of each catalog, read once per content
//! digest. One task decides for all Operators together (pure), in groups of those that may have to do
//! with one another, and again only for groups in which something changed. A pass over one Operator
//! observes what is there, makes Operators for what its bundle requires, hands the bundle over in a
//! BundleDeployment of its name once that is installed and healthy, and reports. It acts only on a
//! decision that rests on what it observed.
//!
//! **Guarantees.** One hop at a time: the next bundle is chosen from what really runs, never from
//! what was merely asked for. What is required is there before what requires it, and nothing is
//! updated so that what runs beside it breaks. What runs is never taken back because a catalog is
//! away or no longer lists it. A BundleDeployment of someone else is not touched. A broken catalog or
//! Operator changes nothing for the others.
//!
//! ```no_run
//! use clap::Parser;
//!
//! # async fn example() -> Result<(), olm_runtime::ProcessError> {
//! let args = olm_operator_controller::Args::parse();
//! olm_operator_controller::run(args).await
//! # }
//! ```

mod args;
mod catalogs;
mod cluster;
mod decide;
mod dependency;
mod deployment;
mod error;
mod messages;
mod metrics;
mod phase;
pub mod rbac;
mod reconcile;
#[cfg(test)]
mod scripted;
mod status;
mod watches;

use std::io;
use std::sync::Arc;

use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::catalog::Catalog;
use olm_api::names;
use olm_resolver::EdgeMode;
use olm_runtime::status::StatusWriter;
use olm_runtime::{Controller, Process, ProcessError, Watch, trust};
use tokio::sync::{Notify, watch};

pub use args::{Args, FeatureGates};

use crate::catalogs::{Cache, Fetcher, Loader};
use crate::decide::task::{self, Sources};
use crate::metrics::Metrics;
use crate::reconcile::{CONDITIONS, OperatorReconciler, PASS, PASSES};

/// Runs until it is told to end.
///
/// # Errors
///
/// When it cannot start, or cannot go on.
pub async fn run(args: Args) -> Result<(), ProcessError> {
    let mut process = Process::start(names::COMPONENT_OPERATOR_CONTROLLER, &args.common).await?;
    let clients = process.clients().clone();
    let cache = Cache::open(&args.cache_path).map_err(|source| ProcessError::Task {
        name: "catalog cache",
        source: Box::new(io::Error::other(source)),
    })?;

    let (trust, follow_trust) = trust::watch(
        clients.streaming.clone(),
        process.namespace(),
        names::COMPONENT_CATALOGD,
    );
    process.background("trust", |token| async move {
        follow_trust.run(token).await;
        Ok(())
    });

    let (catalogs, changes) = Watch::<Catalog>::all(clients.streaming.clone()).cached();
    let loader = Loader::new(catalogs, changes, Fetcher::new(trust), cache);
    let snapshot = loader.snapshot();
    process.background("catalogs", |token| async move {
        loader.run(token).await;
        Ok(())
    });

    let (facts, ask) = cluster::facts(clients.short.clone());
    process.background("cluster", |token| async move {
        ask.run(token).await;
        Ok(())
    });

    let (deployments, deployment_changes) =
        Watch::<BundleDeployment>::all(clients.streaming.clone())
            .slimmed(watches::slim)
            .cached();
    let (bundles, bundle_changes) = Watch::<Bundle>::all(clients.streaming.clone()).cached();
    let (events, short) = (process.events(), clients.short.clone());
    let mode = if args.feature_gates.force_semver_upgrade_constraints {
        EdgeMode::Semver
    } else {
        EdgeMode::Catalog
    };
    let (wake, latest) = (Arc::new(Notify::new()), watch::Sender::new(None));
    let decisions = latest.subscribe();
    let controller = Controller::with_objects(clients.streaming.clone(), |_| OperatorReconciler {
        status: StatusWriter::new(short.clone(), names::MANAGER_OPERATOR_CONTROLLER)
            .owning_conditions(&CONDITIONS),
        client: short,
        decisions: decisions.clone(),
        wake: Arc::clone(&wake),
        events,
    });
    let sources = Sources {
        operators: controller.objects(),
        deployments,
        bundles,
        catalogs: snapshot,
        facts,
        mode,
    };
    let clock = process.clock();
    let metrics = Metrics::register(process.registry(), clock);
    // Deciding begins and ends with the controller, whose watches keep the sources up to date.
    let waking = Arc::clone(&wake);
    process.background("decisions", |token| async move {
        task::run(sources, waking, latest, metrics, token).await;
        Ok(())
    });
    let (of_deployment, of_bundle, of_operator) = (Arc::clone(&wake), Arc::clone(&wake), wake);
    let (whose, newest) = (task::changed(decisions.clone()), decisions.clone());
    let controller = controller
        .concurrency(PASSES)
        .pass_limit(PASS)
        .watches_stream(deployment_changes, move |changed| {
            of_deployment.notify_one();
            watches::of_deployment(changed, newest.borrow().as_deref())
        })
        .watches_stream(bundle_changes, move |_| {
            of_bundle.notify_one();
            Vec::new()
        })
        .triggers_others(move |_| {
            of_operator.notify_one();
            Vec::new()
        })
        .watches_stream(watches::of_values(decisions), move |()| whose());
    process.controller(controller);
    process.run().await
}
