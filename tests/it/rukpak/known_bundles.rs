//! Small bundles with a known answer each: what is missing, wrong or in the wrong place in them.

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use olm_tests::fixture::definition;
use olm_tests::wait::{self, message};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use super::cluster::{PLAIN, RukpakCluster};
use super::objects::{image, namespace};
use super::status::{active, why};

const ALPHA: &str = "operators.coreos.com/v1alpha1";
const V1: &str = "operators.coreos.com/v1";

fn olm(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
           "metadata": {"name": name, "namespace": "olm"}, "spec": {}})
}

#[tokio::test]
async fn every_kind_that_the_cluster_lacks_is_named_at_once() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let reference = fixture
        .push(
            "invalid-missing-crds:v1",
            &[
                ("manifests/00-namespace.yaml", namespace("olm")),
                ("manifests/01-config.yaml", olm(V1, "OLMConfig", "cluster")),
                (
                    "manifests/02-group.yaml",
                    olm(V1, "OperatorGroup", "olm-operators"),
                ),
                (
                    "manifests/03-csv.yaml",
                    olm(ALPHA, "ClusterServiceVersion", "packageserver"),
                ),
                (
                    "manifests/04-catalog.yaml",
                    olm(ALPHA, "CatalogSource", "operatorhub"),
                ),
            ],
        )
        .await?;
    fixture.deploy("missing", PLAIN, &reference).await?;
    let refused = fixture
        .said("missing", "Installed", "InstallFailed")
        .await?;
    let text = message(&refused, "Installed");
    assert!(text.starts_with("required resource not found: "), "{text}");
    for (kind, version) in [
        ("CatalogSource", ALPHA),
        ("ClusterServiceVersion", ALPHA),
        ("OLMConfig", V1),
        ("OperatorGroup", V1),
    ] {
        let line = format!("no matches for kind \"{kind}\" in version \"{version}\"");
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert_eq!(active(&refused), "");
    assert!(wait::has_reason(
        &refused,
        "Healthy",
        "False",
        "InstallationStatusFalse"
    ));
    assert!(wait::has_condition(&refused, "HasValidBundle", "True"));
    let namespaces: Api<Namespace> = Api::all(fixture.client.clone());
    assert!(namespaces.get_opt("olm").await?.is_none());
    fixture.uninstall("missing").await
}

#[tokio::test]
async fn definitions_and_their_custom_resources_may_come_in_one_bundle() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let catalogs = definition(ALPHA, "CatalogSource", "catalogsources");
    let reference = fixture
        .push(
            "crds-and-crs:v1",
            &[
                ("manifests/00-namespace.yaml", namespace("olm")),
                // The custom resource comes first in the bundle.
                (
                    "manifests/01-cr.yaml",
                    olm(ALPHA, "CatalogSource", "operatorhub"),
                ),
                ("manifests/02-crd.yaml", catalogs),
            ],
        )
        .await?;
    fixture.deploy("both", PLAIN, &reference).await?;
    let deployment = fixture.installed("both").await?;
    assert!(wait::has_reason(&deployment, "Healthy", "True", "Healthy"));
    let kind = GroupVersionKind::gvk("operators.coreos.com", "v1alpha1", "CatalogSource");
    let sources: Api<DynamicObject> =
        Api::namespaced_with(fixture.client.clone(), "olm", &ApiResource::from_gvk(&kind));
    assert!(sources.get_opt("operatorhub").await?.is_some());
    fixture.uninstall("both").await
}

#[tokio::test]
async fn folders_are_refused_and_nothing_is_no_bundle() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let mut subdir = MemoryTree::new();
    subdir.create_directory("manifests/emptydir")?;
    for (path, name) in [
        ("manifests/namespace-a.yaml", "a"),
        ("manifests/subdir/namespace-b.yaml", "b"),
    ] {
        subdir.insert(path, namespace(name).to_string())?;
    }
    let subdir = fixture.push_tree("subdir:v1", &subdir).await?;
    let refusal = "get objects from bundle manifests: subdirectories are not allowed within the \
                   \"manifests\" directory of the bundle image filesystem: found \
                   \"manifests/emptydir\"";
    fixture.create("subdir", PLAIN, image(&subdir)).await?;
    let bundle = fixture.unpacked("subdir", "UnpackFailed").await?;
    assert_eq!(why(&bundle), refusal);
    fixture.deploy("subdir", PLAIN, &subdir).await?;
    let refused = fixture
        .said("subdir", "HasValidBundle", "UnpackFailed")
        .await?;
    let bundles = fixture.bundles_of("subdir").await?;
    let bundle = bundles.first().context("no Bundle")?;
    assert_eq!(
        message(&refused, "HasValidBundle"),
        format!("Failed to unpack the {bundle} Bundle: {refusal}")
    );
    assert_eq!(active(&refused), "");
    assert_eq!(wait::condition(&refused, "Installed"), None);
    fixture.uninstall("subdir").await?;

    let mut nothing = MemoryTree::new();
    nothing.create_directory("manifests")?;
    let nothing = fixture.push_tree("no-manifests:v1", &nothing).await?;
    fixture.create("nothing", PLAIN, image(&nothing)).await?;
    let bundle = fixture.unpacked("nothing", "UnpackFailed").await?;
    assert_eq!(
        why(&bundle),
        "invalid bundle: found zero objects: plain+v0 bundles are required to contain at least \
         one object"
    );
    Ok(())
}

#[tokio::test]
async fn what_looks_like_a_template_is_installed_as_it_is_written() -> Result<()> {
    let fixture = RukpakCluster::start().await?;
    let text = "{{ .Values.x }} {{- if }} {{ fail \"never\" }}";
    let rule = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "alerts", "namespace": "default",
                     "annotations": {"helm.sh/hook": "pre-install"}},
        "data": {"text": text}});
    let reference = fixture
        .push("templated:v1", &[("manifests/rule.yaml", rule)])
        .await?;
    fixture.deploy("templated", PLAIN, &reference).await?;
    fixture.installed("templated").await?;
    let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), "default");
    assert_eq!(
        maps.get("alerts").await?.data.unwrap_or_default()["text"],
        text
    );
    // Nor do the words of another program exempt it from anything.
    fixture.uninstall("templated").await?;
    assert!(maps.get_opt("alerts").await?.is_none());
    Ok(())
}
