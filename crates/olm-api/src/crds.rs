//! The CustomResourceDefinitions of the suite, as they are shipped.
//!
//! The types say most of it. What they cannot say is added here: unions of fields, rules over the
//! whole object, the limits of a name, the shape of a condition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

use crate::bundle::Bundle;
use crate::bundle_deployment::BundleDeployment;
use crate::catalog::Catalog;
use crate::names::{BUNDLE_DEPLOYMENT_NAME_MAX, BUNDLE_NAME_MAX};
use crate::operator::Operator;

/// All CustomResourceDefinitions of the suite, as JSON objects ready to be written or applied,
/// ordered by name.
pub fn crds() -> Vec<Value> {
    let mut crds = vec![bundle_deployment(), bundle(), catalog(), operator()];
    crds.sort_by(|a, b| {
        a["metadata"]["name"]
            .as_str()
            .cmp(&b["metadata"]["name"].as_str())
    });
    crds
}

fn operator() -> Value {
    let mut crd = finish(&Operator::crd());
    let root = root(&mut crd);
    root["required"] = json!(["spec"]);
    root["x-kubernetes-validations"] = json!([{
        "rule": "!has(oldSelf.status) || !has(oldSelf.status.installed) || \
                 (has(self.spec.installNamespace) == has(oldSelf.spec.installNamespace) && \
                 (!has(self.spec.installNamespace) || \
                 self.spec.installNamespace == oldSelf.spec.installNamespace))",
        "message": "installNamespace cannot be changed once a bundle is installed: delete the \
                    Operator and make it again to move it"
    }]);
    crd
}

fn catalog() -> Value {
    let mut crd = finish(&Catalog::crd());
    let root = root(&mut crd);
    // Upstream admits a Catalog without spec; it is reported in status.
    if let Some(root) = root.as_object_mut() {
        root.remove("required");
    }
    property(root, &["spec", "source"])["oneOf"] = json!([{"required": ["image"]}]);
    crd
}

fn bundle() -> Value {
    let mut crd = finish(&Bundle::crd());
    let root = root(&mut crd);
    limit_name(root, BUNDLE_NAME_MAX);
    let source = property(root, &["spec", "source"]);
    source["oneOf"] = one_of(&["git", "image", "configMaps", "upload", "http"]);
    property(source, &["git", "ref"])["oneOf"] = one_of(&["branch", "commit", "tag"]);
    crd
}

fn bundle_deployment() -> Value {
    let mut crd = finish(&BundleDeployment::crd());
    let root = root(&mut crd);
    limit_name(root, BUNDLE_DEPLOYMENT_NAME_MAX);
    root["x-kubernetes-validations"] = json!([{
        "rule": "!has(self.spec.installNamespace) || !has(oldSelf.status) || \
                 !has(oldSelf.status.activeBundle) || !has(oldSelf.status.installNamespace) || \
                 self.spec.installNamespace == oldSelf.status.installNamespace",
        "message": "installNamespace cannot be changed once the bundle is installed: delete the \
                    BundleDeployment and make it again to move it"
    }]);
    crd
}

fn one_of(members: &[&str]) -> Value {
    members
        .iter()
        .map(|member| json!({"required": [member]}))
        .collect()
}

fn limit_name(root: &mut Value, max: usize) {
    root["properties"]["metadata"] = json!({
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": max}},
    });
}

fn root(crd: &mut Value) -> &mut Value {
    &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn property<'a>(schema: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter()
        .fold(schema, |schema, name| &mut schema["properties"][*name])
}

/// The parts that are the same for every kind.
fn finish(crd: &CustomResourceDefinition) -> Value {
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    if let Some(crd) = crd.as_object_mut() {
        crd.remove("status");
    }
    let schema = root(&mut crd);
    drop_nullable(schema);
    let status = property(schema, &["status"]);
    if let Some(status) = status.as_object_mut() {
        status.insert(
            "description".to_owned(),
            json!("status is what the suite observed."),
        );
    }
    property(status, &["conditions"])["items"] = condition();
    let conditions = property(status, &["conditions"]);
    conditions["x-kubernetes-list-type"] = json!("map");
    conditions["x-kubernetes-list-map-keys"] = json!(["type"]);
    let spec = property(schema, &["spec"]);
    if let Some(spec) = spec.as_object_mut() {
        spec.entry("description")
            .or_insert_with(|| json!("spec is what is asked for."));
    }
    crd
}

/// An optional field is one that may be absent, not one that may be null.
fn drop_nullable(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("nullable");
            map.values_mut().for_each(drop_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nullable),
        _ => {}
    }
}

/// The standard condition, with the limits of its Go definition, which the type does not carry.
fn condition() -> Value {
    let mut properties = Map::new();
    let mut field = |name: &str, schema: Value| properties.insert(name.to_owned(), schema);
    field(
        "type",
        json!({"type": "string", "maxLength": 316, "description": "type of condition.",
            "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"}),
    );
    field(
        "status",
        json!({"type": "string", "enum": ["True", "False", "Unknown"],
            "description": "status is True, False or Unknown."}),
    );
    field(
        "reason",
        json!({"type": "string", "minLength": 1, "maxLength": 1024,
            "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            "description": "reason is one word for why the condition has this status."}),
    );
    field(
        "message",
        json!({"type": "string", "maxLength": 32768,
            "description": "message says the same to people. It may be empty."}),
    );
    field(
        "observedGeneration",
        json!({"type": "integer", "format": "int64", "minimum": 0,
            "description": "observedGeneration is the generation that the condition speaks of."}),
    );
    field(
        "lastTransitionTime",
        json!({"type": "string", "format": "date-time",
            "description": "lastTransitionTime is when the status last changed."}),
    );
    json!({
        "type": "object",
        "description": "One aspect of what was observed.",
        "properties": properties,
        "required": ["lastTransitionTime", "message", "reason", "status", "type"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undescribed(path: &str, schema: &Value, found: &mut Vec<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                let path = format!("{path}.{name}");
                if property["description"].as_str().is_none_or(str::is_empty)
                    && name != "metadata"
                    && !path.contains("metadata.")
                {
                    found.push(path.clone());
                }
                undescribed(&path, property, found);
            }
        }
        if !schema["items"].is_null() {
            undescribed(&format!("{path}[]"), &schema["items"], found);
        }
    }

    #[test]
    fn every_field_is_described() {
        let mut found = Vec::new();
        for mut crd in crds() {
            let name = crd["spec"]["names"]["kind"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            undescribed(&name, root(&mut crd), &mut found);
        }
        assert!(found.is_empty(), "fields without a description: {found:?}");
    }

    #[test]
    fn every_kind_has_columns_a_status_and_a_condition_list_keyed_by_type() {
        for mut crd in crds() {
            let version = &crd["spec"]["versions"][0];
            assert!(
                version["additionalPrinterColumns"]
                    .as_array()
                    .is_some_and(|c| c.len() >= 3)
            );
            assert!(version["subresources"]["status"].is_object());
            assert_eq!(crd["spec"]["scope"], "Cluster");
            let conditions = property(root(&mut crd), &["status", "conditions"]);
            assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
        }
    }
}
