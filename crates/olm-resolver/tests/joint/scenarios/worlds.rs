//! What is given in each scenario.

use olm_resolver::Facts;
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

pub(super) fn r01() -> World {
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

pub(super) fn r02() -> World {
    one(&seed(), &[ask("A", "0.1.0"), ask("B", "")])
}

pub(super) fn r03() -> World {
    let mut bundles = seed();
    bundles.push(b("B", "0.2.0").needs("C", ">=0.1.0"));
    one(&bundles, &[ask("A", "0.1.0"), ask("B", "")])
}

pub(super) fn r05() -> World {
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

pub(super) fn r06(with_q: bool) -> World {
    let mut bundles = vec![
        b("A", "1.0.0").needs("P", ">=0.0.0").needs("Q", ">=0.0.0"),
        b("P", "1.0.0"),
    ];
    if with_q {
        bundles.push(b("Q", "1.0.0"));
    }
    one(&bundles, &[ask("A", "")])
}

pub(super) fn r07() -> World {
    let bundles = [
        b("a", "1.0.0").gives("G"),
        b("a", "2.0.0").replaces("1.0.0"),
        b("b", "1.0.0").needs_api("G"),
    ];
    one(&bundles, &[ask("b", "")])
}

pub(super) fn r08() -> World {
    one(&[b("a", "1.0.0").needs_api("g/v k")], &[ask("a", "")])
}

pub(super) fn r09() -> World {
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

pub(super) fn r10(high: i32, low: i32, own: bool) -> World {
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

pub(super) fn r11() -> World {
    let bundles = [
        b("A", "0.0.1").channel("alpha").needs_api("G"),
        b("B", "0.0.1").default_channel("stable").gives("G"),
        b("B", "0.0.2").channel("alpha").gives("G"),
    ];
    one(&bundles, &[ask("A", "")])
}

pub(super) fn r12() -> World {
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

pub(super) fn r13() -> World {
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

pub(super) fn r14() -> World {
    foo_and(
        json!({"any": {"constraints": [gvk("G1"), gvk("G2")]}}),
        &[
            b("foo", "0.99.0").gives("G0"),
            b("foo", "1.0.0").gives("G1").gives("G2"),
            b("foo", "1.0.1").gives("G1").gives("G2"),
        ],
    )
}

pub(super) fn r15() -> World {
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

pub(super) fn r16(also_baz: bool) -> World {
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

pub(super) fn r17() -> World {
    let unknown = json!({"failureMessage": "no", "unknown": {}});
    let bundles = [b("bar", "1.0.0").constraint(unknown), b("foo", "1.0.0")];
    one(&bundles, &[ask("bar", ""), ask("foo", "")])
}

pub(super) fn r18(rule: &str) -> World {
    let cel = json!({"failureMessage": "gvk2-constraint", "cel": {"rule": rule}});
    let bundles = [
        b("opA", "1.0.0").constraint(cel),
        b("packageB", "1.0.0"),
        b("packageB", "1.0.1"),
        b("packageB", "1.0.2"),
    ];
    one(&bundles, &[ask("opA", "")])
}

pub(super) const R18_RULE: &str = "properties.exists(p, p.type == 'olm.package' && \
     p.value.packageName == 'packageB' && (semver_compare(p.value.version, '1.0.1') == 0))";

pub(super) fn r19(carried: bool) -> World {
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

pub(super) fn r20(all: bool) -> World {
    let mut bundles = vec![b("a", "1.0.0")];
    if all {
        bundles.push(b("a", "2.0.0").withdrawn());
        bundles.push(b("a", "3.0.0"));
    } else {
        bundles = vec![b("a", "1.0.0").withdrawn()];
    }
    one(&bundles, &[ask("a", "")])
}

pub(super) fn r25(range: &str) -> World {
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

pub(super) fn r26(moved: bool) -> World {
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

pub(super) fn r27() -> World {
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

pub(super) fn r28(runs: bool) -> World {
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

pub(super) fn r29(excluded: &str) -> World {
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

pub(super) fn r30() -> World {
    let bundles = [
        b("a-1", "1.0.0").needs_api("G"),
        b("b", "1.0.0").gives("G").channel("stable"),
        b("b", "2.0.0"),
        b("b", "3.0.0").edge(json!({"skips": ["b.v1.0.0"]})),
    ];
    one(&bundles, &[ask("a-1", "")])
}

pub(super) fn r31() -> World {
    let operators = [
        ask("P", "").called("x").since(1),
        ask("P", "").called("y").since(2),
    ];
    one(&[b("P", "1.0.0")], &operators)
}

pub(super) fn r32(with_p: bool) -> World {
    let mut operators = vec![ask("q", "")];
    if with_p {
        operators.insert(0, ask("p", ""));
    }
    one(&[b("q", "1.0.0")], &operators)
}

/// Exactly the versions and ranges of the row.
pub(super) fn r33(kuadrant: &str, authorino: &str) -> World {
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
pub(super) fn r34(range: &str) -> World {
    let bundles = [
        b("eclipse-che", "7.41.2"),
        b("eclipse-che", "7.42.0").needs("devworkspace-operator", ">=0.8.0"),
        b("eclipse-che", "7.121.0").needs("devworkspace-operator", ">=0.11.0"),
    ];
    one(&bundles, &[ask("eclipse-che", range)])
}
