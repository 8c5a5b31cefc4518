//! Admission reviews: `PATH` of the webhook (its last letters are enough to choose it) in the first
//! line, the review in the second, and in the third what the API server answers when it is asked for
//! Bundles, ConfigMaps or custom resources. Every body has an answer, and every review one of its own.
#![no_main]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower::ServiceExt as _;

/// What the API server answers the first time it is asked; then, as after a last page, nothing more.
#[derive(Default)]
struct Cluster {
    answer: Mutex<Vec<u8>>,
    asked: AtomicBool,
}

struct Webhooks {
    router: Router,
    runtime: tokio::runtime::Runtime,
    cluster: Arc<Cluster>,
}

static WEBHOOKS: LazyLock<Webhooks> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = Arc::new(Cluster::default());
    let asked = Arc::clone(&cluster);
    let service = tower::service_fn(move |_: Request<kube::client::Body>| {
        let answer = if asked.asked.swap(true, Ordering::Relaxed) {
            br#"{"items":[]}"#.to_vec()
        } else {
            let answer = asked.answer.lock().unwrap_or_else(PoisonError::into_inner);
            answer.clone()
        };
        std::future::ready(Ok::<_, std::io::Error>(Response::new(
            kube::client::Body::from(answer),
        )))
    });
    let _entered = runtime.enter();
    let client = kube::Client::new(service, "default");
    let router = olm_rukpak::admission_routes(client, "olm-system");
    Webhooks {
        router,
        runtime,
        cluster,
    }
});

fn path(line: &str) -> &'static str {
    if line.ends_with("crd") {
        "/validate-crd"
    } else if line.ends_with("configmap") {
        "/validate-core-v1-configmap"
    } else {
        "/validate-core-rukpak-io-v1alpha1-bundle"
    }
}

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (Some(first), Some(review)) = (lines.next(), lines.next()) else {
        return;
    };
    let webhooks = &*WEBHOOKS;
    {
        let cluster = &webhooks.cluster;
        let answer = lines.next().unwrap_or("{}").as_bytes().to_vec();
        *cluster
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = answer;
        cluster.asked.store(false, Ordering::Relaxed);
    }
    let request = Request::post(path(first))
        .body(Body::from(review.to_owned()))
        .expect("a request");
    webhooks.runtime.block_on(async {
        let router = webhooks.router.clone();
        let answer = router.oneshot(request).await.expect("routers never fail");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        match head.status {
            StatusCode::OK => {
                // Strings that nobody reads may have escapes that stand for no character.
                let asked: Value = serde_json::from_str(review).unwrap_or_default();
                let answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
                // What decodes may also be a list of the fields' values, in which nothing has a name.
                if asked["request"].is_object() {
                    assert_eq!(answer["response"]["uid"], asked["request"]["uid"]);
                }
                let allowed = answer["response"]["allowed"].as_bool().expect("a verdict");
                // Who is refused is told why.
                let status = &answer["response"]["status"];
                assert_eq!(allowed, status.is_null(), "{answer}");
                assert!(allowed || status["reason"].is_string() || status["message"].is_string());
            }
            // No review; or, for ConfigMaps, a cluster that cannot be asked.
            StatusCode::BAD_REQUEST | StatusCode::SERVICE_UNAVAILABLE => {}
            other => panic!("{other}"),
        }
    });
});
