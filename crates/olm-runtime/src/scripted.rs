//! Test support: a client whose answers are scripted, and a small store of objects behind one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

/// An answer: status and body; `None` is an answer that never comes.
pub(crate) type Answer = Option<(u16, Value)>;

/// One request as the script sees it.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Value,
}

/// A client that asks `script`.
pub(crate) fn client(script: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Client {
    let script = Arc::new(script);
    let service = tower::service_fn(move |request: Request<Body>| {
        let script = Arc::clone(&script);
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await.unwrap().to_bytes();
            let asked = Asked {
                method: head.method,
                path: head.uri.path().to_owned(),
                query: head.uri.query().unwrap_or_default().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            let Some((status, body)) = script(asked) else {
                return std::future::pending().await;
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok::<_, std::io::Error>(Response::builder().status(status).body(body).unwrap())
        }
    });
    Client::new(service, "default")
}

/// An error answer of the API.
pub(crate) fn refusal(code: u16, reason: &str) -> (u16, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": reason, "message": format!("scripted {reason}")});
    (code, body)
}

/// Objects by path, with resource versions that guard replacements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Objects(Arc<Mutex<BTreeMap<String, Value>>>);

impl Objects {
    pub(crate) fn client(&self) -> Client {
        let objects = self.clone();
        client(move |asked| Some(objects.answer(asked)))
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().get(path).cloned()
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().unwrap().remove(path);
    }

    pub(crate) fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        edit(self.0.lock().unwrap().get_mut(path).unwrap());
    }

    pub(crate) fn answer(&self, asked: Asked) -> (u16, Value) {
        let mut objects = self.0.lock().unwrap();
        let Asked {
            method,
            path,
            mut body,
            ..
        } = asked;
        match method {
            Method::GET => match objects.get(&path) {
                Some(object) => (200, object.clone()),
                None => refusal(404, "NotFound"),
            },
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if objects.contains_key(&path) {
                    return refusal(409, "AlreadyExists");
                }
                body["metadata"]["resourceVersion"] = json!("1");
                objects.insert(path, body.clone());
                (201, body)
            }
            Method::PUT => {
                let Some(old) = objects.get(&path) else {
                    return refusal(404, "NotFound");
                };
                let version = old["metadata"]["resourceVersion"].clone();
                if body["metadata"]["resourceVersion"] != version {
                    return refusal(409, "Conflict");
                }
                body["metadata"]["resourceVersion"] = next(&version);
                objects.insert(path, body.clone());
                (200, body)
            }
            Method::PATCH => {
                let object = objects.entry(path).or_insert_with(|| body.clone());
                if let Some(fields) = body["data"].as_object() {
                    for (key, value) in fields {
                        object["data"][key] = value.clone();
                    }
                }
                object["metadata"]["resourceVersion"] =
                    next(&object["metadata"]["resourceVersion"].clone());
                (200, object.clone())
            }
            other => panic!("unexpected {other}"),
        }
    }
}

fn next(version: &Value) -> Value {
    let number: u64 = version.as_str().unwrap_or("0").parse().unwrap();
    json!((number + 1).to_string())
}
