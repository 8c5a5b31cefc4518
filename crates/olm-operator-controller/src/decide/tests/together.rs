//! Decisions for Operators that require one another.

use super::*;

/// A bundle: package, version, and the packages that it requires, with ranges.
type Written<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A catalog `c` of bundles, each with the packages that it requires; the versions of a package
/// follow one another.
fn shelf(bundles: &[Written<'_>]) -> Snapshot {
    let mut lines = Vec::new();
    let mut entries: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
    let mut before: BTreeMap<&str, String> = BTreeMap::new();
    for (package, version, requires) in bundles {
        let name = format!("{package}.v{version}");
        let replaces = before.insert(package, name.clone());
        let entry = json!({"name": name, "replaces": replaces});
        entries.entry(package).or_default().push(entry);
        let mut properties = vec![
            json!({"type": "olm.package", "value": {"packageName": package, "version": version}}),
        ];
        properties.extend(requires.iter().map(|(package, range)| {
            json!({"type": "olm.package.required",
                "value": {"packageName": package, "versionRange": range}})
        }));
        lines.push(
            json!({"schema": "olm.bundle", "package": package, "name": name,
            "image": format!("r/c/{package}:{version}"), "properties": properties}),
        );
    }
    for (package, entries) in entries {
        lines.push(json!({"schema": "olm.package", "name": package, "defaultChannel": "stable"}));
        lines.push(
            json!({"schema": "olm.channel", "package": package, "name": "stable",
            "entries": entries}),
        );
    }
    let text: String = lines.iter().map(|line| line.to_string() + "\n").collect();
    let model =
        olm_resolver::Catalog::read("c", 0, read_lines(text.as_bytes(), Reading::default()));
    let content = Content {
        digest: "sha256:4".to_owned(),
        model: model.unwrap(),
    };
    let known = Known {
        content: Some(Arc::new(content)),
        ..Known::default()
    };
    snapshot([("c", known)])
}

/// A cluster with these Operators: name, which is that of the package, and what runs for it.
fn cluster(catalogs: Snapshot, operators: &[(&str, Option<&str>)]) -> Cluster {
    let mut cluster = Cluster {
        operators: Vec::new(),
        unreadable: BTreeSet::new(),
        deployments: Vec::new(),
        bundles: BTreeMap::new(),
        catalogs: Arc::new(catalogs),
        facts: Arc::default(),
        mode: EdgeMode::Catalog,
    };
    for (name, runs) in operators {
        let mut operator = operator(name, name, None);
        if let Some(version) = runs {
            let mut bundle = identity(name, version);
            bundle.image = format!("r/c/{name}:{version}");
            let mut made = deployment(&operator, &bundle, "True");
            // What it declared is what the catalog says of it.
            made.metadata
                .annotations
                .as_mut()
                .unwrap()
                .remove(olm_api::annotations::DECLARED);
            cluster.deployments.push(Arc::new(made));
            operator.status.get_or_insert_default().installed = Some(bundle);
        }
        cluster.operators.push(Arc::new(operator));
    }
    cluster
}

fn version(decision: &Decision) -> String {
    match &decision.answer {
        Answer::Chosen(wanted) => wanted.identity.version.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_required_and_nobody_asked_for_is_made_before() {
    let shelf = || {
        shelf(&[
            ("a", "1.0.0", &[("b", ">=1.0.0")]),
            ("b", "1.0.0", &[("c", "1.0.0")]),
            ("c", "1.0.0", &[]),
        ])
    };
    let decide = |operators: &[(&str, Option<&str>)]| {
        Decider::default().decide(&cluster(shelf(), operators))
    };
    let packages = |decision: &Decision| -> Vec<String> {
        let makes = decision.makes.iter();
        makes.map(|make| make.package.clone()).collect()
    };
    // Each makes what it requires itself.
    let decisions = decide(&[("a", None)]);
    let a = &decisions["a"];
    assert_eq!(
        (version(a), packages(a)),
        ("1.0.0".into(), vec!["b".to_owned()])
    );
    assert_eq!(a.makes[0].channel.as_deref(), Some("stable"));
    assert_eq!(a.makes[0].required_by, ["a"]);
    assert_eq!(
        a.waits,
        ["b 1.0.0 of Operator \"b\" is not installed and healthy"]
    );
    let decisions = decide(&[("a", None), ("b", None)]);
    assert!(packages(&decisions["a"]).is_empty() && !decisions["a"].waits.is_empty());
    assert_eq!(packages(&decisions["b"]), ["c"]);
    assert_eq!(decisions["b"].required_by[0].operator, "a");
    // Once it runs, nothing is waited for.
    let decisions = decide(&[("a", None), ("b", Some("1.0.0")), ("c", Some("1.0.0"))]);
    assert!(decisions["a"].waits.is_empty() && decisions["a"].dependencies[0].ready);
}

#[test]
fn what_an_update_would_break_moves_first_where_it_can() {
    let shelf = |next: &'static [(&'static str, &'static str)]| {
        shelf(&[
            ("a", "1.0.0", &[("b", "<2.0.0")]),
            ("a", "1.1.0", next),
            ("b", "1.0.0", &[]),
            ("b", "2.0.0", &[]),
        ])
    };
    let runs = [("a", Some("1.0.0")), ("b", Some("1.0.0"))];
    let decisions = Decider::default().decide(&cluster(shelf(&[("b", ">=1.0.0")]), &runs));
    let (a, b) = (&decisions["a"], &decisions["b"]);
    assert_eq!((version(a), version(b)), ("1.1.0".into(), "2.0.0".into()));
    assert!(a.waits.is_empty(), "{:?}", a.waits);
    assert_eq!(
        b.waits,
        ["Operator \"a\" has to leave a 1.0.0 for a 1.1.0 before, which b 2.0.0 would break"]
    );
    // Where it cannot, what it requires goes first.
    let decisions = Decider::default().decide(&cluster(shelf(&[("b", ">=2.0.0")]), &runs));
    assert!(decisions["b"].waits.is_empty());
    assert!(!decisions["a"].waits.is_empty());
}

#[test]
fn an_update_that_would_break_what_cannot_move_is_held_back() {
    let shelf = shelf(&[
        ("a", "1.0.0", &[("b", "<2.0.0")]),
        ("b", "1.0.0", &[]),
        ("b", "2.0.0", &[]),
    ]);
    let runs = [("a", Some("1.0.0")), ("b", Some("1.0.0"))];
    let mut all = cluster(shelf, &runs);
    let decisions = Decider::default().decide(&all);
    assert_eq!(version(&decisions["b"]), "1.0.0");
    assert_eq!(
        decisions["b"].held_back,
        [
            "newest version 2.0.0 is held back: updating b to 2.0.0 would break a 1.0.0, which requires \
          b <2.0.0"
        ]
    );
    // Also where the one that would break cannot be read, or follows no spec.
    let a = all.operators.remove(0);
    all.unreadable.insert("a".to_owned());
    assert_eq!(version(&Decider::default().decide(&all)["b"]), "1.0.0");
    all.unreadable.clear();
    let mut odd = (*a).clone();
    odd.spec.version = Some("|".to_owned());
    all.operators.push(Arc::new(odd));
    let decisions = Decider::default().decide(&all);
    assert_eq!(version(&decisions["b"]), "1.0.0");
    assert_eq!(decisions["a"].answer, Answer::InvalidSpec(None));
}

#[test]
fn a_group_is_solved_again_only_when_something_in_it_changed() {
    let shelf = shelf(&[
        ("a", "1.0.0", &[("b", ">=1.0.0")]),
        ("b", "1.0.0", &[]),
        ("lone", "1.0.0", &[]),
    ]);
    let mut all = cluster(shelf, &[("a", None), ("lone", None), ("nowhere", None)]);
    let mut decider = Decider::default();
    let groups = |decider: &Decider| -> Vec<Arc<Solved>> {
        let solved = decider.solved.values();
        solved.map(|(_, solved)| Arc::clone(solved)).collect()
    };
    decider.decide(&all);
    let before = groups(&decider);
    assert_eq!(before.len(), 3);
    let mut changed = operator("lone", "lone", Some("1.x"));
    changed.metadata.generation = Some(2);
    all.operators[1] = Arc::new(changed);
    decider.decide(&all);
    let after = groups(&decider);
    let is_lone = |solved: &Solved| solved.answer("lone").is_some();
    assert_eq!(after.iter().filter(|solved| is_lone(solved)).count(), 1);
    for (one, other) in before.iter().zip(&after) {
        assert_eq!(Arc::ptr_eq(one, other), !is_lone(other), "{other:?}");
    }
}

#[test]
fn one_bad_operator_changes_no_decision_of_others() {
    let shelf = || shelf(&[("p", "1.0.0", &[("q", "9.9.9")]), ("lone", "1.0.0", &[])]);
    let alone = Decider::default().decide(&cluster(shelf(), &[("lone", None)]));
    let bad = [("lone", None), ("p", None), ("nowhere", None)];
    let beside = Decider::default().decide(&cluster(shelf(), &bad));
    assert_eq!(alone["lone"], beside["lone"]);
    assert!(matches!(&beside["p"].answer, Answer::Refused(why)
        if why.contains("p 1.0.0 requires package \"q\" in range \"9.9.9\", which no catalog offers")));
}

#[test]
fn a_thousand_operators_are_decided_in_groups() {
    let names: Vec<String> = (0..1000).map(|number| format!("p{number}")).collect();
    let bundles: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "1.0.0", &[][..]))
        .collect();
    let operators: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    let all = cluster(shelf(&bundles), &operators);
    let mut decider = Decider::default();
    let decisions = decider.decide(&all);
    assert!(
        decisions
            .values()
            .all(|decision| version(decision) == "1.0.0")
    );
    assert_eq!(decider.solved.len(), 1000);
    assert_eq!(decisions, decider.decide(&all));
}
