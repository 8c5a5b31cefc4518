//! ServiceAccounts and what they may do.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::objects::Objects;
use super::{RenderError, Scene, group};
use crate::registry_v1::csv::{Permission, PolicyRule};
use crate::registry_v1::names;

const API_VERSION: &str = "rbac.authorization.k8s.io/v1";
const API_GROUP: &str = "rbac.authorization.k8s.io";

/// The accounts of permissions and Deployments, by name.
///
/// `default` exists in every namespace. An account that the bundle ships is more than a generated
/// one (it may carry annotations and pull secrets) and is left to it. Upstream renders none for
/// an account that only a Deployment names, whose pods then never start.
pub(super) fn service_accounts(
    scene: &Scene<'_>,
    objects: &mut Objects,
) -> Result<(), RenderError> {
    let install = &scene.bundle.csv.spec.install.spec;
    let mut accounts: BTreeSet<&str> = install
        .permissions
        .iter()
        .chain(&install.cluster_permissions)
        .map(Permission::account)
        .collect();
    for deployment in &install.deployments {
        if let Some(pod) = &deployment.spec.template.spec {
            let named = pod
                .service_account_name
                .as_deref()
                .filter(|name| !name.is_empty());
            let alias = pod
                .service_account
                .as_deref()
                .filter(|name| !name.is_empty());
            accounts.extend(named.or(alias));
        }
    }
    accounts.remove("default");
    for manifest in &scene.bundle.others {
        if manifest.kind() == "ServiceAccount" && group(&manifest.object).is_empty() {
            accounts.remove(manifest.name());
        }
    }
    for account in accounts {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": account, "namespace": scene.namespace},
        });
        objects.insert(object, "a generated ServiceAccount".to_owned())?;
    }
    Ok(())
}

/// Permissions within the target namespaces.
pub(super) fn roles(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    for target in &scene.targets {
        for permission in &scene.bundle.csv.spec.install.spec.permissions {
            grant(scene, permission, Some(target), objects)?;
        }
    }
    Ok(())
}

/// Permissions in the whole cluster: those asked for, and those within namespaces where all
/// namespaces are watched. To find them the operator must be able to list them.
pub(super) fn cluster_roles(scene: &Scene<'_>, objects: &mut Objects) -> Result<(), RenderError> {
    let install = &scene.bundle.csv.spec.install.spec;
    for permission in &install.cluster_permissions {
        grant(scene, permission, None, objects)?;
    }
    if scene.watches_all() {
        for permission in &install.permissions {
            let mut promoted = permission.clone();
            promoted.rules.get_or_insert_default().push(PolicyRule {
                verbs: Some(vec![
                    "get".to_owned(),
                    "list".to_owned(),
                    "watch".to_owned(),
                ]),
                api_groups: vec![String::new()],
                resources: vec!["namespaces".to_owned()],
                ..PolicyRule::default()
            });
            grant(scene, &promoted, None, objects)?;
        }
    }
    Ok(())
}

/// A role and its binding, in a namespace or in the cluster.
fn grant(
    scene: &Scene<'_>,
    permission: &Permission,
    namespace: Option<&str>,
    objects: &mut Objects,
) -> Result<(), RenderError> {
    let base = format!("{}-{}", scene.bundle.csv_name(), permission.account());
    let hash = names::hash(permission).ok_or_else(|| {
        RenderError::Encode(serde::ser::Error::custom("permission has no JSON form"))
    })?;
    let name = names::join(&base, &hash);
    let (role, binding) = match namespace {
        Some(_) => ("Role", "RoleBinding"),
        None => ("ClusterRole", "ClusterRoleBinding"),
    };
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    let rules: Vec<Value> = permission.rules.iter().flatten().map(rule).collect();
    let origin = || format!("a generated {role} or {binding}");
    objects.insert(
        json!({
            "apiVersion": API_VERSION,
            "kind": role,
            "metadata": metadata,
            "rules": rules,
        }),
        origin(),
    )?;
    objects.insert(
        json!({
            "apiVersion": API_VERSION,
            "kind": binding,
            "metadata": metadata,
            "roleRef": {"apiGroup": API_GROUP, "kind": role, "name": name},
            "subjects": [{
                "kind": "ServiceAccount",
                "name": permission.account(),
                "namespace": scene.namespace,
            }],
        }),
        origin(),
    )
}

/// A rule as the API has it: verbs are required there.
fn rule(rule: &PolicyRule) -> Value {
    let mut object = json!({"verbs": rule.verbs.clone().unwrap_or_default()});
    for (field, values) in [
        ("apiGroups", &rule.api_groups),
        ("resources", &rule.resources),
        ("resourceNames", &rule.resource_names),
        ("nonResourceURLs", &rule.non_resource_urls),
    ] {
        if !values.is_empty() {
            object[field] = json!(values);
        }
    }
    object
}
