//! The tables of outcomes in the documentation, which these tests keep true.

use std::collections::BTreeSet;
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};

use super::cases::{Case, Modes};
use super::table::REAL;

/// The file with the tables.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tests/bundles.md");

/// The file is rewritten by one at a time.
static WRITING: Mutex<()> = Mutex::new(());

/// What became of real bundles: the rows of the table below one heading.
pub(super) struct Record {
    heading: &'static str,
    real: BTreeSet<String>,
    rows: BTreeSet<String>,
}

impl Record {
    /// An empty one, for outcomes of these.
    pub(super) fn new(heading: &'static str, real: &[Case]) -> Self {
        Self {
            heading,
            real: real.iter().map(|case| case.bundle.clone()).collect(),
            rows: BTreeSet::new(),
        }
    }

    /// Adds a row, where it is about a real bundle: these columns, the mode, what became of it.
    pub(super) fn add(&mut self, case: &Case, columns: &[&str], outcome: &str) {
        if self.real.contains(&case.bundle) {
            let mode = case
                .mode
                .as_ref()
                .map_or_else(|| "not chosen".to_owned(), ToString::to_string);
            let columns = columns.join(" | ");
            let outcome = outcome.replace('|', "\\|");
            self.rows
                .insert(format!("| {columns} | {mode} | {outcome} |"));
        }
    }

    /// Holds the rows against the table: where all was tried, that there is no other row. With
    /// `OLM_TEST_RECORD` the table is written instead.
    pub(super) fn check(&self) -> Result<()> {
        let tried: BTreeSet<&str> = self.real.iter().map(String::as_str).collect();
        let is_whole =
            Modes::chosen() == Modes::All && REAL.iter().all(|(bundle, _)| tried.contains(bundle));
        let _writing = WRITING.lock();
        let text = std::fs::read_to_string(FILE).context(FILE)?;
        let heading = format!("## {}\n", self.heading);
        let (before, rest) = text
            .split_once(&heading)
            .with_context(|| format!("`{FILE}` has no heading `{}`", self.heading))?;
        let end = rest.find("\n## ").map_or(rest.len(), |end| end + 1);
        let (section, after) = rest.split_at(end);
        let rule = section.find("|---").context("no table")?;
        let start = rule + section[rule..].find('\n').map_or(0, |end| end + 1);
        let (head, body) = section.split_at(start);
        if is_whole && std::env::var_os("OLM_TEST_RECORD").is_some() {
            let rows: Vec<&str> = self.rows.iter().map(String::as_str).collect();
            let rows = rows.join("\n");
            let gap = if after.is_empty() { "\n" } else { "\n\n" };
            std::fs::write(FILE, format!("{before}{heading}{head}{rows}{gap}{after}"))?;
            return Ok(());
        }
        let written: BTreeSet<String> = body
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        let mut wrong: Vec<String> = self
            .rows
            .difference(&written)
            .map(|row| format!("is not in the table: {row}"))
            .collect();
        if is_whole {
            let stale = written.difference(&self.rows);
            wrong.extend(stale.map(|row| format!("is no longer true: {row}")));
        }
        ensure!(wrong.is_empty(), "`{FILE}`:\n{}", wrong.join("\n"));
        Ok(())
    }
}
