//! `Catalog`: an image whose File-Based Catalog is unpacked and served.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the content of a catalog comes from.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "catalogd.operatorframework.io",
    version = "v1alpha1",
    kind = "Catalog",
    plural = "catalogs",
    status = "CatalogStatus",
    doc = "Catalog names an image of a File-Based Catalog, which is unpacked and served to the cluster.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "LastUnpacked",
        type_ = "date",
        json_path = ".status.lastUnpacked"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.source.image.ref",
        priority = 1
    ),
    printcolumn(
        name = "Resolved",
        type_ = "string",
        json_path = ".status.resolvedSource.image.resolvedRef",
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
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.source.image.pollInterval) || (self.source.image.ref.find('@sha256:') == \"\")",
    "message": "cannot specify PollInterval while using digest-based image"
}]))]
pub struct CatalogSpec {
    /// source says where the content comes from.
    pub source: CatalogSource,

    /// priority is how much this catalog is preferred over others that offer the same package: a
    /// bundle that fits is taken from the catalog of the highest priority, also where another catalog
    /// has a newer one. Among catalogs of equal priority the version decides.
    #[serde(default)]
    pub priority: i32,

    /// availability is Available, or Unavailable to take the catalog out of use without deleting
    /// it: its content is removed, and made again once it is Available.
    #[serde(default)]
    pub availability: Availability,
}

/// Whether a catalog is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Availability {
    /// It is unpacked, served and used.
    #[default]
    Available,
    /// It is none of these.
    Unavailable,
}

/// The source of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogSource {
    /// type is the kind of source: image.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["image"]))]
    pub kind: String,

    /// image is the catalog image; required for type image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,
}

/// A catalog image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// ref is the reference of the image, by tag or by digest.
    #[serde(rename = "ref")]
    pub reference: String,

    /// pullSecret is the name of a Secret of type kubernetes.io/dockerconfigjson or
    /// kubernetes.io/dockercfg in the namespace that catalogd runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,

    /// pollInterval is how often the registry is asked whether the tag moved, as a Go duration
    /// ("10m", "1h30m"). "0s" never asks; anything else below "1s" counts as "1s". Without it,
    /// catalogd's own setting holds (24h by default). An image by digest is never polled and may
    /// not set it.
    // Kept as the text that was given: a text that is no Go duration must not make the object
    // undecodable, it is reported in this object's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "duration"))]
    pub poll_interval: Option<String>,

    /// insecureSkipTLSVerify turns off the verification of the registry's certificate. The
    /// connection still uses TLS.
    #[serde(
        default,
        rename = "insecureSkipTLSVerify",
        skip_serializing_if = "Option::is_none"
    )]
    pub insecure_skip_tls_verify: Option<bool>,
}

/// What is known about a catalog.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CatalogStatus {
    /// conditions say whether the content is unpacked (Unpacked) and served (Ready). Stalled is
    /// there while only a change of the Catalog helps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,

    /// resolvedSource is the image that the served content was unpacked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_source: Option<ResolvedCatalogSource>,

    /// phase is Pending, Unpacking, Unpacked or Failing, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// contentURL is where the content is served, as JSON lines.
    #[serde(
        default,
        rename = "contentURL",
        skip_serializing_if = "Option::is_none"
    )]
    pub content_url: Option<String>,

    /// contentDigest is the digest of the served content, and the strong entity tag of what is served there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,

    /// contentImage is the image, by digest, that the served content was unpacked from. It stays while a later image cannot be unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_image: Option<String>,

    /// lastUnpacked is when the served content was unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_unpacked: Option<Time>,

    /// observedGeneration is the generation of the last successful unpack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The source that the served content came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedCatalogSource {
    /// type is the kind of source: image.
    #[serde(rename = "type")]
    pub kind: String,

    /// image is the image that was unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ResolvedImageSource>,
}

/// The image that the served content came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedImageSource {
    /// ref is the reference as it stood in spec.
    #[serde(rename = "ref")]
    pub reference: String,

    /// resolvedRef is the same image by digest.
    pub resolved_ref: String,

    /// lastPollAttempt is when the registry was last asked with success.
    pub last_poll_attempt: Time,

    /// pullSecret is kept for compatibility and never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,
}
