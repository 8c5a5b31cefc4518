//! CustomResourceDefinitions, with the conversion webhooks of the bundle put into them.

use serde_json::{Value, json};

use super::certificates::annotate_ca;
use super::objects::Objects;
use super::{RenderError, Scene};
use crate::registry_v1::csv::WebhookKind;
use crate::registry_v1::names;

pub(super) fn render(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    for manifest in &scene.bundle.crds {
        let mut object = manifest.object.clone();
        let name = manifest.name();
        // Validation has made sure that there is at most one.
        let webhook = scene
            .bundle
            .csv
            .spec
            .webhookdefinitions
            .iter()
            .find(|webhook| {
                webhook.kind() == WebhookKind::Conversion
                    && webhook.conversion_crds.iter().any(|crd| crd == name)
            });
        if let Some(webhook) = webhook {
            if object.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true)) {
                return Err(RenderError::PreservesUnknownFields(name.to_owned()));
            }
            let service = names::service(&webhook.deployment_name);
            let path = webhook.path.as_deref().unwrap_or("/");
            object["spec"]["conversion"] = json!({
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"service": {
                        "namespace": scene.namespace,
                        "name": service,
                        "path": path,
                        "port": webhook.port(),
                    }},
                    "conversionReviewVersions": webhook.admission_review_versions,
                },
            });
            annotate_ca(scene, &service, &mut object);
        }
        objects.insert(object, format!("`manifests/{}`", manifest.file))?;
    }
    Ok(())
}
