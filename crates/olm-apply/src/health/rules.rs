//! The rules by which one object is judged. Each returns nothing where it has nothing to say.

use serde_json::Value;

use super::{ObjectHealth, State};

type Verdict = Option<ObjectHealth>;

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|found| found["type"] == name)
}

fn condition_is(object: &Value, name: &str, status: &str) -> bool {
    condition(object, name).is_some_and(|found| found["status"] == status)
}

fn words(condition: &Value, otherwise: &str) -> String {
    let text = |key: &str| condition[key].as_str().filter(|text| !text.is_empty());
    text("message")
        .or_else(|| text("reason"))
        .unwrap_or(otherwise)
        .to_owned()
}

/// What holds for every kind.
pub(super) fn generic(object: &Value) -> Verdict {
    let metadata = &object["metadata"];
    if metadata["deletionTimestamp"].is_string() {
        return Some(ObjectHealth::new(
            State::Terminating,
            "it is marked for deletion",
        ));
    }
    if let (Some(generation), Some(observed)) = (
        metadata["generation"].as_i64(),
        object["status"]["observedGeneration"].as_i64(),
    ) && generation != observed
    {
        return Some(ObjectHealth::in_progress(format!(
            "generation is {generation}, but latest observed generation is {observed}"
        )));
    }
    if let Some(found) = condition(object, "Reconciling").filter(|found| found["status"] == "True")
    {
        return Some(ObjectHealth::in_progress(words(found, "it is reconciling")));
    }
    if let Some(found) = condition(object, "Stalled").filter(|found| found["status"] == "True") {
        return Some(ObjectHealth::failed(words(found, "it is stalled")));
    }
    None
}

/// The condition `Ready`, for kinds that have no rule of their own.
pub(super) fn ready(object: &Value) -> Verdict {
    let found = condition(object, "Ready")?;
    (found["status"] != "True").then(|| ObjectHealth::in_progress(words(found, "it is not ready")))
}

/// The rule of a well-known kind.
pub(super) fn of_kind(object: &Value) -> Verdict {
    let group = object["apiVersion"]
        .as_str()?
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    Some(match (group, object["kind"].as_str()?) {
        ("apps", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => replica_set(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => phase(object, "Bound"),
        ("", "Namespace") => phase(object, "Active"),
        ("", "Service") => service(object),
        ("batch", "Job") => job(object),
        ("policy", "PodDisruptionBudget") => disruption_budget(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => return None,
    })
}

/// What is wrong with an API service, in the words of its condition.
pub(super) fn api_service(object: &Value) -> Option<String> {
    let Some(found) = condition(object, "Available") else {
        return Some("Available condition not found".to_owned());
    };
    (found["status"] == "False").then(|| found["message"].as_str().unwrap_or_default().to_owned())
}

/// Counts of pods: how many there should be, and what the status says of them.
struct Counts<'a> {
    wanted: i64,
    status: &'a Value,
    /// Why no pod can be made, in the words of the API server.
    refused: Option<String>,
}

impl<'a> Counts<'a> {
    fn of(object: &'a Value) -> Self {
        Self {
            wanted: object["spec"]["replicas"].as_i64().unwrap_or(1),
            status: &object["status"],
            refused: condition(object, "ReplicaFailure")
                .filter(|found| found["status"] == "True")
                .map(|found| words(found, "no pod can be made")),
        }
    }

    fn get(&self, field: &str) -> i64 {
        self.status[field].as_i64().unwrap_or(0)
    }

    /// Too few of `field`.
    fn lacks(&self, field: &str, word: &str) -> Verdict {
        let found = self.get(field);
        (found < self.wanted).then(|| {
            let why = self.refused.iter().map(|why| format!(", {why}"));
            let why = why.collect::<String>();
            ObjectHealth::in_progress(format!("{word}: {found}/{}{why}", self.wanted))
        })
    }

    /// More pods than wanted: old ones are still there.
    fn exceeds(&self) -> Verdict {
        let more = self.get("replicas") - self.wanted;
        (more > 0).then(|| ObjectHealth::in_progress(format!("Pending termination: {more}")))
    }
}

/// Nothing is known before the controller has looked at the object once.
fn unobserved(object: &Value) -> Verdict {
    object["status"]["observedGeneration"]
        .is_null()
        .then(|| ObjectHealth::in_progress("no controller has observed it yet"))
}

fn deployment(object: &Value) -> ObjectHealth {
    let stuck = condition(object, "Progressing")
        .filter(|found| found["reason"] == "ProgressDeadlineExceeded");
    if let Some(found) = stuck {
        return ObjectHealth::failed(words(found, "progress deadline exceeded"));
    }
    let counts = Counts::of(object);
    unobserved(object)
        .or_else(|| counts.lacks("replicas", "Replicas"))
        .or_else(|| counts.lacks("updatedReplicas", "Updated"))
        .or_else(|| counts.exceeds())
        .or_else(|| counts.lacks("availableReplicas", "Available"))
        .or_else(|| counts.lacks("readyReplicas", "Ready"))
        .or_else(|| {
            (!condition_is(object, "Available", "True"))
                .then(|| ObjectHealth::in_progress("it is not available"))
        })
        .unwrap_or_else(ObjectHealth::current)
}

fn stateful_set(object: &Value) -> ObjectHealth {
    let strategy = &object["spec"]["updateStrategy"];
    if strategy["type"] == "OnDelete" {
        // Pods are replaced by whoever deletes them; there is no state to reach.
        return ObjectHealth::current();
    }
    let counts = Counts::of(object);
    let partition = strategy["rollingUpdate"]["partition"].as_i64().unwrap_or(0);
    unobserved(object)
        .or_else(|| counts.lacks("replicas", "Replicas"))
        .or_else(|| counts.lacks("readyReplicas", "Ready"))
        .or_else(|| counts.exceeds())
        .or_else(|| {
            if partition > 0 {
                let wanted = (counts.wanted - partition).max(0);
                let found = counts.get("updatedReplicas");
                return (found < wanted)
                    .then(|| ObjectHealth::in_progress(format!("Updated: {found}/{wanted}")));
            }
            let status = &object["status"];
            (status["currentRevision"] != status["updateRevision"]).then(|| {
                let found = counts.get("updatedReplicas");
                ObjectHealth::in_progress(format!("Updated: {found}/{}", counts.wanted))
            })
        })
        .unwrap_or_else(ObjectHealth::current)
}

fn daemon_set(object: &Value) -> ObjectHealth {
    let status = &object["status"];
    let Some(wanted) = status["desiredNumberScheduled"].as_i64() else {
        return ObjectHealth::in_progress("no controller has observed it yet");
    };
    let counts = Counts {
        wanted,
        status,
        refused: None,
    };
    unobserved(object)
        .or_else(|| counts.lacks("currentNumberScheduled", "Current"))
        .or_else(|| counts.lacks("updatedNumberScheduled", "Updated"))
        .or_else(|| counts.lacks("numberAvailable", "Available"))
        .or_else(|| counts.lacks("numberReady", "Ready"))
        .unwrap_or_else(ObjectHealth::current)
}

fn replica_set(object: &Value) -> ObjectHealth {
    if let Some(found) =
        condition(object, "ReplicaFailure").filter(|found| found["status"] == "True")
    {
        return ObjectHealth::in_progress(words(found, "pods cannot be made"));
    }
    let counts = Counts::of(object);
    unobserved(object)
        .or_else(|| counts.lacks("fullyLabeledReplicas", "Labelled"))
        .or_else(|| counts.lacks("availableReplicas", "Available"))
        .or_else(|| counts.lacks("readyReplicas", "Ready"))
        .or_else(|| counts.exceeds())
        .unwrap_or_else(ObjectHealth::current)
}

fn pod(object: &Value) -> ObjectHealth {
    let status = &object["status"];
    match status["phase"].as_str().unwrap_or_default() {
        "Succeeded" => ObjectHealth::current(),
        "Failed" => ObjectHealth::failed(words(status, "the pod has failed")),
        "Running" if condition_is(object, "Ready", "True") => ObjectHealth::current(),
        phase => {
            let waiting = |reason: &str| {
                ["initContainerStatuses", "containerStatuses"]
                    .iter()
                    .filter_map(|list| status[*list].as_array())
                    .flatten()
                    .find(|container| container["state"]["waiting"]["reason"] == reason)
            };
            if let Some(container) = waiting("CrashLoopBackOff") {
                let name = container["name"].as_str().unwrap_or_default();
                return ObjectHealth::failed(format!("container `{name}` crashes again and again"));
            }
            match condition(object, "PodScheduled").filter(|found| found["status"] == "False") {
                Some(found) => ObjectHealth::in_progress(words(found, "it is not scheduled")),
                None if phase.is_empty() => ObjectHealth::in_progress("it has no phase yet"),
                None => ObjectHealth::in_progress(format!("it is {phase} and not ready")),
            }
        }
    }
}

fn phase(object: &Value, wanted: &str) -> ObjectHealth {
    match object["status"]["phase"].as_str() {
        Some(found) if found == wanted => ObjectHealth::current(),
        Some(found) => ObjectHealth::in_progress(format!("it is {found}, not {wanted}")),
        None => ObjectHealth::in_progress("it has no phase yet"),
    }
}

fn service(object: &Value) -> ObjectHealth {
    let spec = &object["spec"];
    if spec["type"] == "LoadBalancer" && spec["clusterIP"].as_str().unwrap_or_default().is_empty() {
        return ObjectHealth::in_progress("it has no cluster IP yet");
    }
    ObjectHealth::current()
}

fn job(object: &Value) -> ObjectHealth {
    if condition_is(object, "Complete", "True") {
        return ObjectHealth::current();
    }
    if let Some(found) = condition(object, "Failed").filter(|found| found["status"] == "True") {
        return ObjectHealth::failed(words(found, "the job has failed"));
    }
    // A job that runs is as it should be: how long it takes is its own business.
    if object["status"]["startTime"].is_string() || object["spec"]["suspend"] == true {
        ObjectHealth::current()
    } else {
        ObjectHealth::in_progress("it has not started yet")
    }
}

fn disruption_budget(object: &Value) -> ObjectHealth {
    let status = &object["status"];
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    let (healthy, wanted) = (count("currentHealthy"), count("desiredHealthy"));
    if healthy < wanted {
        return ObjectHealth::in_progress(format!("Healthy: {healthy}/{wanted}"));
    }
    ObjectHealth::current()
}

fn definition(object: &Value) -> ObjectHealth {
    if let Some(found) =
        condition(object, "NamesAccepted").filter(|found| found["status"] == "False")
    {
        return ObjectHealth::failed(words(found, "its names are not accepted"));
    }
    match condition(object, "Established") {
        Some(found) if found["status"] == "True" => ObjectHealth::current(),
        Some(found) if found["status"] == "False" && found["reason"] != "Installing" => {
            ObjectHealth::failed(words(found, "it is not established"))
        }
        _ => ObjectHealth::in_progress("it is being established"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::judge;
    use super::*;

    fn kind(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Value {
        json!({"apiVersion": api_version, "kind": kind,
               "metadata": {"name": "a", "generation": 1}, "spec": spec, "status": status})
    }

    fn available(up: i64, total: i64) -> Value {
        json!({"observedGeneration": 1, "replicas": total, "updatedReplicas": total,
               "availableReplicas": up, "readyReplicas": up,
               "conditions": [{"type": "Available", "status": "True"}]})
    }

    #[rstest]
    #[case::available(json!({"replicas": 2}), available(2, 2), State::Current, "")]
    #[case::scaled_to_nothing(json!({"replicas": 0}), available(0, 0), State::Current, "")]
    #[case::unavailable(
        json!({"replicas": 2}), available(1, 2), State::InProgress, "Available: 1/2")]
    #[case::surplus(
        json!({"replicas": 1}), available(2, 2), State::InProgress, "Pending termination: 1")]
    #[case::untouched(
        json!({}), json!({}), State::InProgress, "no controller has observed it yet")]
    #[case::old_status(
        json!({}), json!({"observedGeneration": 0}), State::InProgress,
        "generation is 1, but latest observed generation is 0")]
    #[case::pods_refused(
        json!({}),
        json!({"observedGeneration": 1, "conditions": [
            {"type": "ReplicaFailure", "status": "True", "message": "pods are forbidden: no quota"}]}),
        State::InProgress, "Replicas: 0/1, pods are forbidden: no quota")]
    #[case::pods_were_refused(
        json!({}),
        json!({"observedGeneration": 1, "conditions": [
            {"type": "ReplicaFailure", "status": "False", "message": "pods are forbidden: no quota"}]}),
        State::InProgress, "Replicas: 0/1")]
    #[case::given_up(
        json!({}),
        json!({"observedGeneration": 1, "conditions": [
            {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
             "message": "too slow"}]}),
        State::Failed, "too slow")]
    fn deployments(
        #[case] spec: Value,
        #[case] status: Value,
        #[case] state: State,
        #[case] message: &str,
    ) {
        let health = judge(&kind("apps/v1", "Deployment", &spec, &status));
        assert_eq!((health.state, health.message.as_str()), (state, message));
    }

    #[rstest]
    #[case::stateful_set_rolled_out("apps/v1", "StatefulSet", json!({}),
        json!({"observedGeneration": 1, "replicas": 1, "readyReplicas": 1,
               "currentRevision": "a", "updateRevision": "a"}), State::Current)]
    #[case::stateful_set_rolling("apps/v1", "StatefulSet", json!({}),
        json!({"observedGeneration": 1, "replicas": 1, "readyReplicas": 1,
               "currentRevision": "a", "updateRevision": "b"}), State::InProgress)]
    #[case::stateful_set_partitioned("apps/v1", "StatefulSet",
        json!({"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}}),
        json!({"observedGeneration": 1, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 1,
               "currentRevision": "a", "updateRevision": "b"}), State::Current)]
    #[case::stateful_set_old_status("apps/v1", "StatefulSet", json!({}),
        json!({"observedGeneration": 0, "replicas": 1, "readyReplicas": 1}), State::InProgress)]
    #[case::stateful_set_missing_pods("apps/v1", "StatefulSet", json!({"replicas": 2}),
        json!({"observedGeneration": 1, "replicas": 2, "readyReplicas": 1}), State::InProgress)]
    #[case::stateful_set_replaced_by_hand("apps/v1", "StatefulSet",
        json!({"updateStrategy": {"type": "OnDelete"}}),
        json!({"observedGeneration": 1, "replicas": 1, "readyReplicas": 1,
               "currentRevision": "a", "updateRevision": "b"}), State::Current)]
    #[case::replica_set_whole("apps/v1", "ReplicaSet", json!({"replicas": 1}),
        json!({"observedGeneration": 1, "replicas": 1, "fullyLabeledReplicas": 1,
               "availableReplicas": 1, "readyReplicas": 1}), State::Current)]
    #[case::replica_set_missing_pods("apps/v1", "ReplicaSet", json!({"replicas": 2}),
        json!({"observedGeneration": 1, "replicas": 2, "fullyLabeledReplicas": 2,
               "availableReplicas": 1, "readyReplicas": 1}), State::InProgress)]
    #[case::replica_set_refused("apps/v1", "ReplicaSet", json!({}),
        json!({"observedGeneration": 1, "conditions": [
            {"type": "ReplicaFailure", "status": "True"}]}), State::InProgress)]
    #[case::daemon_set_whole("apps/v1", "DaemonSet", json!({}),
        json!({"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
               "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1}),
        State::Current)]
    #[case::daemon_set_without_nodes("apps/v1", "DaemonSet", json!({}),
        json!({"observedGeneration": 1, "desiredNumberScheduled": 0}), State::Current)]
    #[case::daemon_set_untouched("apps/v1", "DaemonSet", json!({}), json!({}), State::InProgress)]
    #[case::daemon_set_missing_pods("apps/v1", "DaemonSet", json!({}),
        json!({"observedGeneration": 1, "desiredNumberScheduled": 2, "currentNumberScheduled": 2,
               "updatedNumberScheduled": 2, "numberAvailable": 1}), State::InProgress)]
    #[case::pod_done("v1", "Pod", json!({}), json!({"phase": "Succeeded"}), State::Current)]
    #[case::pod_failed("v1", "Pod", json!({}), json!({"phase": "Failed"}), State::Failed)]
    #[case::pod_ready("v1", "Pod", json!({}), json!({"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True"}]}), State::Current)]
    #[case::pod_crashing("v1", "Pod", json!({}), json!({"phase": "Running", "containerStatuses": [
        {"name": "x", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}), State::Failed)]
    #[case::job_running("batch/v1", "Job", json!({}), json!({"startTime": "t"}), State::Current)]
    #[case::job_waiting("batch/v1", "Job", json!({}), json!({}), State::InProgress)]
    #[case::job_failed("batch/v1", "Job", json!({}), json!({"startTime": "t", "conditions": [
        {"type": "Failed", "status": "True"}]}), State::Failed)]
    #[case::claim_bound("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Bound"}),
        State::Current)]
    #[case::claim_pending("v1", "PersistentVolumeClaim", json!({}), json!({"phase": "Pending"}),
        State::InProgress)]
    #[case::service("v1", "Service", json!({"type": "ClusterIP"}), json!({}), State::Current)]
    #[case::budget_met("policy/v1", "PodDisruptionBudget", json!({}),
        json!({"currentHealthy": 1, "desiredHealthy": 1}), State::Current)]
    #[case::budget_missed("policy/v1", "PodDisruptionBudget", json!({}),
        json!({"currentHealthy": 0, "desiredHealthy": 1}), State::InProgress)]
    #[case::definition_served("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}),
        json!({"conditions": [{"type": "Established", "status": "True"}]}), State::Current)]
    #[case::definition_new("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}),
        json!({}), State::InProgress)]
    #[case::definition_clashes("apiextensions.k8s.io/v1", "CustomResourceDefinition", json!({}),
        json!({"conditions": [{"type": "NamesAccepted", "status": "False"}]}), State::Failed)]
    #[case::custom_silent("x.io/v1", "Thing", json!({}), json!({}), State::Current)]
    #[case::custom_not_ready("x.io/v1", "Thing", json!({}),
        json!({"conditions": [{"type": "Ready", "status": "False"}]}), State::InProgress)]
    #[case::custom_stalled("x.io/v1", "Thing", json!({}),
        json!({"conditions": [{"type": "Stalled", "status": "True"}]}), State::Failed)]
    fn kinds(
        #[case] api_version: &str,
        #[case] name: &str,
        #[case] spec: Value,
        #[case] status: Value,
        #[case] state: State,
    ) {
        assert_eq!(judge(&kind(api_version, name, &spec, &status)).state, state);
    }

    #[test]
    fn says_that_an_object_is_on_its_way_out() {
        let object = json!({"metadata": {"deletionTimestamp": "t"}});
        assert_eq!(judge(&object).state, State::Terminating);
    }
}
