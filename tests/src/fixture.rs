//! Packages of the project's own, in the shape that a test needs.

use olm_tree::MemoryTree;
use serde_json::{Value, json};

use crate::content::{BundleContent, PackageContent};

/// What is to be written: one package with one channel, `stable`, in which each version replaces
/// the one before.
#[derive(Clone, Debug)]
pub struct Package {
    /// Name of the package.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<Version>,
}

/// A version of a package.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// The version.
    pub version: String,
    /// Whether it has a validating admission webhook for its own kind.
    pub webhook: bool,
    /// More webhooks, as its CSV defines them.
    pub webhooks: Vec<Value>,
    /// Whether there is no node for its Deployment.
    nowhere: bool,
    /// Packages that it requires: name and range.
    pub requires: Vec<(String, String)>,
    /// More objects in its `manifests` folder: file name and content.
    pub extra: Vec<(String, Value)>,
    /// The install modes that it supports; `AllNamespaces` where none are said.
    pub modes: Vec<String>,
}

impl Version {
    /// A plain version without requirements.
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            ..Self::default()
        }
    }

    /// The same with a webhook.
    #[must_use]
    pub fn with_webhook(mut self) -> Self {
        self.webhook = true;
        self
    }

    /// The same with these webhooks, as its CSV defines them.
    #[must_use]
    pub fn with_webhooks(mut self, definitions: impl IntoIterator<Item = Value>) -> Self {
        self.webhooks.extend(definitions);
        self
    }

    /// The same, requiring another package.
    #[must_use]
    pub fn requiring(mut self, package: &str, range: &str) -> Self {
        self.requires.push((package.to_owned(), range.to_owned()));
        self
    }

    /// The same, supporting these install modes and no others.
    #[must_use]
    pub fn supporting(mut self, modes: &[&str]) -> Self {
        self.modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
        self
    }

    /// The same with a Deployment for which there is no node.
    #[must_use]
    pub fn never_ready(mut self) -> Self {
        self.nowhere = true;
        self
    }

    /// The same with one more object, or another one in the place of `crd.yaml`.
    #[must_use]
    pub fn with(mut self, file: &str, object: Value) -> Self {
        self.extra.push((file.to_owned(), object));
        self
    }
}

impl Package {
    /// A package of these versions, oldest first.
    pub fn new(name: &str, versions: impl IntoIterator<Item = Version>) -> Self {
        Self {
            name: name.to_owned(),
            versions: versions.into_iter().collect(),
        }
    }

    /// The kind that the package provides: its name in camel case.
    pub fn kind(&self) -> String {
        self.name
            .split('-')
            .filter(|word| *word != "operator")
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect()
    }

    /// The API group that the package provides.
    pub fn group(&self) -> String {
        format!("{}.example.com", self.name)
    }

    /// The plural of its kind.
    pub fn plural(&self) -> String {
        self.kind().to_lowercase() + "s"
    }

    /// The files and catalog entries.
    pub fn content(&self) -> PackageContent {
        let name = |version: &str| format!("{}.v{version}", self.name);
        let mut entries = Vec::new();
        let mut bundles = Vec::new();
        for (index, version) in self.versions.iter().enumerate() {
            let mut entry = json!({"name": name(&version.version)});
            if index > 0 {
                entry["replaces"] = json!(name(&self.versions[index - 1].version));
            }
            entries.push(entry);
            bundles.push(BundleContent {
                version: version.version.clone(),
                name: name(&version.version),
                files: self.files(version),
                meta: self.bundle_meta(version, &name(&version.version)),
            });
        }
        PackageContent {
            name: self.name.clone(),
            meta: json!({"schema": "olm.package", "name": self.name, "defaultChannel": "stable"}),
            channels: vec![
                json!({"schema": "olm.channel", "package": self.name, "name": "stable",
                "entries": entries}),
            ],
            bundles,
        }
    }

    fn bundle_meta(&self, version: &Version, name: &str) -> Value {
        let mut properties = vec![
            json!({"type": "olm.package",
                "value": {"packageName": self.name, "version": version.version}}),
            json!({"type": "olm.gvk",
                "value": {"group": self.group(), "version": "v1", "kind": self.kind()}}),
        ];
        properties.extend(version.requires.iter().map(|(package, range)| {
            json!({"type": "olm.package.required",
                "value": {"packageName": package, "versionRange": range}})
        }));
        json!({"schema": "olm.bundle", "package": self.name, "name": name, "image": "",
            "properties": properties})
    }

    fn files(&self, version: &Version) -> MemoryTree {
        let mut tree = MemoryTree::default();
        let mut put = |path: &str, value: &Value| {
            // A tree that refuses one of these fixed paths would fail every test that uses it.
            let text = olm_yaml::to_string(value).unwrap_or_default();
            let _ = tree.insert(path, text);
        };
        put(
            "metadata/annotations.yaml",
            &json!({"annotations": {
                "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
                "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
                "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
                "operators.operatorframework.io.bundle.package.v1": self.name,
                "operators.operatorframework.io.bundle.channels.v1": "stable",
            }}),
        );
        put("manifests/csv.yaml", &self.csv(version));
        let version_of_kind = format!("{}/v1", self.group());
        let crd = definition(&version_of_kind, &self.kind(), &self.plural());
        put("manifests/crd.yaml", &crd);
        for (file, object) in &version.extra {
            put(&format!("manifests/{file}"), object);
        }
        tree
    }

    fn csv(&self, version: &Version) -> Value {
        let labels = json!({"app": self.name});
        let all = ["AllNamespaces".to_owned()];
        let modes = match version.modes.as_slice() {
            [] => &all,
            modes => modes,
        };
        let modes: Value = modes
            .iter()
            .map(|mode| json!({"type": mode, "supported": true}))
            .collect();
        let mut csv = json!({
            "apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion",
            "metadata": {"name": format!("{}.v{}", self.name, version.version)},
            "spec": {
                "displayName": self.name, "version": version.version,
                "installModes": modes,
                "customresourcedefinitions": {"owned": [{
                    "name": format!("{}.{}", self.plural(), self.group()),
                    "version": "v1", "kind": self.kind()}]},
                "install": {"strategy": "deployment", "spec": {
                    "permissions": [{"serviceAccountName": self.name, "rules": [
                        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]}],
                    "clusterPermissions": [{"serviceAccountName": self.name, "rules": [
                        {"apiGroups": [self.group()], "resources": [self.plural()],
                            "verbs": ["get", "list", "watch"]}]}],
                    "deployments": [{"name": self.name, "spec": {
                        "replicas": 1, "selector": {"matchLabels": labels},
                        "template": {"metadata": {"labels": labels}, "spec": {
                            "serviceAccountName": self.name,
                            "containers": [{"name": "manager",
                                "image": format!("example.com/{}:{}", self.name, version.version)}],
                        }},
                    }}],
                }},
            },
        });
        if version.nowhere {
            let deployment = &mut csv["spec"]["install"]["spec"]["deployments"][0];
            deployment["spec"]["template"]["spec"]["nodeSelector"] =
                json!({"example.com/place": "nowhere"});
        }
        let mut webhooks = version.webhooks.clone();
        if version.webhook {
            webhooks.push(json!({
                "type": "ValidatingAdmissionWebhook", "generateName": format!("v.{}", self.group()),
                "deploymentName": self.name, "containerPort": 443, "targetPort": 9443,
                "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
                "webhookPath": "/validate",
                "rules": [{"apiGroups": [self.group()], "apiVersions": ["v1"],
                    "operations": ["CREATE"], "resources": [self.plural()]}],
            }));
        }
        if !webhooks.is_empty() {
            csv["spec"]["webhookdefinitions"] = json!(webhooks);
        }
        csv
    }
}

/// The definition of a namespaced kind that takes any object; `api_version` is `GROUP/VERSION`.
pub fn definition(api_version: &str, kind: &str, plural: &str) -> Value {
    let (group, version) = api_version.split_once('/').unwrap_or_default();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(),
                "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object",
                    "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

/// A Role for a bundle's `manifests` folder, for tests that edit one afterwards.
pub fn role(name: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]})
}
