//! The check of solutions refuses whatever is not one.

use olm_resolver::{Because, DEFAULT_BUDGET, Problem, Selected, check};

use crate::scenarios::all;
use crate::world::{Words, World, ask, b, one};

fn worlds() -> Vec<World> {
    let mut worlds = all();
    // Something kept without its Operator being decided, and something to stay out.
    let bundles = [
        b("a", "1.0.0").needs("b", ">=1.0.0"),
        b("b", "1.0.0"),
        b("b", "2.0.0").replaces("1.0.0"),
        b("c", "1.0.0"),
    ];
    let mut held = ask("b", "").at("1.0.0");
    held.suspended = true;
    worlds.push(one(&bundles, &[ask("a", ""), held]));
    worlds
}

/// Solves a world, and hands over each group with its Operators.
fn each(world: &World, mut act: impl FnMut(&Problem<'_>, &[usize], &[Selected])) {
    world.with(|problem| {
        let resolution = problem.solve();
        for group in &resolution.groups {
            let operators: Vec<usize> = group
                .iter()
                .filter_map(|selected| match selected.because {
                    Because::Requested(place) | Because::Kept(place) => Some(place),
                    _ => None,
                })
                .collect();
            act(problem, &operators, group);
        }
    });
}

#[test]
fn solutions_pass() {
    let mut count = 0;
    for world in worlds() {
        each(&world, |problem, operators, group| {
            count += 1;
            assert_eq!(check(problem, operators, group), Ok(()));
        });
    }
    assert!(count > 30, "{count}");
}

#[test]
fn nothing_can_be_left_out() {
    for world in worlds() {
        each(&world, |problem, operators, group| {
            for at in 0..group.len() {
                let mut fewer = group.to_vec();
                fewer.remove(at);
                // Places move; the reasons move with them.
                for selected in &mut fewer {
                    if let Because::Dependency { of, .. } = &mut selected.because
                        && *of > at
                    {
                        *of -= 1;
                    }
                }
                assert!(check(problem, operators, &fewer).is_err(), "{fewer:?}");
            }
        });
    }
}

#[test]
fn nothing_can_be_added() {
    for world in worlds() {
        each(&world, |problem, operators, group| {
            let catalogs = problem.catalogs.iter();
            for package in catalogs.flat_map(|catalog| catalog.packages()) {
                for bundle in &package.bundles {
                    let mut reasons: Vec<Because> =
                        group.iter().map(|selected| selected.because).collect();
                    reasons.push(Because::Requested(problem.operators.len()));
                    reasons.extend((0..problem.operators.len()).map(Because::Requested));
                    reasons.extend((0..problem.operators.len()).map(Because::Kept));
                    for because in reasons {
                        for stays in [false, true] {
                            let mut more = group.to_vec();
                            more.push(Selected {
                                bundle: bundle.clone(),
                                stays,
                                because,
                            });
                            assert!(check(problem, operators, &more).is_err(), "{more:?}");
                        }
                    }
                }
            }
        });
    }
}

#[test]
fn nothing_can_be_replaced_but_by_another_solution() {
    for world in worlds() {
        each(&world, |problem, operators, group| {
            let catalogs = problem.catalogs.iter();
            for package in catalogs.flat_map(|catalog| catalog.packages()) {
                for bundle in &package.bundles {
                    for at in 0..group.len() {
                        let mut other = group.to_vec();
                        if other[at].bundle.package == bundle.package
                            && other[at].bundle.name == bundle.name
                            && other[at].bundle.catalog == bundle.catalog
                        {
                            continue;
                        }
                        other[at].bundle = bundle.clone();
                        if check(problem, operators, &other).is_ok() {
                            // Then it is a solution: asked for alone, it is the answer.
                            assert!(is_solution(problem, &other), "{other:?}");
                        }
                    }
                }
            }
        });
    }
}

/// Whether the search finds nothing against what is selected when everything else is avoided.
fn is_solution(problem: &Problem<'_>, selected: &[Selected]) -> bool {
    let operators: Vec<_> = problem
        .operators
        .iter()
        .map(|member| {
            let mut member = member.clone();
            let own = selected
                .iter()
                .find(|one| one.bundle.package == member.request.package);
            if let Some(own) = own {
                let version = own.bundle.version.as_ref().unwrap().to_string();
                member.request.version =
                    Some(olm_semver::masterminds::Constraint::parse(&version).unwrap());
            }
            member
        })
        .collect();
    let pinned = Problem {
        operators: &operators,
        budget: DEFAULT_BUDGET,
        ..*problem
    };
    let resolution = pinned.solve();
    operators
        .iter()
        .zip(&resolution.answers)
        .all(|(member, answer)| {
            let named = |one: &&Selected| one.bundle.package == member.request.package;
            match (selected.iter().find(named), answer) {
                (Some(one), Ok(answer)) => answer.bundle.label() == one.bundle.label(),
                (Some(_), Err(_)) => false,
                (None, _) => true,
            }
        })
}

#[test]
fn reasons_cannot_be_swapped() {
    for world in worlds() {
        each(&world, |problem, operators, group| {
            for at in 0..group.len() {
                for because in [
                    Because::Requested(problem.operators.len() + 1),
                    Because::Kept(problem.operators.len() + 1),
                    Because::Dependency {
                        of: at,
                        requirement: 0,
                    },
                    Because::Dependency {
                        of: group.len(),
                        requirement: 0,
                    },
                ] {
                    let mut other = group.to_vec();
                    other[at].because = because;
                    assert!(check(problem, operators, &other).is_err(), "{other:?}");
                }
            }
        });
    }
}
