//! Small worlds, with the meaning of bundles written down a second time: in numbers, and with the
//! answer that trying everything gives.

use std::collections::BTreeSet;

use olm_resolver::{Refusal, Resolution};
use serde_json::{Value, json};

use crate::world::{Words, World, Written, ask, b, one};

/// What decides where there is a choice.
pub(crate) trait Choices {
    fn below(&mut self, end: usize) -> usize;

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Something that a bundle can be.
#[derive(Debug, Clone, Copy)]
enum Leaf {
    /// Of a package, between two versions.
    Package(usize, usize, usize),
    Api(usize),
}

#[derive(Debug, Clone)]
enum Wants {
    Any(Vec<Leaf>),
    Not(Leaf),
}

#[derive(Debug, Clone)]
struct Bundle {
    package: usize,
    version: usize,
    apis: Vec<usize>,
    withdrawn: bool,
    wants: Vec<Wants>,
}

#[derive(Debug, Clone)]
struct Asks {
    package: usize,
    pin: Option<usize>,
    installed: Option<usize>,
}

/// A small world.
#[derive(Debug, Clone)]
pub(crate) struct Small {
    bundles: Vec<Bundle>,
    asks: Vec<Asks>,
}

/// A small world that the choices decide.
pub(crate) fn small<C: Choices>(numbers: &mut C) -> Small {
    let packages = 2 + numbers.below(4);
    let versions: Vec<usize> = (0..packages).map(|_| 1 + numbers.below(3)).collect();
    let leaf = |numbers: &mut C| {
        if numbers.chance(30) {
            return Leaf::Api(numbers.below(3));
        }
        // One more than there are: missing now and then.
        let more = usize::from(numbers.chance(10));
        let package = numbers.below(packages + more);
        let low = numbers.below(3);
        let high = low + numbers.below(3);
        Leaf::Package(package, low, high)
    };
    let mut bundles = Vec::new();
    for (package, count) in versions.iter().enumerate() {
        for version in 0..*count {
            let mut wants = Vec::new();
            while numbers.chance(35) {
                wants.push(if numbers.chance(12) {
                    Wants::Not(leaf(numbers))
                } else {
                    let count = if numbers.chance(75) { 1 } else { 2 };
                    Wants::Any((0..count).map(|_| leaf(numbers)).collect())
                });
            }
            bundles.push(Bundle {
                package,
                version,
                apis: (0..3).filter(|_| numbers.chance(18)).collect(),
                withdrawn: numbers.chance(8),
                wants,
            });
        }
    }
    let mut asks: Vec<Asks> = Vec::new();
    for _ in 0..=numbers.below(3) {
        let package = numbers.below(packages);
        if asks.iter().all(|other| other.package != package) {
            let count = versions[package];
            asks.push(Asks {
                package,
                pin: numbers.chance(25).then(|| numbers.below(count)),
                installed: numbers.chance(30).then(|| numbers.below(count)),
            });
        }
    }
    Small { bundles, asks }
}

fn version(number: usize) -> String {
    format!("{}.0.0", number + 1)
}

fn value(leaf: Leaf) -> Value {
    match leaf {
        Leaf::Package(package, low, high) => {
            json!({"package": {"packageName": format!("p{package}"),
            "versionRange": format!(">={} <={}", version(low), version(high))}})
        }
        Leaf::Api(api) => json!({"gvk": crate::world::api(&format!("A{api}"))}),
    }
}

impl Small {
    fn world(&self) -> World {
        let bundles: Vec<Written> = self
            .bundles
            .iter()
            .map(|bundle| {
                let mut written = b(&format!("p{}", bundle.package), &version(bundle.version));
                if bundle.version > 0 {
                    written = written.replaces(&version(bundle.version - 1));
                }
                if bundle.withdrawn {
                    written = written.withdrawn();
                }
                for api in &bundle.apis {
                    written = written.gives(&format!("A{api}"));
                }
                for wants in &bundle.wants {
                    written = match wants {
                        Wants::Not(leaf) => {
                            written.constraint(json!({"not": {"constraints": [value(*leaf)]}}))
                        }
                        Wants::Any(leaves) => match leaves.as_slice() {
                            [Leaf::Api(api)] => written.needs_api(&format!("A{api}")),
                            [Leaf::Package(package, low, high)] => written.needs(
                                &format!("p{package}"),
                                &format!(">={} <={}", version(*low), version(*high)),
                            ),
                            leaves => {
                                let leaves: Vec<Value> =
                                    leaves.iter().map(|leaf| value(*leaf)).collect();
                                written.constraint(json!({"any": {"constraints": leaves}}))
                            }
                        },
                    };
                }
                written
            })
            .collect();
        let asks: Vec<_> = self
            .asks
            .iter()
            .map(|asks| {
                let member = ask(
                    &format!("p{}", asks.package),
                    &asks.pin.map(version).unwrap_or_default(),
                );
                match asks.installed {
                    Some(installed) => member.at(&version(installed)),
                    None => member,
                }
            })
            .collect();
        one(&bundles, &asks)
    }

    fn installed(&self, package: usize) -> Option<usize> {
        let mut asks = self.asks.iter();
        asks.find(|asks| asks.package == package)?.installed
    }

    fn is_installed(&self, at: usize) -> bool {
        let bundle = &self.bundles[at];
        self.installed(bundle.package) == Some(bundle.version)
    }

    fn is_open(&self, at: usize) -> bool {
        let bundle = &self.bundles[at];
        self.is_installed(at)
            || (!bundle.withdrawn
                && self
                    .installed(bundle.package)
                    .is_none_or(|installed| bundle.version == installed + 1))
    }

    fn is(&self, at: usize, leaf: Leaf) -> bool {
        let bundle = &self.bundles[at];
        match leaf {
            Leaf::Package(package, low, high) => {
                bundle.package == package && (low..=high).contains(&bundle.version)
            }
            Leaf::Api(api) => bundle.apis.contains(&api),
        }
    }

    /// Newest first.
    fn asked(&self, asks: &Asks) -> Vec<usize> {
        let mut found: Vec<usize> = (0..self.bundles.len())
            .filter(|at| self.bundles[*at].package == asks.package)
            .filter(|at| asks.pin.is_none_or(|pin| self.bundles[*at].version == pin))
            .collect();
        found.reverse();
        found
    }

    /// What each of its requirements can be met by, in order; those that it meets itself are none.
    fn needs(&self, at: usize) -> Vec<Vec<usize>> {
        let own = &self.bundles[at];
        let mut needs = Vec::new();
        for wants in &own.wants {
            let Wants::Any(leaves) = wants else { continue };
            let meets = |other: usize| leaves.iter().any(|leaf| self.is(other, *leaf));
            if meets(at) {
                continue;
            }
            let mut found: Vec<usize> = (0..self.bundles.len())
                .filter(|other| self.bundles[*other].package != own.package && meets(*other))
                .collect();
            found.sort_by_key(|other| {
                let bundle = &self.bundles[*other];
                let newest = std::cmp::Reverse(bundle.version);
                (!self.is_installed(*other), bundle.package, newest)
            });
            needs.push(found);
        }
        needs
    }

    fn forbids(&self, at: usize, other: usize) -> bool {
        self.bundles[at].package != self.bundles[other].package
            && self.bundles[at].wants.iter().any(|wants| match wants {
                Wants::Not(leaf) => self.is(other, *leaf),
                Wants::Any(_) => false,
            })
    }

    /// What an Operator asks for, or what stays of it; nothing if it takes no part.
    fn list(&self, asks: &Asks) -> (Vec<usize>, bool) {
        let asked = self.asked(asks);
        if asked.iter().any(|at| self.is_open(*at)) {
            return (asked, true);
        }
        let stays = (0..self.bundles.len())
            .filter(|at| self.bundles[*at].package == asks.package && self.is_installed(*at));
        (stays.collect(), false)
    }

    /// The groups of Operators, by what they reach.
    fn groups(&self) -> Vec<Vec<usize>> {
        let count = self.bundles.len();
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut pending: Vec<usize> = self
            .asks
            .iter()
            .flat_map(|asks| self.list(asks).0)
            .collect();
        let mut label: Vec<usize> = (0..6).collect();
        let join = |label: &mut Vec<usize>, one: usize, other: usize| {
            let (one, other) = (label[one], label[other]);
            label
                .iter_mut()
                .filter(|at| **at == one)
                .for_each(|at| *at = other);
        };
        while let Some(at) = pending.pop() {
            if !reached.insert(at) || !self.is_open(at) {
                continue;
            }
            for other in self.needs(at).into_iter().flatten() {
                join(
                    &mut label,
                    self.bundles[at].package,
                    self.bundles[other].package,
                );
                pending.push(other);
            }
        }
        for one in 0..count {
            for other in 0..count {
                let both = [one, other].map(|at| reached.contains(&at) && self.is_open(at));
                let apis = &self.bundles[one].apis;
                let shared = apis
                    .iter()
                    .any(|api| self.bundles[other].apis.contains(api));
                if both == [true, true] && (shared || self.forbids(one, other)) {
                    join(
                        &mut label,
                        self.bundles[one].package,
                        self.bundles[other].package,
                    );
                }
            }
        }
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        for (place, asks) in self.asks.iter().enumerate() {
            if self.list(asks).0.is_empty() {
                continue;
            }
            let of = label[asks.package];
            match groups.iter_mut().find(|(other, _)| *other == of) {
                Some((_, group)) => group.push(place),
                None => groups.push((of, vec![place])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// Everything that may be selected for a group.
    fn solutions(&self, group: &[usize]) -> Vec<Vec<usize>> {
        let mut all: Vec<Vec<usize>> = vec![Vec::new()];
        for package in 0..5 {
            let mut more = Vec::new();
            for selected in &all {
                for at in 0..self.bundles.len() {
                    if self.bundles[at].package == package && self.is_open(at) {
                        let mut with = selected.clone();
                        with.push(at);
                        more.push(with);
                    }
                }
            }
            all.extend(more);
        }
        all.retain(|selected| {
            group.iter().all(|place| {
                let list = self.list(&self.asks[*place]).0;
                list.iter().any(|at| selected.contains(at))
            }) && selected.iter().all(|&at| {
                self.needs(at)
                    .iter()
                    .all(|need| need.iter().any(|other| selected.contains(other)))
                    && selected.iter().all(|&other| {
                        let apis = &self.bundles[at].apis;
                        let shared = apis
                            .iter()
                            .any(|api| self.bundles[other].apis.contains(api));
                        at == other || (!shared && !self.forbids(at, other))
                    })
            })
        });
        all
    }

    /// The preference as it is defined.
    fn preferred(&self, group: &[usize], solutions: &[Vec<usize>]) -> Vec<usize> {
        let mut order = group.to_vec();
        order.sort_by_key(|place| {
            let asks = &self.asks[*place];
            (asks.installed.is_none(), asks.package)
        });
        // Those that are only kept come last.
        order.sort_by_key(|place| !self.list(&self.asks[*place]).1);
        let mut queue: Vec<Vec<usize>> = order
            .iter()
            .map(|place| self.list(&self.asks[*place]).0)
            .collect();
        let mut selected: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some(candidates) = queue.get(at).cloned() {
            at += 1;
            if candidates.iter().any(|at| selected.contains(at)) {
                continue;
            }
            let fits = |candidate: &&usize| {
                solutions.iter().any(|solution| {
                    solution.contains(candidate) && selected.iter().all(|at| solution.contains(at))
                })
            };
            let first = *candidates.iter().find(fits).unwrap();
            selected.push(first);
            queue.extend(self.needs(first));
        }
        selected.sort_unstable();
        selected
    }
}

/// What is selected, in numbers, by group.
fn selected(small: &Small, resolution: &Resolution) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = resolution
        .groups
        .iter()
        .map(|group| {
            let mut numbers: Vec<usize> = group
                .iter()
                .map(|selected| {
                    let of = |bundle: &Bundle| {
                        selected.bundle.package == format!("p{}", bundle.package)
                            && selected.bundle.label() == version(bundle.version)
                    };
                    small.bundles.iter().position(of).unwrap()
                })
                .collect();
            numbers.sort_unstable();
            numbers
        })
        .collect();
    groups.sort();
    groups
}

/// Compares the answer with that of trying everything. Returns how many groups got something, and how
/// many did not.
pub(crate) fn compare(small: &Small) -> (usize, usize) {
    let (mut solved, mut refused) = (0, 0);
    let resolution = small.world().solve();
    let mut expected = Vec::new();
    for group in small.groups() {
        let solutions = small.solutions(&group);
        if solutions.is_empty() {
            refused += 1;
            for place in group {
                if small.list(&small.asks[place]).1 {
                    let answer = &resolution.answers[place];
                    assert!(
                        matches!(answer, Err(Refusal::Unsatisfiable(_))),
                        "{small:?}"
                    );
                }
            }
        } else {
            solved += 1;
            expected.push(small.preferred(&group, &solutions));
        }
    }
    expected.sort();
    assert_eq!(selected(small, &resolution), expected, "{small:?}");
    (solved, refused)
}
