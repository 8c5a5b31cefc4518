//! Admission reviews on the wire: what is asked, and the answer in the form that makes `kubectl`
//! print what users know.
//!
//! The API server shows a denial as `Error from server (REASON): admission webhook "NAME" denied
//! the request: TEXT`, where TEXT is the message, or the reason if there is no message. Upstream
//! puts its text into the reason and sends no message, and so do we.

use olm_api::bundle::BundleSpec;
use serde::Deserialize;
use serde_json::{Value, json};

/// A review as it is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Review {
    pub(crate) request: Request,
}

/// The request of a review; what is not needed is not read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request {
    pub(crate) uid: String,
    pub(crate) operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

/// What a webhook decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The change may happen.
    Allowed,
    /// It may not; the text for the user.
    Denied(String),
    /// It cannot be judged because it cannot be read.
    Undecodable(String),
    /// It cannot be judged now.
    Failed(String),
}

impl Request {
    /// The spec of the Bundle as it is to be.
    pub(crate) fn new_spec(&self) -> Result<BundleSpec, Verdict> {
        decode(&self.object)
    }

    /// The object as it is to be.
    pub(crate) fn object(&self) -> &Value {
        &self.object
    }

    /// The object as it is; null where there is none.
    pub(crate) fn old_object(&self) -> &Value {
        &self.old_object
    }

    /// The spec of the Bundle as it is.
    pub(crate) fn old_spec(&self) -> Result<BundleSpec, Verdict> {
        decode(&self.old_object)
    }
}

fn decode(object: &Value) -> Result<BundleSpec, Verdict> {
    BundleSpec::deserialize(&object["spec"])
        .map_err(|error| Verdict::Undecodable(format!("cannot decode the Bundle: {error}")))
}

/// The answer to the request `uid`.
pub(crate) fn answer(uid: &str, verdict: &Verdict) -> Value {
    let mut response = json!({"uid": uid, "allowed": *verdict == Verdict::Allowed});
    match verdict {
        Verdict::Allowed => {}
        Verdict::Denied(text) => response["status"] = json!({"code": 403, "reason": text}),
        Verdict::Undecodable(text) => response["status"] = json!({"code": 400, "message": text}),
        Verdict::Failed(text) => response["status"] = json!({"code": 500, "message": text}),
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_denial_stands_in_the_reason_and_nowhere_else() {
        let denied = answer("u", &Verdict::Denied("bundle.spec is immutable".to_owned()));
        assert_eq!(
            denied["response"],
            json!({"uid": "u", "allowed": false,
                   "status": {"code": 403, "reason": "bundle.spec is immutable"}})
        );
        let allowed = answer("u", &Verdict::Allowed);
        assert_eq!(allowed["response"], json!({"uid": "u", "allowed": true}));
    }

    #[test]
    fn what_cannot_be_read_is_a_bad_request() {
        let request: Review = serde_json::from_value(json!({"request": {
            "uid": "u", "operation": "CREATE", "object": {"spec": {"source": 1}}}}))
        .unwrap();
        let verdict = request.request.new_spec().unwrap_err();
        let answer = answer("u", &verdict);
        assert_eq!(answer["response"]["status"]["code"], 400);
        assert!(answer["response"]["status"].get("reason").is_none());
    }
}
