//! The scenarios about what is installed, by their numbers, and that order changes nothing.

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use rstest::rstest;
use serde_json::json;

use crate::scenarios::all;
use crate::world::{Words, World, Written, ask, b, one};

fn prometheus() -> Vec<Written> {
    vec![
        b("prometheus", "1.0.0"),
        b("prometheus", "1.0.1").replaces("1.0.0"),
        b("prometheus", "1.2.0").replaces("1.0.1"),
        b("prometheus", "2.0.0").replaces("1.2.0"),
    ]
}

fn r04(range: &str, channel: &str) -> World {
    let bundles = [
        b("test-package", "1.0.0").channel("other"),
        b("test-package", "2.0.0"),
        b("test-package", "3.0.0").channel("stable").channel("beta"),
    ];
    let operator = ask("test-package", range);
    let operator = if channel.is_empty() {
        operator
    } else {
        operator.in_channel(channel)
    };
    one(&bundles, &[operator])
}

#[rstest]
#[case("", "", "3.0.0")]
#[case("", "beta", "3.0.0")]
#[case(">=1.0.0 !=2.0.0 <3.0.0", "", "1.0.0")]
#[case("", "none", "no package \"test-package\" found in channel \"none\"")]
#[case(
    "4.0.0",
    "",
    "no package \"test-package\" matching version \"4.0.0\" found"
)]
#[case(
    "4.0.0",
    "beta",
    "no package \"test-package\" matching version \"4.0.0\" found in channel \"beta\""
)]
fn r04_a_request(#[case] range: &str, #[case] channel: &str, #[case] answer: &str) {
    assert_eq!(r04(range, channel).version("test-package"), answer);
}

fn r21(from: &str, range: &str) -> World {
    one(&prometheus(), &[ask("prometheus", range).at(from)])
}

#[test]
fn r21_edges_by_version() {
    assert_eq!(
        r21("1.0.0", "1.2.0").semver().version("prometheus"),
        "1.2.0"
    );
    assert_eq!(
        r21("1.0.0", "2.0.0").semver().version("prometheus"),
        "constraints not satisfiable:
package \"prometheus\" is installed at 1.0.0 and may only be updated to 1.2.0, 1.0.1; Operator \"prometheus\" asks for 2.0.0
- installed package prometheus requires at least one of catalog-prometheus-prometheus.v1.2.0, \
catalog-prometheus-prometheus.v1.0.1, catalog-prometheus-prometheus.v1.0.0"
    );
}

#[rstest]
#[case("1.0.0", "1.0.1", "1.0.1")]
#[case(
    "1.0.0",
    "1.2.0",
    "constraints not satisfiable:
package \"prometheus\" is installed at 1.0.0 and may only be updated to 1.0.1; Operator \"prometheus\" asks for 1.2.0, which can be reached in several updates, the next one to 1.0.1
- installed package prometheus requires at least one of catalog-prometheus-prometheus.v1.0.1, catalog-prometheus-prometheus.v1.0.0"
)]
#[case(
    "1.0.1",
    "1.0.0",
    "constraints not satisfiable:
package \"prometheus\" is installed at 1.0.1 and may only be updated to 1.2.0; Operator \"prometheus\" asks for 1.0.0
- installed package prometheus requires at least one of catalog-prometheus-prometheus.v1.2.0, catalog-prometheus-prometheus.v1.0.1"
)]
fn r21_edges_of_the_catalog(#[case] from: &str, #[case] range: &str, #[case] answer: &str) {
    assert_eq!(r21(from, range).version("prometheus"), answer);
}

#[rstest]
#[case("2.0.0")]
#[case("1.0.0")]
fn r21_whoever_ignores_edges_gets_it(#[case] range: &str) {
    let operator = ask("prometheus", range).at("1.0.1").ignoring();
    assert_eq!(one(&prometheus(), &[operator]).version("prometheus"), range);
}

#[rstest]
#[case("2.0.0", "2.2.0")]
#[case("0.1.0", "0.1.2")]
#[case("0.0.1", "0.0.1")]
fn r22_compatible_versions(#[case] from: &str, #[case] answer: &str) {
    let versions = [
        "0.0.1", "0.0.2", "0.1.0", "0.1.1", "0.1.2", "0.2.0", "2.0.0", "2.1.0", "2.2.0", "3.0.0",
    ];
    let bundles: Vec<Written> = versions.iter().map(|v| b("test-package", v)).collect();
    let world = one(&bundles, &[ask("test-package", "").at(from)]).semver();
    assert_eq!(world.version("test-package"), answer);
}

fn r23(bundles: &[Written]) -> String {
    let mut operator = ask("a", "").at("0.0.0");
    "a.v1".clone_into(&mut operator.request.installed.as_mut().unwrap().name);
    let world = one(bundles, &[operator]);
    let resolution = world.solve();
    resolution.answers[0].as_ref().unwrap().bundle.name.clone()
}

#[test]
fn r23_ranges_that_are_skipped() {
    let bundle = |name: &str, edge| b("a", "1.0.0").named(name).edge(edge);
    let range = "< 1.0.0";
    let three = json!({"replaces": "a.v2", "skipRange": range});
    assert_eq!(r23(&[bundle("a.v3", three.clone())]), "a.v3");
    let two = json!({"replaces": "a.v1"});
    let four = json!({"replaces": "a.v3", "skipRange": "< 1.0.0 !0.0.0"});
    assert_eq!(
        r23(&[
            bundle("a.v2", two),
            bundle("a.v3", three),
            bundle("a.v4", four)
        ]),
        "a.v3"
    );
    let two = json!({"skips": ["a.v1"]});
    let three = json!({"replaces": "a.v2", "skips": ["a.v1"]});
    assert_eq!(r23(&[bundle("a.v2", two), bundle("a.v3", three)]), "a.v3");
}

#[test]
fn r24_what_failed_is_updated_like_anything_else() {
    let bundles = [b("a", "2.0.0"), b("a", "3.0.0").replaces("2.0.0")];
    let world = one(&bundles, &[ask("a", "").at("2.0.0")]);
    assert_eq!(world.version("a"), "3.0.0");
}

#[test]
fn r35_order_changes_nothing() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut worlds = all();
    worlds.push(r21("1.0.0", "1.2.0"));
    worlds.push(r21("1.0.0", "2.0.0").semver());
    for world in worlds {
        let expected = world.transcript();
        for _ in 0..100 {
            let mut shuffled = world.clone();
            shuffle(&mut shuffled.catalogs, &mut random);
            shuffle(&mut shuffled.operators, &mut random);
            for catalog in &mut shuffled.catalogs {
                shuffle(&mut catalog.bundles, &mut random);
            }
            assert_eq!(shuffled.transcript(), expected);
        }
    }
}

fn shuffle<T>(items: &mut [T], random: &mut TestRng) {
    for at in (1..items.len()).rev() {
        let other = random.random_range(0..=at);
        items.swap(at, other);
    }
}
