//! The project's Helm chart: rendered by the real helm and applied as the admin.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::assets::{self, Tool};
use crate::control_plane::ControlPlane;
use crate::wait::{Wait, has_condition};
use crate::{scratch, workspace};

/// The field manager of everything that is applied here.
pub const FIELD_MANAGER: &str = "olm-tests";

/// A chart and what it is rendered with.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Folder of the chart; default: `charts/olm-rs` of this checkout.
    pub path: PathBuf,
    /// Release name; default `olm-rs`.
    pub release: String,
    /// Release namespace; default `olm-system`.
    pub namespace: String,
    /// `NAME=VALUE` as for `helm --set`.
    pub values: Vec<String>,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            path: workspace().join("charts/olm-rs"),
            release: "olm-rs".to_owned(),
            namespace: "olm-system".to_owned(),
            values: Vec::new(),
        }
    }
}

/// What a chart rendered to, in the order of installation.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// The release namespace.
    pub namespace: String,
    /// All objects, CRDs included.
    pub objects: Vec<Value>,
}

impl Chart {
    /// Renders the chart, CRDs included, for a Kubernetes of `kube_version`.
    pub async fn render(&self, kube_version: &str) -> Result<Rendered> {
        ensure!(
            self.path.is_dir(),
            "there is no chart at `{}`",
            self.path.display()
        );
        let home = scratch::subdirectory("helm")?;
        let mut command = tokio::process::Command::new(assets::find(Tool::Helm).await?);
        command.arg("template").arg(&self.release).arg(&self.path);
        command.args(["--namespace", &self.namespace, "--include-crds"]);
        command.args(["--kube-version", kube_version]);
        for value in &self.values {
            command.args(["--set", value]);
        }
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, &home);
        }
        let output = command
            .kill_on_drop(true)
            .output()
            .await
            .context("cannot run helm")?;
        ensure!(
            output.status.success(),
            "cannot render `{}`:\n{}",
            self.path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).context("helm's output is not UTF-8")?;
        let mut objects = objects(&text)?;
        objects.sort_by_key(rank);
        Ok(Rendered {
            namespace: self.namespace.clone(),
            objects,
        })
    }
}

impl Rendered {
    /// The objects of one kind as their type.
    pub fn of_kind<K: DeserializeOwned>(&self, kind: &str) -> Result<Vec<K>> {
        let of_kind = self.objects.iter().filter(|object| object["kind"] == kind);
        of_kind
            .map(|object| {
                serde_json::from_value(object.clone())
                    .with_context(|| format!("bad {kind} `{}`", object["metadata"]["name"]))
            })
            .collect()
    }

    /// Applies everything as the admin: the namespace and CRDs first, webhook configurations last.
    ///
    /// Deployments get no replicas: the suite runs them as local processes, and simulated pods
    /// would only pretend.
    pub async fn apply(&self, cluster: &ControlPlane) -> Result<()> {
        let client = cluster.client().await?;
        let namespaces = Api::<Namespace>::all(client.clone());
        if namespaces.get_opt(&self.namespace).await?.is_none() {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": self.namespace },
            });
            apply(&client, &namespace, &self.namespace).await?;
        }
        let is_crd = |object: &&Value| object["kind"] == "CustomResourceDefinition";
        let crds: Vec<Value> = self.objects.iter().filter(is_crd).cloned().collect();
        define(&client, &crds).await?;
        for object in self.objects.iter().filter(|object| !is_crd(object)) {
            let mut object = object.clone();
            if object["kind"] == "Deployment" {
                object["spec"]["replicas"] = json!(0);
            }
            apply(&client, &object, &self.namespace).await?;
        }
        Ok(())
    }
}

/// Applies custom resource definitions as the admin, and waits until their kinds are served.
pub async fn define(client: &Client, definitions: &[Value]) -> Result<()> {
    for definition in definitions {
        apply(client, definition, "").await?;
    }
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in definitions {
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        Wait::new(format!("the CRD `{name}` is established"))
            .object(&api, name, |crd| has_condition(crd, "Established", "True"))
            .await?;
    }
    Ok(())
}

/// Applies any object server-side as the admin, with force; `namespace` is for namespaced objects
/// that name none.
pub async fn apply(client: &Client, object: &Value, namespace: &str) -> Result<DynamicObject> {
    let field = |name: &str| object[name].as_str().unwrap_or_default();
    let (group, version) = match field("apiVersion").split_once('/') {
        Some((group, version)) => (group, version),
        None => ("", field("apiVersion")),
    };
    let kind = GroupVersionKind::gvk(group, version, field("kind"));
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let what = || format!("cannot apply {} `{name}`", kind.kind);
    let (resource, capabilities) = pinned_kind(client, &kind).await.with_context(what)?;
    let namespace = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or(namespace);
    let api = api(client, &resource, &capabilities.scope, namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(name, &params, &Patch::Apply(object))
        .await
        .with_context(what)
}

fn api(
    client: &Client,
    resource: &ApiResource,
    scope: &Scope,
    namespace: &str,
) -> Api<DynamicObject> {
    match scope {
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, resource),
        Scope::Cluster => Api::all_with(client.clone(), resource),
    }
}

/// The objects of a YAML stream, without empty documents.
pub fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in yaml_serde::Deserializer::from_str(text) {
        let value: Value = serde::Deserialize::deserialize(document).context("not YAML")?;
        if !value.is_null() {
            ensure!(
                value["kind"].is_string(),
                "an object without kind:\n{value}"
            );
            objects.push(value);
        }
    }
    Ok(objects)
}

/// What others need comes first; what can refuse others comes last.
fn rank(object: &Value) -> u8 {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "ServiceAccount" => 2,
        "ClusterRole" | "Role" => 3,
        "ClusterRoleBinding" | "RoleBinding" => 4,
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => 9,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::{objects, rank};

    #[test]
    fn a_stream_is_read_without_its_empty_documents() -> anyhow::Result<()> {
        let found = objects("---\n# only a comment\n---\nkind: A\n---\nkind: Namespace\n---\n")?;
        let kinds: Vec<_> = found
            .iter()
            .filter_map(|object| object["kind"].as_str())
            .collect();
        assert_eq!(kinds, ["A", "Namespace"]);
        assert!(rank(&found[1]) < rank(&found[0]));
        Ok(())
    }
}
