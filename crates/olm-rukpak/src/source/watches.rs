//! Bundles whose content failed for the lack of a ConfigMap or Secret, told when it comes or changes.

use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use k8s_openapi::NamespaceResourceScope;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use olm_api::bundle::{Bundle, BundleSource};
use olm_api::conditions::phase;
use olm_runtime::{Chain, Objects, WatchBackoff};
use serde::de::DeserializeOwned;

/// Each object of a kind that comes or changes in a namespace. Only metadata is read: what is in
/// Secrets stays out of memory until it is used.
pub(crate) fn touched<K>(
    client: Client,
    namespace: &str,
) -> impl Stream<Item = Arc<PartialObjectMeta<K>>> + Send + 'static
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::namespaced(client, namespace);
    watcher(api, watcher::Config::default())
        .backoff(WatchBackoff::default())
        .applied_objects()
        .filter_map(|object| {
            std::future::ready(match object {
                Ok(object) => Some(Arc::new(object)),
                Err(error) => {
                    tracing::warn!(
                        kind = %K::kind(&()),
                        error = %Chain(&error),
                        "watch failed, trying again"
                    );
                    None
                }
            })
        })
}

/// The Bundles that are not unpacked and are made of a ConfigMap.
pub(crate) fn made_of(bundles: &Objects<Bundle>, config_map: &str) -> Vec<ObjectRef<Bundle>> {
    waiting(bundles, |source| {
        let entries = source.config_maps.iter().flatten();
        entries
            .filter_map(|entry| entry.config_map.name.as_deref())
            .any(|name| name == config_map)
    })
}

/// The Bundles that are not unpacked and name a Secret.
pub(crate) fn opened_by(bundles: &Objects<Bundle>, secret: &str) -> Vec<ObjectRef<Bundle>> {
    waiting(bundles, |source| secrets(source).any(|name| name == secret))
}

fn waiting(
    bundles: &Objects<Bundle>,
    names: impl Fn(&BundleSource) -> bool,
) -> Vec<ObjectRef<Bundle>> {
    bundles.references_where(|bundle| {
        let status = bundle.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        phase != Some(phase::UNPACKED)
            && bundle.meta().deletion_timestamp.is_none()
            && names(&bundle.spec.source)
    })
}

/// The Secrets that a source names.
fn secrets(source: &BundleSource) -> impl Iterator<Item = &str> {
    let image = source.image.as_ref();
    let image = image.and_then(|image| image.pull_secret.as_deref());
    let git = source.git.as_ref().and_then(|git| git.auth.as_ref());
    let http = source.http.as_ref().and_then(|http| http.auth.as_ref());
    let servers = git.into_iter().chain(http);
    let servers = servers.filter_map(|auth| auth.secret.as_ref()?.name.as_deref());
    image.into_iter().chain(servers)
}

/// The name of what was touched.
pub(crate) fn name<K: Resource<DynamicType = ()>>(object: &PartialObjectMeta<K>) -> String {
    object.name_any()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[rstest]
    #[case(json!({"type": "image", "image": {"ref": "a", "pullSecret": "s"}}), &["s"])]
    #[case(json!({"type": "git", "git": {"repository": "a", "ref": {"tag": "b"},
        "auth": {"secret": {"name": "s"}}}}), &["s"])]
    #[case(json!({"type": "http", "http": {"url": "a", "auth": {"secret": {"name": "s"}}}}), &["s"])]
    #[case(json!({"type": "http", "http": {"url": "a", "auth": {"insecureSkipVerify": true}}}), &[])]
    #[case(json!({"type": "upload", "upload": {}}), &[])]
    fn every_secret_that_a_source_names_is_waited_for(
        #[case] source: Value,
        #[case] expected: &[&str],
    ) {
        let source = serde_json::from_value(source).unwrap();
        assert_eq!(secrets(&source).collect::<Vec<_>>(), expected);
    }
}
