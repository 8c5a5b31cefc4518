//! Operators that are admitted, and what is said of the others.

use super::vectors::Expect::Admitted;
use anyhow::Result;
use olm_tests::{ControlPlane, chart};
use serde_json::{Value, json};

use super::vectors::{Expect, check, refused, too_long};

const OPERATORS: (&str, &str) = ("operators.operatorframework.io", "Operator");

fn operator(name: &str, field: &str, value: &str, expect: Expect) -> (String, Value, Expect) {
    let mut spec = json!({"packageName": "package"});
    spec[field] = json!(value);
    (format!("{name} {value:?}"), json!({"spec": spec}), expect)
}

#[tokio::test]
async fn operators_with_bad_names_are_refused() -> Result<()> {
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
async fn every_optional_field_of_operators_has_its_limits() -> Result<()> {
    let row = |field: &str, value: Value, expect: Expect| {
        let mut spec = json!({"packageName": "package"});
        let name = format!("{field} {value}");
        spec[field] = value;
        (name, json!({"spec": spec}), expect)
    };
    let unsupported = || refused("Unsupported value");
    check(
        OPERATORS,
        vec![
            row("dependencyPolicy", json!("Require"), Admitted),
            row("dependencyPolicy", json!("Ignore"), unsupported()),
            row(
                "catalogSelector",
                json!({"matchLabels": {"tier": "gold"}, "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["gold", "silver"]}]}),
                Admitted,
            ),
            row(
                "catalogSelector",
                json!({"matchLabels": ["tier"]}),
                refused("spec.catalogSelector.matchLabels"),
            ),
            row("installNamespace", json!("here"), Admitted),
            row(
                "installNamespace",
                json!("Not here"),
                refused("spec.installNamespace in body should match"),
            ),
            row(
                "config",
                json!({"watchNamespace": "a", "deploymentConfig": {"nodeSelector": {"a": "b"}}}),
                Admitted,
            ),
            row("config", json!("watchNamespace"), refused("spec.config")),
            row("suspend", json!(true), Admitted),
            row("suspend", json!("yes"), refused("spec.suspend")),
            row("upgradeApproval", json!("Manual"), Admitted),
            row("upgradeApproval", json!("Never"), unsupported()),
            row("approvedVersion", json!("1.2.3-rc.1+build.5"), Admitted),
            row(
                "approvedVersion",
                json!(">=1.2.3"),
                refused("spec.approvedVersion in body should match"),
            ),
            row("rollbackOnFailure", json!("Automatic"), Admitted),
            row("rollbackOnFailure", json!("Always"), unsupported()),
            row("progressDeadline", json!("1h30m"), Admitted),
            row(
                "progressDeadline",
                json!("soon"),
                refused("spec.progressDeadline in body should match"),
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn the_install_namespace_of_an_installed_operator_cannot_be_changed() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    chart::define(&client, &olm_api::crds()).await?;
    let name = "admission-namespace";
    let object = json!({
        "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
        "metadata": {"name": name}, "spec": {"packageName": "p", "installNamespace": "a"},
    });
    chart::apply(&client, &object, "default").await?;
    let kind = "operators.operators.operatorframework.io";
    let move_to = async |namespace: &str| {
        let patch = json!({"spec": {"installNamespace": namespace}}).to_string();
        cluster
            .kubectl(&["patch", kind, name, "--type=merge", "-p", &patch])
            .await
    };
    move_to("b").await?;
    let installed = json!({"status": {"installed":
        {"name": "p.v1", "version": "1.0.0", "package": "p", "image": "r/p:1"}}});
    cluster
        .kubectl(&[
            "patch",
            kind,
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
            &installed.to_string(),
        ])
        .await?;
    let answer = move_to("c").await;
    let message = format!(
        "{:#}",
        answer.err().ok_or_else(|| anyhow::anyhow!("was moved"))?
    );
    let expected = "installNamespace cannot be changed once a bundle is installed";
    assert!(message.contains(expected), "{message}");
    Ok(())
}

#[tokio::test]
async fn the_version_vectors_of_operators_hold() -> Result<()> {
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
async fn the_channel_vectors_of_operators_hold() -> Result<()> {
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
async fn the_package_of_an_operator_cannot_be_changed() -> Result<()> {
    let cluster = ControlPlane::shared().await?;
    let client = cluster.client().await?;
    chart::define(&client, &olm_api::crds()).await?;
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
