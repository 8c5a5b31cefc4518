//! What triggers passes besides the Operators themselves: their BundleDeployments and what is decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::Operator;
use olm_runtime::ObjectRef;
use tokio::sync::watch;

use crate::decide::Decisions;
use crate::deployment;

/// Drops what nobody here reads of a BundleDeployment: what was applied, which is most of it, and
/// what was handed over beside the bundle. A pass asks the API server for what it compares.
pub(crate) fn slim(arrived: &mut BundleDeployment) {
    arrived.metadata.managed_fields = None;
    arrived.spec.config = None;
    arrived.spec.template.metadata = None;
    if let Some(status) = &mut arrived.status {
        status.inventory = None;
    }
}

/// The Operators to look at when a BundleDeployment changes: the one that owns it, and the one that
/// needs its name. The latter not where its decision rests on another one: it is decided anew, and
/// that triggers a pass.
pub(crate) fn of_deployment(
    changed: &BundleDeployment,
    decisions: Option<&Decisions>,
) -> Vec<ObjectRef<Operator>> {
    let own = changed.metadata.name.as_deref().unwrap_or_default();
    let decision = decisions.and_then(|decisions| decisions.get(own));
    let is_outdated = decision.is_some_and(|decision| !decision.basis.is_of(changed));
    let owner = deployment::owning_operator(changed);
    // By name, so that an Operator that does not decode is looked at too.
    let named: BTreeSet<String> = owner
        .into_iter()
        .chain(changed.metadata.name.clone())
        .collect();
    named
        .iter()
        .filter(|name| !(is_outdated && *name == own))
        .map(|name| ObjectRef::new(name))
        .collect()
}

/// A stream that yields whenever there is a new value.
pub(crate) fn of_values<T: Send + Sync + 'static>(
    values: watch::Receiver<T>,
) -> BoxStream<'static, Arc<()>> {
    stream::unfold(values, async |mut values| {
        values.changed().await.ok()?;
        Some((Arc::new(()), values))
    })
    .boxed()
}
