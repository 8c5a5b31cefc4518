//! What triggers passes: the Operators themselves, their BundleDeployments, the catalogs.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions;
use olm_api::operator::Operator;
use olm_runtime::{ObjectRef, Objects};
use tokio::sync::watch;

use crate::catalogs::Snapshot;
use crate::deployment;

/// The Operators to look at when a BundleDeployment changes: the one that owns it, the one that needs
/// its name, and those that were refused, since what they lack may be there now.
pub(crate) fn of_deployment(
    operators: &Objects<Operator>,
    changed: &BundleDeployment,
) -> Vec<ObjectRef<Operator>> {
    let owner = deployment::owning_operator(changed);
    operators.references_where(|operator| {
        let name = &operator.metadata.name;
        *name == owner || *name == changed.metadata.name || was_refused(operator)
    })
}

fn was_refused(operator: &Operator) -> bool {
    let conditions = operator
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    conditions
        .unwrap_or_default()
        .iter()
        .any(|condition| condition.type_ == conditions::RESOLVED && condition.status != "True")
}

/// The Operators to look at when another Operator is made or goes: those for the same package.
pub(crate) fn of_operator(
    operators: &Objects<Operator>,
    changed: &Operator,
) -> Vec<ObjectRef<Operator>> {
    let package = &changed.spec.package_name;
    operators.references_where(|operator| {
        operator.spec.package_name == *package && operator.metadata.name != changed.metadata.name
    })
}

/// A stream that yields whenever the snapshot of the catalogs changed.
pub(crate) fn of_catalogs(snapshot: watch::Receiver<Arc<Snapshot>>) -> BoxStream<'static, Arc<()>> {
    stream::unfold(snapshot, async |mut snapshot| {
        snapshot.changed().await.ok()?;
        Some((Arc::new(()), snapshot))
    })
    .boxed()
}
