//! `olmctl autoremove`: what was installed because others required it goes once none does.

use std::collections::BTreeSet;
use std::io::Write as _;

use kube::ResourceExt as _;
use kube::api::{DeleteParams, Preconditions};
use olm_api::annotations::REQUIRED_BY;
use olm_api::operator::Operator;

use crate::args::Autoremove;
use crate::failure::{Failure, Outcome};
use crate::output;

use super::{Cluster, failed, installed, is_dependency};

/// Runs the command.
pub(crate) async fn run(args: Autoremove) -> Result<Outcome, Failure> {
    let cluster = Cluster::open(&args.access).await?;
    let operators = cluster.operators().await?;
    let mut out = output::stdout();
    let unneeded = unneeded(&operators);
    if unneeded.is_empty() {
        writeln!(
            out,
            "nothing to remove: everything is asked for or required"
        )?;
    }
    for operator in unneeded {
        let name = operator.name_any();
        if !args.dry_run {
            // What was looked at is what is removed: where it has changed since, someone may need it.
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: operator.uid(),
                    resource_version: operator.resource_version(),
                }),
                ..DeleteParams::background()
            };
            let deleted = cluster.api().delete(&name, &params).await;
            deleted.map_err(failed(format!("remove Operator `{name}`")))?;
        }
        let verb = if args.dry_run {
            "would remove"
        } else {
            "removed"
        };
        let package = &operator.spec.package_name;
        let version =
            installed(operator).map_or_else(String::new, |runs| format!(" {}", runs.version));
        writeln!(out, "{verb} {name} ({package}{version})")?;
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

/// The dependencies that nobody needs who is needed himself. Whoever says so counts: the one that
/// requires, or the one that is required.
fn unneeded(operators: &[Operator]) -> Vec<&Operator> {
    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut pending: Vec<&Operator> = operators.iter().filter(|o| !is_dependency(o)).collect();
    while let Some(operator) = pending.pop() {
        let name = operator.name_any();
        if !needed.insert(name.clone()) {
            continue;
        }
        pending.extend(operators.iter().filter(|other| requires(operator, other)));
    }
    let unneeded = operators.iter();
    unneeded
        .filter(|operator| !needed.contains(&operator.name_any()))
        .filter(|operator| operator.metadata.deletion_timestamp.is_none())
        .collect()
}

fn requires(operator: &Operator, other: &Operator) -> bool {
    let (name, others_name) = (operator.name_any(), other.name_any());
    let by_status = operator.status.as_ref().is_some_and(|status| {
        let mut required = status.dependencies.iter();
        required.any(|required| required.operator == others_name)
    });
    let by_other = other.status.as_ref().is_some_and(|status| {
        let mut by = status.required_by.iter();
        by.any(|by| by.operator == name)
    });
    let by_annotation = other.annotations().get(REQUIRED_BY).is_some_and(|names| {
        let mut names = names.split(',');
        names.any(|by| by.trim() == name)
    });
    by_status || by_other || by_annotation
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use olm_api::operator::Operator;

    use super::super::operators::tests::operator;
    use super::unneeded;

    fn names(operators: &[Operator]) -> Vec<String> {
        unneeded(operators).iter().map(|o| o.name_any()).collect()
    }

    #[test]
    fn what_is_asked_for_or_required_stays() {
        let operators = [
            operator("a", false, &["b"]),
            operator("b", true, &["c"]),
            operator("c", true, &[]),
        ];
        assert_eq!(names(&operators), Vec::<String>::new());
    }

    #[test]
    fn what_only_the_unneeded_require_goes_with_them_circles_too() {
        let operators = [
            operator("a", false, &[]),
            operator("b", true, &["c"]),
            operator("c", true, &["b"]),
        ];
        assert_eq!(names(&operators), ["b", "c"]);
    }

    #[test]
    fn an_annotation_is_enough_to_stay() {
        let mut operators = [operator("a", false, &[]), operator("b", true, &[])];
        operators[1]
            .annotations_mut()
            .insert(super::REQUIRED_BY.to_owned(), "x, a".to_owned());
        assert_eq!(names(&operators), Vec::<String>::new());
    }
}
