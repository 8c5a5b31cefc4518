//! The search: conflict-driven clause learning in which only the queue of what is asked and required
//! decides, so that the first answer is the preferred one.
//!
//! Decisions are taken front to back from the queue; each takes the first candidate that is not
//! ruled out. Whatever is ruled out is so in every solution that keeps the decisions before, and a
//! learned clause holds in every solution at all; so the candidate taken is the first for which a
//! solution exists, as soon as the search ends.

mod learn;
mod propagate;

use super::rules::{FactId, Rule, Variable};

/// Nothing.
const NONE: u32 = u32::MAX;

/// Most learned clauses.
const MAX_LEARNED: usize = 100_000;

/// A variable or its negation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Literal(u32);

impl Literal {
    fn yes(variable: Variable) -> Self {
        Self(variable << 1)
    }

    fn no(variable: Variable) -> Self {
        Self(variable << 1 | 1)
    }

    fn variable(self) -> usize {
        (self.0 >> 1) as usize
    }

    fn is_positive(self) -> bool {
        self.0 & 1 == 0
    }

    fn negated(self) -> Self {
        Self(self.0 ^ 1)
    }

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why a variable has its value.
#[derive(Debug, Clone, Copy)]
enum Reason {
    /// It was decided.
    Decision,
    /// All other literals of a clause are false.
    Clause(u32),
    /// Another member of a group is true.
    Group(u32, Variable),
}

/// What something was derived from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Fact(FactId),
    /// A learned clause, by its number among those.
    Learned(u32),
    /// The value of a variable that holds in every solution.
    Fixed(u32),
}

#[derive(Debug)]
struct Clause {
    start: u32,
    length: u32,
    source: Source,
}

#[derive(Debug, Clone, Copy)]
struct Watch {
    clause: u32,
    /// Another literal of it: where that is true, there is nothing to do.
    blocker: Literal,
}

#[derive(Debug)]
struct Group {
    members: Vec<Variable>,
    fact: FactId,
}

/// What cannot be.
#[derive(Debug, Clone, Copy)]
enum Conflict {
    Clause(u32),
    Group(u32, Variable, Variable),
}

/// One item of the queue that was dealt with.
#[derive(Debug, Clone, Copy)]
struct Step {
    level: u32,
    /// Length of the queue before.
    queue: u32,
    added: u32,
}

/// How a search ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The preferred solution: what was added, in order, each with the fact that asked for it.
    Found(Vec<(Variable, FactId)>),
    /// There is none: facts that cannot hold together.
    Impossible(Vec<FactId>),
    /// The budget is used up.
    Cancelled,
}

/// A search.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    rules: &'a [Rule],
    /// Positive: true at a level; negative: false. By variable.
    values: Vec<i8>,
    levels: Vec<u32>,
    reasons: Vec<Reason>,
    trail: Vec<Literal>,
    /// Length of the trail at the start of each level.
    starts: Vec<u32>,
    head: usize,
    literals: Vec<Literal>,
    clauses: Vec<Clause>,
    watches: Vec<Vec<Watch>>,
    groups: Vec<Group>,
    member_of: Vec<Vec<u32>>,
    /// What each learned clause was derived from.
    learned: Vec<Vec<Source>>,
    /// The facts by which a variable, once added, asks for others.
    requires: Vec<Vec<FactId>>,
    queue: Vec<FactId>,
    steps: Vec<Step>,
    added: Vec<bool>,
    seen: Vec<bool>,
    /// A conflict among the facts alone.
    broken: Option<Conflict>,
}

impl<'a> Engine<'a> {
    /// A search over some of the rules, in their order.
    pub(crate) fn new(rules: &'a [Rule], facts: &[FactId], variables: usize) -> Self {
        let mut engine = Self {
            rules,
            values: vec![0; variables],
            levels: vec![0; variables],
            reasons: vec![Reason::Decision; variables],
            trail: Vec::with_capacity(variables),
            starts: Vec::new(),
            head: 0,
            literals: Vec::new(),
            clauses: Vec::new(),
            watches: vec![Vec::new(); variables * 2],
            groups: Vec::new(),
            member_of: vec![Vec::new(); variables],
            learned: Vec::new(),
            requires: vec![Vec::new(); variables],
            queue: Vec::new(),
            steps: Vec::new(),
            added: vec![false; variables],
            seen: vec![false; variables],
            broken: None,
        };
        for &fact in facts {
            engine.add(fact);
        }
        engine
    }

    fn add(&mut self, fact: FactId) {
        let rules = self.rules;
        let source = Source::Fact(fact);
        match &rules[fact as usize] {
            Rule::OneOf(candidates) => {
                self.queue.push(fact);
                self.clause(candidates.iter().map(|at| Literal::yes(*at)), source);
            }
            Rule::Requires(by, candidates) => {
                self.requires[*by as usize].push(fact);
                let by = std::iter::once(Literal::no(*by));
                self.clause(
                    by.chain(candidates.iter().map(|at| Literal::yes(*at))),
                    source,
                );
            }
            Rule::AtMostOne(members) => {
                let group = index(self.groups.len());
                for member in members {
                    self.member_of[*member as usize].push(group);
                }
                self.groups.push(Group {
                    members: members.clone(),
                    fact,
                });
            }
            Rule::Excludes(by, others) => {
                for other in others {
                    self.clause([Literal::no(*by), Literal::no(*other)], source);
                }
            }
            Rule::None(members) => {
                for member in members {
                    self.clause([Literal::no(*member)], source);
                }
            }
        }
    }

    /// Searches. Each assignment and each look at a clause takes one step of the budget; so does
    /// everything that was set up before.
    pub(crate) fn run(mut self, budget: &mut u64) -> End {
        let members = self.groups.iter().map(|group| group.members.len());
        let set_up = self.literals.len() + self.values.len() + members.sum::<usize>();
        *budget = budget.saturating_sub(set_up as u64);
        if let Some(conflict) = self.broken {
            return End::Impossible(self.facts_of(conflict));
        }
        loop {
            let conflict = self.propagate(budget);
            if *budget == 0 || self.learned.len() > MAX_LEARNED {
                return End::Cancelled;
            }
            if let Some(conflict) = conflict {
                if self.starts.is_empty() {
                    return End::Impossible(self.facts_of(conflict));
                }
                self.learn(conflict);
            } else if self.steps.len() == self.queue.len() {
                return End::Found(self.solution());
            } else {
                self.step();
            }
        }
    }

    /// Deals with the next item of the queue.
    fn step(&mut self) {
        let rules = self.rules;
        let fact = self.queue[self.steps.len()];
        let candidates = match &rules[fact as usize] {
            Rule::OneOf(candidates) | Rule::Requires(_, candidates) => candidates.as_slice(),
            _ => &[],
        };
        let mut added = NONE;
        let queue = index(self.queue.len());
        if !candidates.iter().any(|at| self.added[*at as usize]) {
            // One is left, or the clause would have been in conflict.
            let open = |at: &&Variable| self.values[**at as usize] >= 0;
            if let Some(&first) = candidates.iter().find(open) {
                if self.values[first as usize] == 0 {
                    self.starts.push(index(self.trail.len()));
                    self.assign(Literal::yes(first), Reason::Decision);
                }
                self.added[first as usize] = true;
                added = first;
                let Self {
                    queue, requires, ..
                } = self;
                queue.extend(&requires[first as usize]);
            }
        }
        self.steps.push(Step {
            level: index(self.starts.len()),
            queue,
            added,
        });
    }

    fn solution(&self) -> Vec<(Variable, FactId)> {
        let steps = self.steps.iter().zip(&self.queue);
        steps
            .filter(|(step, _)| step.added != NONE)
            .map(|(step, fact)| (step.added, *fact))
            .collect()
    }
}

/// Counts stay far below: what they count was in memory before as something larger.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}
