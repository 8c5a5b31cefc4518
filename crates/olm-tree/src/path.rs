//! Cleaned relative paths.

use std::fmt;
use std::str::FromStr;

/// A cleaned relative path inside a tree.
///
/// Components are separated by `/`; there is no leading or trailing slash, no `.`, no `..`, no
/// empty component, no NUL and no backslash. The root is the empty text. The order is that of
/// the bytes of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

impl RelPath {
    /// The root of the tree.
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Parses a path. A leading `./`, single `.` components, doubled and trailing slashes are
    /// cleaned away; `""` and `.` are the root.
    ///
    /// # Errors
    /// Absolute paths, `..` components, NUL and backslash are refused.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::root().join(text)
    }

    /// This path followed by `text`, which is itself parsed as a relative path.
    ///
    /// # Errors
    /// As [`RelPath::parse`].
    pub fn join(&self, text: &str) -> Result<Self, PathError> {
        let refuse = |reason| {
            Err(PathError {
                path: text.to_owned(),
                reason,
            })
        };
        if text.starts_with('/') {
            return refuse(Reason::Absolute);
        }
        if text.contains(['\0', '\\']) {
            return refuse(Reason::Character);
        }
        let mut joined = String::with_capacity(self.0.len() + 1 + text.len());
        joined.push_str(&self.0);
        for component in text.split('/') {
            match component {
                "" | "." => {}
                ".." => return refuse(Reason::Parent),
                name => {
                    if !joined.is_empty() {
                        joined.push('/');
                    }
                    joined.push_str(name);
                }
            }
        }
        Ok(Self(joined))
    }

    /// The directory this path lies in; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(
            self.0
                .rsplit_once('/')
                .map_or_else(String::new, |(parent, _)| parent.to_owned()),
        ))
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&str> {
        self.components().next_back()
    }

    /// The components from the root on; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The path as text; the root is `""`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this path is `ancestor` or lies under it, by whole components.
    pub fn starts_with(&self, ancestor: &Self) -> bool {
        match self.0.strip_prefix(ancestor.as_str()) {
            Some(rest) => ancestor.is_root() || rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }

    /// The part of this path below `ancestor`; `None` if it does not lie there.
    pub fn strip_prefix(&self, ancestor: &Self) -> Option<Self> {
        if !self.starts_with(ancestor) {
            return None;
        }
        let rest = self.0.get(ancestor.0.len()..)?;
        Some(Self(rest.strip_prefix('/').unwrap_or(rest).to_owned()))
    }
}

/// Writes the path as text; the root as `.`, as file tools do.
impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

impl FromStr for RelPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl AsRef<str> for RelPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A text that is not a relative path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path `{path}` {reason}")]
pub struct PathError {
    path: String,
    reason: Reason,
}

impl PathError {
    /// The refused text.
    pub fn path(&self) -> &str {
        &self.path
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Absolute,
    Parent,
    Character,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absolute => "is absolute",
            Self::Parent => "contains a `..` component",
            Self::Character => "contains a NUL or backslash",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::RelPath;

    #[test]
    fn paths_are_cleaned() {
        for (text, cleaned) in [
            ("", ""),
            (".", ""),
            ("./a//b/", "a/b"),
            ("a/./b", "a/b"),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(RelPath::parse(text).unwrap().as_str(), cleaned, "{text}");
        }
    }

    #[test]
    fn paths_that_could_leave_the_tree_are_refused() {
        for text in ["/a", "..", "a/../b", "a\\b", "a\0"] {
            assert!(RelPath::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            RelPath::parse("a/../b").unwrap_err().to_string(),
            "path `a/../b` contains a `..` component"
        );
    }

    #[test]
    fn ancestors_are_compared_by_component() {
        let path = RelPath::parse("a/bc/d").unwrap();
        assert!(path.starts_with(&RelPath::root()));
        assert!(path.starts_with(&RelPath::parse("a/bc").unwrap()));
        assert!(!path.starts_with(&RelPath::parse("a/b").unwrap()));
        assert_eq!(
            path.strip_prefix(&RelPath::parse("a").unwrap())
                .unwrap()
                .as_str(),
            "bc/d"
        );
        assert_eq!(path.parent().unwrap().as_str(), "a/bc");
        assert_eq!(path.file_name(), Some("d"));
        assert_eq!(RelPath::root().parent(), None);
        assert_eq!(RelPath::root().file_name(), None);
        assert_eq!(RelPath::root().to_string(), ".");
    }
}
