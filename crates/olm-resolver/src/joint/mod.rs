//! All Operators together: what takes part, the solution, its check, and words for where there is
//! none.

mod addresses;
mod asked;
mod check;
mod closure;
mod effort;
mod explanation;
mod facts;
mod groups;
mod installed;
mod interactions;
mod needs;
mod problem;
mod resolution;
mod solve;
mod summary;
mod words;

pub use check::{Unsound, check};
pub use explanation::Explanation;
pub(crate) use installed::unlisted;
pub use interactions::Interactions;
pub use problem::{
    Approval, DEFAULT_BUDGET, Declared, Dependencies, Member, Problem, Running, Ties,
};
pub use resolution::{Answer, Because, Resolution, Selected};
