//! `Operator`: which package to install, and which of its versions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version-range pattern of the upstream API, kept to the letter: every text that it admits
/// stays admitted. What it admits and the range language refuses is reported in status.
const VERSION_PATTERN: &str = r"^(\s*(=||!=|>|<|>=|=>|<=|=<|~|~>|\^)\s*(v?(0|[1-9]\d*|[x|X|\*])(\.(0|[1-9]\d*|x|X|\*]))?(\.(0|[1-9]\d*|x|X|\*))?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?)\s*)((?:\s+|,\s*|\s*\|\|\s*)(=||!=|>|<|>=|=>|<=|=<|~|~>|\^)\s*(v?(0|[1-9]\d*|x|X|\*])(\.(0|[1-9]\d*|x|X|\*))?(\.(0|[1-9]\d*|x|X|\*]))?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?)\s*)*$";

/// What an administrator asks for: a package, and which of its versions.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "operators.operatorframework.io",
    version = "v1alpha1",
    kind = "Operator",
    plural = "operators",
    status = "OperatorStatus",
    doc = "Operator asks for a package of the catalogs to be installed and kept up to date.",
    printcolumn(name = "Package", type_ = "string", json_path = ".spec.packageName"),
    printcolumn(
        name = "Installed",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Installed")].status"#
    ),
    printcolumn(
        name = "Resolved",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Resolved")].status"#
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".status.installed.version"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Channel",
        type_ = "string",
        json_path = ".spec.channel",
        priority = 1
    ),
    printcolumn(
        name = "Bundle",
        type_ = "string",
        json_path = ".status.installed.name",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSpec {
    /// packageName is the name of the package in the catalogs. It cannot be changed: make another
    /// Operator for another package.
    #[schemars(
        length(max = 48),
        regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"),
        extend("x-kubernetes-validations" = [{
            "rule": "self == oldSelf",
            "message": "packageName is immutable"
        }])
    )]
    pub package_name: String,

    /// version restricts the candidates to a version ("1.2.3", which pins it) or to a range of
    /// versions (">=1.2.3 <2.0.0", "~1.2", "1.x || 3.x"). Quote it in YAML. Without it, every
    /// version of the package is a candidate, pre-releases included; a range contains pre-releases
    /// only where it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = VERSION_PATTERN))]
    pub version: Option<String>,

    /// channel restricts the candidates, and the upgrade edges between them, to one channel of the
    /// package. Without it, all channels count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 48), regex(pattern = r"^[a-z0-9]+([\.-][a-z0-9]+)*$"))]
    pub channel: Option<String>,

    /// upgradeConstraintPolicy says whether what is installed may only be replaced by what its
    /// package names as a successor (Enforce), or by any version, older ones included (Ignore).
    #[serde(default)]
    pub upgrade_constraint_policy: UpgradeConstraintPolicy,
}

/// Whether upgrades must follow the upgrade edges of the package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpgradeConstraintPolicy {
    /// Only successors of the installed bundle, or the installed bundle itself.
    #[default]
    Enforce,
    /// Any version of the package, older ones included.
    Ignore,
}

/// What is known about an Operator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// installedBundleResource is the image of the bundle that runs; empty while none does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub installed_bundle_resource: String,

    /// resolvedBundleResource is the image of the bundle that was chosen; empty when none can be.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub resolved_bundle_resource: String,

    /// installed is the bundle that runs; absent while none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<BundleIdentity>,

    /// resolved is the bundle that was chosen; absent when none can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<BundleIdentity>,

    /// observedGeneration is the generation of the Operator that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// conditions say whether a bundle was chosen (Resolved), whether it runs (Installed), and both
    /// together with its health (Ready). Stalled is there while only a change of the Operator helps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// A bundle, and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleIdentity {
    /// name is the bundle's name in its catalog.
    pub name: String,
    /// version is the bundle's version.
    pub version: String,
    /// package is the package that the bundle belongs to.
    pub package: String,
    /// channel is the channel that the bundle was chosen from; absent when it lies in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// catalog is the name of the Catalog that offered the bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// image is the reference of the bundle's image.
    pub image: String,
}
