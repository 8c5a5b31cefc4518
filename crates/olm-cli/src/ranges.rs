//! `olmctl version`: ranges and what they hold, for people who wonder.

use std::io::{BufRead as _, Read as _, Write};

use olm_semver::masterminds::{Constraint, PrereleaseMode};
use olm_semver::{Version, blang};
use serde::{Deserialize, Serialize};

use crate::args::{Language, Match, VersionCommand, VersionOf};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// A range and a version.
#[derive(Deserialize)]
struct Question {
    range: String,
    version: String,
}

/// Whether the one holds the other.
#[derive(Serialize)]
enum Answer {
    #[serde(rename = "match")]
    Match(bool),
    #[serde(rename = "error")]
    Error(String),
}

/// Runs a command.
pub(crate) fn run(args: VersionOf) -> Result<Outcome, Failure> {
    match args.command {
        VersionCommand::Match(args) if args.json_lines => lines(args.language),
        VersionCommand::Match(args) => each(&args),
    }
}

fn each(args: &Match) -> Result<Outcome, Failure> {
    let mut out = output::stdout();
    let mut outcome = Outcome::Fine;
    let range = args.range.as_deref().unwrap_or_default();
    for version in &args.versions {
        let said = match answer(args.language, range, version) {
            Answer::Match(true) => "match".to_owned(),
            Answer::Match(false) => "no match".to_owned(),
            Answer::Error(error) => format!("error: {error}"),
        };
        if said != "match" {
            outcome = Outcome::Found;
        }
        writeln!(out, "{version}: {said}")?;
    }
    out.flush()?;
    Ok(outcome)
}

fn lines(language: Language) -> Result<Outcome, Failure> {
    let mut out = output::stdout();
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    loop {
        line.clear();
        if (&mut input).take(MAX_LINE).read_line(&mut line)? == 0 {
            break;
        }
        let answer = match serde_json::from_str::<Question>(&line) {
            Ok(question) => answer(language, &question.range, &question.version),
            Err(error) => Answer::Error(error.to_string()),
        };
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

/// Versions are read as the libraries read what they are asked about.
fn answer(language: Language, range: &str, version: &str) -> Answer {
    let found = match language {
        Language::Masterminds => Constraint::parse(range)
            .map_err(|error| error.to_string())
            .and_then(|range| {
                let version = Version::parse_lenient(version).map_err(|error| error.to_string())?;
                Ok(range.matches(&version, PrereleaseMode::default()))
            }),
        Language::Blang => blang::Range::parse(range)
            .map_err(|error| error.to_string())
            .and_then(|range| {
                let version = Version::parse_strict(version).map_err(|error| error.to_string())?;
                Ok(range.contains(&version))
            }),
    };
    found.map_or_else(Answer::Error, Answer::Match)
}
