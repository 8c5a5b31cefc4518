//! What is chosen for one request, and why nothing is.

use olm_resolver::{Catalog, EdgeMode, Facts, INSTALLED_CATALOG, Policy, Refusal, Request, choose};
use olm_semver::Version;
use rstest::rstest;
use serde_json::{Value, json};

use crate::fixture::{ask, bundle, catalog, channel, name, prometheus, resolve};

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
        "package \"p\" is installed at 1.0.0 and may only be updated to 2.0.0 (in channel \"a\"); \
         Operator \"op\" asks for channel \"b\""
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
        ..Facts::default()
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

#[rstest]
#[case::release("1.0.0+1", "1.0.0+2", "registry+v1", "p.1.0.0+2")]
#[case::by_number("1.0.0+9", "1.0.0+10", "registry+v1", "p.1.0.0+10")]
#[case::downwards("1.0.0+2", "1.0.0+1", "registry+v1", "p.1.0.0+2")]
// Not written like a release: only build metadata, which never counts.
#[case::leading_zero("1.0.0+01", "1.0.0+02", "registry+v1", "p.1.0.0+01")]
// Bundles of other formats say their release if they have one.
#[case::other_format("1.0.0+1", "1.0.0+2", "plain+v0", "p.1.0.0+1")]
fn build_metadata_is_a_release_where_it_can_be_one(
    #[case] from: &str,
    #[case] to: &str,
    #[case] media_type: &str,
    #[case] answer: &str,
) {
    let media_type = [json!({"type": "olm.bundle.mediatype", "value": media_type})];
    let entries = json!([{"name": format!("p.{from}")},
                         {"name": format!("p.{to}"), "replaces": format!("p.{from}")}]);
    let catalog = catalog(
        "c",
        0,
        &[
            channel("p", "s", &entries),
            bundle("p", from, &media_type),
            bundle("p", to, &media_type),
        ],
    );
    let request = ask("p", None, None, Some(from));
    assert_eq!(name(resolve(&[&catalog], &request)), answer);
}

#[test]
fn an_installed_bundle_whose_release_is_not_known_has_that_of_its_name() {
    let mut rebuilt = bundle("p", "1.0.0", &[]);
    rebuilt["properties"][0]["value"]["release"] = json!("2");
    let entries = json!([{"name": "p.1.0.0"}, {"name": "p.2.0.0", "skips": ["p.0.9.0"]}]);
    let catalog = catalog(
        "c",
        0,
        &[
            channel("p", "s", &entries),
            rebuilt,
            bundle("p", "2.0.0", &[]),
        ],
    );
    let stays = resolve(&[&catalog], &ask("p", None, Some("s"), Some("1.0.0"))).unwrap();
    assert_eq!((stays.bundle.name.as_str(), stays.stays), ("p.1.0.0", true));
    let refused = resolve(&[&catalog], &ask("p", Some("2.0.0"), None, Some("1.0.0")));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "package \"p\" is installed at 1.0.0-2 and has no update; Operator \"op\" asks for 2.0.0"
    );
}

#[test]
fn of_two_bundles_of_one_name_the_first_counts_and_the_other_is_noted() {
    let mut twin = bundle("p", "3.0.0", &[]);
    twin["name"] = json!("p.2.0.0");
    let entries = json!([{"name": "p.1.0.0"}, {"name": "p.2.0.0", "replaces": "p.1.0.0"}]);
    let catalog = catalog(
        "c",
        0,
        &[
            channel("p", "s", &entries),
            bundle("p", "1.0.0", &[]),
            bundle("p", "2.0.0", &[]),
            twin,
        ],
    );
    for from in [None, Some("1.0.0")] {
        let choice = resolve(&[&catalog], &ask("p", None, None, from)).unwrap();
        assert_eq!(choice.bundle.version, Ok(Version::new(2, 0, 0)));
    }
    assert_eq!(
        catalog.package("p").unwrap().notes,
        ["bundle \"p.2.0.0\" is more than once in catalog \"c\" (package \"p\"): the first counts"]
    );
}

#[test]
fn of_one_version_the_bundle_that_supersedes_the_others_is_chosen_whatever_their_names() {
    let document = |name: &str| {
        let mut bundle = bundle("p", "1.0.0", &[]);
        bundle["name"] = json!(name);
        bundle
    };
    let entries = json!([
        {"name": "z"}, {"name": "b", "replaces": "z"}, {"name": "x", "skips": ["b", "x"]},
        // A circle elsewhere disturbs nothing.
        {"name": "o", "replaces": "q"}, {"name": "q", "replaces": "o"},
    ]);
    let mut documents = vec![channel("p", "s", &entries)];
    documents.extend(["z", "b", "x"].map(document));
    documents.extend(["o", "q"].map(|name| {
        let mut bundle = bundle("p", "0.1.0", &[]);
        bundle["name"] = json!(name);
        bundle
    }));
    let answer = |documents: &[Value]| {
        let catalog = catalog("c", 0, documents);
        name(resolve(&[&catalog], &ask("p", None, None, None)))
    };
    assert_eq!(answer(&documents), "x");
    documents.reverse();
    assert_eq!(answer(&documents), "x");
}
