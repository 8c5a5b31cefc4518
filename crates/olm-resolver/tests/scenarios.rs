//! What is chosen, and what a user reads when nothing is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use olm_fbc::{Reading, read_lines};
use olm_resolver::{
    Api, Catalog, Choice, EdgeMode, Facts, INSTALLED_CATALOG, Installed, InstalledBundle, Policy,
    Refusal, Request, check_dependencies, choose,
};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

fn catalog(name: &str, priority: i32, documents: &[Value]) -> Catalog {
    let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    let lines = lines.join("\n");
    Catalog::read(
        name,
        priority,
        read_lines(lines.as_bytes(), Reading::default()),
    )
    .unwrap()
}

fn bundle(package: &str, version: &str, more: &[Value]) -> Value {
    let mut properties =
        vec![json!({"type": "olm.package", "value": {"packageName": package, "version": version}})];
    properties.extend(more.iter().cloned());
    json!({"schema": "olm.bundle", "package": package, "name": format!("{package}.{version}"),
           "image": format!("example.com/{package}:{version}"), "properties": properties})
}

fn channel(package: &str, name: &str, entries: &Value) -> Value {
    json!({"schema": "olm.channel", "package": package, "name": name, "entries": entries})
}

/// The fixture of the reference: `beta` is 1.0.0, 1.0.1, 1.2.0, 2.0.0 one after another, `alpha`
/// holds 1.0.0 alone.
fn prometheus() -> Vec<Value> {
    let entries = json!([
        {"name": "prometheus.1.0.0"},
        {"name": "prometheus.1.0.1", "replaces": "prometheus.1.0.0"},
        {"name": "prometheus.1.2.0", "replaces": "prometheus.1.0.1"},
        {"name": "prometheus.2.0.0", "replaces": "prometheus.1.2.0"},
    ]);
    let mut documents = vec![
        json!({"schema": "olm.package", "name": "prometheus", "defaultChannel": "beta"}),
        channel("prometheus", "beta", &entries),
        channel(
            "prometheus",
            "alpha",
            &json!([{"name": "prometheus.1.0.0"}]),
        ),
    ];
    for version in ["1.0.0", "1.0.1", "1.2.0", "2.0.0"] {
        documents.push(bundle("prometheus", version, &[]));
    }
    documents
}

fn ask(package: &str, range: Option<&str>, channel: Option<&str>, from: Option<&str>) -> Request {
    Request {
        operator: "op".to_owned(),
        package: package.to_owned(),
        channel: channel.map(str::to_owned),
        version: range.map(|range| Constraint::parse(range).unwrap()),
        policy: Policy::Enforce,
        installed: from.map(|version| Installed {
            package: package.to_owned(),
            name: format!("{package}.{version}"),
            version: Version::parse_strict(version).unwrap(),
            release: String::new(),
            image: Some(format!("example.com/{package}:{version}")),
        }),
    }
}

fn resolve(catalogs: &[&Catalog], request: &Request) -> Result<Choice, Refusal> {
    choose(catalogs, request, EdgeMode::Catalog, &Facts::default())
}

fn name(choice: Result<Choice, Refusal>) -> String {
    match choice {
        Ok(choice) => choice.bundle.name.clone(),
        Err(refusal) => refusal.to_string(),
    }
}

#[rstest]
#[case(None, None, None, "prometheus.2.0.0")]
#[case(None, Some("alpha"), None, "prometheus.1.0.0")]
#[case(Some("1.0.0"), Some("beta"), None, "prometheus.1.0.0")]
#[case(Some("<2"), None, None, "prometheus.1.2.0")]
// One edge at a time.
#[case(None, None, Some("1.0.0"), "prometheus.1.0.1")]
#[case(None, Some("beta"), Some("1.0.1"), "prometheus.1.2.0")]
#[case(Some(">=1"), None, Some("1.0.1"), "prometheus.1.2.0")]
#[case(None, None, Some("2.0.0"), "prometheus.2.0.0")]
#[case(None, Some("alpha"), Some("1.0.0"), "prometheus.1.0.0")]
// COMPAT texts.
#[case(
    Some("3.x"),
    Some("beta"),
    None,
    "no package \"prometheus\" matching version \"3.x\" found in channel \"beta\""
)]
#[case(
    Some("0.50.0"),
    None,
    None,
    "no package \"prometheus\" matching version \"0.50.0\" found"
)]
#[case(
    None,
    Some("x"),
    None,
    "no package \"prometheus\" found in channel \"x\""
)]
// A pin that no single edge reaches.
#[case(
    Some("2.0.0"),
    None,
    Some("1.0.0"),
    "package \"prometheus\" is installed at 1.0.0 and may only be updated to 1.0.1; Operator \"op\" \
     asks for 2.0.0, which can be reached in several updates, the next one to 1.0.1"
)]
#[case(
    Some("1.0.0"),
    None,
    Some("2.0.0"),
    "package \"prometheus\" is installed at 2.0.0 and has no update; Operator \"op\" asks for 1.0.0"
)]
#[case(
    None,
    Some("alpha"),
    Some("1.2.0"),
    "package \"prometheus\" is installed at 1.2.0 and may only be updated to 2.0.0; Operator \"op\" \
     asks for channel \"alpha\""
)]
#[case(
    Some("1.0.0"),
    Some("alpha"),
    Some("1.2.0"),
    "package \"prometheus\" is installed at 1.2.0 and may only be updated to 2.0.0; Operator \"op\" \
     asks for 1.0.0 in channel \"alpha\""
)]
fn a_request_is_answered(
    #[case] range: Option<&str>,
    #[case] channel: Option<&str>,
    #[case] from: Option<&str>,
    #[case] answer: &str,
) {
    let catalog = catalog("c", 0, &prometheus());
    assert_eq!(
        name(resolve(
            &[&catalog],
            &ask("prometheus", range, channel, from)
        )),
        answer
    );
}

#[test]
fn an_unknown_package_is_named() {
    let catalog = catalog("c", 0, &prometheus());
    assert_eq!(
        name(resolve(&[&catalog], &ask("nothing", None, None, None))),
        "no package \"nothing\" found"
    );
}

#[test]
fn the_solver_form_of_an_edge_refusal_lists_what_is_possible() {
    let catalog = catalog("test-catalog", 0, &prometheus());
    let refusal = resolve(
        &[&catalog],
        &ask("prometheus", Some("2.0.0"), None, Some("1.0.0")),
    )
    .unwrap_err();
    let text = refusal.explanation();
    assert!(text.starts_with("constraints not satisfiable:\npackage \"prometheus\" is installed"));
    assert!(text.ends_with(
        "\n- installed package prometheus requires at least one of \
         test-catalog-prometheus-prometheus.1.0.1, test-catalog-prometheus-prometheus.1.0.0"
    ));
}

#[rstest]
#[case(None, "1.0.0", "prometheus.1.2.0")]
#[case(Some("1.2.0"), "1.0.0", "prometheus.1.2.0")]
#[case(None, "2.0.0", "prometheus.2.0.0")]
#[case(
    Some("2.0.0"),
    "1.0.1",
    "package \"prometheus\" is installed at 1.0.1 and may only be updated to 1.2.0; \
     Operator \"op\" asks for 2.0.0"
)]
fn semver_mode_follows_compatible_versions(
    #[case] range: Option<&str>,
    #[case] from: &str,
    #[case] answer: &str,
) {
    let catalog = catalog("c", 0, &prometheus());
    let request = ask("prometheus", range, None, Some(from));
    let choice = choose(&[&catalog], &request, EdgeMode::Semver, &Facts::default());
    assert_eq!(name(choice), answer);
}

#[test]
fn policy_ignore_lifts_edges_in_both_directions() {
    let catalog = catalog("c", 0, &prometheus());
    for (range, from) in [("2.0.0", "1.0.0"), ("1.0.0", "2.0.0")] {
        let request = Request {
            policy: Policy::Ignore,
            ..ask("prometheus", Some(range), None, Some(from))
        };
        assert_eq!(
            name(resolve(&[&catalog], &request)),
            format!("prometheus.{range}")
        );
    }
}

#[rstest]
#[case(json!({"name": "p.2.0.0", "skips": ["p.1.0.0"]}), "p.2.0.0")]
#[case(json!({"name": "p.2.0.0", "skipRange": ">=1.0.0 <2.0.0"}), "p.2.0.0")]
#[case(json!({"name": "p.2.0.0", "skipRange": "<v2.0.0"}), "p.1.0.0")]
#[case(json!({"name": "p.2.0.0", "replaces": "p.1.5.0"}), "p.1.0.0")]
fn skips_and_ranges_are_edges(#[case] entry: Value, #[case] answer: &str) {
    let catalog = catalog(
        "c",
        0,
        &[
            channel("p", "stable", &json!([{"name": "p.1.0.0"}, entry])),
            bundle("p", "1.0.0", &[]),
            bundle("p", "2.0.0", &[]),
        ],
    );
    assert_eq!(
        name(resolve(&[&catalog], &ask("p", None, None, Some("1.0.0")))),
        answer
    );
}

#[test]
fn an_edge_must_lie_in_the_requested_channel() {
    let catalog = catalog(
        "c",
        0,
        &[
            channel(
                "p",
                "a",
                &json!([{"name": "p.1.0.0"}, {"name": "p.2.0.0", "replaces": "p.1.0.0"}]),
            ),
            channel("p", "b", &json!([{"name": "p.2.0.0"}])),
            bundle("p", "1.0.0", &[]),
            bundle("p", "2.0.0", &[]),
        ],
    );
    assert_eq!(
        name(resolve(
            &[&catalog],
            &ask("p", None, Some("a"), Some("1.0.0"))
        )),
        "p.2.0.0"
    );
    assert_eq!(
        name(resolve(
            &[&catalog],
            &ask("p", None, Some("b"), Some("1.0.0"))
        )),
        "package \"p\" is installed at 1.0.0 and may only be updated to 2.0.0; Operator \"op\" asks \
         for channel \"b\""
    );
}

#[test]
fn no_edge_leads_back() {
    let catalog = catalog(
        "c",
        0,
        &[
            channel(
                "p",
                "old",
                &json!([{"name": "p.1.0.0", "skipRange": "<9.0.0"}]),
            ),
            channel("p", "new", &json!([{"name": "p.2.0.0"}])),
            bundle("p", "1.0.0", &[]),
            bundle("p", "2.0.0", &[]),
        ],
    );
    let refusal = resolve(&[&catalog], &ask("p", None, Some("old"), Some("2.0.0"))).unwrap_err();
    assert!(matches!(refusal, Refusal::Edge(edge) if edge.successors.is_empty()));
}

#[test]
fn pre_releases_need_a_range_that_names_one() {
    let catalog = catalog(
        "c",
        0,
        &[
            channel("p", "stable", &json!([{"name": "p.1.0.0-rc.1"}])),
            bundle("p", "1.0.0-rc.1", &[]),
        ],
    );
    assert_eq!(
        name(resolve(&[&catalog], &ask("p", Some(">=0.0.0"), None, None))),
        "no package \"p\" matching version \">=0.0.0\" found; it has only pre-release versions there, \
         allow them with a range such as \">=0.0.0-0\""
    );
    for range in [None, Some(">=0.0.0-0")] {
        assert_eq!(
            name(resolve(&[&catalog], &ask("p", range, None, None))),
            "p.1.0.0-rc.1"
        );
    }
}

#[test]
fn deprecated_bundles_come_last() {
    let deprecation = |reference: Value| {
        json!({"schema": "olm.deprecations", "package": "p",
               "entries": [{"reference": reference, "message": "old"}]})
    };
    let documents = |reference: Value| {
        [
            channel("p", "a", &json!([{"name": "p.1.0.0"}])),
            channel(
                "p",
                "b",
                &json!([{"name": "p.2.0.0", "replaces": "p.1.0.0"}]),
            ),
            bundle("p", "1.0.0", &[]),
            bundle("p", "2.0.0", &[]),
            deprecation(reference),
        ]
    };
    for (reference, answer) in [
        (
            json!({"schema": "olm.bundle", "name": "p.2.0.0"}),
            "p.1.0.0",
        ),
        (json!({"schema": "olm.channel", "name": "b"}), "p.1.0.0"),
        (json!({"schema": "olm.package"}), "p.2.0.0"),
    ] {
        let catalog = catalog("c", 0, &documents(reference));
        assert_eq!(
            name(resolve(&[&catalog], &ask("p", None, None, None))),
            answer
        );
        assert_eq!(
            name(resolve(&[&catalog], &ask("p", Some("2.0.0"), None, None))),
            "p.2.0.0"
        );
    }
}

#[test]
fn catalogs_are_preferred_by_priority_and_never_guessed() {
    let offer = |name: &str, priority: i32, version: &str, registry: &str| {
        let mut bundle = bundle("p", version, &[]);
        bundle["image"] = json!(format!("{registry}/p"));
        catalog(
            name,
            priority,
            &[
                channel("p", "s", &json!([{"name": format!("p.{version}")}])),
                bundle,
            ],
        )
    };
    let from =
        |catalogs: &[&Catalog]| match resolve(catalogs, &ask("p", Some("<9"), Some("s"), None)) {
            Ok(choice) => choice.bundle.catalog.clone(),
            Err(refusal) => refusal.to_string(),
        };
    let a = offer("a", 0, "1.0.0", "r1");
    assert_eq!(from(&[&a, &offer("b", 1, "0.9.0", "r2")]), "b");
    assert_eq!(from(&[&a, &offer("b", 0, "1.1.0", "r2")]), "b");
    assert_eq!(from(&[&offer("b", 0, "1.0.0", "r1"), &a]), "a");
    let ambiguous = "found bundles for package \"p\" matching version \"<9\" in channels [s] in \
                     multiple catalogs with the same priority [a b]";
    let b = offer("b", 0, "1.0.0", "r2");
    assert_eq!(from(&[&a, &b]), ambiguous);
    assert_eq!(from(&[&b, &a]), ambiguous);
    // What runs already is no guess.
    let mut request = ask("p", None, None, Some("1.0.0"));
    request.installed.as_mut().unwrap().image = Some("r2/p".to_owned());
    let choice = resolve(&[&a, &b], &request).unwrap();
    assert_eq!((choice.bundle.catalog.as_str(), choice.stays), ("b", true));
}

#[test]
fn unusable_candidates_are_named_when_nothing_else_is_left() {
    let mut broken = bundle("p", "1.1.0", &[]);
    broken["properties"] = json!([]);
    let documents = [
        channel(
            "p",
            "s",
            &json!([{"name": "p.1.0.0"}, {"name": "p.1.1.0"}, {"name": "p.1.2.0"},
            {"name": "p.1.3.0"}, {"name": "p.1.4.0"}]),
        ),
        bundle(
            "p",
            "1.4.0",
            &[json!({"type": "olm.deprecated", "value": {}})],
        ),
        bundle(
            "p",
            "1.3.0",
            &[json!({"type": "olm.package.required",
            "value": {"packageName": "q", "versionRange": "latest"}})],
        ),
        bundle(
            "p",
            "1.2.0",
            &[json!({"type": "olm.csv.metadata",
            "value": {"minKubeVersion": "1.99"}})],
        ),
        broken,
        bundle(
            "p",
            "1.0.0",
            &[json!({"type": "olm.bundle.mediatype", "value": "odd"})],
        ),
    ];
    let catalog = catalog("c", 0, &documents);
    let facts = Facts {
        kubernetes: Some(Version::new(1, 35, 0)),
        media_types: Some(vec![String::new(), "registry+v1".to_owned()]),
    };
    let ask_with = |request: &Request| choose(&[&catalog], request, EdgeMode::Catalog, &facts);
    assert_eq!(
        name(ask_with(&ask("p", None, None, None))),
        "no usable version of package \"p\": 1.4.0 is deprecated; 1.3.0 has unreadable requirements \
         (error parsing bundle required package semver range for bundle \"p.1.3.0\" (required package \
         \"q\"): Could not get version from string: \"latest\"); 1.2.0 needs Kubernetes 1.99.0; 1.0.0 \
         has the unsupported media type \"odd\"; bundle \"p.1.1.0\" has unreadable metadata (bundle \
         property with type \"olm.package\" not found)"
    );
    // What runs may go on running.
    assert_eq!(
        name(ask_with(&ask("p", None, None, Some("1.4.0")))),
        "p.1.4.0"
    );
    // Without facts only what cannot be read is unusable.
    let request = ask("p", None, None, None);
    assert_eq!(name(resolve(&[&catalog], &request)), "p.1.2.0");
}

#[test]
fn one_bad_entry_is_a_note_and_disturbs_nothing_else() {
    let catalog = catalog(
        "c",
        0,
        &[
            channel(
                "p",
                "s",
                &json!([{"name": "p.1.0.0", "skipRange": "<v1"}, {"name": "p.9.9.9"}]),
            ),
            bundle("p", "1.0.0", &[]),
            json!({"schema": "olm.bundle", "package": "p", "name": "p.3", "image": 5}),
        ],
    );
    let notes = &catalog.package("p").unwrap().notes;
    assert!(
        notes[0].starts_with("`olm.bundle` document `p.3` of package `p` is invalid (line 3): ")
    );
    assert!(
        notes[1].starts_with("skipRange \"<v1\" of bundle \"p.1.0.0\" in channel \"s\" is ignored")
    );
    assert_eq!(
        notes[2],
        "bundle \"p.9.9.9\" not found in catalog \"c\" (package \"p\", channel \"s\")"
    );
    assert_eq!(
        name(resolve(&[&catalog], &ask("p", None, None, None))),
        "p.1.0.0"
    );
}

#[test]
fn an_installed_bundle_that_left_its_catalog_is_kept_until_an_edge_leads_on() {
    let catalog = catalog("c", 0, &prometheus());
    let choice = resolve(&[&catalog], &ask("prometheus", None, None, Some("1.1.0"))).unwrap();
    assert_eq!(
        (choice.bundle.catalog.as_str(), choice.stays),
        (INSTALLED_CATALOG, true)
    );
    assert_eq!(choice.bundle.image, "example.com/prometheus:1.1.0");
    assert!(
        resolve(
            &[&catalog],
            &ask("prometheus", Some("1.2.0"), None, Some("1.1.0"))
        )
        .is_err()
    );
}

#[test]
fn of_equal_versions_the_higher_release_wins_and_is_an_update() {
    let document = |release: &str| {
        let mut bundle = bundle("p", "1.0.0", &[]);
        bundle["name"] = json!(format!("p-v1.0.0-{release}"));
        bundle["properties"][0]["value"]["release"] = json!(release);
        bundle
    };
    let catalog = catalog(
        "c",
        0,
        &[
            channel(
                "p",
                "s",
                &json!([{"name": "p.1.0.0"}, {"name": "p-v1.0.0-2", "replaces": "p.1.0.0"},
            {"name": "p-v1.0.0-10", "replaces": "p.1.0.0"}]),
            ),
            bundle("p", "1.0.0", &[]),
            document("2"),
            document("10"),
        ],
    );
    assert_eq!(
        name(resolve(&[&catalog], &ask("p", None, None, None))),
        "p-v1.0.0-10"
    );
    assert_eq!(
        name(resolve(&[&catalog], &ask("p", None, None, Some("1.0.0")))),
        "p-v1.0.0-10"
    );
}

fn chosen(properties: &[Value]) -> std::sync::Arc<olm_resolver::Bundle> {
    let catalog = catalog("c", 0, &[bundle("A", "1.19.3", properties)]);
    resolve(&[&catalog], &ask("A", None, None, None))
        .unwrap()
        .bundle
}

fn requires_package(name: &str, range: &str) -> Value {
    json!({"type": "olm.package.required", "value": {"packageName": name, "versionRange": range}})
}

fn api(type_: &str, kind: &str) -> Value {
    json!({"type": type_, "value": {"group": "example.com", "version": "v1", "kind": kind}})
}

#[test]
fn what_a_bundle_requires_must_be_installed() {
    let bundle = chosen(&[
        requires_package("B", ">=1.0.0"),
        api("olm.gvk.required", "Thing"),
    ]);
    let installed = |package: &str, version: &str, kinds: &[&str]| InstalledBundle {
        package: package.to_owned(),
        version: Version::parse_strict(version).unwrap(),
        apis: kinds
            .iter()
            .map(|kind| Api {
                group: "example.com".to_owned(),
                version: "v1".to_owned(),
                kind: (*kind).to_owned(),
            })
            .collect(),
    };
    let text = |installed: &[InstalledBundle]| {
        check_dependencies(&bundle, installed).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(
        text(&[]).unwrap_err(),
        "A 1.19.3 requires package \"B\" in range \">=1.0.0\", which is not installed, and API \
         example.com/v1 Thing, which no installed bundle provides"
    );
    assert_eq!(
        text(&[installed("B", "0.9.0", &["Thing"])]).unwrap_err(),
        "A 1.19.3 requires package \"B\" in range \">=1.0.0\", which is not installed (installed: 0.9.0)"
    );
    // The older version of the package itself is about to go.
    assert_eq!(
        text(&[
            installed("B", "1.0.0", &[]),
            installed("A", "1.0.0", &["Thing"])
        ])
        .unwrap_err(),
        "A 1.19.3 requires API example.com/v1 Thing, which no installed bundle provides"
    );
    assert_eq!(
        text(&[
            installed("B", "1.0.0", &[]),
            installed("C", "1.0.0", &["Thing"])
        ]),
        Ok(())
    );
}

#[test]
fn a_bundle_may_provide_what_it_requires() {
    let bundle = chosen(&[
        requires_package("A", "1.19.3"),
        api("olm.gvk.required", "Thing"),
        api("olm.gvk", "Thing"),
    ]);
    assert_eq!(check_dependencies(&bundle, &[]), Ok(()));
}

#[test]
fn compound_constraints_are_refused() {
    let bundle = chosen(&[json!({"type": "olm.constraint", "value": {"all": {}}})]);
    assert_eq!(
        check_dependencies(&bundle, &[]).unwrap_err().to_string(),
        "bundle \"A.1.19.3\" has a dependency declared via property \"olm.constraint\" which is \
         currently not supported"
    );
}

#[test]
fn three_missing_parts_read_as_a_list() {
    let bundle = chosen(&[
        requires_package("B", "1.0.0"),
        requires_package("B", "1.0.0"),
        requires_package("C", "1.0.0"),
        requires_package("D", "1.0.0"),
    ]);
    assert_eq!(
        check_dependencies(&bundle, &[]).unwrap_err().to_string(),
        "A 1.19.3 requires package \"B\" in range \"1.0.0\", which is not installed, package \"C\" in \
         range \"1.0.0\", which is not installed, and package \"D\" in range \"1.0.0\", which is not \
         installed"
    );
}

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
