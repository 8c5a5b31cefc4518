//! Whether objects work, read from their status.
//!
//! The rules are those that kstatus made common: a status is only believed when it speaks of the
//! current generation; well-known kinds have rules of their own; every other kind is healthy
//! unless its conditions (`Ready`, `Reconciling`, `Stalled`) say otherwise.

mod rules;

use std::fmt;

use futures::stream::{self, StreamExt as _};
use serde_json::Value;

use crate::applier::{Applier, WIDTH, about};
use crate::error::ApplyError;
use crate::identity::ObjectId;

/// What the status of an object amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is what was asked for, and works.
    Current,
    /// It is on its way there.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It does not exist.
    NotFound,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The state of an object and why it is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHealth {
    /// The state.
    pub state: State,
    /// Why; empty for [`State::Current`].
    pub message: String,
}

impl ObjectHealth {
    fn current() -> Self {
        Self {
            state: State::Current,
            message: String::new(),
        }
    }

    fn new(state: State, message: impl Into<String>) -> Self {
        Self {
            state,
            message: message.into(),
        }
    }

    fn in_progress(message: impl Into<String>) -> Self {
        Self::new(State::InProgress, message)
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::new(State::Failed, message)
    }
}

/// Judges one object.
pub fn judge(object: &Value) -> ObjectHealth {
    rules::generic(object)
        .or_else(|| rules::of_kind(object))
        .or_else(|| rules::ready(object))
        .unwrap_or_else(ObjectHealth::current)
}

/// What is wrong with an object, in the words of the `Healthy` condition; nothing when it works
/// (`object <Status>: <message>`, and the words of the condition itself for
/// API services).
pub fn problem(object: &Value) -> Option<String> {
    let is_api_service = object["kind"] == "APIService"
        && object["apiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("apiregistration.k8s.io/"));
    if is_api_service {
        return rules::api_service(object);
    }
    let health = judge(object);
    (health.state != State::Current).then(|| format!("object {}: {}", health.state, health.message))
}

/// The health of a set of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    problems: Vec<(ObjectId, String)>,
}

impl Health {
    /// Whether everything works.
    pub fn is_healthy(&self) -> bool {
        self.problems.is_empty()
    }

    /// The objects that do not work and why, in the order of application.
    pub fn problems(&self) -> &[(ObjectId, String)] {
        &self.problems
    }

    /// One line for each object that does not work:
    /// `(<group>/<version>, Kind=<Kind>)(<namespace>/<name>): <text>`.
    pub fn lines(&self) -> Vec<String> {
        self.problems
            .iter()
            .map(|(id, text)| line(id, text))
            .collect()
    }

    /// The lines in one text; empty when everything works.
    pub fn message(&self) -> String {
        self.lines().join("\n")
    }
}

// The core group prints as `/v1`: the slash is always there.
fn line(id: &ObjectId, text: &str) -> String {
    let place = match &id.namespace {
        Some(namespace) => format!("{namespace}/{}", id.name),
        None => id.name.clone(),
    };
    format!(
        "({}/{}, Kind={})({place}): {text}",
        id.group, id.version, id.kind
    )
}

/// How much the status of a kind says about the health of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// It has none: whether objects are there is the business of applying them.
    None,
    /// It runs, or the API depends on it.
    Workload,
    /// Custom resources and the rest.
    Other,
}

pub(crate) fn interest(group: &str, kind: &str) -> Interest {
    match (group, kind) {
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange" | "Endpoints")
        | (
            "rbac.authorization.k8s.io"
            | "admissionregistration.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io"
            | "console.openshift.io"
            | "discovery.k8s.io",
            _,
        )
        | ("networking.k8s.io", "NetworkPolicy" | "IngressClass")
        | ("monitoring.coreos.com", "ServiceMonitor" | "PodMonitor" | "PrometheusRule") => {
            Interest::None
        }
        ("apps" | "batch" | "apiextensions.k8s.io" | "apiregistration.k8s.io", _)
        | ("", "Pod" | "Namespace") => Interest::Workload,
        _ => Interest::Other,
    }
}

fn is_inert(id: &ObjectId) -> bool {
    interest(&id.group, &id.kind) == Interest::None
}

impl Applier {
    /// Reads the objects of an inventory that have a status, and judges them.
    ///
    /// # Errors
    ///
    /// The API server does not answer. An object that is not there is a problem, not an error.
    pub async fn read_health(&self, inventory: &[ObjectId]) -> Result<Health, ApplyError> {
        let mut ids: Vec<ObjectId> = inventory
            .iter()
            .filter(|id| !is_inert(id))
            .cloned()
            .collect();
        crate::phases::sort(&mut ids);
        let mut problems = Vec::new();
        let mut looks = stream::iter(ids)
            .map(|id| async move {
                let outcome = self.problem_of(&id).await;
                outcome.map(|problem| problem.map(|text| (id, text)))
            })
            .buffered(WIDTH);
        while let Some(outcome) = looks.next().await {
            problems.extend(outcome?);
        }
        Ok(Health { problems })
    }

    async fn problem_of(&self, id: &ObjectId) -> Result<Option<String>, ApplyError> {
        let live = match self.resource_of(id).await? {
            Some(resource) => self
                .requests
                .get(&resource, id)
                .await
                .map_err(about("read", id))?,
            None => None,
        };
        Ok(match live {
            Some(live) => problem(&live),
            None => Some(format!("object {}: it does not exist", State::NotFound)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(group: &str, kind: &str, namespace: Option<&str>) -> ObjectId {
        ObjectId {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: "a".into(),
        }
    }

    #[test]
    fn prints_lines_in_the_form_that_users_know() {
        let health = Health {
            problems: vec![
                (
                    id("apps", "Deployment", Some("ns")),
                    "object InProgress: x".into(),
                ),
                (id("", "Namespace", None), "object Terminating: y".into()),
            ],
        };
        assert_eq!(
            health.message(),
            "(apps/v1, Kind=Deployment)(ns/a): object InProgress: x\n\
             (/v1, Kind=Namespace)(a): object Terminating: y"
        );
    }

    #[test]
    fn speaks_of_api_services_in_the_words_of_their_condition() {
        let service = |conditions: Value| {
            json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                   "status": {"conditions": conditions}})
        };
        let condition = |status: &str| {
            json!([{"type": "Available", "status": status,
                                               "message": "no endpoints"}])
        };
        assert_eq!(
            problem(&service(json!([]))).as_deref(),
            Some("Available condition not found")
        );
        assert_eq!(
            problem(&service(condition("False"))).as_deref(),
            Some("no endpoints")
        );
        assert_eq!(problem(&service(condition("Unknown"))), None);
        assert_eq!(problem(&service(condition("True"))), None);
    }

    #[test]
    fn looks_only_at_kinds_that_have_a_status() {
        assert!(is_inert(&id("", "ConfigMap", None)));
        assert!(is_inert(&id("rbac.authorization.k8s.io", "Role", None)));
        assert!(!is_inert(&id("apps", "Deployment", None)));
        assert!(!is_inert(&id("example.com", "ConfigMap", None)));
    }
}
