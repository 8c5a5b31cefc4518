//! The Operators of a cluster, as they tell of themselves.

pub(crate) mod approve;
pub(crate) mod autoremove;
pub(crate) mod operators;
pub(crate) mod why;

use std::collections::BTreeMap;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt as _};
use olm_api::catalog::Catalog;
use olm_api::labels::DEPENDENCY;
use olm_api::operator::{BundleIdentity, Operator};

use crate::args::ClusterAccess;
use crate::failure::Failure;

/// Operators that are asked for at a time.
const PAGE: u32 = 500;

/// A cluster.
pub(crate) struct Cluster {
    client: Client,
}

impl Cluster {
    /// Connects with what a file says, or with what the surroundings do.
    pub(crate) async fn connect(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> Result<Self, Failure> {
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let config = match (kubeconfig, context) {
            (Some(path), _) => {
                Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await?,
            (None, None) => Config::infer()
                .await
                .map_err(|error| Failure::NoCluster(Box::new(error)))?,
        };
        let client = Client::try_from(config).map_err(failed("connect to the cluster"))?;
        Ok(Self { client })
    }

    async fn open(access: &ClusterAccess) -> Result<Self, Failure> {
        Self::connect(access.kubeconfig.as_deref(), access.context.as_deref()).await
    }

    fn api(&self) -> Api<Operator> {
        Api::all(self.client.clone())
    }

    /// All Operators, by name.
    pub(crate) async fn operators(&self) -> Result<Vec<Operator>, Failure> {
        let api = self.api();
        let mut found: Vec<Operator> = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&params).await.map_err(failed("list Operators"))?;
            found.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        found.sort_by_key(kube::ResourceExt::name_any);
        Ok(found)
    }

    /// The labels of all Catalogs, by name.
    pub(crate) async fn labels_of_catalogs(
        &self,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
        let api = Api::<Catalog>::all(self.client.clone());
        let list = api.list(&ListParams::default()).await;
        let list = list.map_err(failed("list Catalogs"))?;
        let labels = list.items.into_iter();
        Ok(labels
            .map(|catalog| (catalog.name_any(), catalog.labels().clone()))
            .collect())
    }
}

/// What could not be done with the cluster.
fn failed(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Failure {
    let what = what.into();
    move |source| Failure::Cluster {
        what,
        source: Box::new(source),
    }
}

/// The Operator of that name, else the one that asks for a package of that name.
fn named<'a>(operators: &'a [Operator], name: &str) -> Result<&'a Operator, Failure> {
    let by_name = operators
        .iter()
        .find(|operator| operator.name_any() == name);
    by_name
        .or_else(|| {
            let mut operators = operators.iter();
            operators.find(|operator| operator.spec.package_name == name)
        })
        .ok_or_else(|| Failure::NoOperator {
            name: name.to_owned(),
        })
}

/// Whether it was made because others require its package.
fn is_dependency(operator: &Operator) -> bool {
    operator
        .labels()
        .get(DEPENDENCY)
        .is_some_and(|is| is == "true")
}

fn installed(operator: &Operator) -> Option<&BundleIdentity> {
    operator.status.as_ref()?.installed.as_ref()
}

fn resolved(operator: &Operator) -> Option<&BundleIdentity> {
    operator.status.as_ref()?.resolved.as_ref()
}

fn condition<'a>(operator: &'a Operator, type_: &str) -> Option<&'a Condition> {
    let conditions = &operator.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == type_)
}
