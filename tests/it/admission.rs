//! What the API server admits of the suite's kinds, and what it says of the rest.

use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use olm_tests::{ControlPlane, chart};
use serde_json::{Value, json};

/// What the API server is expected to answer.
enum Expect {
    Admitted,
    /// Refused, with every one of these in the message.
    Refused(Vec<String>),
}

use Expect::{Admitted, Refused};

fn refused(text: &str) -> Expect {
    Refused(vec![text.to_owned()])
}

/// Texts about length differ between API servers; the field and the number do not.
fn too_long(field: &str, limit: usize) -> Expect {
    Refused(vec![
        format!("{field}: Too long: may not be"),
        limit.to_string(),
    ])
}

async fn check(kind: (&str, &str), rows: Vec<(String, Value, Expect)>) -> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    super::definitions(&cluster).await?;
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

const OPERATORS: (&str, &str) = ("operators.operatorframework.io", "Operator");
const CATALOGS: (&str, &str) = ("catalogd.operatorframework.io", "Catalog");
const BUNDLES: (&str, &str) = ("core.rukpak.io", "Bundle");
const DEPLOYMENTS: (&str, &str) = ("core.rukpak.io", "BundleDeployment");

fn operator(name: &str, field: &str, value: &str, expect: Expect) -> (String, Value, Expect) {
    let mut spec = json!({"packageName": "package"});
    spec[field] = json!(value);
    (format!("{name} {value:?}"), json!({"spec": spec}), expect)
}

#[tokio::test]
async fn operators_with_bad_names_are_refused() -> anyhow::Result<()> {
    let package = r"spec.packageName in body should match '^[a-z0-9]+(-[a-z0-9]+)*$'";
    check(
        OPERATORS,
        vec![
            operator("package", "packageName", "", refused(package)),
            operator("package", "packageName", "prometheus", Admitted),
            operator(
                "package",
                "packageName",
                &"x".repeat(49),
                too_long("spec.packageName", 48),
            ),
            operator(
                "version",
                "version",
                &"1".repeat(65),
                too_long("spec.version", 64),
            ),
            operator(
                "channel",
                "channel",
                &"x".repeat(49),
                too_long("spec.channel", 48),
            ),
            operator("policy", "upgradeConstraintPolicy", "Ignore", Admitted),
            operator(
                "policy",
                "upgradeConstraintPolicy",
                "Sometimes",
                refused("Unsupported value"),
            ),
            (
                "no spec".to_owned(),
                json!({}),
                refused("spec: Required value"),
            ),
            (
                "no package".to_owned(),
                json!({"spec": {"version": "1.2.3"}}),
                refused("spec.packageName: Required value"),
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn the_version_vectors_of_operators_hold() -> anyhow::Result<()> {
    let pattern = r"spec.version in body should match '^(\s*(=||!=|>|<|>=|=>|<=|=<|~|~>|\^)";
    let invalid = [
        "",
        "1.2.3.4",
        "1.02.3",
        "1.2.03",
        "1.2.3-beta!",
        "1.2.3.alpha",
        "1..2.3",
        "1.2.3-pre+bad_metadata",
        "1.2.-3",
        ".1.2.3",
        "<<1.2.3",
        ">>1.2.3",
        ">~1.2.3",
        "==1.2.3",
        "=!1.2.3",
        "!1.2.3",
        "1.Y",
        ">1.2.3 && <2.3.4",
        ">1.2.3;<2.3.4",
        "1.2.3 - 2.3.4",
    ];
    let valid = [
        ">=1.2.3",
        "=>1.2.3",
        ">= 1.2.3",
        ">=v1.2.3",
        ">= v1.2.3",
        "<=1.2.3",
        "=<1.2.3",
        "=1.2.3",
        "!=1.2.3",
        "<1.2.3",
        ">1.2.3",
        "~1.2.2",
        "~>1.2.3",
        "^1.2.3",
        "1.2.3",
        "v1.2.3",
        "1.x",
        "1.X",
        "1.*",
        "1.2.x",
        "1.2.X",
        "1.2.*",
        ">=1.2.3 <2.3.4",
        ">=1.2.3,<2.3.4",
        ">=1.2.3, <2.3.4",
        "<1.2.3||>2.3.4",
        "<1.2.3|| >2.3.4",
        "<1.2.3 ||>2.3.4",
        "<1.2.3 || >2.3.4",
        ">1.0.0,<1.2.3 || >2.1.0",
        "<1.2.3-abc >2.3.4-def",
        "<1.2.3-abc+def >2.3.4-ghi+jkl",
    ];
    let mut rows = Vec::new();
    rows.extend(invalid.map(|version| operator("version", "version", version, refused(pattern))));
    rows.extend(valid.map(|version| operator("version", "version", version, Admitted)));
    check(OPERATORS, rows).await
}

#[tokio::test]
async fn the_channel_vectors_of_operators_hold() -> anyhow::Result<()> {
    let pattern = r"spec.channel in body should match '^[a-z0-9]+([\.-][a-z0-9]+)*$'";
    let invalid = [
        "",
        "spaces spaces",
        "Capitalized",
        "camelCase",
        "many/invalid$characters+in_name",
        "-start-with-hyphen",
        "end-with-hyphen-",
        ".start-with-period",
        "end-with-period.",
    ];
    let valid = [
        "hyphenated-name",
        "dotted.name",
        "channel-has-version-1.0.1",
    ];
    let mut rows = Vec::new();
    rows.extend(invalid.map(|channel| operator("channel", "channel", channel, refused(pattern))));
    rows.extend(valid.map(|channel| operator("channel", "channel", channel, Admitted)));
    check(OPERATORS, rows).await
}

#[tokio::test]
async fn the_package_of_an_operator_cannot_be_changed() -> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await?;
    super::definitions(&cluster).await?;
    let client = cluster.client().await?;
    let object = json!({
        "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
        "metadata": {"name": "admission-immutable"}, "spec": {"packageName": "first"},
    });
    chart::apply(&client, &object, "default").await?;
    let answer = cluster
        .kubectl(&[
            "patch",
            "operators.operators.operatorframework.io",
            "admission-immutable",
            "--type=merge",
            "-p",
            r#"{"spec":{"packageName":"second"}}"#,
        ])
        .await;
    let message = format!(
        "{:#}",
        answer.err().ok_or_else(|| anyhow::anyhow!("was changed"))?
    );
    assert!(message.contains("packageName is immutable"), "{message}");
    let policy = cluster
        .kubectl(&[
            "get",
            "operators.operators.operatorframework.io",
            "admission-immutable",
            "-o",
            "jsonpath={.spec.upgradeConstraintPolicy}",
        ])
        .await?;
    assert_eq!(policy, "Enforce");
    Ok(())
}

fn catalog(name: &str, source: impl Into<Value>, expect: Expect) -> (String, Value, Expect) {
    (
        name.to_owned(),
        json!({"spec": {"source": source.into()}}),
        expect,
    )
}

#[tokio::test]
async fn the_vectors_of_catalogs_hold() -> anyhow::Result<()> {
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

fn bundle(name: &str, source: impl Into<Value>, expect: Expect) -> (String, Value, Expect) {
    let spec = json!({"provisionerClassName": "core-rukpak-io-plain", "source": source.into()});
    (name.to_owned(), json!({"spec": spec}), expect)
}

#[tokio::test]
async fn the_vectors_of_bundles_hold() -> anyhow::Result<()> {
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
async fn the_vectors_of_bundle_deployments_hold() -> anyhow::Result<()> {
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

#[tokio::test]
async fn every_field_of_every_kind_is_explained() -> anyhow::Result<()> {
    let cluster = ControlPlane::shared().await?;
    super::definitions(&cluster).await?;
    for kind in [
        "operators.operators.operatorframework.io",
        "catalogs.catalogd.operatorframework.io",
        "bundles.core.rukpak.io",
        "bundledeployments.core.rukpak.io",
    ] {
        // The API server publishes a new kind's schema a moment after it serves the kind.
        let text = olm_tests::Wait::new(format!("kubectl explains {kind}"))
            .value(async || {
                Ok(cluster
                    .kubectl(&["explain", kind, "--recursive"])
                    .await
                    .ok())
            })
            .await?;
        assert!(text.contains("conditions"), "{text}");
        for field in ["spec", "status"] {
            let text = cluster
                .kubectl(&["explain", &format!("{kind}.{field}")])
                .await?;
            assert!(
                !text.contains("<no description>") && text.contains("DESCRIPTION"),
                "{text}"
            );
        }
    }
    Ok(())
}
