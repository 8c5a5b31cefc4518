//! From a stored bundle to the objects to apply.

use std::time::Duration;

use kube::ResourceExt as _;
use olm_api::bundle_deployment::{AppliedBundle, BundleDeployment};
use olm_fs::DirTree;
use olm_runtime::Pass;
use serde_json::Value;

use crate::contents::blocking;
use crate::deployment::error::DeploymentError;
use crate::deployment::provider::Provider;
use crate::deployment::{DeploymentReconciler, certificates, namespace};
use crate::format::{Format, FormatError};

/// A bundle that is ready to be applied.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The bundle, and how it was rendered.
    pub(crate) bundle: AppliedBundle,
    pub(crate) objects: Vec<Value>,
    /// Where objects go that name no namespace.
    pub(crate) namespace: Option<String>,
    /// When to look again, for the sake of certificates.
    pub(crate) look_again: Option<Duration>,
}

impl DeploymentReconciler {
    /// Renders the stored content of `bundle` for `object`, with its certificates.
    pub(crate) async fn load(
        &self,
        object: &BundleDeployment,
        mut bundle: AppliedBundle,
        pass: &Pass,
    ) -> Result<Loaded, DeploymentError> {
        let tree = self.content(&bundle).await?;
        let format = Format::of_class(&bundle.provisioner_class_name);
        let content = blocking(move || {
            let format = format.ok_or(FormatError::UnknownClass)?;
            format.load(&tree)
        })
        .await?;
        let suggested = content.suggested_namespace();
        let namespace = namespace::choose(object, suggested.as_deref(), &self.system_namespace)?;
        let config = content.configure(bundle.config.as_ref(), namespace.as_deref())?;
        let provider = if content.uses_webhooks() {
            self.provider(object, &bundle).await?
        } else {
            Provider::Own
        };
        bundle.certificate_provider = content
            .uses_webhooks()
            .then(|| provider.as_str().to_owned());
        let target = namespace.clone();
        let rendered =
            blocking(move || content.render(target.as_deref(), config, provider.into())).await?;
        let mut objects = rendered.objects;
        let look_again = certificates::add(
            &self.client,
            &self.system_namespace,
            &object.name_any(),
            &rendered.certificates,
            &mut objects,
            pass.now(),
        )
        .await?;
        Ok(Loaded {
            bundle,
            objects,
            namespace,
            look_again,
        })
    }

    async fn content(&self, bundle: &AppliedBundle) -> Result<DirTree, DeploymentError> {
        let found = match bundle.content_digest.parse() {
            Ok(digest) => self.contents.get(&digest).await,
            Err(_malformed) => Ok(None),
        };
        let found = found.map_err(|source| DeploymentError::Store {
            bundle: bundle.bundle.clone(),
            source,
        })?;
        match found {
            Some(tree) => Ok(tree),
            None => Err(self.missing(&bundle.bundle).await),
        }
    }

    /// Has the content of a Bundle fetched again; says so, or that only its author has it.
    async fn missing(&self, bundle: &str) -> DeploymentError {
        self.waker.bundle(bundle);
        let known = self.known_bundles.get(bundle, None);
        if let Some(known) = known.filter(|known| known.spec.source.kind == "upload") {
            let (uploads, uid) = (self.uploads.clone(), known.uid().unwrap_or_default());
            // What cannot be read is said of the Bundle, when it is unpacked again.
            let key = uid.clone();
            if let Ok(None) = blocking(move || uploads.get(&key)).await
                && let Ok(false) = self.copies.has(&uid).await
            {
                return DeploymentError::UploadLost(bundle.to_owned());
            }
        }
        DeploymentError::NoContent(bundle.to_owned())
    }
}
