//! Versions and releases of bundles.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod fixture;

use fixture::{bundle, package_property, released};
use olm_fbc::config::{Bundle, Property};
use olm_fbc::release::{Release, VersionRelease};
use rstest::rstest;
use serde_json::json;

fn with(properties: Vec<Property>, substitutes: Option<&str>) -> Bundle {
    let mut bundle = bundle("p", "1.0.0");
    bundle.properties = properties;
    bundle.summary.substitutes_for = substitutes.map(str::to_owned);
    bundle
}

#[rstest]
#[case::plain(package_property("p", "1.2.3"), None, "1.2.3")]
#[case::build_metadata_of_another_kind(package_property("p", "1.2.3+x"), None, "1.2.3+x")]
#[case::release(released("p", "1.2.3", "2"), None, "1.2.3-2")]
#[case::rebuild(package_property("p", "1.2.3+0.a.1"), Some("p.v1.2.3"), "1.2.3-0.a.1")]
#[case::substitute_without_build(package_property("p", "1.2.4"), Some("p.v1.2.3"), "1.2.4")]
#[case::empty_annotation(package_property("p", "1.2.3+1"), Some(""), "1.2.3+1")]
fn the_version_of_a_bundle_is_told(
    #[case] property: Property,
    #[case] substitutes: Option<&str>,
    #[case] expected: &str,
) {
    let found = VersionRelease::of(&with(vec![property], substitutes)).unwrap();
    assert_eq!(found.to_string(), expected);
}

#[rstest]
#[case::none(vec![], None, "no \"olm.package\" property found for bundle \"p.v1.0.0\"")]
#[case::two(
    vec![package_property("p", "1.0.0"), package_property("p", "1.0.0")], None,
    "must be exactly one property of type \"olm.package\""
)]
#[case::version(
    vec![package_property("p", "1")], None,
    "invalid semver version \"1\" in \"olm.package\" property for bundle \"p.v1.0.0\": No \
     Major.Minor.Patch elements found"
)]
#[case::release(
    vec![released("p", "1.0.0", "01")], None,
    "invalid release \"01\" in \"olm.package\" property for bundle \"p.v1.0.0\": invalid release \
     \"01\": segment 0: Numeric PreRelease version must not contain leading zeroes \"01\""
)]
#[case::build(
    vec![package_property("p", "1.0.0+01")], Some("x"),
    "unable to convert build metadata to release for bundle \"p.v1.0.0\": invalid release \"01\": \
     segment 0: Numeric PreRelease version must not contain leading zeroes \"01\""
)]
#[case::both(
    vec![released("p", "1.0.0", "1")], Some("p.v0"),
    "bundle \"p.v1.0.0\" cannot have both a release version (\"1\") and olm.substitutesFor \
     annotation (\"p.v0\")"
)]
#[case::shape(
    vec![Property::new("olm.package", &json!([]))], None,
    "parse property[0] of type \"olm.package\": "
)]
fn a_version_that_cannot_be_told_says_why(
    #[case] properties: Vec<Property>,
    #[case] substitutes: Option<&str>,
    #[case] message: &str,
) {
    let error = VersionRelease::of(&with(properties, substitutes)).unwrap_err();
    assert!(error.to_string().starts_with(message), "{error}");
}

#[test]
fn versions_come_before_releases_and_none_is_lowest() {
    let parse = |text: &str| {
        let (version, release) = text.split_once('/').unwrap_or((text, ""));
        VersionRelease::of(&with(vec![released("p", version, release)], None)).unwrap()
    };
    let ordered = [
        "1.0.0-rc.1",
        "1.0.0-rc.1/9",
        "1.0.0",
        "1.0.0/1",
        "1.0.0/1.0",
        "1.0.0/2",
        "1.0.0/10",
        "1.0.0/a",
        "1.0.1",
    ];
    for pair in ordered.windows(2) {
        assert!(parse(pair[0]) < parse(pair[1]), "{pair:?}");
    }
}

#[test]
fn an_empty_release_is_none() {
    assert!(Release::parse("").is_err());
    assert_eq!(Release::parse("a-b.1").unwrap().as_str(), "a-b.1");
}
