//! What of a bundle has to be on the cluster.

use std::collections::BTreeSet;

use anyhow::Result;
use olm_api::bundle_deployment::InventoryObject;
use olm_bundle::registry_v1::{self, CertificateProvider, Config, RenderOptions};
use olm_tree::MemoryTree;
use serde_json::Value;

/// The namespace that everything is installed in.
pub(super) const NAMESPACE: &str = "olm-test-install";
/// Another namespace, which operators may watch.
pub(super) const WATCHED: &str = "olm-test-watch";

pub(super) fn identity(object: &InventoryObject) -> [String; 4] {
    [
        object.group.clone(),
        object.kind.clone(),
        object.namespace.clone().unwrap_or_default(),
        object.name.clone(),
    ]
}

/// Group, kind, namespace and name of everything that a bundle is rendered to, and of the Secrets
/// that its webhooks are served with.
pub(super) fn rendered(files: &MemoryTree, config: &Value) -> Result<BTreeSet<[String; 4]>> {
    let bundle = registry_v1::load(files)?;
    let options = RenderOptions {
        config: Config::parse(&bundle, config, Some(NAMESPACE))?,
        ..RenderOptions::new(NAMESPACE, CertificateProvider::Own)
    };
    let rendered = registry_v1::render(&bundle, &options)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let secrets = rendered.certificates.iter().map(|certificate| {
        let (namespace, name) = (certificate.namespace.clone(), certificate.secret.clone());
        [String::new(), "Secret".to_owned(), namespace, name]
    });
    Ok(rendered
        .objects
        .iter()
        .map(|object| {
            let version = text(&object["apiVersion"]);
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let namespace = text(&object["metadata"]["namespace"]);
            let kind = text(&object["kind"]);
            [
                group.to_owned(),
                kind,
                namespace,
                text(&object["metadata"]["name"]),
            ]
        })
        .chain(secrets)
        .collect())
}
