//! Applying, repairing, pruning, removing and watching objects on a real API server.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::ApiResource;
use olm_apply::{
    Action, Applied, Applier, ApplyError, ApplyOptions, ManagedWatches, ObjectId, Owner, Placement,
    Plan, RefusalReason, Uninstall, UninstallOptions, WatchOptions,
};
use olm_bundle::registry_v1::{self, CertificateProvider, RenderOptions};
use olm_tests::{ControlPlane, Wait};
use olm_tree::MemoryTree;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One owner in a namespace of its own name, on the shared cluster.
struct Fixture {
    cluster: ControlPlane,
    client: Client,
    applier: Applier,
    owner: Owner,
    name: &'static str,
}

impl Fixture {
    async fn new(name: &'static str) -> Result<Self> {
        let cluster = ControlPlane::shared().await?;
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

    async fn plan(&self, objects: &[Value], inventory: &[ObjectId]) -> Result<Plan, ApplyError> {
        let placement = Placement {
            owner: self.owner.clone(),
            install_namespace: Some(self.name.to_owned()),
            protected_namespaces: vec!["olm-system".to_owned()],
        };
        let set = self.applier.prepare(objects.to_vec(), &placement).await?;
        self.applier.preflight(set, inventory).await
    }

    /// Everything at once; the inventory that results, and what was done.
    async fn install(&self, objects: &[Value]) -> Result<(Vec<ObjectId>, Applied)> {
        let plan = self.plan(objects, &[]).await?;
        let inventory = plan.inventory();
        let applied = self.applier.apply(plan, ApplyOptions::default()).await?;
        assert_eq!(applied.waiting, Vec::<String>::new());
        Ok((inventory, applied))
    }

    fn api(&self, kind: &str) -> Api<DynamicObject> {
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

    fn things(&self) -> Api<DynamicObject> {
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

    async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api(kind).get(name).await?)?)
    }

    async fn exists(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.api(kind).get_opt(name).await?.is_some())
    }

    async fn merge(&self, api: &Api<DynamicObject>, name: &str, patch: Value) -> Result<()> {
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }
}

fn group(name: &str) -> String {
    format!("{name}.example.com")
}

fn config_map(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
           "data": {"key": value}})
}

fn definition(name: &str, properties: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("things.{}", group(name)), "creationTimestamp": null},
        "spec": {
            "group": group(name), "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things", "singular": "thing",
                      "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "properties": properties}
                }}}
            }]
        },
        "status": {"conditions": [], "storedVersions": []}
    })
}

fn thing(owner: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": format!("{}/v1", group(owner)), "kind": "Thing",
           "metadata": {"name": name}, "spec": spec})
}

fn deployment(replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "serviceAccountName": "web",
                    "containers": [{
                        "name": "web", "image": "example.com/web:v1",
                        "ports": [{"containerPort": 80}],
                        // Written as `1` and `1Gi`: the server's spelling differs from the author's.
                        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
                        "securityContext": {}
                    }]
                }
            }
        }
    })
}

/// A bundle with something of nearly every phase.
fn operator(name: &str) -> Vec<Value> {
    let text = json!({"text": {"type": "string"}});
    let rbac = "rbac.authorization.k8s.io";
    let admission = "admissionregistration.k8s.io/v1";
    vec![
        json!({"apiVersion": admission, "kind": "ValidatingWebhookConfiguration",
               "metadata": {"name": name}, "webhooks": [{
                   "name": "things.example.com", "sideEffects": "None",
                   "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
                   "clientConfig": {"service": {"name": "web", "namespace": name}},
                   "rules": [{"apiGroups": [group(name)], "apiVersions": ["v1"],
                              "operations": ["CREATE"], "resources": ["things"]}]}]}),
        deployment(1),
        thing(name, "first", &json!({"text": "a"})),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
               "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
               "metadata": {"name": name, "namespace": "ignored"},
               "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": name}],
               "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}}),
        json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole",
               "metadata": {"name": name},
               "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
        definition(name, &text),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "secret"},
               "stringData": {"key": "value"}}),
        config_map("config", "value"),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web"}}),
        json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
               "metadata": {"name": "web"},
               "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "web"}}}}),
    ]
}

fn refusal(outcome: Result<Plan, ApplyError>) -> String {
    match outcome {
        Ok(plan) => panic!("not refused: {:?}", plan.inventory()),
        Err(error) => error.message(),
    }
}

fn names(inventory: &[ObjectId]) -> Vec<String> {
    inventory
        .iter()
        .map(|id| format!("{} {}", id.kind, id.name))
        .collect()
}

#[tokio::test]
async fn a_bundle_is_installed_in_order_and_a_second_pass_writes_nothing() -> Result<()> {
    let name = "apply-install";
    let fixture = Fixture::new(name).await?;
    let (inventory, applied) = fixture.install(&operator(name)).await?;
    assert_eq!(
        names(&inventory),
        [
            "Namespace apply-install",
            "ServiceAccount web",
            "ConfigMap config",
            "Secret secret",
            "CustomResourceDefinition things.apply-install.example.com",
            "ClusterRole apply-install",
            "ClusterRoleBinding apply-install",
            "Service web",
            "Thing first",
            "Deployment web",
            "PodDisruptionBudget web",
            "ValidatingWebhookConfiguration apply-install",
        ]
    );
    assert_eq!(applied.written(), 12);
    let applied_in_order: Vec<ObjectId> = applied
        .results
        .iter()
        .map(|result| result.id.clone())
        .collect();
    assert_eq!(applied_in_order, inventory);
    let map = fixture.get("ConfigMap", "config").await?;
    assert_eq!(
        map["metadata"]["labels"],
        json!({"core.rukpak.io/owner-kind": "BundleDeployment",
               "core.rukpak.io/owner-name": name})
    );
    assert_eq!(map["metadata"]["ownerReferences"], Value::Null);

    let plan = fixture.plan(&operator(name), &inventory).await?;
    assert_eq!(plan.changes().collect::<Vec<_>>(), Vec::<&ObjectId>::new());
    assert_eq!(plan.inventory(), inventory);
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let before = version(
        &fixture
            .get("CustomResourceDefinition", &inventory[4].name)
            .await?,
    );
    let applied = fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert!(
        applied
            .results
            .iter()
            .all(|result| result.action == Action::Unchanged)
    );
    let after = version(
        &fixture
            .get("CustomResourceDefinition", &inventory[4].name)
            .await?,
    );
    assert_eq!(before, after);

    // The inventory can be made again from the cluster alone.
    assert_eq!(fixture.applier.find_owned(&fixture.owner).await?, inventory);

    let health = Wait::new("the bundle is healthy")
        .logs(&fixture.cluster)
        .value(async || {
            let health = fixture.applier.read_health(&inventory).await?;
            Ok(health.is_healthy().then_some(health))
        })
        .await?;
    assert_eq!(health.message(), "");
    Ok(())
}

#[tokio::test]
async fn drift_is_found_and_only_drift_is_written() -> Result<()> {
    let name = "apply-drift";
    let fixture = Fixture::new(name).await?;
    let (inventory, _) = fixture.install(&operator(name)).await?;
    let maps = fixture.api("ConfigMap");
    let deployments = fixture.api("Deployment");
    fixture
        .merge(
            &maps,
            "config",
            json!({"data": {"key": "theirs", "more": "kept"}}),
        )
        .await?;
    fixture
        .merge(
            &deployments,
            "web",
            json!({"spec": {"replicas": 3}, "metadata": {"annotations": {"note": "kept"}}}),
        )
        .await?;
    // Labels that somebody takes off are put back; the object stays the owner's.
    fixture
        .merge(
            &fixture.api("Secret"),
            "secret",
            json!({"metadata": {"labels": {"core.rukpak.io/owner-kind": null,
                                           "core.rukpak.io/owner-name": null}}}),
        )
        .await?;

    let plan = fixture.plan(&operator(name), &inventory).await?;
    let changes: Vec<ObjectId> = plan.changes().cloned().collect();
    assert_eq!(
        names(&changes),
        ["ConfigMap config", "Secret secret", "Deployment web"]
    );
    let applied = fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert_eq!(applied.written(), 3);

    let map = fixture.get("ConfigMap", "config").await?;
    assert_eq!(map["data"], json!({"key": "value", "more": "kept"}));
    let web = fixture.get("Deployment", "web").await?;
    assert_eq!(web["spec"]["replicas"], 1);
    assert_eq!(web["metadata"]["annotations"]["note"], "kept");
    let secret = fixture.get("Secret", "secret").await?;
    assert_eq!(
        secret["metadata"]["labels"]["core.rukpak.io/owner-name"],
        name
    );

    maps.delete("config", &DeleteParams::default()).await?;
    let plan = fixture.plan(&operator(name), &inventory).await?;
    assert_eq!(
        names(&plan.changes().cloned().collect::<Vec<_>>()),
        ["ConfigMap config"]
    );
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    assert!(fixture.exists("ConfigMap", "config").await?);
    Ok(())
}

#[tokio::test]
async fn objects_of_others_are_refused_and_left_alone() -> Result<()> {
    let name = "apply-foreign";
    let fixture = Fixture::new(name).await?;
    let space = json!({"metadata": {"name": name}});
    let spaces = fixture.api("Namespace");
    spaces
        .create(&PostParams::default(), &serde_json::from_value(space)?)
        .await?;
    let maps = fixture.api("ConfigMap");
    for (map, labels) in [
        ("nobodys", json!({})),
        (
            "anothers",
            json!({"core.rukpak.io/owner-kind": "BundleDeployment",
                   "core.rukpak.io/owner-name": "another"}),
        ),
    ] {
        let map = json!({"metadata": {"name": map, "labels": labels}, "data": {"key": "old"}});
        maps.create(&PostParams::default(), &serde_json::from_value(map)?)
            .await?;
    }
    let objects = [
        config_map("nobodys", "old"),
        config_map("anothers", "new"),
        config_map("fresh", "new"),
    ];
    let text = refusal(fixture.plan(&objects, &[]).await);
    assert_eq!(
        text,
        "ConfigMap \"anothers\" in namespace \"apply-foreign\" exists and is owned by \
         BundleDeployment \"another\", not by BundleDeployment \"apply-foreign\"\n\
         ConfigMap \"nobodys\" in namespace \"apply-foreign\" exists and is not owned by \
         BundleDeployment \"apply-foreign\""
    );
    assert!(!fixture.exists("ConfigMap", "fresh").await?);

    // The install namespace is somebody's: it is used, and is neither changed nor owned.
    let (inventory, applied) = fixture.install(&objects[2..]).await?;
    assert_eq!(names(&inventory), ["ConfigMap fresh"]);
    assert_eq!(applied.results[0].action, Action::Left);
    let space = fixture.get("Namespace", name).await?;
    assert_eq!(
        space["metadata"]["labels"]["core.rukpak.io/owner-name"],
        Value::Null
    );
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &inventory, UninstallOptions::default())
        .await?;
    assert_eq!(done, Uninstall::Done { left: vec![] });
    assert!(fixture.exists("Namespace", name).await?);
    assert!(fixture.exists("ConfigMap", "nobodys").await?);
    Ok(())
}

#[tokio::test]
async fn what_lost_labels_is_repaired_and_goes_and_what_others_took_stays() -> Result<()> {
    let name = "apply-unlabelled";
    let fixture = Fixture::new(name).await?;
    let objects = [
        config_map("both", "x"),
        config_map("kind", "x"),
        config_map("name", "x"),
        config_map("taken", "x"),
    ];
    let (inventory, _) = fixture.install(&objects).await?;
    let maps = fixture.api("ConfigMap");
    let (kind, of) = ("core.rukpak.io/owner-kind", "core.rukpak.io/owner-name");
    let unlabel = async || {
        let spaces = fixture.api("Namespace");
        for (api, map, labels) in [
            (&spaces, name, json!({of: null})),
            (&maps, "both", json!({kind: null, of: null})),
            (&maps, "kind", json!({kind: null})),
            (&maps, "name", json!({of: null})),
            (&maps, "taken", json!({of: "another"})),
        ] {
            let patch = json!({"metadata": {"labels": labels}});
            fixture.merge(api, map, patch).await?;
        }
        anyhow::Ok(())
    };
    unlabel().await?;

    // One that is refused does not stop the repair of the others.
    let placement = Placement {
        owner: fixture.owner.clone(),
        install_namespace: Some(name.to_owned()),
        protected_namespaces: vec![],
    };
    let set = fixture.applier.prepare(objects.to_vec(), &placement);
    let (plan, refusals) = fixture
        .applier
        .preflight_each(set.await?, &inventory)
        .await?;
    assert_eq!(
        ApplyError::Refused(refusals).to_string(),
        "ConfigMap \"taken\" in namespace \"apply-unlabelled\" exists and is owned by \
         BundleDeployment \"another\", not by BundleDeployment \"apply-unlabelled\""
    );
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    for (object_kind, object) in [
        ("Namespace", name),
        ("ConfigMap", "both"),
        ("ConfigMap", "kind"),
        ("ConfigMap", "name"),
    ] {
        let labels = &fixture.get(object_kind, object).await?["metadata"]["labels"];
        assert_eq!(labels[kind], "BundleDeployment", "{object}");
        assert_eq!(labels[of], name, "{object}");
    }

    unlabel().await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &inventory[1..3], &[])
        .await?;
    assert_eq!(names(&pruned.removed), ["ConfigMap both", "ConfigMap kind"]);
    let done = fixture
        .applier
        .uninstall(
            &fixture.owner,
            &inventory,
            UninstallOptions {
                look_on: Duration::from_secs(10),
                ..Default::default()
            },
        )
        .await?;
    let Uninstall::Done { left } = done else {
        anyhow::bail!("{done}");
    };
    // The namespace stays for what another owner has in it.
    assert_eq!(
        names(&left),
        ["ConfigMap taken", "Namespace apply-unlabelled"]
    );
    assert!(!fixture.exists("ConfigMap", "name").await?);
    assert!(fixture.exists("ConfigMap", "taken").await?);
    Ok(())
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_before_anything_is_written() -> Result<()> {
    let name = "apply-refused";
    let fixture = Fixture::new(name).await?;
    let missing = [
        json!({"apiVersion": "operators.coreos.com/v1alpha1", "kind": "CatalogSource",
               "metadata": {"name": "a"}}),
        json!({"apiVersion": "operators.coreos.com/v1", "kind": "OLMConfig",
               "metadata": {"name": "a"}}),
        config_map("fine", "value"),
    ];
    let text = refusal(fixture.plan(&missing, &[]).await);
    assert_eq!(
        text,
        "required resource not found: \
         no matches for kind \"CatalogSource\" in version \"operators.coreos.com/v1alpha1\"\n\
         no matches for kind \"OLMConfig\" in version \"operators.coreos.com/v1\""
    );

    let mut unknown = deployment(1);
    unknown["metadata"]["namespace"] = json!("default");
    unknown["metadata"]["name"] = json!("apply-refused");
    unknown["spec"]["bogus"] = json!(1);
    let mut invalid = config_map("apply-refused", "x");
    invalid["metadata"]["namespace"] = json!("default");
    invalid["data"] = json!({"not/allowed": "x"});
    let mut nowhere = config_map("apply-refused", "x");
    nowhere["metadata"]["namespace"] = json!("apply-nowhere");
    let text = refusal(
        fixture
            .plan(&[unknown, invalid, nowhere, config_map("fine", "x")], &[])
            .await,
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("ConfigMap \"apply-refused\" in namespace \"apply-nowhere\""));
    assert!(
        lines[0].contains("namespaces \"apply-nowhere\" not found"),
        "{text}"
    );
    assert!(lines[1].contains("data[not/allowed]"), "{text}");
    assert!(
        lines[2].contains(".spec.bogus: field not declared in schema"),
        "{text}"
    );
    assert!(!fixture.exists("Namespace", name).await?);
    Ok(())
}

#[tokio::test]
async fn an_upgrade_prunes_what_left_and_keeps_definitions_that_are_used() -> Result<()> {
    let name = "apply-upgrade";
    let fixture = Fixture::new(name).await?;
    let text = json!({"text": {"type": "string"}});
    let old = [
        definition(name, &text),
        thing(name, "bundled", &json!({"text": "a"})),
        config_map("leaves", "x"),
        config_map("stays", "x"),
        config_map("released", "x"),
    ];
    let (inventory, _) = fixture.install(&old).await?;

    // A definition that changes with an instance that needs the change.
    let both = json!({"text": {"type": "string"}, "more": {"type": "string"}});
    let new = [
        definition(name, &both),
        thing(name, "bundled", &json!({"more": "b"})),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stays"},
               "data": {"other": "y"}}),
    ];
    let gone = json!({"metadata": {"labels": {"core.rukpak.io/owner-name": "another"}}});
    fixture
        .merge(&fixture.api("ConfigMap"), "released", gone)
        .await?;
    let plan = fixture.plan(&new, &inventory).await?;
    let wanted = plan.inventory();
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &inventory, &wanted)
        .await?;
    assert_eq!(names(&pruned.removed), ["ConfigMap leaves"]);
    assert_eq!(names(&pruned.released), ["ConfigMap released"]);
    assert!(!fixture.exists("ConfigMap", "leaves").await?);
    assert!(fixture.exists("ConfigMap", "released").await?);
    assert_eq!(
        fixture.get("ConfigMap", "stays").await?["data"],
        json!({"other": "y"})
    );
    let bundled = fixture.things().get("bundled").await?;
    assert_eq!(bundled.data["spec"], json!({"more": "b"}));

    // The next version has no definition any more, and a user has an object of the kind.
    let user = serde_json::from_value(thing(name, "users", &json!({})))?;
    fixture
        .things()
        .create(&PostParams::default(), &user)
        .await?;
    let last = [config_map("stays", "z")];
    let plan = fixture.plan(&last, &wanted).await?;
    let last = plan.inventory();
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    let pruned = fixture
        .applier
        .prune(&fixture.owner, &wanted, &last)
        .await?;
    assert_eq!(names(&pruned.removed), ["Thing bundled"]);
    let kept: Vec<ObjectId> = pruned.remaining().cloned().collect();
    assert_eq!(
        names(&kept),
        ["CustomResourceDefinition things.apply-upgrade.example.com"]
    );
    assert_eq!(pruned.kept[0].1.examples, ["apply-upgrade/users"]);
    fixture
        .things()
        .delete("users", &DeleteParams::default())
        .await?;
    let pruned = fixture.applier.prune(&fixture.owner, &kept, &last).await?;
    assert_eq!(names(&pruned.removed), names(&kept));
    Ok(())
}

#[tokio::test]
async fn an_uninstall_waits_for_instances_while_everything_still_runs() -> Result<()> {
    let name = "apply-uninstall";
    let fixture = Fixture::new(name).await?;
    let (inventory, _) = fixture.install(&operator(name)).await?;
    let mut held = thing(name, "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    fixture
        .things()
        .create(&PostParams::default(), &serde_json::from_value(held)?)
        .await?;
    let counts = fixture
        .applier
        .remaining_instances(&fixture.owner, &inventory)
        .await?;
    assert_eq!(counts[0].count, 2);

    let options = UninstallOptions {
        look_on: Duration::from_secs(1),
        ..Default::default()
    };
    let step = fixture
        .applier
        .uninstall(&fixture.owner, &inventory, options)
        .await?;
    assert_eq!(
        step.to_string(),
        "waiting for custom resources to be deleted: \
         things.apply-uninstall.example.com (1 left: apply-uninstall/held)"
    );
    assert!(fixture.exists("Deployment", "web").await?);

    let free = json!({"metadata": {"finalizers": null}});
    fixture.merge(&fixture.things(), "held", free).await?;
    let uninstall = async || {
        let step = fixture
            .applier
            .uninstall(&fixture.owner, &inventory, options)
            .await?;
        Ok(step.is_done().then_some(step))
    };
    let done = Wait::new("everything is gone")
        .logs(&fixture.cluster)
        .value(uninstall)
        .await?;
    assert_eq!(done, Uninstall::Done { left: vec![] });
    assert!(
        !fixture
            .exists("CustomResourceDefinition", &inventory[4].name)
            .await?
    );
    assert!(!fixture.exists("Namespace", name).await?);
    Ok(())
}

#[tokio::test]
async fn abandoned_and_retained_definitions_stay_with_their_instances() -> Result<()> {
    let name = "apply-abandon";
    let fixture = Fixture::new(name).await?;
    let text = json!({"text": {"type": "string"}});
    let objects = [definition(name, &text), config_map("config", "x")];
    let (inventory, _) = fixture.install(&objects).await?;
    let crd = inventory
        .iter()
        .find(|id| id.kind == "CustomResourceDefinition");
    let crd = crd.context("the definition is in the inventory")?.clone();
    let (maps, crds): (Vec<ObjectId>, Vec<ObjectId>) = inventory
        .into_iter()
        .filter(|id| id.kind != "Namespace")
        .partition(|id| *id != crd);
    let mut held = thing(name, "held", &json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    fixture
        .things()
        .create(&PostParams::default(), &serde_json::from_value(held)?)
        .await?;

    let retain = UninstallOptions {
        delete_definitions: false,
        ..Default::default()
    };
    let all: Vec<ObjectId> = maps.iter().chain(&crds).cloned().collect();
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &all, retain)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![crd.clone()]
        }
    );
    assert!(!fixture.exists("ConfigMap", "config").await?);
    assert!(
        fixture
            .things()
            .get("held")
            .await?
            .metadata
            .deletion_timestamp
            .is_none()
    );

    let abandon = UninstallOptions {
        abandon_instances: true,
        ..Default::default()
    };
    let done = fixture
        .applier
        .uninstall(&fixture.owner, &all, abandon)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![crd.clone()]
        }
    );
    assert!(
        fixture
            .exists("CustomResourceDefinition", &crd.name)
            .await?
    );
    let free = json!({"metadata": {"finalizers": null}});
    fixture.merge(&fixture.things(), "held", free).await?;
    Ok(())
}

#[tokio::test]
async fn a_namespace_that_another_owner_uses_survives_its_maker() -> Result<()> {
    let name = "apply-shared";
    let first = Fixture::new(name).await?;
    let (inventory, _) = first.install(&[config_map("first", "x")]).await?;
    assert_eq!(
        names(&inventory),
        ["Namespace apply-shared", "ConfigMap first"]
    );
    let owner = Owner::bundle_deployment("apply-shared-second");
    let second = Fixture {
        owner,
        ..Fixture::new(name).await?
    };
    let (theirs, _) = second.install(&[config_map("second", "x")]).await?;
    assert_eq!(names(&theirs), ["ConfigMap second"]);

    let options = UninstallOptions::default();
    let done = first
        .applier
        .uninstall(&first.owner, &inventory, options)
        .await?;
    assert_eq!(
        done,
        Uninstall::Done {
            left: vec![inventory[0].clone()]
        }
    );
    assert!(second.exists("ConfigMap", "second").await?);
    Ok(())
}

#[tokio::test]
async fn a_pass_that_was_killed_anywhere_is_finished_by_the_next() -> Result<()> {
    let name = "apply-killed";
    let fixture = Fixture::new(name).await?;
    let objects = operator(name);
    let mut rounds = 0;
    let inventory = loop {
        rounds += 1;
        let pass = async {
            let plan = fixture.plan(&objects, &[]).await?;
            let inventory = plan.inventory();
            let settled = plan.is_settled();
            fixture.applier.apply(plan, ApplyOptions::default()).await?;
            Ok::<_, ApplyError>((settled, inventory))
        };
        // Each round lives a little longer than the one before.
        match tokio::time::timeout(Duration::from_millis(20 * rounds), pass).await {
            Ok(Ok((true, inventory))) => break inventory,
            Err(_) | Ok(Ok((false, _))) => {}
            Ok(Err(error)) if error.is_transient() => {}
            Ok(Err(error)) => return Err(error.into()),
        }
        assert!(rounds < 500, "never settles");
    };
    assert_eq!(inventory.len(), 12);
    Ok(())
}

#[tokio::test]
async fn owners_hear_of_drift_and_not_of_their_own_writes() -> Result<()> {
    let name = "apply-watch";
    let fixture = Fixture::new(name).await?;
    let token = CancellationToken::new();
    let (sender, mut owners) = mpsc::channel(16);
    let options = WatchOptions {
        content: Duration::from_millis(100),
        interval: Duration::from_millis(200),
        ..WatchOptions::default()
    };
    let watches = ManagedWatches::new(
        &fixture.applier,
        "BundleDeployment",
        sender,
        options,
        &token,
    );
    let objects = [config_map("config", "x"), config_map("other", "x")];
    let plan = fixture.plan(&objects, &[]).await?;
    let inventory = plan.inventory();
    watches.ensure(&inventory).await?;
    assert_eq!(watches.len(), 2);
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    // Other tests share the cluster; only this owner counts.
    let mut hears = async |within: Duration| {
        let hears = async {
            loop {
                match owners.recv().await {
                    Some(owner) if owner == name => return,
                    Some(_) => {}
                    None => panic!("the channel closed"),
                }
            }
        };
        tokio::time::timeout(within, hears).await.is_ok()
    };
    assert!(
        !hears(Duration::from_secs(1)).await,
        "heard of its own writes"
    );

    let maps = fixture.api("ConfigMap");
    fixture
        .merge(&maps, "config", json!({"data": {"foreign": "y"}}))
        .await?;
    assert!(
        !hears(Duration::from_secs(1)).await,
        "heard of a field that is not its own"
    );
    fixture
        .merge(&maps, "config", json!({"data": {"key": "y"}}))
        .await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a changed field"
    );
    let plan = fixture.plan(&objects, &inventory).await?;
    assert_eq!(plan.changes().count(), 1);
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    // The repair gives the field back to the owner: at most one more message.
    hears(Duration::from_secs(1)).await;
    assert!(
        !hears(Duration::from_secs(1)).await,
        "hears of its own repair again and again"
    );
    maps.delete("other", &DeleteParams::default()).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a deleted object"
    );
    let unlabel = json!({"metadata": {"labels": {"core.rukpak.io/owner-kind": null}}});
    fixture.merge(&maps, "config", unlabel).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of a lost label"
    );
    let plan = fixture.plan(&objects, &inventory).await?;
    fixture.applier.apply(plan, ApplyOptions::default()).await?;
    while hears(Duration::from_secs(1)).await {}
    let unlabel = json!({"metadata": {"labels": {"core.rukpak.io/owner-name": null}}});
    fixture.merge(&maps, "config", unlabel).await?;
    assert!(
        hears(Duration::from_secs(10)).await,
        "did not hear of the other lost label"
    );

    token.cancel();
    watches.closed().await;
    assert!(watches.is_empty());
    Ok(())
}

/// Those that show the most in the least time; `OLM_TEST_CORPUS=all` takes every one (minutes).
const SAMPLE: [&str; 5] = [
    "cert-manager",
    "eventing-kogito",
    "flux",
    "nfs-provisioner-operator",
    "opentelemetry-operator",
];

/// What the real bundles render to, by name; where they are not there, a bundle of our own.
fn bundles(namespace: &str) -> Result<Vec<(String, Vec<Value>)>> {
    let data = std::env::var_os("OLM_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let mut bundles = vec![("fixture".to_owned(), operator(namespace))];
    let Ok(packages) = std::fs::read_dir(data.join("bundles")) else {
        return Ok(bundles);
    };
    let folders = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut roots: Vec<PathBuf> = packages
        .flatten()
        .flat_map(|package| folders(package.path()))
        .map(|at| at.path())
        .collect();
    roots.sort();
    if std::env::var_os("OLM_TEST_CORPUS").is_none_or(|corpus| corpus != "all") {
        let package = |root: &PathBuf| Some(root.parent()?.file_name()?.to_str()?.to_owned());
        roots.retain(|root| package(root).is_some_and(|name| SAMPLE.contains(&name.as_str())));
    }
    for root in roots.into_iter().filter(|root| root.is_dir()) {
        let mut tree = MemoryTree::default();
        for folder in ["manifests", "metadata"] {
            for file in folders(root.join(folder)) {
                let name = format!("{folder}/{}", file.file_name().to_string_lossy());
                tree.insert(&name, std::fs::read(file.path())?)?;
            }
        }
        let options = RenderOptions {
            install_namespace: namespace.to_owned(),
            target_namespaces: None,
            certificates: CertificateProvider::Own,
        };
        // What does not load or render is the business of the tests of bundles.
        if let Ok(bundle) = registry_v1::load(&tree)
            && let Ok(rendered) = registry_v1::render(&bundle, &options)
        {
            bundles.push((bundle.csv_name().to_owned(), rendered.objects));
        }
    }
    Ok(bundles)
}

#[tokio::test]
async fn real_bundles_are_installed_stay_settled_and_go_without_a_trace() -> Result<()> {
    let name = "apply-corpus";
    // Nobody's namespace, so that it need not go and come with every bundle.
    let space = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    let spaces = Fixture::new(name).await?.api("Namespace");
    spaces.create(&PostParams::default(), &space).await?;
    let mut wrong = Vec::new();
    for (bundle, mut objects) in bundles(name)? {
        let fixture = Fixture::new(name).await?;
        // Kinds of operators that are not installed here.
        let missing: Vec<(String, String)> = match fixture.plan(&objects, &[]).await {
            Err(ApplyError::Refused(refusals)) => refusals
                .into_iter()
                .filter(|refusal| refusal.reason == RefusalReason::NoMatch)
                .filter_map(|refusal| refusal.object)
                .map(|id| (id.api_version(), id.kind))
                .collect(),
            _ => Vec::new(),
        };
        objects.retain(|object| {
            let is = |kind: &(String, String)| {
                object["apiVersion"] == kind.0.as_str() && object["kind"] == kind.1.as_str()
            };
            !missing.iter().any(is)
        });
        let outcome = async {
            let plan = fixture.plan(&objects, &[]).await?;
            let inventory = plan.inventory();
            let applied = fixture.applier.apply(plan, ApplyOptions::default()).await?;
            let plan = fixture.plan(&objects, &inventory).await?;
            let changes: Vec<String> = plan.changes().map(ToString::to_string).collect();
            Ok::<_, ApplyError>((applied, changes))
        };
        match outcome.await {
            Err(error) => wrong.push(format!("{bundle}: {}", error.message())),
            Ok((applied, changes)) => {
                if !applied.is_complete() {
                    wrong.push(format!("{bundle}: waits for {:?}", applied.waiting));
                }
                if !changes.is_empty() {
                    wrong.push(format!("{bundle}: does not settle: {changes:?}"));
                }
            }
        }
        // What a failure left is found by its labels.
        let inventory = fixture.applier.find_owned(&fixture.owner).await?;
        let uninstall = async || {
            let options = UninstallOptions::default();
            let step = fixture
                .applier
                .uninstall(&fixture.owner, &inventory, options)
                .await?;
            Ok(step.is_done().then_some(()))
        };
        Wait::new(format!("{bundle} is gone"))
            .logs(&fixture.cluster)
            .value(uninstall)
            .await?;
        let left = fixture.applier.find_owned(&fixture.owner).await?;
        assert_eq!(left, Vec::<ObjectId>::new(), "{bundle}");
    }
    // Examples that their own definitions do not admit.
    wrong.retain(|text| {
        let known = [
            "ack-iam-controller.v0.0.10: Role ",
            "ecr-secret-operator.v0.3.2: Secret ",
        ];
        !known.iter().any(|start| text.starts_with(start))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
