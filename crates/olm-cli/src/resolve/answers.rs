//! What is printed of a resolution.

use std::io::Write;

use olm_resolver::{Answer, Because, Member, Resolution, Selected};
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// What people read: each Operator with what it gets, then what is installed with that.
pub(super) fn people(
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

/// What scripts read.
#[derive(Serialize)]
pub(super) struct Document {
    operators: Vec<Value>,
    dependencies: Vec<Value>,
}

pub(super) fn document(operators: &[Member], resolution: &Resolution) -> Document {
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
