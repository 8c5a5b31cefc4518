//! Bundles of real catalogs, installed side by side.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;
use olm_tests::content;
use olm_tests::publish::Publisher;

use super::cluster::{OWNER_NAME, REGISTRY, RukpakCluster};
use olm_tests::wait::message;

/// Real operators that can be installed, one of them with definitions of an older kind, and one
/// whose definitions cannot be converted.
const REAL: [(&str, &str); 7] = [
    (REFUSED, "0.5.1"),
    ("cert-manager", "1.9.1"),
    ("clickhouse", "0.26.0"),
    ("flux", "0.13.4"),
    ("prometheus", "0.37.0"),
    ("rabbitmq-cluster-operator", "2.22.3"),
    ("rabbitmq-messaging-topology-operator", "1.19.3"),
];

const REFUSED: &str = "3scale-community-operator";

/// Real operators of real catalogs, if the data is here.
#[tokio::test]
async fn real_bundles_are_installed_side_by_side_and_removed() -> Result<()> {
    let Some(data) = content::data()? else {
        return Ok(());
    };
    // One of them is cert-manager, which the others are not to rely on.
    let fixture = RukpakCluster::start_with(&["rukpak.certificateProvider=own"]).await?;
    let publisher = Publisher::new(&fixture.registry);
    for (package, version) in REAL {
        let files = content::files(&data.join("bundles").join(package).join(version))?;
        let name = format!("real/{package}:v{version}");
        let reference = publisher.bundle(&name, &files).await?;
        fixture.deploy(package, REGISTRY, &reference).await?;
    }
    for (package, _) in REAL {
        if package == REFUSED {
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
