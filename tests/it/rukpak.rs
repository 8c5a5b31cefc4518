//! rukpak as a process against a real API server and a real registry.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt as _};
use olm_api::bundle::Bundle;
use olm_api::bundle_deployment::BundleDeployment;
use olm_tests::fixture::{Package, Version, role};
use olm_tests::publish::Publisher;
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, content};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

const PLAIN: &str = "core-rukpak-io-plain";
const REGISTRY: &str = "core-rukpak-io-registry";
const OWNER_NAME: &str = "core.rukpak.io/owner-name";

/// One cluster with rukpak and its webhook, and an open registry.
struct Fixture {
    cluster: ControlPlane,
    suite: Suite,
    registry: Registry,
    client: Client,
    bundles: Api<Bundle>,
    deployments: Api<BundleDeployment>,
}

impl Fixture {
    async fn new() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let options = SuiteOptions {
            plain_http_registries: vec![registry.host()],
            ..SuiteOptions::default()
        };
        let suite = Suite::install(&cluster, options).await?;
        suite.start_component("rukpak-webhooks").await?;
        suite.start_component("rukpak").await?;
        let client = cluster.client().await?;
        Ok(Self {
            bundles: Api::all(client.clone()),
            deployments: Api::all(client.clone()),
            cluster,
            suite,
            registry,
            client,
        })
    }

    /// Pushes files as a bundle image; its reference by tag.
    async fn push(&self, name: &str, files: &[(&str, Value)]) -> Result<String> {
        let mut tree = MemoryTree::default();
        for (path, object) in files {
            tree.insert(path, object.to_string())?;
        }
        Publisher::new(&self.registry).bundle(name, &tree).await?;
        Ok(format!("{}/{name}", self.registry.host()))
    }

    async fn create(&self, name: &str, class: &str, source: Value) -> Result<(), kube::Error> {
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "Bundle",
            "metadata": {"name": name},
            "spec": {"provisionerClassName": class, "source": source},
        }));
        let bundle = bundle.map_err(kube::Error::SerdeError)?;
        self.bundles.create(&PostParams::default(), &bundle).await?;
        Ok(())
    }

    /// Applies a BundleDeployment as operator-controller does.
    async fn deploy(&self, name: &str, class: &str, reference: &str) -> Result<()> {
        self.deploy_with(name, class, reference, json!({})).await
    }

    async fn deploy_with(
        &self,
        name: &str,
        class: &str,
        reference: &str,
        more: Value,
    ) -> Result<()> {
        let mut object = json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": name},
            "spec": {
                "provisionerClassName": PLAIN,
                "template": {"spec": {
                    "provisionerClassName": class,
                    "source": {"type": "image", "image": {"ref": reference}},
                }},
            },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        let parameters = PatchParams::apply("tests").force();
        self.deployments
            .patch(name, &parameters, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    /// The Bundle once its condition `Unpacked` has this reason.
    async fn unpacked(&self, name: &str, reason: &str) -> Result<Bundle> {
        Wait::new(format!("Unpacked of Bundle `{name}` is {reason}"))
            .logs(&self.suite)
            .object(&self.bundles, name, |bundle| {
                row(
                    bundle.status.as_ref().map(|status| &status.conditions),
                    "Unpacked",
                )
                .is_some_and(|row| row.reason == reason)
            })
            .await
    }

    /// The BundleDeployment once a condition has this reason at the current generation.
    async fn said(&self, name: &str, type_: &str, reason: &str) -> Result<BundleDeployment> {
        Wait::new(format!("{type_} of BundleDeployment `{name}` is {reason}"))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                condition(deployment, type_).is_some_and(|row| {
                    row.reason == reason
                        && row.observed_generation == deployment.metadata.generation
                })
            })
            .await
    }

    async fn installed(&self, name: &str) -> Result<BundleDeployment> {
        self.said(name, "Installed", "InstallationSucceeded").await
    }

    async fn uninstall(&self, name: &str) -> Result<()> {
        self.deployments
            .delete(name, &DeleteParams::default())
            .await?;
        Wait::new(format!("BundleDeployment `{name}` is gone"))
            .logs(&self.suite)
            .gone(&self.deployments, name)
            .await
    }

    /// The names of a deployment's Bundles.
    async fn bundles_of(&self, name: &str) -> Result<Vec<String>> {
        let selector = format!("{OWNER_NAME}={name}");
        let found = self
            .bundles
            .list(&ListParams::default().labels(&selector))
            .await?;
        Ok(found.iter().map(kube::ResourceExt::name_any).collect())
    }
}

type Conditions = Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>;

fn row<'a>(
    conditions: Option<&'a Conditions>,
    type_: &str,
) -> Option<&'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    conditions?.iter().find(|row| row.type_ == type_)
}

fn condition<'a>(
    deployment: &'a BundleDeployment,
    type_: &str,
) -> Option<&'a k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    row(
        deployment.status.as_ref().map(|status| &status.conditions),
        type_,
    )
}

fn message(deployment: &BundleDeployment, type_: &str) -> String {
    condition(deployment, type_)
        .map(|row| row.message.clone())
        .unwrap_or_default()
}

fn why(bundle: &Bundle) -> String {
    row(
        bundle.status.as_ref().map(|status| &status.conditions),
        "Unpacked",
    )
    .map(|row| row.message.clone())
    .unwrap_or_default()
}

fn active(deployment: &BundleDeployment) -> String {
    deployment
        .status
        .as_ref()
        .and_then(|status| status.active_bundle.clone())
        .unwrap_or_default()
}

fn pinned(bundle: &Bundle) -> String {
    let source = bundle
        .status
        .as_ref()
        .and_then(|status| status.resolved_source.as_ref());
    let image = source.and_then(|source| source.image.as_ref());
    image
        .map(|image| image.reference.clone())
        .unwrap_or_default()
}

fn image(reference: &str) -> Value {
    json!({"type": "image", "image": {"ref": reference}})
}

fn config_map(namespace: &str, name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap",
           "metadata": {"name": name, "namespace": namespace}, "data": {"key": value}})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn widgets() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.rukpak.example.com"},
        "spec": {
            "group": "rukpak.example.com", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget",
                      "listKind": "WidgetList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object",
                                    "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

fn widget(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "rukpak.example.com/v1", "kind": "Widget",
           "metadata": {"name": name, "namespace": namespace}})
}

#[tokio::test]
async fn a_bundle_is_unpacked_pinned_and_never_moves() -> Result<()> {
    let fixture = Fixture::new().await?;
    let first = [("manifests/a.yaml", config_map("a", "first", "1"))];
    let reference = fixture.push("plain:v1", &first).await?;
    fixture.create("plain", PLAIN, image(&reference)).await?;
    let bundle = fixture.unpacked("plain", "UnpackSuccessful").await?;
    let status = bundle.status.clone().context("no status")?;
    assert_eq!(status.phase.as_deref(), Some("Unpacked"));
    assert_eq!(why(&bundle), "Successfully unpacked the image Bundle");
    assert_eq!(status.content_url, None);
    let pin = pinned(&bundle);
    assert!(pin.contains("/plain@sha256:"), "{pin}");

    // The tag moves and the storage is lost: the same content comes back.
    let second = [("manifests/a.yaml", config_map("a", "second", "2"))];
    fixture.push("plain:v1", &second).await?;
    fixture.suite.kill("rukpak")?;
    let storage = fixture.suite.directory().to_owned();
    let removed = remove_contents(&storage)?;
    ensure!(
        removed > 0,
        "nothing was stored below {}",
        storage.display()
    );
    fixture.suite.start_component("rukpak").await?;
    Wait::new("the content is fetched again")
        .logs(&fixture.suite)
        .value(async || Ok((count_contents(&storage)? >= removed).then_some(())))
        .await?;
    let again = fixture.unpacked("plain", "UnpackSuccessful").await?;
    assert_eq!(pinned(&again), pin);

    // Its content goes with it.
    fixture
        .bundles
        .delete("plain", &DeleteParams::default())
        .await?;
    Wait::new("the Bundle is gone")
        .logs(&fixture.suite)
        .gone(&fixture.bundles, "plain")
        .await
}

/// Removes the stored contents below a folder; how many there were.
fn remove_contents(below: &std::path::Path) -> Result<usize> {
    let found = contents(below)?;
    for content in &found {
        std::fs::remove_dir_all(content)?;
    }
    Ok(found.len())
}

fn count_contents(below: &std::path::Path) -> Result<usize> {
    Ok(contents(below)?.len())
}

fn contents(below: &std::path::Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !path.is_dir() {
                continue;
            }
            if name.starts_with("sha256:") {
                found.push(path);
            } else {
                folders.push(path);
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn content_that_is_no_bundle_says_so_in_known_words() -> Result<()> {
    let fixture = Fixture::new().await?;
    let empty = fixture
        .push("empty:v1", &[("emptyfile", json!({}))])
        .await?;
    let object = config_map("a", "a", "1");
    let folders = [
        ("manifests/namespace-a.yaml", namespace("a")),
        ("manifests/subdir/b.yaml", object.clone()),
    ];
    let subdir = fixture.push("subdir:v1", &folders).await?;
    let absent = format!("{}/plain:absent", fixture.registry.host());
    let git = json!({"type": "git", "git": {"repository": "https://example.com/a",
                     "ref": {"tag": "v1"}}});
    fixture
        .create("unknown-class", "non-existent-class-name", image(&empty))
        .await?;
    let cases = [
        (
            "empty",
            image(&empty),
            "get objects from bundle manifests: readdir manifests: file does not exist",
        ),
        (
            "subdir",
            image(&subdir),
            "get objects from bundle manifests: subdirectories are not allowed within the \
             \"manifests\" directory of the bundle image filesystem: found \"manifests/subdir\"",
        ),
        (
            "git",
            git,
            "source bundle content: source type \"git\" is not supported",
        ),
        ("absent", image(&absent), "source bundle content: "),
        (
            "reference",
            image("not a reference"),
            "source bundle content: error parsing image reference",
        ),
    ];
    for (name, source, text) in cases {
        fixture.create(name, PLAIN, source).await?;
        let bundle = fixture.unpacked(name, "UnpackFailed").await?;
        let status = bundle.status.clone().context("no status")?;
        assert_eq!(status.phase.as_deref(), Some("Failing"));
        assert_eq!(status.resolved_source, None);
        assert!(why(&bundle).starts_with(text), "{name}: {}", why(&bundle));
    }
    // The image that was absent is pushed: nobody has to touch the Bundle.
    fixture
        .push("plain:absent", &[("manifests/a.yaml", object)])
        .await?;
    fixture.unpacked("absent", "UnpackSuccessful").await?;
    let unknown = fixture.bundles.get("unknown-class").await?;
    assert!(unknown.status.is_none(), "{:?}", unknown.status);
    Ok(())
}

#[tokio::test]
async fn a_class_that_is_not_built_says_so_and_a_foreign_one_is_left_alone() -> Result<()> {
    const HELM: &str = "core-rukpak-io-helm";
    let fixture = Fixture::new().await?;
    let reference = format!("{}/class:v1", fixture.registry.host());
    let class = |class: &str| json!({"provisionerClassName": class});
    fixture
        .create("foreign", "example-com-other", image(&reference))
        .await?;
    fixture
        .deploy_with("foreign", PLAIN, &reference, class("example-com-other"))
        .await?;

    fixture.create("chart", HELM, image(&reference)).await?;
    let bundle = fixture.unpacked("chart", "UnpackFailed").await?;
    let refusal = "provisioner class \"core-rukpak-io-helm\" is not supported; \
                   supported: core-rukpak-io-plain, core-rukpak-io-registry";
    assert_eq!(why(&bundle), refusal);
    let phase = bundle.status.as_ref().and_then(|s| s.phase.as_deref());
    assert_eq!(phase, Some("Failing"));
    assert!(bundle.finalizers().is_empty());

    for (name, own) in [("chart", HELM), ("converted", "core-rukpak-io-registry")] {
        fixture
            .deploy_with(name, own, &reference, class(own))
            .await?;
        let refused = fixture
            .said(name, "HasValidBundle", "BundleLoadFailed")
            .await?;
        let text = message(&refused, "HasValidBundle");
        assert!(text.starts_with(&format!(
            "provisioner class \"{own}\" is not supported for BundleDeployments; \
             supported: core-rukpak-io-plain"
        )));
        assert!(refused.finalizers().is_empty());
        fixture.uninstall(name).await?;
    }
    fixture.deploy("template", HELM, &reference).await?;
    let failed = fixture
        .said("template", "HasValidBundle", "UnpackFailed")
        .await?;
    assert!(message(&failed, "HasValidBundle").ends_with(refusal));
    fixture.uninstall("template").await?;

    // Everything above came after these, and they are untouched.
    assert!(fixture.bundles.get("foreign").await?.status.is_none());
    assert!(fixture.deployments.get("foreign").await?.status.is_none());
    Ok(())
}

#[tokio::test]
async fn the_webhook_refuses_in_the_words_that_users_know() -> Result<()> {
    let fixture = Fixture::new().await?;
    fixture
        .create("combo", PLAIN, image("example.com/a:v1"))
        .await?;
    let patch = r#"{"spec":{"source":{"image":{"ref":"example.com/a:v2"}}}}"#;
    let arguments = ["patch", "bundle", "combo", "--type=merge", "-p", patch];
    let refused = fixture
        .cluster
        .kubectl(&arguments)
        .await
        .err()
        .context("the patch went through")?;
    let text = format!("{refused:#}");
    let wanted = "Error from server (bundle.spec is immutable): admission webhook \
                  \"vbundles.core.rukpak.io\" denied the request: bundle.spec is immutable";
    assert!(text.contains(wanted), "{text}");
    let labels = ["label", "bundle", "combo", "a=b"];
    fixture.cluster.kubectl(&labels).await?;

    let git = json!({"repository": "https://example.com/a", "ref": {"tag": "v1"}});
    let outside =
        json!({"repository": "https://example.com/a", "ref": {"tag": "v1"}, "directory": ".."});
    let cases = [
        (
            json!({"type": "git", "image": {"ref": "a"}}),
            "bundle.spec.source.git must be set for source type \"git\"",
        ),
        (
            json!({"type": "image", "git": git}),
            "bundle.spec.source.image must be set for source type \"image\"",
        ),
        (
            json!({"type": "git", "git": outside}),
            "bundle.spec.source.git.directory begins with \"../\": directory must define path within the repository",
        ),
        (
            json!({"type": "http", "image": {"ref": "a"}}),
            "bundle.spec.source.http must be set for source type \"http\"",
        ),
    ];
    for (source, text) in cases {
        let error = fixture
            .create("refused", PLAIN, source)
            .await
            .err()
            .context("created")?;
        assert!(error.to_string().contains(text), "{error}");
    }
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let open = serde_json::from_value(json!({"metadata": {"name": "open"}}))?;
    maps.create(&PostParams::default(), &open).await?;
    let source = json!({"type": "configMaps", "configMaps": [{"configMap": {"name": "open"}}]});
    let error = fixture
        .create("maps", PLAIN, source)
        .await
        .err()
        .context("created")?;
    let text = "bundle.spec.source.configmaps[0].configmap.name is invalid: configmap \"open\" is not immutable";
    assert!(error.to_string().contains(text), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_plain_bundle_is_installed_repaired_replaced_and_removed() -> Result<()> {
    let fixture = Fixture::new().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "plain");
    let first = fixture
        .push(
            "plain:v1",
            &[
                ("manifests/0.yaml", namespace("plain")),
                ("manifests/1.yaml", config_map("plain", "kept", "1")),
                ("manifests/2.yaml", config_map("plain", "dropped", "1")),
                ("manifests/3.yaml", widgets()),
                ("manifests/4.yaml", widget("plain", "shipped")),
            ],
        )
        .await?;
    fixture.deploy("plain", PLAIN, &first).await?;
    let deployment = fixture.installed("plain").await?;
    let bundle = active(&deployment);
    assert_eq!(
        message(&deployment, "Installed"),
        format!("Instantiated bundle {bundle} successfully")
    );
    assert_eq!(
        message(&deployment, "Healthy"),
        "BundleDeployment is healthy"
    );
    assert_eq!(
        message(&deployment, "HasValidBundle"),
        format!("Successfully unpacked the {bundle} Bundle")
    );
    let owner = fixture
        .bundles
        .get(&bundle)
        .await?
        .owner_references()
        .first()
        .cloned();
    assert_eq!(owner.map(|owner| owner.name), Some("plain".to_owned()));
    let status = deployment.status.context("no status")?;
    let inventory = status.inventory.context("no inventory")?;
    assert_eq!(inventory.objects.len(), 5);
    assert!(inventory.applying.is_none());

    // Drift is repaired, also while the next template cannot be had.
    maps.delete("kept", &DeleteParams::default()).await?;
    Wait::new("what was deleted is back")
        .logs(&fixture.suite)
        .object(&maps, "kept", |_| true)
        .await?;
    let absent = format!("{}/plain:absent", fixture.registry.host());
    fixture.deploy("plain", PLAIN, &absent).await?;
    let failing = fixture
        .said("plain", "HasValidBundle", "UnpackFailed")
        .await?;
    assert!(message(&failing, "HasValidBundle").starts_with("Failed to unpack the plain-"));
    assert_eq!(active(&failing), bundle);
    let before = condition(&failing, "Installed").context("no Installed")?;
    assert_eq!(
        (before.status.as_str(), before.observed_generation),
        ("True", Some(1))
    );
    assert_eq!(fixture.bundles_of("plain").await?.len(), 2);
    let changed = json!({"data": {"key": "changed"}});
    maps.patch("kept", &PatchParams::default(), &Patch::Merge(&changed))
        .await?;
    Wait::new("what was changed is as before")
        .logs(&fixture.suite)
        .object(&maps, "kept", |map| {
            map.data.as_ref().is_some_and(|data| data["key"] == "1")
        })
        .await?;

    // The next version: what it drops goes, and so do the Bundles before it. The definition has
    // instances of users and stays.
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("rukpak.example.com", "v1", "Widget"));
    let instances: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), "plain", &resource);
    let users: DynamicObject = serde_json::from_value(widget("plain", "users"))?;
    instances.create(&PostParams::default(), &users).await?;
    let second = fixture
        .push(
            "plain:v2",
            &[
                ("manifests/0.yaml", namespace("plain")),
                ("manifests/1.yaml", config_map("plain", "kept", "2")),
            ],
        )
        .await?;
    fixture.deploy("plain", PLAIN, &second).await?;
    let deployment = fixture.installed("plain").await?;
    assert_ne!(active(&deployment), bundle);
    assert_eq!(maps.get("kept").await?.data.unwrap_or_default()["key"], "2");
    Wait::new("what was dropped is gone")
        .logs(&fixture.suite)
        .gone(&maps, "dropped")
        .await?;
    Wait::new("only the active Bundle is left")
        .logs(&fixture.suite)
        .value(async || {
            Ok((fixture.bundles_of("plain").await? == [active(&deployment)]).then_some(()))
        })
        .await?;
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    assert!(crds.get_opt("widgets.rukpak.example.com").await?.is_some());
    assert!(instances.get_opt("users").await?.is_some());

    fixture.uninstall("plain").await?;
    assert!(crds.get_opt("widgets.rukpak.example.com").await?.is_none());
    assert!(maps.get_opt("kept").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn an_object_that_another_took_does_not_stop_the_repair_of_the_rest() -> Result<()> {
    let fixture = Fixture::new().await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "partly");
    let reference = fixture
        .push(
            "partly:v1",
            &[
                ("manifests/0.yaml", namespace("partly")),
                ("manifests/1.yaml", config_map("partly", "gone", "1")),
                ("manifests/2.yaml", config_map("partly", "taken", "1")),
            ],
        )
        .await?;
    fixture.deploy("partly", PLAIN, &reference).await?;
    fixture.installed("partly").await?;
    let take = json!({"metadata": {"labels": {OWNER_NAME: "another"}}});
    maps.patch("taken", &PatchParams::default(), &Patch::Merge(&take))
        .await?;
    let failed = fixture.said("partly", "Healthy", "ReconcileFailed").await?;
    assert_eq!(
        message(&failed, "Healthy"),
        "cannot repair what is installed: ConfigMap \"taken\" in namespace \"partly\" exists and \
         is owned by BundleDeployment \"another\", not by BundleDeployment \"partly\""
    );
    maps.delete("gone", &DeleteParams::default()).await?;
    Wait::new("what was deleted is back")
        .logs(&fixture.suite)
        .object(&maps, "gone", |_| true)
        .await?;
    fixture.uninstall("partly").await?;
    assert!(maps.get_opt("gone").await?.is_none());
    assert!(maps.get_opt("taken").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn an_installation_waits_for_what_it_needs_and_says_why() -> Result<()> {
    let fixture = Fixture::new().await?;
    let dependent = fixture
        .push(
            "dependent:v1",
            &[
                ("manifests/0.yaml", namespace("dependent")),
                ("manifests/1.yaml", widget("dependent", "global")),
            ],
        )
        .await?;
    fixture.deploy("dependent", PLAIN, &dependent).await?;
    let refused = fixture
        .said("dependent", "Installed", "InstallFailed")
        .await?;
    let text = message(&refused, "Installed");
    assert!(text.starts_with("required resource not found: "), "{text}");
    assert!(
        text.contains("no matches for kind \"Widget\" in version \"rukpak.example.com/v1\""),
        "{text}"
    );
    assert_eq!(message(&refused, "Healthy"), "Installed condition is false");
    assert_eq!(active(&refused), "");
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    assert!(
        namespaces.get_opt("dependent").await?.is_none(),
        "something was written"
    );

    let provides = fixture
        .push("provides:v1", &[("manifests/0.yaml", widgets())])
        .await?;
    fixture.deploy("provides", PLAIN, &provides).await?;
    fixture.installed("provides").await?;
    fixture.installed("dependent").await?;

    // An upgrade that is refused leaves what runs, and repairs it.
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    let foreign = serde_json::from_value(config_map("default", "foreign", "theirs"))?;
    maps.create(&PostParams::default(), &foreign).await?;
    let taken = fixture
        .push(
            "provides:v2",
            &[
                ("manifests/0.yaml", widgets()),
                ("manifests/1.yaml", config_map("default", "foreign", "ours")),
            ],
        )
        .await?;
    let active_before = active(&fixture.deployments.get("provides").await?);
    fixture.deploy("provides", PLAIN, &taken).await?;
    let refused = fixture
        .said("provides", "Installed", "UpgradeFailed")
        .await?;
    let text = message(&refused, "Installed");
    assert!(
        text.contains("ConfigMap \"foreign\" in namespace \"default\" exists"),
        "{text}"
    );
    assert_eq!(active(&refused), active_before);
    assert_eq!(
        maps.get("foreign").await?.data.unwrap_or_default()["key"],
        "theirs"
    );
    // It heals when the cause goes, by its own retries.
    maps.delete("foreign", &DeleteParams::default()).await?;
    fixture.installed("provides").await?;
    assert_eq!(
        maps.get("foreign").await?.data.unwrap_or_default()["key"],
        "ours"
    );

    // A plain bundle whose objects name no namespace has no place until one is given.
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "homeless"}});
    let homeless = fixture
        .push("homeless:v1", &[("manifests/0.yaml", object)])
        .await?;
    fixture.deploy("homeless", PLAIN, &homeless).await?;
    let refused = fixture
        .said("homeless", "Installed", "InstallFailed")
        .await?;
    assert!(
        message(&refused, "Installed").contains("\"homeless\""),
        "{}",
        message(&refused, "Installed")
    );
    let place = json!({"installNamespace": "home"});
    fixture
        .deploy_with("homeless", PLAIN, &homeless, place)
        .await?;
    let deployment = fixture.installed("homeless").await?;
    let status = deployment.status.context("no status")?;
    assert_eq!(status.install_namespace.as_deref(), Some("home"));
    fixture.uninstall("homeless").await?;
    let home = namespaces.get("home").await?;
    assert!(
        !home.labels().contains_key(OWNER_NAME),
        "the install namespace is owned"
    );
    assert!(home.metadata.deletion_timestamp.is_none());
    Ok(())
}

#[tokio::test]
async fn a_registry_bundle_with_a_webhook_lives_from_install_to_uninstall() -> Result<()> {
    let fixture = Fixture::new().await?;
    let package = Package::new(
        "gadget-operator",
        [
            Version::new("1.0.0")
                .with_webhook()
                .with("role.yaml", role("dropped")),
            Version::new("1.1.0").with_webhook(),
        ],
    );
    let content = package.content();
    let publisher = Publisher::new(&fixture.registry);
    let first = publisher
        .bundle("gadget:v1", &content.bundle("1.0.0")?.files)
        .await?;
    let second = publisher
        .bundle("gadget:v2", &content.bundle("1.1.0")?.files)
        .await?;
    fixture.deploy("gadget", REGISTRY, &first).await?;
    let deployment = fixture.installed("gadget").await?;
    let status = deployment.status.clone().context("no status")?;
    assert_eq!(
        status.install_namespace.as_deref(),
        Some("gadget-operator-system")
    );
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    let home = namespaces.get("gadget-operator-system").await?;
    assert!(!home.labels().contains_key(OWNER_NAME));
    let workloads: Api<Deployment> =
        Api::namespaced(fixture.client.clone(), "gadget-operator-system");
    let workload = workloads.get("gadget-operator").await?;
    assert_eq!(workload.labels()[OWNER_NAME], "gadget");
    let applied = status
        .inventory
        .context("no inventory")?
        .installed
        .context("nothing installed")?;
    assert_eq!(applied.certificate_provider.as_deref(), Some("own"));
    let secrets: Api<Secret> = Api::namespaced(fixture.client.clone(), "gadget-operator-system");
    let leaf = secrets.get("gadget-operator-service-cert").await?;
    let authorities: Api<Secret> =
        Api::namespaced(fixture.client.clone(), fixture.suite.namespace());
    let authority = authorities.get("gadget-webhook-ca").await?;
    let ca = authority.data.unwrap_or_default()["ca.crt"].clone();
    assert_eq!(leaf.data.unwrap_or_default()["ca.crt"], ca);
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(fixture.client.clone());
    let selector = format!("{OWNER_NAME}=gadget");
    let ours = webhooks
        .list(&ListParams::default().labels(&selector))
        .await?;
    let bundle = ours.items.first().and_then(|found| {
        found
            .webhooks
            .as_ref()?
            .first()?
            .client_config
            .ca_bundle
            .clone()
    });
    assert_eq!(bundle, Some(ca));

    // The certificate of the webhook is repaired like everything else.
    secrets
        .delete("gadget-operator-service-cert", &DeleteParams::default())
        .await?;
    Wait::new("the certificate is back")
        .logs(&fixture.suite)
        .object(&secrets, "gadget-operator-service-cert", |_| true)
        .await?;

    // A restart in the middle of an upgrade is harmless.
    fixture.deploy("gadget", REGISTRY, &second).await?;
    fixture.suite.restart("rukpak").await?;
    let upgraded = fixture.installed("gadget").await?;
    assert_ne!(active(&upgraded), active(&deployment));
    let roles: Api<DynamicObject> = Api::namespaced_with(
        fixture.client.clone(),
        "gadget-operator-system",
        &ApiResource::from_gvk(&GroupVersionKind::gvk(
            "rbac.authorization.k8s.io",
            "v1",
            "Role",
        )),
    );
    Wait::new("the dropped role is gone")
        .logs(&fixture.suite)
        .gone(&roles, "dropped")
        .await?;
    let workload = workloads.get("gadget-operator").await?;
    let image =
        serde_json::to_value(&workload)?["spec"]["template"]["spec"]["containers"][0]["image"]
            .clone();
    assert_eq!(image, "example.com/gadget-operator:1.1.0");

    // An instance with a finalizer that nobody serves holds the removal, which names it.
    let kind = GroupVersionKind::gvk(&package.group(), "v1", &package.kind());
    let resource = ApiResource::from_gvk_with_plural(&kind, &package.plural());
    let instances: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), "default", &resource);
    let stuck: DynamicObject = serde_json::from_value(json!({
        "apiVersion": format!("{}/v1", package.group()), "kind": package.kind(),
        "metadata": {"name": "stuck", "finalizers": ["example.com/nobody"]}}))?;
    instances.create(&PostParams::default(), &stuck).await?;
    fixture
        .deployments
        .delete("gadget", &DeleteParams::default())
        .await?;
    Wait::new("the removal names what holds it")
        .logs(&fixture.suite)
        .object(&fixture.deployments, "gadget", |deployment| {
            message(deployment, "Uninstalling").contains("default/stuck")
        })
        .await?;
    assert!(
        workloads.get_opt("gadget-operator").await?.is_some(),
        "the operator went too early"
    );
    let release = json!({"metadata": {"finalizers": null}});
    instances
        .patch("stuck", &PatchParams::default(), &Patch::Merge(&release))
        .await?;
    Wait::new("the BundleDeployment is gone")
        .logs(&fixture.suite)
        .gone(&fixture.deployments, "gadget")
        .await?;
    assert!(workloads.get_opt("gadget-operator").await?.is_none());
    assert!(authorities.get_opt("gadget-webhook-ca").await?.is_none());
    assert!(
        webhooks
            .list(&ListParams::default().labels(&selector))
            .await?
            .items
            .is_empty()
    );
    assert!(
        namespaces
            .get("gadget-operator-system")
            .await?
            .metadata
            .deletion_timestamp
            .is_none()
    );
    Wait::new("its Bundles are collected")
        .within(Duration::from_secs(90))
        .logs(&fixture.suite)
        .value(async || Ok(fixture.bundles_of("gadget").await?.is_empty().then_some(())))
        .await
}

#[tokio::test]
async fn a_bundle_that_cannot_be_deployed_is_refused_before_anything_is_written() -> Result<()> {
    let fixture = Fixture::new().await?;
    let package = Package::new("own-operator", [Version::new("1.0.0")]);
    let content = package.content();
    let files = &content.bundle("1.0.0")?.files;
    let mut tree = MemoryTree::default();
    for path in [
        "metadata/annotations.yaml",
        "manifests/crd.yaml",
        "manifests/csv.yaml",
    ] {
        let bytes = olm_tree::Tree::read(files, &olm_tree::RelPath::parse(path)?, 1 << 20)?;
        let text = String::from_utf8(bytes)?.replace("AllNamespaces", "OwnNamespace");
        tree.insert(path, text)?;
    }
    let reference = Publisher::new(&fixture.registry)
        .bundle("own:v1", &tree)
        .await?;
    fixture.deploy("own", REGISTRY, &reference).await?;
    let refused = fixture
        .said("own", "HasValidBundle", "BundleLoadFailed")
        .await?;
    assert_eq!(
        message(&refused, "HasValidBundle"),
        "convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled"
    );
    assert_eq!(active(&refused), "");
    let accounts: Api<ServiceAccount> = Api::all(fixture.client.clone());
    let selector = format!("{OWNER_NAME}=own");
    assert!(
        accounts
            .list(&ListParams::default().labels(&selector))
            .await?
            .items
            .is_empty()
    );
    fixture.uninstall("own").await
}

/// Real operators that can be installed, and one whose definitions no cluster serves any more.
const REAL: [(&str, &str); 6] = [
    ("cert-manager", "1.9.1"),
    ("clickhouse", "0.26.0"),
    ("flux", "0.13.4"),
    ("oadp-operator", "0.2.3"),
    ("rabbitmq-cluster-operator", "2.22.3"),
    ("rabbitmq-messaging-topology-operator", "1.19.3"),
];

/// Real operators of real catalogs, if the data is here.
#[tokio::test]
async fn real_bundles_are_installed_side_by_side_and_removed() -> Result<()> {
    let Some(data) = content::data() else {
        return Ok(());
    };
    let fixture = Fixture::new().await?;
    let publisher = Publisher::new(&fixture.registry);
    for (package, version) in REAL {
        let files = content::files(&data.join("bundles").join(package).join(version))?;
        let name = format!("real/{package}:v{version}");
        let reference = publisher.bundle(&name, &files).await?;
        fixture.deploy(package, REGISTRY, &reference).await?;
    }
    for (package, _) in REAL {
        if package == "oadp-operator" {
            let refused = fixture
                .said(package, "HasValidBundle", "UnpackFailed")
                .await?;
            let text = message(&refused, "HasValidBundle");
            assert!(text.contains("apiextensions.k8s.io/v1beta1"), "{text}");
        } else {
            fixture.installed(package).await?;
        }
    }
    for (package, _) in REAL {
        fixture.uninstall(package).await?;
    }
    let crds: Api<CustomResourceDefinition> = Api::all(fixture.client.clone());
    let left = crds.list(&ListParams::default().labels(OWNER_NAME)).await?;
    assert!(left.items.is_empty(), "{:?}", left.items.len());
    Ok(())
}
