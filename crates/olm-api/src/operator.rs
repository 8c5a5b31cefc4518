//! `Operator`: which package to install, and which of its versions.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle_deployment::{CrdDeletionPolicy, CrdUpgradeSafety};
use crate::schema::free_form;

/// The version-range pattern of the upstream API, kept to the letter: every text that it admits
/// stays admitted. What it admits and the range language refuses is reported in status.
const VERSION_PATTERN: &str = r"^(\s*(=||!=|>|<|>=|=>|<=|=<|~|~>|\^)\s*(v?(0|[1-9]\d*|[x|X|\*])(\.(0|[1-9]\d*|x|X|\*]))?(\.(0|[1-9]\d*|x|X|\*))?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?)\s*)((?:\s+|,\s*|\s*\|\|\s*)(=||!=|>|<|>=|=>|<=|=<|~|~>|\^)\s*(v?(0|[1-9]\d*|x|X|\*])(\.(0|[1-9]\d*|x|X|\*))?(\.(0|[1-9]\d*|x|X|\*]))?(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?)\s*)*$";

/// A version as the approval of an upgrade names it: exact, without operators.
const EXACT_VERSION: &str =
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$";

/// Units of Go durations; the sum of the parts has to be more than nothing.
const DURATION: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// How long an upgrade may take where [`OperatorSpec::progress_deadline`] says nothing.
pub const DEFAULT_PROGRESS_DEADLINE: &str = "10m";

/// What an administrator asks for: a package, and which of its versions.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        name = "Pending",
        type_ = "string",
        json_path = ".status.pendingUpgrade.version",
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
            "message": "packageName is immutable: make another Operator for the other package, and \
                        delete this one where its package is no longer wanted"
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

    /// dependencyPolicy says what happens when the bundle requires what nobody asked for: an Operator
    /// is made for it (Install), or the bundle is refused until there is one (Require).
    #[serde(default)]
    pub dependency_policy: DependencyPolicy,

    /// catalogSelector selects the Catalogs, by their labels, that may answer. Without it, all of
    /// them. Every Catalog counts as if it had the label olm.operatorframework.io/metadata.name with
    /// its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_selector: Option<LabelSelector>,

    /// installNamespace is the namespace of the bundle's namespaced objects. Without it the bundle
    /// decides: what it suggests, else its package's name with "-system". It is made when absent
    /// and never deleted. It cannot be changed once a bundle is installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub install_namespace: Option<String>,

    /// config is how the bundle is installed. A registry+v1 bundle takes watchNamespace (the
    /// namespace that the operator watches, or several separated by commas) and deploymentConfig
    /// (changes of its Deployments, as the config of a Subscription of OLM 0.x). A plain bundle
    /// takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_form")]
    pub config: Option<BTreeMap<String, serde_json::Value>>,

    /// crdUpgradeSafety says what happens when an upgrade changes a CustomResourceDefinition in a way
    /// that could break custom resources that exist: it is refused before anything is written
    /// (Strict), or goes on (None).
    #[serde(default)]
    pub crd_upgrade_safety: CrdUpgradeSafety,

    /// crdDeletionPolicy says what becomes of the bundle's CustomResourceDefinitions, and so of all
    /// custom resources of their kinds, when the Operator is deleted: they go (Delete), the custom
    /// resources first, or stay (Retain). An upgrade never removes one that has any.
    #[serde(default)]
    pub crd_deletion_policy: CrdDeletionPolicy,

    /// suspend stops decisions: what is installed stays and is repaired, nothing is installed or
    /// upgraded.
    #[serde(default)]
    pub suspend: bool,

    /// upgradeApproval says whether an upgrade is taken once there is one (Automatic) or waits until
    /// approvedVersion names its version (Manual). The first bundle is installed in either case.
    #[serde(default)]
    pub upgrade_approval: UpgradeApproval,

    /// approvedVersion is the version that a Manual upgrade may go to, exactly: that of
    /// status.pendingUpgrade. Without upgradeApproval Manual it means nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = EXACT_VERSION))]
    pub approved_version: Option<String>,

    /// rollbackOnFailure says what becomes of an upgrade that is not installed and healthy within
    /// progressDeadline: it is left as it is and reported (Never), or the bundle that worked before
    /// is installed again (Automatic) and the failed one, recorded in status.failedUpgrade, is left
    /// out until the spec changes or another one becomes best. CustomResourceDefinitions that the
    /// failed one changed stay where taking them back could break custom resources; the condition
    /// `DefinitionsKept` names them.
    #[serde(default)]
    pub rollback_on_failure: RollbackOnFailure,

    /// progressDeadline is how long an install or upgrade may take until it is reported as failed:
    /// a Go duration ("90s", "1h30m"). Without it 10m.
    // Kept as the text that was given: one that is no duration must not make the object undecodable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = DURATION))]
    pub progress_deadline: Option<String>,
}

/// What happens when a bundle requires what nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DependencyPolicy {
    /// An Operator is made for it.
    #[default]
    Install,
    /// The bundle is refused until there is an Operator for it.
    Require,
}

/// Whether upgrades wait for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpgradeApproval {
    /// They are taken at once.
    #[default]
    Automatic,
    /// They wait until their version is approved.
    Manual,
}

/// What becomes of an upgrade that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RollbackOnFailure {
    /// It is left as it is, and reported.
    #[default]
    Never,
    /// The bundle that worked before is installed again.
    Automatic,
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

    /// dependencies are the packages that the chosen bundle requires, each with the Operator that
    /// has it. Ordered by package.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,

    /// requiredBy are the Operators whose bundles require this one's package. Ordered by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_by: Vec<Dependant>,

    /// pendingUpgrade is the bundle that an Automatic upgrade would go to, while upgradeApproval is
    /// Manual and its version is not the approved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_upgrade: Option<BundleIdentity>,

    /// failedUpgrade is the upgrade that was rolled back; it is not tried again until the spec
    /// changes or another bundle becomes best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_upgrade: Option<FailedUpgrade>,

    /// observedGeneration is the generation of the Operator that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// conditions say whether a bundle was chosen (Resolved), whether one runs (Installed) and works
    /// (Healthy), whether anything is under way (Progressing), and all of it together (Ready).
    /// Deprecated sums up the deprecation of package, channel and bundle. Stalled is there
    /// while only a change of the Operator helps.
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

/// A package that a bundle requires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// package is the package that meets the requirement.
    pub package: String,
    /// operator is the name of the Operator that has this package, or will have it once it is made.
    pub operator: String,
    /// version is the version that was chosen for it.
    pub version: String,
    /// ready is whether it is installed and healthy.
    pub ready: bool,
    /// requirements are what is required of it, for people to read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<String>,
}

/// An Operator that requires another one's package.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Dependant {
    /// operator is the name of the Operator.
    pub operator: String,
    /// package is its package.
    pub package: String,
    /// version is the version whose bundle requires it.
    pub version: String,
}

/// An upgrade that was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailedUpgrade {
    /// bundle is the bundle that did not become healthy in time.
    pub bundle: BundleIdentity,
    /// message is what was in the way when the time was up.
    pub message: String,
    /// time is when it was given up.
    pub time: Time,
    /// generation is the generation of the Operator whose upgrade failed. The bundle is tried again
    /// for another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
}
