//! The answers for Operators that may have to do with one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use olm_resolver::{
    Answer, Approval, Bundle, Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Refusal,
    Running,
};

use super::wish::{Wish, installed};
use crate::deployment::Wanted;

/// What is asked in one group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) wishes: Vec<Wish>,
    /// What is installed without an Operator.
    pub(crate) adopted: Vec<Wanted>,
}

/// The answers for one group.
#[derive(Debug, Default)]
pub(crate) struct Solved {
    /// By name of the Operator.
    pub(crate) answers: BTreeMap<String, Result<Answer, Refusal>>,
    /// Everything that is selected.
    pub(crate) selected: Vec<Arc<Bundle>>,
    /// What runs, by package, as solutions see it.
    pub(crate) running: BTreeMap<String, Arc<Bundle>>,
    /// What Operators whose upgrades wait would get if they did not; by name.
    pub(crate) pending: BTreeMap<String, Arc<Bundle>>,
}

/// Decides for one group.
pub(crate) fn solve(asked: &Asked, catalogs: &[&Catalog], mode: EdgeMode, facts: &Facts) -> Solved {
    let members: Vec<Member> = asked.wishes.iter().map(Wish::member).collect();
    let adopted: Vec<Running> = asked.adopted.iter().filter_map(running).collect();
    let problem = Problem {
        catalogs,
        operators: &members,
        adopted: &adopted,
        mode,
        facts,
        budget: DEFAULT_BUDGET,
    };
    let resolution = problem.solve();
    let mut solved = Solved::default();
    for (wish, answer) in asked.wishes.iter().zip(resolution.answers) {
        solved.answers.insert(wish.name.clone(), answer);
    }
    for selected in resolution.groups.into_iter().flatten() {
        solved.selected.push(selected.bundle);
    }
    let run = asked.wishes.iter().filter_map(|wish| wish.running.as_ref());
    for wanted in run.chain(&asked.adopted) {
        if let Some(running) = running(wanted) {
            let package = wanted.identity.package.clone();
            solved.running.insert(package, running.bundle(catalogs));
        }
    }
    for (place, wish) in asked.wishes.iter().enumerate() {
        let waits = !wish.stands && members[place].approval != Approval::Automatic;
        if !waits || wish.running.is_none() {
            continue;
        }
        let mut members = members.clone();
        members[place].approval = Approval::Automatic;
        let mut free = Problem {
            operators: &members,
            ..problem
        }
        .solve();
        let Ok(best) = free.answers.swap_remove(place) else {
            continue;
        };
        let chosen = solved.answers.get(&wish.name);
        let is_chosen = |answer: &Answer| {
            answer.bundle.name == best.bundle.name && answer.bundle.image == best.bundle.image
        };
        if !best.stays && !matches!(chosen, Some(Ok(answer)) if is_chosen(answer)) {
            solved.pending.insert(wish.name.clone(), best.bundle);
        }
    }
    solved
}

fn running(wanted: &Wanted) -> Option<Running> {
    Some(Running {
        installed: installed(&wanted.identity)?,
        declared: wanted.declares(),
    })
}
