//! Conditions of a status: set, read, keep.
//!
//! Works on the Kubernetes API's own `Condition`. All times are passed in.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::truncate::truncate;

/// Longest message, in bytes (the API allows as many characters).
pub const MAX_MESSAGE: usize = 32_768;

/// What a message that was cut ends with.
pub const TRUNCATED: &str = "\n\n... [message truncated]";

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `True`.
    True,
    /// `False`.
    False,
    /// `Unknown`.
    Unknown,
}

impl Status {
    /// The text in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Status {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Sets the condition `type_`; returns whether anything changed.
///
/// `lastTransitionTime` moves to `now` only when the condition is new or its status changes. Longer
/// messages than [`MAX_MESSAGE`] are cut. The list is left in the order of the types; conditions of
/// other types are not touched.
pub fn set(
    conditions: &mut Vec<Condition>,
    type_: &str,
    status: impl Into<Status>,
    reason: &str,
    message: &str,
    observed_generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let status = status.into().as_str();
    let previous = conditions
        .iter()
        .position(|condition| condition.type_ == type_);
    let since = previous
        .map(|index| &conditions[index])
        .filter(|condition| condition.status == status)
        .map_or_else(
            || whole_seconds(now),
            |condition| condition.last_transition_time.0,
        );
    let wanted = Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: truncate(message, MAX_MESSAGE, TRUNCATED),
        observed_generation,
        last_transition_time: Time(since),
    };
    let changed = match previous {
        Some(index) if conditions[index] == wanted => false,
        Some(index) => {
            conditions[index] = wanted;
            true
        }
        None => {
            conditions.push(wanted);
            true
        }
    };
    if !conditions.is_sorted_by(|a, b| a.type_ <= b.type_) {
        conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        return true;
    }
    changed
}

/// Removes the condition `type_`; returns whether it was there.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) -> bool {
    let before = conditions.len();
    conditions.retain(|condition| condition.type_ != type_);
    conditions.len() != before
}

/// The condition `type_`.
pub fn get<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether the condition `type_` is there and `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    get(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// Whether the condition `type_` is `True` and about `generation`.
pub fn is_true_at(conditions: &[Condition], type_: &str, generation: Option<i64>) -> bool {
    get(conditions, type_).is_some_and(|condition| {
        condition.status == "True" && condition.observed_generation == generation
    })
}

/// The conditions whose types are in `types`: what a controller starts from, so that it neither
/// repeats nor removes the conditions of others.
pub fn owned(conditions: &[Condition], types: &[&str]) -> Vec<Condition> {
    let mut owned: Vec<_> = conditions
        .iter()
        .filter(|condition| types.contains(&condition.type_.as_str()))
        .cloned()
        .collect();
    owned.sort_by(|a, b| a.type_.cmp(&b.type_));
    owned
}

/// The API keeps whole seconds; a finer time would differ from what is read back.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn types(conditions: &[Condition]) -> Vec<&str> {
        conditions
            .iter()
            .map(|condition| condition.type_.as_str())
            .collect()
    }

    #[test]
    fn keeps_transition_time_when_status_is_unchanged() {
        let mut list = Vec::new();
        assert!(set(
            &mut list,
            "Ready",
            true,
            "Success",
            "one",
            Some(1),
            at(10)
        ));
        assert!(set(
            &mut list,
            "Ready",
            true,
            "Other",
            "two",
            Some(2),
            at(20)
        ));
        assert_eq!(list[0].last_transition_time.0, at(10));
        assert_eq!(list[0].observed_generation, Some(2));
        assert!(set(
            &mut list,
            "Ready",
            false,
            "Other",
            "two",
            Some(2),
            at(30)
        ));
        assert_eq!(list[0].last_transition_time.0, at(30));
    }

    #[test]
    fn reports_no_change_when_nothing_changes() {
        let mut list = Vec::new();
        set(
            &mut list,
            "Ready",
            Status::Unknown,
            "Waiting",
            "",
            None,
            at(10),
        );
        assert!(!set(
            &mut list,
            "Ready",
            Status::Unknown,
            "Waiting",
            "",
            None,
            at(99)
        ));
    }

    #[test]
    fn orders_by_type_and_leaves_others_alone() {
        let mut list = Vec::new();
        for type_ in ["Unpacked", "Foreign", "Ready"] {
            set(&mut list, type_, true, "Success", "", None, at(1));
        }
        assert_eq!(types(&list), ["Foreign", "Ready", "Unpacked"]);
        let foreign = list[0].clone();
        set(&mut list, "Ready", false, "Failed", "", None, at(2));
        assert_eq!(list[0], foreign);
        assert_eq!(
            types(&owned(&list, &["Unpacked", "Ready"])),
            ["Ready", "Unpacked"]
        );
        assert!(remove(&mut list, "Foreign") && !remove(&mut list, "Foreign"));
        assert!(is_true(&list, "Unpacked") && !is_true(&list, "Ready"));
        assert!(!is_true_at(&list, "Unpacked", Some(3)));
    }

    #[test]
    fn cuts_long_messages_at_a_character() {
        let mut list = Vec::new();
        set(
            &mut list,
            "Ready",
            false,
            "Failed",
            &"ä".repeat(20_000),
            None,
            at(1),
        );
        assert!(list[0].message.len() <= MAX_MESSAGE);
        assert!(list[0].message.ends_with("ä\n\n... [message truncated]"));
    }

    #[test]
    fn drops_the_fraction_of_a_second() {
        let mut list = Vec::new();
        let now = Timestamp::from_millisecond(10_900).unwrap();
        set(&mut list, "Ready", true, "Success", "", None, now);
        assert_eq!(list[0].last_transition_time.0, at(10));
    }
}
