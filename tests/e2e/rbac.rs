//! What the components may do: what they need, and nothing by a wildcard.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::world::World;

/// rukpak installs what bundles ask for, which may be anything.
const BOUNDED: [&str; 3] = ["operator-controller", "catalogd", "rukpak-webhooks"];

/// The rules that are bound to a `ServiceAccount`.
fn rules_of<'a>(objects: &'a [Value], account: &str) -> Vec<&'a Value> {
    let bindings = objects.iter().filter(|object| {
        object["kind"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("RoleBinding"))
            && object["subjects"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|subject| subject["kind"] == "ServiceAccount" && subject["name"] == *account)
    });
    let roles = bindings.flat_map(|binding| {
        objects.iter().filter(|object| {
            object["kind"] == binding["roleRef"]["kind"]
                && object["metadata"]["name"] == binding["roleRef"]["name"]
        })
    });
    roles
        .flat_map(|role| role["rules"].as_array().into_iter().flatten())
        .collect()
}

#[tokio::test]
async fn only_rukpak_has_wildcards() -> Result<()> {
    let world = World::shared().await?;
    let objects = &world.suite.rendered().objects;
    for account in BOUNDED {
        let rules = rules_of(objects, account);
        ensure!(!rules.is_empty(), "`{account}` has no rules");
        for rule in rules {
            let text = rule.to_string();
            ensure!(!text.contains('*'), "`{account}`: {text}");
            ensure!(
                rule["apiGroups"].is_array() && rule["verbs"].is_array(),
                "`{account}`: {text}"
            );
        }
    }
    // Nothing is bound to anybody else, and no role of the cluster is borrowed.
    let bound: BTreeSet<String> = objects
        .iter()
        .filter(|object| !object["subjects"].is_null())
        .flat_map(|object| object["subjects"].as_array().into_iter().flatten())
        .map(|subject| format!("{}/{}", subject["kind"], subject["name"]))
        .collect();
    let mut accounts = BOUNDED.to_vec();
    accounts.push("rukpak");
    let accounts: BTreeSet<String> = accounts
        .into_iter()
        .map(|name| format!("\"ServiceAccount\"/\"{name}\""))
        .collect();
    assert_eq!(bound, accounts);
    Ok(())
}

#[tokio::test]
async fn each_process_has_the_token_of_its_own_account_and_nothing_else() -> Result<()> {
    let world = World::shared().await?;
    for component in world.suite.components() {
        let program = world.suite.process(&component)?.program();
        let flag = program
            .arguments
            .iter()
            .find_map(|argument| argument.strip_prefix("--kubeconfig="));
        let path = flag.with_context(|| format!("`{component}` has no kubeconfig"))?;
        let config: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let users = config["users"].as_array().context("no users")?;
        ensure!(users.len() == 1, "`{component}` has {} users", users.len());
        let user = users[0]["user"].as_object().context("no user")?;
        let keys: Vec<&String> = user.keys().collect();
        assert_eq!(keys, ["token"], "`{component}`");
        let token = user["token"].as_str().context("no token")?;
        let claims = token.split('.').nth(1).context("not a token")?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        assert_eq!(
            claims["sub"],
            format!("system:serviceaccount:olm-system:{component}")
        );
    }
    world.is_unharmed()
}
