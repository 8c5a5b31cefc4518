//! Bundles from a registry that takes tokens only, which its token service gives for credentials.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use olm_api::bundle::Bundle;
use olm_tests::publish::Publisher;
use olm_tests::token_server::{TokenAsked, TokenServer, TokenUser};
use olm_tests::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, wait};
use olm_tree::MemoryTree;
use serde_json::json;

use super::cluster::PLAIN;
use super::objects::config_map;
use super::status::{pinned, why};

#[tokio::test]
async fn a_registry_behind_a_token_service_opens_to_who_the_service_knows() -> Result<()> {
    let tokens = TokenServer::start(TokenUser {
        name: "ann".to_owned(),
        password: "geheim".to_owned(),
        refresh_token: "vertraulich".to_owned(),
    })
    .await?;
    let registry = Registry::start(RegistryOptions {
        auth: tokens.registry(),
        ..RegistryOptions::default()
    })
    .await?;
    let mut tree = MemoryTree::default();
    let object = config_map("default", "private", "1").to_string();
    tree.insert("manifests/a.yaml", object)?;
    let pushed = Publisher::with_password(&registry, "ann", "geheim")
        .bundle("team/private:v1", &tree)
        .await?;
    let cluster = ControlPlane::own().await?;
    let host = registry.host();
    let options = SuiteOptions::plain_http([host.clone()]);
    let suite = Suite::start_only(&cluster, options, &["rukpak-webhooks", "rukpak"]).await?;
    let client = cluster.client().await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), suite.namespace());
    let bundles: Api<Bundle> = Api::all(client);
    let refused = "was refused (HTTP 401, asked with credentials): check that the image exists and that \
         the pull secret is for its registry and repository";
    let cases = [
        (
            "known",
            Some(json!({"username": "ann", "password": "geheim"})),
            200,
            None,
        ),
        (
            "refresh",
            Some(json!({"identitytoken": "vertraulich"})),
            200,
            None,
        ),
        (
            "wrong",
            Some(json!({"username": "ann", "password": "falsch"})),
            401,
            Some(refused.to_owned()),
        ),
        (
            "anonymous",
            None,
            200,
            Some(refused.replace("with credentials", "without credentials")),
        ),
    ];
    for (name, auth, status, refused) in cases {
        let mut image = json!({"ref": format!("{host}/team/private:v1")});
        let with_credentials = auth.is_some();
        if let Some(auth) = auth {
            let secret = serde_json::from_value(json!({
                "metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson",
                "stringData": {
                    ".dockerconfigjson": json!({"auths": {host.as_str(): auth}}).to_string(),
                },
            }))?;
            secrets.create(&PostParams::default(), &secret).await?;
            image["pullSecret"] = json!(name);
        }
        let before = tokens.asked().len();
        let bundle = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1", "kind": "Bundle", "metadata": {"name": name},
            "spec": {"provisionerClassName": PLAIN, "source": {"type": "image", "image": image}},
        }))?;
        bundles.create(&PostParams::default(), &bundle).await?;
        let reason = match refused {
            Some(_) => "UnpackFailed",
            None => "UnpackSuccessful",
        };
        let bundle = Wait::new(format!("Unpacked of Bundle `{name}` is {reason}"))
            .logs(&suite)
            .object(&bundles, name, |bundle| {
                wait::is_because(bundle, "Unpacked", reason)
            })
            .await?;
        match refused {
            Some(refused) => {
                ensure!(why(&bundle).contains(&refused), "{}", why(&bundle));
                assert_eq!(pinned(&bundle), "", "{name}");
            }
            None => assert_eq!(pinned(&bundle), pushed, "{name}"),
        }
        // The service was asked for what is needed and no more.
        let question = TokenAsked {
            with_credentials,
            scope: "repository:team/private:pull".to_owned(),
            status,
        };
        let asked = tokens.asked().split_off(before);
        ensure!(asked.contains(&question), "{name}: {asked:?}");
    }
    let log = suite.log("rukpak")?;
    for secret in ["geheim", "vertraulich", "falsch"] {
        ensure!(!log.contains(secret), "the log holds `{secret}`");
    }
    Ok(())
}
