//! Who asks for what, and what runs: from files, or from a cluster.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::{Selector, SelectorExt as _};
use olm_api::labels::CATALOG_NAME;
use olm_api::operator::{
    DependencyPolicy, OperatorSpec, OperatorStatus, UpgradeApproval, UpgradeConstraintPolicy,
};
use olm_resolver::{Approval, Dependencies, Installed, Member, Policy, Request, Running};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::Resolve;
use crate::cluster::Cluster;
use crate::failure::Failure;

use super::MAX_BYTES;

/// An Operator as it is written in a file or stands in a cluster.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    metadata: ObjectMeta,
    spec: OperatorSpec,
    status: Option<OperatorStatus>,
}

/// What is installed.
#[derive(Deserialize)]
struct Runs {
    package: String,
    name: String,
    version: String,
    image: Option<String>,
}

/// The Operators with what is installed for them, and what is installed for none. Of the catalogs, the
/// labels that Operators may select them by.
pub(super) async fn asked(
    args: &Resolve,
    catalogs: &[&str],
) -> Result<(Vec<Member>, Vec<Running>), Failure> {
    let mut operators: Vec<Asked> = Vec::new();
    let mut labels: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    if let Some(kubeconfig) = &args.kubeconfig {
        let cluster = Cluster::connect(Some(kubeconfig), args.context.as_deref()).await?;
        labels = cluster.labels_of_catalogs().await?;
        let there = cluster.operators().await?.into_iter();
        operators.extend(there.map(|operator| Asked {
            metadata: operator.metadata,
            spec: operator.spec,
            status: operator.status,
        }));
    }
    for name in catalogs {
        let own = labels.entry((*name).to_owned()).or_default();
        own.insert(CATALOG_NAME.to_owned(), (*name).to_owned());
    }
    if let Some(file) = &args.filename {
        for mut operator in documents::<Asked>(file)? {
            // What is applied keeps what runs.
            let named = |other: &Asked| other.metadata.name == operator.metadata.name;
            match operators.iter_mut().find(|other| named(other)) {
                Some(other) if operator.metadata.name.is_some() => {
                    operator.status = other.status.take();
                    *other = operator;
                }
                _ => operators.push(operator),
            }
        }
    }
    let mut members = Vec::new();
    for operator in operators {
        members.push(member(operator, args.no_dependencies, &labels)?);
    }
    let mut adopted = Vec::new();
    if let Some(file) = &args.installed {
        for runs in documents::<Runs>(file)? {
            let installed = installed(runs.package, runs.name, &runs.version, runs.image)?;
            let mut of_package = members.iter_mut();
            match of_package.find(|member| member.request.package == installed.package) {
                Some(member) => member.request.installed = Some(installed),
                None => adopted.push(Running {
                    installed,
                    declared: None,
                }),
            }
        }
    }
    Ok((members, adopted))
}

fn documents<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Failure> {
    let file = path.display().to_string();
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)?;
        bytes
    } else {
        olm_fs::read_capped(path, MAX_BYTES)?
    };
    let mut found = Vec::new();
    for document in olm_yaml::documents(&bytes, &olm_yaml::Limits::default()) {
        let document = document.map_err(|source| Failure::Documents {
            file: file.clone(),
            source,
        })?;
        // A list holds what it lists.
        let values = match document.value {
            Value::Array(items) => items,
            Value::Object(mut fields) if fields.contains_key("items") => {
                match fields.remove("items") {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                }
            }
            value => vec![value],
        };
        for value in values {
            found.push(
                serde_json::from_value(value).map_err(|source| Failure::Document {
                    file: file.clone(),
                    number: document.index + 1,
                    source,
                })?,
            );
        }
    }
    Ok(found)
}

fn member(
    operator: Asked,
    no_dependencies: bool,
    catalogs: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<Member, Failure> {
    let Asked {
        metadata,
        spec,
        status,
    } = operator;
    let status = status.unwrap_or_default();
    let name = metadata.name.unwrap_or_default();
    let version = spec.version.filter(|version| !version.is_empty());
    let version = version.as_deref().map(Constraint::parse).transpose();
    let version = version.map_err(|source| Failure::Range {
        operator: name.clone(),
        source,
    })?;
    let runs = status.installed.map(|runs| {
        let image = Some(runs.image).filter(|image| !image.is_empty());
        installed(runs.package, runs.name, &runs.version, image)
    });
    let approval = match spec.upgrade_approval {
        UpgradeApproval::Automatic => Approval::Automatic,
        UpgradeApproval::Manual => {
            let approved = spec.approved_version.as_deref().map(exact);
            Approval::Manual(approved.transpose()?)
        }
    };
    let created = metadata
        .creation_timestamp
        .map_or(0, |time| time.0.as_second());
    Ok(Member {
        dependencies: match (no_dependencies, spec.dependency_policy) {
            (true, _) => Dependencies::Ignore,
            (false, DependencyPolicy::Install) => Dependencies::Install,
            (false, DependencyPolicy::Require) => Dependencies::Require,
        },
        created,
        suspended: spec.suspend,
        approval,
        avoid: status
            .failed_upgrade
            .into_iter()
            .map(|failed| failed.bundle.name)
            .collect(),
        catalogs: spec
            .catalog_selector
            .map(|selector| selected(&name, selector, catalogs))
            .transpose()?,
        ..Member::from(Request {
            operator: name,
            package: spec.package_name,
            channel: spec.channel.filter(|channel| !channel.is_empty()),
            version,
            policy: match spec.upgrade_constraint_policy {
                UpgradeConstraintPolicy::Enforce => Policy::Enforce,
                UpgradeConstraintPolicy::Ignore => Policy::Ignore,
            },
            installed: runs.transpose()?,
        })
    })
}

/// The names of the catalogs that an Operator selects.
fn selected(
    operator: &str,
    selector: LabelSelector,
    catalogs: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<Vec<String>, Failure> {
    let selector: Selector = selector.try_into().map_err(|_| Failure::Selector {
        operator: operator.to_owned(),
    })?;
    let selected = catalogs
        .iter()
        .filter(|(_, labels)| selector.matches(labels));
    Ok(selected.map(|(name, _)| name.clone()).collect())
}

pub(super) fn installed(
    package: String,
    name: String,
    version: &str,
    image: Option<String>,
) -> Result<Installed, Failure> {
    Ok(Installed {
        package,
        name,
        version: exact(version)?,
        release: String::new(),
        image,
    })
}

fn exact(text: &str) -> Result<Version, Failure> {
    Version::parse_strict(text).map_err(|source| Failure::Version {
        text: text.to_owned(),
        source,
    })
}
