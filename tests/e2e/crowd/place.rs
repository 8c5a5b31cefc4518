//! A control plane with catalogd and operator-controller, and hundreds of Operators on it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use olm_api::bundle_deployment::BundleDeployment;
use olm_api::catalog::Catalog;
use olm_api::operator::Operator;
use olm_tests::api_proxy::ApiProxy;
use olm_tests::crowd::{self, Bundle};
use olm_tests::publish::Publisher;
use olm_tests::{
    ControlPlane, Registry, RegistryOptions, Suite, SuiteOptions, Wait, content, scratch, wait,
};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

use crate::user::{PATIENCE, apply};

/// Operators, one for each package of the catalog: as many as the largest public catalog has.
pub(super) const MEMBERS: usize = 328;

/// Versions of each package that is made up.
pub(super) const VERSIONS: usize = 3;

pub(super) const CONTROLLER: &str = "operator-controller";

/// The Operators that may change.
type Broken<'a> = &'a [&'a str];

pub(super) struct Crowd {
    pub(super) registry: Registry,
    pub(super) proxy: ApiProxy,
    pub(super) suite: Suite,
    pub(super) operators: Api<Operator>,
    pub(super) deployments: Api<BundleDeployment>,
    pub(super) catalogs: Api<Catalog>,
    /// The packages that there is an Operator for, and the files of the real ones.
    pub(super) members: Vec<String>,
    real: MemoryTree,
}

/// Version and status of each Operator and BundleDeployment, by kind and name.
pub(super) type Look = BTreeMap<String, (Option<String>, Value)>;

impl Crowd {
    pub(super) async fn start() -> Result<Self> {
        let cluster = ControlPlane::own().await?;
        let registry = Registry::start(RegistryOptions::default()).await?;
        let folder = scratch::subdirectory("proxy")?;
        let proxy = ApiProxy::start(cluster.kubeconfig(), &folder).await?;
        let options = SuiteOptions {
            kubeconfigs: BTreeMap::from([(CONTROLLER.to_owned(), proxy.kubeconfig().to_owned())]),
            rendered_leases: true,
            ..SuiteOptions::plain_http([registry.host()])
        };
        let suite = Suite::start_only(&cluster, options, &["catalogd", CONTROLLER]).await?;
        let client = cluster.client().await?;
        let mut crowd = Self {
            registry,
            proxy,
            suite,
            operators: Api::all(client.clone()),
            deployments: Api::all(client.clone()),
            catalogs: Api::all(client),
            members: Vec::new(),
            real: MemoryTree::default(),
        };
        crowd.gather()?;
        Ok(crowd)
    }

    /// Finds the real packages, where there are some.
    fn gather(&mut self) -> Result<()> {
        if let Some(data) = content::data()? {
            let folder = data.join("catalogs");
            for catalog in std::fs::read_dir(&folder)? {
                for package in std::fs::read_dir(catalog?.path())? {
                    let path = package?.path();
                    let name = path.file_name().context("a folder without a name")?;
                    let name = name.to_string_lossy().into_owned();
                    // One of them is there in two forms.
                    if path.is_dir() && !self.members.contains(&name) {
                        let file = std::fs::read(path.join("catalog.yaml"))?;
                        self.real.insert(&format!("{name}/catalog.yaml"), file)?;
                        self.members.push(name);
                    }
                }
            }
        }
        let made_up = MEMBERS - self.members.len();
        self.members.extend((0..made_up).map(crowd::name));
        Ok(())
    }

    /// Publishes the catalog of all members; `versions` of each package that is made up, but for
    /// those that are given.
    pub(super) async fn publish_all(
        &self,
        versions: usize,
        but: &[(&str, &[Bundle])],
    ) -> Result<()> {
        let mut tree = self.real.clone();
        let made_up = self.members.iter().filter(|of| of.starts_with("crowd-"));
        for number in 0..made_up.count() {
            let name = crowd::name(number);
            let file = match but.iter().find(|(other, _)| *other == name) {
                Some((_, bundles)) => crowd::package(&name, bundles),
                None => crowd::numbered(number, 0..versions),
            };
            tree.insert(&format!("{name}/catalog.json"), file)?;
        }
        self.publish_tree("crowd", &tree).await
    }

    pub(super) async fn publish(&self, catalog: &str, file: &str) -> Result<()> {
        let mut tree = MemoryTree::default();
        tree.insert("catalog.json", file)?;
        self.publish_tree(catalog, &tree).await
    }

    /// Publishes a catalog that cannot be read, and waits until that is told.
    pub(super) async fn publish_unreadable(&self, name: &str) -> Result<()> {
        let mut tree = MemoryTree::default();
        tree.insert("catalog.json", "{\"schema\": ")?;
        self.push(name, &tree).await?;
        self.is_not_unpacked(name).await
    }

    /// Waits until a Catalog says that it cannot be unpacked.
    pub(super) async fn is_not_unpacked(&self, name: &str) -> Result<()> {
        Wait::new(format!("Catalog `{name}` is not unpacked"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                wait::has_condition(catalog, "Unpacked", "False")
            })
            .await?;
        Ok(())
    }

    /// Pushes a catalog and makes a Catalog of it; gives its digest.
    async fn push(&self, name: &str, tree: &MemoryTree) -> Result<String> {
        let image = format!("catalogs/{name}:latest");
        let publisher = Publisher::new(&self.registry);
        let (reference, digest) = publisher.catalog_tree(&image, tree).await?;
        // Another reference is looked at at once.
        let repository = reference.trim_end_matches(":latest");
        self.refer(name, &format!("{repository}@{digest}")).await?;
        Ok(digest)
    }

    /// Publishes a catalog and waits until it is served.
    async fn publish_tree(&self, name: &str, tree: &MemoryTree) -> Result<()> {
        let digest = self.push(name, tree).await?;
        Wait::new(format!("Catalog `{name}` serves {digest}"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.catalogs, name, |catalog| {
                let source = catalog.status.as_ref();
                let source = source.and_then(|of| of.resolved_source.as_ref());
                let image = source.and_then(|source| source.image.as_ref());
                image.is_some_and(|image| image.resolved_ref.ends_with(&digest))
                    && wait::has_condition(catalog, "Unpacked", "True")
            })
            .await?;
        Ok(())
    }

    pub(super) async fn refer(&self, name: &str, reference: &str) -> Result<()> {
        let object = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": name},
            "spec": {"source": {"type": "image", "image": {"ref": reference}}},
        });
        apply(&self.catalogs, name, &object).await
    }

    pub(super) async fn ask(&self, name: &str, spec: Value) -> Result<()> {
        let object = json!({
            "apiVersion": "operators.operatorframework.io/v1alpha1", "kind": "Operator",
            "metadata": {"name": name}, "spec": spec,
        });
        apply(&self.operators, name, &object).await
    }

    /// Waits until an Operator says this of what was chosen for it.
    pub(super) async fn says(&self, name: &str, row: &str, text: &str) -> Result<()> {
        let (status, reason) = row.split_once('/').context("STATUS/REASON")?;
        Wait::new(format!("{name} says {row}: {text}"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.operators, name, |operator| {
                wait::has_reason(operator, "Resolved", status, reason)
                    && wait::message(operator, "Resolved").contains(text)
            })
            .await?;
        Ok(())
    }

    /// Waits until this version was chosen for an Operator.
    pub(super) async fn resolves(&self, name: &str, version: &str) -> Result<()> {
        Wait::new(format!("{name} resolves to {version}"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.operators, name, |operator| {
                wait::has_condition(operator, "Resolved", "True")
                    && resolved(operator) == Some(version)
            })
            .await?;
        Ok(())
    }

    /// Waits until what is decided for every member is told, and for those that are made up this
    /// version.
    pub(super) async fn all_resolve(&self, version: &str) -> Result<()> {
        Wait::new(format!("all {MEMBERS} Operators are decided"))
            .within(PATIENCE)
            .every(std::time::Duration::from_millis(500))
            .logs(&self.suite)
            .explained(async || {
                let operators = self.operators.list(&ListParams::default()).await?.items;
                let mut missing: Vec<String> = Vec::new();
                for operator in &operators {
                    let told = wait::has_condition(operator, "Resolved", "True")
                        || wait::has_condition(operator, "Resolved", "False");
                    let made_up = operator.name_any().starts_with("crowd-");
                    if !told || made_up && resolved(operator) != Some(version) {
                        missing.push(operator.name_any());
                    }
                }
                Ok(if operators.len() == MEMBERS && missing.is_empty() {
                    Ok(())
                } else {
                    Err(format!("of {} not yet: {missing:?}", operators.len()))
                })
            })
            .await
    }

    /// Waits until the controller has written all that it has to.
    pub(super) async fn quiet(&self) -> Result<()> {
        let mut last = None;
        Wait::new("nothing is written any more")
            .within(PATIENCE)
            .every(std::time::Duration::from_secs(2))
            .logs(&self.suite)
            .value(async || {
                let now = self.proxy.writes().len();
                Ok((last.replace(now) == Some(now)).then_some(()))
            })
            .await
    }

    pub(super) async fn look(&self) -> Result<Look> {
        let list = ListParams::default();
        let operators = self.operators.list(&list).await?.items.into_iter();
        let operators = operators.map(|of| {
            let status = serde_json::to_value(&of.status);
            (
                format!("operators/{}", of.name_any()),
                of.resource_version(),
                status,
            )
        });
        let deployments = self.deployments.list(&list).await?.items.into_iter();
        let deployments = deployments.map(|of| {
            let status = serde_json::to_value(&of.status);
            (
                format!("bundledeployments/{}", of.name_any()),
                of.resource_version(),
                status,
            )
        });
        operators
            .chain(deployments)
            .map(|(name, version, status)| Ok((name, (version, status?))))
            .collect()
    }

    /// Nothing was written but for these Operators, and the others are what they were.
    pub(super) async fn only_changed(&self, broken: Broken<'_>, before: &Look) -> Result<()> {
        let is_broken = |path: &str| {
            let path = path.trim_end_matches("/status");
            let name = path.rsplit('/').next().unwrap_or_default();
            broken.contains(&name)
        };
        for write in self.proxy.writes() {
            ensure!(is_broken(&write), "this was written: {write}");
        }
        let now = self.look().await?;
        for (name, before) in before {
            let now = now.get(name);
            ensure!(now == Some(before), "{name} was {before:?} and is {now:?}");
        }
        ensure!(
            now.keys()
                .all(|name| before.contains_key(name) || is_broken(name))
        );
        Ok(())
    }
}

fn resolved(operator: &Operator) -> Option<&str> {
    let status = operator.status.as_ref()?;
    Some(status.resolved.as_ref()?.version.as_str())
}
