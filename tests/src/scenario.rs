//! The two packages of the demo and of the end-to-end tests: one that is installed and upgraded
//! along real edges, and one that needs it.

use anyhow::Result;

use crate::content::PackageContent;
use crate::fixture::{Package, Version};

/// Two packages, of which the second needs the first.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Whether these are real bundles.
    pub real: bool,
    /// Installed first, pinned, then walked along its channel `stable`.
    pub base: PackageContent,
    /// The versions of `base`, oldest first, each replacing the one before.
    pub base_versions: Vec<String>,
    /// Needs `base`.
    pub dependant: PackageContent,
    /// The versions of `dependant`, oldest first; the last one is published later.
    pub dependant_versions: Vec<String>,
    /// What the refusal names when `dependant` is asked for alone.
    pub missing: Vec<String>,
}

impl Scenario {
    /// The real packages where the data is, else ones of the project's own.
    ///
    /// # Errors
    /// When the data is there and cannot be read.
    pub fn load() -> Result<Self> {
        let (base, dependant) = (
            "rabbitmq-cluster-operator",
            "rabbitmq-messaging-topology-operator",
        );
        let base_versions = ["2.21.1", "2.22.1", "2.22.2", "2.22.3"];
        let dependant_versions = ["1.18.2", "1.19.2", "1.19.3"];
        let real = PackageContent::real(base, &base_versions)?
            .zip(PackageContent::real(dependant, &dependant_versions)?);
        Ok(match real {
            Some((base, dependant)) => Self {
                real: true,
                base,
                base_versions: base_versions.map(str::to_owned).into(),
                dependant,
                dependant_versions: dependant_versions.map(str::to_owned).into(),
                missing: vec![
                    r#"requires package "rabbitmq-cluster-operator""#.to_owned(),
                    "rabbitmq.com/v1beta1 RabbitmqCluster".to_owned(),
                ],
            },
            None => Self::own(),
        })
    }

    /// Packages of the project's own of the same shape.
    pub fn own() -> Self {
        let base = Package::new(
            "lantern-operator",
            [
                Version::new("1.0.0"),
                Version::new("1.1.0").with_webhook(),
                Version::new("1.1.1").with_webhook(),
                Version::new("1.2.0").with_webhook(),
            ],
        );
        let needing = |version| Version::new(version).requiring("lantern-operator", ">=1.0.0");
        let dependant = Package::new(
            "lantern-mesh-operator",
            [needing("0.1.0"), needing("0.2.0"), needing("0.2.1")],
        );
        Self {
            real: false,
            base_versions: base.versions.iter().map(|v| v.version.clone()).collect(),
            base: base.content(),
            dependant_versions: dependant
                .versions
                .iter()
                .map(|v| v.version.clone())
                .collect(),
            dependant: dependant.content(),
            missing: vec![r#"requires package "lantern-operator""#.to_owned()],
        }
    }
}
