//! What an Operator may wish beyond a package and a range.

use olm_resolver::{Approval, Dependencies, Facts, Refusal, Running, Ties};
use olm_semver::Version;
use serde_json::json;

use crate::world::{Words, World, Written, ask, b, catalog, installed, one, world};

fn chain() -> Vec<Written> {
    vec![
        b("p", "1.0.0"),
        b("p", "1.1.0").replaces("1.0.0"),
        b("p", "1.2.0").edge(json!({"skipRange": "<1.2.0"})),
    ]
}

fn with(change: impl FnOnce(&mut olm_resolver::Member)) -> World {
    let mut member = ask("p", "").at("1.0.0");
    change(&mut member);
    one(&chain(), &[member])
}

#[test]
fn updates_wait_for_approval() {
    assert_eq!(with(|_| {}).version("p"), "1.2.0");
    let waiting = with(|member| member.approval = Approval::Manual(None));
    assert_eq!(waiting.version("p"), "1.0.0");
    let approved = Some(Version::new(1, 1, 0));
    let approved = with(|member| member.approval = Approval::Manual(approved));
    assert_eq!(approved.version("p"), "1.1.0");
}

#[test]
fn the_first_install_does_not_wait() {
    let world = with(|member| {
        member.approval = Approval::Manual(None);
        member.request.installed = None;
    });
    assert_eq!(world.version("p"), "1.2.0");
}

#[test]
fn what_failed_is_passed_over() {
    let world = with(|member| member.avoid = vec!["p.v1.2.0".to_owned()]);
    assert_eq!(world.version("p"), "1.1.0");
}

#[test]
fn nothing_is_decided_for_a_suspended_operator() {
    assert_eq!(with(|member| member.suspended = true).version("p"), "1.0.0");
    let world = with(|member| {
        member.suspended = true;
        member.request.installed = None;
    });
    assert_eq!(
        world.summary("p"),
        "package \"p\" is not installed, and its Operator is suspended"
    );
}

#[test]
fn only_the_selected_catalogs_answer() {
    let catalogs = vec![
        catalog("one", 0, &[b("p", "1.0.0")]),
        catalog("two", 0, &[b("p", "2.0.0")]),
    ];
    let mut member = ask("p", "");
    member.catalogs = Some(vec!["one".to_owned()]);
    assert_eq!(world(catalogs, &[member]).version("p"), "1.0.0");
}

#[test]
fn a_tie_of_catalogs_is_refused_unless_names_may_decide() {
    let catalogs = vec![
        catalog("one", 0, &[b("p", "1.0.0").image("example.com/one")]),
        catalog("two", 0, &[b("p", "1.0.0").image("example.com/two")]),
    ];
    let mut world = world(catalogs, &[ask("p", "")]);
    assert_eq!(
        world.summary("p"),
        "found bundles for package \"p\" in multiple catalogs with the same priority [one two]"
    );
    world.operators[0].ties = Ties::ByName;
    assert_eq!(world.selected(), "p 1.0.0 one");
}

#[test]
fn what_must_be_there_already_is_not_added() {
    let bundles = [b("a", "1.0.0").needs("p", ">=1.0.0"), b("p", "1.0.0")];
    let mut member = ask("a", "");
    member.dependencies = Dependencies::Require;
    let mut world = one(&bundles, &[member]);
    assert_eq!(
        world.summary("a"),
        "a 1.0.0 requires package \"p\" in range \">=1.0.0\", which is not installed"
    );
    world.operators.push(ask("p", ""));
    assert_eq!(world.selected(), "a 1.0.0, p 1.0.0");
    world.operators.pop();
    world.adopted.push(Running {
        installed: installed("p", "1.0.0"),
        declared: None,
    });
    assert_eq!(world.selected(), "a 1.0.0, p 1.0.0");
}

#[test]
fn what_the_cluster_has_may_count() {
    let mut world = one(&[b("a", "1.0.0").needs_api("g/v k")], &[ask("a", "")]);
    assert!(matches!(
        world.solve().answers[0],
        Err(Refusal::Unsatisfiable(_))
    ));
    world.facts = Facts {
        apis: vec![olm_resolver::Api {
            group: "g".to_owned(),
            version: "v".to_owned(),
            kind: "k".to_owned(),
        }],
        ..Facts::default()
    };
    assert_eq!(world.version("a"), "1.0.0");
}

#[test]
fn what_is_adopted_moves_along_edges_only() {
    let mut bundles = chain();
    bundles.push(b("a", "1.0.0").needs("p", ">=1.1.0 <1.2.0"));
    bundles.push(b("p", "1.1.5"));
    let mut world = one(&bundles, &[ask("a", "")]);
    assert_eq!(world.selected(), "a 1.0.0, p 1.1.5");
    world.adopted.push(Running {
        installed: installed("p", "1.0.0"),
        declared: None,
    });
    assert_eq!(world.selected(), "a 1.0.0, p 1.1.0");
}

#[test]
fn a_bundle_for_a_newer_cluster_says_so() {
    let bundles = [
        b("a", "1.0.0").needs("p", ">=1.0.0"),
        b("p", "1.0.0").kubernetes("1.99.0"),
    ];
    let mut world = one(&bundles, &[ask("a", "")]);
    assert_eq!(world.selected(), "a 1.0.0, p 1.0.0");
    world.facts.kubernetes = Some(Version::new(1, 35, 0));
    assert_eq!(
        world.summary("a"),
        "a 1.0.0 requires p >=1.0.0, but nothing usable meets that: p 1.0.0 needs Kubernetes 1.99.0"
    );
}

#[test]
fn what_is_installed_and_no_longer_offered_still_counts() {
    let bundles = [b("a", "1.0.0").needs("p", "1.0.0"), b("p", "2.0.0")];
    let world = one(&bundles, &[ask("a", ""), ask("p", "").at("1.0.0")]);
    assert_eq!(world.selected(), "a 1.0.0, p 1.0.0");
}

#[test]
fn an_operator_that_cannot_be_decided_keeps_what_others_need() {
    // `p` asks for what does not exist; what runs for it stays, so that `a` cannot break it.
    let bundles = [
        b("a", "1.0.0"),
        b("a", "2.0.0").replaces("1.0.0"),
        b("p", "1.0.0").needs("a", "1.0.0"),
    ];
    let world = one(
        &bundles,
        &[ask("a", "").at("1.0.0"), ask("p", "9.9.9").at("1.0.0")],
    );
    assert_eq!(world.version("a"), "1.0.0");
    assert_eq!(
        world.summary("p"),
        "no package \"p\" matching version \"9.9.9\" found"
    );
}

#[test]
fn what_runs_is_judged_by_what_it_declared() {
    let bundles = [
        b("a", "1.0.0"),
        b("b", "1.0.0"),
        b("b", "2.0.0").replaces("1.0.0"),
    ];
    let mut runs = ask("a", "").at("1.0.0");
    runs.declared = Some(olm_resolver::Declared {
        requires: vec![olm_resolver::Requirement::Package {
            name: "b".to_owned(),
            range: olm_semver::blang::Range::parse("<2.0.0").unwrap(),
        }],
        ..olm_resolver::Declared::default()
    });
    let world = one(&bundles, &[runs, ask("b", "").at("1.0.0")]);
    assert_eq!(world.version("b"), "1.0.0");
}

#[test]
fn a_budget_that_is_used_up_says_so() {
    let world = one(
        &[b("a", "1.0.0").needs("p", ">=1.0.0"), b("p", "1.0.0")],
        &[ask("a", "")],
    );
    let resolution = world.with(|problem| {
        olm_resolver::Problem {
            budget: 1,
            ..*problem
        }
        .solve()
    });
    assert_eq!(
        resolution.answers[0].as_ref().unwrap_err().to_string(),
        "cancelled before a solution could be found"
    );
}

#[test]
fn cycles_are_installed_together() {
    let bundles = [
        b("a", "1.0.0").needs("c", ">=1.0.0").needs("a", ">=1.0.0"),
        b("c", "1.0.0").needs("a", ">=1.0.0"),
    ];
    assert_eq!(
        one(&bundles, &[ask("a", "")]).selected(),
        "a 1.0.0, c 1.0.0"
    );
}
