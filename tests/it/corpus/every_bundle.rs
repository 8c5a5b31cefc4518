//! Every bundle in its turn.

use std::time::Instant;

use anyhow::Result;
use futures::future::join_all;
use olm_tests::report;
use olm_tests::snapshot::Snapshot;

use super::cases::{Case, Modes, rounds};
use super::record::Record;
use super::trial::Corpus;

#[tokio::test]
async fn every_bundle_works_and_goes_without_a_trace_or_is_refused_with_its_reason() -> Result<()> {
    let corpus = Corpus::new().await?;
    let before = Snapshot::take(&corpus.client).await?;
    let real = Case::real(Modes::chosen())?;
    let mut record = Record::new("Installation and removal", &real);
    let cases: Vec<Case> = Case::own().into_iter().chain(real).collect();
    let (count, start) = (cases.len(), Instant::now());
    let mut failures: Vec<String> = Vec::new();
    for round in rounds(cases, Case::goes_with) {
        let outcomes = join_all(round.iter().map(|case| corpus.try_case(case))).await;
        for (case, outcome) in round.iter().zip(outcomes) {
            match outcome {
                Ok(outcome) => record.add(case, &[&case.bundle], &outcome),
                Err(error) => failures.push(format!("{}: {error:#}", case.title())),
            }
        }
        if let Err(error) = corpus.is_as_before(&before).await {
            let bundles: Vec<&str> = round.iter().map(|case| case.bundle.as_str()).collect();
            failures.push(format!("after {}: {error:#}", bundles.join(", ")));
        }
    }
    report::line(&format!(
        "{count} trials in {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    failures.extend(corpus.conflicts()?);
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    record.check()
}
