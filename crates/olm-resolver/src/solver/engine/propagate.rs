//! What follows from an assignment: clauses with one literal left, and groups with a member that is
//! true.

use super::{Clause, Conflict, Engine, Literal, Reason, Source, Variable, Watch, index};

impl Engine<'_> {
    /// Adds a clause, which is watched by its first two literals.
    pub(super) fn clause(
        &mut self,
        literals: impl IntoIterator<Item = Literal>,
        source: Source,
    ) -> u32 {
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
    pub(super) fn value(&self, literal: Literal) -> i8 {
        let value = self.values[literal.variable()];
        if literal.is_positive() { value } else { -value }
    }

    pub(super) fn assign(&mut self, literal: Literal, reason: Reason) {
        let at = literal.variable();
        self.values[at] = if literal.is_positive() { 1 } else { -1 };
        self.levels[at] = index(self.starts.len());
        self.reasons[at] = reason;
        self.trail.push(literal);
    }

    /// Draws the consequences of what was assigned.
    pub(super) fn propagate(&mut self, budget: &mut u64) -> Option<Conflict> {
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
}

/// What a look at a clause found.
enum Look {
    /// It watches another literal now.
    Moved,
    Holds,
    Unit(Literal),
    Conflict,
}
