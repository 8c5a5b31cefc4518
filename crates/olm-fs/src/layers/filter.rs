//! Which part of an image is wanted.

use olm_tree::{PathError, RelPath};

/// Keeps the entries at or below one of some folders, by their full cleaned path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PathFilter {
    folders: Option<Vec<RelPath>>,
}

impl PathFilter {
    /// Keeps everything.
    pub const fn all() -> Self {
        Self { folders: None }
    }

    /// Keeps what is at or below one of `folders`. The root among them keeps everything; no folder
    /// at all keeps nothing.
    pub fn below(folders: impl IntoIterator<Item = RelPath>) -> Self {
        let folders: Vec<_> = folders.into_iter().collect();
        if folders.iter().any(|folder| folder.as_str().is_empty()) {
            return Self::all();
        }
        Self {
            folders: Some(folders),
        }
    }

    /// Keeps the folder that an image label names: leading slashes are ignored, an empty text and
    /// `/` keep everything.
    ///
    /// # Errors
    /// A path that could lead out of the image, such as `..`.
    pub fn from_label(label: &str) -> Result<Self, PathError> {
        Ok(Self::below([RelPath::parse(
            label.trim_start_matches('/'),
        )?]))
    }

    /// Whether an entry at `path` is kept.
    pub(super) fn keeps(&self, path: &RelPath) -> bool {
        match &self.folders {
            None => true,
            Some(folders) => folders.iter().any(|folder| path.starts_with(folder)),
        }
    }

    /// Whether a kept folder lies strictly below `path`, so that something else than a directory
    /// there hides it.
    pub(super) fn covers(&self, path: &RelPath) -> bool {
        self.folders
            .iter()
            .flatten()
            .any(|folder| folder != path && folder.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "tests"
    )]
    use super::*;

    #[rstest::rstest]
    #[case("/configs", "configs", true)]
    #[case("/configs/", "configs/a/b.yaml", true)]
    #[case("configs", "configs2/a", false)]
    #[case("/a/b/configs", "configs/x", false)]
    #[case("/a/b/configs", "a/b", false)]
    #[case("/a/b/configs", "a/b/configs/x", true)]
    #[case("/", "anything", true)]
    #[case("", "anything", true)]
    fn a_label_selects_by_the_full_path(
        #[case] label: &str,
        #[case] path: &str,
        #[case] kept: bool,
    ) {
        let filter = PathFilter::from_label(label).unwrap();
        assert_eq!(filter.keeps(&RelPath::parse(path).unwrap()), kept);
    }

    #[test]
    fn a_label_that_leads_out_is_refused() {
        assert!(PathFilter::from_label("../configs").is_err());
    }
}
