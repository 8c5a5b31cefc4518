//! Every real bundle on a real API server: installed until everything works and removed without a
//! trace, or refused with its reason.

mod table;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::join_all;
use k8s_openapi::api::scheduling::v1::PriorityClass as PriorityClasses;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::Scope;
use kube::{Client, discovery};
use olm_api::bundle_deployment::{BundleDeployment, InventoryObject};
use olm_bundle::registry_v1::{self, CertificateProvider, RenderOptions};
use olm_tests::fixture::{Package, Version};
use olm_tests::publish::Publisher;
use olm_tests::snapshot::Snapshot;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, chart, content, report,
    wait,
};
use olm_tree::MemoryTree;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use table::Need::{self, Kind, PriorityClass};
use table::Outcome::{self, Installs, InstallsOnce, Refused};
use table::Stage::{self, Apply};
use table::{REAL, SHARING};

/// The namespace that everything is installed in.
const NAMESPACE: &str = "olm-test-install";

/// How many bundles are installed side by side.
const ROUND: usize = 4;

/// How long a bundle may take to be installed, refused or removed.
const PATIENCE: Duration = Duration::from_mins(2);

/// A bundle that is tried.
struct Case {
    bundle: String,
    files: MemoryTree,
    outcome: Outcome,
}

impl Case {
    /// Every bundle of the data, where there is one, and two of the project's own.
    fn all() -> Result<Vec<Self>> {
        let mut cases = Self::own();
        let Some(data) = content::data() else {
            return Ok(cases);
        };
        let mut there = BTreeSet::new();
        for package in std::fs::read_dir(data.join("bundles"))? {
            let package = package?.path();
            if package.is_dir() {
                for version in std::fs::read_dir(&package)? {
                    let path = version?.path();
                    let name = path.strip_prefix(data.join("bundles"))?;
                    there.insert(name.to_string_lossy().into_owned());
                }
            }
        }
        let listed: BTreeSet<String> = REAL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(
            there, listed,
            "the table and the data name the same bundles"
        );
        for (bundle, outcome) in REAL {
            cases.push(Self {
                bundle: (*bundle).to_owned(),
                files: content::files(&data.join("bundles").join(bundle))?,
                outcome: *outcome,
            });
        }
        Ok(cases)
    }

    fn own() -> Vec<Self> {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics"},
            "spec": {"ports": [{"port": 70_000}]}});
        let versions = [
            (
                "lantern-operator",
                Version::new("1.0.0").with_webhook(),
                Installs,
            ),
            (
                "ember-operator",
                Version::new("1.0.0").with("service.yaml", service),
                Refused(
                    Apply,
                    &[
                        r#"Service "metrics" is invalid"#,
                        "spec.ports[0].port: Invalid value: 70000",
                    ],
                ),
            ),
        ];
        versions
            .into_iter()
            .map(|(name, version, outcome)| Self {
                bundle: format!("{name}/{}", version.version),
                files: Package::new(name, [version])
                    .content()
                    .bundles
                    .remove(0)
                    .files,
                outcome,
            })
            .collect()
    }

    fn package(&self) -> &str {
        self.bundle.split('/').next().unwrap_or_default()
    }

    /// The name of its BundleDeployment.
    fn name(&self) -> String {
        self.bundle.replace(['/', '.'], "-")
    }

    /// Whether both can be installed at a time.
    fn goes_with(&self, other: &Self) -> bool {
        let one_of = |a: &str, b: &str| self.bundle.starts_with(a) && other.bundle.starts_with(b);
        self.package() != other.package()
            && !one_of(SHARING.0, SHARING.1)
            && !one_of(SHARING.1, SHARING.0)
    }
}

/// Rounds of cases that can be tried at a time.
fn rounds(mut cases: Vec<Case>) -> Vec<Vec<Case>> {
    let mut rounds = Vec::new();
    while !cases.is_empty() {
        let mut round: Vec<Case> = Vec::new();
        let mut later = Vec::new();
        for case in cases {
            if round.len() < ROUND && round.iter().all(|other| other.goes_with(&case)) {
                round.push(case);
            } else {
                later.push(case);
            }
        }
        rounds.push(round);
        cases = later;
    }
    rounds
}

struct Corpus {
    suite: Suite,
    registry: Registry,
    client: Client,
    deployments: Api<BundleDeployment>,
}

impl Corpus {
    async fn new() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let options = SuiteOptions {
            plain_http_registries: vec![registry.host()],
            ..SuiteOptions::default()
        };
        let suite = Suite::install(&cluster, options).await?;
        suite.start_component("rukpak-webhooks").await?;
        suite.start_component("rukpak").await?;
        let client = cluster.client().await?;
        Ok(Self {
            suite,
            registry,
            deployments: Api::all(client.clone()),
            client,
        })
    }

    /// Installs a bundle or sees it refused, and removes it again; tells it in a line.
    async fn try_case(&self, case: &Case) -> Result<()> {
        let (package, name) = (case.package(), case.name());
        let tag = name.trim_start_matches(package).trim_start_matches('-');
        let publisher = Publisher::new(&self.registry);
        let reference = publisher
            .bundle(&format!("bundles/{package}:v{tag}"), &case.files)
            .await?;
        let start = Instant::now();
        self.create(&name, &reference).await?;
        let outcome = self.follow(case, &name).await;
        let (took, start) = (start.elapsed(), Instant::now());
        let removed = self.delete(&self.deployments, &name).await;
        let removing = start.elapsed();
        if let InstallsOnce(need) = case.outcome {
            self.take_away(need).await?;
        }
        let line = match &outcome {
            Ok(line) => line.lines().next().unwrap_or_default().to_owned(),
            Err(_) => "FAILED".to_owned(),
        };
        report::line(&format!(
            "{:<48} {:5.1} s {line}; removed in {:.1} s",
            case.bundle,
            took.as_secs_f64(),
            removing.as_secs_f64()
        ));
        outcome?;
        removed
    }

    /// Waits until the bundle's fate is what it should be; in words.
    async fn follow(&self, case: &Case, name: &str) -> Result<String> {
        match case.outcome {
            Refused(stage, texts) => self.refused(name, stage, texts).await,
            Installs => self.installed(case, name).await,
            InstallsOnce(need) => {
                let lack = self.lacks(name, need).await?;
                self.bring(need).await?;
                let installed = self.installed(case, name).await?;
                Ok(format!("{installed} (after {lack})"))
            }
        }
    }

    /// Waits until it is said what a bundle lacks; in words.
    async fn lacks(&self, name: &str, need: Need) -> Result<String> {
        match need {
            Kind(version, kind, _) => {
                let missing = format!(r#"no matches for kind "{kind}" in version "{version}""#);
                let texts = ["required resource not found", missing.as_str()];
                self.refused(name, Apply, &texts).await?;
                Ok(missing)
            }
            PriorityClass(class) => {
                let missing = format!("no PriorityClass with name {class} was found");
                let waits = Wait::new(format!("{name} is not installed: {missing}"));
                let holds = |deployment: &BundleDeployment| {
                    wait::has_reason(
                        deployment,
                        "Installed",
                        "Unknown",
                        "InstallationStatusUnknown",
                    ) && message(deployment, "Installed").contains(&missing)
                };
                let waits = waits.within(PATIENCE).logs(&self.suite);
                waits.object(&self.deployments, name, holds).await?;
                Ok(missing)
            }
        }
    }

    async fn bring(&self, need: Need) -> Result<()> {
        let object = match need {
            Kind(version, kind, plural) => definition(version, kind, plural),
            PriorityClass(class) => json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                "metadata": {"name": class}, "value": 1_000_000_000,
            }),
        };
        chart::apply(&self.client, &object, "default").await?;
        Ok(())
    }

    async fn take_away(&self, need: Need) -> Result<()> {
        match need {
            Kind(version, _, plural) => {
                let group = version.split('/').next().unwrap_or_default();
                let api = Api::<CustomResourceDefinition>::all(self.client.clone());
                self.delete(&api, &format!("{plural}.{group}")).await
            }
            PriorityClass(class) => {
                let api = Api::<PriorityClasses>::all(self.client.clone());
                self.delete(&api, class).await
            }
        }
    }

    /// Waits until the BundleDeployment is refused as it should be; in words.
    async fn refused(&self, name: &str, stage: Stage, texts: &[&str]) -> Result<String> {
        let (type_, reason) = stage.condition();
        let refused = Wait::new(format!("{name}: {type_}=False, {reason}, {texts:?}"))
            .within(PATIENCE)
            .every(Duration::from_millis(100))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                wait::has_reason(deployment, type_, "False", reason)
            })
            .await?;
        let message = message(&refused, type_);
        for text in texts {
            ensure!(message.contains(text), "{name}: no `{text}` in `{message}`");
        }
        ensure!(
            !wait::has_condition(&refused, "Installed", "True"),
            "{name} is refused and installed"
        );
        if stage != Apply {
            let status = refused.status.clone().unwrap_or_default();
            ensure!(
                status.inventory.unwrap_or_default().objects.is_empty(),
                "{name} is not valid, and something was applied"
            );
        }
        Ok(format!("{reason}: {message}"))
    }

    /// Waits until the bundle is installed, and looks for everything that belongs to it.
    async fn installed(&self, case: &Case, name: &str) -> Result<String> {
        let deployment = Wait::new(format!("{name} is installed and healthy"))
            .within(PATIENCE)
            .every(Duration::from_millis(100))
            .logs(&self.suite)
            .object(&self.deployments, name, |deployment| {
                wait::has_reason(deployment, "Installed", "True", "InstallationSucceeded")
                    && wait::has_reason(deployment, "Healthy", "True", "Healthy")
                    && wait::has_condition(deployment, "HasValidBundle", "True")
            })
            .await?;
        let status = deployment.status.context("no status")?;
        ensure!(
            status.install_namespace.as_deref() == Some(NAMESPACE),
            "{name} is installed in {:?}",
            status.install_namespace
        );
        let there = status.inventory.context("no inventory")?.objects;
        let mut wanted = rendered(&case.files)?;
        let mut deployments = 0;
        for object in &there {
            let live = self.read(object).await?;
            wanted.remove(&identity(object));
            let works = match object.kind.as_str() {
                "Deployment" => {
                    deployments += 1;
                    wait::has_condition(&live, "Available", "True")
                }
                "CustomResourceDefinition" => wait::has_condition(&live, "Established", "True"),
                _ => true,
            };
            ensure!(works, "{name} is installed without:\n{}", wait::yaml(&live));
        }
        ensure!(wanted.is_empty(), "{name} is installed without {wanted:?}");
        Ok(format!(
            "installed, {} objects, {deployments} Deployments Available",
            there.len()
        ))
    }

    async fn read(&self, object: &InventoryObject) -> Result<DynamicObject> {
        let kind = GroupVersionKind::gvk(&object.group, &object.version, &object.kind);
        let (resource, capabilities) = discovery::pinned_kind(&self.client, &kind).await?;
        let api: Api<DynamicObject> = match (&object.namespace, capabilities.scope) {
            (Some(namespace), Scope::Namespaced) => {
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
            (None, Scope::Cluster) => Api::all_with(self.client.clone(), &resource),
            _ => bail!("{object:?} has the wrong scope"),
        };
        let found = api.get_opt(&object.name).await?;
        found.with_context(|| format!("{object:?} does not exist"))
    }

    async fn create(&self, name: &str, reference: &str) -> Result<()> {
        let deployment = serde_json::from_value(json!({
            "apiVersion": "core.rukpak.io/v1alpha1",
            "kind": "BundleDeployment",
            "metadata": {"name": name},
            "spec": {
                "provisionerClassName": "core-rukpak-io-plain",
                "installNamespace": NAMESPACE,
                "template": {"spec": {
                    "provisionerClassName": "core-rukpak-io-registry",
                    "source": {"type": "image", "image": {"ref": reference}},
                }},
            },
        }))?;
        self.deployments
            .create(&PostParams::default(), &deployment)
            .await?;
        Ok(())
    }

    /// Deletes an object, where it is there, and waits until it is gone.
    async fn delete<K>(&self, api: &Api<K>, name: &str) -> Result<()>
    where
        K: Clone + Debug + DeserializeOwned + Serialize,
    {
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            answer => answer?,
        };
        Wait::new(format!("{name} is gone"))
            .within(PATIENCE)
            .logs(&self.suite)
            .gone(api, name)
            .await
    }

    /// Waits until the cluster is as it was; what differs is said.
    async fn is_as_before(&self, before: &Snapshot) -> Result<()> {
        // The garbage collector of a new cluster learns of new kinds, such as Bundles, within 30 s.
        Wait::new("the cluster is as it was before")
            .every(Duration::from_millis(500))
            .explained(async || {
                let now = Snapshot::take(&self.client).await?;
                let differences: Vec<String> = before
                    .differences(&now)
                    .into_iter()
                    .filter(|line| !came_with_the_namespace(line))
                    .collect();
                Ok(if differences.is_empty() {
                    Ok(())
                } else {
                    Err(differences.join("\n"))
                })
            })
            .await
    }
}

/// A definition of somebody else's kind that takes any object.
fn definition(version: &str, kind: &str, plural: &str) -> Value {
    let (group, version) = version.split_once('/').unwrap_or_default();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(),
                      "listKind": format!("{kind}List")},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object",
                                    "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    })
}

fn message(deployment: &BundleDeployment, type_: &str) -> String {
    wait::condition(deployment, type_)
        .and_then(|condition| condition["message"].as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// Whether a difference is the install namespace, which stays, or what Kubernetes puts into any.
fn came_with_the_namespace(line: &str) -> bool {
    [
        format!("Namespace. /{NAMESPACE}"),
        format!("ServiceAccount. {NAMESPACE}/default"),
        format!("ConfigMap. {NAMESPACE}/kube-root-ca.crt"),
    ]
    .iter()
    .any(|key| line == format!("only in the second: {key}"))
}

fn identity(object: &InventoryObject) -> [String; 4] {
    [
        object.group.clone(),
        object.kind.clone(),
        object.namespace.clone().unwrap_or_default(),
        object.name.clone(),
    ]
}

/// Group, kind, namespace and name of everything that a bundle is rendered to.
fn rendered(files: &MemoryTree) -> Result<BTreeSet<[String; 4]>> {
    let options = RenderOptions {
        install_namespace: NAMESPACE.to_owned(),
        target_namespaces: None,
        certificates: CertificateProvider::Own,
    };
    let rendered = registry_v1::render(&registry_v1::load(files)?, &options)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(rendered
        .objects
        .iter()
        .map(|object| {
            let version = text(&object["apiVersion"]);
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let namespace = text(&object["metadata"]["namespace"]);
            let kind = text(&object["kind"]);
            [
                group.to_owned(),
                kind,
                namespace,
                text(&object["metadata"]["name"]),
            ]
        })
        .collect())
}

#[tokio::test]
async fn every_bundle_works_and_goes_without_a_trace_or_is_refused_with_its_reason() -> Result<()> {
    let corpus = Corpus::new().await?;
    let before = Snapshot::take(&corpus.client).await?;
    let cases = Case::all()?;
    let (count, start) = (cases.len(), Instant::now());
    let mut failures: Vec<String> = Vec::new();
    for round in rounds(cases) {
        let outcomes = join_all(round.iter().map(|case| corpus.try_case(case))).await;
        for (case, outcome) in round.iter().zip(outcomes) {
            if let Err(error) = outcome {
                failures.push(format!("{}: {error:#}", case.bundle));
            }
        }
        if let Err(error) = corpus.is_as_before(&before).await {
            let bundles: Vec<&str> = round.iter().map(|case| case.bundle.as_str()).collect();
            failures.push(format!("after {}: {error:#}", bundles.join(", ")));
        }
    }
    report::line(&format!(
        "{count} bundles in {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    for line in corpus.suite.log("rukpak")?.lines() {
        // Nobody else writes here: rukpak would stand in its own way.
        if line.contains("the object has been modified") {
            failures.push(line.to_owned());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}
