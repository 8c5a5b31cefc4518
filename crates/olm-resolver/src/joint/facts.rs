//! The facts of a group: what each demands, and where it comes from.

use std::collections::BTreeMap;

use crate::solver::{Rule, Variable};

use super::closure::{Closure, Wish};

/// Where a fact comes from. Nodes, parts and Operators by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fact {
    /// An Operator asks for its package.
    Request(usize),
    /// What is installed for an Operator stays.
    Stays { operator: usize, node: usize },
    /// What is installed of a package moves only along edges.
    Edges(usize),
    /// A bundle requires something: the node, and which of its needs.
    Requires { node: usize, need: usize },
    /// A bundle does not allow something: the node, and which.
    Forbids { node: usize, which: usize },
    /// Only one bundle of a package.
    OnePerPackage(usize),
    /// Only one package provides an API, by group and kind.
    OneProvider { group: String, kind: String },
    /// A bundle cannot be used.
    Unusable(usize),
    /// A candidate is forced on an Operator, to see what is in its way.
    Forced(usize),
    /// What was decided for an Operator before.
    Decided(usize),
}

/// A group of Operators that have to do with one another, in numbers.
#[derive(Debug)]
pub(crate) struct Group {
    /// The Operators in their order.
    pub(crate) operators: Vec<usize>,
    /// The nodes that stand behind the variables.
    pub(crate) nodes: Vec<usize>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) rules: Vec<Rule>,
    variables: BTreeMap<usize, Variable>,
}

impl Group {
    /// All groups, in the order of their first Operators.
    pub(crate) fn all(closure: &Closure<'_>) -> Vec<Self> {
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        let mut groups: Vec<(Vec<usize>, Vec<usize>, Vec<usize>)> = Vec::new();
        for &operator in &closure.order {
            let node = match &closure.wishes[operator] {
                Wish::OneOf(nodes) => nodes.first().copied(),
                Wish::Stays(node) => Some(*node),
                Wish::Nothing => None,
            };
            let Some(node) = node else { continue };
            let group = closure.groups.of(closure.nodes[node].package);
            let place = *places.entry(group).or_insert_with(|| {
                groups.push((Vec::new(), Vec::new(), Vec::new()));
                groups.len() - 1
            });
            groups[place].0.push(operator);
        }
        for part in 0..closure.parts.len() {
            if let Some(place) = places.get(&closure.groups.of(part)) {
                groups[*place].1.push(part);
            }
        }
        let reached = closure.nodes.iter().enumerate();
        for (at, node) in reached.filter(|(_, node)| node.reached) {
            if let Some(place) = places.get(&closure.groups.of(node.package)) {
                groups[*place].2.push(at);
            }
        }
        groups
            .into_iter()
            .map(|(operators, parts, nodes)| Self::new(closure, operators, &parts, nodes))
            .collect()
    }

    fn new(
        closure: &Closure<'_>,
        operators: Vec<usize>,
        parts: &[usize],
        nodes: Vec<usize>,
    ) -> Self {
        let variables = (0..).zip(&nodes).map(|(at, node)| (*node, at)).collect();
        let mut group = Self {
            operators,
            nodes,
            facts: Vec::new(),
            rules: Vec::new(),
            variables,
        };
        group.requests(closure);
        group.edges(closure, parts);
        for node in group.nodes.clone() {
            group.node(closure, node);
        }
        for &part in parts {
            let mut members = closure.parts[part].nodes.clone();
            members.retain(|node| closure.nodes[*node].reached);
            if members.len() > 1 {
                let members = group.variables(&members);
                group.push(Fact::OnePerPackage(part), Rule::AtMostOne(members));
            }
        }
        if parts.len() > 1 {
            group.providers(closure);
        }
        for node in group.nodes.clone() {
            if closure.nodes[node].unusable.is_some() {
                let rule = Rule::None(vec![group.variable(node)]);
                group.push(Fact::Unusable(node), rule);
            }
        }
        group
    }

    pub(crate) fn push(&mut self, fact: Fact, rule: Rule) {
        self.facts.push(fact);
        self.rules.push(rule);
    }

    /// Takes back all but the first facts.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.facts.truncate(length);
        self.rules.truncate(length);
    }

    pub(crate) fn variable(&self, node: usize) -> Variable {
        self.variables.get(&node).copied().unwrap_or(Variable::MAX)
    }

    fn variables(&self, nodes: &[usize]) -> Vec<Variable> {
        nodes.iter().map(|node| self.variable(*node)).collect()
    }

    fn requests(&mut self, closure: &Closure<'_>) {
        for operator in self.operators.clone() {
            if let Wish::OneOf(candidates) = &closure.wishes[operator] {
                let rule = Rule::OneOf(self.variables(candidates));
                self.push(Fact::Request(operator), rule);
            }
        }
        for operator in self.operators.clone() {
            if let Wish::Stays(node) = closure.wishes[operator] {
                let rule = Rule::OneOf(vec![self.variable(node)]);
                self.push(Fact::Stays { operator, node }, rule);
            }
        }
    }

    fn edges(&mut self, closure: &Closure<'_>, parts: &[usize]) {
        for &part in parts {
            let nodes = closure.parts[part].nodes.iter().copied();
            let blocked: Vec<usize> = nodes
                .filter(|node| closure.nodes[*node].reached && closure.nodes[*node].unreachable)
                .collect();
            if !blocked.is_empty() {
                let rule = Rule::None(self.variables(&blocked));
                self.push(Fact::Edges(part), rule);
            }
        }
    }

    fn node(&mut self, closure: &Closure<'_>, node: usize) {
        let variable = self.variable(node);
        for (need, wanted) in closure.nodes[node].needs.iter().enumerate() {
            let rule = Rule::Requires(variable, self.variables(&wanted.candidates));
            self.push(Fact::Requires { node, need }, rule);
        }
        for (which, (_, forbidden)) in closure.nodes[node].forbids.iter().enumerate() {
            let rule = Rule::Excludes(variable, self.variables(forbidden));
            self.push(Fact::Forbids { node, which }, rule);
        }
    }

    fn providers(&mut self, closure: &Closure<'_>) {
        let mut providers: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for &node in &self.nodes {
            if closure.nodes[node].is_candidate() {
                for api in &closure.nodes[node].bundle.provides {
                    let of_api = providers.entry((&api.group, &api.kind)).or_default();
                    // In several versions, perhaps.
                    if of_api.last() != Some(&node) {
                        of_api.push(node);
                    }
                }
            }
        }
        for ((group, kind), mut nodes) in providers {
            nodes.dedup();
            let package = |node: &usize| closure.nodes[*node].package;
            let first = nodes.first().map(package);
            if nodes.iter().any(|node| Some(package(node)) != first) {
                let rule = Rule::AtMostOne(self.variables(&nodes));
                let (group, kind) = (group.to_owned(), kind.to_owned());
                self.push(Fact::OneProvider { group, kind }, rule);
            }
        }
    }
}
