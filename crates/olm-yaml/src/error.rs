//! Why a stream could not be read or written.

/// Why a stream could not be read or a value not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum YamlError {
    /// The input is longer than [`crate::Limits::max_bytes`].
    #[error("input has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Length of the input in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The stream has more documents than [`crate::Limits::max_documents`].
    #[error("more than {limit} documents")]
    TooManyDocuments {
        /// The limit.
        limit: usize,
    },
    /// A line starts with `---` followed by more than a comment. The text is that of the Go
    /// readers.
    #[error("invalid Yaml document separator: {text}")]
    Separator {
        /// Line of the separator, from 1.
        line: usize,
        /// What follows the three dashes, trimmed.
        text: String,
    },
    /// A document is not YAML, breaks a limit or holds what JSON cannot.
    #[error("document {index} (line {line}) is not valid YAML")]
    Yaml {
        /// Position of the document in the stream, from 0.
        index: usize,
        /// Line of the error in the stream, from 1.
        line: usize,
        /// The cause.
        source: yaml_serde::Error,
    },
    /// An object of a JSON stream is not JSON.
    #[error("document {index} (line {line}) is not valid JSON")]
    Json {
        /// Position of the document in the stream, from 0.
        index: usize,
        /// Line of the error in the stream, from 1.
        line: usize,
        /// The cause.
        source: serde_json::Error,
    },
    /// A document nests deeper than [`crate::Limits::max_depth`].
    #[error("document {index} (line {line}) nests deeper than {limit} levels")]
    TooDeep {
        /// Position of the document in the stream, from 0.
        index: usize,
        /// Line on which the document starts, from 1.
        line: usize,
        /// The limit.
        limit: usize,
    },
    /// The document does not have the shape of the type asked for.
    #[error("document does not have the expected shape")]
    Shape {
        /// The cause.
        source: serde_json::Error,
    },
    /// The value cannot be written as YAML.
    #[error("value cannot be written as YAML")]
    Encode {
        /// The cause.
        source: serde_json::Error,
    },
}
