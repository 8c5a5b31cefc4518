//! The webhooks of an operator, as its container would serve them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use olm_tests::certificates::Identity;
use serde_json::{Value, json};

/// The largest `spec.size` that is admitted.
pub(super) const MOST: i64 = 10;

/// How often each path was asked for an answer.
type Asked = Arc<Mutex<BTreeMap<&'static str, usize>>>;

/// A server of the three types of webhooks for one kind: it denies what is larger than [`MOST`],
/// paints what has no colour red, and converts `spec.size` of `v1` to `spec.extent` of `v2` and back.
pub(super) struct WebhookServer {
    pub(super) address: SocketAddr,
    tls: RustlsConfig,
    asked: Asked,
}

impl WebhookServer {
    /// Serves on a free port, under this certificate at first.
    pub(super) async fn start(identity: Identity) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let tls = RustlsConfig::from_pem(identity.certificate.into(), identity.key.into()).await?;
        let asked = Asked::default();
        let app = Router::new()
            .route("/validate", post(validate))
            .route("/mutate", post(mutate))
            .route("/convert", post(convert))
            .with_state(Arc::clone(&asked));
        let server = axum_server::from_tcp_rustls(listener, tls.clone())?;
        tokio::spawn(server.serve(app.into_make_service()));
        Ok(Self {
            address,
            tls,
            asked,
        })
    }

    /// Serves under the certificate of this Secret from now on, as an operator does that sees its
    /// volume change.
    pub(super) async fn present(&self, secret: &Secret) -> Result<()> {
        let data = secret.data.clone().unwrap_or_default();
        let file = |name: &str| {
            let bytes = data.get(name).map(|bytes| bytes.0.clone());
            bytes.with_context(|| format!("the Secret has no `{name}`"))
        };
        let (certificate, key) = (file("tls.crt")?, file("tls.key")?);
        Ok(self.tls.reload_from_pem(certificate, key).await?)
    }

    /// How often each path was asked since the last time.
    pub(super) fn asked(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn count(asked: &Asked, path: &'static str) {
    *asked.lock().unwrap().entry(path).or_default() += 1;
}

fn admission(review: &Value, mut response: Value) -> Json<Value> {
    response["uid"] = review["request"]["uid"].clone();
    Json(json!({
        "apiVersion": review["apiVersion"], "kind": review["kind"], "response": response,
    }))
}

async fn validate(State(asked): State<Asked>, Json(review): Json<Value>) -> Json<Value> {
    count(&asked, "/validate");
    let size = review["request"]["object"]["spec"]["size"].as_i64();
    let response = match size.filter(|size| *size > MOST) {
        None => json!({"allowed": true}),
        Some(size) => json!({"allowed": false, "status": {
            "message": format!("a size of {size} is more than {MOST}")}}),
    };
    admission(&review, response)
}

async fn mutate(State(asked): State<Asked>, Json(review): Json<Value>) -> Json<Value> {
    count(&asked, "/mutate");
    let mut response = json!({"allowed": true});
    if review["request"]["object"]["spec"]["colour"].is_null() {
        let patch = json!([{"op": "add", "path": "/spec/colour", "value": "red"}]);
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(patch.to_string()));
    }
    admission(&review, response)
}

async fn convert(State(asked): State<Asked>, Json(review): Json<Value>) -> Json<Value> {
    count(&asked, "/convert");
    let request = &review["request"];
    let desired = request["desiredAPIVersion"].as_str().unwrap_or_default();
    let objects = request["objects"].as_array().cloned().unwrap_or_default();
    let converted: Vec<Value> = objects
        .into_iter()
        .map(|mut object| {
            let (old, new) = match desired.rsplit_once('/') {
                Some((_, "v2")) => ("size", "extent"),
                _ => ("extent", "size"),
            };
            object["apiVersion"] = json!(desired);
            if let Some(spec) = object["spec"].as_object_mut()
                && let Some(value) = spec.remove(old)
            {
                spec.insert(new.to_owned(), value);
            }
            object
        })
        .collect();
    Json(json!({
        "apiVersion": review["apiVersion"], "kind": review["kind"],
        "response": {"uid": request["uid"], "convertedObjects": converted,
            "result": {"status": "Success"}},
    }))
}
