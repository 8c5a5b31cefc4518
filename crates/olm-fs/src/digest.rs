//! Content digests.

use std::fmt;
use std::io;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The algorithm prefix of every digest here.
const PREFIX: &str = "sha256:";

/// A SHA-256 digest as registries write it: `sha256:` and 64 lower-case hexadecimal digits
/// (OCI image specification, `descriptor.md`, "Digests"). Other algorithms are not known.
///
/// ```
/// use olm_fs::Digest;
/// let digest = Digest::of(b"");
/// assert_eq!(
///     digest.as_str(),
///     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/// );
/// assert_eq!(digest.as_str().parse::<Digest>(), Ok(digest));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The whole text, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal digits alone.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(hex) = text.strip_prefix(PREFIX) else {
            return Err(DigestError::Algorithm);
        };
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Hex);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text does not begin with `sha256:`.
    #[error("digest must begin with `sha256:`")]
    Algorithm,
    /// What follows the prefix is something else than 64 lower-case hexadecimal digits.
    #[error("digest must have 64 lower-case hexadecimal digits after `sha256:`")]
    Hex,
}

/// Computes a [`Digest`] piece by piece; what is written to it counts as well.
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes seen.
    pub fn finish(self) -> Digest {
        Digest(format!("{PREFIX}{}", hex::encode(self.0.finalize())))
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::empty("", DigestError::Algorithm)]
    #[case::other_algorithm("sha512:00", DigestError::Algorithm)]
    #[case::too_short("sha256:00", DigestError::Hex)]
    #[case::upper_case(
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        DigestError::Hex
    )]
    #[case::path_in_it(
        "sha256:../../../../../../../../../../../../../../../../../../../../..",
        DigestError::Hex
    )]
    fn texts_that_are_no_digest_are_refused(#[case] text: &str, #[case] expected: DigestError) {
        assert_eq!(text.parse::<Digest>(), Err(expected));
    }
}
