//! What is there for an Operator: its BundleDeployment, and the bundle that runs.

use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{BundleIdentity, FailedUpgrade, Operator};

use crate::deployment::{self, Wanted};

/// What is there for an Operator.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct There {
    /// The bundle that runs.
    pub(crate) running: Option<Wanted>,
    /// The bundle that its BundleDeployment asks for.
    pub(crate) asked: Option<Wanted>,
    /// Whether what is asked for was tried and failed.
    pub(crate) failed: bool,
    /// Whether what is asked for is what runs, and works.
    pub(crate) works: bool,
}

impl There {
    /// Looks at the BundleDeployment of the Operator's name; one of somebody else is none.
    /// `bundle` finds a Bundle by its name.
    pub(crate) fn new<B: AsRef<Bundle>>(
        operator: &Operator,
        found: Option<&BundleDeployment>,
        bundle: impl FnOnce(&str) -> Option<B>,
    ) -> Self {
        let controlled = |found: &&BundleDeployment| deployment::is_controlled_by(found, operator);
        let Some(found) = found.filter(controlled) else {
            return Self::default();
        };
        let asked = deployment::recorded(found);
        let running = if deployment::is_installed(found) {
            asked.clone()
        } else if let Some(active) = deployment::active_bundle(found) {
            let before = operator.status.as_ref();
            let before = before.and_then(|status| status.installed.as_ref());
            match bundle(active).and_then(|bundle| deployment::recorded_of(bundle.as_ref())) {
                // Where it came from stands only on the Operator once the BundleDeployment moved on.
                Some(running) => Some(with_origin(running, before)),
                None => before.map(|identity| Wanted {
                    identity: identity.clone(),
                    ..Wanted::default()
                }),
            }
        } else {
            None
        };
        Self {
            running,
            asked,
            failed: deployment::has_failed(found),
            works: deployment::is_working(found),
        }
    }
}

/// Adds catalog and channel, where `before` speaks of the same bundle.
fn with_origin(running: Wanted, before: Option<&BundleIdentity>) -> Wanted {
    match before {
        Some(before) if is_same(before, &running.identity) => Wanted {
            identity: before.clone(),
            ..running
        },
        _ => running,
    }
}

/// Whether two identities are of the same bundle, wherever it was found.
pub(crate) fn is_same(one: &BundleIdentity, other: &BundleIdentity) -> bool {
    one.name == other.name && one.image == other.image
}

/// The upgrade that failed and is not tried again for this generation of the Operator.
pub(crate) fn failed_upgrade(operator: &Operator) -> Option<&FailedUpgrade> {
    let failed = operator.status.as_ref()?.failed_upgrade.as_ref()?;
    (failed.generation == operator.metadata.generation).then_some(failed)
}

/// What a decision rests on. A decision is acted on only while this holds in the cluster itself, and
/// not only in what is remembered of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Basis {
    operator: (Option<String>, Option<i64>),
    deployment: Option<(Option<String>, Option<i64>)>,
    running: Option<(String, String)>,
    failed: Option<(String, String)>,
}

impl Basis {
    pub(crate) fn new(
        operator: &Operator,
        found: Option<&BundleDeployment>,
        there: &There,
    ) -> Self {
        let running = there.running.as_ref().map(|running| &running.identity);
        Self {
            operator: (operator.metadata.uid.clone(), operator.metadata.generation),
            deployment: found.map(|d| (d.metadata.uid.clone(), d.metadata.generation)),
            running: running.map(|identity| (identity.name.clone(), identity.image.clone())),
            failed: failed_upgrade(operator)
                .map(|failed| (failed.bundle.name.clone(), failed.bundle.image.clone())),
        }
    }

    /// Whether it is of this BundleDeployment, as it is specified now.
    pub(crate) fn is_of(&self, found: &BundleDeployment) -> bool {
        let metadata = &found.metadata;
        let deployment = self.deployment.as_ref();
        deployment.is_some_and(|(uid, generation)| {
            *uid == metadata.uid && *generation == metadata.generation
        })
    }
}
