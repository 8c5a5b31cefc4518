#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Mutex;

use http::Method;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use olm_runtime::SystemClock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::scripted::{self, Asked};

const OPERATOR: &str = "/apis/operators.operatorframework.io/v1alpha1/operators/odd";

/// A cluster with one Operator that does not decode; it keeps the status that is written, and what
/// was written in all.
#[derive(Clone, Default)]
struct Odd(Arc<Mutex<(Value, Vec<String>)>>);

impl Odd {
    fn answer(&self, asked: Asked) -> (u16, Value) {
        let Asked {
            method, path, body, ..
        } = asked;
        let mut kept = self.0.lock().unwrap();
        if method != Method::GET {
            kept.1.push(format!("{method} {path}"));
        }
        match (method, path.as_str()) {
            (Method::GET, OPERATOR) => {
                let metadata = json!({"name": "odd", "uid": "u"});
                let spec = json!({"packageName": ["odd"]});
                (
                    200,
                    json!({"metadata": metadata, "spec": spec, "status": kept.0}),
                )
            }
            (Method::PATCH, path) if path.starts_with(OPERATOR) => {
                kept.0.clone_from(&body["status"]);
                (200, body)
            }
            (Method::POST, _) => (201, body),
            _ => scripted::refusal(404, "not found"),
        }
    }

    fn reconciler(&self) -> OperatorReconciler {
        let odd = self.clone();
        let client = scripted::client(move |asked| odd.answer(asked));
        OperatorReconciler {
            decisions: watch::Sender::new(None).subscribe(),
            wake: Arc::default(),
            status: StatusWriter::new(client.clone(), "test").owning_conditions(&CONDITIONS),
            events: Events::new(client.clone(), "test", "one"),
            client,
        }
    }
}

#[tokio::test]
async fn an_operator_that_does_not_decode_is_told_once() {
    let odd = Odd::default();
    let metadata = ObjectMeta {
        name: Some("odd".to_owned()),
        uid: Some("u".to_owned()),
        generation: Some(1),
        ..ObjectMeta::default()
    };
    let pass = Pass::new(SystemClock::shared(), CancellationToken::new());
    // As after a restart: nothing is remembered.
    for _ in 0..2 {
        let reconciler = odd.reconciler();
        let told = reconciler.undecodable(&metadata, "spec.packageName: a list", &pass);
        told.await.unwrap();
    }
    let (status, written) = odd.0.lock().unwrap().clone();
    assert_eq!(written.len(), 2, "one status, one event: {written:?}");
    let resolved = status["conditions"].as_array().unwrap().iter();
    let resolved = resolved.filter(|condition| condition["type"] == "Resolved");
    let messages: Vec<_> = resolved.map(|condition| &condition["message"]).collect();
    assert_eq!(
        messages,
        ["the Operator cannot be read: spec.packageName: a list"]
    );
}
