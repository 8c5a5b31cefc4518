//! The admission webhooks: of Bundles, of ConfigMaps that they are made of, and of definitions that
//! belong to bundles.

mod config_maps;
pub(crate) mod configuration;
mod definitions;
mod review;
mod rules;
mod trust;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use self::review::{Request, Review, Verdict};
use self::rules::ConfigMaps;

pub(crate) use self::trust::Publisher;

/// Where the API server asks about Bundles.
pub(crate) const PATH: &str = "/validate-core-rukpak-io-v1alpha1-bundle";

/// Largest review: an object as it was and as it is to be, each as large as the API server takes.
const MAX_REVIEW: usize = 8 << 20;

/// Most ConfigMaps that one Bundle may name; each costs a request.
const MAX_CONFIG_MAPS: usize = 256;

/// The routes of the webhooks. ConfigMaps are looked up in `system_namespace`.
pub(crate) fn router(client: Client, system_namespace: &str) -> Router {
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), system_namespace);
    Router::new()
        .route(PATH, post(bundle))
        .with_state(config_maps)
        .merge(config_maps::router(client.clone()))
        .merge(definitions::router(client))
        .layer(DefaultBodyLimit::max(MAX_REVIEW))
}

async fn bundle(State(config_maps): State<Api<ConfigMap>>, body: Bytes) -> Response {
    respond(&body, async |request| {
        let verdict = judge(&request, &config_maps).await;
        verdict.unwrap_or_else(|verdict| verdict)
    })
    .await
}

/// Reads a review, has its request judged and writes the answer.
async fn respond(body: &Bytes, judge: impl AsyncFnOnce(Request) -> Verdict) -> Response {
    let Ok(Review { request }) = serde_json::from_slice(body) else {
        let text = "the body is not an admission review";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let (uid, operation) = (request.uid.clone(), request.operation.clone());
    let verdict = judge(request).await;
    tracing::debug!(%operation, ?verdict, "reviewed");
    axum::Json(review::answer(&uid, &verdict)).into_response()
}

/// Judges a request; an `Err` is a verdict, too.
async fn judge(request: &Request, config_maps: &Api<ConfigMap>) -> Result<Verdict, Verdict> {
    let spec = request.new_spec()?;
    let denial = match request.operation.as_str() {
        "UPDATE" => rules::update(&request.old_spec()?, &spec),
        "CREATE" => {
            let mut known = ConfigMaps::new();
            let names = rules::config_maps(&spec);
            if names.len() > MAX_CONFIG_MAPS {
                let text =
                    format!("bundle.spec.source.configmaps names more than {MAX_CONFIG_MAPS}");
                return Ok(Verdict::Denied(text));
            }
            for name in names {
                let found = config_maps.get_opt(name).await;
                let found = found.map_err(|error| {
                    let error = olm_runtime::Chain(&error);
                    Verdict::Failed(format!("cannot read ConfigMap `{name}`: {error}"))
                })?;
                if let Some(found) = found {
                    known.insert(name.to_owned(), found.immutable == Some(true));
                }
            }
            rules::create(&spec, &known)
        }
        _ => None,
    };
    Ok(denial.map_or(Verdict::Allowed, Verdict::Denied))
}
