//! Which of a deployment's Bundles is the one that its template asks for, how that one stands, and
//! which others may go.

use std::sync::Arc;

use kube::ResourceExt as _;
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::conditions::{UNPACKED, deployment as reasons, unpack};
use olm_runtime::conditions;

use super::status::Said;
use super::template;
use crate::messages;
use crate::pin;

/// How the Bundle of a template stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is none of this template yet.
    Absent,
    /// One is there under the name, and it is somebody else's or on its way out.
    Blocked,
    /// It is being fetched.
    Pending,
    /// It cannot be fetched or is not fit; why.
    Failed(String),
    /// It is stored under this digest.
    Unpacked(olm_fs::Digest),
}

/// How `bundle`, found under the name that the template gives it, stands.
pub(crate) fn standing(
    deployment: &BundleDeployment,
    hash: &str,
    bundle: Option<&Bundle>,
) -> Standing {
    let Some(bundle) = bundle else {
        return Standing::Absent;
    };
    let is_it = template::owns(deployment, bundle) && template::matches(bundle, hash);
    if !is_it || bundle.metadata.deletion_timestamp.is_some() {
        return Standing::Blocked;
    }
    let Some(status) = &bundle.status else {
        return Standing::Pending;
    };
    let Some(condition) = conditions::get(&status.conditions, UNPACKED) else {
        return Standing::Pending;
    };
    match (condition.status.as_str(), condition.reason.as_str()) {
        ("True", _) => match pin::digest(status) {
            Some(digest) => Standing::Unpacked(digest),
            None => Standing::Pending,
        },
        (_, unpack::PENDING | unpack::UNPACKING) => Standing::Pending,
        _ => Standing::Failed(condition.message.clone()),
    }
}

/// What the condition `HasValidBundle` says of a Bundle.
pub(crate) fn said(bundle: &str, standing: &Standing) -> Said {
    match standing {
        Standing::Absent | Standing::Blocked | Standing::Pending => Said::yes(
            reasons::UNPACK_PENDING,
            messages::waiting_for_bundle(bundle),
        ),
        Standing::Failed(why) => {
            Said::no(reasons::UNPACK_FAILED, messages::bundle_failed(bundle, why))
        }
        Standing::Unpacked(_) => Said::yes(
            reasons::UNPACK_SUCCESSFUL,
            messages::bundle_unpacked(bundle),
        ),
    }
}

/// The Bundles of a deployment that nothing needs: neither what the template asks for nor what
/// runs. Templates that were replaced before they were installed leave them behind.
pub(crate) fn superseded<'a>(
    deployment: &BundleDeployment,
    wanted: &str,
    bundles: &'a [Arc<Bundle>],
) -> Vec<&'a Bundle> {
    let status = deployment.status.as_ref();
    let inventory = status.and_then(|status| status.inventory.as_ref());
    let needed = [
        Some(wanted),
        status.and_then(|status| status.active_bundle.as_deref()),
        inventory
            .and_then(|inventory| inventory.installed.as_ref())
            .map(|installed| installed.bundle.as_str()),
    ];
    bundles
        .iter()
        .filter(|bundle| template::owns(deployment, bundle))
        .filter(|bundle| bundle.metadata.deletion_timestamp.is_none())
        .filter(|bundle| !needed.contains(&bundle.metadata.name.as_deref()))
        .map(AsRef::as_ref)
        .collect()
}

/// The names of Bundles, sorted, for logs.
pub(crate) fn names(bundles: &[&Bundle]) -> Vec<String> {
    let mut names: Vec<String> = bundles.iter().map(|bundle| bundle.name_any()).collect();
    names.sort();
    names
}
