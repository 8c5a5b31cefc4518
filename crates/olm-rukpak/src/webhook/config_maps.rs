//! The admission webhook of ConfigMaps that Bundles are made of: they neither change nor go while a
//! Bundle names them.
//!
//! It is asked with the failure policy `Ignore`: what it guards is convenience, as content is stored
//! when it is unpacked. Where Bundles cannot be read it answers with an HTTP error, which the API
//! server takes as no answer.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use kube::api::ListParams;
use kube::{Api, Client};
use olm_api::bundle::Bundle;
use olm_runtime::{Chain, Guarded};
use serde_json::Value;

use super::review::{Request, Verdict};

/// Where the API server asks about ConfigMaps.
pub(crate) const PATH: &str = "/validate-core-v1-configmap";

/// Bundles in one answer.
const PAGE: u32 = 500;

/// The routes of the webhook.
pub(super) fn router(client: Client) -> Router {
    Router::new()
        .route(PATH, post(answer))
        .with_state(Api::all(client))
}

async fn answer(State(bundles): State<Api<Guarded<Bundle>>>, body: Bytes) -> Response {
    let mut failed = false;
    let response = super::respond(&body, async |request| {
        let Some(name) = concerned(&request) else {
            return Verdict::Allowed;
        };
        match naming(&bundles, name).await {
            Ok(bundles) => judge(&request.operation, name, &bundles),
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "cannot list Bundles");
                failed = true;
                Verdict::Allowed
            }
        }
    })
    .await;
    if failed {
        let text = "Bundles cannot be listed";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    response
}

/// The name of the ConfigMap, where it matters whether a Bundle names it.
fn concerned(request: &Request) -> Option<&str> {
    let object: &Value = match request.operation.as_str() {
        "CREATE" if request.object()["immutable"] != true => request.object(),
        "DELETE" => request.old_object(),
        _ => return None,
    };
    let name = object["metadata"]["name"].as_str()?;
    (!name.is_empty()).then_some(name)
}

/// The Bundles of the type configMaps that name a ConfigMap, in the order of their names.
async fn naming(bundles: &Api<Guarded<Bundle>>, name: &str) -> Result<Vec<String>, kube::Error> {
    let mut naming = Vec::new();
    let mut page = String::new();
    loop {
        let mut parameters = ListParams::default().limit(PAGE);
        if !page.is_empty() {
            parameters = parameters.continue_token(&page);
        }
        let list = bundles.list(&parameters).await?;
        let named = list
            .items
            .iter()
            .filter_map(|bundle| bundle.0.as_ref().ok())
            .filter(|bundle| super::rules::config_maps(&bundle.spec).contains(name))
            .filter_map(|bundle| bundle.metadata.name.clone());
        naming.extend(named);
        page = list.metadata.continue_.unwrap_or_default();
        if page.is_empty() {
            naming.sort();
            return Ok(naming);
        }
    }
}

fn judge(operation: &str, name: &str, bundles: &[String]) -> Verdict {
    match (operation, bundles) {
        (_, []) => Verdict::Allowed,
        ("DELETE", [first, ..]) => {
            Verdict::Denied(format!("configmap {name:?} is in-use by bundle {first:?}"))
        }
        (_, all) => Verdict::Denied(format!(
            "configmap {name:?} is referenced in .spec.source.configMaps[].configMap.name by \
             bundles [{}]; referenced configmaps must have .immutable == true",
            all.join(" ")
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn request(request: &Value) -> Request {
        serde_json::from_value(request.clone()).unwrap()
    }

    #[rstest]
    #[case::mutable(json!({"operation": "CREATE", "object": {"metadata": {"name": "a"}}}), Some("a"))]
    #[case::not_immutable(
        json!({"operation": "CREATE", "object": {"metadata": {"name": "a"}, "immutable": false}}),
        Some("a"))]
    #[case::immutable(
        json!({"operation": "CREATE", "object": {"metadata": {"name": "a"}, "immutable": true}}), None)]
    #[case::gone(
        json!({"operation": "DELETE", "oldObject": {"metadata": {"name": "a"}, "immutable": true}}),
        Some("a"))]
    #[case::changed(json!({"operation": "UPDATE", "object": {"metadata": {"name": "a"}}}), None)]
    #[case::nameless(json!({"operation": "CREATE", "object": {"metadata": {}}}), None)]
    fn only_what_may_matter_is_looked_up(#[case] asked: Value, #[case] name: Option<&str>) {
        let mut asked = asked;
        asked["uid"] = json!("u");
        assert_eq!(concerned(&request(&asked)), name);
    }

    #[test]
    fn the_words_are_those_that_users_know() {
        let bundles = ["b1".to_owned(), "b2".to_owned()];
        let denied = |text: &str| Verdict::Denied(text.to_owned());
        let created = "configmap \"a\" is referenced in .spec.source.configMaps[].configMap.name by \
                       bundles [b1 b2]; referenced configmaps must have .immutable == true";
        assert_eq!(judge("CREATE", "a", &bundles), denied(created));
        let gone = "configmap \"a\" is in-use by bundle \"b1\"";
        assert_eq!(judge("DELETE", "a", &bundles), denied(gone));
        assert_eq!(judge("DELETE", "a", &[]), Verdict::Allowed);
    }
}
