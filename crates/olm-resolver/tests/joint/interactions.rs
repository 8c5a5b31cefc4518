//! Packages that are apart are decided apart, with the same answers.

use std::collections::BTreeMap;

use olm_resolver::{Declared, Interactions, Requirement};
use serde_json::json;

use crate::world::{World, Written, ask, b, one};

fn stock() -> Vec<Written> {
    vec![
        b("a", "1.0.0").needs("c", ">=1.0.0"),
        b("a", "2.0.0").needs("c", "2.0.0"),
        b("b", "1.0.0").needs("c", "1.0.0"),
        b("c", "1.0.0"),
        b("c", "2.0.0"),
        b("giver", "1.0.0").gives("g/Kind"),
        b("taker", "1.0.0").needs_api("g/Kind"),
        b("rival", "1.0.0").gives("g/Kind"),
        b("marked", "1.0.0").label("gold"),
        b("picky", "1.0.0").needs_label("gold"),
        b("strict", "1.0.0")
            .constraint(json!({"not": {"constraints": [{"gvk": {"group": "h", "version": "v1", "kind": "Odd"}}]}})),
        b("odd", "1.0.0").gives("h/Odd"),
        b("ruler", "1.0.0").constraint(json!({"cel": {"rule":
            "properties.exists(p, p.type == 'olm.package' && p.value.packageName == 'ruled')"}})),
        b("ruled", "1.0.0"),
        b("alone", "1.0.0"),
    ]
}

fn with<T>(world: &World, act: impl FnOnce(&Interactions) -> T) -> T {
    world.with(|problem| act(&Interactions::new(problem.catalogs)))
}

#[test]
fn packages_are_together_where_one_may_matter_to_another() {
    let world = one(&stock(), &[]);
    let together = [
        vec!["a", "b", "c"],
        vec!["giver", "rival", "taker"],
        vec!["marked", "picky"],
        vec!["odd", "strict"],
        vec!["ruled", "ruler"],
        vec!["alone"],
    ];
    with(&world, |interactions| {
        let mut groups: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for package in together.iter().flatten() {
            let group = interactions.group(package).unwrap();
            groups.entry(group).or_default().push(package);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort();
        let mut expected = together.to_vec();
        expected.sort();
        assert_eq!(groups, expected);
        assert_eq!(interactions.group("unknown"), None);
    });
}

#[test]
fn what_an_installed_bundle_declared_counts() {
    let world = one(&stock(), &[]);
    with(&world, |interactions| {
        let mut interactions = interactions.clone();
        let needs = Requirement::Package {
            name: "alone".to_owned(),
            range: olm_semver::blang::Range::parse(">=0.0.0").unwrap(),
        };
        let declared = Declared {
            requires: vec![needs],
            ..Declared::default()
        };
        interactions.declare("gone", &declared);
        assert_eq!(interactions.group("gone"), interactions.group("alone"));
    });
}

#[test]
fn each_group_by_itself_gets_the_answers_of_all_together() {
    let names = [
        "a", "b", "giver", "taker", "rival", "picky", "strict", "odd", "ruler", "alone", "missing",
    ];
    let operators: Vec<_> = names.iter().map(|name| ask(name, "")).collect();
    let whole = one(&stock(), &operators);
    let mut groups: BTreeMap<Option<usize>, Vec<_>> = BTreeMap::new();
    with(&whole, |interactions| {
        for (name, operator) in names.iter().zip(&operators) {
            let group = interactions.group(name);
            groups.entry(group).or_default().push(operator.clone());
        }
    });
    let lines = |world: &World| {
        let mut lines = world.transcript();
        lines.retain(|(name, _)| name != "selected");
        lines
    };
    let mut apart: Vec<_> = groups
        .into_values()
        .flat_map(|operators| lines(&one(&stock(), &operators)))
        .collect();
    apart.sort();
    assert_eq!(apart, lines(&whole));
}
