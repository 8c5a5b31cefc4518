//! Catalogs that are admitted, and what is said of the others.

use super::vectors::Expect::Admitted;
use anyhow::Result;
use serde_json::{Value, json};

use super::vectors::{Expect, check, refused};

const CATALOGS: (&str, &str) = ("catalogd.operatorframework.io", "Catalog");

fn catalog(name: &str, source: impl Into<Value>, expect: Expect) -> (String, Value, Expect) {
    (
        name.to_owned(),
        json!({"spec": {"source": source.into()}}),
        expect,
    )
}

#[tokio::test]
async fn the_vectors_of_catalogs_hold() -> Result<()> {
    let digest = format!("quay.io/a/b@sha256:{}", "a".repeat(64));
    let polled = "cannot specify PollInterval while using digest-based image";
    let tag = "quay.io/a/b:latest";
    check(
        CATALOGS,
        vec![
            catalog(
                "tag",
                json!({"type": "image", "image": {"ref": tag}}),
                Admitted,
            ),
            catalog(
                "every field",
                json!({"type": "image", "image": {"ref": tag, "pullSecret": "s",
                    "pollInterval": "1h30m", "insecureSkipTLSVerify": true}}),
                Admitted,
            ),
            catalog(
                "digest",
                json!({"type": "image", "image": {"ref": digest}}),
                Admitted,
            ),
            catalog(
                "digest, polled",
                json!({"type": "image", "image": {"ref": digest, "pollInterval": "1m"}}),
                refused(polled),
            ),
            catalog(
                "digest, never polled",
                json!({"type": "image", "image": {"ref": digest, "pollInterval": "0s"}}),
                refused(polled),
            ),
            catalog(
                "a day",
                json!({"type": "image", "image": {"ref": tag, "pollInterval": "1 day"}}),
                Admitted,
            ),
            catalog(
                "no duration",
                json!({"type": "image", "image": {"ref": tag, "pollInterval": "often"}}),
                refused("spec.source.image.pollInterval in body must be of type duration"),
            ),
            catalog(
                "no image",
                json!({"type": "image"}),
                refused("\"spec.source\" must validate one and only one schema (oneOf)"),
            ),
            catalog(
                "no ref",
                json!({"type": "image", "image": {}}),
                refused("spec.source.image.ref: Required value"),
            ),
            catalog(
                "no type",
                json!({"image": {"ref": tag}}),
                refused("spec.source.type: Required value"),
            ),
            catalog(
                "other type",
                json!({"type": "git", "image": {"ref": tag}}),
                refused("spec.source.type: Unsupported value: \"git\""),
            ),
            (
                "no source".to_owned(),
                json!({"spec": {}}),
                refused("spec.source: Required value"),
            ),
            ("no spec".to_owned(), json!({}), Admitted),
            catalog(
                "text for a bool",
                json!({"type": "image", "image": {"ref": tag, "insecureSkipTLSVerify": "yes"}}),
                refused("insecureSkipTLSVerify"),
            ),
        ],
    )
    .await
}
