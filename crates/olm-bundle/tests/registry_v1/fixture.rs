//! A small operator from which the tests make theirs.

use olm_bundle::registry_v1::{
    self, Bundle, CertificateProvider, Config, LoadError, RenderOptions, Rendered,
};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

pub(crate) const PREFIX: &str = "convert registry+v1 bundle to plain+v0 bundle: ";

/// A bundle under construction.
pub(crate) struct Fixture {
    pub(crate) csv: Value,
    files: Vec<(String, String)>,
}

impl Fixture {
    /// An operator with one Deployment, one permission of each sort and one definition.
    pub(crate) fn new() -> Self {
        let csv = json!({
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "ClusterServiceVersion",
            "metadata": {"name": "memcached-operator.v0.0.1", "annotations": {"note": "csv"}},
            "spec": {
                "version": "0.0.1",
                "installModes": [
                    {"type": "OwnNamespace", "supported": false},
                    {"type": "AllNamespaces", "supported": true}],
                "customresourcedefinitions": {
                    "owned": [{"name": "caches.example.com", "version": "v1", "kind": "Cache"}],
                    "required": [{"name": "stores.other.io", "version": "v2", "kind": "Store"}]},
                "install": {"strategy": "deployment", "spec": {
                    "permissions": [{"serviceAccountName": "op", "rules": [
                        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]}],
                    "clusterPermissions": [{"serviceAccountName": "op", "rules": [
                        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]}],
                    "deployments": [{
                        "name": "manager", "label": {"app": "m"},
                        "spec": {
                            "selector": {"matchLabels": {"app": "m"}},
                            "template": {
                                "metadata": {
                                    "labels": {"app": "m"}, "annotations": {"note": "pod"}},
                                "spec": {
                                    "serviceAccountName": "op",
                                    "containers": [{"name": "c", "image": "i"}]}}}}]}}
            }
        });
        let fixture = Self {
            csv,
            files: Vec::new(),
        };
        fixture
            .file(
                "metadata/annotations.yaml",
                "annotations: {operators.operatorframework.io.bundle.package.v1: memcached}",
            )
            .object(
                "crd.yaml",
                &json!({
                    "apiVersion": "apiextensions.k8s.io/v1",
                    "kind": "CustomResourceDefinition",
                    "metadata": {"name": "caches.example.com", "creationTimestamp": null},
                    "spec": {
                        "group": "example.com", "scope": "Namespaced",
                        "names": {"plural": "caches", "kind": "Cache"},
                        "versions": [{"name": "v1", "served": true, "storage": true}]},
                    "status": {"conditions": []}
                }),
            )
    }

    pub(crate) fn file(mut self, path: &str, content: &str) -> Self {
        self.files.retain(|(known, _)| known != path);
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    pub(crate) fn object(self, file: &str, object: &Value) -> Self {
        self.file(&format!("manifests/{file}"), &object.to_string())
    }

    /// Sets the value at a JSON pointer of the ClusterServiceVersion; the parent must exist.
    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.csv.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    pub(crate) fn modes(self, modes: &[&str]) -> Self {
        let modes = modes
            .iter()
            .map(|mode| json!({"type": mode, "supported": true}))
            .collect();
        self.set("/spec/installModes", modes)
    }

    pub(crate) fn webhooks(self, webhooks: Value) -> Self {
        self.set("/spec/webhookdefinitions", webhooks)
    }

    pub(crate) fn deployments(self, names: &[&str]) -> Self {
        let deployments = names
            .iter()
            .map(|name| json!({"name": name, "spec": {}}))
            .collect::<Value>();
        self.set("/spec/install/spec/deployments", deployments)
    }

    pub(crate) fn tree(&self) -> MemoryTree {
        let mut tree = MemoryTree::new();
        tree.insert("manifests/csv.yaml", self.csv.to_string())
            .unwrap();
        for (path, content) in &self.files {
            tree.insert(path, content.as_str()).unwrap();
        }
        tree
    }

    pub(crate) fn try_load(&self) -> Result<Bundle, LoadError> {
        registry_v1::load(&self.tree())
    }

    pub(crate) fn load(&self) -> Bundle {
        self.try_load().unwrap()
    }

    /// The errors of validation, one line each.
    pub(crate) fn errors(&self) -> Vec<String> {
        match self.load().validate() {
            Ok(()) => Vec::new(),
            Err(errors) => errors.errors().iter().map(ToString::to_string).collect(),
        }
    }
}

pub(crate) fn options(certificates: CertificateProvider) -> RenderOptions {
    RenderOptions::new("ns", certificates)
}

pub(crate) fn watching(targets: &[&str]) -> RenderOptions {
    RenderOptions {
        config: Config::watching(targets.iter().map(|name| (*name).to_owned()).collect()),
        ..options(CertificateProvider::None)
    }
}

/// Kind, namespace and name of each object, in order.
pub(crate) fn names(rendered: &Rendered) -> Vec<String> {
    rendered
        .objects
        .iter()
        .map(|object| {
            let text = |path| object.pointer(path).and_then(Value::as_str).unwrap_or("-");
            format!(
                "{} {}/{}",
                text("/kind"),
                text("/metadata/namespace"),
                text("/metadata/name")
            )
        })
        .collect()
}

/// The first object of a kind.
pub(crate) fn find<'a>(rendered: &'a Rendered, kind: &str) -> &'a Value {
    rendered
        .objects
        .iter()
        .find(|object| object["kind"] == kind)
        .unwrap()
}
