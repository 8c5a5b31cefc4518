//! What is there: the Operator's BundleDeployment, and the bundle that runs.

use kube::api::{ApiResource, DynamicObject};
use kube::{Api, Client, ResourceExt};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::operator::{BundleIdentity, Operator, OperatorStatus};

use crate::decide::there::{Basis, There};
use crate::deployment;
use crate::error::PassError;

/// What was found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    /// The BundleDeployment of the Operator's name, whoever owns it.
    pub(crate) deployment: Option<BundleDeployment>,
    /// What is there for the Operator.
    pub(crate) there: There,
}

impl Observed {
    /// The bundle that runs.
    pub(crate) fn installed(&self) -> Option<&BundleIdentity> {
        self.there.running.as_ref().map(|running| &running.identity)
    }

    /// What a decision about the Operator has to rest on.
    pub(crate) fn basis(&self, operator: &Operator) -> Basis {
        Basis::new(operator, self.deployment.as_ref(), &self.there)
    }
}

/// Looks at the cluster.
///
/// Both objects are read from the API server and not from a cache: what is done next must not rest on
/// a state that this controller itself has already changed.
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
    let moving = Some(&found)
        .filter(|found| deployment::is_controlled_by(found, operator))
        .filter(|found| !deployment::is_installed(found));
    let bundle = match moving.and_then(deployment::active_bundle) {
        Some(active) => {
            let bundles = Api::<Bundle>::all(client.clone());
            let read = |source| PassError::Read {
                what: "bundle",
                name: active.to_owned(),
                source,
            };
            bundles.get_opt(active).await.map_err(read)?
        }
        None => None,
    };
    let there = There::new(operator, Some(&found), |_| bundle.map(std::sync::Arc::new));
    Ok(Observed {
        deployment: Some(found),
        there,
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
