//! Where the renderer is meant to differ from the reference. Each difference names its row of the
//! table of choices (section 17 of the format description) and knows how to carry the reference's
//! objects over, so that everything else must be equal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::normal::{identity, prune, sort};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// Row "ServiceAccount only named by a Deployment".
    AccountOfDeployment,
    /// Row "same ServiceAccount generated and shipped".
    ShippedAccount,
    /// Row "shipped Service equal to the generated webhook Service".
    GeneratedService,
    /// Row "repeated permission entry, repeated shipped object".
    Repeated,
    /// Row "webhook configurations carry metadata.namespace".
    WebhookNamespace,
    /// Row "typed round trip: zero values omitted, quantities canonical".
    RoundTrip,
    /// Row "objects without apiVersion": refused.
    NoApiVersion,
    /// Row "v1beta1 CRDs": converted, as the roles of that time are.
    OldDefinition,
}

impl Difference {
    /// Carries `reference` over to what `ours` should be; `RoundTrip` normalises both. Returns
    /// whether there was anything to do.
    pub(crate) fn reconcile(self, reference: &mut Vec<Value>, ours: &mut [Value]) -> bool {
        let before = reference.clone();
        match self {
            Self::AccountOfDeployment => {
                let known: BTreeSet<[String; 4]> = reference.iter().map(identity).collect();
                let used: BTreeSet<&str> = reference
                    .iter()
                    .filter_map(|object| {
                        object
                            .pointer("/spec/template/spec/serviceAccountName")?
                            .as_str()
                    })
                    .collect();
                let missing: Vec<Value> = ours
                    .iter()
                    .filter(|object| bare_account(object) && !known.contains(&identity(object)))
                    .filter(|object| used.contains(identity(object)[3].as_str()))
                    .cloned()
                    .collect();
                reference.extend(missing);
            }
            Self::ShippedAccount => {
                let counts = count(reference);
                reference.retain(|object| !(bare_account(object) && counts[&identity(object)] > 1));
            }
            Self::GeneratedService => {
                let counts = count(reference);
                reference.retain(|object| {
                    object["kind"] != "Service"
                        || counts[&identity(object)] == 1
                        || ours.contains(object)
                });
            }
            Self::Repeated => {
                let mut seen: Vec<Value> = Vec::new();
                reference.retain(|object| {
                    let new = !seen.contains(object);
                    if new {
                        seen.push(object.clone());
                    }
                    new
                });
            }
            Self::WebhookNamespace => {
                for object in reference.iter_mut() {
                    if object["kind"]
                        .as_str()
                        .is_some_and(|kind| kind.ends_with("Configuration"))
                        && let Some(metadata) = object["metadata"].as_object_mut()
                    {
                        metadata.remove("namespace");
                    }
                }
            }
            Self::RoundTrip => return round_trip(reference, ours),
            Self::OldDefinition => {
                for object in reference.iter_mut() {
                    renew(object, ours);
                }
            }
            Self::NoApiVersion => {}
        }
        sort(reference);
        before != *reference
    }
}

/// What the reference keeps of an old definition is what fits the types of the new one, so only the
/// names can be compared. Roles say the same in the new version.
fn renew(object: &mut Value, ours: &[Value]) {
    if object["apiVersion"] == "rbac.authorization.k8s.io/v1beta1" {
        object["apiVersion"] = json!("rbac.authorization.k8s.io/v1");
    }
    let twin = ours.iter().find(|twin| {
        object["apiVersion"] == "apiextensions.k8s.io/v1beta1"
            && twin["apiVersion"] == "apiextensions.k8s.io/v1"
            && twin["metadata"] == object["metadata"]
            && twin["spec"]["group"] == object["spec"]["group"]
    });
    if let Some(twin) = twin {
        *object = twin.clone();
    }
}

fn count(objects: &[Value]) -> BTreeMap<[String; 4], usize> {
    let mut counts = BTreeMap::new();
    for object in objects {
        *counts.entry(identity(object)).or_default() += 1;
    }
    counts
}

fn bare_account(object: &Value) -> bool {
    object["kind"] == "ServiceAccount"
        && object.as_object().is_some_and(|fields| fields.len() == 3)
        && object["metadata"]
            .as_object()
            .is_some_and(|fields| fields.len() == 2)
}

/// Removes zero values and reduces quantities to numbers in Deployments that differ.
fn round_trip(reference: &mut [Value], ours: &mut [Value]) -> bool {
    let mut used = false;
    for object in ours
        .iter_mut()
        .filter(|object| object["kind"] == "Deployment")
    {
        let Some(other) = reference
            .iter_mut()
            .find(|other| identity(other) == identity(object))
        else {
            continue;
        };
        if object == other {
            continue;
        }
        for side in [object, other] {
            let spec = side["spec"].take();
            side["spec"] = prune(simplify(spec)).unwrap_or_default();
        }
        used = true;
    }
    used
}

fn simplify(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter_map(|(key, value)| {
                    let value = match (key.as_str(), value) {
                        ("limits" | "requests", Value::Object(quantities)) => Value::Object(
                            quantities
                                .into_iter()
                                .map(|(name, text)| (name, quantity(&text)))
                                .collect::<Map<_, _>>(),
                        ),
                        ("sizeLimit", text) => quantity(&text),
                        // Pointers, whose zero value is kept on both sides.
                        (
                            "replicas"
                            | "allowPrivilegeEscalation"
                            | "runAsNonRoot"
                            | "readOnlyRootFilesystem"
                            | "privileged"
                            | "optional"
                            | "automountServiceAccountToken"
                            | "enableServiceLinks",
                            value,
                        ) => value,
                        ("divisor", _) | (_, Value::Bool(false)) => return None,
                        (_, Value::Number(number)) if number.as_i64() == Some(0) => return None,
                        (_, value) => simplify(value),
                    };
                    Some((key, value))
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(simplify).collect()),
        other => other,
    }
}

/// A quantity as a number of billionths, in text.
fn quantity(value: &Value) -> Value {
    const SUFFIXES: [(&str, i128); 14] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("m", 0),
        ("", 1),
    ];
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let (digits, factor) = SUFFIXES
        .iter()
        .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))
        .expect("the empty suffix fits");
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let billionths: i128 = format!("{whole}{fraction:0<9.9}").parse().expect("digits");
    let number = if factor == 0 {
        billionths / 1000
    } else {
        billionths * factor
    };
    json!(number.to_string())
}
