//! The properties of a bundle, one on each line, `TYPE VALUE`: whatever they are, the catalog is read
//! and there is an answer for the package, and the same once it was stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_fbc::{Reading, read_lines};
use olm_resolver::{Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Member, Problem, Request};
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let mut properties = vec![json!({"type": "olm.package",
        "value": {"packageName": "p", "version": "1.2.3"}})];
    for line in text.lines().take(32) {
        let (type_, value) = line.split_once(' ').unwrap_or((line, "null"));
        let value: Value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
        properties.push(json!({"type": type_, "value": value}));
    }
    let other = json!({"schema": "olm.bundle", "package": "q", "name": "q.v1.0.0", "image": "i",
        "properties": [{"type": "olm.package", "value": {"packageName": "q", "version": "1.0.0"}}]});
    let bundle = json!({"schema": "olm.bundle", "package": "p", "name": "p.v1.2.3", "image": "i",
        "properties": properties});
    let lines = format!("{bundle}\n{other}\n");
    let Ok(catalog) = Catalog::read("c", 0, read_lines(lines.as_bytes(), Reading::default()))
    else {
        return;
    };
    let stored = serde_json::to_string(&catalog).expect("it can be stored");
    let again: Catalog = serde_json::from_str(&stored).expect("what was stored can be read");
    assert_eq!(answers(&catalog), answers(&again));
});

fn answers(catalog: &Catalog) -> Vec<String> {
    let operators = ["p", "q"].map(|package| {
        Member::from(Request {
            operator: package.to_owned(),
            package: package.to_owned(),
            ..Request::default()
        })
    });
    let resolution = Problem {
        catalogs: &[catalog],
        operators: &operators,
        adopted: &[],
        mode: EdgeMode::Catalog,
        facts: &Facts::default(),
        budget: DEFAULT_BUDGET,
    }
    .solve();
    let answers = resolution.answers.into_iter();
    answers
        .map(|answer| match answer {
            Ok(answer) => answer.bundle.name.clone(),
            Err(refusal) => refusal.explanation(),
        })
        .collect()
}
