//! What cannot be installed as it is.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, ResourceExt as _};
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::wait::message;
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::{OWNER_NAME, PLAIN, REGISTRY, RukpakCluster};
use super::objects::{config_map, namespace, widget, widgets};
use super::status::active;

#[tokio::test]
async fn an_installation_waits_for_what_it_needs_and_says_why() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
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
async fn a_bundle_that_cannot_be_deployed_is_refused_before_anything_is_written() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
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
        "convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled; \
         invalid configuration: required field \"watchNamespace\" is missing"
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
