//! What holds for any catalogs and any request.

use olm_resolver::{Choice, EdgeMode, Facts, Refusal, choose};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{ask, bundle, catalog, channel};

/// Small catalogs with few names, so that they meet often.
fn documents() -> impl Strategy<Value = Vec<Value>> {
    let version = "[0-2]\\.[0-2]\\.0(-rc)?";
    let entry = (
        version,
        prop::option::of(version),
        prop::option::of(version),
    )
        .prop_map(|(name, replaces, skip)| {
            json!({"name": format!("p.{name}"), "replaces": replaces.map(|v| format!("p.{v}")),
                   "skipRange": skip.map(|v| format!("<{v}"))})
        });
    (
        prop::collection::btree_set(version, 1..6),
        prop::collection::vec(("[ab]", prop::collection::vec(entry, 0..5)), 0..3),
        prop::option::of(version),
    )
        .prop_map(|(versions, channels, deprecated)| {
            let mut documents: Vec<Value> = versions
                .iter()
                .map(|version| bundle("p", version, &[]))
                .collect();
            for (name, entries) in channels {
                documents.push(channel("p", &name, &json!(entries)));
            }
            if let Some(version) = deprecated {
                documents.push(
                    json!({"schema": "olm.deprecations", "package": "p", "entries": [
                    {"reference": {"schema": "olm.bundle", "name": format!("p.{version}")},
                     "message": "old"}]}),
                );
            }
            documents
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_answer_does_not_depend_on_order_and_never_leads_back(
        (one, two) in (documents(), documents()),
        priority in 0..2,
        (range, channel) in (prop::option::of("[~^>]?[0-2](\\.[0-2])?"), prop::option::of("[ab]")),
        from in prop::option::of("[0-2]\\.[0-2]\\.0"),
        mode in prop_oneof![Just(EdgeMode::Catalog), Just(EdgeMode::Semver)],
    ) {
        let request = ask("p", range.as_deref(), channel.as_deref(), from.as_deref());
        let describe = |choice: Result<Choice, Refusal>| match choice {
            Ok(choice) => Ok((choice.bundle.catalog.clone(), choice.bundle.name.clone())),
            Err(refusal) => Err(refusal.explanation()),
        };
        let facts = Facts::default();
        let (first, second) = (catalog("one", 0, &one), catalog("two", priority, &two));
        let mut reversed = one.clone();
        reversed.reverse();
        let again = catalog("one", 0, &reversed);
        let choice = choose(&[&first, &second], &request, mode, &facts);
        let other = choose(&[&second, &again], &request, mode, &facts);
        if let (Ok(choice), Some(installed)) = (&choice, &request.installed) {
            prop_assert!(choice.bundle.version.as_ref().unwrap() >= &installed.version);
        }
        prop_assert_eq!(describe(choice), describe(other));
    }
}
