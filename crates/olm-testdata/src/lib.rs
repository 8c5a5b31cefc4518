//! Where the tests find real data: catalogs, bundles, and what reference implementations make of
//! them.
//!
//! The data is no part of this repository. It is looked for in the folder that the environment
//! variable `OLM_TEST_DATA` names, and otherwise in `../shared/data` beside the workspace. Without
//! that folder a test falls back to small fixtures of its own, or passes without having looked.
//! Whoever sets the variable wants the data to be used: then, and wherever the folder exists, what
//! is asked for and missing is an error, not a test that silently does nothing.
//!
//! Only tests and test programs depend on this crate.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variable that names the data folder; an empty value counts as not set.
pub const VARIABLE: &str = "OLM_TEST_DATA";

/// Data that should be there and is not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MissingData {
    /// The variable is set, and what was asked for is not in the folder it names.
    #[error("`OLM_TEST_DATA` is set, but `{}` does not exist", path.display())]
    Named {
        /// What was looked for.
        path: PathBuf,
    },
    /// The folder beside the workspace exists, and what was asked for is not in it.
    #[error("the data folder is incomplete: `{}` does not exist", path.display())]
    Incomplete {
        /// What was looked for.
        path: PathBuf,
    },
}

/// The path of `part` of the data (`""` for the whole folder), `None` where there is no data.
///
/// # Errors
/// When the data should be there and `part` is missing.
pub fn find(part: &str) -> Result<Option<PathBuf>, MissingData> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the home of this variable: tests take no arguments"
    )]
    let named = std::env::var_os(VARIABLE);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    locate(named, beside, part)
}

fn locate(
    named: Option<OsString>,
    beside: PathBuf,
    part: &str,
) -> Result<Option<PathBuf>, MissingData> {
    let named = named.filter(|value| !value.is_empty()).map(PathBuf::from);
    let is_named = named.is_some();
    let folder = named.unwrap_or(beside);
    let path = if part.is_empty() {
        folder.clone()
    } else {
        folder.join(part)
    };
    match (path.exists(), is_named) {
        (true, _) => Ok(Some(path)),
        (false, true) => Err(MissingData::Named { path }),
        (false, false) if folder.exists() => Err(MissingData::Incomplete { path }),
        (false, false) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::named_and_there(Some("full"), "none", "part", Ok(Some("full/part")))]
    #[case::the_whole_folder(Some("full"), "none", "", Ok(Some("full")))]
    #[case::the_named_one_goes_first(Some("full"), "empty", "part", Ok(Some("full/part")))]
    #[case::a_wrong_folder(Some("none"), "full", "part", Err("`OLM_TEST_DATA` is set"))]
    #[case::named_and_incomplete(Some("empty"), "full", "part", Err("`OLM_TEST_DATA` is set"))]
    #[case::beside_and_there(None, "full", "part", Ok(Some("full/part")))]
    #[case::beside_and_incomplete(None, "empty", "part", Err("the data folder is incomplete"))]
    #[case::no_data_at_all(None, "none", "part", Ok(None))]
    fn data_that_is_asked_for_is_found_or_missed_aloud(
        #[case] named: Option<&str>,
        #[case] beside: &str,
        #[case] part: &str,
        #[case] expected: Result<Option<&str>, &str>,
    ) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("full/part")).unwrap();
        std::fs::create_dir(root.path().join("empty")).unwrap();
        let named = named.map(|name| root.path().join(name).into_os_string());
        let found = locate(named, root.path().join(beside), part);
        match expected {
            Ok(expected) => assert_eq!(found.unwrap(), expected.map(|path| root.path().join(path))),
            Err(text) => assert!(found.unwrap_err().to_string().starts_with(text)),
        }
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let root = tempfile::tempdir().unwrap();
        let found = locate(Some(OsString::new()), root.path().to_owned(), "").unwrap();
        assert_eq!(found.as_deref(), Some(root.path()));
    }
}
