//! What a Catalog asks for, read from its spec.

use std::time::Duration;

use olm_api::catalog::{Catalog, ImageSource};
use olm_registry::Reference;
use olm_runtime::Chain;
use olm_source::SourceError;

use crate::error::Unserved;
use crate::messages;
use crate::phase::decide;

/// The image that a Catalog asks for.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// As the spec says it.
    pub(crate) image: &'a ImageSource,
    /// Its reference.
    pub(crate) reference: Reference,
    /// How often the registry is asked; zero is never.
    pub(crate) interval: Duration,
    /// What the status is to say about the spec although it is followed.
    pub(crate) noted: Option<String>,
}

/// Reads the spec of the Catalog `name`; `default` is the poll interval of those that name none.
///
/// # Errors
/// Terminal ones, each for the field that has to be changed.
pub(crate) fn read<'a>(
    name: &str,
    catalog: &'a Catalog,
    default: Duration,
) -> Result<Request<'a>, Unserved> {
    let source = &catalog.spec.source;
    if source.kind != "image" {
        return Err(Unserved::terminal(&messages::unsupported_type(
            &source.kind,
        )));
    }
    let Some(image) = &source.image else {
        return Err(Unserved::terminal(&messages::nil_image_source(name)));
    };
    let reference = Reference::parse(&image.reference)
        .map_err(|error| Unserved::source(&SourceError::Reference(error), true))?;
    let asked = image.poll_interval.as_deref();
    let wanted = decide::interval(&image.reference, asked, default).map_err(|error| {
        Unserved::terminal(&messages::bad_poll_interval(&Chain(&error).to_string()))
    })?;
    let interval = decide::effective(wanted);
    let noted = asked
        .filter(|_| interval != wanted)
        .map(|asked| messages::short_interval(asked, interval));
    Ok(Request {
        image,
        reference,
        interval,
        noted,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::unknown_type(
        json!({"type": "invalid", "image": {"ref": "quay.io/c:v1"}}),
        "source bundle content: source type \"invalid\" not supported"
    )]
    #[case::no_image(
        json!({"type": "image"}),
        "source bundle content: error parsing catalog, catalog cat has a nil image source"
    )]
    #[case::bad_reference(
        json!({"type": "image", "image": {"ref": "quay.io/UPPER:v1"}}),
        "source bundle content: error parsing image reference: "
    )]
    #[case::bad_interval(
        json!({"type": "image", "image": {"ref": "quay.io/c:v1", "pollInterval": "1 day"}}),
        "source bundle content: error parsing poll interval: `1 day` is not a duration"
    )]
    fn what_cannot_work_is_terminal_and_says_what_to_change(
        #[case] source: serde_json::Value,
        #[case] message: &str,
    ) {
        let catalog = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "cat"}, "spec": {"source": source},
        });
        let catalog: Catalog = serde_json::from_value(catalog).unwrap();
        let failure = read("cat", &catalog, Duration::ZERO).unwrap_err();
        assert!(failure.message.starts_with(message), "{}", failure.message);
        assert!(failure.is_terminal());
        assert_eq!(failure.reason, "UnpackFailed");
    }

    #[rstest]
    #[case("1ms", 1, Some("pollInterval 1ms is too short, 1s is used instead"))]
    #[case("1s", 1, None)]
    #[case("0s", 0, None)]
    #[case("-1ms", 0, None)]
    fn an_interval_that_is_too_short_is_lengthened_and_noted(
        #[case] asked: &str,
        #[case] seconds: u64,
        #[case] noted: Option<&str>,
    ) {
        let catalog = json!({
            "apiVersion": "catalogd.operatorframework.io/v1alpha1", "kind": "Catalog",
            "metadata": {"name": "cat"}, "spec": {"source": {"type": "image", "image": {
                "ref": "quay.io/c:v1", "pollInterval": asked,
            }}},
        });
        let catalog: Catalog = serde_json::from_value(catalog).unwrap();
        let request = read("cat", &catalog, Duration::ZERO).unwrap();
        assert_eq!(request.interval, Duration::from_secs(seconds));
        assert_eq!(request.noted.as_deref(), noted);
    }
}
