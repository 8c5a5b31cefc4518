//! The Deployments of the operator.

use k8s_openapi::api::core::v1::{
    Container, KeyToPath, PodSpec, SecretVolumeSource, Volume, VolumeMount,
};
use serde_json::json;

use super::objects::Objects;
use super::{RenderError, Scene, certificates, overrides};
use crate::registry_v1::csv::StrategyDeployment;
use crate::registry_v1::names;

/// A place where operators look for a serving certificate.
struct CertificateVolume {
    name: &'static str,
    mount_path: &'static str,
    certificate: &'static str,
    key: &'static str,
}

const VOLUMES: [CertificateVolume; 2] = [
    CertificateVolume {
        name: "webhook-cert",
        mount_path: "/tmp/k8s-webhook-server/serving-certs",
        certificate: "tls.crt",
        key: "tls.key",
    },
    CertificateVolume {
        name: "apiservice-cert",
        mount_path: "/apiserver.local.config/certificates",
        certificate: "apiserver.crt",
        key: "apiserver.key",
    },
];

pub(super) fn render(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    for deployment in &scene.bundle.csv.spec.install.spec.deployments {
        let mut metadata = json!({"name": deployment.name, "namespace": scene.namespace});
        if !deployment.label.is_empty() {
            metadata["labels"] = json!(deployment.label);
        }
        let annotations = &scene.overrides.annotations;
        if !annotations.is_empty() {
            metadata["annotations"] = json!(annotations);
        }
        let spec = serde_json::to_value(spec(scene, deployment)).map_err(RenderError::Encode)?;
        let object = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": spec,
        });
        objects.insert(object, "a generated Deployment".to_owned())?;
    }
    Ok(())
}

fn spec(
    scene: &Scene<'_>,
    deployment: &StrategyDeployment,
) -> k8s_openapi::api::apps::v1::DeploymentSpec {
    let mut spec = deployment.spec.clone();
    spec.revision_history_limit = Some(1);
    let metadata = spec.template.metadata.get_or_insert_default();
    metadata.creation_timestamp = None;
    let mut annotations = scene.bundle.annotations().clone();
    annotations.extend(metadata.annotations.take().unwrap_or_default());
    // By these an operator learns from its own pod which namespaces to watch.
    annotations.insert("olm.targetNamespaces".to_owned(), scene.targets.join(","));
    annotations.insert(
        "olm.operatorNamespace".to_owned(),
        scene.namespace.to_owned(),
    );
    metadata.annotations = Some(annotations);

    let serves_webhooks = scene
        .bundle
        .csv
        .spec
        .webhookdefinitions
        .iter()
        .any(|webhook| webhook.deployment_name == deployment.name);
    if serves_webhooks && scene.certificates.mounts_secrets() {
        let secret = names::certificate(&names::service(&deployment.name));
        mount_certificate(spec.template.spec.get_or_insert_default(), &secret);
    }
    overrides::apply(scene.overrides, &mut spec.template);
    spec
}

/// Replaces whatever is mounted where operators look for certificates.
///
/// Init containers are left alone: what they mount of the two names comes back, and upstream
/// leaves the rest.
fn mount_certificate(pod: &mut PodSpec, secret: &str) {
    let mut doomed: Vec<String> = VOLUMES
        .iter()
        .map(|volume| volume.name.to_owned())
        .collect();
    for mount in pod
        .containers
        .iter()
        .flat_map(|container| container.volume_mounts.iter().flatten())
    {
        if VOLUMES
            .iter()
            .any(|volume| same_path(&mount.mount_path, volume.mount_path))
        {
            doomed.push(mount.name.clone());
        }
    }
    let volumes = pod.volumes.get_or_insert_default();
    volumes.retain(|volume| !doomed.contains(&volume.name));
    for volume in &VOLUMES {
        let item = |key: &str, path: &str| KeyToPath {
            key: key.to_owned(),
            path: path.to_owned(),
            mode: None,
        };
        volumes.push(Volume {
            name: volume.name.to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.to_owned()),
                items: Some(vec![
                    item(certificates::CERTIFICATE_KEY, volume.certificate),
                    item(certificates::PRIVATE_KEY_KEY, volume.key),
                ]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        });
    }
    for Container { volume_mounts, .. } in &mut pod.containers {
        let mounts = volume_mounts.get_or_insert_default();
        mounts.retain(|mount| !doomed.contains(&mount.name));
        mounts.extend(VOLUMES.iter().map(|volume| VolumeMount {
            name: volume.name.to_owned(),
            mount_path: volume.mount_path.to_owned(),
            ..VolumeMount::default()
        }));
    }
}

/// Whether two absolute paths name one place: a trailing slash and empty or `.` components mean
/// nothing. Upstream compares the strings, and then mounts two volumes at one place.
fn same_path(left: &str, right: &str) -> bool {
    fn components(path: &str) -> impl Iterator<Item = &str> {
        path.split('/')
            .filter(|component| !component.is_empty() && *component != ".")
    }
    components(left).eq(components(right))
}
