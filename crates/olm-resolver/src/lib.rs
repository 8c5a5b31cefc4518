//! Which bundles a cluster should run, or why not what is asked for.
//!
//! The inputs are [`Catalog`]s in a compact form, what is installed and what is asked
//! ([`Request`]). There are two questions:
//!
//! * [`Problem::solve`] decides for all Operators together, with everything that they require.
//! * [`choose`] answers one request by itself with the best candidate, dependencies aside;
//!   [`check_dependencies`] then says whether what that requires is installed.
//!
//! Both answer with a [`Refusal`] whose text tells a user what to do where there is nothing to
//! choose, and both take their candidates from the same place.
//!
//! # What a candidate is
//! A bundle of the requested package that lies in the requested channel and range, is usable on this
//! cluster ([`Facts`]), and, unless the policy is [`Policy::Ignore`], is the installed bundle or can
//! be reached from it by one upgrade edge. With a channel requested, the edge must lie in it too.
//!
//! # Order of candidates
//! Not deprecated first; then catalogs by priority; then newest version, then newest release; then
//! the bundle that replaces or skips the other; then names. Where the best of two catalogs tie up to
//! the release and have different images, the request is refused: the choice would be a guess.
//!
//! # Releases
//! A rebuild of a version has a release: explicit, or in the build metadata of the version of a
//! `registry+v1` bundle where that is written like one. Otherwise build metadata never counts.
//!
//! # All Operators together
//! A selection of bundles is a *solution* if each Operator has one of its candidates; no package is
//! there twice and no API (group and kind) is provided by two packages; everything that a selected
//! bundle requires is selected and nothing that it does not allow; what is installed moves only along
//! edges; and nothing is there without a reason.
//!
//! *Which* solution: the Operators are taken in order (those with something installed first, then
//! the oldest, then by name), each gets its first candidate with which a solution is left, and then
//! what was selected asks for its requirements in the same way, breadth first. So there is exactly
//! one preferred solution, and it does not depend on the order of inputs.
//!
//! *Groups.* Operators whose closures (candidates, what those may require, and so on) share no
//! package, no API and no prohibition are solved apart: what is wrong with one never changes the
//! answer of another. An Operator that asks for what there is not is refused by itself; what runs
//! for it stays, and counts for others.
//!
//! *Search.* `joint::closure` numbers everything that takes part, `joint::facts` states the facts as
//! rules over numbers, `solver::engine` searches: conflict-driven clause learning in which only the
//! queue above decides, so that its first solution is the preferred one. What it learns remembers
//! where it comes from; where there is no solution, the facts behind the last conflict are reduced
//! until each is needed ([`Explanation`]), and put into one sentence and a list. Each step counts
//! against [`Problem::budget`]; a search that exceeds it ends in [`Refusal::Cancelled`]. What it takes
//! to find out who meets requirements is counted, too, for each package and for all: a bundle whose
//! requirements cost more than is left cannot be used ([`Ineligibility::TooDear`]).
//!
//! *Check.* No solution leaves without having passed [`check`], which knows nothing of the search.
//!
//! # Compound constraints
//! [`Constraint`] is a tree of tests that one bundle has to pass as a whole. One that only says what
//! must not be is a prohibition: no other selected bundle may fail it. Rules ([`Rule`]) are
//! expressions over the properties of a bundle, bounded in length, depth and steps.
//!
//! # Cost
//! Reading a catalog and answering a request take time in proportion to the catalog, but for the
//! logarithm of sorting.
//!
//! Everything is pure and deterministic: no clock, no I/O, and the order of catalogs does not matter.
//!
//! ```
//! use olm_fbc::{Reading, read_lines};
//! use olm_resolver::{Catalog, EdgeMode, Facts, Request, choose};
//!
//! let lines = r#"{"schema":"olm.channel","package":"p","name":"stable","entries":[{"name":"p.v1"}]}
//! {"schema":"olm.bundle","package":"p","name":"p.v1","image":"example.com/p@sha256:1","properties":[{"type":"olm.package","value":{"packageName":"p","version":"1.0.0"}}]}"#;
//! let catalog = Catalog::read("community", 0, read_lines(lines.as_bytes(), Reading::default()))?;
//! let request = Request { package: "p".into(), ..Request::default() };
//! let choice = choose(&[&catalog], &request, EdgeMode::Catalog, &Facts::default())?;
//! assert_eq!(choice.bundle.name, "p.v1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod candidates;
mod choose;
mod constraint;
mod dependencies;
mod edges;
mod eligibility;
mod index;
mod joint;
mod model;
mod rank;
mod refusal;
mod rule;
mod solver;
mod way;

pub use choose::{Choice, Policy, Request, choose};
pub use constraint::{Constraint, Test};
pub use dependencies::{InstalledBundle, check_dependencies};
pub use edges::{EdgeMode, Installed};
pub use eligibility::{Facts, Ineligibility, eligibility};
pub use joint::{
    Answer, Approval, Because, DEFAULT_BUDGET, Declared, Dependencies, Explanation, Interactions,
    Member, Problem, Resolution, Running, Selected, Ties, Unsound, check,
};
pub use model::{Api, Bundle, Catalog, ChannelEdge, INSTALLED_CATALOG, Package, Requirement};
pub use refusal::{EdgeRefusal, Refusal};
pub use rule::Rule;
