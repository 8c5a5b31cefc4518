//! `olmctl why`: why an Operator is there, and why it is what it is.

use std::fmt::Write as _;
use std::io::Write as _;

use kube::ResourceExt as _;
use olm_api::operator::Operator;

use crate::args::Named;
use crate::failure::{Failure, Outcome};
use crate::output;

use super::{Cluster, condition, installed, is_dependency, named, resolved};

/// Runs the command.
pub(crate) async fn run(args: Named) -> Result<Outcome, Failure> {
    let operators = Cluster::open(&args.access).await?.operators().await?;
    let operator = named(&operators, &args.name)?;
    let mut out = output::stdout();
    out.write_all(story(operator, &operators).as_bytes())?;
    out.flush()?;
    Ok(Outcome::Fine)
}

/// All that there is to say. Writing to a text cannot fail.
fn story(operator: &Operator, operators: &[Operator]) -> String {
    let name = operator.name_any();
    let package = &operator.spec.package_name;
    let mut text = String::new();
    let _ = match installed(operator) {
        Some(runs) => {
            let from = runs
                .catalog
                .as_ref()
                .map(|catalog| format!(" from {catalog}"));
            let from = from.unwrap_or_default();
            writeln!(
                text,
                "{name}: {package} {}{from} is installed",
                runs.version
            )
        }
        None => writeln!(text, "{name}: nothing of {package} is installed"),
    };
    text.push_str("\nWhy is it here?\n");
    here(&mut text, operator, operators);
    text.push_str("\nWhy this version?\n");
    version(&mut text, operator);
    let trouble = ["Ready", "Progressing", "Stalled"]
        .into_iter()
        .find_map(|type_| {
            let condition = condition(operator, type_)?;
            let is_bad = (type_ == "Ready") == (condition.status != "True");
            let is_bad = is_bad && !(type_ == "Progressing" && condition.status == "True");
            (is_bad && !condition.message.is_empty()).then_some(condition)
        });
    if let Some(condition) = trouble {
        text.push_str("\nWhat is in the way?\n");
        said(&mut text, &condition.message);
    }
    text
}

fn here(text: &mut String, operator: &Operator, operators: &[Operator]) {
    let name = operator.name_any();
    let status = operator.status.clone().unwrap_or_default();
    if !is_dependency(operator) {
        text.push_str("  someone asks for it\n");
    }
    for dependant in &status.required_by {
        let mut of_name = operators.iter();
        let other = of_name.find(|other| other.name_any() == dependant.operator);
        let required = other
            .and_then(|other| other.status.as_ref())
            .and_then(|status| {
                let mut dependencies = status.dependencies.iter();
                dependencies.find(|dependency| dependency.operator == name)
            });
        let required = required.map(|dependency| dependency.requirements.join(", "));
        let required = required.filter(|required| !required.is_empty());
        let required = required.unwrap_or_else(|| "it".to_owned());
        let (by, version) = (&dependant.package, &dependant.version);
        let line = format!(
            "Operator {:?}: {by} {version} requires {required}",
            dependant.operator
        );
        said(text, &line);
    }
    if is_dependency(operator) && status.required_by.is_empty() {
        text.push_str(
            "  it was required once, and nobody requires it any more: `olmctl autoremove`\n",
        );
    }
}

fn version(text: &mut String, operator: &Operator) {
    let status = operator.status.clone().unwrap_or_default();
    let mut asked = Vec::new();
    if let Some(range) = &operator.spec.version {
        asked.push(format!("versions {range}"));
    }
    if let Some(channel) = &operator.spec.channel {
        asked.push(format!("channel {channel}"));
    }
    if !asked.is_empty() {
        said(text, &format!("asked for: {}", asked.join(", ")));
    }
    if let Some(pending) = &status.pending_upgrade {
        let line = format!(
            "version {} waits for approval: `olmctl approve {}`",
            pending.version,
            operator.name_any()
        );
        said(text, &line);
    }
    if let Some(failed) = &status.failed_upgrade {
        let line = format!(
            "version {} failed: {}",
            failed.bundle.version, failed.message
        );
        said(text, &line);
    }
    if operator.spec.suspend {
        text.push_str("  it is suspended: nothing is decided for it\n");
    }
    if let (Some(runs), Some(chosen)) = (installed(operator), resolved(operator))
        && runs.version != chosen.version
    {
        said(
            text,
            &format!("version {} is chosen and under way", chosen.version),
        );
    }
    match condition(operator, "Resolved") {
        Some(condition) => said(text, &condition.message),
        None => text.push_str("  nothing was decided yet\n"),
    }
}

/// What a component said, moved in, without what would move the cursor of a terminal.
fn said(text: &mut String, message: &str) {
    for line in message.lines() {
        text.push_str("  ");
        text.extend(line.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::operators::tests::operator;
    use super::story;
    use olm_api::operator::Dependant;

    #[test]
    fn a_dependency_says_who_requires_what_of_it() {
        let mut operators = [operator("a", false, &["b"]), operator("b", true, &[])];
        operators[1]
            .status
            .as_mut()
            .unwrap()
            .required_by
            .push(Dependant {
                operator: "a".to_owned(),
                package: "a".to_owned(),
                version: "1.0.0".to_owned(),
            });
        assert_eq!(
            story(&operators[1], &operators),
            "b: b 1.0.0 is installed\n\nWhy is it here?\n  Operator \"a\": a 1.0.0 requires b >=1.0.0\n\
             \nWhy this version?\n  nothing was decided yet\n"
        );
        let asked = story(&operators[0], &operators);
        assert!(
            asked.contains("Why is it here?\n  someone asks for it\n"),
            "{asked}"
        );
    }

    #[test]
    fn what_waits_and_what_failed_is_told_with_what_to_do() {
        let mut alone = operator("a", true, &[]);
        let status = alone.status.as_mut().unwrap();
        let mut newer = status.installed.clone().unwrap();
        newer.version = "1.1.0".to_owned();
        status.pending_upgrade = Some(newer);
        let told = story(&alone, std::slice::from_ref(&alone));
        assert!(
            told.contains("version 1.1.0 waits for approval: `olmctl approve a`"),
            "{told}"
        );
        assert!(
            told.contains("nobody requires it any more: `olmctl autoremove`"),
            "{told}"
        );
    }
}
