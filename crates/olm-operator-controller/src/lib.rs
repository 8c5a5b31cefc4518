//! operator-controller: an Operator asks for a package; this controller chooses the bundle and hands
//! it to rukpak.
//!
//! **Problem.** People name a package, perhaps a channel or a range of versions. Which bundle that is
//! depends on all catalogs of the cluster, on what is installed, and on what leads from there to
//! where.
//!
//! **Model.** [`catalogs`](self) keeps a compact model of each catalog, read once per content
//! digest. A pass observes what is there, resolves what is asked for (pure), hands the chosen bundle
//! over in a BundleDeployment of the Operator's name, and reports.
//!
//! **Guarantees.** One hop at a time: the next bundle is chosen from what really runs, never from
//! what was merely asked for. What runs is never taken back because a catalog is away or no longer
//! lists it. A BundleDeployment of someone else is not touched. A broken catalog or Operator changes
//! nothing for the others.
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
mod deployment;
mod error;
mod messages;
mod phase;
pub mod rbac;
mod reconcile;
#[cfg(test)]
mod scripted;
mod status;
mod watches;

use std::io;

use olm_api::bundle_deployment::BundleDeployment;
use olm_api::catalog::Catalog;
use olm_api::names;
use olm_resolver::EdgeMode;
use olm_runtime::status::StatusWriter;
use olm_runtime::{Controller, Process, ProcessError, Watch, trust};

pub use args::{Args, FeatureGates};

use crate::catalogs::{Cache, Fetcher, Loader};
use crate::reconcile::{CONDITIONS, OperatorReconciler, PASS};

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
        Watch::<BundleDeployment>::all(clients.streaming.clone()).cached();
    let (events, short) = (process.events(), clients.short.clone());
    let (seen, known) = (snapshot.clone(), facts.clone());
    let mode = if args.feature_gates.force_semver_upgrade_constraints {
        EdgeMode::Semver
    } else {
        EdgeMode::Catalog
    };
    let controller =
        Controller::with_objects(clients.streaming.clone(), |operators| OperatorReconciler {
            status: StatusWriter::new(short.clone(), names::MANAGER_OPERATOR_CONTROLLER)
                .owning_conditions(&CONDITIONS),
            client: short,
            operators,
            deployments,
            catalogs: seen,
            facts: known,
            events,
            mode,
        });
    let operators = controller.objects();
    let (of_deployment, of_operator) = (operators.clone(), operators.clone());
    let (of_catalogs, of_facts) = (operators.clone(), operators);
    let controller = controller
        .pass_limit(PASS)
        .watches_stream(deployment_changes, move |changed| {
            watches::of_deployment(&of_deployment, changed)
        })
        .triggers_others(move |changed| watches::of_operator(&of_operator, changed))
        .watches_stream(watches::of_values(snapshot), move |()| {
            of_catalogs.references()
        })
        .watches_stream(watches::of_values(facts), move |()| of_facts.references());
    process.controller(controller);
    process.run().await
}
