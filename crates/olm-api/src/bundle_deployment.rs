//! `BundleDeployment`: a Bundle's objects, applied to the cluster and kept there.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bundle::BundleSpec;
use crate::schema::free_form;

/// A template for a Bundle, and how its objects are applied.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "core.rukpak.io",
    version = "v1alpha1",
    kind = "BundleDeployment",
    plural = "bundledeployments",
    shortname = "bd",
    shortname = "bds",
    status = "BundleDeploymentStatus",
    doc = "BundleDeployment applies the objects of a Bundle to the cluster, and keeps them there.",
    printcolumn(
        name = "Active Bundle",
        type_ = "string",
        json_path = ".status.activeBundle"
    ),
    printcolumn(
        name = "Install State",
        type_ = "string",
        json_path = r#".status.conditions[?(.type=="Installed")].reason"#
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Provisioner",
        type_ = "string",
        json_path = ".spec.provisionerClassName",
        priority = 1
    ),
    printcolumn(
        name = "Install Namespace",
        type_ = "string",
        json_path = ".status.installNamespace",
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
pub struct BundleDeploymentSpec {
    /// provisionerClassName names the provisioner that applies the objects: core-rukpak-io-plain,
    /// also for registry+v1 bundles.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub provisioner_class_name: String,

    /// template is the Bundle to apply. Every change of it makes a new Bundle, which replaces the
    /// old one once it is unpacked.
    pub template: BundleTemplate,

    /// config is how the bundle is installed. A registry+v1 bundle takes watchNamespace (the
    /// namespace that the operator watches, or several separated by commas) and deploymentConfig
    /// (changes of its Deployments, as the config of a Subscription of OLM 0.x). A plain bundle
    /// takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_form")]
    pub config: Option<BTreeMap<String, serde_json::Value>>,

    /// installNamespace is the namespace of the bundle's namespaced objects. Without it the bundle
    /// decides: what it suggests, else its package's name with "-system". It is made when absent
    /// and never deleted. It cannot be changed once installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub install_namespace: Option<String>,

    /// crdUpgradeSafety says what happens when an upgrade changes a CustomResourceDefinition in a way
    /// that could break custom resources that exist: it is refused before anything is written
    /// (Strict, the default), or goes on (None).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crd_upgrade_safety: Option<CrdUpgradeSafety>,

    /// crdDeletionPolicy says what becomes of the bundle's CustomResourceDefinitions, and so of all
    /// custom resources of their kinds, when it is uninstalled: they go (Delete, the default), the
    /// custom resources first, or stay (Retain). An upgrade never removes one that has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crd_deletion_policy: Option<CrdDeletionPolicy>,
}

/// What happens when an upgrade changes a CustomResourceDefinition in a way that could break custom
/// resources that exist: it is refused before anything is written (Strict, the default), or goes on
/// (None).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrdUpgradeSafety {
    /// It is refused.
    #[default]
    Strict,
    /// It goes on.
    None,
}

/// What becomes of the bundle's CustomResourceDefinitions, and so of all custom resources of their
/// kinds, when it is uninstalled: they go (Delete, the default), the custom resources first, or stay
/// (Retain). An upgrade never removes one that has any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrdDeletionPolicy {
    /// They go, and all custom resources of their kinds before them.
    #[default]
    Delete,
    /// They stay, with all custom resources of their kinds that the bundle did not bring.
    Retain,
}

/// A template for a Bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleTemplate {
    /// metadata holds labels and annotations for the Bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,

    /// spec is the spec of the Bundle.
    pub spec: BundleSpec,
}

/// The metadata of a template. Only labels and annotations are used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// annotations are copied to the Bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// finalizers are kept and not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalizers: Option<Vec<String>>,
    /// labels are copied to the Bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// name is kept and not used: the Bundle's name comes from the BundleDeployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// namespace is kept and not used: Bundles have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What is known about a BundleDeployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleDeploymentStatus {
    /// activeBundle is the name of the Bundle that was last installed with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_bundle: Option<String>,

    /// installNamespace is the namespace that the bundle's namespaced objects went to. Later
    /// versions reuse it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_namespace: Option<String>,

    /// inventory is what was applied, and from what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,

    /// observedGeneration is the generation of the BundleDeployment that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// conditions say whether the template's Bundle is fit (`HasValidBundle`), whether it is applied
    /// (Installed), whether what is applied works (Healthy), and all of it together (Ready).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// What a BundleDeployment applied. It is written before the first object is, as the union of what
/// is there and what is to come, so that nothing that was applied is ever forgotten.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// installed is what runs, and what drift is repaired from; absent until the first bundle is
    /// installed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installed: Option<AppliedBundle>,

    /// applying is what is being applied; it is written before the first object is and absent once
    /// it is installed. While it is there, what runs may be a mixture and is not repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applying: Option<AppliedBundle>,

    /// keptDefinitions names the CustomResourceDefinitions that stay as an upgrade that was taken back
    /// brought them: what runs has others, and going back to these could break custom resources.
    /// Each stays until a bundle changes it in a way that is safe, or spec.crdUpgradeSafety is None.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_definitions: Vec<String>,

    /// objects are all objects that may exist because of this BundleDeployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<InventoryObject>,
}

/// The bundle that an inventory was rendered from, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppliedBundle {
    /// bundle is the name of the Bundle.
    pub bundle: String,

    /// provisionerClassName is the class of the Bundle.
    pub provisioner_class_name: String,

    /// contentDigest is the digest of the stored content.
    pub content_digest: String,

    /// config is the configuration that it was rendered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_form")]
    pub config: Option<BTreeMap<String, serde_json::Value>>,

    /// certificateProvider is who makes the certificates of the bundle's webhooks: cert-manager,
    /// service-ca or own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_provider: Option<String>,
}

/// An object, by its identity.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct InventoryObject {
    /// group is the API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// version is the API version that the object was applied in.
    pub version: String,
    /// kind is the object's kind.
    pub kind: String,
    /// namespace is the object's namespace; absent for objects of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// name is the object's name.
    pub name: String,
}
