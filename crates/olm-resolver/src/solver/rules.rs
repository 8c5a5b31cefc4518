//! A problem in numbers.

/// Number of a fact: its place among the rules.
pub(crate) type FactId = u32;

/// Number of something that may be selected.
pub(crate) type Variable = u32;

/// What one fact demands of the selection. Lists of candidates are in order of preference.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// One of these has to be selected. These facts, in their order, start the queue.
    OneOf(Vec<Variable>),
    /// Where the first is selected, one of the others has to be.
    Requires(Variable, Vec<Variable>),
    /// No two of these.
    AtMostOne(Vec<Variable>),
    /// Where the first is selected, none of the others may be.
    Excludes(Variable, Vec<Variable>),
    /// None of these.
    None(Vec<Variable>),
}
