//! Every package of which there are several versions, upgraded from one to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use kube::api::{Patch, PatchParams};
use olm_api::bundle_deployment::BundleDeployment;
use olm_tests::snapshot::Snapshot;
use olm_tests::wait::message;
use olm_tests::{Wait, report, wait};
use serde_json::{Value, json};

use super::cases::{Case, Modes, rounds};
use super::inventory::{identity, rendered};
use super::record::Record;
use super::table::Outcome::{InstallsOnce, Refused};
use super::table::UPGRADES;
use super::trial::{Corpus, PATIENCE};

/// The versions of a package that can be installed in one mode, oldest first; at least two.
struct Line(Vec<Case>);

impl Line {
    /// Every line of the data: for each package that of the first mode that has one, or all.
    fn all(cases: &[Case]) -> Vec<Self> {
        let mut lines: BTreeMap<(&str, String), Vec<Case>> = BTreeMap::new();
        for case in cases {
            if let Some(mode) = &case.mode
                && !matches!(case.outcome, Refused(..))
            {
                let line = lines.entry((case.package(), mode.to_string()));
                line.or_default().push(case.clone());
            }
        }
        let mut packages = BTreeSet::new();
        let lines = lines.into_iter().filter(|(_, line)| line.len() > 1);
        let chosen = lines.filter(|((package, _), _)| {
            packages.insert((*package).to_owned()) || Modes::chosen() == Modes::All
        });
        chosen.map(|(_, line)| Self(line)).collect()
    }

    fn first(&self) -> &Case {
        &self.0[0]
    }

    fn goes_with(&self, other: &Self) -> bool {
        self.first().goes_with(other.first())
    }

    /// Its versions, for people.
    fn title(&self) -> String {
        let versions = self
            .0
            .iter()
            .filter_map(|case| case.bundle.split('/').nth(1));
        versions.collect::<Vec<&str>>().join(" → ")
    }
}

impl Corpus {
    /// Installs the first version, upgrades to each of the others and removes the last.
    async fn try_line(&self, line: &Line) -> Result<String> {
        for case in &line.0 {
            if let InstallsOnce(need) = case.outcome {
                self.bring(need).await?;
            }
        }
        let name = line.first().name();
        let start = Instant::now();
        let outcome = self.follow_line(line, &name).await;
        let removed = self.delete(&self.deployments, &name).await;
        for case in &line.0 {
            if let InstallsOnce(need) = case.outcome {
                self.take_away(need).await?;
            }
        }
        report::line(&format!(
            "{:<37} {:<30} {:5.1} s {}",
            line.first().title(),
            line.title(),
            start.elapsed().as_secs_f64(),
            outcome.as_ref().map_or("FAILED", String::as_str)
        ));
        removed?;
        outcome
    }

    async fn change(&self, name: &str, spec: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        let parameters = PatchParams::default();
        self.deployments.patch(name, &parameters, &patch).await?;
        Ok(())
    }

    /// Waits until it is said why what runs stays.
    async fn is_not_upgraded(&self, name: &str, texts: &[&str]) -> Result<BundleDeployment> {
        // The reason may still be the one before.
        let holds = |deployment: &BundleDeployment| {
            let said = message(deployment, "Installed");
            wait::has_reason(deployment, "Installed", "False", "UpgradeFailed")
                && texts.iter().all(|text| said.contains(text))
        };
        Wait::new(format!("{name} is not upgraded: {texts:?}"))
            .within(PATIENCE)
            .logs(&self.suite)
            .object(&self.deployments, name, holds)
            .await
    }

    async fn follow_line(&self, line: &Line, name: &str) -> Result<String> {
        let mut steps = Vec::new();
        for (position, case) in line.0.iter().enumerate() {
            let reference = self.publish(case).await?;
            if position == 0 {
                self.create(name, &reference, &case.config()).await?;
            } else {
                let image = json!({"source": {"image": {"ref": reference}}});
                self.change(name, json!({"template": {"spec": image}}))
                    .await?;
            }
            let mut step = String::new();
            let known = UPGRADES.iter().find(|known| known.bundle == case.bundle);
            if let Some(known) = known.filter(|_| position > 0) {
                self.is_not_upgraded(name, known.loses).await?;
                self.change(name, json!({"crdUpgradeSafety": "None"}))
                    .await?;
                let reason = known.loses.join(" … ");
                step = format!("refused, UpgradeFailed: {reason}; with crdUpgradeSafety None: ");
                if !known.refused.is_empty() {
                    let deployment = self.is_not_upgraded(name, known.refused).await?;
                    let inventory = deployment.status.and_then(|status| status.inventory);
                    let there = inventory.unwrap_or_default().objects;
                    let former = &line.0[position - 1];
                    ensure!(
                        there.iter().map(identity).collect::<BTreeSet<_>>()
                            == rendered(&former.files, &former.config())?,
                        "{name} is not what it was before"
                    );
                    let reason = known.refused.join(" … ");
                    steps.push(format!("{step}refused, UpgradeFailed: {reason}"));
                    break;
                }
            }
            self.installed(case, name)
                .await
                .with_context(|| case.bundle.clone())?;
            let objects = rendered(&case.files, &case.config())?.len();
            steps.push(format!("{step}installed, {objects} objects"));
        }
        Ok(steps.join(" → "))
    }
}

#[tokio::test]
async fn every_package_is_upgraded_from_version_to_version_and_goes_without_a_trace() -> Result<()>
{
    let real = Case::real(Modes::All)?;
    let lines = Line::all(&real);
    if lines.is_empty() {
        return Ok(());
    }
    let corpus = Corpus::new().await?;
    let before = Snapshot::take(&corpus.client).await?;
    let mut record = Record::new("Upgrades", &real);
    let (count, start) = (lines.len(), Instant::now());
    let mut failures: Vec<String> = Vec::new();
    for round in rounds(lines, Line::goes_with) {
        let outcomes = join_all(round.iter().map(|line| corpus.try_line(line))).await;
        for (line, outcome) in round.iter().zip(outcomes) {
            let case = line.first();
            match outcome {
                Ok(outcome) => record.add(case, &[case.package(), &line.title()], &outcome),
                Err(error) => failures.push(format!("{}: {error:#}", case.title())),
            }
        }
        if let Err(error) = corpus.is_as_before(&before).await {
            let packages: Vec<&str> = round.iter().map(|line| line.first().package()).collect();
            failures.push(format!("after {}: {error:#}", packages.join(", ")));
        }
    }
    report::line(&format!(
        "{count} lines of upgrades in {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    failures.extend(corpus.conflicts()?);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    record.check()
}
