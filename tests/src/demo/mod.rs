//! The demo: the main job of the suite, done with `kubectl` as a user would, each step told in a
//! line with its time.
#![allow(clippy::print_stdout, reason = "it tells people what happens")]

mod questions;
mod terminal;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use terminal::{Teller, shown};

use crate::publish::Publisher;
use crate::scenario::Scenario;
use crate::snapshot::Snapshot;
use crate::{ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait};

/// The word that `kubectl` takes for Operators, also where another API has a kind of that name.
const OPERATORS: &str = "operators.operators.operatorframework.io";

/// How long any step may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs the demo; with `keep`, leaves the cluster up until the process is interrupted.
///
/// # Errors
///
/// At the first step that does not come out as told.
pub async fn run(keep: bool) -> Result<()> {
    let mut tell = Teller::new();
    let cluster = ControlPlane::start().await?;
    // The first call finds the command, and says so where it passes over one of another version.
    cluster.kubectl(&["version"]).await?;
    tell.done(&format!("Kubernetes {} is up", cluster.version()));
    let registry = Registry::start(RegistryOptions::default()).await?;
    let options = SuiteOptions::plain_http([registry.host()]);
    let suite = Suite::start(&cluster, options).await?;
    tell.done(&format!(
        "the chart is applied; {} run as processes, each with its own ServiceAccount",
        suite.components().join(", ")
    ));
    let outcome = Demo {
        cluster: &cluster,
        registry: &registry,
        suite: &suite,
        tell,
    }
    .run()
    .await;
    if let Err(error) = &outcome {
        println!("\nfailed: {error:#}\n");
        for component in suite.components() {
            let log = suite.log(&component)?;
            println!(
                "-- end of the log of {component}:\n{}",
                crate::report::tail(&log, 15)
            );
        }
    }
    if keep {
        tell_what_stays(&cluster, &registry, &suite).await?;
        tokio::signal::ctrl_c().await?;
    }
    outcome
}

/// What is needed to go on with the cluster by hand.
async fn tell_what_stays(cluster: &ControlPlane, registry: &Registry, suite: &Suite) -> Result<()> {
    let scenario = Scenario::load()?;
    println!(
        "\nthe cluster stays up until Ctrl-C (its nodes are simulated: pods are Running, nothing runs in \
         them; the suite's Deployments have no pods, and a process of the suite that ends stays away):"
    );
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    let kubectl = crate::assets::find(crate::assets::Tool::Kubectl).await?;
    println!("  alias kubectl={}", kubectl.display());
    let olmctl = crate::process::executables()?.join("olmctl");
    println!("  alias olmctl={}", olmctl.display());
    println!(
        "the catalog `demo` has {} and {}; the registry is http://{}, and rukpak takes uploads and serves \
         content at https://{}",
        scenario.base.name,
        scenario.dependant.name,
        registry.host(),
        suite.address("rukpak", 8443)?,
    );
    Ok(())
}

struct Demo<'a> {
    cluster: &'a ControlPlane,
    registry: &'a Registry,
    suite: &'a Suite,
    tell: Teller,
}

impl Demo<'_> {
    async fn run(mut self) -> Result<()> {
        let scenario = Scenario::load()?;
        let later = scenario
            .dependant_versions
            .last()
            .context("no version")?
            .clone();
        let publisher = Publisher::new(self.registry);
        let packages = [scenario.base.clone(), scenario.dependant.without(&later)];
        let first = publisher.catalog("demo/catalog:latest", &packages).await?;
        self.tell.done(&format!(
            "{} bundles and a catalog of them are packed and pushed to the registry ({})",
            first.images.len(),
            if scenario.real {
                "real bundles"
            } else {
                "bundles of the project's own"
            }
        ));

        self.catalog(&first.reference).await?;
        let before = Snapshot::take(&self.cluster.client().await?).await?;
        self.install(&scenario).await?;
        self.walk(&scenario).await?;
        self.depend(&scenario).await?;
        self.repair(&scenario).await?;
        self.deny(&scenario).await?;
        let packages = [scenario.base.clone(), scenario.dependant.clone()];
        self.republish(&scenario, &publisher, &packages).await?;
        self.remove(&scenario, &before).await
    }

    async fn catalog(&mut self, reference: &str) -> Result<()> {
        self.tell.step("a Catalog names the image by its tag");
        self.apply(
            "catalog",
            &format!(
                "apiVersion: catalogd.operatorframework.io/v1alpha1\n\
                 kind: Catalog\n\
                 metadata: {{name: demo}}\n\
                 spec:\n  source:\n    type: image\n    image: {{ref: \"{reference}\", pollInterval: 2s}}\n"
            ),
        )
        .await?;
        self.kubectl(&[
            "wait",
            "--for=condition=Unpacked",
            "catalog/demo",
            "--timeout=120s",
        ])
        .await?;
        self.kubectl(&["get", "catalog"]).await?;
        let url = self
            .value(&[
                "get",
                "catalog",
                "demo",
                "-o",
                "jsonpath={.status.contentURL}",
            ])
            .await?;
        let namespace = self.suite.namespace();
        let authority = self
            .value(&[
                "get",
                "configmap",
                "olm-trust",
                "-n",
                namespace,
                "-o",
                "jsonpath={.data.catalogd}",
            ])
            .await?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(authority.as_bytes())?])
            .build()?;
        let body = client
            .get(&url)
            .send()
            .await?
            .error_for_status()?
            .text()
            .await?;
        let packages = body
            .lines()
            .map(serde_json::from_str::<Value>)
            .filter(|line| {
                line.as_ref()
                    .is_ok_and(|line| line["schema"] == "olm.package")
            })
            .count();
        ensure!(packages == 2, "{packages} packages are served at {url}");
        self.tell
            .done(&format!("{packages} packages are served at {url}"));
        Ok(())
    }

    async fn install(&mut self, scenario: &Scenario) -> Result<()> {
        let (name, version) = (&scenario.base.name, &scenario.base_versions[0]);
        self.tell
            .step(&format!("an Operator asks for {name}, pinned to {version}"));
        self.apply(
            "operator",
            &operator(name, &format!("version: \"{version}\"")),
        )
        .await?;
        self.installed(name, version).await?;
        self.kubectl(&["get", OPERATORS]).await?;
        let namespace = self.namespace(name).await?;
        self.kubectl(&["get", "deployments", "-n", &namespace])
            .await?;
        let definition = self.first(name, "CustomResourceDefinition").await?;
        self.kubectl(&["get", "crd", &definition]).await?;
        self.tell.done(&format!(
            "{name} {version} is installed; {definition} is served"
        ));
        Ok(())
    }

    async fn walk(&mut self, scenario: &Scenario) -> Result<()> {
        let name = &scenario.base.name;
        self.tell
            .step("the pin is replaced by the channel: it walks along the upgrade edges");
        self.apply("operator", &operator(name, "channel: stable"))
            .await?;
        for version in &scenario.base_versions[1..] {
            let seen = self.seen(name, version).await?;
            self.tell
                .done(&format!("{name} {version} was seen in status: {seen}"));
        }
        let last = scenario.base_versions.last().context("no version")?;
        self.installed(name, last).await?;
        self.kubectl(&["get", OPERATORS, name, "-o", "wide"])
            .await?;
        self.tell.done(&format!("{name} {last} is installed"));
        Ok(())
    }

    async fn depend(&mut self, scenario: &Scenario) -> Result<()> {
        let name = &scenario.dependant.name;
        let version = &scenario.dependant_versions[scenario.dependant_versions.len() - 2];
        self.tell.step(&format!(
            "{name}, which needs the first one, is asked for by channel"
        ));
        self.apply("dependant", &operator(name, "channel: stable"))
            .await?;
        self.installed(name, version).await?;
        self.kubectl(&["get", OPERATORS]).await?;
        self.tell.done(&format!("{name} {version} is installed"));
        Ok(())
    }

    async fn repair(&mut self, scenario: &Scenario) -> Result<()> {
        let name = &scenario.base.name;
        self.tell
            .step("someone deletes the Deployment and empties a role");
        let namespace = self.namespace(name).await?;
        let deployment = self.first(name, "Deployment").await?;
        let (kind, role) = match self.first(name, "Role").await {
            Ok(role) => ("role", role),
            Err(_) => ("clusterrole", self.first(name, "ClusterRole").await?),
        };
        let uid = [
            "get",
            "deployment",
            &deployment,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.metadata.uid}",
        ];
        let rules = [
            "get",
            kind,
            &role,
            "-n",
            &namespace,
            "-o",
            "jsonpath={.rules}",
        ];
        let (old, wanted) = (self.value(&uid).await?, self.value(&rules).await?);
        self.kubectl(&["delete", "deployment", &deployment, "-n", &namespace])
            .await?;
        self.kubectl(&[
            "patch",
            kind,
            &role,
            "-n",
            &namespace,
            "--type=json",
            "-p",
            r#"[{"op":"replace","path":"/rules","value":[]}]"#,
        ])
        .await?;
        Wait::new(format!("deployment {deployment} is back"))
            .within(PATIENCE)
            .value(async || {
                Ok(self
                    .value(&uid)
                    .await
                    .ok()
                    .filter(|new| *new != old && !new.is_empty()))
            })
            .await?;
        Wait::new(format!("{kind} {role} is as it was"))
            .within(PATIENCE)
            .value(async || Ok((self.value(&rules).await? == wanted).then_some(())))
            .await?;
        self.tell.done("both are back");
        Ok(())
    }

    async fn deny(&mut self, scenario: &Scenario) -> Result<()> {
        self.tell.step("someone patches the spec of a Bundle");
        let name = &scenario.base.name;
        let bundle = self
            .value(&[
                "get",
                "bundledeployment",
                name,
                "-o",
                "jsonpath={.status.activeBundle}",
            ])
            .await?;
        let patch = r#"{"spec":{"source":{"image":{"ref":"example.com/other:v1"}}}}"#;
        let command = ["patch", "bundle", &bundle, "--type=merge", "-p", patch];
        println!("    $ kubectl {}", shown(&command));
        let denial = "Error from server (bundle.spec is immutable): admission webhook \
                      \"vbundles.core.rukpak.io\" denied the request: bundle.spec is immutable";
        match self.cluster.kubectl(&command).await {
            Ok(answer) => bail!("the Bundle was changed: {answer}"),
            Err(error) => {
                let text = format!("{error:#}");
                ensure!(
                    text.contains(denial),
                    "another answer than the denial: {text}"
                );
                println!("    {denial}");
            }
        }
        self.tell.done("it is denied");
        Ok(())
    }

    async fn republish(
        &mut self,
        scenario: &Scenario,
        publisher: &Publisher<'_>,
        packages: &[crate::content::PackageContent],
    ) -> Result<()> {
        let name = &scenario.dependant.name;
        let later = scenario.dependant_versions.last().context("no version")?;
        self.tell.step(&format!(
            "the catalog is pushed again under its tag, with {name} {later}"
        ));
        publisher.catalog("demo/catalog:latest", packages).await?;
        self.installed(name, later).await?;
        self.kubectl(&["get", OPERATORS]).await?;
        self.tell
            .done(&format!("polling found it; {name} {later} is installed"));
        Ok(())
    }

    async fn remove(&mut self, scenario: &Scenario, before: &Snapshot) -> Result<()> {
        self.tell.step("the Operators are deleted");
        let names = [
            scenario.dependant.name.as_str(),
            scenario.base.name.as_str(),
        ];
        let mut namespaces = Vec::new();
        for name in names {
            namespaces.push(self.namespace(name).await?);
        }
        self.kubectl(&["delete", OPERATORS, names[0], names[1]])
            .await?;
        println!(
            "    (a cluster's garbage collector learns of new kinds within 30 s of their making)"
        );
        let client = self.cluster.client().await?;
        Wait::new("what the Operators installed is gone, and nothing else is")
            .within(PATIENCE)
            .explained(async || {
                let mut after = Snapshot::take(&client).await?;
                for namespace in &namespaces {
                    after = after
                        .without(&format!(" {namespace}/"))
                        .without(&format!("Namespace. /{namespace}"));
                }
                let (was, is) = (before.keys(), after.keys());
                let differing: Vec<&&str> = was.symmetric_difference(&is).collect();
                Ok(if differing.is_empty() {
                    Ok(())
                } else {
                    Err(format!("{differing:#?}"))
                })
            })
            .await?;
        for namespace in namespaces {
            self.kubectl(&["get", "namespace", &namespace]).await?;
        }
        self.tell.done(
            "everything they installed is gone; the install namespaces and all else are there",
        );
        Ok(())
    }
}

fn operator(name: &str, choice: &str) -> String {
    format!(
        "apiVersion: operators.operatorframework.io/v1alpha1\n\
         kind: Operator\n\
         metadata: {{name: {name}}}\n\
         spec:\n  packageName: {name}\n  {choice}\n"
    )
}
