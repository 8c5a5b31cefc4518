//! Bundle formats by provisioner class: what is checked when content is unpacked, and the objects
//! that it becomes when it is deployed.

use std::collections::BTreeMap;

use olm_api::names;
use olm_bundle::plain_v0::{self, PlainError};
use olm_bundle::registry_v1::{
    self, CertificateProvider, Config, ConfigError, InstallModeError, LoadError, RenderError,
    RenderOptions, ValidationErrors, WebhookCertificate,
};
use olm_tree::Tree;
use serde_json::Value;

/// Provisioner class of Helm charts: this project's, and not built yet.
pub(crate) const PROVISIONER_HELM: &str = "core-rukpak-io-helm";

/// Whether a provisioner class is this project's, built or not. Objects of other classes belong to
/// other provisioners, which alone may write to them.
pub(crate) fn is_own_class(class: &str) -> bool {
    class == PROVISIONER_HELM || Format::of_class(class).is_some()
}

/// A format of bundles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `plain+v0`: ready manifests.
    Plain,
    /// `registry+v1`: a ClusterServiceVersion and what belongs to it.
    Registry,
}

/// Why content is not a bundle that can be installed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FormatError {
    /// It is not a `plain+v0` bundle.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// The same, found out when it is deployed; upstream words it differently then.
    #[error("read bundle objects from bundle: {0}")]
    PlainObjects(olm_bundle::ManifestsError),
    /// It is not a `registry+v1` bundle.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is not a `registry+v1` bundle, and one of the other format.
    #[error(
        "{0}; the content looks like a plain+v0 bundle, whose provisioner class is {plain}",
        plain = names::PROVISIONER_PLAIN
    )]
    PlainGiven(LoadError),
    /// The configuration does not fit the bundle.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing is configured, and the bundle cannot be installed without.
    #[error("{mode}; {config}")]
    NotConfigured {
        /// What is not supported without configuration.
        mode: InstallModeError,
        /// What has to be configured.
        config: ConfigError,
    },
    /// It contradicts itself or asks for what is not supported.
    #[error(
        "convert registry+v1 bundle to plain+v0 bundle: {}",
        without_prefix(.0)
    )]
    Invalid(ValidationErrors),
    /// It cannot watch all namespaces.
    #[error(transparent)]
    InstallMode(#[from] InstallModeError),
    /// It cannot be rendered.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Nobody knows what the content is.
    #[error("the class of the Bundle stands for no format")]
    UnknownClass,
    /// It is installed in a namespace, and none is known.
    #[error("the bundle names no namespace to be installed in: set spec.installNamespace")]
    NoNamespace,
}

/// Reads a `registry+v1` bundle; where it is none, says so if it is one of the other format.
fn load_registry(tree: &dyn Tree) -> Result<registry_v1::Bundle, FormatError> {
    registry_v1::load(tree).map_err(|error| {
        let lacks_what_makes_it_one = matches!(
            error,
            LoadError::Metadata(_) | LoadError::NoClusterServiceVersion
        );
        let is_plain = || {
            let objects = plain_v0::load(tree).unwrap_or_default();
            !objects.is_empty()
                && !objects
                    .iter()
                    .any(|object| object["kind"] == "ClusterServiceVersion")
        };
        if lacks_what_makes_it_one && is_plain() {
            FormatError::PlainGiven(error)
        } else {
            FormatError::Load(error)
        }
    })
}

/// Errors of a validation may carry the prefix themselves; it is wanted once.
fn without_prefix(errors: &ValidationErrors) -> String {
    let text = errors.to_string();
    match text.strip_prefix("convert registry+v1 bundle to plain+v0 bundle: ") {
        Some(rest) => rest.to_owned(),
        None => text,
    }
}

/// The objects of a bundle, and the certificates that have to be made for them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) objects: Vec<Value>,
    pub(crate) certificates: Vec<WebhookCertificate>,
}

/// A bundle that was read.
#[derive(Debug)]
pub(crate) enum Content {
    Plain(Vec<Value>),
    Registry(Box<registry_v1::Bundle>),
}

impl Format {
    /// The format that a provisioner class stands for.
    pub(crate) fn of_class(class: &str) -> Option<Self> {
        match class {
            names::PROVISIONER_PLAIN => Some(Self::Plain),
            names::PROVISIONER_REGISTRY => Some(Self::Registry),
            _ => None,
        }
    }

    /// Checks everything that needs no configuration.
    pub(crate) fn check(self, tree: &dyn Tree) -> Result<(), FormatError> {
        match self {
            Self::Plain => {
                plain_v0::load(tree)?;
            }
            Self::Registry => {
                let bundle = load_registry(tree)?;
                bundle.validate().map_err(FormatError::Invalid)?;
            }
        }
        Ok(())
    }

    /// Reads a bundle that was checked before.
    pub(crate) fn load(self, tree: &dyn Tree) -> Result<Content, FormatError> {
        Ok(match self {
            Self::Plain => Content::Plain(plain_v0::load(tree).map_err(|error| match error {
                PlainError::Manifests(problem) => FormatError::PlainObjects(problem),
                other => FormatError::Plain(other),
            })?),
            Self::Registry => Content::Registry(Box::new(registry_v1::load(tree)?)),
        })
    }
}

impl Content {
    /// The namespace that the bundle asks to be installed in; plain bundles ask for none.
    pub(crate) fn suggested_namespace(&self) -> Option<String> {
        match self {
            Self::Plain(_) => None,
            Self::Registry(bundle) => Some(bundle.default_install_namespace()),
        }
    }

    /// Whether webhooks of the bundle need certificates.
    pub(crate) fn uses_webhooks(&self) -> bool {
        matches!(self, Self::Registry(bundle) if bundle.uses_webhooks())
    }

    /// How the bundle is installed in `namespace`. Plain bundles cannot be configured, and what is
    /// said is ignored, as upstream does.
    pub(crate) fn configure(
        &self,
        config: Option<&BTreeMap<String, Value>>,
        namespace: Option<&str>,
    ) -> Result<Config, FormatError> {
        let Self::Registry(bundle) = self else {
            return Ok(Config::default());
        };
        let members: serde_json::Map<String, Value> = config
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let is_empty = members.is_empty();
        let parsed = Config::parse(bundle, &Value::Object(members), namespace);
        let targets = match &parsed {
            Ok(config) => config.target_namespaces(),
            Err(_) => None,
        };
        match (
            parsed.as_ref().err(),
            bundle.check_install_mode(namespace.unwrap_or_default(), targets),
        ) {
            (Some(config), Err(mode)) if is_empty => Err(FormatError::NotConfigured {
                mode,
                config: config.clone(),
            }),
            (None, Err(mode)) => Err(FormatError::InstallMode(mode)),
            _ => Ok(parsed?),
        }
    }

    /// The objects of the bundle in `namespace`.
    pub(crate) fn render(
        self,
        namespace: Option<&str>,
        config: Config,
        certificates: CertificateProvider,
    ) -> Result<Rendered, FormatError> {
        match self {
            Self::Plain(objects) => Ok(Rendered {
                // Two different ones of one identity are refused when they are prepared.
                objects: plain_v0::distinct(objects),
                certificates: Vec::new(),
            }),
            Self::Registry(bundle) => {
                let options = RenderOptions {
                    install_namespace: namespace.ok_or(FormatError::NoNamespace)?.to_owned(),
                    config,
                    certificates,
                };
                let rendered = registry_v1::render(&bundle, &options)?;
                for notice in rendered.notices {
                    tracing::info!(bundle = bundle.csv_name(), notice, "rendered otherwise");
                }
                Ok(Rendered {
                    objects: rendered.objects,
                    certificates: rendered.certificates,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use olm_tree::MemoryTree;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> MemoryTree {
        let mut tree = MemoryTree::new();
        for (path, text) in files {
            tree.insert(path, text.as_bytes()).unwrap();
        }
        tree
    }

    fn registry(modes: &str, more: &str) -> MemoryTree {
        tree(&[
            (
                "metadata/annotations.yaml",
                "annotations: {operators.operatorframework.io.bundle.package.v1: memcached}",
            ),
            (
                "manifests/csv.yaml",
                &format!(
                    r#"{{"apiVersion": "operators.coreos.com/v1alpha1", "kind": "ClusterServiceVersion",
                        "metadata": {{"name": "memcached.v1.0.0"}},
                        "spec": {{"version": "1.0.0", {more}
                                 "installModes": [{{"type": "{modes}", "supported": true}}]}}}}"#
                ),
            ),
        ])
    }

    #[rstest]
    #[case::nothing(&[], "get objects from bundle manifests: readdir manifests: file does not exist")]
    #[case::directory(
        &[("manifests/subdir/a.yaml", "{}")],
        "get objects from bundle manifests: subdirectories are not allowed within the \"manifests\" directory of the bundle image filesystem: found \"manifests/subdir\""
    )]
    #[case::no_objects(
        &[("manifests/a.yaml", "---\n")],
        "invalid bundle: found zero objects: plain+v0 bundles are required to contain at least one object"
    )]
    fn content_that_is_no_plain_bundle_is_refused_when_it_is_unpacked(
        #[case] files: &[(&str, &str)],
        #[case] text: &str,
    ) {
        assert_eq!(
            Format::Plain.check(&tree(files)).unwrap_err().to_string(),
            text
        );
    }

    #[test]
    fn a_plain_bundle_that_is_given_as_another_says_which_class_it_has() {
        let config_map = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}"#;
        let plain = tree(&[("manifests/a.yaml", config_map)]);
        let text = Format::Registry.check(&plain).unwrap_err().to_string();
        assert!(
            text.ends_with(
                "; the content looks like a plain+v0 bundle, whose provisioner class is \
                 core-rukpak-io-plain"
            ),
            "{text}"
        );
        let neither = Format::Registry.check(&tree(&[])).unwrap_err().to_string();
        assert!(!neither.contains("plain+v0 bundle, whose"), "{neither}");
    }

    #[rstest]
    #[case::nothing("AllNamespaces", json!(null), None)]
    #[case::nothing_in_it("AllNamespaces", json!({}), None)]
    #[case::own("OwnNamespace", json!({"watchNamespace": "here"}), None)]
    #[case::several("MultiNamespace", json!({"watchNamespace": "a,b"}), None)]
    #[case::nothing_and_not_all("OwnNamespace", json!(null), Some(
        "convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled; \
         invalid configuration: required field \"watchNamespace\" is missing"))]
    #[case::something_else("OwnNamespace", json!({"deploymentConfig": {}}), Some(
        "invalid configuration: required field \"watchNamespace\" is missing"))]
    #[case::no_mode("none", json!({}), Some(
        "convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled"))]
    #[case::unknown("AllNamespaces", json!({"watchNamespace": "a"}), Some(
        "invalid configuration: unknown field \"watchNamespace\""))]
    #[case::own_among_several("MultiNamespace", json!({"watchNamespace": "a,here"}), Some(
        "convert registry+v1 bundle to plain+v0 bundle: invalid option(s): invalid target \
         namespaces [a here]: supported install modes [MultiNamespace] do not support targeting \
         own namespace"))]
    fn a_bundle_is_unpacked_in_any_case_and_deployed_as_it_can_be(
        #[case] mode: &str,
        #[case] config: Value,
        #[case] refusal: Option<&str>,
    ) {
        let tree = registry(mode, "");
        Format::Registry.check(&tree).unwrap();
        let content = Format::Registry.load(&tree).unwrap();
        let config: Option<BTreeMap<String, Value>> = serde_json::from_value(config).unwrap();
        let answer = content.configure(config.as_ref(), Some("here"));
        assert_eq!(
            answer.err().map(|error| error.to_string()).as_deref(),
            refusal
        );
    }

    #[test]
    fn the_configuration_of_a_plain_bundle_is_ignored() {
        let config = BTreeMap::from([("a".to_owned(), json!(1))]);
        let answer = Content::Plain(Vec::new()).configure(Some(&config), None);
        assert_eq!(answer.unwrap(), Config::default());
    }

    #[test]
    fn api_services_are_refused_when_they_are_unpacked() {
        let tree = registry(
            "AllNamespaces",
            r#""apiservicedefinitions": {"owned": [{"group": "g", "version": "v1", "kind": "K",
               "name": "n"}]},"#,
        );
        let text = Format::Registry.check(&tree).unwrap_err().to_string();
        assert!(
            text.starts_with("convert registry+v1 bundle to plain+v0 bundle: apiServiceDefintions"),
            "{text}"
        );
    }

    #[test]
    fn a_registry_bundle_suggests_its_namespace_and_a_plain_one_does_not() {
        let content = Format::Registry
            .load(&registry("AllNamespaces", ""))
            .unwrap();
        assert_eq!(
            content.suggested_namespace().as_deref(),
            Some("memcached-system")
        );
        assert_eq!(Content::Plain(Vec::new()).suggested_namespace(), None);
    }

    #[test]
    fn identical_objects_of_a_plain_bundle_count_once() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let rendered = Content::Plain(vec![object.clone(), object.clone()])
            .render(None, Config::default(), CertificateProvider::Own)
            .unwrap();
        assert_eq!(rendered.objects, [object]);
    }
}
