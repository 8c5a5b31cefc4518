//! What is selected, and why it is there.

use olm_resolver::Because;
use rstest::rstest;

use crate::world::World;

use super::worlds::{
    R18_RULE, r01, r02, r03, r05, r06, r07, r09, r10, r11, r12, r13, r14, r15, r16, r17, r18, r19,
    r20, r25, r26, r27, r28, r29, r30, r31, r32, r33, r34,
};

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
