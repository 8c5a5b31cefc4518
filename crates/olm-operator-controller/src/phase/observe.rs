//! What is there: the Operator's BundleDeployment, and the bundle that runs.

use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{BundleIdentity, Operator, OperatorStatus};

use crate::deployment;
use crate::error::PassError;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The BundleDeployment of the Operator's name, whoever owns it.
    pub(crate) deployment: Option<BundleDeployment>,
    /// The bundle that runs, if the BundleDeployment is the Operator's.
    pub(crate) installed: Option<BundleIdentity>,
}

/// Looks at the cluster.
///
/// Both objects are read from the API server and not from a cache: what is decided next must not
/// rest on a state that this controller itself has already changed.
///
/// # Errors
///
/// When the API server cannot be asked.
pub(crate) async fn observe(client: &Client, operator: &Operator) -> Result<Observed, PassError> {
    let name = operator.name_any();
    let deployments = Api::<BundleDeployment>::all(client.clone());
    let read = |source| PassError::Read {
        what: "bundledeployment",
        name: name.clone(),
        source,
    };
    let Some(found) = deployments.get_opt(&name).await.map_err(read)? else {
        return Ok(Observed::default());
    };
    if !deployment::is_controlled_by(&found, operator) {
        return Ok(Observed {
            deployment: Some(found),
            installed: None,
        });
    }
    let installed = if deployment::is_installed(&found) {
        deployment::requested(&found)
    } else if let Some(active) = deployment::active_bundle(&found) {
        let bundles = Api::<Bundle>::all(client.clone());
        let read = |source| PassError::Read {
            what: "bundle",
            name: active.to_owned(),
            source,
        };
        let bundle = bundles.get_opt(active).await.map_err(read)?;
        let before = operator
            .status
            .as_ref()
            .and_then(|status| status.installed.clone());
        match bundle.as_ref().and_then(deployment::of_bundle) {
            // Where it came from stands only on the Operator once the BundleDeployment moved on.
            Some(identity) => Some(with_origin(identity, before.as_ref())),
            None => before,
        }
    } else {
        None
    };
    Ok(Observed {
        deployment: Some(found),
        installed,
    })
}

/// The status of the Operator `name`, which need not decode otherwise; `None` where there is none
/// that does.
///
/// # Errors
///
/// When the API server cannot be asked.
pub(crate) async fn status_of(
    client: &Client,
    name: &str,
) -> Result<Option<OperatorStatus>, PassError> {
    let resource = ApiResource::erase::<Operator>(&());
    let operators = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let read = |source| PassError::Read {
        what: "operator",
        name: name.to_owned(),
        source,
    };
    let found = operators.get_opt(name).await.map_err(read)?;
    Ok(found
        .and_then(|object| object.data.get("status").cloned())
        .and_then(|status| serde_json::from_value(status).ok()))
}

/// Adds catalog and channel, where `before` speaks of the same bundle.
fn with_origin(identity: BundleIdentity, before: Option<&BundleIdentity>) -> BundleIdentity {
    match before {
        Some(before) if before.name == identity.name && before.image == identity.image => {
            before.clone()
        }
        _ => identity,
    }
}
