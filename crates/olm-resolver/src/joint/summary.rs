//! A clash of facts in one sentence.
//!
//! Of every list of candidates the best one is followed, as the search does, until something is
//! missing or two ways meet in one place.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use crate::eligibility::Ineligibility;
use crate::model::{Api, Bundle, Requirement};
use crate::refusal::{list, unusable};
use crate::solver::{FactId, Rule};

use super::closure::{Closure, Node};
use super::facts::{Fact, Group};
use super::words::and;

/// Most requirements that a sentence follows, one after another.
const MAX_STEPS: usize = 20;

/// Group that clash, with what they are about.
pub(crate) struct Story<'a> {
    pub(super) closure: &'a Closure<'a>,
    /// The facts with the nodes that they ask for, in their order.
    core: Vec<(&'a Fact, Vec<usize>)>,
    /// What there is of packages of which something is missing.
    pub(super) available: RefCell<HashMap<String, String>>,
}

/// One way from a request along requirements.
#[derive(Debug, Clone)]
struct Way {
    /// The place of the fact that it starts from.
    start: usize,
    /// The nodes on the way, each with the need that leads on.
    steps: Vec<(usize, usize)>,
    /// Where it may end, best first.
    targets: Vec<usize>,
    end: Arrival,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    /// At something that could be selected.
    Open,
    /// At nothing at all.
    Missing,
    /// At what cannot be used.
    Unusable,
    /// At what no edge leads to, of a part.
    Blocked(usize),
}

impl<'a> Story<'a> {
    pub(crate) fn new(closure: &'a Closure<'a>, facts: &'a Group, core: &[FactId]) -> Self {
        let nodes = |fact: FactId| match &facts.rules[fact as usize] {
            Rule::OneOf(variables) => variables
                .iter()
                .map(|variable| facts.nodes[*variable as usize])
                .collect(),
            _ => Vec::new(),
        };
        Self {
            closure,
            core: core
                .iter()
                .map(|fact| (&facts.facts[*fact as usize], nodes(*fact)))
                .collect(),
            available: RefCell::default(),
        }
    }

    pub(crate) fn core(&self) -> impl Iterator<Item = &'a Fact> {
        self.core.iter().map(|(fact, _)| *fact)
    }

    /// The sentence.
    pub(crate) fn summary(&self) -> String {
        self.told(None)
    }

    /// The sentence, about a candidate that is held back.
    pub(crate) fn of_candidate(&self, node: usize) -> String {
        let text = self.told(Some(node));
        let text = text.strip_prefix("unable to resolve: ").unwrap_or(&text);
        let name = self.name(node);
        match text.strip_prefix(&name) {
            Some(rest) if rest.starts_with(' ') => format!("it{rest}"),
            _ => text.to_owned(),
        }
    }

    fn told(&self, candidate: Option<usize>) -> String {
        let ways = self.ways();
        for way in &ways {
            match way.end {
                Arrival::Open => {}
                Arrival::Missing => return self.missing(way),
                Arrival::Unusable => return self.unusable_end(way),
                Arrival::Blocked(part) => return self.blocked(way, part),
            }
        }
        self.forbidden_end(&ways)
            .or_else(|| self.one_package(&ways, candidate))
            .or_else(|| self.one_provider(&ways))
            .unwrap_or_else(|| self.all_requirements())
    }

    fn has(&self, fact: &Fact) -> bool {
        self.core().any(|other| other == fact)
    }

    fn ruled_out(&self, node: usize) -> bool {
        let Node {
            package,
            unreachable,
            unusable,
            ..
        } = self.node(node);
        (*unreachable && self.has(&Fact::Edges(*package)))
            || (unusable.is_some() && self.has(&Fact::Unusable(node)))
    }

    /// All ways from the requests, along the best candidates.
    fn ways(&self) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        for (start, (_, targets)) in self.core.iter().enumerate() {
            if !targets.is_empty() {
                ways.push(self.way(start, Vec::new(), targets));
            }
        }
        let mut needs: HashMap<usize, Vec<usize>> = HashMap::new();
        for fact in self.core() {
            if let Fact::Requires { node, need } = fact {
                needs.entry(*node).or_default().push(*need);
            }
        }
        let mut seen = BTreeSet::new();
        let mut at = 0;
        while let Some(way) = ways.get(at).cloned() {
            at += 1;
            let Some(&best) = way.targets.first() else {
                continue;
            };
            if way.end != Arrival::Open || way.steps.len() == MAX_STEPS || !seen.insert(best) {
                continue;
            }
            for &need in needs.get(&best).into_iter().flatten() {
                let mut steps = way.steps.clone();
                steps.push((best, need));
                let candidates = &self.node(best).needs[need].candidates;
                ways.push(self.way(way.start, steps, candidates));
            }
        }
        ways
    }

    fn way(&self, start: usize, steps: Vec<(usize, usize)>, candidates: &[usize]) -> Way {
        let mut targets: Vec<usize> = candidates.to_vec();
        targets.retain(|node| !self.ruled_out(*node));
        let end = match (candidates.first(), targets.first()) {
            (None, _) => Arrival::Missing,
            (Some(_), Some(_)) => Arrival::Open,
            (Some(&first), None) => {
                let blocked = candidates.iter().find(|node| self.node(**node).unreachable);
                targets = candidates.to_vec();
                match blocked {
                    Some(node) if self.node(first).unusable.is_none() => {
                        Arrival::Blocked(self.node(*node).package)
                    }
                    _ => Arrival::Unusable,
                }
            }
        };
        Way {
            start,
            steps,
            targets,
            end,
        }
    }

    /// `A 1.0.0 requires B 2, B 2.1.0 requires C 1`.
    fn path(&self, way: &Way) -> String {
        let clauses: Vec<String> = way
            .steps
            .iter()
            .map(|(node, need)| {
                let requirement = self.requirement(*node, *need, false);
                format!("{} requires {requirement}", self.name(*node))
            })
            .collect();
        clauses.join(", ")
    }

    fn missing(&self, way: &Way) -> String {
        let Some(((node, need), before)) = way.steps.split_last() else {
            return self.all_requirements();
        };
        let mut before = self.path(&Way {
            steps: before.to_vec(),
            ..way.clone()
        });
        if !before.is_empty() {
            before.push_str(", ");
        }
        let name = self.name(*node);
        let needs = self.requirement(*node, *need, true);
        match self.required(*node, *need) {
            Some(Requirement::Constraint(constraint)) => {
                let needs = format!("{name} needs one bundle with: {}", constraint.test);
                if constraint.failure_message.is_empty() {
                    format!("{before}{needs}, which no catalog offers")
                } else {
                    format!("{} ({before}{needs})", constraint.failure_message)
                }
            }
            _ => format!("{before}{name} requires {needs}"),
        }
    }

    fn unusable_end(&self, way: &Way) -> String {
        if let (true, Some(first)) = (way.steps.is_empty(), way.targets.first()) {
            let reasons: Vec<(String, Ineligibility)> = way
                .targets
                .iter()
                .filter_map(|node| Some((self.label(*node), self.node(*node).unusable.clone()?)))
                .collect();
            return unusable(self.package(*first), &reasons);
        }
        let reasons: Vec<String> = way
            .targets
            .iter()
            .map(|node| format!("{} {}", self.name(*node), self.unusable(*node)))
            .collect();
        format!(
            "{}, but nothing usable meets that: {}",
            self.path(way),
            list(&reasons)
        )
    }

    fn blocked(&self, way: &Way, part: usize) -> String {
        let mut text = format!(
            "{}, but package {:?} is installed",
            self.path(way),
            self.part(part)
        );
        let part = &self.closure.parts[part];
        if let Some(installed) = part.installed {
            text = format!("{text} at {}", self.node(installed).bundle.label());
        }
        let mut successors: Vec<&Bundle> = part
            .nodes
            .iter()
            .map(|node| self.node(*node))
            .filter(|node| node.is_open() && !node.installed)
            .map(|node| node.bundle.as_ref())
            .collect();
        successors.sort_by_key(|bundle| std::cmp::Reverse(bundle.version.as_ref().ok()));
        let successors: Vec<String> = successors.into_iter().map(Bundle::label).collect();
        if successors.is_empty() {
            format!("{text} and has no update")
        } else {
            format!("{text} and may only be updated to {}", list(&successors))
        }
    }

    fn forbidden_end(&self, ways: &[Way]) -> Option<String> {
        let (node, which) = self.core().find_map(|fact| match fact {
            Fact::Forbids { node, which } => Some((*node, *which)),
            _ => None,
        })?;
        let forbidden = &self.node(node).forbids.get(which)?.1;
        let wanted = |node: &&usize| ways.iter().any(|way| way.targets.contains(node));
        let mut nodes: Vec<&Node> = forbidden
            .iter()
            .filter(wanted)
            .map(|node| self.node(*node))
            .collect();
        nodes.sort_by_key(|node| (&node.bundle.package, node.bundle.version.as_ref().ok()));
        let names: Vec<String> = nodes
            .iter()
            .map(|node| format!("{} {}", node.bundle.package, node.bundle.label()))
            .collect();
        let verb = if names.len() == 1 {
            "provides"
        } else {
            "provide"
        };
        Some(format!(
            "{} does not allow {}, which {} {verb}",
            self.name(node),
            self.forbidden(node, which),
            and(&names)
        ))
    }

    fn one_package(&self, ways: &[Way], candidate: Option<usize>) -> Option<String> {
        let part = self.core().find_map(|fact| match fact {
            Fact::OnePerPackage(part) => Some(*part),
            _ => None,
        })?;
        let of_part = |way: &&Way| {
            let mut targets = way.targets.iter();
            targets.all(|node| self.node(*node).package == part)
        };
        let claims: Vec<&Way> = ways.iter().filter(of_part).collect();
        let clash = |one: &Way, other: &Way| {
            let mut targets = one.targets.iter();
            !targets.any(|node| other.targets.contains(node))
        };
        let (one, other) = claims.iter().enumerate().find_map(|(at, one)| {
            let other = claims[at + 1..].iter().find(|other| clash(one, other))?;
            Some((*one, *other))
        })?;
        let (required, asked) = match (one.steps.last(), other.steps.last()) {
            (Some(_), Some(&(node, need))) => {
                return Some(format!(
                    "unable to resolve: {}, which conflicts with {} requiring {}",
                    self.path(one),
                    self.name(node),
                    self.requirement(node, need, false)
                ));
            }
            (Some(_), None) => (one, other),
            (None, Some(_)) => (other, one),
            (None, None) => return None,
        };
        let &(by, need) = required.steps.last()?;
        let is_update = self.closure.parts[part].installed.is_some() && self.node(by).installed;
        let (operator, is_candidate) = match self.core[asked.start].0 {
            Fact::Request(operator) | Fact::Decided(operator) => (*operator, false),
            Fact::Forced(operator) => (*operator, true),
            Fact::Stays { node, .. } => {
                return Some(format!(
                    "unable to resolve: {}, which conflicts with {}, which is installed and stays",
                    self.path(required),
                    self.name(*node)
                ));
            }
            _ => return None,
        };
        let target = *asked.targets.first()?;
        if is_update && !self.node(target).installed {
            let target = self.node(target);
            return Some(format!(
                "updating {} to {} would break {}, which requires {}",
                target.bundle.package,
                target.bundle.label(),
                self.name(by),
                self.requirement(by, need, false)
            ));
        }
        if is_candidate && candidate == Some(target) {
            return Some(self.path(required));
        }
        let request = self.request(operator);
        let wish = match (&request.version, &request.channel) {
            (None, None) => String::new(),
            (None, Some(channel)) => format!(" in channel {channel:?}"),
            _ => format!(" {}", request.wish()),
        };
        Some(format!(
            "unable to resolve: {}, which conflicts with Operator {:?} asking for {}{wish}",
            self.path(required),
            request.operator,
            request.package,
        ))
    }

    fn one_provider(&self, ways: &[Way]) -> Option<String> {
        let (group, kind) = self.core().find_map(|fact| match fact {
            Fact::OneProvider { group, kind } => Some((group, kind)),
            _ => None,
        })?;
        let provided = |node: usize| -> Option<&Api> {
            let mut apis = self.node(node).bundle.provides.iter();
            apis.find(|api| api.group == *group && api.kind == *kind)
        };
        let claims: Vec<usize> = ways
            .iter()
            .filter(|way| way.targets.iter().all(|node| provided(*node).is_some()))
            .filter_map(|way| way.targets.first().copied())
            .collect();
        let &one = claims.first()?;
        let package = self.node(one).package;
        let other = claims
            .iter()
            .find(|other| self.node(**other).package != package)?;
        let mut names = [self.name(one), self.name(*other)];
        names.sort();
        Some(format!(
            "unable to resolve: {} and {} both provide {}",
            names[0],
            names[1],
            provided(one)?
        ))
    }

    /// Where no shorter sentence fits.
    fn all_requirements(&self) -> String {
        let mut clauses: Vec<String> = Vec::new();
        for fact in self.core() {
            if let Fact::Requires { node, need } = fact {
                let requirement = self.requirement(*node, *need, false);
                clauses.push(format!("{} requires {requirement}", self.name(*node)));
            }
        }
        let clauses = if clauses.is_empty() {
            "what is asked for cannot be installed together".to_owned()
        } else {
            list(&clauses)
        };
        format!("unable to resolve: {clauses}")
    }
}
