//! Test support: a client of the Kubernetes API whose answers are scripted.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// One request as the script sees it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

/// A client that asks `script`; an answer is a status and a body.
pub(crate) fn client(script: impl Fn(Asked) -> (u16, Value) + Send + Sync + 'static) -> Client {
    let script = Arc::new(script);
    let service = tower::service_fn(move |request: Request<Body>| {
        let script = Arc::clone(&script);
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let (status, body) = script(Asked {
                method: head.method,
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            });
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok::<_, std::io::Error>(Response::builder().status(status).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

/// An error answer of the API.
pub(crate) fn refusal(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 404 { "NotFound" } else { "Scripted" };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": message});
    (code, body)
}
