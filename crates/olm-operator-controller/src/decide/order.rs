//! What has to be there before something else is handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use olm_resolver::{Bundle, Facts, Requirement};

/// A package of a group: what was chosen for it, and what runs.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) package: String,
    /// The Operator that has it.
    pub(crate) operator: Option<String>,
    pub(crate) chosen: Option<Arc<Bundle>>,
    pub(crate) running: Option<Arc<Bundle>>,
    /// Whether what runs is all that was asked for, and works.
    pub(crate) works: bool,
    /// Whether what was chosen is not asked for yet.
    pub(crate) moves: bool,
    /// Whether what it requires counts.
    pub(crate) counts: bool,
}

impl Unit {
    /// Whether another bundle than the one that runs was chosen.
    fn changes(&self) -> bool {
        match (&self.chosen, &self.running) {
            (Some(chosen), Some(running)) => {
                chosen.name != running.name || chosen.image != running.image
            }
            (chosen, _) => chosen.is_some(),
        }
    }
}

/// One thing that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wait {
    /// The unit that has to be there, or to have moved, first; by place.
    pub(crate) on: usize,
    /// Whether it has to have moved, because what runs of it would break.
    pub(crate) leaves: bool,
}

/// What a bundle requires of others.
pub(crate) fn needs<'a>(
    bundle: &'a Bundle,
    facts: &'a Facts,
) -> impl Iterator<Item = &'a Requirement> {
    let requires = bundle.requires.as_deref().unwrap_or_default();
    requires
        .iter()
        .filter(move |requirement| match requirement {
            Requirement::Api(api) if facts.apis.contains(api) => false,
            Requirement::Constraint(constraint) if constraint.is_prohibition() => false,
            _ => !requirement.is_met_by(bundle),
        })
}

/// The units of one group, to ask what depends on what.
#[derive(Debug)]
pub(crate) struct Units<'a> {
    pub(crate) all: Vec<Unit>,
    pub(crate) facts: &'a Facts,
}

impl Units<'_> {
    /// The place of a package.
    pub(crate) fn place(&self, package: &str) -> Option<usize> {
        self.all.iter().position(|unit| unit.package == package)
    }

    /// Whether another package that works meets a requirement of the unit at `own` now.
    pub(crate) fn is_met_now(&self, own: usize, requirement: &Requirement) -> bool {
        self.others(own)
            .filter(|(_, unit)| unit.works)
            .any(|(_, unit)| met(unit.running.as_ref(), requirement))
    }

    /// The place of the unit whose chosen bundle meets a requirement, else of the one that meets it
    /// as it runs.
    pub(crate) fn provider(&self, own: usize, requirement: &Requirement) -> Option<usize> {
        let chosen = |(_, unit): &(usize, &Unit)| met(unit.chosen.as_ref(), requirement);
        let running = |(_, unit): &(usize, &Unit)| met(unit.running.as_ref(), requirement);
        let found = self.others(own).find(chosen);
        found
            .or_else(|| self.others(own).find(running))
            .map(|(place, _)| place)
    }

    fn others(&self, own: usize) -> impl Iterator<Item = (usize, &Unit)> {
        let all = self.all.iter().enumerate();
        all.filter(move |(place, _)| *place != own)
    }

    /// What a bundle of the unit at `own` requires of others.
    pub(crate) fn needs<'a>(
        &'a self,
        own: usize,
        bundle: &'a Bundle,
    ) -> impl Iterator<Item = &'a Requirement> {
        let counts = self.all[own].counts;
        needs(bundle, self.facts).filter(move |_| counts)
    }

    /// What each unit waits for, by place. Units that wait for one another in a circle go together,
    /// once what any of them waits for outside of the circle is there.
    pub(crate) fn waits(&self) -> Vec<Vec<Wait>> {
        let mut edges: Vec<BTreeSet<Wait>> = vec![BTreeSet::new(); self.all.len()];
        for (own, unit) in self.all.iter().enumerate() {
            let (Some(chosen), true) = (&unit.chosen, unit.moves) else {
                continue;
            };
            for requirement in self.needs(own, chosen) {
                if !self.is_met_now(own, requirement)
                    && let Some(on) = self.provider(own, requirement)
                {
                    edges[own].insert(Wait { on, leaves: false });
                }
            }
        }
        for (own, unit) in self.all.iter().enumerate() {
            if unit.moves && unit.running.is_some() {
                let broken = self.broken_by(own).into_iter();
                edges[own].extend(broken.map(|on| Wait { on, leaves: true }));
            }
        }
        let circles = circles(&edges);
        let mut outside: BTreeMap<usize, BTreeSet<Wait>> = BTreeMap::new();
        for (own, waits) in edges.iter().enumerate() {
            let waits = waits.iter().filter(|wait| circles[wait.on] != circles[own]);
            outside.entry(circles[own]).or_default().extend(waits);
        }
        let of = |circle: &usize| outside.get(circle).into_iter().flatten().copied().collect();
        circles.iter().map(of).collect()
    }

    /// Units whose running bundles would lack something once the unit at `own` has moved, and that
    /// can move away from them before.
    fn broken_by(&self, own: usize) -> Vec<usize> {
        let unit = &self.all[own];
        let others = self.others(own).filter(|(place, other)| {
            let (Some(running), Some(chosen)) = (&other.running, &other.chosen) else {
                return false;
            };
            let breaks = |requirement: &Requirement| {
                let stays = |(at, third): (usize, &Unit)| {
                    at != own
                        && met(third.running.as_ref(), requirement)
                        && met(third.chosen.as_ref(), requirement)
                };
                met(unit.running.as_ref(), requirement)
                    && !met(unit.chosen.as_ref(), requirement)
                    && !self.others(*place).any(stays)
            };
            let mut needs = self.needs(*place, chosen);
            other.changes()
                && self.needs(*place, running).any(breaks)
                && needs.all(|requirement| self.is_met_now(*place, requirement))
        });
        others.map(|(place, _)| place).collect()
    }
}

fn met(bundle: Option<&Arc<Bundle>>, requirement: &Requirement) -> bool {
    bundle.is_some_and(|bundle| requirement.is_met_by(bundle))
}

/// A number for each place that is the same for those that lead to one another.
fn circles(edges: &[BTreeSet<Wait>]) -> Vec<usize> {
    let reached: Vec<BTreeSet<usize>> = (0..edges.len())
        .map(|start| {
            let mut reached = BTreeSet::new();
            let mut open = vec![start];
            while let Some(at) = open.pop() {
                for wait in &edges[at] {
                    if reached.insert(wait.on) {
                        open.push(wait.on);
                    }
                }
            }
            reached
        })
        .collect();
    (0..edges.len())
        .map(|own| {
            let back = |other: &&usize| reached[**other].contains(&own);
            let first = reached[own].iter().find(back);
            first.map_or(own, |first| own.min(*first))
        })
        .collect()
}
