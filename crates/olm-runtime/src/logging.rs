//! Log lines on standard error.

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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
/// `filter` is a level (`info`) or a list of directives (`info,kube=warn`). A line says in which
/// pass it was written: the controller and the object, once.
pub fn init(filter: &str, format: LogFormat) -> Result<(), LoggingError> {
    subscriber(filter, format, std::io::stderr)?
        .try_init()
        .map_err(|source| LoggingError::Install { source })
}

fn subscriber<W>(filter: &str, format: LogFormat, writer: W) -> Result<Dispatch, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let directives = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| LoggingError::Filter {
            filter: filter.to_owned(),
            source,
        })?;
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        // The list of spans holds the current one too.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    };
    // The controller library opens a span of its own round every pass, which says what ours says.
    let ours = filter_fn(|metadata| {
        !(metadata.is_span() && metadata.target().starts_with("kube_runtime"))
    });
    let lines = lines.with_filter(ours);
    Ok(Dispatch::new(
        tracing_subscriber::registry().with(directives).with(lines),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A line that is written in a step of a pass.
    fn line(format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber("info", format, move || writer.clone()).unwrap();
        tracing::dispatcher::with_default(&subscriber, || {
            let library = info_span!(
                target: "kube_runtime::controller",
                "reconciling object",
                "object.ref" = "Catalog.v1alpha1/community"
            );
            let _library = library.entered();
            let _pass = info_span!("pass", controller = "catalog", object = "community").entered();
            let _phase = info_span!("phase", step = "fetch").entered();
            info!(bytes = 7, "fetched");
        });
        let lines = lines.0.lock().unwrap().clone();
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_line_names_its_object_once() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = line(format);
            assert_eq!(line.matches("community").count(), 1, "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
        assert!(
            line(LogFormat::Text).ends_with(
                "pass{controller=\"catalog\" object=\"community\"}:phase{step=\"fetch\"}: \
                 olm_runtime::logging::tests: fetched bytes=7\n"
            ),
            "{}",
            line(LogFormat::Text)
        );
        let json: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(json["message"], "fetched");
        assert_eq!(json["spans"][0]["object"], "community");
        assert_eq!(json["spans"][1]["step"], "fetch");
        assert_eq!(json.get("span"), None);
    }
}
