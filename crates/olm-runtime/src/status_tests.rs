#![allow(clippy::unwrap_used, reason = "tests")]

use k8s_openapi::api::core::v1::Namespace;

use super::*;
use crate::scripted;

type Sent = Arc<Mutex<Vec<Value>>>;

fn recording(code: u16) -> (Client, Sent) {
    let sent = Sent::default();
    let client = scripted::client({
        let sent = Arc::clone(&sent);
        move |asked| {
            assert_eq!(asked.path, "/api/v1/namespaces/one/status");
            assert!(
                asked.query.contains("fieldManager=example"),
                "{}",
                asked.query
            );
            assert!(asked.query.contains("force=true"), "{}", asked.query);
            sent.lock().unwrap().push(asked.body.clone());
            Some(if code == 200 {
                (200, asked.body)
            } else {
                scripted::refusal(code, "NotFound")
            })
        }
    });
    (client, sent)
}

fn object(status: &Value) -> Namespace {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "one", "uid": "u"}, "status": status,
    }))
    .unwrap()
}

fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status})
}

#[tokio::test]
async fn sends_kind_identity_and_status_only_when_they_differ() {
    let (client, sent) = recording(200);
    let old = object(&json!({"phase": "Active"}));
    let same = json!({"phase": "Active", "conditions": null});
    assert_eq!(
        apply_status(&client, &old, &same, "example").await.unwrap(),
        Written::Unchanged
    );
    assert!(sent.lock().unwrap().is_empty());
    let new = json!({"phase": "Terminating"});
    assert_eq!(
        apply_status(&client, &old, &new, "example").await.unwrap(),
        Written::Yes
    );
    let wanted = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "one", "uid": "u"}, "status": {"phase": "Terminating"},
    });
    assert_eq!(*sent.lock().unwrap(), [wanted]);
}

#[tokio::test]
async fn a_lagging_cache_does_not_hide_a_change_there_and_back() {
    let (client, sent) = recording(200);
    let writer = StatusWriter::new(client, "example");
    let (a, b) = (json!({"phase": "A"}), json!({"phase": "B"}));
    let cached = object(&a);
    assert_eq!(writer.apply(&cached, &b).await.unwrap(), Written::Yes);
    assert_eq!(writer.apply(&cached, &a).await.unwrap(), Written::Yes);
    assert_eq!(writer.apply(&cached, &a).await.unwrap(), Written::Unchanged);
    assert_eq!(sent.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn neither_sends_nor_compares_the_conditions_of_others() {
    let (client, sent) = recording(200);
    let writer = StatusWriter::new(client, "example").owning_conditions(&["Ready"]);
    let foreign = condition("Foreign", "True");
    let cached = object(&json!({"conditions": [foreign, condition("Ready", "True")]}));
    let same = json!({"conditions": [condition("Ready", "True")]});
    assert_eq!(
        writer.apply(&cached, &same).await.unwrap(),
        Written::Unchanged
    );
    let new = json!({"conditions": [foreign, condition("Ready", "False")]});
    assert_eq!(writer.apply(&cached, &new).await.unwrap(), Written::Yes);
    let wanted = json!({"conditions": [condition("Ready", "False")]});
    assert_eq!(sent.lock().unwrap()[0]["status"], wanted);
}

#[tokio::test]
async fn an_object_that_is_gone_is_no_error() {
    let (client, _) = recording(404);
    let (gone, status) = (object(&json!({})), json!({"phase": "A"}));
    let outcome = apply_status(&client, &gone, &status, "example").await;
    assert_eq!(outcome.unwrap(), Written::Gone);
}
