//! What is said where nothing is selected, or nothing newer.

use rstest::rstest;

use crate::world::{Words, World};

use super::worlds::{
    r02, r03, r06, r08, r16, r17, r18, r19, r20, r25, r26, r28, r29, r31, r32, r33, r34,
};

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
fn r25_ignoring_edges_does_not_ignore_dependants() {
    let mut world = r25("2.0.0");
    world.operators[1] = world.operators[1].clone().ignoring();
    assert_eq!(
        world.summary("b"),
        "updating b to 2.0.0 would break a 1.0.0, which requires b 1.0.0"
    );
}
