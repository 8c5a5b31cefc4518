//! Versions as Operator packages write them, and the two languages of version ranges.
//!
//! Everything here was first read by Go libraries, and published catalogs and users' manifests rely
//! on what those accept and mean:
//!
//! * [`Version`] with three ways to parse: strict (bundle versions), lenient (operands of
//!   Masterminds constraints) and tolerant (leading `v`, missing parts, leading zeros);
//! * [`masterminds`]: the ranges users write in an Operator's `spec.version` (`>=1.2, <2 || 3.x`);
//! * [`blang`]: the ranges catalogs write in `skipRange` and `versionRange` (`>=1.0.0 <2.0.0`).
//!
//! The two languages differ in nearly everything (partial versions, `~`, `^`, wildcards,
//! pre-releases), so they are two types that cannot be confused.
//!
//! Guarantees: order, equality and hash of versions follow precedence alone, build metadata never
//! counts; parsers take linear or, for hyphen ranges, quadratic time in at most
//! [`MAX_LENGTH`] bytes and never panic.
//!
//! ```
//! use olm_semver::{Version, blang, masterminds, masterminds::PrereleaseMode};
//!
//! let version = Version::parse_strict("1.4.2")?;
//! let constraint = masterminds::Constraint::parse("^1.2")?;
//! assert!(constraint.matches(&version, PrereleaseMode::default()));
//! let range = blang::Range::parse(">=1.0.0 <1.4.0")?;
//! assert!(!range.contains(&version));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod blang;
mod identifiers;
pub mod masterminds;
mod version;
mod version_error;

pub use identifiers::{check_prerelease_identifier, compare_releases};
pub use version::Version;
pub use version_error::{Part, VersionError};

/// Longest version or range that is parsed, in bytes. Catalogs hold ranges of at most a few dozen
/// bytes; the limit keeps hostile input cheap.
pub const MAX_LENGTH: usize = 4096;
