//! Requests on the standard input, each by itself.

use std::io::{BufRead as _, Read as _, Write as _};

use olm_resolver::{Answer, Dependencies, Member, Policy, Problem, Refusal, Request};
use olm_semver::masterminds::Constraint;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::output;

use super::MAX_BYTES;
use super::asked::installed;

/// A line of requests.
#[derive(Deserialize)]
struct Line {
    package: String,
    channel: Option<String>,
    version: Option<String>,
    installed: Option<LineInstalled>,
    #[serde(default)]
    ignore: bool,
}

#[derive(Deserialize)]
struct LineInstalled {
    name: String,
    version: String,
}

/// Answers lines one for one.
pub(super) fn lines(problem: &Problem<'_>, no_dependencies: bool) -> Result<Outcome, Failure> {
    let mut out = output::stdout();
    let mut input = std::io::stdin().lock();
    let mut text = String::new();
    loop {
        text.clear();
        if (&mut input).take(MAX_BYTES).read_line(&mut text)? == 0 {
            break;
        }
        let mut fields: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        for answered in ["bundle", "answer", "error"] {
            fields.remove(answered);
        }
        match line(problem, &text, no_dependencies) {
            Ok(answer) => {
                fields.insert("bundle".to_owned(), json!(answer.bundle.name));
                fields.insert("answer".to_owned(), json!(answer.bundle.label()));
            }
            Err(error) => {
                fields.insert("error".to_owned(), json!(error));
            }
        }
        serde_json::to_writer(&mut out, &fields)?;
        writeln!(out)?;
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

fn line(problem: &Problem<'_>, text: &str, no_dependencies: bool) -> Result<Answer, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let installed = line.installed.map(|runs| {
        installed(line.package.clone(), runs.name, &runs.version, None)
            .map_err(|failure| failure.text())
    });
    let version = line.version.filter(|version| !version.is_empty());
    let version = version.as_deref().map(Constraint::parse).transpose();
    let member = Member {
        dependencies: if no_dependencies {
            Dependencies::Ignore
        } else {
            Dependencies::Install
        },
        ..Member::from(Request {
            operator: line.package.clone(),
            package: line.package,
            channel: line.channel.filter(|channel| !channel.is_empty()),
            version: version.map_err(|error| error.to_string())?,
            policy: if line.ignore {
                Policy::Ignore
            } else {
                Policy::Enforce
            },
            installed: installed.transpose()?,
        })
    };
    let problem = Problem {
        operators: &[member],
        ..*problem
    };
    let answer = problem.solve().answers.pop();
    answer
        .unwrap_or(Err(Refusal::Cancelled))
        .map_err(|refusal| refusal.explanation())
}
