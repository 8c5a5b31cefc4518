//! The answers.

use std::sync::Arc;

use crate::model::Bundle;
use crate::refusal::Refusal;

/// The answers to a problem.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// One for each Operator, in the order in which they were given.
    pub answers: Vec<Result<Answer, Refusal>>,
    /// What is selected, one list for each group of Operators that have to do with one another and
    /// for which there is a solution; the first Operator decides the order of groups.
    pub groups: Vec<Vec<Selected>>,
}

/// What an Operator gets.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The bundle; its catalog is [`crate::INSTALLED_CATALOG`] if none offers it any more.
    pub bundle: Arc<Bundle>,
    /// Whether it is the installed bundle.
    pub stays: bool,
    /// Why it is not a better one: a sentence each for up to three, best first.
    pub held_back: Vec<String>,
}

/// A bundle of a solution.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// Whether it is installed already.
    pub stays: bool,
    /// Why it is there.
    pub because: Because,
}

/// Why a bundle is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Because {
    /// It is the choice for an Operator, by its place among those given.
    Requested(usize),
    /// Another bundle requires it.
    Dependency {
        /// Place of that bundle in the same list.
        of: usize,
        /// Place of the requirement among those of that bundle.
        requirement: usize,
    },
    /// It is installed for an Operator, by its place, for which nothing can be decided.
    Kept(usize),
}
