//! Why a text is not a version.

use crate::MAX_LENGTH;

/// Why a text is not a version. The texts are those of the Go libraries, which users know from
/// conditions and logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// Longer than [`MAX_LENGTH`].
    #[error("Version string is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// Strict: no text.
    #[error("Version string empty")]
    Empty,
    /// Strict: fewer than three parts.
    #[error("No Major.Minor.Patch elements found")]
    Elements,
    /// Strict: a part of the core is not a number.
    #[error("Invalid character(s) found in {} number {text:?}", .part.lower())]
    Character {
        /// Which number.
        part: Part,
        /// Its text.
        text: String,
    },
    /// Strict: a part of the core has leading zeros.
    #[error("{} number must not contain leading zeroes {text:?}", .part.upper())]
    Zeroes {
        /// Which number.
        part: Part,
        /// Its text.
        text: String,
    },
    /// Strict: a part is empty.
    #[error("strconv.ParseUint: parsing \"\": invalid syntax")]
    EmptyNumber,
    /// Strict: a number has more than 64 bits.
    #[error("strconv.ParseUint: parsing {0:?}: value out of range")]
    Range(String),
    /// Strict: an empty pre-release identifier.
    #[error("Prerelease is empty")]
    EmptyPrerelease,
    /// Strict: a numeric pre-release identifier with leading zeros.
    #[error("Numeric PreRelease version must not contain leading zeroes {0:?}")]
    PrereleaseZeroes(String),
    /// Strict: a pre-release identifier with other characters.
    #[error("Invalid character(s) found in prerelease {0:?}")]
    PrereleaseCharacter(String),
    /// Strict: an empty build identifier.
    #[error("Build meta data is empty")]
    EmptyBuild,
    /// Strict: a build identifier with other characters.
    #[error("Invalid character(s) found in build meta data {0:?}")]
    BuildCharacter(String),
    /// Tolerant: a version of fewer than three parts with a suffix.
    #[error("Short version cannot contain PreRelease/Build meta data")]
    Short,
    /// Lenient: not the form of a version.
    #[error("Invalid Semantic Version")]
    Form,
    /// Lenient: a numeric pre-release identifier with leading zeros.
    #[error("Version segment starts with 0")]
    LeadingZero,
    /// Lenient: a number has more than 64 bits.
    #[error("Error parsing version segment: strconv.ParseUint: parsing {0:?}: value out of range")]
    Overflow(String),
}

/// One of the three numbers of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Major,
    /// The second.
    Minor,
    /// The third.
    Patch,
}

impl Part {
    pub(crate) const fn lower(self) -> &'static str {
        match self {
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Patch => "patch",
        }
    }

    pub(crate) const fn upper(self) -> &'static str {
        match self {
            Self::Major => "Major",
            Self::Minor => "Minor",
            Self::Patch => "Patch",
        }
    }
}
