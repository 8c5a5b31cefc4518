//! From a problem to its answers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::refusal::Refusal;
use crate::solver::{End, Engine, FactId, Rule, Variable, reduce};

use super::check::{Holders, check_with};
use super::closure::{Closure, Wish};
use super::explanation::Explanation;
use super::facts::{Fact, Group};
use super::problem::Problem;
use super::resolution::{Answer, Because, Resolution, Selected};
use super::summary::Story;

/// Most candidates for which it is said why they were not chosen.
const MAX_HELD_BACK: usize = 3;

impl Problem<'_> {
    /// Decides for all Operators together: for each group of those that have to do with one another
    /// the preferred solution, or why there is none.
    pub fn solve(&self) -> Resolution {
        let closure = Closure::new(*self);
        let mut answers: Vec<Option<Result<Answer, Refusal>>> =
            self.operators.iter().map(|_| None).collect();
        let mut groups = Vec::new();
        let holders = Holders::new(self);
        for mut facts in Group::all(&closure) {
            match solve_group(&closure, &holders, &mut facts) {
                Ok((selected, solved)) => {
                    for (operator, answer) in solved {
                        answers[operator] = Some(Ok(answer));
                    }
                    groups.push(selected);
                }
                Err(refusal) => {
                    for &operator in &facts.operators {
                        if let Wish::OneOf(_) = closure.wishes[operator] {
                            answers[operator] = Some(Err(refusal.clone()));
                        }
                    }
                }
            }
        }
        // What stays although nothing can be decided.
        for (operator, wish) in closure.wishes.iter().enumerate() {
            if let (Wish::Stays(node), None) = (wish, closure.refusals.get(&operator)) {
                answers[operator] = Some(Ok(Answer {
                    bundle: Arc::clone(&closure.nodes[*node].bundle),
                    stays: true,
                    held_back: Vec::new(),
                }));
            }
        }
        for (operator, refusal) in &closure.refusals {
            answers[*operator] = Some(Err(refusal.clone()));
        }
        Resolution {
            answers: answers
                .into_iter()
                .map(|answer| answer.unwrap_or(Err(Refusal::Cancelled)))
                .collect(),
            groups,
        }
    }
}

type Solved = (Vec<Selected>, Vec<(usize, Answer)>);

fn solve_group(
    closure: &Closure<'_>,
    holders: &Holders<'_>,
    facts: &mut Group,
) -> Result<Solved, Refusal> {
    if let Some((operator, selected)) = alone(closure, facts) {
        checked(closure, holders, facts, std::slice::from_ref(&selected))?;
        let answer = Answer {
            bundle: Arc::clone(&selected.bundle),
            stays: selected.stays,
            held_back: Vec::new(),
        };
        let is_asked = matches!(closure.wishes[operator], Wish::OneOf(_));
        let answers = is_asked.then_some((operator, answer));
        return Ok((vec![selected], answers.into_iter().collect()));
    }
    facts.state(closure);
    let mut budget = closure.problem.budget;
    let found = match search(facts, &mut budget) {
        End::Found(found) => found,
        End::Cancelled => return Err(Refusal::Cancelled),
        End::Impossible(core) => {
            let core = reduce(&facts.rules, core, facts.nodes.len(), &mut budget);
            let explanation = Explanation::new(&Story::new(closure, facts, &core));
            return Err(Refusal::Unsatisfiable(Arc::new(explanation)));
        }
    };
    let selected = selection(closure, facts, &found);
    checked(closure, holders, facts, &selected)?;
    let mut answers = Vec::new();
    let mut decided: Vec<(usize, Variable)> = Vec::new();
    for place in 0..facts.operators.len() {
        let operator = facts.operators[place];
        let Wish::OneOf(candidates) = &closure.wishes[operator] else {
            continue;
        };
        let chosen = candidates
            .iter()
            .position(|node| found.iter().any(|(at, _)| *at == facts.variable(*node)));
        let Some(chosen) = chosen else {
            return Err(Refusal::Unsound("an Operator got nothing".to_owned()));
        };
        let node = candidates[chosen];
        let held_back = held_back(
            closure,
            facts,
            operator,
            &candidates[..chosen],
            &decided,
            &mut budget,
        );
        decided.push((operator, facts.variable(node)));
        answers.push((
            operator,
            Answer {
                bundle: Arc::clone(&closure.nodes[node].bundle),
                stays: closure.nodes[node].installed,
                held_back,
            },
        ));
    }
    Ok((selected, answers))
}

fn checked(
    closure: &Closure<'_>,
    holders: &Holders<'_>,
    facts: &Group,
    selected: &[Selected],
) -> Result<(), Refusal> {
    check_with(&closure.problem, holders, &facts.operators, selected)
        .map_err(|unsound| Refusal::Unsound(unsound.to_string()))
}

/// What an Operator gets that has to do with no other package, where that needs nothing: there is
/// nothing to search.
fn alone(closure: &Closure<'_>, facts: &Group) -> Option<(usize, Selected)> {
    let (&[operator], [_]) = (facts.operators.as_slice(), facts.parts.as_slice()) else {
        return None;
    };
    let (node, because) = match &closure.wishes[operator] {
        Wish::OneOf(candidates) => {
            let mut candidates = candidates.iter().map(|node| &closure.nodes[*node]);
            let first = candidates.find(|node| node.is_open())?;
            (first, Because::Requested(operator))
        }
        Wish::Stays(node) => (&closure.nodes[*node], Because::Kept(operator)),
        Wish::Nothing => return None,
    };
    let is_free = node.is_open() && node.needs.is_empty() && node.forbids.is_empty();
    is_free.then(|| {
        let selected = Selected {
            bundle: Arc::clone(&node.bundle),
            stays: node.installed,
            because,
        };
        (operator, selected)
    })
}

fn search(facts: &Group, budget: &mut u64) -> End {
    let all: Vec<FactId> = (0..).take(facts.rules.len()).collect();
    Engine::new(&facts.rules, &all, facts.nodes.len()).run(budget)
}

fn selection(closure: &Closure<'_>, facts: &Group, found: &[(Variable, FactId)]) -> Vec<Selected> {
    let places: HashMap<usize, usize> = found
        .iter()
        .enumerate()
        .map(|(place, (variable, _))| (facts.nodes[*variable as usize], place))
        .collect();
    found
        .iter()
        .map(|(variable, fact)| {
            let node = &closure.nodes[facts.nodes[*variable as usize]];
            let because = match &facts.facts[*fact as usize] {
                Fact::Requires { node, need } => Because::Dependency {
                    of: places.get(node).copied().unwrap_or(usize::MAX),
                    requirement: closure.nodes[*node].needs[*need].at,
                },
                Fact::Request(operator) => Because::Requested(*operator),
                Fact::Stays { operator, .. } => Because::Kept(*operator),
                _ => Because::Kept(usize::MAX),
            };
            Selected {
                bundle: Arc::clone(&node.bundle),
                stays: node.installed,
                because,
            }
        })
        .collect()
}

/// Why the better candidates were not chosen, given all that was decided before.
fn held_back(
    closure: &Closure<'_>,
    facts: &mut Group,
    operator: usize,
    better: &[usize],
    decided: &[(usize, Variable)],
    budget: &mut u64,
) -> Vec<String> {
    let own = facts.facts.len();
    let mut sentences: Vec<String> = Vec::new();
    let open = better.iter().filter(|node| closure.nodes[**node].is_open());
    for (place, &node) in open.take(MAX_HELD_BACK).enumerate() {
        for &(before, variable) in decided {
            facts.push(Fact::Decided(before), Rule::OneOf(vec![variable]));
        }
        let forced = Rule::OneOf(vec![facts.variable(node)]);
        facts.push(Fact::Forced(operator), forced);
        if let End::Impossible(core) = search(facts, budget) {
            let core = reduce(&facts.rules, core, facts.nodes.len(), budget);
            let story = Story::new(closure, facts, &core);
            let what = if place == 0 {
                "newest version"
            } else {
                "version"
            };
            sentences.push(format!(
                "{what} {} is held back: {}",
                closure.nodes[node].bundle.label(),
                story.of_candidate(node)
            ));
        }
        facts.truncate(own);
    }
    sentences
}
