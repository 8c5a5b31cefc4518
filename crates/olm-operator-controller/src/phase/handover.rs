//! The BundleDeployment is made to hold the chosen bundle.

use jiff::Timestamp;
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
/// When the API server does not take it. That it refused it is no reason to give up: what it refuses
/// for (rights, a webhook, a limit) may change without any object that is watched.
pub(crate) async fn hand_over(
    client: &Client,
    operator: &Operator,
    current: Option<&BundleDeployment>,
    wanted: &Wanted,
    now: Timestamp,
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
    let mut desired = match deployment::desired(operator, wanted) {
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
    deployment::note_time(&mut desired, current, now);
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
        Err(source) => Err(PassError::Handover { name, source }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "tests")]

    use olm_api::operator::{BundleIdentity, OperatorSpec};
    use olm_runtime::{Chain, Failure as _, Retry};

    use super::*;
    use crate::scripted;

    #[tokio::test]
    async fn what_is_refused_is_tried_again() {
        let operator = Operator::new(
            "etcd",
            OperatorSpec {
                package_name: "etcd".to_owned(),
                ..OperatorSpec::default()
            },
        );
        let wanted = Wanted {
            identity: BundleIdentity {
                name: "etcd.v1.0.0".to_owned(),
                version: "1.0.0".to_owned(),
                package: "etcd".to_owned(),
                channel: None,
                catalog: None,
                image: "r/etcd:1".to_owned(),
            },
            ..Wanted::default()
        };
        for code in [400, 403, 404, 409, 422, 429, 500] {
            let client = scripted::client(move |_| scripted::refusal(code, "a webhook says no"));
            let Err(error) =
                hand_over(&client, &operator, None, &wanted, Timestamp::UNIX_EPOCH).await
            else {
                panic!("{code} was taken for an outcome")
            };
            assert_eq!(error.retry(), Retry::Backoff);
            assert_eq!(
                Chain(&error).to_string(),
                "cannot write bundledeployment `etcd`: a webhook says no"
            );
        }
    }
}
