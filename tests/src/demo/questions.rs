//! What the demo asks the cluster, and waits for.

use anyhow::{Context, Result, ensure};

use super::{Demo, OPERATORS, PATIENCE};
use crate::Wait;

impl Demo<'_> {
    /// Waits until the Operator says that this version runs.
    pub(super) async fn installed(&self, name: &str, version: &str) -> Result<()> {
        let installed = r#"jsonpath={.status.installed.version} {.status.conditions[?(@.type=="Installed")].status} {.status.resolved.version}"#;
        let wanted = format!("{version} True {version}");
        Wait::new(format!("{name} {version} is installed"))
            .within(PATIENCE)
            .explained(async || {
                let now = self
                    .value(&["get", OPERATORS, name, "-o", installed])
                    .await?;
                if now == wanted {
                    return Ok(Ok(()));
                }
                Ok(Err(self
                    .value(&["get", OPERATORS, name, "-o", "yaml"])
                    .await?))
            })
            .await
    }

    /// Waits until this version, or a later one, was seen as the one that runs.
    pub(super) async fn seen(&self, name: &str, version: &str) -> Result<String> {
        let path = "jsonpath={.status.installed.version}";
        let message = r#"jsonpath={.status.conditions[?(@.type=="Installed")].message}"#;
        Wait::new(format!("{name} {version} is seen"))
            .within(PATIENCE)
            .value(async || {
                let now = self.value(&["get", OPERATORS, name, "-o", path]).await?;
                ensure!(
                    now.as_str() <= version,
                    "{now} came before {version} was seen"
                );
                if now != version {
                    return Ok(None);
                }
                Ok(Some(
                    self.value(&["get", OPERATORS, name, "-o", message]).await?,
                ))
            })
            .await
    }

    /// The namespace that the bundle of an Operator is installed in.
    pub(super) async fn namespace(&self, name: &str) -> Result<String> {
        let path = "jsonpath={.status.installNamespace}";
        self.value(&["get", "bundledeployment", name, "-o", path])
            .await
    }

    /// The name of the first installed object of a kind.
    pub(super) async fn first(&self, name: &str, kind: &str) -> Result<String> {
        let path = format!(r#"jsonpath={{.status.inventory.objects[?(@.kind=="{kind}")].name}}"#);
        let names = self
            .value(&["get", "bundledeployment", name, "-o", &path])
            .await?;
        names
            .split_whitespace()
            .next()
            .map(str::to_owned)
            .with_context(|| format!("{name} has installed no {kind}"))
    }
}
