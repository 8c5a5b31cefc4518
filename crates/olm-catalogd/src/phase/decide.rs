//! Whether a pass asks the registry.

use std::time::Duration;

use jiff::Timestamp;
use olm_api::catalog::Catalog;
use olm_runtime::{DurationError, GoDuration};

/// The shortest time between two polls of one image; shorter intervals count as this one.
pub(crate) const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What a pass does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It asks the registry, and unpacks what is new.
    Ask(Why),
    /// Nothing; the next poll is due after this time, or never.
    Wait(Option<Duration>),
}

/// Why the registry is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nothing was unpacked yet, or the last attempt failed.
    NoResult,
    /// The store of this process does not hold the content that the status names.
    ContentMissing,
    /// The image is another one than the one that was unpacked.
    ReferenceChanged,
    /// Something else in the spec changed.
    SpecChanged,
    /// The poll interval has passed.
    PollDue,
}

/// What the decision rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// `spec.source.image.ref`.
    pub(crate) reference: &'a str,
    /// `metadata.generation`.
    pub(crate) generation: Option<i64>,
    /// `status.observedGeneration`.
    pub(crate) observed_generation: Option<i64>,
    /// The reference that was unpacked and when the registry was last asked for it.
    pub(crate) resolved: Option<(&'a str, Timestamp)>,
    /// Whether the store holds the content that the status names.
    pub(crate) content_present: bool,
    /// How often to ask; zero is never.
    pub(crate) interval: Duration,
}

impl<'a> Facts<'a> {
    /// The facts of a catalog whose image reference is `reference`.
    pub(crate) fn of(
        catalog: &'a Catalog,
        reference: &'a str,
        content_present: bool,
        interval: Duration,
    ) -> Self {
        let status = catalog.status.as_ref();
        let resolved = status
            .and_then(|status| status.resolved_source.as_ref())
            .and_then(|resolved| resolved.image.as_ref())
            .map(|image| (image.reference.as_str(), image.last_poll_attempt.0));
        Self {
            reference,
            generation: catalog.metadata.generation,
            observed_generation: status.and_then(|status| status.observed_generation),
            resolved,
            content_present,
            interval,
        }
    }
}

/// The poll interval of an image: what its spec says, else `default`; zero is never.
///
/// A negative one is never, too; an image by digest cannot change and is never polled.
pub(crate) fn interval(
    reference: &str,
    text: Option<&str>,
    default: Duration,
) -> Result<Duration, DurationError> {
    let wanted = match text.map(str::parse::<GoDuration>) {
        None => default,
        Some(Ok(duration)) => duration.get(),
        Some(Err(DurationError::Negative { .. })) => Duration::ZERO,
        Some(Err(error)) => return Err(error),
    };
    Ok(if is_by_digest(reference) {
        Duration::ZERO
    } else {
        wanted
    })
}

/// The interval that holds where `wanted` is asked for: zero stays never.
pub(crate) fn effective(wanted: Duration) -> Duration {
    if wanted.is_zero() {
        wanted
    } else {
        wanted.max(SHORTEST_INTERVAL)
    }
}

/// Whether a reference names its image by digest.
pub(crate) fn is_by_digest(reference: &str) -> bool {
    reference.contains('@')
}

/// Decides, the first rule that applies.
pub(crate) fn decide(facts: &Facts<'_>, now: Timestamp) -> Decision {
    let Some((reference, asked)) = facts.resolved else {
        return Decision::Ask(Why::NoResult);
    };
    if reference != facts.reference {
        return Decision::Ask(Why::ReferenceChanged);
    }
    if !facts.content_present {
        return Decision::Ask(Why::ContentMissing);
    }
    if facts.generation != facts.observed_generation {
        return Decision::Ask(Why::SpecChanged);
    }
    if facts.interval.is_zero() {
        return Decision::Wait(None);
    }
    match remaining(asked, facts.interval, now) {
        Some(left) => Decision::Wait(Some(left)),
        None => Decision::Ask(Why::PollDue),
    }
}

/// The time until the next poll; `None` when it is due.
///
/// A clock that was set back makes no wait longer than the interval.
fn remaining(asked: Timestamp, interval: Duration, now: Timestamp) -> Option<Duration> {
    let elapsed = Duration::try_from(now.duration_since(asked)).unwrap_or(Duration::ZERO);
    interval.checked_sub(elapsed).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use rstest::rstest;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);
    const BY_DIGEST: &str = "quay.io/catalog@sha256:0000";

    fn minutes_ago(minutes: i64) -> (Timestamp, Timestamp) {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        (
            Timestamp::from_second(1_700_000_000 - minutes * 60).unwrap(),
            now,
        )
    }

    fn facts(asked: Timestamp, interval: Duration) -> Facts<'static> {
        Facts {
            reference: "quay.io/catalog:latest",
            generation: Some(2),
            observed_generation: Some(2),
            resolved: Some(("quay.io/catalog:latest", asked)),
            content_present: true,
            interval,
        }
    }

    #[rstest]
    #[case::no_interval(0, Duration::ZERO, Decision::Wait(None))]
    #[case::no_interval_long_ago(100_000, Duration::ZERO, Decision::Wait(None))]
    #[case::not_due(5, 7 * MINUTE, Decision::Wait(Some(2 * MINUTE)))]
    #[case::due(5, 3 * MINUTE, Decision::Ask(Why::PollDue))]
    #[case::due_to_the_second(5, 5 * MINUTE, Decision::Ask(Why::PollDue))]
    #[case::asked_in_the_future(-5, 3 * MINUTE, Decision::Wait(Some(3 * MINUTE)))]
    fn a_catalog_that_is_up_to_date_is_asked_for_when_its_poll_is_due(
        #[case] minutes: i64,
        #[case] interval: Duration,
        #[case] expected: Decision,
    ) {
        let (asked, now) = minutes_ago(minutes);
        assert_eq!(decide(&facts(asked, interval), now), expected);
    }

    #[rstest]
    #[case::never(Duration::ZERO, Duration::ZERO)]
    #[case::too_short(Duration::from_millis(1), SHORTEST_INTERVAL)]
    #[case::shortest(SHORTEST_INTERVAL, SHORTEST_INTERVAL)]
    #[case::longer(MINUTE, MINUTE)]
    fn nobody_is_asked_more_often_than_once_a_second(
        #[case] wanted: Duration,
        #[case] holds: Duration,
    ) {
        assert_eq!(effective(wanted), holds);
    }

    #[rstest]
    #[case::first_time(Facts { resolved: None, ..facts(Timestamp::UNIX_EPOCH, MINUTE) }, Why::NoResult)]
    #[case::reference_changed(
        Facts { reference: "quay.io/catalog:v2", ..facts(minutes_ago(5).0, 7 * MINUTE) },
        Why::ReferenceChanged
    )]
    #[case::reference_changed_without_polling(
        Facts { reference: "quay.io/catalog:v2", ..facts(minutes_ago(5).0, Duration::ZERO) },
        Why::ReferenceChanged
    )]
    #[case::secret_or_tls_changed_without_polling(
        Facts { generation: Some(3), ..facts(minutes_ago(5).0, Duration::ZERO) },
        Why::SpecChanged
    )]
    #[case::cache_lost_without_polling(
        Facts { content_present: false, ..facts(minutes_ago(5).0, Duration::ZERO) },
        Why::ContentMissing
    )]
    fn a_catalog_that_is_not_up_to_date_is_asked_for_at_once(
        #[case] facts: Facts<'static>,
        #[case] why: Why,
    ) {
        assert_eq!(decide(&facts, minutes_ago(0).1), Decision::Ask(why));
    }

    #[rstest]
    #[case::default_holds("quay.io/c:v1", None, Some(24 * 60 * MINUTE))]
    #[case::own_value("quay.io/c:v1", Some("10m"), Some(10 * MINUTE))]
    #[case::composed("quay.io/c:v1", Some("1h30m"), Some(90 * MINUTE))]
    #[case::zero_is_never("quay.io/c:v1", Some("0s"), Some(Duration::ZERO))]
    #[case::bare_zero_is_never("quay.io/c:v1", Some("0"), Some(Duration::ZERO))]
    #[case::negative_is_never("quay.io/c:v1", Some("-5m"), Some(Duration::ZERO))]
    #[case::digest_is_never_polled(BY_DIGEST, None, Some(Duration::ZERO))]
    #[case::digest_with_zero(BY_DIGEST, Some("0s"), Some(Duration::ZERO))]
    #[case::other_duration_languages("quay.io/c:v1", Some("1 day"), None)]
    #[case::no_unit("quay.io/c:v1", Some("5"), None)]
    #[case::empty("quay.io/c:v1", Some(""), None)]
    fn the_interval_is_the_specs_or_the_default(
        #[case] reference: &str,
        #[case] text: Option<&str>,
        #[case] expected: Option<Duration>,
    ) {
        assert_eq!(interval(reference, text, 24 * 60 * MINUTE).ok(), expected);
    }
}
