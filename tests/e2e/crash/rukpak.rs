//! rukpak, from the installation of a plain bundle to its removal.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_tests::publish::Publisher;
use olm_tests::{Registry, RegistryOptions, Wait, wait};
use olm_tree::MemoryTree;
use serde_json::{Map, Value, json};

use super::{PATIENCE, Place, Story, struck, weathered};

const PLAIN: &str = "core-rukpak-io-plain";
const NAME: &str = "crash";
/// A namespace of somebody else.
const OTHERS: &str = "others";
/// What a user does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A bundle of ten objects.
    Install,
    /// Its next version: one object less, one more, the others changed.
    Upgrade,
    /// A version that would take over what belongs to someone else.
    Refused,
    /// A version that fails when a part of it is applied: of a changed kind there is an object that
    /// the API server does not take.
    Failed,
    /// The end.
    Remove,
}

struct Plain {
    place: Place,
    deployments: Api<BundleDeployment>,
    images: BTreeMap<Stage, String>,
    _registry: Registry,
}

fn map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": {"key": value}})
}

fn workload(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "worker", "namespace": NAME},
        "spec": {"selector": {"matchLabels": {"app": NAME}},
            "template": {"metadata": {"labels": {"app": NAME}},
                "spec": {"serviceAccountName": "worker",
                    "containers": [{"name": "worker", "image": image}]}}}})
}

fn definition(sizes: &[&str]) -> Value {
    let sizes: Map<String, Value> = sizes
        .iter()
        .map(|size| ((*size).to_owned(), json!({"type": "integer"})))
        .collect();
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crashes.rukpak.example.com"},
        "spec": {"group": "rukpak.example.com", "scope": "Namespaced",
            "names": {"kind": "Crash", "plural": "crashes", "singular": "crash", "listKind": "CrashList"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object",
                    "properties": {"spec": {"type": "object",
                        "properties": sizes}}}}}]}})
}

fn manifests(stage: Stage) -> Vec<Value> {
    let version = match stage {
        Stage::Install => "1",
        Stage::Failed => "3",
        _ => "2",
    };
    let sizes: &[&str] = match stage {
        Stage::Failed => &["size", "more"],
        _ => &["size"],
    };
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "worker", "namespace": NAME}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "worker", "namespace": NAME},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "worker", "namespace": NAME},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "worker"},
        "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": NAME}]});
    let instance = json!({"apiVersion": "rukpak.example.com/v1", "kind": "Crash",
        "metadata": {"name": "shipped", "namespace": NAME}, "spec": {"size": 1}});
    let mut all = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}}),
        account,
        role,
        binding,
        definition(sizes),
        instance,
        workload(&format!("example.com/worker:{version}")),
        map(NAME, "kept", version),
        map(
            NAME,
            if stage == Stage::Install {
                "dropped"
            } else {
                "added"
            },
            version,
        ),
    ];
    if stage == Stage::Refused {
        all.push(map(OTHERS, "foreign", "ours"));
    }
    if stage == Stage::Failed {
        all.push(
            json!({"apiVersion": "rukpak.example.com/v1", "kind": "Crash",
            "metadata": {"name": "wrong", "namespace": NAME, "labels": {"no/label/at-all": "x"}}}),
        );
    }
    all
}

impl Plain {
    async fn start() -> Result<Self> {
        let registry = Registry::start(RegistryOptions::default()).await?;
        let mut images = BTreeMap::new();
        for &stage in Self::STAGES.iter().filter(|stage| **stage != Stage::Remove) {
            let mut tree = MemoryTree::default();
            for (index, object) in manifests(stage).iter().enumerate() {
                tree.insert(&format!("manifests/{index}.yaml"), object.to_string())?;
            }
            let name = format!("crash:{stage:?}").to_lowercase();
            Publisher::new(&registry).bundle(&name, &tree).await?;
            images.insert(stage, format!("{}/{name}", registry.host()));
        }
        let components = ["rukpak-webhooks", Self::VICTIM];
        let place = Place::start(&registry, Self::VICTIM, &components).await?;
        let run = Self {
            deployments: Api::all(place.client.clone()),
            place,
            images,
            _registry: registry,
        };
        run.foreign().await?;
        Ok(run)
    }

    /// Makes an object of somebody else.
    async fn foreign(&self) -> Result<()> {
        let apply = PatchParams::apply("somebody");
        let spaces: Api<Namespace> = Api::all(self.place.client.clone());
        let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OTHERS}});
        spaces.patch(OTHERS, &apply, &Patch::Apply(&space)).await?;
        let maps: Api<ConfigMap> = Api::namespaced(self.place.client.clone(), OTHERS);
        let theirs = Patch::Apply(map(OTHERS, "foreign", "theirs"));
        maps.patch("foreign", &apply, &theirs).await?;
        Ok(())
    }
}

impl Story for Plain {
    const VICTIM: &str = "rukpak";

    type Stage = Stage;

    const STAGES: &[Stage] = &[
        Stage::Install,
        Stage::Upgrade,
        Stage::Refused,
        Stage::Failed,
        Stage::Remove,
    ];

    async fn ask(&self, stage: Stage) -> Result<()> {
        let Some(image) = self.images.get(&stage) else {
            self.deployments
                .delete(NAME, &DeleteParams::default())
                .await?;
            return Ok(());
        };
        let object = json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": NAME},
            "spec": {
                "provisionerClassName": PLAIN,
                "template": {"spec": {
                    "provisionerClassName": PLAIN,
                    "source": {"type": "image", "image": {"ref": image}},
                }},
            },
        });
        let apply = PatchParams::apply("a-user").force();
        self.deployments
            .patch(NAME, &apply, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    async fn reached(&self, stage: Stage) -> Result<()> {
        let wait = Wait::new(format!("{stage:?} is over"))
            .within(PATIENCE)
            .logs(&self.place.suite);
        let reason = match stage {
            Stage::Install | Stage::Upgrade => "InstallationSucceeded",
            Stage::Refused | Stage::Failed => "UpgradeFailed",
            Stage::Remove => {
                wait.gone(&self.deployments, NAME).await?;
                return self.place.no_bundles().await;
            }
        };
        wait.object(&self.deployments, NAME, |deployment| {
            wait::is_because(deployment, "Installed", reason)
        })
        .await?;
        Ok(())
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

#[tokio::test]
async fn killed_at_any_write_rukpak_comes_to_the_same_end() -> Result<()> {
    struck(&Plain::start().await?).await
}

#[tokio::test]
async fn rukpak_bears_conflicts_and_broken_watches() -> Result<()> {
    weathered(&Plain::start().await?).await
}
