//! Those who ask rukpak for content and upload it.

use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::Api;
use kube::api::PostParams;
use olm_tests::chart;
use serde_json::json;

use super::cluster::RukpakCluster;

/// A `ServiceAccount` of the namespace `default` that asks rukpak with its token.
pub(super) struct Person {
    client: reqwest::Client,
    token: String,
}

/// What was answered: status and text.
pub(super) type Said = (u16, String);

impl Person {
    /// One that is bound to a role, where one is named.
    pub(super) async fn new(
        fixture: &RukpakCluster,
        name: &str,
        role: Option<&str>,
    ) -> Result<Self> {
        let accounts: Api<ServiceAccount> = Api::namespaced(fixture.client.clone(), "default");
        let account = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        accounts.create(&PostParams::default(), &account).await?;
        if let Some(role) = role {
            let binding = json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                            "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
            });
            chart::apply(&fixture.client, &binding, "").await?;
        }
        let request: TokenRequest = serde_json::from_value(json!({"spec": {"audiences": []}}))?;
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await?;
        let token = answer.status.context("no token")?.token;
        Self::with_token(fixture, token).await
    }

    /// One with a token that the cluster may not know.
    pub(super) async fn with_token(fixture: &RukpakCluster, token: String) -> Result<Self> {
        let suite = fixture.suite.namespace();
        let maps: Api<ConfigMap> = Api::namespaced(fixture.client.clone(), suite);
        let trust = maps.get("olm-trust").await?.data.unwrap_or_default();
        let authority = trust.get("rukpak").context("no authority of rukpak")?;
        let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes())?;
        let client = reqwest::Client::builder().tls_certs_only(roots).no_proxy();
        Ok(Self {
            client: client.build()?,
            token,
        })
    }

    pub(super) async fn put(&self, url: &str, body: Vec<u8>) -> Result<Said> {
        let request = self.client.put(url).bearer_auth(&self.token).body(body);
        said(request.send().await?).await
    }

    pub(super) async fn get(&self, url: &str) -> Result<reqwest::Response> {
        self.get_with(url, &[]).await
    }

    pub(super) async fn get_with(
        &self,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Response> {
        let mut request = self.client.get(url).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(request.send().await?)
    }

    pub(super) async fn delete(&self, url: &str) -> Result<Said> {
        let request = self.client.delete(url).bearer_auth(&self.token);
        said(request.send().await?).await
    }
}

async fn said(answer: reqwest::Response) -> Result<Said> {
    let status = answer.status().as_u16();
    Ok((status, answer.text().await?.trim_end().to_owned()))
}
