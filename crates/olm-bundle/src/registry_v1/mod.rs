//! `registry+v1`: a ClusterServiceVersion with its CustomResourceDefinitions and further objects.
//!
//! The caller loads and validates a bundle when it is unpacked and renders it when it is
//! deployed:
//!
//! ```
//! use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
//!
//! let mut tree = olm_tree::MemoryTree::new();
//! tree.insert(
//!     "metadata/annotations.yaml",
//!     "annotations: {operators.operatorframework.io.bundle.package.v1: memcached}",
//! )?;
//! tree.insert(
//!     "manifests/memcached.clusterserviceversion.yaml",
//!     r#"{"apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion",
//!         "metadata": {"name": "memcached.v1.0.0"},
//!         "spec": {"version": "1.0.0",
//!                  "installModes": [{"type": "AllNamespaces", "supported": true}]}}"#,
//! )?;
//! let bundle = registry_v1::load(&tree)?;
//! bundle.validate()?;
//! let namespace = bundle.default_install_namespace();
//! let options = RenderOptions {
//!     config: Config::parse(&bundle, &serde_json::json!({}), Some(&namespace))?,
//!     ..RenderOptions::new(namespace, CertificateProvider::Own)
//! };
//! let rendered = registry_v1::render(&bundle, &options)?;
//! assert!(rendered.objects.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod crd;
mod crd_fields;
mod crd_metadata;
mod crd_structural;
mod crd_v1beta1;
mod csv;
mod install_mode;
mod load;
pub(crate) mod metadata;
mod names;
mod render;
mod validate;
mod validation_error;

use std::collections::{BTreeMap, BTreeSet};

use olm_semver::Version;

pub use self::config::{Config, ConfigError, DeploymentConfig};
pub use self::install_mode::{InstallModeError, InstallModeProblem};
pub(crate) use self::load::{Assembled, assemble};
pub use self::load::{LoadError, load};
pub use self::metadata::MetadataError;
pub use self::render::{
    CaTarget, CaTargetKind, CertificateProvider, RenderError, RenderOptions, Rendered,
    WebhookCertificate, render,
};
pub(crate) use self::validate::subdomain_problems;
pub use self::validation_error::{ValidationError, ValidationErrors};
use crate::manifests::Manifest;

/// What all errors of this format start with, as users of the registry provisioner know it.
pub(crate) const PREFIX: &str = "convert registry+v1 bundle to plain+v0 bundle: ";

/// Annotation by which the author of an operator proposes where it is installed.
const SUGGESTED_NAMESPACE: &str = "operatorframework.io/suggested-namespace";

/// A loaded `registry+v1` bundle.
///
/// # Invariants
///
/// It was well-formed enough to be decoded; whether it can be rendered is
/// [`validate`](Self::validate)'s answer.
#[derive(Debug, Clone)]
pub struct Bundle {
    package: String,
    pub(crate) csv: csv::ClusterServiceVersion,
    version: Option<Version>,
    /// File and line of the ClusterServiceVersion.
    origin: (String, usize),
    /// Definitions of the rendered API version are decoded, others are as shipped.
    pub(crate) crds: Vec<Manifest>,
    pub(crate) others: Vec<Manifest>,
}

/// A Kubernetes API that an operator serves or needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Api {
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

/// A way of watching namespaces that an operator may support.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InstallMode {
    /// All namespaces of the cluster.
    AllNamespaces,
    /// Several namespaces.
    MultiNamespace,
    /// The namespace it is installed in.
    OwnNamespace,
    /// One namespace other than its own.
    SingleNamespace,
    /// A mode that nobody defined (real bundles have misspelt ones); it permits nothing.
    Unknown(String),
}

impl InstallMode {
    fn parse(text: &str) -> Self {
        match text {
            "AllNamespaces" => Self::AllNamespaces,
            "MultiNamespace" => Self::MultiNamespace,
            "OwnNamespace" => Self::OwnNamespace,
            "SingleNamespace" => Self::SingleNamespace,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl std::fmt::Display for InstallMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AllNamespaces => "AllNamespaces",
            Self::MultiNamespace => "MultiNamespace",
            Self::OwnNamespace => "OwnNamespace",
            Self::SingleNamespace => "SingleNamespace",
            Self::Unknown(text) => text,
        })
    }
}

impl Bundle {
    /// Name of the package, from `metadata/annotations.yaml`; empty where it is not said.
    pub fn package_name(&self) -> &str {
        &self.package
    }

    /// Name of the ClusterServiceVersion.
    pub fn csv_name(&self) -> &str {
        &self.csv.metadata.name
    }

    /// Version of the operator, where the ClusterServiceVersion says one.
    pub const fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Annotations of the ClusterServiceVersion, with the properties of
    /// `metadata/properties.yaml` merged into `olm.properties`.
    pub const fn annotations(&self) -> &BTreeMap<String, String> {
        &self.csv.metadata.annotations
    }

    /// Path of the ClusterServiceVersion's file in the bundle, and the line on which it starts.
    pub(crate) fn place(&self) -> (String, usize) {
        let (file, line) = &self.origin;
        (format!("manifests/{file}"), *line)
    }

    /// The namespace that the author proposes to install the operator in.
    pub fn suggested_namespace(&self) -> Option<&str> {
        self.annotations()
            .get(SUGGESTED_NAMESPACE)
            .map(String::as_str)
            .filter(|namespace| !namespace.is_empty())
    }

    /// Where the operator goes unless told otherwise: the suggested namespace, else
    /// `<package>-system`.
    pub fn default_install_namespace(&self) -> String {
        self.suggested_namespace()
            .map_or_else(|| format!("{}-system", self.package), str::to_owned)
    }

    /// The install modes marked as supported.
    pub fn install_modes(&self) -> BTreeSet<InstallMode> {
        self.csv
            .spec
            .install_modes
            .iter()
            .filter(|mode| mode.supported)
            .map(|mode| InstallMode::parse(&mode.kind))
            .collect()
    }

    /// The APIs whose CustomResourceDefinitions the operator owns, in its order.
    pub fn provided_apis(&self) -> Vec<Api> {
        apis(&self.csv.spec.customresourcedefinitions.owned)
    }

    /// The APIs that the operator expects others to serve, in its order.
    pub fn required_apis(&self) -> Vec<Api> {
        let mut required = apis(&self.csv.spec.customresourcedefinitions.required);
        required.extend(
            self.csv
                .spec
                .apiservicedefinitions
                .required
                .iter()
                .map(|service| Api {
                    group: service.group.clone(),
                    version: service.version.clone(),
                    kind: service.kind.clone(),
                }),
        );
        required
    }

    /// Whether the operator serves webhooks of any type, so that rendering it needs a
    /// [`CertificateProvider`].
    pub fn uses_webhooks(&self) -> bool {
        !self.csv.spec.webhookdefinitions.is_empty()
    }

    /// Whether the operator converts custom resources between versions by a webhook.
    pub fn uses_conversion_webhooks(&self) -> bool {
        self.csv
            .spec
            .webhookdefinitions
            .iter()
            .any(|webhook| webhook.kind() == csv::WebhookKind::Conversion)
    }
}

/// A definition is named `<plural>.<group>`.
fn apis(descriptions: &[csv::CrdDescription]) -> Vec<Api> {
    descriptions
        .iter()
        .map(|description| Api {
            group: description
                .name
                .split_once('.')
                .map_or_else(String::new, |(_, group)| group.to_owned()),
            version: description.version.clone(),
            kind: description.kind.clone(),
        })
        .collect()
}
