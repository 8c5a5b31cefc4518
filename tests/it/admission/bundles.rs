//! Bundles and BundleDeployments that are admitted, and what is said of the others.

use super::vectors::Expect::Admitted;
use anyhow::Result;
use serde_json::{Value, json};

use super::vectors::{Expect, check, refused, too_long};

const BUNDLES: (&str, &str) = ("core.rukpak.io", "Bundle");

const DEPLOYMENTS: (&str, &str) = ("core.rukpak.io", "BundleDeployment");

fn bundle(name: &str, source: impl Into<Value>, expect: Expect) -> (String, Value, Expect) {
    let spec = json!({"provisionerClassName": "core-rukpak-io-plain", "source": source.into()});
    (name.to_owned(), json!({"spec": spec}), expect)
}

#[tokio::test]
async fn the_vectors_of_bundles_hold() -> Result<()> {
    let one_of = "must validate one and only one schema (oneOf). Found";
    let image = json!({"ref": "r/a:b"});
    let git = |reference: Value| json!({"repository": "https://h/r", "ref": reference});
    let class = "Invalid value: \"invalid/class-name\": spec.provisionerClassName in body should \
                 match '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$'";
    let long = json!({"metadata": {"name": "x".repeat(59)}, "spec": {
        "provisionerClassName": "c", "source": {"type": "image", "image": image}}});
    check(
        BUNDLES,
        vec![
            ("A1".to_owned(), long, too_long("metadata.name", 52)),
            bundle(
                "A2",
                json!({"type": "image", "image": image, "git": git(json!({"branch": "m"}))}),
                refused(&format!("\"spec.source\" {one_of} 2 valid alternatives")),
            ),
            bundle(
                "A3",
                json!({"type": "image"}),
                refused(&format!("\"spec.source\" {one_of} none valid")),
            ),
            bundle(
                "A4",
                json!({"type": "git", "git": git(json!({"commit": "c", "tag": "t"}))}),
                refused(&format!(
                    "\"spec.source.git.ref\" {one_of} 2 valid alternatives"
                )),
            ),
            bundle(
                "A5",
                json!({"type": "git", "git": git(json!({}))}),
                refused(&format!("\"spec.source.git.ref\" {one_of} none valid")),
            ),
            (
                "A6".to_owned(),
                json!({"spec": {"provisionerClassName": "invalid/class-name",
                    "source": {"type": "image", "image": image}}}),
                refused(class),
            ),
            bundle("image", json!({"type": "image", "image": image}), Admitted),
            bundle("upload", json!({"type": "upload", "upload": {}}), Admitted),
            bundle(
                "git",
                json!({"type": "git", "git": git(json!({"tag": "t"}))}),
                Admitted,
            ),
            bundle(
                "configMaps",
                json!({"type": "configMaps", "configMaps": [{"configMap": {"name": "c"}}]}),
                Admitted,
            ),
            bundle(
                "http",
                json!({"type": "http", "http": {"url": "https://h/a.tgz"}}),
                Admitted,
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn the_vectors_of_bundle_deployments_hold() -> Result<()> {
    let template = |class: &str| {
        json!({"spec": {"provisionerClassName": class,
            "source": {"type": "image", "image": {"ref": "r/a:b"}}}})
    };
    let spec = |class: &str, template: Value| json!({"spec": {"provisionerClassName": class, "template": template}});
    let mut long = spec("c", template("c"));
    long["metadata"] = json!({"name": "x".repeat(58)});
    let mut configured = spec("c", template("c"));
    configured["spec"]["config"] = json!({"anything": {"goes": [1, true]}});
    let mut placed = spec("c", template("c"));
    placed["spec"]["installNamespace"] = json!("Not_A_Label");
    let invalid = "Invalid value: \"invalid/class-name\": spec.";
    check(
        DEPLOYMENTS,
        vec![
            ("A7".to_owned(), long, too_long("metadata.name", 45)),
            (
                "A8".to_owned(),
                spec("invalid/class-name", template("c")),
                refused(&format!("{invalid}provisionerClassName")),
            ),
            (
                "A9".to_owned(),
                spec("c", template("invalid/class-name")),
                refused("spec.template.spec.provisionerClassName"),
            ),
            ("valid".to_owned(), spec("c", template("c")), Admitted),
            ("any configuration".to_owned(), configured, Admitted),
            (
                "two sources in a template".to_owned(),
                spec(
                    "c",
                    json!({"spec": {"provisionerClassName": "c", "source": {"type": "image",
                    "image": {"ref": "r"}, "http": {"url": "u"}}}}),
                ),
                Admitted,
            ),
            (
                "namespace".to_owned(),
                placed,
                refused("spec.installNamespace in body should match"),
            ),
        ],
    )
    .await
}
