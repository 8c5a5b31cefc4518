//! The search against trying everything.

use super::{End, Engine, FactId, Rule, Variable, reduce};

/// A stream of numbers that is the same every time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap_or(0)
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }
}

/// Packages of up to three versions, newest first, with everything that rules can say.
fn random(numbers: &mut Numbers) -> (Vec<Rule>, Vec<Vec<Variable>>) {
    let mut packages: Vec<Vec<Variable>> = Vec::new();
    let mut count = 0;
    for _ in 0..2 + numbers.below(4) {
        let versions = 1 + numbers.below(3);
        packages.push((count..count + versions).collect());
        count += versions;
    }
    let pick = |numbers: &mut Numbers| {
        let at = numbers.below(u32::try_from(packages.len()).unwrap_or(1));
        let package = &packages[at as usize];
        let from = numbers.below(u32::try_from(package.len()).unwrap_or(1)) as usize;
        let all = numbers.chance(40);
        if all {
            package.clone()
        } else {
            package[from..=from].to_vec()
        }
    };
    let mut rules = Vec::new();
    for _ in 0..=numbers.below(3) {
        rules.push(Rule::OneOf(pick(numbers)));
    }
    for package in &packages {
        for &variable in package {
            while numbers.chance(35) {
                let mut candidates = Vec::new();
                while !numbers.chance(if candidates.is_empty() { 5 } else { 65 }) {
                    candidates.extend(pick(numbers));
                }
                candidates.retain(|other| !package.contains(other));
                candidates.dedup();
                rules.push(Rule::Requires(variable, candidates));
            }
            if numbers.chance(8) {
                let mut others = pick(numbers);
                others.retain(|other| !package.contains(other));
                rules.push(Rule::Excludes(variable, others));
            }
        }
    }
    for package in &packages {
        rules.push(Rule::AtMostOne(package.clone()));
    }
    while numbers.chance(30) {
        let mut members: Vec<Variable> = (0..3).flat_map(|_| pick(numbers)).collect();
        members.sort_unstable();
        members.dedup();
        rules.push(Rule::AtMostOne(members));
    }
    while numbers.chance(25) {
        rules.push(Rule::None(vec![numbers.below(count)]));
    }
    (rules, packages)
}

fn holds(rule: &Rule, selected: u32) -> bool {
    let has = |variable: &Variable| selected >> variable & 1 == 1;
    match rule {
        Rule::OneOf(candidates) => candidates.iter().any(has),
        Rule::Requires(by, candidates) => !has(by) || candidates.iter().any(has),
        Rule::AtMostOne(members) => members.iter().filter(|member| has(member)).count() <= 1,
        Rule::Excludes(by, others) => !has(by) || !others.iter().any(has),
        Rule::None(members) => !members.iter().any(has),
    }
}

/// All solutions, at most one version of each package at a time.
fn solutions(rules: &[Rule], packages: &[Vec<Variable>]) -> Vec<u32> {
    let mut all = vec![0_u32];
    for package in packages {
        let with = |selected: &u32| {
            let selected = *selected;
            package.iter().map(move |variable| selected | 1 << variable)
        };
        let more: Vec<u32> = all.iter().flat_map(with).collect();
        all.extend(more);
    }
    all.retain(|selected| rules.iter().all(|rule| holds(rule, *selected)));
    all
}

/// Whether rules can hold together, whatever they are.
fn possible(rules: &[&Rule]) -> bool {
    let mut mentioned: Vec<Variable> = Vec::new();
    for rule in rules {
        match rule {
            Rule::OneOf(more) | Rule::AtMostOne(more) | Rule::None(more) => mentioned.extend(more),
            Rule::Requires(by, more) | Rule::Excludes(by, more) => {
                mentioned.push(*by);
                mentioned.extend(more);
            }
        }
    }
    mentioned.sort_unstable();
    mentioned.dedup();
    (0..1_u32 << mentioned.len()).any(|choice| {
        let chosen = mentioned.iter().enumerate();
        let selected = chosen.fold(0, |all, (at, variable)| {
            all | (choice >> at & 1) << variable
        });
        rules.iter().all(|rule| holds(rule, selected))
    })
}

/// The preference as it is defined: of each item in turn the first candidate with which a solution
/// is left.
fn preferred(rules: &[Rule], solutions: &[u32]) -> Option<Vec<(Variable, FactId)>> {
    solutions.first()?;
    let mut queue: Vec<FactId> = Vec::new();
    let numbered = || (0..).zip(rules);
    queue.extend(numbered().filter_map(|(fact, rule)| match rule {
        Rule::OneOf(_) => Some(fact),
        _ => None,
    }));
    let (mut at, mut selected, mut added) = (0, 0_u32, Vec::new());
    while let Some(&fact) = queue.get(at) {
        at += 1;
        let (Rule::OneOf(candidates) | Rule::Requires(_, candidates)) = &rules[fact as usize]
        else {
            continue;
        };
        if candidates.iter().any(|at| selected >> at & 1 == 1) {
            continue;
        }
        let fits = |at: &&Variable| {
            let wanted = selected | 1 << **at;
            solutions.iter().any(|solution| solution & wanted == wanted)
        };
        let first = *candidates.iter().find(fits)?;
        selected |= 1 << first;
        added.push((first, fact));
        queue.extend(numbered().filter_map(|(fact, rule)| match rule {
            Rule::Requires(by, _) if *by == first => Some(fact),
            _ => None,
        }));
    }
    Some(added)
}

#[test]
fn ten_thousand_problems_have_the_answer_of_trying_everything() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut solved, mut impossible) = (0, 0);
    for _ in 0..10_000 {
        let (rules, packages) = random(&mut numbers);
        let variables = packages.iter().map(Vec::len).sum();
        let all: Vec<FactId> = (0..).take(rules.len()).collect();
        let mut budget = 1_000_000;
        let every = solutions(&rules, &packages);
        match Engine::new(&rules, &all, variables).run(&mut budget) {
            End::Found(found) => {
                solved += 1;
                assert_eq!(Some(found), preferred(&rules, &every), "{rules:?}");
            }
            End::Impossible(core) => {
                impossible += 1;
                assert_eq!(every, Vec::<u32>::new(), "{rules:?}");
                let core = reduce(&rules, core, variables, &mut budget);
                let of = |facts: &[FactId]| -> Vec<&Rule> {
                    facts.iter().map(|fact| &rules[*fact as usize]).collect()
                };
                assert!(!possible(&of(&core)), "{rules:?}");
                for &fact in &core {
                    let mut without = core.clone();
                    without.retain(|other| *other != fact);
                    assert!(
                        possible(&of(&without)),
                        "{fact} can be dropped of {core:?} in {rules:?}"
                    );
                }
            }
            End::Cancelled => panic!("{rules:?}"),
        }
    }
    assert!(
        solved > 2_000 && impossible > 2_000,
        "{solved} {impossible}"
    );
}

#[test]
fn an_exhausted_budget_ends_the_search() {
    let rules = [Rule::OneOf(vec![0]), Rule::Requires(0, vec![1])];
    let mut budget = 6;
    let end = Engine::new(&rules, &[0, 1], 2).run(&mut budget);
    assert!(matches!(end, End::Cancelled));
}
