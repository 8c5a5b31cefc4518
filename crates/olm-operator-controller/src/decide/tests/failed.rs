//! Decisions after an upgrade was taken back, and where deciding takes too long.

use olm_api::operator::{FailedUpgrade, UpgradeConstraintPolicy};

use super::*;

/// An Operator for etcd, of which this version failed and was taken back to 1.0.0.
fn taken_back(version: &str) -> Operator {
    let mut operator = operator("o", "etcd", None);
    operator.metadata.generation = Some(1);
    operator.status.get_or_insert_default().failed_upgrade = Some(FailedUpgrade {
        bundle: identity("etcd", version),
        message: String::new(),
        time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
        generation: Some(1),
    });
    operator
}

#[test]
fn what_is_only_behind_a_failed_upgrade_is_told_with_the_ways_there() {
    let old = identity("etcd", "1.0.0");
    let world = World::new(taken_back("1.1.0"), etcd()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.0.0");
    assert_eq!(
        world.decision().held_back,
        [
            "version 1.2.0 is held back: it is reached only through 1.1.0, which failed and was taken \
             back: change the spec to have 1.1.0 tried again, or set spec.upgradeConstraintPolicy to \
             Ignore to go past it"
        ]
    );
    // Both ways lead on.
    let mut again = taken_back("1.1.0");
    again.metadata.generation = Some(2);
    let world = World::new(again, etcd()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.1.0");
    assert_eq!(world.decision().held_back, Vec::<String>::new());
    let mut past = taken_back("1.1.0");
    past.spec.upgrade_constraint_policy = UpgradeConstraintPolicy::Ignore;
    let world = World::new(past, etcd()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.2.0");
    // Where nothing is behind it, there is nothing to say.
    let short = snapshot([("c", content("c", "etcd", &["1.0.0", "1.1.0"]))]);
    let world = World::new(taken_back("1.1.0"), short).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.0.0");
    assert_eq!(world.decision().held_back, Vec::<String>::new());
}

#[test]
fn an_upgrade_beyond_a_broken_release_is_taken_back_to_what_runs() {
    // 1.1.0 could not be installed and was passed over; 1.2.0 failed then.
    let (old, failed) = (identity("etcd", "1.0.0"), identity("etcd", "1.2.0"));
    let world = World::new(taken_back("1.2.0"), etcd()).with(&old, &failed, "Unknown");
    assert_eq!(world.answer(), "1.0.0");
    // And 1.1.0 is not tried again in between.
    let world = World::new(taken_back("1.2.0"), etcd()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.0.0");
}

/// A catalog of guests who each want a room of their own, of which there is one too few: to find out
/// takes more steps than there are.
fn crowded(guests: usize) -> Known {
    let package =
        |name: &str| json!({"schema": "olm.package", "name": name, "defaultChannel": "c"});
    let channel = |name: &str, bundles: &[String]| {
        let entries: Vec<_> = bundles
            .iter()
            .map(|bundle| json!({"name": bundle}))
            .collect();
        json!({"schema": "olm.channel", "package": name, "name": "c", "entries": entries})
    };
    let bundle = |name: &str, version: &str, properties: &[serde_json::Value]| {
        let own = json!({"type": "olm.package",
            "value": {"packageName": name, "version": version}});
        let properties: Vec<_> = std::iter::once(&own).chain(properties).collect();
        json!({"schema": "olm.bundle", "package": name, "name": format!("{name}.v{version}"),
            "image": format!("r/{name}:{version}"), "properties": properties})
    };
    let mut lines = Vec::new();
    for guest in 0..guests {
        let name = format!("guest{guest}");
        let rooms: Vec<_> = (1..guests)
            .map(|room| {
                json!({"package": {"packageName": format!("room{room}"),
                    "versionRange": format!("1.0.{guest}")}})
            })
            .collect();
        let wants = json!({"type": "olm.constraint",
            "value": {"failureMessage": "no room", "any": {"constraints": rooms}}});
        lines.extend([
            package(&name),
            channel(&name, &[format!("{name}.v1.0.0")]),
            bundle(&name, "1.0.0", &[wants]),
        ]);
    }
    for room in 1..guests {
        let name = format!("room{room}");
        let versions: Vec<String> = (0..guests).map(|guest| format!("1.0.{guest}")).collect();
        let names: Vec<String> = versions.iter().map(|v| format!("{name}.v{v}")).collect();
        lines.extend([package(&name), channel(&name, &names)]);
        lines.extend(versions.iter().map(|version| bundle(&name, version, &[])));
    }
    let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let reading = read_lines(text.as_bytes(), Reading::default());
    let model = olm_resolver::Catalog::read("hotel", 0, reading).unwrap();
    Known {
        content: Some(Arc::new(Content {
            digest: "sha256:2".to_owned(),
            model,
        })),
        ..Known::default()
    }
}

#[test]
fn who_asks_for_what_takes_too_long_to_decide_is_told_and_alone_in_it() {
    const GUESTS: usize = 14;
    let names = || (0..GUESTS).map(|guest| format!("guest{guest}"));
    let catalogs = snapshot([
        ("c", content("c", "etcd", &["1.0.0"])),
        ("hotel", crowded(GUESTS)),
    ]);
    let asking = names().chain(["etcd".to_owned()]);
    let operators: Vec<_> = asking
        .map(|name| Arc::new(operator(&name, &name, None)))
        .collect();
    let decisions = Decider::default().decide(&Cluster {
        operators,
        unreadable: BTreeSet::new(),
        deployments: Vec::new(),
        bundles: BTreeMap::new(),
        catalogs: Arc::new(catalogs),
        facts: Arc::default(),
        mode: EdgeMode::Catalog,
    });
    for name in names() {
        let expected = Answer::Refused("cancelled before a solution could be found".to_owned());
        assert_eq!(decisions[&name].answer, expected);
    }
    assert!(matches!(&decisions["etcd"].answer, Answer::Chosen(_)));
}
