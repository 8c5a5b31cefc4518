//! operator-controller, while an Operator is installed with two that it requires.

use anyhow::Result;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::{Registry, RegistryOptions, Wait, wait};
use serde_json::json;

use super::{PATIENCE, Place, Story, struck, weathered};

/// The package that is asked for, and those that it requires.
const TOP: &str = "crash-top";
const REQUIRED: [&str; 2] = ["crash-left", "crash-right"];

/// What a user does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The first version of the one that requires the others.
    Install,
    /// Its next version.
    Upgrade,
    /// The end of all three.
    Remove,
}

struct Required {
    place: Place,
    operators: Api<Operator>,
    _registry: Registry,
}

impl Required {
    async fn start() -> Result<Self> {
        let registry = Registry::start(RegistryOptions::default()).await?;
        let top = ["0.1.0", "0.2.0"].map(|version| {
            let requires = |version: Version, name: &&str| version.requiring(name, ">=1.0.0");
            REQUIRED.iter().fold(Version::new(version), requires)
        });
        let mut packages = vec![Package::new(TOP, top).content()];
        for name in REQUIRED {
            packages.push(Package::new(name, [Version::new("1.0.0")]).content());
        }
        let publisher = Publisher::new(&registry);
        let catalog = publisher.catalog("crash/catalog:v1", &packages).await?;
        let components = ["catalogd", "rukpak-webhooks", "rukpak", Self::VICTIM];
        let place = Place::start(&registry, Self::VICTIM, &components).await?;
        let catalogs: Api<Catalog> = Api::all(place.client.clone());
        let object = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "crash"},
            "spec": {"source": {"type": "image",
                "image": {"ref": catalog.reference, "pollInterval": "0s"}}},
        });
        let apply = PatchParams::apply("a-user");
        catalogs
            .patch("crash", &apply, &Patch::Apply(&object))
            .await?;
        Wait::new("the catalog is served")
            .within(PATIENCE)
            .logs(&place.suite)
            .object(&catalogs, "crash", |catalog| {
                wait::has_condition(catalog, "Unpacked", "True")
            })
            .await?;
        Ok(Self {
            operators: Api::all(place.client.clone()),
            place,
            _registry: registry,
        })
    }

    /// Waits until a version runs, and all is well.
    async fn runs(&self, name: &str, version: &str) -> Result<()> {
        Wait::new(format!("{name} {version} runs"))
            .within(PATIENCE)
            .logs(&self.place.suite)
            .object(&self.operators, name, |operator| {
                let installed = operator
                    .status
                    .as_ref()
                    .and_then(|of| of.installed.as_ref());
                installed.is_some_and(|of| of.version == version)
                    && wait::has_condition(operator, "Ready", "True")
            })
            .await?;
        Ok(())
    }
}

impl Story for Required {
    const VICTIM: &str = "operator-controller";

    type Stage = Stage;

    const STAGES: &[Stage] = &[Stage::Install, Stage::Upgrade, Stage::Remove];

    async fn ask(&self, stage: Stage) -> Result<()> {
        let version = match stage {
            Stage::Install => "0.1.0",
            Stage::Upgrade => "0.2.0",
            Stage::Remove => {
                for name in [TOP].into_iter().chain(REQUIRED) {
                    self.operators
                        .delete(name, &DeleteParams::default())
                        .await?;
                    // One that is still required would be made again.
                    Wait::new(format!("{name} is gone"))
                        .within(PATIENCE)
                        .logs(&self.place.suite)
                        .gone(&self.operators, name)
                        .await?;
                }
                return Ok(());
            }
        };
        let object = json!({
            "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": TOP},
            "spec": {"packageName": TOP, "version": version},
        });
        let apply = PatchParams::apply("a-user").force();
        self.operators
            .patch(TOP, &apply, &Patch::Apply(&object))
            .await?;
        Ok(())
    }

    async fn reached(&self, stage: Stage) -> Result<()> {
        let version = match stage {
            Stage::Install => "0.1.0",
            Stage::Upgrade => "0.2.0",
            Stage::Remove => {
                let deployments: Api<BundleDeployment> = Api::all(self.place.client.clone());
                for name in [TOP].into_iter().chain(REQUIRED) {
                    Wait::new(format!("the BundleDeployment of {name} is gone"))
                        .within(PATIENCE)
                        .logs(&self.place.suite)
                        .gone(&deployments, name)
                        .await?;
                }
                return self.place.no_bundles().await;
            }
        };
        self.runs(TOP, version).await?;
        for name in REQUIRED {
            self.runs(name, "1.0.0").await?;
        }
        Ok(())
    }

    fn place(&self) -> &Place {
        &self.place
    }
}

#[tokio::test]
async fn killed_at_any_write_operator_controller_comes_to_the_same_end() -> Result<()> {
    struck(&Required::start().await?).await
}

#[tokio::test]
async fn operator_controller_bears_conflicts_and_broken_watches() -> Result<()> {
    weathered(&Required::start().await?).await
}
