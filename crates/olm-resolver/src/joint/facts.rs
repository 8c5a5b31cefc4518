//! The facts of a group: what each demands, and where it comes from.

use std::collections::BTreeMap;
use std::rc::Rc;

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
    /// What they may have to do with.
    pub(crate) parts: Vec<usize>,
    /// The nodes that stand behind the variables.
    pub(crate) nodes: Vec<usize>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) rules: Vec<Rule>,
    /// By node, for all groups.
    variables: Rc<[Variable]>,
}

impl Group {
    /// All groups, in the order of their first Operators, without facts.
    pub(crate) fn all(closure: &Closure<'_>) -> Vec<Self> {
        let mut places: Vec<Option<usize>> = vec![None; closure.parts.len()];
        let mut groups: Vec<Self> = Vec::new();
        for &operator in &closure.order {
            let node = match &closure.wishes[operator] {
                Wish::OneOf(nodes) => nodes.first().copied(),
                Wish::Stays(node) => Some(*node),
                Wish::Nothing => None,
            };
            let Some(node) = node else { continue };
            let of = closure.groups.of(closure.nodes[node].package);
            let place = *places[of].get_or_insert(groups.len());
            if place == groups.len() {
                groups.push(Self {
                    operators: Vec::new(),
                    parts: Vec::new(),
                    nodes: Vec::new(),
                    facts: Vec::new(),
                    rules: Vec::new(),
                    variables: Rc::default(),
                });
            }
            groups[place].operators.push(operator);
        }
        let of_part: Vec<Option<usize>> = (0..closure.parts.len())
            .map(|part| places[closure.groups.of(part)])
            .collect();
        for (part, place) in of_part.iter().enumerate() {
            if let Some(place) = place {
                groups[*place].parts.push(part);
            }
        }
        let mut variables = vec![Variable::MAX; closure.nodes.len()];
        let reached = closure.nodes.iter().enumerate();
        for (at, node) in reached.filter(|(_, node)| node.reached) {
            if let Some(place) = of_part[node.package] {
                let nodes = &mut groups[place].nodes;
                variables[at] = Variable::try_from(nodes.len()).unwrap_or(Variable::MAX);
                nodes.push(at);
            }
        }
        let variables: Rc<[Variable]> = variables.into();
        for group in &mut groups {
            group.variables = Rc::clone(&variables);
        }
        groups
    }

    /// States the facts.
    pub(crate) fn state(&mut self, closure: &Closure<'_>) {
        let parts = std::mem::take(&mut self.parts);
        self.requests(closure);
        self.edges(closure, &parts);
        for node in self.nodes.clone() {
            self.node(closure, node);
        }
        for &part in &parts {
            let mut members = closure.parts[part].nodes.clone();
            members.retain(|node| closure.nodes[*node].reached);
            if members.len() > 1 {
                let members = self.variables(&members);
                self.push(Fact::OnePerPackage(part), Rule::AtMostOne(members));
            }
        }
        if parts.len() > 1 {
            self.providers(closure);
        }
        for node in self.nodes.clone() {
            if closure.nodes[node].unusable.is_some() {
                let rule = Rule::None(vec![self.variable(node)]);
                self.push(Fact::Unusable(node), rule);
            }
        }
        self.parts = parts;
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
        self.variables.get(node).copied().unwrap_or(Variable::MAX)
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
                for api in closure.nodes[node].bundle.provides.iter() {
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
