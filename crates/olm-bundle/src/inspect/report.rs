//! What was found.

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The bundle cannot be installed.
    Error,
    /// It can, and other tools refuse it or something is not as it may be expected.
    Warning,
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something that is wrong with a bundle. Displayed as `FILE:LINE: SEVERITY: MESSAGE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path of the file in the bundle; of a directory where it is about that.
    pub file: String,
    /// Line in the file, from 1; 1 also where there is no better one.
    pub line: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            file,
            line,
            severity,
            message,
        } = self;
        write!(f, "{file}:{line}: {severity}: {message}")
    }
}

/// A file and a line in it.
pub(crate) type Place = (String, usize);

/// Findings as they come.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn error(&mut self, place: Place, message: String) {
        self.add(Severity::Error, place, message);
    }

    pub(super) fn warning(&mut self, place: Place, message: String) {
        self.add(Severity::Warning, place, message);
    }

    fn add(&mut self, severity: Severity, (file, line): Place, message: String) {
        self.0.push(Finding {
            file,
            line,
            severity,
            message,
        });
    }

    pub(super) fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}
