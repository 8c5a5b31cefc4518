//! What a conflict teaches, and where it comes from.

use super::{Clause, Conflict, Engine, FactId, Literal, NONE, Reason, Source, index};

impl Engine<'_> {
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
    pub(super) fn learn(&mut self, conflict: Conflict) {
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
    pub(super) fn facts_of(&self, conflict: Conflict) -> Vec<FactId> {
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
