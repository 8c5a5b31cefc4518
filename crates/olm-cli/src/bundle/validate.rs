//! `olmctl bundle validate`.

use std::io::Write as _;

use olm_bundle::{Finding, Severity, inspect};
use serde::Serialize;

use crate::args::{BundleValidate, Form};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// A finding for programs.
#[derive(Debug, Serialize)]
struct Row<'a> {
    file: &'a str,
    line: usize,
    severity: String,
    message: &'a str,
}

impl<'a> Row<'a> {
    fn of(finding: &'a Finding) -> Self {
        Self {
            file: &finding.file,
            line: finding.line,
            severity: finding.severity.to_string(),
            message: &finding.message,
        }
    }
}

/// Prints everything that is wrong with a bundle; errors decide the exit code, warnings do not.
pub(super) async fn run(args: BundleValidate) -> Result<Outcome, Failure> {
    let tree = source::bundle_folder(&args.folder)?;
    let findings = source::blocking(move || Ok(inspect(&tree))).await?;
    let mut out = output::stdout();
    if args.output == Form::Table {
        for finding in &findings {
            // A message of several lines is one finding: foreign text must not look like another.
            writeln!(out, "{}", finding.to_string().replace('\n', "\n    "))?;
        }
    } else {
        let rows: Vec<Row<'_>> = findings.iter().map(Row::of).collect();
        output::value(&rows, args.output, &mut out)?;
    }
    out.flush()?;
    let is_broken = findings
        .iter()
        .any(|finding| finding.severity == Severity::Error);
    Ok(if is_broken {
        Outcome::Found
    } else {
        Outcome::Fine
    })
}
