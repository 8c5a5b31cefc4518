//! The right of rukpak-webhooks to list the custom resources of installed bundles.
//!
//! Whoever judges a change of a definition must read the objects of its kind, and should read
//! nothing else: with a wildcard it could read every Secret. So rukpak, which may everything, writes
//! down which kinds there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use olm_api::labels::{OWNER_KIND, OWNER_KIND_BUNDLE_DEPLOYMENT};
use olm_api::names::{MANAGER_RUKPAK, ROLE_OF_KINDS};
use olm_api::rbac::rule;
use olm_runtime::{Chain, WatchBackoff};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// How soon to try again after a failure, and to look again in any case.
const RETRY: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_mins(10);

/// Definitions in one answer.
const PAGE: u32 = 500;

/// Keeps the role at the kinds that definitions of bundles define, until `token` is cancelled.
pub(crate) async fn keep(client: Client, streaming: Client, token: CancellationToken) {
    let selector = format!("{OWNER_KIND}={OWNER_KIND_BUNDLE_DEPLOYMENT}");
    let watched: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(streaming);
    let config = watcher::Config::default().labels(&selector);
    let changes = watcher(watched, config)
        .backoff(WatchBackoff::default())
        .touched_objects();
    let mut changes = std::pin::pin!(changes);
    loop {
        let pause = match write(&client, &selector).await {
            Ok(()) => LOOK_AGAIN,
            Err(error) => {
                tracing::warn!(
                    role = ROLE_OF_KINDS,
                    error = %Chain(&error),
                    "cannot write which kinds there are, trying again"
                );
                RETRY
            }
        };
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            Some(_) = changes.next() => {
                // A bundle brings many at once.
                while let Some(Some(_)) = changes.next().now_or_never() {}
            }
        }
    }
}

async fn write(client: &Client, selector: &str) -> Result<(), kube::Error> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut names = BTreeSet::new();
    let mut page: Option<String> = None;
    loop {
        let mut params = ListParams::default().labels(selector).limit(PAGE);
        if let Some(page) = &page {
            params = params.continue_token(page);
        }
        let list = definitions.list_metadata(&params).await?;
        names.extend(list.items.into_iter().filter_map(|item| item.metadata.name));
        page = list.metadata.continue_.filter(|token| !token.is_empty());
        if page.is_none() {
            break;
        }
    }
    let rules = rules(names.iter().map(String::as_str));
    let api: Api<ClusterRole> = Api::all(client.clone());
    let live = api.get_opt(ROLE_OF_KINDS).await?;
    if live.is_some_and(|live| live.rules.unwrap_or_default() == rules) {
        return Ok(());
    }
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": ROLE_OF_KINDS}, "rules": rules,
    });
    let parameters = PatchParams::apply(MANAGER_RUKPAK).force();
    api.patch(ROLE_OF_KINDS, &parameters, &Patch::Apply(&role))
        .await?;
    Ok(())
}

/// One rule for each group, from the names of definitions (`plural.group`).
fn rules<'a>(definitions: impl Iterator<Item = &'a str>) -> Vec<PolicyRule> {
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (plural, group) in definitions.filter_map(|name| name.split_once('.')) {
        groups.entry(group).or_default().insert(plural);
    }
    groups
        .into_iter()
        .map(|(group, plurals)| rule(group, &plurals.into_iter().collect::<Vec<_>>(), &["list"]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_a_rule_for_its_kinds_and_nothing_more() {
        let names = ["b.x.io", "a.y.x.io", "a.x.io", "core"];
        assert_eq!(
            rules(names.into_iter()),
            [
                rule("x.io", &["a", "b"], &["list"]),
                rule("y.x.io", &["a"], &["list"])
            ]
        );
    }
}
