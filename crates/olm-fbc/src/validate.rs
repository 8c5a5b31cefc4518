//! Everything that is wrong with a catalog.

use std::collections::BTreeSet;
use std::fmt;

use crate::convert::{Conversion, ConversionError};
use crate::load::{LoadError, Loaded};
use crate::model::{Invalid, Level, Model};

/// Everything that was found, in the order in which the reference looks for it. It shows the first
/// only: of the documents, then of the conversion, then all of the model.
#[derive(Debug, Default)]
pub struct Findings {
    /// Documents that cannot be read.
    pub documents: Vec<LoadError>,
    /// Documents that make no sense together.
    pub conversion: Vec<ConversionError>,
    /// What the checks of the model found.
    pub model: Option<Invalid>,
}

impl Findings {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.conversion.is_empty() && self.model.is_none()
    }
}

impl Findings {
    /// The findings one by one; the model's are one tree.
    pub fn texts(&self) -> Vec<String> {
        let documents = self.documents.iter().map(chain);
        let conversion = self.conversion.iter().map(ToString::to_string);
        let model = self.model.iter().map(ToString::to_string);
        documents.chain(conversion).chain(model).collect()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join("\n"))
    }
}

/// The whole chain of an error. Causes that its text says already are not repeated.
fn chain(error: &LoadError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        // A broken file and its document say where; the place has been said.
        if !matches!(
            error.downcast_ref::<crate::Broken>(),
            Some(crate::Broken { .. })
        ) && !matches!(
            error.downcast_ref::<crate::FileError>(),
            Some(crate::FileError::Document { .. })
        ) {
            text.push_str(": ");
            text.push_str(next.trim_end());
        }
        cause = error.source();
    }
    text
}

impl Loaded {
    /// Builds and checks the model. Packages of which documents could not be read are not checked:
    /// what is missing of them would only be found again.
    pub fn validate(self, level: Level) -> (Model, Findings) {
        let Self {
            config,
            findings: documents,
            incomplete,
            ..
        } = self;
        let Conversion { model, errors } = Conversion::of(config, level);
        let complete = |package: &str| !incomplete.contains(package);
        let conversion: Vec<ConversionError> = errors
            .into_iter()
            .filter(|error| error.package().is_none_or(complete))
            .collect();
        let wrong: BTreeSet<&str> = conversion
            .iter()
            .filter_map(ConversionError::package)
            .collect();
        let checked = model.check_some(level, |package| {
            complete(package) && !wrong.contains(package)
        });
        let findings = Findings {
            documents,
            model: checked.err(),
            conversion,
        };
        (model, findings)
    }
}
