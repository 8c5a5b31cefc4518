//! Catalogs of a size that nobody ships.

use olm_resolver::{EdgeMode, Facts, choose};
use rstest::rstest;
use serde_json::{Value, json};

use crate::fixture::{ask, bundle, catalog, channel};

/// Bundles of one package.
const BUNDLES: usize = 10_000;

fn package(version: impl Fn(usize) -> String, entry: impl Fn(usize) -> Value) -> Vec<Value> {
    let mut documents: Vec<Value> = (0..BUNDLES)
        .map(|at| {
            let mut bundle = bundle("p", &version(at), &[]);
            bundle["name"] = json!(format!("p.{at}"));
            bundle
        })
        .collect();
    let entries: Vec<Value> = (0..BUNDLES).map(entry).collect();
    documents.push(channel("p", "stable", &json!(entries)));
    documents
}

fn replaces(at: usize) -> Value {
    let below = at.checked_sub(1).map(|below| format!("p.{below}"));
    json!({"name": format!("p.{at}"), "replaces": below})
}

#[rstest]
#[case::names(false)]
#[case::ranges(true)]
fn the_next_of_ten_thousand_steps_is_found(#[case] by_range: bool) {
    let entry = |at: usize| {
        if by_range {
            let range = format!(">=1.0.{} <1.0.{at}", at.saturating_sub(1));
            json!({"name": format!("p.{at}"), "skipRange": range})
        } else {
            // A range that excludes all has to be looked at, too.
            let mut entry = replaces(at);
            entry["skipRange"] = json!("<1.0.0");
            entry
        }
    };
    let catalog = catalog("c", 0, &package(|at| format!("1.0.{at}"), entry));
    let mut request = ask("p", Some("1.0.9999"), None, Some("1.0.0"));
    request.installed.as_mut().unwrap().name = "p.0".to_owned();
    let refusal = choose(&[&catalog], &request, EdgeMode::Catalog, &Facts::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "package \"p\" is installed at 1.0.0 and may only be updated to 1.0.1; Operator \"op\" asks \
         for 1.0.9999, which can be reached in several updates, the next one to 1.0.1"
    );
}

#[test]
fn of_ten_thousand_rebuilds_of_one_version_the_last_is_chosen() {
    let catalog = catalog("c", 0, &package(|_| "1.0.0".to_owned(), replaces));
    let request = ask("p", None, None, None);
    let choice = choose(&[&catalog], &request, EdgeMode::Catalog, &Facts::default()).unwrap();
    assert_eq!(choice.bundle.name, "p.9999");
}
