//! The bundles that are tried, in rounds that go together.

use std::collections::BTreeSet;

use super::table::Outcome::{self, Installs, Refused};
use super::table::Stage::Apply;
use super::table::{REAL, SHARING};
use anyhow::Result;
use olm_tests::content;
use olm_tests::fixture::{Package, Version};
use olm_tree::MemoryTree;
use serde_json::json;

/// How many bundles are installed side by side.
pub(super) const ROUND: usize = 4;

/// A bundle that is tried.
pub(super) struct Case {
    pub(super) bundle: String,
    pub(super) files: MemoryTree,
    pub(super) outcome: Outcome,
}

impl Case {
    /// Every bundle of the data, where there is one, and two of the project's own.
    pub(super) fn all() -> Result<Vec<Self>> {
        let mut cases = Self::own();
        let Some(data) = content::data()? else {
            return Ok(cases);
        };
        let there = content::bundles(&data)?;
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
                outcome,
            })
            .collect()
    }

    pub(super) fn package(&self) -> &str {
        self.bundle.split('/').next().unwrap_or_default()
    }

    /// The name of its BundleDeployment.
    pub(super) fn name(&self) -> String {
        self.bundle.replace(['/', '.'], "-")
    }

    /// Whether both can be installed at a time.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let one_of = |a: &str, b: &str| self.bundle.starts_with(a) && other.bundle.starts_with(b);
        self.package() != other.package()
            && !one_of(SHARING.0, SHARING.1)
            && !one_of(SHARING.1, SHARING.0)
    }
}

/// Rounds of cases that can be tried at a time.
pub(super) fn rounds(mut cases: Vec<Case>) -> Vec<Vec<Case>> {
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
