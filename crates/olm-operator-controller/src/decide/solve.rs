//! The answers for Operators that may have to do with one another.

use std::collections::BTreeMap;
use std::sync::Arc;

use olm_resolver::{
    Answer, Approval, Bundle, Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Refusal,
    Running,
};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::wish::{Wish, installed};
use crate::deployment::Wanted;

/// What is asked in one group.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Asked<'a> {
    pub(crate) wishes: Vec<&'a Wish>,
    /// What is installed without an Operator.
    pub(crate) adopted: Vec<&'a Wanted>,
}

/// A digest of everything that is asked: equal prints mean equal questions.
pub(crate) type Print = [u8; 32];

impl Asked<'_> {
    /// The digest of the question, to tell whether it was asked before; `None`, which equals nothing,
    /// where it has none.
    pub(crate) fn print(&self) -> Option<Print> {
        let mut digest = Sha256::new();
        serde_json::to_writer(&mut digest, self).ok()?;
        Some(digest.finalize().into())
    }
}

/// The answers for one group.
#[derive(Debug, Default)]
pub(crate) struct Solved {
    /// By name of the Operator, in order: for the one that most groups have, a map would take ten
    /// times the room.
    answers: Vec<(String, Result<Answer, Refusal>)>,
    /// Everything that is selected.
    pub(crate) selected: Vec<Arc<Bundle>>,
    /// What runs, by package, as solutions see it.
    pub(crate) running: BTreeMap<String, Arc<Bundle>>,
    /// What Operators whose upgrades wait would get if they did not; by name.
    pub(crate) pending: BTreeMap<String, Arc<Bundle>>,
}

impl Solved {
    /// The answer for an Operator of the group.
    pub(crate) fn answer(&self, operator: &str) -> Option<&Result<Answer, Refusal>> {
        let found = self
            .answers
            .binary_search_by(|(name, _)| name.as_str().cmp(operator));
        let (_, answer) = self.answers.get(found.ok()?)?;
        Some(answer)
    }
}

/// Decides for one group.
pub(crate) fn solve(
    asked: &Asked<'_>,
    catalogs: &[&Catalog],
    mode: EdgeMode,
    facts: &Facts,
) -> Solved {
    let members: Vec<Member> = asked.wishes.iter().map(|wish| wish.member()).collect();
    let adopted: Vec<Running> = asked
        .adopted
        .iter()
        .filter_map(|wanted| running(wanted))
        .collect();
    let problem = Problem {
        catalogs,
        operators: &members,
        adopted: &adopted,
        mode,
        facts,
        budget: DEFAULT_BUDGET,
    };
    let resolution = problem.solve();
    let names = asked.wishes.iter().map(|wish| wish.name.clone());
    let mut solved = Solved {
        answers: names.zip(resolution.answers).collect(),
        ..Solved::default()
    };
    solved
        .answers
        .sort_by(|(one, _), (other, _)| one.cmp(other));
    for selected in resolution.groups.into_iter().flatten() {
        solved.selected.push(selected.bundle);
    }
    let run = asked.wishes.iter().filter_map(|wish| wish.running.as_ref());
    for wanted in run.chain(asked.adopted.iter().copied()) {
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
        let chosen = solved.answer(&wish.name);
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
