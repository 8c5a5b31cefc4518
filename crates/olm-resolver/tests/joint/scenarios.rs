//! The scenarios that the specification lists, by their numbers.

use olm_resolver::{Because, Facts};
use rstest::rstest;
use serde_json::json;

use crate::world::{Words, World, Written, ask, b, catalog, one, world};

fn seed() -> Vec<Written> {
    vec![
        b("A", "0.1.0").needs("C", "0.1.0"),
        b("B", "0.3.0").needs("C", "0.2.0"),
        b("C", "0.1.0"),
        b("C", "0.2.0"),
    ]
}

fn r01() -> World {
    let bundles = [
        b("A", "0.1.0").needs("C", "0.1.0"),
        b("A", "0.2.0").needs("C", "0.2.0"),
        b("B", "0.3.0").needs("D", ">=0.0.0"),
        b("C", "0.1.0"),
        b("C", "0.2.0"),
        b("D", "1.0.0"),
        b("D", "2.0.0"),
    ];
    one(&bundles, &[ask("A", "0.1.0"), ask("B", "")])
}

fn r02() -> World {
    one(&seed(), &[ask("A", "0.1.0"), ask("B", "")])
}

fn r03() -> World {
    let mut bundles = seed();
    bundles.push(b("B", "0.2.0").needs("C", ">=0.1.0"));
    one(&bundles, &[ask("A", "0.1.0"), ask("B", "")])
}

fn r05() -> World {
    let bundles = [
        b("A", "1.0.0"),
        b("A", "1.0.1").replaces("1.0.0"),
        b("B", "0.9.0"),
        b("B", "1.0.0"),
        b("B", "1.0.1").needs("C", "1.0.1").needs("D", "1.0.1"),
        b("C", "1.0.0").needs("E", "1.0.1"),
        b("C", "1.0.1").needs("E", "1.0.1"),
        b("D", "1.0.0"),
        b("D", "1.0.1"),
        b("D", "1.0.2"),
        b("E", "1.0.0"),
        b("E", "1.0.1"),
    ];
    one(&bundles, &[ask("A", "").at("1.0.0"), ask("B", "")])
}

fn r06(with_q: bool) -> World {
    let mut bundles = vec![
        b("A", "1.0.0").needs("P", ">=0.0.0").needs("Q", ">=0.0.0"),
        b("P", "1.0.0"),
    ];
    if with_q {
        bundles.push(b("Q", "1.0.0"));
    }
    one(&bundles, &[ask("A", "")])
}

fn r07() -> World {
    let bundles = [
        b("a", "1.0.0").gives("G"),
        b("a", "2.0.0").replaces("1.0.0"),
        b("b", "1.0.0").needs_api("G"),
    ];
    one(&bundles, &[ask("b", "")])
}

fn r08() -> World {
    one(&[b("a", "1.0.0").needs_api("g/v k")], &[ask("a", "")])
}

fn r09() -> World {
    let community = [
        b("B", "1.0.0").needs("C", "0.1.0"),
        b("C", "0.1.0").needs("D", "0.1.0"),
    ];
    let certified = [b("C", "0.1.0").image("certified.example.com/c:1")];
    let catalogs = vec![
        catalog("community", 0, &community),
        catalog("certified", 0, &certified),
    ];
    world(catalogs, &[ask("B", "")])
}

fn r10(high: i32, low: i32, own: bool) -> World {
    let mut first = vec![b("A", "1.0.0").needs("B", "0.0.1")];
    if own {
        first.push(b("B", "0.0.1"));
    }
    let catalogs = vec![
        catalog("community", 0, &first),
        catalog("community-operator", low, &[b("B", "0.0.1")]),
        catalog("high-priority-operator", high, &[b("B", "0.0.1")]),
    ];
    world(catalogs, &[ask("A", "")])
}

fn r11() -> World {
    let bundles = [
        b("A", "0.0.1").channel("alpha").needs_api("G"),
        b("B", "0.0.1").default_channel("stable").gives("G"),
        b("B", "0.0.2").channel("alpha").gives("G"),
    ];
    one(&bundles, &[ask("A", "")])
}

fn r12() -> World {
    let first = [
        b("A", "1.0.0")
            .channel("one")
            .needs_api("G1")
            .needs_api("G2"),
        b("A", "2.0.0").channel("two").gives("G1").gives("G2"),
        b("B", "1.0.0").default_channel("stable").gives("G1"),
        b("B", "1.0.0").named("B1").channel("alpha").gives("G1"),
    ];
    let second = [
        b("B", "1.0.0").named("B2").gives("G2"),
        b("C", "1.0.0").gives("G2"),
    ];
    let catalogs = vec![catalog("one", 0, &first), catalog("two", 0, &second)];
    world(catalogs, &[ask("A", "").in_channel("one")])
}

fn gvk(kind: &str) -> serde_json::Value {
    json!({"gvk": crate::world::api(kind)})
}

fn foo_and(constraint: serde_json::Value, foos: &[Written]) -> World {
    let mut bundles = vec![b("bar", "1.0.0").constraint(constraint)];
    bundles.extend_from_slice(foos);
    one(&bundles, &[ask("bar", "")])
}

fn r13() -> World {
    let package = json!({"package": {"packageName": "foo", "versionRange": ">=1.0.0"}});
    foo_and(
        json!({"all": {"constraints": [package, gvk("G1"), gvk("G2")]}}),
        &[
            b("foo", "0.99.0").gives("G1").gives("G2"),
            b("foo", "1.0.0").gives("G2"),
            b("foo", "1.0.1").gives("G1").gives("G2"),
        ],
    )
}

fn r14() -> World {
    foo_and(
        json!({"any": {"constraints": [gvk("G1"), gvk("G2")]}}),
        &[
            b("foo", "0.99.0").gives("G0"),
            b("foo", "1.0.0").gives("G1").gives("G2"),
            b("foo", "1.0.1").gives("G1").gives("G2"),
        ],
    )
}

fn r15() -> World {
    let not = json!({"not": {"constraints": [gvk("G1"), gvk("G2")]}});
    foo_and(
        json!({"all": {"constraints": [gvk("G0"), not]}}),
        &[
            b("foo", "0.99.0").gives("G0"),
            b("foo", "1.0.0").gives("G0").gives("G1").gives("G2"),
            b("foo", "1.0.1")
                .gives("G0")
                .gives("G1")
                .gives("G2")
                .gives("G3"),
        ],
    )
}

fn r16(also_baz: bool) -> World {
    let package =
        |name: &str, range: &str| json!({"package": {"packageName": name, "versionRange": range}});
    let any =
        json!({"any": {"constraints": [package("foo", ">=1.0.0"), package("baz", ">=1.5.0")]}});
    let not = json!({"not": {"constraints": [gvk("g9/v1 Legacy")]}});
    let third = b("baz", "1.5.0");
    let bundles = [
        b("bar", "1.0.0").constraint(any).constraint(not),
        b("foo", "1.0.0").gives("g9/v1 Legacy"),
        b("foo", "2.0.0").gives("g9/v1 Legacy"),
        if also_baz {
            third.gives("g9/v1 Legacy")
        } else {
            third
        },
    ];
    one(&bundles, &[ask("bar", "")])
}

fn r17() -> World {
    let unknown = json!({"failureMessage": "no", "unknown": {}});
    let bundles = [b("bar", "1.0.0").constraint(unknown), b("foo", "1.0.0")];
    one(&bundles, &[ask("bar", ""), ask("foo", "")])
}

fn r18(rule: &str) -> World {
    let cel = json!({"failureMessage": "gvk2-constraint", "cel": {"rule": rule}});
    let bundles = [
        b("opA", "1.0.0").constraint(cel),
        b("packageB", "1.0.0"),
        b("packageB", "1.0.1"),
        b("packageB", "1.0.2"),
    ];
    one(&bundles, &[ask("opA", "")])
}

const R18_RULE: &str = "properties.exists(p, p.type == 'olm.package' && \
     p.value.packageName == 'packageB' && (semver_compare(p.value.version, '1.0.1') == 0))";

fn r19(carried: bool) -> World {
    let labelled = b("B", "1.0.0");
    let bundles = [
        b("A", "1.0.0").needs_label("lts"),
        if carried {
            labelled.label("lts")
        } else {
            labelled
        },
    ];
    one(&bundles, &[ask("A", "")])
}

fn r20(all: bool) -> World {
    let mut bundles = vec![b("a", "1.0.0")];
    if all {
        bundles.push(b("a", "2.0.0").withdrawn());
        bundles.push(b("a", "3.0.0"));
    } else {
        bundles = vec![b("a", "1.0.0").withdrawn()];
    }
    one(&bundles, &[ask("a", "")])
}

fn r25(range: &str) -> World {
    let bundles = [
        b("a", "1.0.0").needs("b", "1.0.0"),
        b("b", "1.0.0"),
        b("b", "2.0.0").replaces("1.0.0"),
    ];
    one(
        &bundles,
        &[ask("a", "").at("1.0.0"), ask("b", range).at("1.0.0")],
    )
}

fn r26(moved: bool) -> World {
    let mut bundles = vec![
        b("A", "1.0.0").gives("G1"),
        b("A", "1.0.1").replaces("1.0.0").needs_api("G1"),
        b("B", "1.0.0").needs_api("G1"),
    ];
    if moved {
        bundles.push(b("B", "1.0.1").replaces("1.0.0").gives("G1"));
    }
    one(
        &bundles,
        &[ask("A", "").at("1.0.0"), ask("B", "").at("1.0.0")],
    )
}

fn r27() -> World {
    let bundles = [
        b("a", "1.0.0").gives("G1").needs_api("G2"),
        b("b", "1.0.0").gives("G2").needs_api("G1"),
        b("a", "2.0.0")
            .replaces("1.0.0")
            .gives("G3")
            .needs_api("G4"),
        b("b", "2.0.0")
            .replaces("1.0.0")
            .gives("G4")
            .needs_api("G3"),
    ];
    one(
        &bundles,
        &[ask("a", "").at("1.0.0"), ask("b", "").at("1.0.0")],
    )
}

fn r28(runs: bool) -> World {
    let bundles = [
        b("a", "1.0.0").gives("g/v k"),
        b("b", "1.0.0").gives("g/v k"),
    ];
    let first = ask("a", "");
    one(
        &bundles,
        &[if runs { first.at("1.0.0") } else { first }, ask("b", "")],
    )
}

fn r29(excluded: &str) -> World {
    let bundles = [
        b("packageA", "1.0.0").needs_api("G"),
        b("packageB", "1.0.0").gives("G"),
        b("packageC", "1.0.0").gives("G"),
    ];
    let mut world = one(&bundles, &[ask("packageA", "")]);
    world.facts = Facts {
        excluded: [excluded.to_owned()].into(),
        ..Facts::default()
    };
    world
}

fn r30() -> World {
    let bundles = [
        b("a-1", "1.0.0").needs_api("G"),
        b("b", "1.0.0").gives("G").channel("stable"),
        b("b", "2.0.0"),
        b("b", "3.0.0").edge(json!({"skips": ["b.v1.0.0"]})),
    ];
    one(&bundles, &[ask("a-1", "")])
}

fn r31() -> World {
    let operators = [
        ask("P", "").called("x").since(1),
        ask("P", "").called("y").since(2),
    ];
    one(&[b("P", "1.0.0")], &operators)
}

fn r32(with_p: bool) -> World {
    let mut operators = vec![ask("q", "")];
    if with_p {
        operators.insert(0, ask("p", ""));
    }
    one(&[b("q", "1.0.0")], &operators)
}

/// Exactly the versions and ranges of the row.
fn r33(kuadrant: &str, authorino: &str) -> World {
    let bundles = [
        b("kuadrant-operator", "0.10.0")
            .needs("authorino-operator", "0.12.0")
            .needs("limitador-operator", "0.10.0")
            .needs("dns-operator", "0.6.0"),
        b("kuadrant-operator", "0.11.0")
            .needs("authorino-operator", "0.13.0")
            .needs("limitador-operator", "0.11.0")
            .needs("dns-operator", "0.6.0"),
        b("authorino-operator", "0.12.0"),
        b("authorino-operator", "0.13.0"),
        b("authorino-operator", "0.16.0"),
        b("limitador-operator", "0.10.0"),
        b("limitador-operator", "0.11.0"),
        b("dns-operator", "0.6.0"),
    ];
    let operators = [
        ask("kuadrant-operator", kuadrant),
        ask("authorino-operator", authorino).since(1),
        ask("limitador-operator", "").since(2),
        ask("dns-operator", "").since(3),
    ];
    one(&bundles, &operators)
}

/// Exactly the versions and ranges of the row.
fn r34(range: &str) -> World {
    let bundles = [
        b("eclipse-che", "7.41.2"),
        b("eclipse-che", "7.42.0").needs("devworkspace-operator", ">=0.8.0"),
        b("eclipse-che", "7.121.0").needs("devworkspace-operator", ">=0.11.0"),
    ];
    one(&bundles, &[ask("eclipse-che", range)])
}

#[rstest]
#[case::r01(r01(), "A 0.1.0, B 0.3.0, C 0.1.0, D 2.0.0")]
#[case::r02(r02(), "")]
#[case::r03(r03(), "A 0.1.0, B 0.2.0, C 0.1.0")]
#[case::r05(r05(), "A 1.0.1, B 1.0.1, C 1.0.1, D 1.0.1, E 1.0.1")]
#[case::r06(r06(false), "")]
#[case::r06_with_q(r06(true), "A 1.0.0, P 1.0.0, Q 1.0.0")]
#[case::r07(r07(), "a 1.0.0, b 1.0.0")]
#[case::r09(r09(), "B 1.0.0 community, C 0.1.0 certified")]
#[case::r10_priority(
    r10(100, 0, false),
    "A 1.0.0 community, B 0.0.1 high-priority-operator"
)]
#[case::r10_name(r10(100, 100, false), "A 1.0.0 community, B 0.0.1 community-operator")]
#[case::r10_own(r10(0, 0, true), "A 1.0.0 community, B 0.0.1 community")]
#[case::r11(r11(), "A 0.0.1, B 0.0.1")]
#[case::r12(r12(), "A 1.0.0 one, B 1.0.0 one, C 1.0.0 two")]
#[case::r13(r13(), "bar 1.0.0, foo 1.0.1")]
#[case::r14(r14(), "bar 1.0.0, foo 1.0.1")]
#[case::r15(r15(), "bar 1.0.0, foo 0.99.0")]
#[case::r16(r16(false), "bar 1.0.0, baz 1.5.0")]
#[case::r17(r17(), "foo 1.0.0")]
#[case::r18(r18(R18_RULE), "opA 1.0.0, packageB 1.0.1")]
#[case::r19(r19(true), "A 1.0.0, B 1.0.0")]
#[case::r19_nobody(r19(false), "")]
#[case::r20(r20(true), "a 3.0.0")]
#[case::r25(r25(""), "a 1.0.0, b 1.0.0")]
#[case::r26(r26(false), "A 1.0.0, B 1.0.0")]
#[case::r26_moved(r26(true), "A 1.0.1, B 1.0.1")]
#[case::r27(r27(), "a 2.0.0, b 2.0.0")]
#[case::r28(r28(false), "")]
#[case::r29(r29("packageB"), "packageA 1.0.0, packageC 1.0.0")]
#[case::r30(r30(), "a-1 1.0.0, b 1.0.0")]
#[case::r31(r31(), "P 1.0.0")]
#[case::r32(r32(true), "q 1.0.0")]
#[case::r32_without(r32(false), "q 1.0.0")]
#[case::r33(
    r33("", ""),
    "authorino-operator 0.13.0, dns-operator 0.6.0, kuadrant-operator 0.11.0, limitador-operator 0.11.0"
)]
#[case::r33_pinned(
    r33("", "0.12.0"),
    "authorino-operator 0.12.0, dns-operator 0.6.0, kuadrant-operator 0.10.0, limitador-operator 0.10.0"
)]
#[case::r34(r34(""), "eclipse-che 7.41.2")]
fn what_is_selected(#[case] world: World, #[case] selected: &str) {
    assert_eq!(world.selected(), selected);
}

#[rstest]
#[case::r02(
    r02(),
    "B",
    "unable to resolve: A 0.1.0 requires C 0.1.0, which conflicts with B 0.3.0 requiring C 0.2.0"
)]
#[case::r06(
    r06(false),
    "A",
    "A 1.0.0 requires package \"Q\" in range \">=0.0.0\", which no catalog offers"
)]
#[case::r08(r08(), "a", "a 1.0.0 requires an API g/v k that no bundle provides")]
#[case::r16(
    r16(true),
    "bar",
    "bar 1.0.0 does not allow g9/v1 Legacy, which baz 1.5.0, foo 1.0.0 and foo 2.0.0 provide"
)]
#[case::r17(
    r17(),
    "bar",
    "no usable version of package \"bar\": 1.0.0 has unreadable requirements (error determining \
     bundle required packages for bundle \"bar.v1.0.0\": parse olm.constraint: json: unknown field \
     \"unknown\")"
)]
#[case::r18(
    r18("false"),
    "opA",
    "gvk2-constraint (opA 1.0.0 needs one bundle with: rule \"false\")"
)]
#[case::r19(
    r19(false),
    "A",
    "A 1.0.0 requires a bundle with label \"lts\", which no catalog offers"
)]
#[case::r20(
    r20(false),
    "a",
    "no usable version of package \"a\": 1.0.0 is deprecated"
)]
#[case::r25(
    r25("2.0.0"),
    "b",
    "updating b to 2.0.0 would break a 1.0.0, which requires b 1.0.0"
)]
#[case::r28(
    r28(false),
    "a",
    "unable to resolve: a 1.0.0 and b 1.0.0 both provide g/v k"
)]
#[case::r28_other(
    r28(false),
    "b",
    "unable to resolve: a 1.0.0 and b 1.0.0 both provide g/v k"
)]
#[case::r28_new(
    r28(true),
    "b",
    "unable to resolve: a 1.0.0 and b 1.0.0 both provide g/v k"
)]
#[case::r29(
    r29("packageA"),
    "packageA",
    "no usable version of package \"packageA\": 1.0.0 is not allowed by the administrator"
)]
#[case::r31(
    r31(),
    "y",
    "package \"P\" is already asked for by Operator \"x\", delete one of the two: duplicate \
     identifier \"required package P\" in input"
)]
#[case::r32(r32(true), "p", "no package \"p\" found")]
#[case::r33(
    r33("0.11.0", "0.12.0"),
    "kuadrant-operator",
    "unable to resolve: kuadrant-operator 0.11.0 requires authorino-operator 0.13.0, which conflicts \
     with Operator \"authorino-operator\" asking for authorino-operator 0.12.0"
)]
#[case::r34(
    r34(">=7.42.0"),
    "eclipse-che",
    "eclipse-che 7.121.0 requires package \"devworkspace-operator\" in range \">=0.11.0\", which no \
     catalog offers"
)]
fn why_nothing_is_selected(#[case] world: World, #[case] operator: &str, #[case] summary: &str) {
    assert_eq!(world.summary(operator), summary);
}

#[rstest]
#[case::r02(
    r02(),
    "A",
    "constraints not satisfiable:
unable to resolve: A 0.1.0 requires C 0.1.0, which conflicts with B 0.3.0 requiring C 0.2.0
- you asked for A 0.1.0
- you asked for B *
- A 0.1.0 requires C 0.1.0
- B 0.3.0 requires C 0.2.0
- only one version of C can be installed"
)]
#[case::r08(
    r08(),
    "a",
    "constraints not satisfiable:
a 1.0.0 requires an API g/v k that no bundle provides
- you asked for a *
- a 1.0.0 requires an API g/v k that no bundle provides"
)]
#[case::r16(
    r16(true),
    "bar",
    "constraints not satisfiable:
bar 1.0.0 does not allow g9/v1 Legacy, which baz 1.5.0, foo 1.0.0 and foo 2.0.0 provide
- you asked for bar *
- bar 1.0.0 requires one bundle with: any(package \"foo\" in range \">=1.0.0\", package \"baz\" in range \">=1.5.0\")
- bar 1.0.0 does not allow g9/v1 Legacy"
)]
#[case::r25(
    r25("2.0.0"),
    "b",
    "constraints not satisfiable:
updating b to 2.0.0 would break a 1.0.0, which requires b 1.0.0
- you asked for a *
- you asked for b 2.0.0
- a 1.0.0 requires b 1.0.0
- only one version of b can be installed"
)]
#[case::r28(
    r28(false),
    "a",
    "constraints not satisfiable:
unable to resolve: a 1.0.0 and b 1.0.0 both provide g/v k
- you asked for a *
- you asked for b *
- only one package can provide g/k"
)]
#[case::r34(
    r34(">=7.42.0"),
    "eclipse-che",
    "constraints not satisfiable:
eclipse-che 7.121.0 requires package \"devworkspace-operator\" in range \">=0.11.0\", which no catalog offers
- you asked for eclipse-che >=7.42.0
- eclipse-che 7.121.0 requires package \"devworkspace-operator\" in range \">=0.11.0\", which no catalog offers
- eclipse-che 7.42.0 requires package \"devworkspace-operator\" in range \">=0.8.0\", which no catalog offers"
)]
fn the_whole_explanation(#[case] world: World, #[case] operator: &str, #[case] text: &str) {
    assert_eq!(world.explanation(operator), text);
}

#[rstest]
#[case::r03(
    r03(),
    "B",
    &["newest version 0.3.0 is held back: A 0.1.0 requires C 0.1.0, which conflicts with B 0.3.0 requiring C 0.2.0"]
)]
#[case::r25(
    r25(""),
    "b",
    &["newest version 2.0.0 is held back: updating b to 2.0.0 would break a 1.0.0, which requires b 1.0.0"]
)]
#[case::r26(
    r26(false),
    "A",
    &["newest version 1.0.1 is held back: it requires an API example.com/v1 G1 that only other versions of A provide"]
)]
#[case::r33(
    r33("", ""),
    "authorino-operator",
    &["newest version 0.16.0 is held back: kuadrant-operator 0.11.0 requires authorino-operator 0.13.0"]
)]
#[case::r34(
    r34(""),
    "eclipse-che",
    &[
        "newest version 7.121.0 is held back: it requires package \"devworkspace-operator\" in range \">=0.11.0\", which no catalog offers",
        "version 7.42.0 is held back: it requires package \"devworkspace-operator\" in range \">=0.8.0\", which no catalog offers",
    ]
)]
fn why_it_is_not_newer(#[case] world: World, #[case] operator: &str, #[case] texts: &[&str]) {
    assert_eq!(world.held_back(operator), texts);
}

#[test]
fn r01_dependencies_say_who_needs_them() {
    let resolution = r01().solve();
    let [group_a, group_b] = resolution.groups.as_slice() else {
        panic!("A and B have nothing to do with one another");
    };
    let reasons = |group: &[olm_resolver::Selected]| -> Vec<(String, Because)> {
        let entries = group.iter();
        entries
            .map(|selected| (selected.bundle.package.clone(), selected.because))
            .collect()
    };
    let dependency = Because::Dependency {
        of: 0,
        requirement: 0,
    };
    assert_eq!(
        reasons(group_a),
        [
            ("A".to_owned(), Because::Requested(0)),
            ("C".to_owned(), dependency)
        ]
    );
    assert_eq!(
        reasons(group_b),
        [
            ("B".to_owned(), Because::Requested(1)),
            ("D".to_owned(), dependency)
        ]
    );
}

#[test]
fn r25_ignoring_edges_does_not_ignore_dependants() {
    let mut world = r25("2.0.0");
    world.operators[1] = world.operators[1].clone().ignoring();
    assert_eq!(
        world.summary("b"),
        "updating b to 2.0.0 would break a 1.0.0, which requires b 1.0.0"
    );
}

#[test]
fn r28_what_runs_stays() {
    let world = r28(true);
    assert!(world.solve().groups.is_empty());
    assert!(
        world
            .explanation("a")
            .starts_with("constraints not satisfiable:\n")
    );
}

#[test]
fn r32_a_broken_request_changes_nothing_for_another() {
    assert_eq!(r32(true).version("q"), r32(false).version("q"));
}

/// All of the above, and more in `updates`.
pub(crate) fn all() -> Vec<World> {
    let mut worlds = vec![
        r01(),
        r02(),
        r03(),
        r05(),
        r06(false),
        r06(true),
        r07(),
        r08(),
        r09(),
        r10(100, 0, false),
        r10(100, 100, false),
        r10(0, 0, true),
        r11(),
        r12(),
        r13(),
        r14(),
        r15(),
        r16(false),
        r16(true),
        r17(),
        r18(R18_RULE),
        r18("false"),
        r19(true),
        r19(false),
        r20(true),
        r20(false),
    ];
    worlds.extend([
        r25(""),
        r25("2.0.0"),
        r26(false),
        r26(true),
        r27(),
        r28(false),
        r28(true),
        r29("packageA"),
        r29("packageB"),
        r30(),
        r31(),
        r32(true),
        r33("", ""),
        r33("", "0.12.0"),
        r33("0.11.0", "0.12.0"),
        r34(""),
        r34(">=7.42.0"),
    ]);
    worlds
}
