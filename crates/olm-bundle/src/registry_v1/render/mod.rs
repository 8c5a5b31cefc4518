//! From a bundle and its configuration to the objects of a cluster.

mod certificates;
mod crds;
mod deployments;
mod objects;
mod overrides;
mod rbac;
mod webhooks;

use serde_json::{Value, json};

pub use self::certificates::{CaTarget, CaTargetKind, CertificateProvider, WebhookCertificate};
use self::objects::Objects;
use super::validate::{Scope, scope};
use super::{Bundle, Config, DeploymentConfig, InstallModeError, PREFIX, ValidationErrors};
use crate::authored::keep_authored;
use crate::manifests::{Manifest, text};

/// How a bundle is rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct RenderOptions {
    /// The namespace of all namespaced objects; it must exist when they are applied.
    pub install_namespace: String,
    /// The namespaces that the operator watches, and what is changed in its Deployments.
    pub config: Config,
    /// Who makes the certificates of the operator's webhooks.
    pub certificates: CertificateProvider,
}

impl RenderOptions {
    /// Options for an operator that watches all namespaces and runs as it was shipped.
    pub fn new(install_namespace: impl Into<String>, certificates: CertificateProvider) -> Self {
        Self {
            install_namespace: install_namespace.into(),
            config: Config::default(),
            certificates,
        }
    }
}

/// What a bundle turns into.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rendered {
    /// The objects, in the order of the reference renderer: ServiceAccounts, Roles with their
    /// bindings, ClusterRoles with theirs, CustomResourceDefinitions, shipped objects,
    /// Deployments, validating and mutating webhook configurations, Services, certificate
    /// objects. No two have one identity; there is no Namespace among them.
    pub objects: Vec<Value>,
    /// The certificates that the caller has to make: empty but for
    /// [`CertificateProvider::Own`].
    pub certificates: Vec<WebhookCertificate>,
    /// What the author should know: shipped objects that gave way to generated ones.
    pub notices: Vec<String>,
}

/// Why a bundle cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// The bundle is not valid.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// The operator cannot watch the namespaces asked for.
    #[error(transparent)]
    InstallMode(#[from] InstallModeError),
    /// The install namespace is not a name of one.
    #[error("{PREFIX}invalid install namespace `{0}`")]
    InstallNamespace(String),
    /// Two different objects would have to live under one identity.
    #[error("{PREFIX}{first} and {second} differ but are both {identity}")]
    Conflict {
        /// Kind, API group, namespace and name.
        identity: String,
        /// Where the first object comes from.
        first: String,
        /// Where the second comes from.
        second: String,
    },
    /// A definition that keeps unknown fields cannot be converted by a webhook.
    #[error(
        "{PREFIX}custom resource definition '{0}' must have .spec.preserveUnknownFields set to \
         false to let API Server call webhook to do the conversion"
    )]
    PreservesUnknownFields(String),
    /// A generated object has no JSON form.
    #[error("{PREFIX}couldn't encode object: {0}")]
    Encode(serde_json::Error),
}

/// What all generators need to know.
struct Scene<'a> {
    bundle: &'a Bundle,
    namespace: &'a str,
    /// Empty for all namespaces.
    targets: Vec<&'a str>,
    certificates: CertificateProvider,
    overrides: &'a DeploymentConfig,
}

impl Scene<'_> {
    fn watches_all(&self) -> bool {
        self.targets.is_empty()
    }
}

/// Renders a bundle.
///
/// # Errors
///
/// [`RenderError`]; a bundle that is valid and supports its target namespaces can only fail by
/// two different objects of one identity or a definition that cannot be converted.
pub fn render(bundle: &Bundle, options: &RenderOptions) -> Result<Rendered, RenderError> {
    bundle.validate()?;
    let namespace = options.install_namespace.as_str();
    if !is_namespace(namespace) {
        return Err(RenderError::InstallNamespace(namespace.to_owned()));
    }
    let targets = options.config.target_namespaces();
    bundle.check_install_mode(namespace, targets)?;
    let mut names: Vec<&str> = Vec::new();
    for target in targets.unwrap_or_default() {
        if !target.is_empty() && !names.contains(&target.as_str()) {
            names.push(target);
        }
    }
    let scene = Scene {
        bundle,
        namespace,
        targets: names,
        certificates: options.certificates,
        overrides: options.config.deployment(),
    };

    let mut objects = Objects::default();
    let mut notices = Vec::new();
    rbac::service_accounts(&scene, &mut objects)?;
    rbac::roles(&scene, &mut objects)?;
    rbac::cluster_roles(&scene, &mut objects)?;
    crds::render(&scene, &mut objects)?;
    shipped(&scene, &mut objects, &mut notices)?;
    deployments::render(&scene, &mut objects)?;
    webhooks::configurations(&scene, &mut objects)?;
    webhooks::services(&scene, &mut objects)?;
    certificates::objects(&scene, &mut objects)?;
    Ok(Rendered {
        objects: objects.into_values(),
        certificates: certificates::wanted(&scene),
        notices,
    })
}

fn is_namespace(name: &str) -> bool {
    let bytes = name.as_bytes();
    let outer = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && outer(bytes.first())
        && outer(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

/// Objects of the bundle that are neither its description nor a definition.
fn shipped(
    scene: &Scene<'_>,
    objects: &mut Objects,
    notices: &mut Vec<String>,
) -> Result<(), RenderError> {
    for manifest in &scene.bundle.others {
        if is_generated_service(scene, manifest) {
            notices.push(format!(
                "Service `{}` of `manifests/{}` is replaced by the one generated for webhooks",
                manifest.name(),
                manifest.file
            ));
            continue;
        }
        let mut object = manifest.object.clone();
        keep_authored(&mut object);
        if scope(manifest.kind()) == Some(Scope::Namespaced)
            && let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("namespace".to_owned(), json!(scene.namespace));
        }
        objects.insert(object, format!("`manifests/{}`", manifest.file))?;
    }
    Ok(())
}

/// The generated Service has the selector and ports that the webhooks need.
fn is_generated_service(scene: &Scene<'_>, manifest: &Manifest) -> bool {
    manifest.kind() == "Service"
        && manifest.api_version() == "v1"
        && webhooks::served(scene).any(|served| served.service == manifest.name())
}

/// API group of an object.
fn group(object: &Value) -> &str {
    text(object, &["apiVersion"])
        .rsplit_once('/')
        .map_or("", |(group, _)| group)
}
