//! Log lines on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("`{filter}` is not a log level or filter")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What the parser found.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was set up before.
    #[error("cannot install the log subscriber")]
    Install {
        /// What the registry answered.
        source: tracing_subscriber::util::TryInitError,
    },
}

/// Sends log lines to standard error from now on; once per process.
///
/// `filter` is a level (`info`) or a list of directives (`info,kube=warn`).
pub fn init(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    let directives = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(directives)
        .with_writer(std::io::stderr);
    let installed = match format {
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => lines.with_ansi(false).finish().try_init(),
    };
    installed.map_err(|source| LoggingError::Install { source })
}
