//! Compound constraints and their rules: what is read, what is met, and what is refused.

use olm_resolver::{Bundle, Catalog, Constraint, Rule};
use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{Shelf, Words, Written, ask, b, catalog, one};

fn bundle(written: Written) -> Bundle {
    let shelf: Shelf = catalog("c", 0, &[written]);
    let read: Catalog = shelf.read();
    let package = read.packages().next().unwrap();
    package.bundles[0].as_ref().clone()
}

fn subject() -> Bundle {
    bundle(
        b("p", "1.2.3")
            .gives("g/v1 Thing")
            .label("lts")
            .property("custom", json!({"size": 3, "tags": ["a", "b"]})),
    )
}

#[rstest]
#[case("true", true)]
#[case("false", false)]
#[case(
    "properties.exists(p, p.type == 'olm.gvk' && p.value.kind == 'Thing')",
    true
)]
#[case(
    "properties.exists(p, p.type == 'olm.label' && p.value.label == 'lts')",
    true
)]
#[case("properties.all(p, p.type != 'olm.other')", true)]
#[case("properties.exists(p, p.type == 'custom' && p.value.size > 2)", true)]
#[case(
    "properties.exists(p, p.type == 'custom' && p.value.tags.exists(t, t == 'b'))",
    true
)]
#[case(
    "properties.exists(p, p.type == 'olm.package' && semver_compare(p.value.version, '1.2.3') == 0)",
    true
)]
#[case(
    "properties.exists(p, p.type == 'olm.package' && semver_compare(p.value.version, 'v1.3') == -1)",
    true
)]
// Neither yes nor no, and failures, are no.
#[case("1", false)]
#[case("'yes'", false)]
#[case("properties[99].type == 'x'", false)]
#[case("semver_compare('x', '1.0.0') == 0", false)]
#[case("unknown == 1", false)]
fn a_rule_is_met_or_not(#[case] rule: &str, #[case] met: bool) {
    assert_eq!(Rule::parse(rule).unwrap().holds(&subject()), met);
}

fn nested(open: &str, inside: &str, close: &str, depth: usize) -> String {
    format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
}

#[rstest]
#[case::too_long(&" ".repeat(4097), "rule is longer than 4096 bytes")]
#[case::brackets(&nested("(", "true", ")", 17), "rule is nested deeper than 16")]
#[case::lists(&nested("[", "", "]", 200), "rule is nested deeper than 16")]
#[case::signs(&nested("!", "true", "", 200), "rule is nested deeper than 16")]
#[case::sums(&format!("1{} == 2", "+1".repeat(2000)), "rule has more than 256 operators")]
#[case::brackets_in_texts(&format!("{}1", "(')'+".repeat(60)), "rule is nested deeper than 16")]
#[case::escapes(
    "'\\n' == ''",
    "rule uses escapes or texts of several lines, which is not supported"
)]
#[case::comments("true // '", "rule has a comment")]
#[case::regular_expressions("'a'.matches('a*')", "rule uses matches, which is not supported")]
#[case::loops(
    "properties.all(a, properties.all(b, properties.all(c, true)))",
    "rule is nested too deeply"
)]
fn a_rule_that_could_cost_too_much_is_refused(#[case] rule: &str, #[case] error: &str) {
    assert_eq!(Rule::parse(rule).unwrap_err(), error);
}

#[rstest]
#[case::sums(&format!("1{} == 2", "+1".repeat(250)))]
#[case::fields(&format!("properties{}", ".a".repeat(256)))]
#[case::conditions(&format!("true{}", "?true:true".repeat(128)))]
#[case::alternatives(&format!("true{}", "||true".repeat(600)))]
#[case::both(&format!("true{}", "&&true||true".repeat(300)))]
#[case::calls(&format!("properties{}", ".size()".repeat(128)))]
#[case::signs(&"- ".repeat(256))]
#[case::brackets_in_texts(&format!("{}1", "(')'+".repeat(14)))]
#[case::sums_in_brackets(&format!("({}1{})", "(1+".repeat(14), "+1)".repeat(14)))]
#[case::loops_in_loops("properties.map(a, properties.map(b, [a, b, a, b, a, b])).size() > 0")]
#[case::nothing("")]
#[case::torn("properties.exists(")]
#[case::odd("\u{0}\u{7f}é")]
fn a_hostile_rule_harms_nobody(#[case] rule: &str) {
    // Whether it is refused or evaluated: there is an end, and no crash.
    if let Ok(rule) = Rule::parse(rule) {
        let _ = rule.holds(&subject());
    }
}

#[test]
fn a_rule_that_would_take_too_long_is_not_met() {
    let mut subject = subject();
    let more = (0..5000).map(|at| ("custom".to_owned(), at.to_string()));
    subject.properties.extend(more);
    let cheap = Rule::parse("properties.exists(p, p.type == 'custom')").unwrap();
    assert!(cheap.holds(&subject));
    let dear = "properties.exists(a, properties.exists(b, a.type == 'olm.package'))";
    assert!(!Rule::parse(dear).unwrap().holds(&subject));
}

fn read(value: &Value) -> Result<Constraint, String> {
    Constraint::parse(&value.to_string())
}

#[rstest]
#[case(json!({}), "parse olm.constraint: constraint is empty")]
#[case(json!({"failureMessage": "x"}), "parse olm.constraint: constraint is empty")]
#[case(json!({"all": {"constraints": []}}), "parse olm.constraint: constraint is empty")]
#[case(json!({"none": {}}), "parse olm.constraint: json: unknown field \"none\"")]
#[case(
    json!({"package": {"name": "p", "versionRange": "1.0.0"}}),
    "parse olm.constraint: json: unknown field \"name\""
)]
#[case(
    json!({"package": {"packageName": "p", "versionRange": "~1"}}),
    "parse olm.constraint: version range \"~1\": Could not parse Range \"~1\": Could not parse \
     comparator \"~\" in \"~1\""
)]
#[case(
    json!({"gvk": {"kind": "K"}, "cel": {"rule": "true"}}),
    "parse olm.constraint: constraint has more than one kind"
)]
#[case(json!([]), "parse olm.constraint: [] is no object")]
fn a_constraint_that_is_none_says_why(#[case] value: Value, #[case] error: &str) {
    assert_eq!(read(&value).unwrap_err(), error);
}

fn tower(depth: usize) -> Value {
    let leaf = json!({"gvk": {"group": "g", "version": "v", "kind": "k"}});
    (1..depth).fold(leaf, |inner, _| json!({"all": {"constraints": [inner]}}))
}

#[test]
fn depth_and_size_are_limited() {
    assert!(read(&tower(16)).is_ok());
    assert_eq!(
        read(&tower(17)).unwrap_err(),
        "parse olm.constraint: constraint is nested deeper than 16"
    );
    let long = format!("{{\"failureMessage\": \"{}\"}}", "x".repeat(131_072));
    assert_eq!(
        Constraint::parse(&long).unwrap_err(),
        "olm.constraint value is greater than max constraint size 131072 bytes"
    );
}

#[test]
fn a_constraint_survives_storage() {
    let rule = json!({"cel": {"rule": "properties.all(p, true)"}});
    let all = json!({"failureMessage": "why", "all": {"constraints": [rule, tower(3)]}});
    let constraint = read(&all).unwrap();
    let stored = serde_json::to_string(&constraint).unwrap();
    assert_eq!(
        serde_json::from_str::<Constraint>(&stored).unwrap(),
        constraint
    );
}

#[test]
fn a_catalog_survives_storage() {
    let shelf = catalog(
        "c",
        3,
        &[
            b("a", "1.0.0").needs_api("g/v k"),
            b("b", "1.0.0").gives("g/v k").label("lts"),
        ],
    );
    let read: Catalog = shelf.read();
    let stored = serde_json::to_string(&read).unwrap();
    let again: Catalog = serde_json::from_str(&stored).unwrap();
    let operators = [ask("a", "")];
    let solve = |catalog: &Catalog| {
        let facts = olm_resolver::Facts::default();
        let problem = olm_resolver::Problem {
            catalogs: &[catalog],
            operators: &operators,
            adopted: &[],
            mode: olm_resolver::EdgeMode::Catalog,
            facts: &facts,
            budget: olm_resolver::DEFAULT_BUDGET,
        };
        problem.solve().groups[0].len()
    };
    assert_eq!((solve(&read), solve(&again)), (2, 2));
}

#[test]
fn a_rule_may_look_for_any_bundle() {
    let rule = "properties.exists(p, p.type == 'custom' && p.value == 'wanted')";
    let bundles = [
        b("a", "1.0.0").constraint(json!({"cel": {"rule": rule}})),
        b("b", "1.0.0").property("custom", json!("wanted")),
        b("b", "2.0.0").property("custom", json!("other")),
        b("c", "1.0.0"),
    ];
    assert_eq!(
        one(&bundles, &[ask("a", "")]).selected(),
        "a 1.0.0, b 1.0.0"
    );
    // What is installed is found as well.
    let world = one(&bundles, &[ask("a", ""), ask("b", "").at("1.0.0")]);
    assert_eq!(world.selected(), "a 1.0.0, b 1.0.0");
}

#[test]
fn an_empty_prohibition_of_itself_is_none() {
    // A bundle may provide what it does not want of others.
    let not = json!({"not": {"constraints": [{"gvk": crate::world::api("g/v k")}]}});
    let bundles = [b("a", "1.0.0").gives("g/v k").constraint(not)];
    assert_eq!(one(&bundles, &[ask("a", "")]).selected(), "a 1.0.0");
}
