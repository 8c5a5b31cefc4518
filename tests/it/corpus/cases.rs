//! The bundles that are tried, in rounds that go together.

use std::collections::BTreeSet;

use super::inventory::{NAMESPACE, WATCHED};
use super::table::Outcome::{self, Installs, Refused};
use super::table::Stage::{Apply, Load, Unpack};
use super::table::{REAL, SHARING};
use anyhow::Result;
use olm_bundle::registry_v1::{self, InstallMode};
use olm_tests::content;
use olm_tests::fixture::{Package, Version};
use olm_tree::MemoryTree;
use serde_json::{Value, json};

/// How many bundles are installed side by side.
pub(super) const ROUND: usize = 4;

/// A bundle that is tried.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) bundle: String,
    pub(super) files: MemoryTree,
    /// The install mode that it is tried in; none for no configuration.
    pub(super) mode: Option<InstallMode>,
    pub(super) outcome: Outcome,
}

/// What is said of an operator that does not watch all namespaces, and nothing is configured.
const ALL_NAMESPACES: &[&str] = &[
    "convert registry+v1 bundle to plain+v0 bundle: AllNamespace install mode must be enabled",
    "invalid configuration: required field \"watchNamespace\" is missing",
];

impl Case {
    /// Every bundle of the data, where there is one, in the modes that `choice` takes.
    pub(super) fn real(choice: Modes) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        let Some(data) = content::data()? else {
            return Ok(cases);
        };
        let there = content::bundles(&data)?;
        let listed: BTreeSet<String> = REAL.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(
            there, listed,
            "the table and the data name the same bundles"
        );
        // For whoever changes the table: these packages alone.
        let only = std::env::var("OLM_TEST_BUNDLES").ok();
        for (bundle, outcome) in REAL {
            let package = bundle.split('/').next().unwrap_or_default();
            if only
                .as_ref()
                .is_some_and(|only| !only.split(',').any(|name| name == package))
            {
                continue;
            }
            let files = content::files(&data.join("bundles").join(bundle))?;
            for (mode, outcome) in trials(&files, *outcome, choice) {
                cases.push(Self {
                    bundle: (*bundle).to_owned(),
                    files: files.clone(),
                    mode,
                    outcome,
                });
            }
        }
        Ok(cases)
    }

    /// The configuration of the BundleDeployment.
    pub(super) fn config(&self) -> Value {
        match self.mode {
            Some(InstallMode::OwnNamespace) => json!({"watchNamespace": NAMESPACE}),
            Some(InstallMode::SingleNamespace) => json!({"watchNamespace": WATCHED}),
            Some(InstallMode::MultiNamespace) => {
                json!({"watchNamespace": format!("{WATCHED},default")})
            }
            _ => json!({}),
        }
    }

    /// The bundle and its mode, for people.
    pub(super) fn title(&self) -> String {
        match &self.mode {
            None => self.bundle.clone(),
            Some(mode) => format!("{} {mode}", self.bundle),
        }
    }

    /// Two bundles of the project's own.
    pub(super) fn own() -> Vec<Self> {
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
                mode: None,
                outcome,
            })
            .collect()
    }

    pub(super) fn package(&self) -> &str {
        self.bundle.split('/').next().unwrap_or_default()
    }

    /// The name of its BundleDeployment.
    pub(super) fn name(&self) -> String {
        let suffix = match &self.mode {
            Some(InstallMode::OwnNamespace) => "-o",
            Some(InstallMode::SingleNamespace) => "-s",
            Some(InstallMode::MultiNamespace) => "-m",
            _ => "",
        };
        let mut name = self.bundle.replace(['/', '.'], "-");
        // Names of BundleDeployments have at most 45 characters.
        name.truncate(43);
        name + suffix
    }

    /// Whether both can be installed at a time.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let share = |packages: &&[&str]| {
            packages.contains(&self.package()) && packages.contains(&other.package())
        };
        self.package() != other.package() && !SHARING.iter().any(share)
    }
}

/// Which of the modes that a bundle supports it is tried in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modes {
    First,
    All,
}

impl Modes {
    /// All with `OLM_TEST_CORPUS=all` (minutes), else the first.
    pub(super) fn chosen() -> Self {
        match std::env::var_os("OLM_TEST_CORPUS") {
            Some(corpus) if corpus == "all" => Self::All,
            _ => Self::First,
        }
    }
}

/// The modes that a bundle is tried in where it can be unpacked at all, and none where it is told
/// that one has to be chosen.
fn trials(
    files: &MemoryTree,
    outcome: Outcome,
    choice: Modes,
) -> Vec<(Option<InstallMode>, Outcome)> {
    let Ok(modes) = registry_v1::load(files).map(|bundle| bundle.install_modes()) else {
        return vec![(None, outcome)];
    };
    if matches!(outcome, Refused(Unpack, _)) {
        return vec![(None, outcome)];
    }
    let mut trials = Vec::new();
    if !modes.contains(&InstallMode::AllNamespaces) {
        trials.push((None, Refused(Load, ALL_NAMESPACES)));
    }
    let tried = modes.into_iter().filter(|mode| {
        // One that nobody defined (the data has a misspelt one) cannot be chosen.
        !matches!(mode, InstallMode::Unknown(_))
    });
    let most = match choice {
        Modes::First => 1,
        Modes::All => usize::MAX,
    };
    trials.extend(tried.take(most).map(|mode| (Some(mode), outcome)));
    trials
}

/// Rounds of what can be tried at a time.
pub(super) fn rounds<T>(mut trials: Vec<T>, go_together: impl Fn(&T, &T) -> bool) -> Vec<Vec<T>> {
    let mut rounds = Vec::new();
    while !trials.is_empty() {
        let mut round: Vec<T> = Vec::new();
        let mut later = Vec::new();
        for trial in trials {
            if round.len() < ROUND && round.iter().all(|other| go_together(other, &trial)) {
                round.push(trial);
            } else {
                later.push(trial);
            }
        }
        rounds.push(round);
        trials = later;
    }
    rounds
}
