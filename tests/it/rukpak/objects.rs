//! Sources of Bundles, and objects that plain bundles ship.

use olm_tests::fixture::definition;
use serde_json::{Value, json};

pub(super) fn image(reference: &str) -> Value {
    json!({"type": "image", "image": {"ref": reference}})
}

pub(super) fn config_map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": name, "namespace": namespace}, "data": {"key": value}})
}

pub(super) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(super) fn widgets() -> Value {
    definition("rukpak.example.com/v1", "Widget", "widgets")
}

pub(super) fn widget(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "rukpak.example.com/v1", "kind": "Widget",
           "metadata": {"name": name, "namespace": namespace}})
}
