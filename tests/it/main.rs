//! Integration tests: the parts of the suite against a real control plane and real registries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod admission;
mod apply;
mod catalogd;
mod corpus;
mod harness;
mod rukpak;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use olm_tests::{ControlPlane, Wait, chart, wait};

/// Makes sure that the suite's kinds are served.
async fn definitions(cluster: &ControlPlane) -> anyhow::Result<()> {
    let client = cluster.client().await?;
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in olm_api::crds() {
        chart::apply(&client, &definition, "default").await?;
        let name = definition["metadata"]["name"].as_str().unwrap_or_default();
        Wait::new(format!("{name} is served"))
            .object(&api, name, |crd| {
                wait::has_condition(crd, "Established", "True")
            })
            .await?;
    }
    Ok(())
}
