//! Version values: three ways to parse, one order.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use semver::{BuildMetadata, Prerelease};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::MAX_LENGTH;
use crate::identifiers::{
    check_prerelease_identifier, compare_prerelease, has_leading_zero, is_digits, is_identifier,
};
use crate::version_error::{Part, VersionError};

/// A semantic version.
///
/// Order, equality and hash follow the precedence of Semantic Versioning 2.0.0: build metadata does
/// not count, so `1.0.0+a == 1.0.0+b`. Numeric pre-release identifiers beyond 64 bits, which only
/// [`Version::parse_lenient`] accepts, compare as text.
#[derive(Debug, Clone)]
pub struct Version(semver::Version);

impl Version {
    /// A release without pre-release and build metadata.
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    /// Parses `MAJOR.MINOR.PATCH[-pre][+build]` and nothing else: bundle versions and operands of
    /// [`crate::blang`] ranges.
    ///
    /// # Errors
    /// The first rule that the text breaks, in the words of the Go library.
    pub fn parse_strict(text: &str) -> Result<Self, VersionError> {
        check_length(text)?;
        if text.is_empty() {
            return Err(VersionError::Empty);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(VersionError::Elements);
        };
        let major = strict_number(Part::Major, major)?;
        let minor = strict_number(Part::Minor, minor)?;
        let (rest, build) = split_suffix(rest, '+');
        let (patch, pre) = split_suffix(rest, '-');
        let patch = strict_number(Part::Patch, patch)?;
        for identifier in pre.into_iter().flat_map(|pre| pre.split('.')) {
            check_prerelease_identifier(identifier)?;
        }
        for identifier in build.into_iter().flat_map(|build| build.split('.')) {
            if identifier.is_empty() {
                return Err(VersionError::EmptyBuild);
            }
            if !is_identifier(identifier) {
                return Err(VersionError::BuildCharacter(identifier.to_owned()));
            }
        }
        Self::assemble(
            major,
            minor,
            patch,
            pre.unwrap_or_default(),
            build.unwrap_or_default(),
        )
    }

    /// Parses as [`crate::masterminds`] does: one optional `v`, one to three numbers that may have
    /// leading zeros, then optional pre-release and build metadata.
    ///
    /// # Errors
    /// The text does not have that form, or a number has more than 64 bits.
    pub fn parse_lenient(text: &str) -> Result<Self, VersionError> {
        check_length(text)?;
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (bare, build) = split_suffix(bare, '+');
        let (core, pre) = split_suffix(bare, '-');
        let mut numbers = [0; 3];
        let parts: Vec<&str> = core.split('.').collect();
        if parts.len() > numbers.len() || !parts.iter().all(|part| is_digits(part)) {
            return Err(VersionError::Form);
        }
        let identifiers_valid =
            |text: Option<&str>| text.is_none_or(|text| text.split('.').all(is_identifier));
        if !identifiers_valid(pre) || !identifiers_valid(build) {
            return Err(VersionError::Form);
        }
        for (number, part) in numbers.iter_mut().zip(parts) {
            *number = part
                .parse()
                .map_err(|_| VersionError::Overflow(part.to_owned()))?;
        }
        if pre.is_some_and(|pre| pre.split('.').any(has_leading_zero)) {
            return Err(VersionError::LeadingZero);
        }
        let [major, minor, patch] = numbers;
        Self::assemble(
            major,
            minor,
            patch,
            pre.unwrap_or_default(),
            build.unwrap_or_default(),
        )
    }

    /// Parses as the legacy catalog readers do: trims blanks and one leading `v`, drops leading
    /// zeros, fills in missing parts, then parses strictly.
    ///
    /// # Errors
    /// As [`Version::parse_strict`]; a short version with pre-release or build metadata is refused.
    pub fn parse_tolerant(text: &str) -> Result<Self, VersionError> {
        check_length(text)?;
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts: Vec<String> = text.splitn(3, '.').map(without_leading_zeros).collect();
        if parts.len() < 3 {
            if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
                return Err(VersionError::Short);
            }
            parts.resize(3, "0".to_owned());
        }
        Self::parse_strict(&parts.join("."))
    }

    fn assemble(
        major: u64,
        minor: u64,
        patch: u64,
        pre: &str,
        build: &str,
    ) -> Result<Self, VersionError> {
        Ok(Self(semver::Version {
            major,
            minor,
            patch,
            pre: Prerelease::new(pre).map_err(|_| VersionError::Form)?,
            build: BuildMetadata::new(build).map_err(|_| VersionError::Form)?,
        }))
    }

    /// The first number.
    pub const fn major(&self) -> u64 {
        self.0.major
    }

    /// The second number.
    pub const fn minor(&self) -> u64 {
        self.0.minor
    }

    /// The third number.
    pub const fn patch(&self) -> u64 {
        self.0.patch
    }

    /// Whether the version is a pre-release.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    /// The pre-release identifiers without the hyphen; `""` for a release.
    pub fn prerelease(&self) -> &str {
        self.0.pre.as_str()
    }

    /// The build metadata without the plus; `""` if there is none.
    pub fn build(&self) -> &str {
        self.0.build.as_str()
    }

    /// The version without build metadata.
    #[must_use]
    pub fn without_build(&self) -> Self {
        Self(semver::Version {
            build: BuildMetadata::EMPTY,
            ..self.0.clone()
        })
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let core = |version: &Self| (version.0.major, version.0.minor, version.0.patch);
        core(self)
            .cmp(&core(other))
            .then_with(|| compare_prerelease(self.prerelease(), other.prerelease()))
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Numeric identifiers have no leading zeros, so equal precedence means equal text.
        (self.0.major, self.0.minor, self.0.patch, self.prerelease()).hash(state);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        Self::parse_strict(text)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse_strict(&text).map_err(de::Error::custom)
    }
}

fn check_length(text: &str) -> Result<(), VersionError> {
    if text.len() > MAX_LENGTH {
        Err(VersionError::TooLong)
    } else {
        Ok(())
    }
}

fn split_suffix(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

fn without_leading_zeros(part: &str) -> String {
    if part.len() < 2 {
        return part.to_owned();
    }
    let rest = part.trim_start_matches('0');
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        rest.to_owned()
    } else {
        format!("0{rest}")
    }
}

fn strict_number(part: Part, text: &str) -> Result<u64, VersionError> {
    if text.is_empty() {
        return Err(VersionError::EmptyNumber);
    }
    if !is_digits(text) {
        return Err(VersionError::Character {
            part,
            text: text.to_owned(),
        });
    }
    if has_leading_zero(text) {
        return Err(VersionError::Zeroes {
            part,
            text: text.to_owned(),
        });
    }
    text.parse()
        .map_err(|_| VersionError::Range(text.to_owned()))
}
