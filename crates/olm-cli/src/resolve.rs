//! `olmctl resolve`: what would be installed, and why, or why not.

use std::io::{BufRead as _, Read as _, Write};
use std::path::Path;

use olm_resolver::{
    Answer, Because, Catalog, DEFAULT_BUDGET, Dependencies, EdgeMode, Facts, Installed, Member,
    Policy, Problem, Refusal, Request, Resolution, Running, Selected,
};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::args::{self, Form, Resolve};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::source;

/// Most bytes of a file, or of a line, that are read.
const MAX_BYTES: u64 = 64 << 20;

/// An Operator, as far as it matters here.
#[derive(Deserialize)]
struct Operator {
    #[serde(default)]
    metadata: Metadata,
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    package_name: String,
    version: Option<String>,
    channel: Option<String>,
    #[serde(default)]
    upgrade_constraint_policy: UpgradePolicy,
    #[serde(default)]
    dependency_policy: DependencyPolicy,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum UpgradePolicy {
    #[default]
    Enforce,
    Ignore,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum DependencyPolicy {
    #[default]
    Install,
    Require,
}

/// What is installed.
#[derive(Deserialize)]
struct Runs {
    package: String,
    name: String,
    version: String,
    image: Option<String>,
}

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

/// Runs the command.
pub(crate) async fn run(args: Resolve) -> Result<Outcome, Failure> {
    let mut catalogs: Vec<Catalog> = Vec::new();
    for text in &args.catalogs {
        let (name, source) = named(text);
        if catalogs.iter().any(|catalog| catalog.name == name) {
            return Err(Failure::Usage {
                message: format!("two catalogs are called {name:?}: give them names, NAME=SOURCE"),
            });
        }
        let from = args::From {
            source: source.to_owned(),
            access: args.access.clone(),
        };
        catalogs.push(source::model(&from, &name).await?);
    }
    let facts = Facts {
        kubernetes: args.kubernetes.as_deref().map(tolerant).transpose()?,
        ..Facts::default()
    };
    let mode = if args.semver_upgrades {
        EdgeMode::Semver
    } else {
        EdgeMode::Catalog
    };
    let catalogs: Vec<&Catalog> = catalogs.iter().collect();
    let problem = Problem {
        catalogs: &catalogs,
        operators: &[],
        adopted: &[],
        mode,
        facts: &facts,
        budget: DEFAULT_BUDGET,
    };
    if args.json_lines {
        return lines(&problem, args.no_dependencies);
    }
    let (operators, adopted) = asked(&args)?;
    let problem = Problem {
        operators: &operators,
        adopted: &adopted,
        ..problem
    };
    let resolution = problem.solve();
    let mut out = output::stdout();
    if args.output == Form::Table {
        people(&operators, &resolution, &mut out)?;
    } else {
        output::value(&document(&operators, &resolution), args.output, &mut out)?;
    }
    out.flush()?;
    Ok(if resolution.answers.iter().all(Result::is_ok) {
        Outcome::Fine
    } else {
        Outcome::Found
    })
}

/// The name of a catalog, and where it is.
fn named(text: &str) -> (String, &str) {
    match text.split_once('=') {
        Some((name, source)) if !name.is_empty() && !name.contains(['/', ':']) => {
            (name.to_owned(), source)
        }
        _ => {
            let place = text.split('@').next().unwrap_or(text);
            let place = place
                .trim_end_matches("/api/v1/all")
                .trim_end_matches("/all.json")
                .trim_end_matches('/');
            let last = place.rsplit('/').next().unwrap_or(place);
            let name = last.split(':').next().unwrap_or(last);
            (name.to_owned(), text)
        }
    }
}

/// The Operators with what is installed for them, and what is installed for none.
fn asked(args: &Resolve) -> Result<(Vec<Member>, Vec<Running>), Failure> {
    let mut operators = Vec::new();
    let file = args.filename.as_deref().unwrap_or_else(|| Path::new("-"));
    for operator in documents::<Operator>(file)? {
        operators.push(member(operator, args.no_dependencies)?);
    }
    let mut adopted = Vec::new();
    if let Some(file) = &args.installed {
        for runs in documents::<Runs>(file)? {
            let installed = installed(runs.package, runs.name, &runs.version, runs.image)?;
            let mut members = operators.iter_mut();
            match members.find(|member| member.request.package == installed.package) {
                Some(member) => member.request.installed = Some(installed),
                None => adopted.push(Running {
                    installed,
                    declared: None,
                }),
            }
        }
    }
    Ok((operators, adopted))
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

fn member(operator: Operator, no_dependencies: bool) -> Result<Member, Failure> {
    let Operator { metadata, spec } = operator;
    let version = spec.version.filter(|version| !version.is_empty());
    let version = version.as_deref().map(Constraint::parse).transpose();
    let version = version.map_err(|source| Failure::Range {
        operator: metadata.name.clone(),
        source,
    })?;
    Ok(Member {
        dependencies: match (no_dependencies, spec.dependency_policy) {
            (true, _) => Dependencies::Ignore,
            (false, DependencyPolicy::Install) => Dependencies::Install,
            (false, DependencyPolicy::Require) => Dependencies::Require,
        },
        ..Member::from(Request {
            operator: metadata.name,
            package: spec.package_name,
            channel: spec.channel.filter(|channel| !channel.is_empty()),
            version,
            policy: match spec.upgrade_constraint_policy {
                UpgradePolicy::Enforce => Policy::Enforce,
                UpgradePolicy::Ignore => Policy::Ignore,
            },
            installed: None,
        })
    })
}

fn installed(
    package: String,
    name: String,
    version: &str,
    image: Option<String>,
) -> Result<Installed, Failure> {
    Ok(Installed {
        package,
        name,
        version: Version::parse_strict(version).map_err(|source| Failure::Version {
            text: version.to_owned(),
            source,
        })?,
        release: String::new(),
        image,
    })
}

fn tolerant(text: &str) -> Result<Version, Failure> {
    Version::parse_tolerant(text).map_err(|source| Failure::Version {
        text: text.to_owned(),
        source,
    })
}

/// What people read: each Operator with what it gets, then what is installed with that.
fn people(
    operators: &[Member],
    resolution: &Resolution,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    for (member, answer) in operators.iter().zip(&resolution.answers) {
        let name = &member.request.operator;
        match answer {
            Ok(answer) => {
                let Answer { bundle, stays, .. } = answer;
                let stays = if *stays { ", as installed" } else { "" };
                writeln!(
                    out,
                    "{name}: {} {} from {}{stays}",
                    bundle.package,
                    bundle.label(),
                    bundle.catalog
                )?;
                for sentence in &answer.held_back {
                    writeln!(out, "  {sentence}")?;
                }
            }
            Err(refusal) => {
                let text = refusal.explanation();
                writeln!(out, "{name}: refused: {}", text.replace('\n', "\n  "))?;
            }
        }
    }
    for group in &resolution.groups {
        for selected in group {
            if let Some(reason) = reason(group, selected) {
                let bundle = &selected.bundle;
                writeln!(
                    out,
                    "with it: {} {} from {}, {reason}",
                    bundle.package,
                    bundle.label(),
                    bundle.catalog
                )?;
            }
        }
    }
    Ok(())
}

/// Why a dependency is there.
fn reason(group: &[Selected], selected: &Selected) -> Option<String> {
    match selected.because {
        Because::Dependency { of, .. } => {
            let by = &group.get(of)?.bundle;
            Some(format!("required by {} {}", by.package, by.label()))
        }
        _ => None,
    }
}

#[derive(Serialize)]
struct Document {
    operators: Vec<Value>,
    dependencies: Vec<Value>,
}

fn document(operators: &[Member], resolution: &Resolution) -> Document {
    let answers = operators.iter().zip(&resolution.answers);
    let operators = answers.map(|(member, answer)| match answer {
        Ok(answer) => json!({
            "operator": member.request.operator,
            "package": answer.bundle.package,
            "bundle": answer.bundle.name,
            "version": answer.bundle.label(),
            "image": answer.bundle.image,
            "catalog": answer.bundle.catalog,
            "installed": answer.stays,
            "heldBack": answer.held_back,
        }),
        Err(refusal) => json!({
            "operator": member.request.operator,
            "package": member.request.package,
            "error": refusal.explanation(),
        }),
    });
    let dependencies = resolution.groups.iter().flat_map(|group| {
        group.iter().filter_map(|selected| {
            let Because::Dependency { of, .. } = selected.because else {
                return None;
            };
            let bundle = &selected.bundle;
            Some(json!({
                "package": bundle.package,
                "bundle": bundle.name,
                "version": bundle.label(),
                "image": bundle.image,
                "catalog": bundle.catalog,
                "installed": selected.stays,
                "requiredBy": group.get(of).map(|by| &by.bundle.package),
            }))
        })
    });
    Document {
        operators: operators.collect(),
        dependencies: dependencies.collect(),
    }
}

/// Answers lines one for one.
fn lines(problem: &Problem<'_>, no_dependencies: bool) -> Result<Outcome, Failure> {
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("own=./configs", "own", "./configs")]
    #[case("./configs/", "configs", "./configs/")]
    #[case(
        "quay.io/operatorhubio/catalog:latest",
        "catalog",
        "quay.io/operatorhubio/catalog:latest"
    )]
    #[case("quay.io/x/y@sha256:0123", "y", "quay.io/x/y@sha256:0123")]
    #[case("https://h/catalogs/c/all.json", "c", "https://h/catalogs/c/all.json")]
    fn a_catalog_has_a_name(#[case] text: &str, #[case] name: &str, #[case] source: &str) {
        assert_eq!(super::named(text), (name.to_owned(), source));
    }
}
