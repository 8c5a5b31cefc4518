//! Which bundle an Operator should run, or why none.
//!
//! The inputs are [`Catalog`]s in a compact form, what is installed and what is asked
//! ([`Request`]). [`choose`] answers with the best candidate or a [`Refusal`] whose text tells a
//! user what to do; [`check_dependencies`] then says whether what the chosen bundle requires is
//! installed. The choice is made first and never replaced by an older bundle for its dependencies.
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
mod choose;
mod dependencies;
mod edges;
mod eligibility;
mod model;
mod rank;
mod refusal;
mod way;

pub use choose::{Choice, Policy, Request, choose};
pub use dependencies::{InstalledBundle, check_dependencies};
pub use edges::{EdgeMode, Installed};
pub use eligibility::{Facts, Ineligibility, eligibility};
pub use model::{Api, Bundle, Catalog, ChannelEdge, INSTALLED_CATALOG, Package, Requirement};
pub use refusal::{EdgeRefusal, Refusal};
