//! The BundleDeployment is made to hold the chosen bundle.

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::names;
use olm_api::operator::Operator;
use serde_json::json;

use crate::deployment::{self, Wanted};
use crate::error::PassError;
use crate::messages;
use crate::status::Handover;

/// Writes the BundleDeployment where it does not hold `wanted` yet.
///
/// `current` is the BundleDeployment of the Operator's name, if there is one. One that belongs to
/// someone else is left alone.
///
/// # Errors
///
/// When the API server does not take it; what it refused for good is an outcome, not an error.
pub(crate) async fn hand_over(
    client: &Client,
    operator: &Operator,
    current: Option<&BundleDeployment>,
    wanted: &Wanted,
) -> Result<Handover, PassError> {
    let name = operator.name_any();
    if name.len() > names::BUNDLE_DEPLOYMENT_NAME_MAX {
        let limit = names::BUNDLE_DEPLOYMENT_NAME_MAX;
        return Ok(Handover::Failed(messages::name_too_long(&name, limit)));
    }
    if let Some(current) = current.filter(|c| !deployment::is_controlled_by(c, operator)) {
        let owner = deployment::controller(current).map(|o| format!("{} {:?}", o.kind, o.name));
        return Ok(Handover::Failed(messages::foreign_deployment(
            &name,
            owner.as_deref(),
        )));
    }
    let desired = match deployment::desired(operator, wanted) {
        Ok(desired) => desired,
        Err(why) => return Ok(Handover::Failed(why)),
    };
    match current {
        // It is on its way out; the next one is made when it is gone.
        Some(leaving) if leaving.metadata.deletion_timestamp.is_some() => {
            return Ok(Handover::Failed(format!(
                "bundledeployment {name:?} is being removed"
            )));
        }
        Some(current) if deployment::holds(current, &desired) => {
            return Ok(Handover::Done(Box::new(current.clone())));
        }
        _ => {}
    }
    let mut body = json!({
        "apiVersion": BundleDeployment::api_version(&()),
        "kind": BundleDeployment::kind(&()),
        "metadata": desired.metadata,
        "spec": desired.spec,
    });
    if let Some(current) = current {
        // Another object of this name that came in between is not taken over.
        body["metadata"]["uid"] = json!(current.metadata.uid);
    }
    let api = Api::<BundleDeployment>::all(client.clone());
    let params = PatchParams::apply(names::MANAGER_OPERATOR_CONTROLLER).force();
    match api.patch(&name, &params, &Patch::Apply(&body)).await {
        Ok(applied) => Ok(Handover::Done(Box::new(applied))),
        // A 4xx other than a conflict is about what was sent: sending it again changes nothing.
        Err(kube::Error::Api(status))
            if (400..500).contains(&status.code) && !matches!(status.code, 408 | 409 | 429) =>
        {
            Ok(Handover::Failed(status.message))
        }
        Err(source) => Err(PassError::Handover { name, source }),
    }
}
