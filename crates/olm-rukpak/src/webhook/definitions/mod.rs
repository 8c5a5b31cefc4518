//! The admission webhook of definitions that belong to bundles: custom resources that exist must
//! survive a change, whoever makes it.

mod rules;
mod schema;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{Request as ApiRequest, Resource as _};
use olm_api::annotations::SAFE_CRD_UPGRADE_VALIDATION;
use olm_runtime::Chain;
use serde::Deserialize;
use serde_json::Value;

use self::rules::{Definition, Look};
use self::schema::Schemas;
use super::review::{Request, Verdict};

/// Where the API server asks about definitions.
pub(crate) const PATH: &str = "/validate-crd";

/// How long a review may take; the API server waits for 30 seconds.
const REVIEW: Duration = Duration::from_secs(25);

/// How long to wait for the right to list a kind, which comes a moment after its definition, and
/// how often to ask.
const PERMITTED_WITHIN: Duration = Duration::from_secs(8);
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Custom resources in one answer; each may be a megabyte.
const PAGE_SIZE: u32 = 20;

/// One answer to listing custom resources. An answer of another shape is a failure: taken as an empty
/// list, it would let any change pass.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: ListMeta,
    items: Vec<Value>,
}

/// The routes of the webhook.
pub(super) fn router(client: Client) -> Router {
    Router::new()
        .route(PATH, post(answer))
        .with_state(Arc::new(client))
}

async fn answer(State(client): State<Arc<Client>>, body: Bytes) -> Response {
    super::respond(&body, async |request| judge(&request, &client).await).await
}

async fn judge(request: &Request, client: &Client) -> Verdict {
    let name = request.object()["metadata"]["name"]
        .as_str()
        .unwrap_or_default();
    let undecodable =
        |error| Verdict::Undecodable(format!("failed to decode CRD \"{name}\": {error}"));
    let new = match Definition::read(request.object()) {
        Ok(new) => new,
        Err(error) => return undecodable(error),
    };
    let annotations = &request.object()["metadata"]["annotations"];
    if annotations[SAFE_CRD_UPGRADE_VALIDATION] == "false" || request.old_object().is_null() {
        return Verdict::Allowed;
    }
    let old = match Definition::read(request.old_object()) {
        Ok(old) => old,
        Err(error) => return undecodable(error),
    };
    let outcome = match tokio::time::timeout(REVIEW, validate(client, &old, &new)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(rules::existing(
            name,
            &format!(
                "not all custom resources were read within {} s",
                REVIEW.as_secs()
            ),
        )),
    };
    match outcome {
        Ok(()) => Verdict::Allowed,
        Err(error) => Verdict::Denied(rules::refusal(&request.operation, name, &error)),
    }
}

/// Why `new` must not replace `old`, if it must not.
async fn validate(client: &Client, old: &Definition, new: &Definition) -> Result<(), String> {
    for look in rules::looks(old, new)? {
        look_through(client, old, look).await?;
    }
    rules::stored_versions(old, new)
}

/// Reads every custom resource of a kind, page by page, and holds it against schemas.
async fn look_through(client: &Client, old: &Definition, look: Look) -> Result<(), String> {
    let kind = ApiResource {
        group: old.group.clone(),
        version: look.version.clone(),
        api_version: format!("{}/{}", old.group, look.version),
        kind: old.kind.clone(),
        plural: old.plural.clone(),
    };
    let path = ApiRequest::new(DynamicObject::url_path(&kind, None));
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let gvk = format!("{}, Kind={}", kind.api_version, old.list_kind);
        let text = format!("error listing objects for {gvk}: {}", Chain(error));
        rules::existing(&old.name, &text)
    };
    let schemas = Arc::new(Schemas::new(look.schemas));
    let permitted_by = tokio::time::Instant::now() + PERMITTED_WITHIN;
    let mut page = String::new();
    loop {
        let mut params = ListParams::default().limit(PAGE_SIZE);
        if !page.is_empty() {
            params = params.continue_token(&page);
        }
        let request = path.list(&params).map_err(|error| failed(&error))?;
        let list: Page = match client.request(request).await {
            Ok(list) => list,
            Err(kube::Error::Api(status))
                if status.code == 403 && tokio::time::Instant::now() < permitted_by =>
            {
                tokio::time::sleep(ASK_AGAIN).await;
                continue;
            }
            Err(error) => return Err(failed(&error)),
        };
        page = list.metadata.continue_.unwrap_or_default();
        let schemas = Arc::clone(&schemas);
        let name = old.name.clone();
        let looked = tokio::task::spawn_blocking(move || {
            for item in list.items {
                if let Some((version, errors)) = schemas.violated_by(&item) {
                    return Err(rules::broken(&name, &item, &version, &errors));
                }
            }
            Ok(())
        });
        looked.await.map_err(|error| failed(&error))??;
        if page.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;

    use axum::http::{self, Response};
    use kube::client::Body;
    use serde_json::json;

    use super::*;

    /// A definition in version `v1` whose objects hold an integer of at most `maximum`.
    fn definition(maximum: u32) -> Definition {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer", "maximum": maximum}}}}});
        let object = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.x.io"},
            "spec": {
                "group": "x.io",
                "scope": "Namespaced",
                "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true,
                              "schema": {"openAPIV3Schema": schema}}]}});
        Definition::read(&object).unwrap()
    }

    /// What is said of a narrowed definition where the API server answers a list with `answer`.
    async fn said(answer: &'static str) -> Result<(), String> {
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let answer = Response::new(Body::from(answer.as_bytes().to_vec()));
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let client = Client::new(service, "default");
        validate(&client, &definition(10), &definition(5)).await
    }

    #[tokio::test]
    async fn objects_that_fit_let_a_definition_pass_and_others_do_not() {
        assert_eq!(said(r#"{"items": []}"#).await, Ok(()));
        assert_eq!(said(r#"{"items": [{"spec": {"size": 5}}]}"#).await, Ok(()));
        said(r#"{"items": [{"apiVersion": "x.io/v1", "metadata": {"name": "a"}, "spec": {"size": 6}}]}"#)
            .await
            .unwrap_err();
    }

    #[tokio::test]
    async fn an_answer_that_is_no_list_lets_nothing_pass() {
        for answer in [
            "",
            "1",
            "null",
            "{}",
            r#"{"items": null}"#,
            r#"{"items": {"0": 1}}"#,
        ] {
            let error = said(answer).await.unwrap_err();
            assert!(
                error.contains("error listing objects for x.io/v1, Kind=ThingList"),
                "{answer}: {error}"
            );
        }
    }
}
