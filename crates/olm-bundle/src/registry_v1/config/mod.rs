//! How an operator may be configured when it is installed: which namespaces it watches, and what
//! is changed in its Deployments.
//!
//! What is accepted depends on the install modes that the operator supports. The rules and the
//! texts are those of the configuration schema of operator-controller v1.11. There
//! `MultiNamespace` cannot be chosen; here several names separated by commas choose it, in the
//! form in which the operator is told of them.

mod deployment;
mod schema;
mod watch;

use serde_json::{Map, Value};

pub use self::deployment::DeploymentConfig;
use super::{Bundle, InstallMode};

const WATCH: &str = "watchNamespace";
const DEPLOYMENT: &str = "deploymentConfig";

/// The configuration of one installation, which was checked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    watch: Option<Vec<String>>,
    deployment: DeploymentConfig,
}

/// Why a configuration is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It does not fit the schema. At least one problem.
    #[error("invalid configuration: {}", together(.0))]
    Schema(Vec<String>),
    /// It fits the schema, and a part of it cannot be decoded.
    #[error(
        "invalid configuration: invalid deploymentConfig: failed to unmarshal deploymentConfig: {0}"
    )]
    Deployment(String),
}

fn together(problems: &[String]) -> String {
    match problems {
        [single] => single.clone(),
        several => format!("multiple errors found:\n  - {}", several.join("\n  - ")),
    }
}

impl Config {
    /// Checks and decodes the configuration of an operator that is installed in
    /// `install_namespace`; where that is not known, what depends on it is not checked. Null is no
    /// configuration, which is accepted where the operator can watch all namespaces.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], with everything that does not fit the schema.
    pub fn parse(
        bundle: &Bundle,
        value: &Value,
        install_namespace: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let empty = Map::new();
        let members = match value {
            Value::Null => &empty,
            Value::Object(members) => members,
            other => {
                let problem = format!("invalid type: got {}, want object", schema::kind(other));
                return Err(ConfigError::Schema(vec![problem]));
            }
        };
        let rules = watch::Rules::of(&bundle.install_modes(), members.get(WATCH));
        let mut problems = Vec::new();
        if rules.is_required() && !members.contains_key(WATCH) {
            problems.push(rules.missing());
        }
        let unknown = members
            .keys()
            .filter(|key| *key != DEPLOYMENT && !(*key == WATCH && rules.exists()));
        problems.extend(unknown.map(|key| schema::unknown(key)));
        let mut decoded = Ok(DeploymentConfig::default());
        if let Some(deployment) = members.get(DEPLOYMENT) {
            decoded = DeploymentConfig::parse(deployment, &[DEPLOYMENT], &mut problems);
        }
        let mut watch = None;
        if let Some(value) = members.get(WATCH).filter(|_| rules.exists()) {
            watch = rules.check(value, install_namespace, &mut problems);
        }
        if !problems.is_empty() {
            return Err(ConfigError::Schema(problems));
        }
        Ok(Self {
            watch,
            deployment: decoded.map_err(ConfigError::Deployment)?,
        })
    }

    /// A configuration that only says which namespaces are watched, and is not checked: one empty
    /// name means all.
    pub fn watching(namespaces: Vec<String>) -> Self {
        Self {
            watch: Some(namespaces),
            ..Self::default()
        }
    }

    /// The namespaces to watch; `None`, and one empty name, for all.
    pub fn target_namespaces(&self) -> Option<&[String]> {
        self.watch.as_deref()
    }

    /// What is changed in the Deployments.
    pub const fn deployment(&self) -> &DeploymentConfig {
        &self.deployment
    }
}

impl Bundle {
    /// Whether the operator can be installed only with the namespaces said that it watches.
    pub fn requires_watch_namespace(&self) -> bool {
        !self.install_modes().contains(&InstallMode::AllNamespaces)
    }
}
