//! `olmctl operators`, `why`, `approve`, `autoremove` and `resolve --kubeconfig` on a real API server.
//! The statuses are written by the test: what the commands say of them is what counts.

use anyhow::{Context as _, Result};
use kube::Api;
use olm_api::operator::Operator;
use olm_tests::{ControlPlane, chart};
use serde_json::{Value, json};

use crate::olmctl_catalog::{Ran, olmctl};

const KIND: &str = "operators.operators.operatorframework.io";

const CATALOG: &str = r#"
{"schema":"olm.package","name":"web","defaultChannel":"stable"}
{"schema":"olm.channel","package":"web","name":"stable","entries":[{"name":"web.v1.0.0"},{"name":"web.v1.1.0","replaces":"web.v1.0.0"}]}
{"schema":"olm.bundle","package":"web","name":"web.v1.0.0","image":"example.com/web:1","properties":[{"type":"olm.package","value":{"packageName":"web","version":"1.0.0"}},{"type":"olm.package.required","value":{"packageName":"base","versionRange":"1.0.0"}}]}
{"schema":"olm.bundle","package":"web","name":"web.v1.1.0","image":"example.com/web:2","properties":[{"type":"olm.package","value":{"packageName":"web","version":"1.1.0"}},{"type":"olm.package.required","value":{"packageName":"base","versionRange":"1.0.0"}}]}
{"schema":"olm.package","name":"base","defaultChannel":"stable"}
{"schema":"olm.channel","package":"base","name":"stable","entries":[{"name":"base.v1.0.0"},{"name":"base.v2.0.0","replaces":"base.v1.0.0"}]}
{"schema":"olm.bundle","package":"base","name":"base.v1.0.0","image":"example.com/base:1","properties":[{"type":"olm.package","value":{"packageName":"base","version":"1.0.0"}}]}
{"schema":"olm.bundle","package":"base","name":"base.v2.0.0","image":"example.com/base:2","properties":[{"type":"olm.package","value":{"packageName":"base","version":"2.0.0"}}]}
"#;

fn bundle(package: &str, version: &str) -> Value {
    json!({"name": format!("{package}.v{version}"), "version": version, "package": package,
        "image": format!("example.com/{package}:{}", &version[..1]), "catalog": "community"})
}

fn conditions(resolved: &str) -> Value {
    let condition = |type_: &str, message: &str| {
        json!({"type": type_, "status": "True", "reason": "Success", "message": message,
            "lastTransitionTime": "2024-01-01T00:00:00Z"})
    };
    json!([condition("Resolved", resolved), condition("Ready", "")])
}

struct Cluster {
    plane: ControlPlane,
    kubeconfig: String,
}

impl Cluster {
    async fn start() -> Result<Self> {
        let plane = ControlPlane::own().await?;
        chart::define(&plane.client().await?, &olm_api::crds()).await?;
        let kubeconfig = plane.kubeconfig().to_str().context("no UTF-8")?.to_owned();
        Ok(Self { plane, kubeconfig })
    }

    async fn olmctl(&self, args: &[&str]) -> Result<Ran> {
        olmctl(&[args, &["--kubeconfig", &self.kubeconfig]].concat()).await
    }

    /// An Operator named after its package, with a status.
    async fn operator(
        &self,
        name: &str,
        is_dependency: bool,
        spec: Value,
        status: Value,
    ) -> Result<()> {
        let mut object = json!({
            "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name}, "spec": spec,
        });
        object["spec"]["packageName"] = json!(name);
        if is_dependency {
            object["metadata"]["labels"] =
                json!({"operators.operatorframework.io/dependency": "true"});
        }
        chart::apply(&self.plane.client().await?, &object, "default").await?;
        self.status(name, status).await
    }

    async fn status(&self, name: &str, status: Value) -> Result<()> {
        let patch = json!({"status": status}).to_string();
        let patch = ["--subresource=status", "--type=merge", "-p", &patch];
        let args = [&["patch", KIND, name], &patch[..]].concat();
        self.plane.kubectl(&args).await?;
        Ok(())
    }

    /// `web` requires `base`, which was installed for it; `left` was for someone who is gone.
    async fn with_operators() -> Result<Self> {
        let cluster = Self::start().await?;
        let requires = json!([{"package": "base", "operator": "base", "version": "1.0.0",
            "ready": true, "requirements": ["base 1.0.0"]}]);
        let web = json!({"installed": bundle("web", "1.0.0"), "resolved": bundle("web", "1.0.0"),
            "dependencies": requires, "pendingUpgrade": bundle("web", "1.1.0"),
            "conditions": conditions("resolved to \"example.com/web:1\"")});
        let manual = json!({"upgradeApproval": "Manual"});
        cluster.operator("web", false, manual, web).await?;
        let held = "resolved to \"example.com/base:1\"; newest version 2.0.0 is held back: updating \
                    base to 2.0.0 would break web 1.0.0, which requires base 1.0.0";
        let base = json!({"installed": bundle("base", "1.0.0"), "resolved": bundle("base", "1.0.0"),
            "requiredBy": [{"operator": "web", "package": "web", "version": "1.0.0"}],
            "conditions": conditions(held)});
        cluster.operator("base", true, json!({}), base).await?;
        let left = json!({"installed": bundle("left", "3.0.0"), "resolved": bundle("left", "3.0.0"),
            "conditions": conditions("resolved")});
        cluster.operator("left", true, json!({}), left).await?;
        Ok(cluster)
    }
}

fn fine(ran: &Ran) -> &str {
    assert_eq!((ran.code, ran.said.as_str()), (Some(0), ""), "{ran:?}");
    &ran.out
}

#[tokio::test]
async fn operators_are_shown_explained_approved_and_removed() -> Result<()> {
    let cluster = Cluster::with_operators().await?;
    let shown = cluster.olmctl(&["operators"]).await?;
    assert_eq!(
        fine(&shown),
        "NAME     PACKAGE  VERSION  READY  UPGRADE\n\
         web      web      1.0.0    True   1.1.0 waits for approval\n\
         └─ base  base     1.0.0    True\n\
         left     left     3.0.0    True\n"
    );
    let listed = cluster.olmctl(&["operators", "-o", "json"]).await?;
    let listed: Value = serde_json::from_str(fine(&listed))?;
    assert_eq!(listed[1]["name"], "base");
    assert_eq!(listed[1]["dependency"], true);

    let told = cluster.olmctl(&["why", "base"]).await?;
    assert_eq!(
        fine(&told),
        "base: base 1.0.0 from community is installed\n\nWhy is it here?\n  \
         Operator \"web\": web 1.0.0 requires base 1.0.0\n\nWhy this version?\n  \
         resolved to \"example.com/base:1\"; newest version 2.0.0 is held back: updating base to 2.0.0 \
         would break web 1.0.0, which requires base 1.0.0\n"
    );
    let told = cluster.olmctl(&["why", "web"]).await?;
    assert!(fine(&told).contains("  version 1.1.0 waits for approval: `olmctl approve web`\n"));
    let none = cluster.olmctl(&["why", "nobody"]).await?;
    assert_eq!(none.code, Some(1));
    assert_eq!(
        none.said,
        "error: there is no Operator \"nobody\", and none asks for a package of that name\n"
    );

    let client = cluster.plane.client().await?;
    let operators = Api::<Operator>::all(client);
    let approved = cluster.olmctl(&["approve", "web"]).await?;
    assert_eq!(fine(&approved), "web: 1.0.0 may become 1.1.0\n");
    let web = operators.get("web").await?;
    assert_eq!(web.spec.approved_version.as_deref(), Some("1.1.0"));
    let nothing = cluster.olmctl(&["approve", "base"]).await?;
    assert_eq!(nothing.code, Some(1));
    assert!(
        nothing.said.contains("its upgrades do not wait"),
        "{nothing:?}"
    );

    let would = cluster.olmctl(&["autoremove", "--dry-run"]).await?;
    assert_eq!(fine(&would), "would remove left (left 3.0.0)\n");
    assert!(operators.get_opt("left").await?.is_some());
    let removed = cluster.olmctl(&["autoremove"]).await?;
    assert_eq!(fine(&removed), "removed left (left 3.0.0)\n");
    assert!(operators.get_opt("left").await?.is_none());
    let nothing = cluster.olmctl(&["autoremove"]).await?;
    assert_eq!(
        fine(&nothing),
        "nothing to remove: everything is asked for or required\n"
    );
    assert!(operators.get_opt("base").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn what_would_become_of_a_cluster_is_resolved_from_its_operators() -> Result<()> {
    let cluster = Cluster::with_operators().await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("catalog.json"), CATALOG)?;
    let source = format!("community={}", folder.path().display());
    let resolve = ["resolve", "--catalog", &source];
    // Nothing of `left` is offered any more, and it stays; the update of `web` waits.
    let now = cluster.olmctl(&resolve).await?;
    assert_eq!(
        fine(&now),
        "base: base 1.0.0 from community, as installed\n  newest version 2.0.0 is held back: updating \
         base to 2.0.0 would break web 1.0.0, which requires base 1.0.0\n\
         left: left 3.0.0 from @installed, as installed\n\
         web: web 1.0.0 from community, as installed\n"
    );
    let more = folder.path().join("more.yaml");
    std::fs::write(
        &more,
        "metadata: {name: web}\nspec: {packageName: web, upgradeApproval: Manual, approvedVersion: 1.1.0}\n\
         ---\nmetadata: {name: base}\nspec: {packageName: base, version: 2.0.0}\n",
    )?;
    let file = more.to_str().context("no UTF-8")?;
    let then = cluster
        .olmctl(&[&resolve[..], &["-f", file]].concat())
        .await?;
    assert_eq!(then.code, Some(1));
    assert!(
        then.out.contains("constraints not satisfiable:\n  "),
        "{then:?}"
    );
    assert!(then.out.contains("requires base 1.0.0"), "{then:?}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_an_error_that_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let missing = folder.path().join("none");
    let missing = missing.to_str().context("no UTF-8")?;
    let ran = olmctl(&["operators", "--kubeconfig", missing]).await?;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.said
            .starts_with("error: cannot read how the cluster is reached: "),
        "{ran:?}"
    );
    Ok(())
}
