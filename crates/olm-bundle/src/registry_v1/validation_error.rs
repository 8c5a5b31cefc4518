//! What validation finds.

use super::PREFIX;

/// Everything that is wrong with a bundle, in the order of the checks. At least one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationErrors(Vec<ValidationError>);

impl ValidationErrors {
    pub(crate) const fn new(errors: Vec<ValidationError>) -> Self {
        Self(errors)
    }

    /// The single errors, without the common prefix.
    pub fn errors(&self) -> &[ValidationError] {
        &self.0
    }
}

impl std::error::Error for ValidationErrors {}

impl std::fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(PREFIX)?;
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

/// One reason why a bundle cannot be used. Most texts are those of the reference renderer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidationError {
    /// The operator extends the API by an API service. (The misspelling is upstream's.)
    #[error("apiServiceDefintions are not supported")]
    ApiServices,
    /// Two Deployments have one name.
    #[error("cluster service version contains duplicate strategy deployment spec '{0}'")]
    DuplicateDeployment(String),
    /// A Deployment's name is not one.
    #[error("invalid cluster service version strategy deployment name '{name}': {}", .reasons.join(", "))]
    DeploymentName {
        /// The name.
        name: String,
        /// Why it is not valid.
        reasons: Vec<&'static str>,
    },
    /// Two definitions have one name.
    #[error("bundle contains duplicate custom resource definition '{0}'")]
    DuplicateCrd(String),
    /// A definition that the operator owns is not shipped.
    #[error(
        "cluster service definition references owned custom resource definition '{0}' not found in bundle"
    )]
    MissingCrd(String),
    /// The annotations name no package.
    #[error("package name is empty")]
    PackageName,
    /// A conversion webhook applies to the whole cluster, so its operator must too.
    #[error(
        "bundle contains conversion webhook \"{webhook}\" and supports install modes [{modes}] - \
         conversion webhooks are only supported for bundles that only support AllNamespaces \
         install mode"
    )]
    ConversionInstallModes {
        /// The webhook.
        webhook: String,
        /// The supported modes, sorted and separated by spaces.
        modes: String,
    },
    /// No Deployment serves a webhook.
    #[error(
        "webhook of type '{kind}' with name '{name}' references non-existent deployment '{deployment}'"
    )]
    WebhookDeployment {
        /// Type of the webhook.
        kind: String,
        /// Its name.
        name: String,
        /// The Deployment it names.
        deployment: String,
    },
    /// Two webhooks of one type have one name.
    #[error("duplicate webhook '{name}' of type '{kind}'")]
    DuplicateWebhook {
        /// Type of the webhooks.
        kind: String,
        /// Their name.
        name: String,
    },
    /// A webhook's name is not one.
    #[error("webhook of type '{kind}' has invalid name '{name}': {}", .reasons.join(","))]
    WebhookName {
        /// Type of the webhook.
        kind: String,
        /// Its name.
        name: String,
        /// Why it is not valid.
        reasons: Vec<&'static str>,
    },
    /// Two conversion webhooks convert one kind.
    #[error("conversion webhooks [{}] reference same custom resource definition '{crd}'", .webhooks.join(","))]
    SharedConversion {
        /// The webhooks, sorted.
        webhooks: Vec<String>,
        /// The definition.
        crd: String,
    },
    /// A conversion webhook converts what the operator does not own.
    #[error(
        "conversion webhook '{webhook}' references custom resource definition '{crd}' not owned bundle"
    )]
    ForeignConversion {
        /// The webhook.
        webhook: String,
        /// The definition.
        crd: String,
    },
    /// A webhook wants to decide about too much.
    #[error(
        "webhook \"{webhook}\" contains forbidden rule: admission webhook rules cannot reference API group \"{group}\""
    )]
    ForbiddenGroup {
        /// The webhook.
        webhook: String,
        /// The API group.
        group: String,
    },
    /// A webhook wants to decide about webhooks.
    #[error(
        "webhook \"{webhook}\" contains forbidden rule: admission webhook rules cannot reference resource \"{resource}\" for API group \"{group}\""
    )]
    ForbiddenResource {
        /// The webhook.
        webhook: String,
        /// The resource.
        resource: String,
        /// The API group.
        group: String,
    },
    /// A shipped object is of a kind that bundles may not ship.
    #[error("unsupported resource \"{name}\" with kind \"{kind}\"")]
    Kind {
        /// Name of the object.
        name: String,
        /// Its kind.
        kind: String,
    },
    /// A shipped object does not say of which API it is.
    #[error("`manifests/{file}`: {kind} `{name}` has no apiVersion")]
    ApiVersion {
        /// The file.
        file: String,
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
    },
    /// A shipped object has no name, so it could not be found again.
    #[error("`manifests/{file}`: {kind} has no metadata.name")]
    Name {
        /// The file.
        file: String,
        /// Kind of the object.
        kind: String,
    },
    /// A definition is of an API version that nobody knows.
    #[error(
        "`manifests/{file}`: custom resource definition `{name}` is of `{api_version}`, which \
         clusters do not serve; only `apiextensions.k8s.io/v1` is supported"
    )]
    CrdVersion {
        /// The file.
        file: String,
        /// Name of the definition.
        name: String,
        /// Its API version.
        api_version: String,
    },
    /// A definition is of an API version that no supported cluster serves, and means something that
    /// cannot be said in the current one.
    #[error(
        "`manifests/{file}`: custom resource definition `{name}` is of \
         `apiextensions.k8s.io/v1beta1`, which clusters no longer serve, and cannot be converted \
         to `apiextensions.k8s.io/v1` without loss: {reason}"
    )]
    CrdConversion {
        /// The file.
        file: String,
        /// Name of the definition.
        name: String,
        /// What would be lost, and where it stands.
        reason: String,
    },
}
