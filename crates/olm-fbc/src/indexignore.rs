//! `.indexignore` files: which files of a tree are no content.
//!
//! The patterns are those of `.gitignore`, but as the reference reads them: the last pattern that
//! matches a file or one of its parents decides, also below a directory that is ignored itself.

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use olm_tree::RelPath;

/// Name of the files that hold patterns.
pub(crate) const FILE_NAME: &str = ".indexignore";
/// Largest file of patterns in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Most patterns in one tree; every file is matched against all of them.
const MAX_PATTERNS: usize = 2_000;

/// All patterns of a tree in the order in which its `.indexignore` files are walked.
#[derive(Debug, Default)]
pub(crate) struct IndexIgnore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    directory: RelPath,
    matcher: Gitignore,
}

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// The pattern is not a glob.
    #[error("pattern `{pattern}` is invalid")]
    Invalid {
        /// The pattern.
        pattern: String,
        /// The cause.
        source: ignore::Error,
    },
    /// The tree has too many patterns.
    #[error("more than {MAX_PATTERNS} patterns")]
    TooMany,
}

impl IndexIgnore {
    /// Adds the patterns of the file that lies in `directory`.
    pub(crate) fn add(&mut self, directory: &RelPath, text: &str) -> Result<(), PatternError> {
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if self.patterns.len() == MAX_PATTERNS {
                return Err(PatternError::TooMany);
            }
            let invalid = |source| PatternError::Invalid {
                pattern: line.to_owned(),
                source,
            };
            let mut builder = GitignoreBuilder::new("");
            builder.add_line(None, line).map_err(invalid)?;
            let matcher = builder.build().map_err(invalid)?;
            self.patterns.push(Pattern {
                directory: directory.clone(),
                matcher,
            });
        }
        Ok(())
    }

    /// Whether a file is no content.
    pub(crate) fn ignores(&self, file: &RelPath) -> bool {
        let deciding = self.patterns.iter().rev().find_map(|pattern| {
            let path = file.strip_prefix(&pattern.directory)?;
            let found = pattern
                .matcher
                .matched_path_or_any_parents(path.as_str(), false);
            (!found.is_none()).then(|| found.is_ignore())
        });
        deciding.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rstest::rstest;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text).unwrap()
    }

    // The vector of the reference.
    #[rstest]
    #[case("a", true)]
    #[case("ignore/x", true)]
    #[case("dir1/b", true)]
    #[case("dir1/ignore/b", true)]
    #[case("dir1/ignore/c", true)]
    #[case("really/file1", true)]
    #[case("really/long/path/to/the/file1", true)]
    #[case("b", false)]
    #[case("c", false)]
    #[case("dir1/a", false)]
    #[case("dir1/c", false)]
    #[case("dir1/ignore/a", false)]
    #[case("really/long/file2", false)]
    fn the_last_matching_pattern_decides(#[case] file: &str, #[case] ignored: bool) {
        let mut patterns = IndexIgnore::default();
        patterns
            .add(&path(""), "# comment\n  a  \n/ignore\n\n/really/**/file1\n")
            .unwrap();
        patterns.add(&path("dir1"), "b\n/ignore\n!a\n").unwrap();
        assert_eq!(patterns.ignores(&path(file)), ignored);
    }

    #[rstest]
    #[case("*.md", "x/README.md", true)]
    #[case("docs/", "docs/a", true)]
    #[case("docs/", "docs", false)]
    #[case("!a/keep\na", "a/keep", true)]
    #[case("a\n!a/keep", "a/keep", false)]
    #[case("x/*.yaml", "x/y/a.yaml", false)]
    fn patterns_are_those_of_git(#[case] text: &str, #[case] file: &str, #[case] ignored: bool) {
        let mut patterns = IndexIgnore::default();
        patterns.add(&path(""), text).unwrap();
        assert_eq!(patterns.ignores(&path(file)), ignored);
    }
}
