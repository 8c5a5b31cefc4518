//! The search: conflict-driven clause learning in which only the queue of what is asked and required
//! decides, so that the first answer is the preferred one.
//!
//! Decisions are taken front to back from the queue; each takes the first candidate that is not
//! ruled out. Whatever is ruled out is so in every solution that keeps the decisions before, and a
//! learned clause holds in every solution at all; so the candidate taken is the first for which a
//! solution exists, as soon as the search ends.

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

    fn clause(&mut self, literals: impl IntoIterator<Item = Literal>, source: Source) -> u32 {
        let clause = index(self.clauses.len());
        let start = self.literals.len();
        self.literals.extend(literals);
        let length = self.literals.len() - start;
        self.clauses.push(Clause {
            start: index(start),
            length: index(length),
            source,
        });
        match self.literals[start..] {
            [] => self.broken = self.broken.or(Some(Conflict::Clause(clause))),
            [only] if self.starts.is_empty() => match self.value(only) {
                0 => self.assign(only, Reason::Clause(clause)),
                1 => {}
                _ => self.broken = self.broken.or(Some(Conflict::Clause(clause))),
            },
            [_] => {}
            [first, second, ..] => {
                self.watch(first, clause, second);
                self.watch(second, clause, first);
            }
        }
        clause
    }

    fn watch(&mut self, literal: Literal, clause: u32, blocker: Literal) {
        self.watches[literal.index()].push(Watch { clause, blocker });
    }

    /// 1 for true, -1 for false, 0 for neither.
    fn value(&self, literal: Literal) -> i8 {
        let value = self.values[literal.variable()];
        if literal.is_positive() { value } else { -value }
    }

    fn assign(&mut self, literal: Literal, reason: Reason) {
        let at = literal.variable();
        self.values[at] = if literal.is_positive() { 1 } else { -1 };
        self.levels[at] = index(self.starts.len());
        self.reasons[at] = reason;
        self.trail.push(literal);
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

    fn propagate(&mut self, budget: &mut u64) -> Option<Conflict> {
        while let Some(&literal) = self.trail.get(self.head) {
            self.head += 1;
            *budget = budget.saturating_sub(1);
            if literal.is_positive()
                && let Some(conflict) = self.exclude(literal.0 >> 1, budget)
            {
                return Some(conflict);
            }
            if let Some(conflict) = self.visit(literal.negated(), budget) {
                return Some(conflict);
            }
            if *budget == 0 {
                return None;
            }
        }
        None
    }

    /// Makes the other members of the groups of a variable false.
    fn exclude(&mut self, variable: Variable, budget: &mut u64) -> Option<Conflict> {
        for at in 0..self.member_of[variable as usize].len() {
            let group = self.member_of[variable as usize][at];
            let length = self.groups[group as usize].members.len();
            *budget = budget.saturating_sub(length as u64);
            for at in 0..length {
                let member = self.groups[group as usize].members[at];
                match self.values[member as usize] {
                    0 => self.assign(Literal::no(member), Reason::Group(group, variable)),
                    1 if member != variable => {
                        return Some(Conflict::Group(group, variable, member));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Looks at the clauses that watch a literal which has become false.
    fn visit(&mut self, literal: Literal, budget: &mut u64) -> Option<Conflict> {
        let mut watches = std::mem::take(&mut self.watches[literal.index()]);
        *budget = budget.saturating_sub(watches.len() as u64);
        let mut conflict = None;
        let mut kept = 0;
        let mut at = 0;
        while at < watches.len() {
            let watch = watches[at];
            at += 1;
            if self.value(watch.blocker) != 1 {
                match self.look(watch.clause, literal) {
                    Look::Moved => continue,
                    Look::Holds => {}
                    Look::Unit(other) => self.assign(other, Reason::Clause(watch.clause)),
                    Look::Conflict => conflict = Some(Conflict::Clause(watch.clause)),
                }
            }
            watches[kept] = watch;
            kept += 1;
            if conflict.is_some() {
                while at < watches.len() {
                    watches[kept] = watches[at];
                    kept += 1;
                    at += 1;
                }
            }
        }
        watches.truncate(kept);
        self.watches[literal.index()] = watches;
        conflict
    }

    fn look(&mut self, clause: u32, literal: Literal) -> Look {
        let &Clause { start, length, .. } = &self.clauses[clause as usize];
        let (start, end) = (start as usize, (start + length) as usize);
        if self.literals[start] == literal {
            self.literals.swap(start, start + 1);
        }
        let first = self.literals[start];
        if self.value(first) == 1 {
            return Look::Holds;
        }
        for at in start + 2..end {
            let other = self.literals[at];
            if self.value(other) != -1 {
                self.literals.swap(start + 1, at);
                self.watch(other, clause, first);
                return Look::Moved;
            }
        }
        if self.value(first) == 0 {
            Look::Unit(first)
        } else {
            Look::Conflict
        }
    }

    /// The literals of a conflict, all of them false.
    fn literals_of(&self, conflict: Conflict) -> (Vec<Literal>, Source) {
        match conflict {
            Conflict::Clause(clause) => {
                let &Clause {
                    start,
                    length,
                    source,
                } = &self.clauses[clause as usize];
                let literals = &self.literals[start as usize..(start + length) as usize];
                (literals.to_vec(), source)
            }
            Conflict::Group(group, one, other) => (
                vec![Literal::no(one), Literal::no(other)],
                Source::Fact(self.groups[group as usize].fact),
            ),
        }
    }

    /// What made a variable what it is: the literals, and where that comes from.
    fn reason_of(&self, variable: usize) -> (Vec<Literal>, Option<Source>) {
        match self.reasons[variable] {
            Reason::Decision => (Vec::new(), None),
            Reason::Clause(clause) => {
                let (mut literals, source) = self.literals_of(Conflict::Clause(clause));
                literals.retain(|literal| literal.variable() != variable);
                (literals, Some(source))
            }
            Reason::Group(group, by) => (
                vec![Literal::no(by)],
                Some(Source::Fact(self.groups[group as usize].fact)),
            ),
        }
    }

    /// Learns the clause that a conflict teaches, and goes back to where it decides something.
    fn learn(&mut self, conflict: Conflict) {
        let level = index(self.starts.len());
        let (mut literals, source) = self.literals_of(conflict);
        let mut sources = vec![source];
        let mut learned = Vec::new();
        let mut marked = Vec::new();
        let mut open = 0_usize;
        let mut at = self.trail.len();
        let asserted = loop {
            for literal in literals.drain(..) {
                let variable = literal.variable();
                if std::mem::replace(&mut self.seen[variable], true) {
                    continue;
                }
                marked.push(variable);
                match self.levels[variable] {
                    0 => sources.push(Source::Fixed(index(variable))),
                    here if here == level => open += 1,
                    _ => learned.push(literal),
                }
            }
            // The last assignment that plays a part.
            let literal = loop {
                at -= 1;
                let literal = self.trail[at];
                let variable = literal.variable();
                if self.seen[variable] && self.levels[variable] == level {
                    break literal;
                }
            };
            open -= 1;
            if open == 0 {
                break literal.negated();
            }
            let (more, source) = self.reason_of(literal.variable());
            literals = more;
            sources.extend(source);
        };
        for variable in marked {
            self.seen[variable] = false;
        }
        sources.sort_unstable();
        sources.dedup();
        // The literal that falls last is watched with the one that is asserted.
        let back = learned
            .iter()
            .enumerate()
            .map(|(at, literal)| (self.levels[literal.variable()], at))
            .max_by_key(|(level, at)| (*level, std::cmp::Reverse(*at)));
        if let Some((_, at)) = back {
            learned.swap(0, at);
        }
        self.back(back.map_or(0, |(level, _)| level));
        let source = Source::Learned(index(self.learned.len()));
        self.learned.push(sources);
        let alone = learned.is_empty();
        let clause = self.clause(std::iter::once(asserted).chain(learned), source);
        if !alone {
            self.assign(asserted, Reason::Clause(clause));
        }
    }

    fn back(&mut self, level: u32) {
        let Some(&start) = self.starts.get(level as usize) else {
            return;
        };
        for literal in self.trail.drain(start as usize..) {
            self.values[literal.variable()] = 0;
        }
        self.head = start as usize;
        self.starts.truncate(level as usize);
        while let Some(step) = self.steps.last().filter(|step| step.level > level) {
            if step.added != NONE {
                self.added[step.added as usize] = false;
            }
            self.queue.truncate(step.queue as usize);
            self.steps.pop();
        }
    }

    /// The facts behind a conflict that no decision took part in.
    fn facts_of(&self, conflict: Conflict) -> Vec<FactId> {
        let (literals, source) = self.literals_of(conflict);
        let mut pending = vec![source];
        let mut fixed = vec![false; self.values.len()];
        let mut learned = vec![false; self.learned.len()];
        let mut facts = Vec::new();
        let fixed_of = |literals: Vec<Literal>| {
            literals
                .into_iter()
                .map(|literal| Source::Fixed(index(literal.variable())))
        };
        pending.extend(fixed_of(literals));
        while let Some(source) = pending.pop() {
            match source {
                Source::Fact(fact) => facts.push(fact),
                Source::Learned(at) => {
                    if !std::mem::replace(&mut learned[at as usize], true) {
                        pending.extend(&self.learned[at as usize]);
                    }
                }
                Source::Fixed(at) => {
                    if !std::mem::replace(&mut fixed[at as usize], true) {
                        let (literals, source) = self.reason_of(at as usize);
                        pending.extend(source);
                        pending.extend(fixed_of(literals));
                    }
                }
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }
}

/// What a look at a clause found.
enum Look {
    /// It watches another literal now.
    Moved,
    Holds,
    Unit(Literal),
    Conflict,
}

/// Counts stay far below: what they count was in memory before as something larger.
fn index(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(NONE)
}
