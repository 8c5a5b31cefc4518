//! Objects, and what the API server is expected to answer to each.

use anyhow::Result;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_tests::{ControlPlane, chart};
use serde_json::{Value, json};

/// What the API server is expected to answer.
pub(super) enum Expect {
    Admitted,
    /// Refused, with every one of these in the message.
    Refused(Vec<String>),
}

use Expect::{Admitted, Refused};

pub(super) fn refused(text: &str) -> Expect {
    Refused(vec![text.to_owned()])
}

/// Texts about length differ between API servers; the field and the number do not.
pub(super) fn too_long(field: &str, limit: usize) -> Expect {
    Refused(vec![
        format!("{field}: Too long: may not be"),
        limit.to_string(),
    ])
}

pub(super) async fn check(kind: (&str, &str), rows: Vec<(String, Value, Expect)>) -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    chart::define(&client, &olm_api::crds()).await?;
    let kind = GroupVersionKind::gvk(kind.0, "v1alpha1", kind.1);
    let api = Api::<DynamicObject>::all_with(client, &ApiResource::from_gvk(&kind));
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut wrong = Vec::new();
    for (index, (name, mut object, expect)) in rows.into_iter().enumerate() {
        object["apiVersion"] = json!(format!("{}/v1alpha1", kind.group));
        object["kind"] = json!(kind.kind);
        if object["metadata"]["name"].is_null() {
            object["metadata"] = json!({"name": format!("admission-{index}")});
        }
        let answer = api.create(&dry_run, &serde_json::from_value(object)?).await;
        match (answer, expect) {
            (Ok(_), Admitted) => {}
            (Ok(_), Refused(texts)) => wrong.push(format!("{name}: admitted, expected {texts:?}")),
            (Err(error), Admitted) => wrong.push(format!("{name}: {error}")),
            (Err(error), Refused(texts)) => {
                let message = error.to_string();
                for text in texts.iter().filter(|text| !message.contains(text.as_str())) {
                    wrong.push(format!("{name}: expected {text:?} in {message:?}"));
                }
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
