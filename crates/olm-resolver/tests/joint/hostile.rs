//! What is wrong with one Operator, bundle or package stays with those that it concerns, and whatever
//! a catalog holds, there is an answer in a bounded time.

use olm_resolver::{Problem, Refusal};
use rstest::rstest;
use serde_json::json;

use crate::world::{Words, World, Written, ask, b, one};

/// More bundles than any package has.
const MANY: usize = 10_000;

fn many(package: &str) -> Vec<Written> {
    let bundle = |at: usize| b(package, &format!("1.0.{at}"));
    let first = std::iter::once(bundle(0));
    first
        .chain((1..MANY).map(|at| bundle(at).replaces(&format!("1.0.{}", at - 1))))
        .collect()
}

/// The world with one more Operator that has nothing to do with the others.
fn beside(mut bundles: Vec<Written>, operators: &[olm_resolver::Member]) -> World {
    bundles.push(b("beside", "1.0.0"));
    let mut operators = operators.to_vec();
    operators.push(ask("beside", ""));
    one(&bundles, &operators)
}

/// What an Operator is told, while the one beside it gets what it asks for.
#[track_caller]
fn told(world: &World, operator: &str) -> String {
    let answers = world.solve().answers;
    let beside = answers.last().unwrap().as_ref().unwrap();
    assert_eq!(beside.bundle.name, "beside.v1.0.0");
    match &answers[world.place(operator)] {
        Ok(answer) => answer.bundle.label(),
        Err(refusal) => refusal.explanation(),
    }
}

#[test]
fn the_newest_of_ten_thousand_bundles_is_installed_and_updates_go_step_by_step() {
    let world = beside(many("p"), &[ask("p", "")]);
    assert_eq!(told(&world, "p"), "1.0.9999");
    let world = beside(many("p"), &[ask("p", "").at("1.0.5000")]);
    assert_eq!(told(&world, "p"), "1.0.5001");
}

#[test]
fn ten_thousand_bundles_may_each_require_ten_thousand() {
    let mut bundles = many("p");
    bundles.extend((0..MANY).map(|at| {
        let range = format!(">=1.0.{at}");
        b("q", &format!("1.0.{at}")).needs("p", &range)
    }));
    let world = beside(bundles, &[ask("q", "")]);
    assert_eq!(world.selected(), "beside 1.0.0, p 1.0.9999, q 1.0.9999");
}

#[test]
fn ten_thousand_bundles_of_which_none_can_be_installed_are_explained() {
    let mut bundles = many("p");
    bundles.extend((0..MANY).map(|at| {
        let range = format!(">=2.0.{at}");
        b("q", &format!("1.0.{at}")).needs("p", &range)
    }));
    let world = beside(bundles, &[ask("q", "")]);
    let text = told(&world, "q");
    assert!(
        text.starts_with(
            "constraints not satisfiable:\nq 1.0.9999 requires package \"p\" in range \
             \">=2.0.9999\", which no catalog offers (available: 1.0.9999, 1.0.9998, "
        ),
        "{text}"
    );
    assert!(
        text.contains("\n- you asked for q *\n- q 1.0.9999 requires package"),
        "{text}"
    );
    assert!(text.ends_with(" more"), "{text}");
    assert!(text.chars().count() <= 32_768);
}

/// A rule with two loops, each through all properties, that nothing meets.
fn dear(number: usize) -> serde_json::Value {
    let inner = "properties.exists(q, q.type == p.type && q.value.packageName == 'nobody')";
    json!({"failureMessage": "", "cel": {"rule": format!("properties.exists(p, {inner}) && {number} > 0")}})
}

#[test]
fn rules_that_cost_too_much_over_a_catalog_take_their_package_out_of_use_and_nothing_else() {
    let mut bundles = many("p");
    bundles.push(b("dear", "1.0.0").constraint(dear(1)));
    let world = beside(bundles.clone(), &[ask("dear", "")]);
    assert_eq!(
        told(&world, "dear"),
        "constraints not satisfiable:\nno usable version of package \"dear\": 1.0.0 has requirements that take too long to look \
         for in all that the catalogs offer\n- you asked for dear *\n- dear 1.0.0 has requirements \
         that take too long to look for in all that the catalogs offer"
    );
    // An older version without such a rule is an answer.
    bundles.push(b("dear", "0.9.0"));
    let world = beside(bundles, &[ask("dear", "")]);
    assert_eq!(told(&world, "dear"), "0.9.0");
}

#[test]
fn a_rule_that_all_versions_share_is_looked_for_once() {
    let mut bundles = many("p");
    let rule = "properties.exists(p, p.type == 'olm.package' && p.value.packageName == 'p' && \
                semver_compare(p.value.version, '1.0.5000') == 0)";
    for minor in 0..40 {
        bundles.push(b("asks", &format!("1.{minor}.0")).constraint(json!({"cel": {"rule": rule}})));
    }
    let world = one(&bundles, &[ask("asks", "")]);
    assert_eq!(world.selected(), "asks 1.39.0, p 1.0.5000");
}

/// As many Operators as there are places for them, and one more: every version of each takes one of
/// the places. There is no short proof that they do not fit.
fn crowd(places: usize) -> World {
    let mut bundles = Vec::new();
    let names: Vec<String> = (0..=places).map(|at| format!("crowd-{at:02}")).collect();
    for name in &names {
        for place in 0..places {
            bundles.push(b(name, &format!("1.{place}.0")).gives(&format!("Place{place}")));
        }
    }
    let operators: Vec<_> = names.iter().map(|name| ask(name, "")).collect();
    beside(bundles, &operators)
}

#[test]
fn a_search_without_end_is_cancelled_for_those_whose_search_it_is() {
    let world = crowd(12);
    world.with(|problem| {
        let answers = Problem {
            budget: 300_000,
            ..*problem
        }
        .solve()
        .answers;
        let (last, crowd) = answers.split_last().unwrap();
        assert!(last.is_ok());
        for answer in crowd {
            let refusal = answer.as_ref().unwrap_err();
            assert_eq!(*refusal, Refusal::Cancelled);
            let text = refusal.to_string();
            assert_eq!(text, "cancelled before a solution could be found");
        }
    });
    // A few are no problem.
    let text = crowd(3).explanation("crowd-00");
    assert!(text.starts_with("constraints not satisfiable:\n"), "{text}");
}

#[test]
fn a_chain_of_ten_thousand_requirements_is_followed_and_told_in_short() {
    let name = |at: usize| format!("link-{at:05}");
    let link = |at: usize| b(&name(at), "1.0.0").needs(&name(at + 1), ">=1.0.0");
    let mut bundles: Vec<Written> = (0..MANY).map(link).collect();
    let world = beside(bundles.clone(), &[ask("link-00000", "")]);
    let text = told(&world, "link-00000");
    assert!(
        text.starts_with("constraints not satisfiable:\nunable to resolve: "),
        "{text}"
    );
    assert!(text.chars().count() <= 32_768);
    bundles.push(b(&name(MANY), "1.0.0"));
    let world = beside(bundles, &[ask("link-00000", "")]);
    assert_eq!(world.solve().groups[1].len(), MANY + 1);
}

#[test]
fn names_at_their_limits_fit_into_the_text() {
    let name = |at: usize| format!("{at:02}{}", "n".repeat(251));
    let bundles: Vec<Written> = (0..40)
        .map(|at| {
            b(&name(at), "1.0.0").needs(&name(at + 1), &format!(">=1.0.0-{}", "r".repeat(900)))
        })
        .collect();
    let world = beside(bundles, &[ask(&name(0), "")]);
    let text = told(&world, &name(0));
    assert!(text.chars().count() <= 32_768, "{}", text.chars().count());
}

#[rstest]
#[case::itself(
    vec![b("p", "1.0.0").needs("p", ">=2.0.0"), b("p", "2.0.0").needs("p", ">=3.0.0")],
    "constraints not satisfiable:\n\
     p 2.0.0 requires package \"p\" in range \">=3.0.0\", which no catalog offers (available: 2.0.0, 1.0.0)"
)]
#[case::other_versions_of_itself(
    vec![b("p", "1.0.0").needs("p", "2.0.0")],
    "constraints not satisfiable:\n\
     p 1.0.0 requires package \"p\" in range \"2.0.0\", which no catalog offers (available: 1.0.0)"
)]
#[case::a_version(
    vec![b("p", "1.0").named("p.v1")],
    "no usable version of package \"p\": bundle \"p.v1\" has unreadable metadata (could not parse \
     semver \"1.0\" for bundle 'p.v1': No Major.Minor.Patch elements found)"
)]
#[case::a_range(
    vec![b("p", "1.0.0").needs("q", "~1.0.0")],
    "no usable version of package \"p\": 1.0.0 has unreadable requirements (error parsing bundle \
     required package semver range for bundle \"p.v1.0.0\" (required package \"q\"): "
)]
#[case::a_property(
    vec![b("p", "1.0.0").property("olm.gvk.required", json!("v1"))],
    "no usable version of package \"p\": 1.0.0 has unreadable requirements (error determining bundle \
     required packages for bundle \"p.v1.0.0\": property \"olm.gvk.required\" with value \"\\\"v1\\\"\" \
     could not be parsed: "
)]
#[case::a_rule(
    vec![b("p", "1.0.0").constraint(json!({"cel": {"rule": "properties.("}}))],
    "no usable version of package \"p\": 1.0.0 has unreadable requirements (error determining bundle \
     required packages for bundle \"p.v1.0.0\": parse olm.constraint: rule \"properties.(\" is no \
     expression: <input>:1:12: expected identifier after '.')"
)]
fn what_is_wrong_with_a_bundle_is_told_by_its_operator(
    #[case] bundles: Vec<Written>,
    #[case] text: &str,
) {
    let world = beside(bundles, &[ask("p", "")]);
    let told = told(&world, "p");
    assert!(told.starts_with(text), "{told}");
}

#[test]
fn a_version_that_requires_itself_has_what_it_requires() {
    let world = beside(vec![b("p", "1.0.0").needs("p", ">=1.0.0")], &[ask("p", "")]);
    assert_eq!(world.selected(), "beside 1.0.0, p 1.0.0");
}

#[test]
fn what_requires_one_another_is_installed_together() {
    let circle = vec![
        b("a", "1.0.0").needs("b", ">=1.0.0"),
        b("b", "1.0.0").needs("c", ">=1.0.0"),
        b("c", "1.0.0").needs("a", ">=1.0.0"),
    ];
    let world = beside(circle, &[ask("b", "")]);
    assert_eq!(world.selected(), "a 1.0.0, b 1.0.0, beside 1.0.0, c 1.0.0");
}

#[test]
fn bundles_that_replace_one_another_lead_forward_only() {
    let circle = vec![
        b("p", "1.0.0").replaces("3.0.0"),
        b("p", "2.0.0").replaces("1.0.0"),
        b("p", "3.0.0").replaces("2.0.0"),
    ];
    let world = beside(circle.clone(), &[ask("p", "")]);
    assert_eq!(told(&world, "p"), "3.0.0");
    let world = beside(circle.clone(), &[ask("p", "").at("1.0.0")]);
    assert_eq!(told(&world, "p"), "2.0.0");
    let world = beside(circle, &[ask("p", "").at("3.0.0")]);
    assert_eq!(told(&world, "p"), "3.0.0");
}

#[test]
fn channels_that_disagree_are_told_apart_where_one_is_asked_for() {
    let bundles = vec![
        b("p", "1.0.0").channel("old").channel("new"),
        b("p", "2.0.0").channel("old"),
        b("p", "3.0.0").channel("new"),
    ];
    let mut bundles = bundles;
    bundles[1] = b("p", "2.0.0").entry("old", json!({"replaces": "p.v1.0.0"}));
    bundles[2] = b("p", "3.0.0").entry("new", json!({"replaces": "p.v1.0.0"}));
    for (channel, answer) in [("old", "2.0.0"), ("new", "3.0.0")] {
        let asks = ask("p", "").at("1.0.0").in_channel(channel);
        let world = beside(bundles.clone(), &[asks]);
        assert_eq!(told(&world, "p"), answer);
    }
    let world = beside(bundles, &[ask("p", "").at("1.0.0")]);
    assert_eq!(told(&world, "p"), "3.0.0");
}
