//! `Bundle`: content that was fetched once, checked and stored, and never changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Content to fetch, and the provisioner that understands it.
#[derive(CustomResource, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "core.rukpak.io",
    version = "v1alpha1",
    kind = "Bundle",
    plural = "bundles",
    status = "BundleStatus",
    doc = "Bundle is content that is fetched, checked and stored. Its spec cannot be changed.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.source.type"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
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
        name = "Resolved Source",
        type_ = "string",
        json_path = ".status.resolvedSource",
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
pub struct BundleSpec {
    /// provisionerClassName names the provisioner that understands the content:
    /// core-rukpak-io-plain for plain+v0, core-rukpak-io-registry for registry+v1.
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub provisioner_class_name: String,

    /// source says where the content comes from: exactly one of its members besides type.
    pub source: BundleSource,
}

/// Where content comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleSource {
    /// type is the kind of source: image, git, configMaps, upload or http.
    #[serde(rename = "type")]
    pub kind: String,

    /// image is an OCI or Docker image that holds the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageSource>,

    /// git is a repository that holds the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,

    /// configMaps are ConfigMaps of the suite's namespace whose keys are the files of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_maps: Option<Vec<ConfigMapSource>>,

    /// upload waits for content that is uploaded under the Bundle's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<UploadSource>,

    /// http is a tar.gz archive that is downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
}

/// An image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSource {
    /// ref is the reference of the image, by tag or by digest.
    #[serde(rename = "ref")]
    pub reference: String,

    /// pullSecret is the name of a Secret of the suite's namespace with registry credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_secret: Option<String>,

    /// directory is where in the image the content lies; its root by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// A git repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// repository is the URL of the repository: https, http, ssh, or USER@HOST:PATH for ssh.
    pub repository: String,

    /// ref says what to check out: exactly one of branch, tag and commit.
    #[serde(rename = "ref")]
    pub reference: GitReference,

    /// directory is where in the repository the content lies; its root by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,

    /// auth says how to authenticate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Authorization>,
}

/// What to check out of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitReference {
    /// branch is the name of a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// tag is the name of a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// commit is the full hash of a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// How to authenticate to a git or http server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// secret names a Secret of the suite's namespace with the credentials: username and password,
    /// or for ssh ssh-privatekey and ssh-knownhosts; and in ca.crt authorities that the server's
    /// certificate may be from. Its type is kubernetes.io/basic-auth or kubernetes.io/ssh-auth, or it
    /// has the label core.rukpak.io/source-secret with the value "true". The annotation
    /// core.rukpak.io/allowed-hosts limits it to hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<LocalReference>,

    /// insecureSkipVerify turns off the verification of the server's certificate or host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
}

/// An object of the suite's namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct LocalReference {
    /// name is the name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A ConfigMap whose keys are files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapSource {
    /// configMap names a ConfigMap of the suite's namespace. It must be immutable.
    pub config_map: LocalReference,

    /// path is the folder of the content that the files are put in; its root by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Content that is uploaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadSource {}

/// An archive that is downloaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// url is where the tar.gz archive is.
    pub url: String,

    /// auth says how to authenticate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Authorization>,
}

/// What is known about a Bundle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleStatus {
    /// phase is Pending, Unpacking, Unpacked or Failing, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,

    /// resolvedSource is the source with everything that moves replaced by what it resolved to. It
    /// is set once and reused, so that the same Bundle means the same bytes until the annotation
    /// core.rukpak.io/refresh asks for what the source is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_source: Option<BundleSource>,

    /// contentDigest is the digest that the content is stored under: of an image its own, of a
    /// directory of an image one made of both, otherwise that of its files. It is set once; content
    /// that is fetched again must have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_digest: Option<String>,

    /// refreshed is the value of the annotation core.rukpak.io/refresh that the source was resolved
    /// for last; another value there lets it be resolved again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed: Option<String>,

    /// contentURL is where the unpacked content is served.
    #[serde(
        default,
        rename = "contentURL",
        skip_serializing_if = "Option::is_none"
    )]
    pub content_url: Option<String>,

    /// observedGeneration is the generation of the Bundle that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// conditions say whether the content is unpacked (Unpacked, Ready).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
