//! What triggers passes: the Operators themselves, their BundleDeployments, the catalogs, the
//! version of the cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions;
use olm_api::operator::Operator;
use olm_runtime::conditions::get;
use olm_runtime::{ObjectRef, Objects};
use tokio::sync::watch;

use crate::deployment;

/// The Operators to look at when a BundleDeployment changes: the one that owns it, the one that needs
/// its name, and those that were refused, since what they lack may be there now.
pub(crate) fn of_deployment(
    operators: &Objects<Operator>,
    changed: &BundleDeployment,
) -> Vec<ObjectRef<Operator>> {
    let owner = deployment::owning_operator(changed);
    // By name, so that an Operator that does not decode is looked at too.
    let named: BTreeSet<String> = owner
        .into_iter()
        .chain(changed.metadata.name.clone())
        .collect();
    let is_named = |name: Option<&String>| name.is_some_and(|name| named.contains(name));
    let mut references = operators.references_where(|operator| {
        was_refused(operator) && !is_named(operator.metadata.name.as_ref())
    });
    references.extend(named.iter().map(|name| ObjectRef::new(name)));
    references
}

fn was_refused(operator: &Operator) -> bool {
    operator
        .status
        .as_ref()
        .and_then(|status| get(&status.conditions, conditions::RESOLVED))
        .is_some_and(|condition| condition.status != "True")
}

/// The other Operators to look at when an Operator is made, changed or goes: those for the same
/// package, and those that were refused, since it may have asked for their package before.
pub(crate) fn of_operator(
    operators: &Objects<Operator>,
    changed: &Operator,
) -> Vec<ObjectRef<Operator>> {
    let package = &changed.spec.package_name;
    operators.references_where(|operator| {
        operator.metadata.name != changed.metadata.name
            && (operator.spec.package_name == *package || was_refused(operator))
    })
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
