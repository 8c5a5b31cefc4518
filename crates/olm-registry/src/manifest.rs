//! Manifests and indexes, as much of them as is needed to pull.

use std::collections::BTreeMap;

use olm_fs::Digest;
use serde::Deserialize;

use crate::error::RegistryError;
use crate::reference::Reference;

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What requests for manifests accept. Schema 1 is not in it, yet some registries send it anyway.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// Most layers an image may have; union file systems end at 128.
const MAX_LAYERS: usize = 512;

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDescriptor {
    /// Media type, as the manifest claims it.
    pub media_type: String,
    /// Digest of the bytes as they are transferred.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// The configuration of an image, as much as is used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Operating system, empty if not given.
    pub os: String,
    /// Architecture in Go's words, empty if not given.
    pub architecture: String,
}

/// A manifest that was fetched.
#[derive(Debug)]
pub(crate) enum Manifest {
    Image {
        config: LayerDescriptor,
        layers: Vec<LayerDescriptor>,
    },
    /// The digest of the member that was chosen.
    Index { member: Digest },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Member>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Member {
    digest: String,
    platform: Option<Platform>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Platform {
    os: String,
    architecture: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ConfigDocument {
    os: Option<String>,
    architecture: Option<String>,
    config: Option<ContainerConfig>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ContainerConfig {
    #[serde(rename = "Labels")]
    labels: Option<BTreeMap<String, String>>,
}

fn unusable(image: &Reference, what: &'static str, reason: impl Into<String>) -> RegistryError {
    RegistryError::Manifest {
        image: image.to_string(),
        what,
        reason: reason.into(),
    }
}

/// Reads a manifest or index. `content_type` is the answer's.
pub(crate) fn parse(
    image: &Reference,
    content_type: &str,
    bytes: &[u8],
) -> Result<Manifest, RegistryError> {
    let schema1 = || RegistryError::Schema1 {
        image: image.to_string(),
    };
    if content_type.contains("manifest.v1+") && content_type.contains("docker") {
        return Err(schema1());
    }
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|e| unusable(image, "manifest", format!("it is not valid: {e}")))?;
    match document.schema_version {
        Some(1) => return Err(schema1()),
        Some(2) | None => {}
        Some(other) => {
            return Err(unusable(
                image,
                "manifest",
                format!("schema version {other} is unknown"),
            ));
        }
    }
    let media_type = document.media_type.as_deref().unwrap_or_default();
    let known = matches!(
        media_type,
        "" | OCI_MANIFEST | OCI_INDEX | DOCKER_MANIFEST | DOCKER_LIST
    );
    if !known {
        let shown: String = media_type.chars().take(100).collect();
        return Err(unusable(
            image,
            "manifest",
            format!("its media type {shown:?} is unknown"),
        ));
    }
    match document {
        // One document that could be read as both is an attack on whoever reads it the other way.
        Document {
            manifests: Some(_),
            layers: Some(_),
            ..
        } => Err(unusable(
            image,
            "manifest",
            "it is an index and a manifest at once",
        )),
        Document {
            manifests: Some(members),
            ..
        } => choose(image, &members, (std::env::consts::OS, architecture())),
        Document {
            config: Some(config),
            layers: Some(layers),
            ..
        } => {
            if layers.len() > MAX_LAYERS {
                return Err(unusable(image, "manifest", "it has more than 512 layers"));
            }
            Ok(Manifest::Image {
                config: descriptor(image, &config)?,
                layers: layers
                    .iter()
                    .map(|layer| descriptor(image, layer))
                    .collect::<Result<_, _>>()?,
            })
        }
        _ => Err(unusable(
            image,
            "manifest",
            "it has neither `manifests` nor `config` and `layers`",
        )),
    }
}

fn descriptor(image: &Reference, raw: &Descriptor) -> Result<LayerDescriptor, RegistryError> {
    Ok(LayerDescriptor {
        media_type: raw.media_type.chars().take(200).collect(),
        digest: digest(image, &raw.digest)?,
        size: raw.size,
    })
}

fn digest(image: &Reference, text: &str) -> Result<Digest, RegistryError> {
    text.parse()
        .map_err(|e| unusable(image, "manifest", format!("{e}")))
}

/// The member for the platform `own`, then linux/amd64, then the first for linux, then the first that
/// does not say.
fn choose(
    image: &Reference,
    members: &[Member],
    own: (&str, &str),
) -> Result<Manifest, RegistryError> {
    let find = |os: &str, architecture: Option<&str>| {
        members.iter().find(|member| {
            member.platform.as_ref().is_some_and(|platform| {
                platform.os == os && architecture.is_none_or(|a| platform.architecture == a)
            })
        })
    };
    let member = find(own.0, Some(own.1))
        .or_else(|| find("linux", Some("amd64")))
        .or_else(|| find("linux", None))
        .or_else(|| members.iter().find(|member| member.platform.is_none()))
        .ok_or_else(|| RegistryError::NoPlatform {
            image: image.to_string(),
        })?;
    Ok(Manifest::Index {
        member: digest(image, &member.digest)?,
    })
}

/// This machine's architecture in Go's words.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// Reads the configuration of an image.
pub(crate) fn parse_config(image: &Reference, bytes: &[u8]) -> Result<ImageConfig, RegistryError> {
    let document: ConfigDocument = serde_json::from_slice(bytes)
        .map_err(|e| unusable(image, "config", format!("it is not valid: {e}")))?;
    Ok(ImageConfig {
        labels: document
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default(),
        os: document.os.unwrap_or_default(),
        architecture: document.architecture.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]
    use super::*;
    use serde_json::json;

    fn image() -> Reference {
        Reference::parse("quay.io/a/b:1").unwrap()
    }

    fn digest_of(n: usize) -> String {
        format!("sha256:{n:064x}")
    }

    #[rstest::rstest]
    #[case::own(&[("linux", "s390x"), ("linux", "amd64"), ("linux", architecture())], if architecture() == "amd64" { 1 } else { 2 })]
    #[case::amd64(&[("linux", "riscv32"), ("linux", "amd64")], 1)]
    #[case::first_linux(&[("windows", "amd64"), ("linux", "riscv32"), ("linux", "mips")], 1)]
    #[case::attestations_are_no_platform(&[("unknown", "unknown"), ("linux", "mips")], 1)]
    fn the_member_for_this_machine_is_chosen(
        #[case] members: &[(&str, &str)],
        #[case] expected: usize,
    ) {
        let members: Vec<_> = members
            .iter()
            .enumerate()
            .map(|(n, (os, arch))| {
                json!({"digest": digest_of(n), "size": 1, "platform": {"os": os, "architecture": arch}})
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": members}).to_string();
        let Manifest::Index { member } = parse(&image(), OCI_INDEX, index.as_bytes()).unwrap()
        else {
            panic!()
        };
        assert_eq!(member.as_str(), digest_of(expected));
    }

    #[rstest::rstest]
    #[case(("linux", "arm64"), 2)]
    #[case(("linux", "s390x"), 0)]
    #[case(("linux", "amd64"), 1)]
    #[case(("linux", "riscv64"), 1)]
    #[case(("darwin", "arm64"), 1)]
    #[case(("windows", "amd64"), 3)]
    fn whatever_the_machine_its_own_member_is_preferred(
        #[case] own: (&str, &str),
        #[case] expected: usize,
    ) {
        let platforms = [
            ("linux", "s390x"),
            ("linux", "amd64"),
            ("linux", "arm64"),
            ("windows", "amd64"),
        ];
        let members: Vec<_> = platforms
            .iter()
            .enumerate()
            .map(|(n, (os, architecture))| Member {
                digest: digest_of(n),
                platform: Some(Platform {
                    os: (*os).to_owned(),
                    architecture: (*architecture).to_owned(),
                }),
            })
            .collect();
        let Manifest::Index { member } = choose(&image(), &members, own).unwrap() else {
            panic!()
        };
        assert_eq!(member.as_str(), digest_of(expected));
    }

    #[rstest::rstest]
    #[case::schema_1_by_type("application/vnd.docker.distribution.manifest.v1+prettyjws", json!({"schemaVersion": 1}), "Docker schema 1")]
    #[case::schema_1_by_content("application/json", json!({"schemaVersion": 1, "fsLayers": []}), "Docker schema 1")]
    #[case::no_linux(OCI_INDEX, json!({"manifests": [{"digest": digest_of(1), "platform": {"os": "windows", "architecture": "amd64"}}]}), "no linux member")]
    #[case::no_member(OCI_INDEX, json!({"manifests": []}), "no linux member")]
    #[case::neither(OCI_MANIFEST, json!({"schemaVersion": 2}), "neither `manifests` nor")]
    #[case::both(OCI_MANIFEST, json!({"manifests": [], "layers": []}), "an index and a manifest at once")]
    #[case::other_version(OCI_MANIFEST, json!({"schemaVersion": 3}), "schema version 3 is unknown")]
    #[case::other_type(OCI_MANIFEST, json!({"mediaType": "text/html"}), "\"text/html\" is unknown")]
    #[case::other_algorithm(OCI_MANIFEST, json!({"config": {"digest": "sha512:00", "size": 1}, "layers": []}), "must begin with `sha256:`")]
    #[case::path_as_digest(OCI_MANIFEST, json!({"config": {"digest": "sha256:../../x", "size": 1}, "layers": []}), "64 lower-case")]
    #[case::negative_size(OCI_MANIFEST, json!({"config": {"digest": digest_of(1), "size": -1}, "layers": []}), "it is not valid")]
    #[case::html("text/html", json!("<html>"), "it is not valid")]
    fn what_is_no_manifest_is_refused(
        #[case] content_type: &str,
        #[case] document: serde_json::Value,
        #[case] expected: &str,
    ) {
        let error = parse(&image(), content_type, document.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.is_content() && !error.is_transient());
    }

    #[test]
    fn a_config_without_labels_has_none() {
        for document in [r#"{"config":{"Labels":null}}"#, r#"{"config":null}"#, "{}"] {
            assert!(
                parse_config(&image(), document.as_bytes())
                    .unwrap()
                    .labels
                    .is_empty()
            );
        }
    }
}
