//! The vectors of the Go libraries, where they are present, and properties that need none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "tests"
)]

use std::ops::RangeBounds as _;

use olm_semver::masterminds::{Constraint, PrereleaseMode};
use olm_semver::{Version, blang, compare_releases};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::Value;

fn vectors(name: &str) -> Option<Value> {
    let path = olm_testdata::find(&format!("semver-vectors/{name}")).unwrap()?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn rows<'a>(vectors: &'a Value, table: &str) -> &'a [Value] {
    vectors[table].as_array().unwrap()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap()
}

#[test]
fn masterminds_vectors_hold() {
    let Some(vectors) = vectors("masterminds.json") else {
        return;
    };
    let mut wrong = Vec::new();
    for row in rows(&vectors, "match") {
        let constraint = Constraint::parse(text(row, "range")).unwrap();
        let version = Version::parse_lenient(text(row, "version")).unwrap();
        for (mode, name) in [
            (PrereleaseMode::Single, "single"),
            (PrereleaseMode::Group, "group"),
            (PrereleaseMode::Include, "include"),
        ] {
            if row["expect"][name] != constraint.matches(&version, mode) {
                wrong.push(format!("{name} {row}"));
            }
        }
    }
    for row in rows(&vectors, "parse") {
        if row["valid"] != Constraint::parse(text(row, "range")).is_ok() {
            wrong.push(row.to_string());
        }
    }
    for row in rows(&vectors, "version") {
        let parsed = Version::parse_lenient(text(row, "input"))
            .ok()
            .map(|v| v.to_string());
        if row["normalized"].as_str() != parsed.as_deref() {
            wrong.push(row.to_string());
        }
    }
    for row in rows(&vectors, "compare") {
        let [a, b] = ["a", "b"].map(|field| Version::parse_lenient(text(row, field)).unwrap());
        if row["order"] != a.cmp(&b) as i8 {
            wrong.push(row.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn blang_vectors_hold() {
    let Some(vectors) = vectors("blang.json") else {
        return;
    };
    let mut wrong = Vec::new();
    for row in rows(&vectors, "match") {
        let range = blang::Range::parse(text(row, "range")).unwrap();
        let version = Version::parse_strict(text(row, "version")).unwrap();
        if row["expect"] != range.contains(&version) {
            wrong.push(row.to_string());
        }
    }
    for row in rows(&vectors, "parse") {
        if row["valid"] != blang::Range::parse(text(row, "range")).is_ok() {
            wrong.push(row.to_string());
        }
    }
    for row in rows(&vectors, "version") {
        let strict = Version::parse_strict(text(row, "input"))
            .ok()
            .map(|v| v.to_string());
        let tolerant = Version::parse_tolerant(text(row, "input"))
            .ok()
            .map(|v| v.to_string());
        if row["strict"].as_str() != strict.as_deref()
            || row["tolerant"].as_str() != tolerant.as_deref()
        {
            wrong.push(row.to_string());
        }
    }
    for row in rows(&vectors, "compare") {
        let [a, b] = ["a", "b"].map(|field| Version::parse_strict(text(row, field)).unwrap());
        if row["order"] != a.cmp(&b) as i8 {
            wrong.push(row.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// A selection of the tables of the specification, so that something holds without the data.
#[rstest]
#[case("1.0.0 - 2.0.0 || 4.x", "2.0.0", [true, true, true])]
#[case("1.1-3", "4.3.2", [false, false, false])]
#[case("1.2.3-beta - 2", "1.5.9", [true, true, true])]
#[case("X", "1.3.0-rc.1", [false, false, true])]
#[case("!=4.1.0", "5.1.0-alpha.1", [true, false, true])]
#[case(">= 1.0.0  <= 2.0.0-beta", "1.0.1-beta", [false, true, true])]
#[case("=>1.1 =<1.2", "1.2.3", [true, true, true])]
#[case("^*", "1.12.0", [false, false, false])]
#[case("~0.0.0", "4.2.0", [true, true, true])]
#[case("<=*", "0.0.9", [true, true, true])]
#[case(">11.1", "11.1.9", [false, false, false])]
#[case("1.x.5", "1.2.4", [true, true, true])]
#[case("v1||v2 - 3", "3.5.0", [true, true, true])]
fn a_constraint_matches_by_mode(
    #[case] constraint: &str,
    #[case] version: &str,
    #[case] expected: [bool; 3],
) {
    let constraint = Constraint::parse(constraint).unwrap();
    let version = Version::parse_lenient(version).unwrap();
    let modes = [
        PrereleaseMode::Single,
        PrereleaseMode::Group,
        PrereleaseMode::Include,
    ];
    assert_eq!(
        modes.map(|mode| constraint.matches(&version, mode)),
        expected
    );
}

#[rstest]
#[case("", "improper constraint: ")]
#[case("1 || foo", "improper constraint:  foo")]
#[case(">5 1.0 - 2.0", "improper constraint: >5>= 1.0, <= 2.0 ")]
#[case("1 - 2 - 3", "improper constraint: >= 1, <= 2 - 3")]
#[case("1.2.3-01", "constraint Parser Error")]
#[case("18446744073709551616", "constraint Parser Error")]
fn a_bad_constraint_is_refused_in_known_words(#[case] constraint: &str, #[case] message: &str) {
    assert_eq!(
        Constraint::parse(constraint).unwrap_err().to_string(),
        message
    );
}

#[rstest]
#[case("|| 1.0.0", "First element in range is '||'")]
#[case(" ", "Last element in range is '||'")]
#[case(">x", "Could not get version from string: \">x\"")]
#[case(
    "<v1.4.0",
    "Could not parse Range \"<v1.4.0\": Could not parse comparator \"<v\" in \"<v1.4.0\""
)]
#[case(
    ">1.00.1",
    "Could not parse Range \">1.00.1\": Could not parse version \"1.00.1\" in \">1.00.1\": Minor number must not contain leading zeroes \"00\""
)]
#[case(">1.0.0 || || <2.0.0", "Empty element in range between '||'")]
fn a_bad_range_is_refused_in_known_words(#[case] range: &str, #[case] message: &str) {
    assert_eq!(blang::Range::parse(range).unwrap_err().to_string(), message);
}

#[rstest]
#[case(">=1.0.0 <2.0.0", "2.0.0-rc.1", true)]
#[case("1.x.x", "1.1.0", false)]
#[case("!=1.2.x", "0.8.5", false)]
#[case("! 1.2.3", "1.2.3", true)]
#[case("x.1.2", "1.2.0", true)]
#[case("1.x || >=2.0.x <2.2.x", "2.1.9", true)]
fn a_range_contains(#[case] range: &str, #[case] version: &str, #[case] expected: bool) {
    let version = Version::parse_strict(version).unwrap();
    assert_eq!(
        blang::Range::parse(range).unwrap().contains(&version),
        expected
    );
}

#[rstest]
#[case("", "Version string empty")]
#[case("1.2", "No Major.Minor.Patch elements found")]
#[case("0.1.0.1", "Invalid character(s) found in patch number \"0.1\"")]
#[case(
    "20000000000000000000.1.1",
    "strconv.ParseUint: parsing \"20000000000000000000\": value out of range"
)]
#[case(
    "1.2.3-01",
    "Numeric PreRelease version must not contain leading zeroes \"01\""
)]
#[case(
    "1.2.3-99999999999999999999",
    "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"
)]
fn a_bad_version_is_refused_in_known_words(#[case] version: &str, #[case] message: &str) {
    assert_eq!(
        Version::parse_strict(version).unwrap_err().to_string(),
        message
    );
}

#[test]
fn pre_release_numbers_beyond_64_bits_compare_as_text() {
    let parse = |text: &str| Version::parse_lenient(text).unwrap();
    assert!(parse("1.0.0-99999999999999999999") > parse("1.0.0-100000000000000000000"));
    assert!(parse("1.0.0-99999999999999999999") > parse("1.0.0-5"));
}

#[test]
fn a_version_with_a_release_is_above_one_without() {
    use std::cmp::Ordering;
    assert_eq!(compare_releases("", "0"), Ordering::Less);
    assert_eq!(compare_releases("2", "10"), Ordering::Less);
    assert_eq!(compare_releases("1.a", "1.a"), Ordering::Equal);
}

#[test]
fn only_a_single_full_version_is_exact() {
    let exact = |text: &str| {
        Constraint::parse(text)
            .unwrap()
            .exact()
            .map(ToString::to_string)
    };
    assert_eq!(exact("= v1.2.3").as_deref(), Some("1.2.3"));
    for range in ["1.2", "1.2.x", ">=1.2.3", "1.2.3 1.2.3", "1.2.3 || 1.2.4"] {
        assert_eq!(exact(range), None, "{range}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsers_never_panic(text in "[-0-9vxX*|.,<>=!~^ a+é\\t\\n]{0,40}|\\PC{0,40}") {
        let version = Version::new(1, 2, 3);
        let _ = Version::parse_strict(&text);
        let _ = Version::parse_lenient(&text);
        let _ = Version::parse_tolerant(&text);
        if let Ok(range) = blang::Range::parse(&text) {
            range.contains(&version);
            prop_assert_eq!(range.to_string(), text.clone());
        }
        if let Ok(constraint) = Constraint::parse(&text) {
            constraint.matches(&version, PrereleaseMode::Single);
            prop_assert_eq!(constraint.to_string(), text);
        }
    }

    #[test]
    fn the_intervals_of_a_range_hold_what_it_contains(
        range in "(=|!|>|>=|<|<=)?[0-2]\\.[0-2]\\.[0-2](-a)?( (=|!=|>|>=|<|<=)?[0-2]\\.[0-2]\\.[0-2]){0,3}\
                  ( \\|\\| (!|>|<)?[0-2]\\.[0-2]\\.x( !=1\\.1\\.1)?)?",
        version in "[0-2]\\.[0-2]\\.[0-2](-[ab])?",
    ) {
        let (Ok(range), Ok(version)) = (blang::Range::parse(&range), Version::parse_strict(&version))
        else {
            return Ok(());
        };
        let held = range.intervals().into_iter().any(|interval| interval.contains(&version));
        prop_assert_eq!(held, range.contains(&version), "{}", range);
    }

    #[test]
    fn order_is_total_and_agrees_with_equality(
        a in "[0-2]\\.[0-2]\\.[0-2](-[0-9a]{1,2}(\\.[1-9])?)?(\\+[ab])?",
        b in "[0-2]\\.[0-2]\\.[0-2](-[0-9a]{1,2}(\\.[1-9])?)?(\\+[ab])?",
    ) {
        let (Ok(a), Ok(b)) = (Version::parse_lenient(&a), Version::parse_lenient(&b)) else {
            return Ok(());
        };
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a == b, a.without_build().to_string() == b.without_build().to_string());
        prop_assert_eq!(Version::parse_lenient(&a.to_string()).unwrap(), a);
    }
}
