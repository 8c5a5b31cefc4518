//! What a cluster holds, in a form in which two clusters, or two moments, can be compared.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use futures::stream::{self, StreamExt, TryStreamExt};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery::{Discovery, verbs};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

/// Kinds that come and go by themselves, or are named at random by other controllers.
const PASSING: [&str; 12] = [
    "Event",
    "Lease",
    "Endpoints",
    "EndpointSlice",
    "Pod",
    "ReplicaSet",
    "ControllerRevision",
    "Node",
    "ComponentStatus",
    "APIService",
    "IPAddress",
    "LeaseCandidate",
];

/// Keys whose values differ between two equal objects: identities, versions, times and addresses.
const PASSING_KEYS: [&str; 16] = [
    "uid",
    "resourceVersion",
    "generation",
    "observedGeneration",
    "creationTimestamp",
    "managedFields",
    "lastTransitionTime",
    "lastUpdateTime",
    "lastPollAttempt",
    "lastUnpacked",
    "lastProbeTime",
    "selfLink",
    "clusterIP",
    "clusterIPs",
    "nodePort",
    "operators.operatorframework.io/requested-at",
];

/// The objects of a cluster, by `KIND.GROUP NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot(BTreeMap<String, Value>);

impl Snapshot {
    /// Reads every object of every kind, but for kinds that come and go by themselves and the
    /// API server's own Service.
    ///
    /// Identities, versions, times, addresses and key material are left out of the objects.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn take(client: &Client) -> Result<Self> {
        let discovery = Discovery::new(client.clone()).run().await?;
        let mut kinds: Vec<ApiResource> = Vec::new();
        for group in discovery.groups() {
            for (kind, capabilities) in group.recommended_resources() {
                let passing = PASSING.contains(&kind.kind.as_str());
                if capabilities.supports_operation(verbs::LIST) && !passing {
                    kinds.push(kind);
                }
            }
        }
        let lists: Vec<Vec<(String, Value)>> = stream::iter(kinds)
            .map(|kind| list(client.clone(), kind))
            .buffer_unordered(8)
            .try_collect()
            .await?;
        let mut objects: BTreeMap<String, Value> = lists.into_iter().flatten().collect();
        // The API server's own, with its port on this machine.
        objects.remove("Service. default/kubernetes");
        Ok(Self(objects))
    }

    /// The keys of all objects.
    pub fn keys(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// What differs from `other`, a line for each object, with the first differing path.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let all: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        all.into_iter()
            .filter_map(|key| match (self.0.get(key), other.0.get(key)) {
                (Some(_), None) => Some(format!("only in the first: {key}")),
                (None, Some(_)) => Some(format!("only in the second: {key}")),
                (Some(one), Some(two)) if one != two => Some(format!(
                    "differs: {key} at {}",
                    first_difference(one, two, "")
                )),
                _ => None,
            })
            .collect()
    }

    /// The same without the objects whose key holds `text`.
    #[must_use]
    pub fn without(mut self, text: &str) -> Self {
        self.0.retain(|key, _| !key.contains(text));
        self
    }
}

async fn list(client: Client, kind: ApiResource) -> Result<Vec<(String, Value)>> {
    let api = Api::<DynamicObject>::all_with(client, &kind);
    let found = match api.list(&ListParams::default()).await {
        Ok(found) => found,
        // A kind that went away between discovery and here.
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    found
        .items
        .into_iter()
        .map(|object| {
            let name = object.name_any();
            let namespace = object.namespace().unwrap_or_default();
            let key = format!("{}.{} {namespace}/{name}", kind.kind, kind.group);
            let mut value = serde_json::to_value(object)?;
            normalise(&mut value);
            if kind.kind == "Secret" {
                let keys: Vec<String> = value["data"]
                    .as_object()
                    .map(|data| data.keys().cloned().collect())
                    .unwrap_or_default();
                value["data"] = json!(keys);
            }
            Ok((key, value))
        })
        .collect()
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !PASSING_KEYS.contains(&key.as_str()));
            for (key, value) in map.iter_mut() {
                if key == "caBundle" {
                    *value = json!("…");
                }
                normalise(value);
                // Conditions are a list by type; which was set first says nothing.
                if let (Value::Array(items), true) = (value, key == "conditions") {
                    items.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::String(text) if text.contains("-----BEGIN CERTIFICATE-----") => {
            "…".clone_into(text);
        }
        Value::String(text) => *text = without_ports(text),
        _ => {}
    }
}

/// The text with `…` for the ports of this machine: every process of a test has others.
fn without_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        result.push_str(HOST);
        result.push('…');
        result.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    result
}

fn first_difference(one: &Value, two: &Value, path: &str) -> String {
    match (one, two) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (x, y) = (a.get(key), b.get(key));
                if x != y {
                    let path = format!("{path}.{key}");
                    return first_difference(
                        x.unwrap_or(&Value::Null),
                        y.unwrap_or(&Value::Null),
                        &path,
                    );
                }
            }
            path.to_owned()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let index = a
                .iter()
                .zip(b)
                .position(|(x, y)| x != y)
                .unwrap_or_default();
            first_difference(&a[index], &b[index], &format!("{path}[{index}]"))
        }
        _ => format!("{path}: {one} / {two}"),
    }
}
