//! One owner of objects in a namespace of its own, on the shared cluster.

use anyhow::Result;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use olm_apply::{Applied, Applier, ApplyError, ApplyOptions, ObjectId, Owner, Placement, Plan};
use olm_tests::ControlPlane;
use serde_json::Value;

use super::objects::group;

/// One owner in a namespace of its own name, on the shared cluster.
pub(super) struct BundleOwner {
    pub(super) cluster: ControlPlane,
    pub(super) client: Client,
    pub(super) applier: Applier,
    pub(super) owner: Owner,
    pub(super) name: &'static str,
}

impl BundleOwner {
    pub(super) async fn new(name: &'static str) -> Result<Self> {
        Self::on(ControlPlane::shared().await?, name).await
    }

    pub(super) async fn on(cluster: ControlPlane, name: &'static str) -> Result<Self> {
        let client = cluster.client().await?;
        let applier = Applier::new(client.clone(), "rukpak-apply");
        Ok(Self {
            cluster,
            client,
            applier,
            owner: Owner::bundle_deployment(name),
            name,
        })
    }

    pub(super) async fn plan(
        &self,
        objects: &[Value],
        inventory: &[ObjectId],
    ) -> Result<Plan, ApplyError> {
        let placement = Placement {
            owner: self.owner.clone(),
            install_namespace: Some(self.name.to_owned()),
            protected_namespaces: vec!["olm-system".to_owned()],
        };
        let set = self.applier.prepare(objects.to_vec(), &placement).await?;
        self.applier.preflight(set, inventory).await
    }

    /// Everything at once; the inventory that results, and what was done.
    pub(super) async fn install(&self, objects: &[Value]) -> Result<(Vec<ObjectId>, Applied)> {
        let plan = self.plan(objects, &[]).await?;
        let inventory = plan.inventory();
        let applied = self.applier.apply(plan, ApplyOptions::default()).await?;
        assert_eq!(applied.waiting, Vec::<String>::new());
        Ok((inventory, applied))
    }

    pub(super) fn api(&self, kind: &str) -> Api<DynamicObject> {
        let (group, version, plural, namespaced) = match kind {
            "ConfigMap" => ("", "v1", "configmaps", true),
            "Secret" => ("", "v1", "secrets", true),
            "Namespace" => ("", "v1", "namespaces", false),
            "Deployment" => ("apps", "v1", "deployments", true),
            "CustomResourceDefinition" => (
                "apiextensions.k8s.io",
                "v1",
                "customresourcedefinitions",
                false,
            ),
            other => panic!("{other}"),
        };
        let resource = ApiResource {
            group: group.into(),
            version: version.into(),
            api_version: if group.is_empty() {
                "v1".into()
            } else {
                format!("{group}/{version}")
            },
            kind: kind.into(),
            plural: plural.into(),
        };
        if namespaced {
            Api::namespaced_with(self.client.clone(), self.name, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        }
    }

    pub(super) fn things(&self) -> Api<DynamicObject> {
        Api::namespaced_with(
            self.client.clone(),
            self.name,
            &ApiResource {
                group: group(self.name),
                version: "v1".into(),
                api_version: format!("{}/v1", group(self.name)),
                kind: "Thing".into(),
                plural: "things".into(),
            },
        )
    }

    pub(super) async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api(kind).get(name).await?)?)
    }

    pub(super) async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.api(kind).get_opt(name).await?.is_some())
    }

    pub(super) async fn merge(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        patch: Value,
    ) -> Result<()> {
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }
}

pub(super) fn refusal(outcome: Result<Plan, ApplyError>) -> String {
    match outcome {
        Ok(plan) => panic!("not refused: {:?}", plan.inventory()),
        Err(error) => error.message(),
    }
}

pub(super) fn names(inventory: &[ObjectId]) -> Vec<String> {
    inventory
        .iter()
        .map(|id| format!("{} {}", id.kind, id.name))
        .collect()
}
