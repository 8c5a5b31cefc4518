//! Everything that takes part: what is asked for, what that requires, and so on.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::edges::Origin;
use crate::eligibility::{Ineligibility, eligibility};
use crate::model::{Bundle, Requirement};
use crate::refusal::Refusal;

use super::addresses::Addresses;
use super::effort::{Effort, TooDear};
use super::groups::Groups;
use super::installed::requirements;
use super::needs::Offered;
use super::problem::{Dependencies, Problem};

/// A bundle that takes part.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says something of its own"
)]
pub(crate) struct Node {
    pub(crate) bundle: Arc<Bundle>,
    /// Its package, by number.
    pub(crate) package: usize,
    /// Whether it is what is installed.
    pub(crate) installed: bool,
    /// Why it cannot be used.
    pub(crate) unusable: Option<Ineligibility>,
    /// Whether no edge leads to it from what is installed.
    pub(crate) unreachable: bool,
    /// Whether it can matter to an Operator that takes part.
    pub(crate) reached: bool,
    /// Whether it requires nothing.
    is_free: bool,
    /// What it requires of others.
    pub(crate) needs: Vec<Need>,
    /// What it does not allow: the constraint among its requirements, and the nodes.
    pub(crate) forbids: Vec<(usize, Vec<usize>)>,
}

impl Node {
    /// Whether it could be selected.
    pub(crate) fn is_open(&self) -> bool {
        self.unusable.is_none() && !self.unreachable
    }

    /// Whether it takes part and could be selected.
    pub(crate) fn is_candidate(&self) -> bool {
        self.reached && self.is_open()
    }
}

/// A requirement that others have to meet.
#[derive(Debug)]
pub(crate) struct Need {
    /// Its place among the requirements of the bundle.
    pub(crate) at: usize,
    /// Who meets it, in order of preference.
    pub(crate) candidates: Vec<usize>,
    /// Why nobody does.
    pub(crate) gap: Gap,
}

/// Why nobody meets a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nobody offers it.
    Nobody,
    /// Only other versions of the package itself do.
    Own,
    /// Who meets it is neither asked for nor installed.
    NotAsked,
}

/// A package of which something takes part.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) nodes: Vec<usize>,
    /// The node of what is installed.
    pub(crate) installed: Option<usize>,
    /// The Operator that asks for it, by its place.
    pub(crate) operator: Option<usize>,
    pub(super) dependencies: Dependencies,
    /// What the edges from what is installed have to satisfy.
    pub(super) bound: Option<Bound>,
}

/// That what is installed is left only along edges.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// The channel they have to lie in.
    pub(crate) channel: Option<String>,
}

/// What becomes of an Operator.
#[derive(Debug)]
pub(crate) enum Wish {
    /// One of these nodes, best first.
    OneOf(Vec<usize>),
    /// What is installed stays.
    Stays(usize),
    /// It takes no part.
    Nothing,
}

/// Everything that takes part.
#[derive(Debug)]
pub(crate) struct Closure<'a> {
    pub(crate) problem: Problem<'a>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) parts: Vec<Part>,
    /// The Operators in the order in which they are decided.
    pub(crate) order: Vec<usize>,
    /// By place of the Operator.
    pub(crate) wishes: Vec<Wish>,
    /// Those that are refused for what they themselves ask.
    pub(crate) refusals: BTreeMap<usize, Refusal>,
    /// Which parts have to do with one another.
    pub(crate) groups: Groups,
    /// The parts by name.
    pub(super) numbers: HashMap<String, usize>,
    pub(super) of_bundle: Addresses,
    origins: Vec<Option<OwnedOrigin>>,
    /// The nodes of what is installed.
    pub(super) running: Vec<usize>,
    pub(super) effort: Effort,
    /// The bundles of packages that were asked for, in the order of candidates.
    pub(super) shelves: HashMap<String, Offered<'a>>,
    /// What passes a test that a part asks for.
    pub(super) tested: HashMap<(usize, String), Offered<'a>>,
}

/// An origin of edges that borrows nothing.
#[derive(Debug)]
struct OwnedOrigin {
    name: String,
    version: olm_semver::Version,
    release: String,
}

impl OwnedOrigin {
    fn borrow(&self) -> Origin<'_> {
        Origin {
            name: &self.name,
            version: &self.version,
            release: &self.release,
        }
    }
}

impl<'a> Closure<'a> {
    pub(crate) fn new(problem: Problem<'a>) -> Self {
        let mut order: Vec<usize> = (0..problem.operators.len()).collect();
        order.sort_by_key(|at| {
            let member = &problem.operators[*at];
            let new = member.running().is_none();
            (new, member.created, &member.request.operator)
        });
        let mut closure = Self {
            problem,
            nodes: Vec::new(),
            parts: Vec::new(),
            wishes: problem.operators.iter().map(|_| Wish::Nothing).collect(),
            refusals: BTreeMap::new(),
            groups: Groups::default(),
            numbers: HashMap::new(),
            of_bundle: Addresses::default(),
            origins: Vec::new(),
            running: Vec::new(),
            effort: Effort::default(),
            shelves: HashMap::new(),
            tested: HashMap::new(),
            order,
        };
        closure.ask();
        closure.follow();
        closure.link_providers();
        closure.link_forbidden();
        closure
    }

    pub(super) fn part(&mut self, name: &str) -> usize {
        if let Some(part) = self.numbers.get(name) {
            return *part;
        }
        let part = self.parts.len();
        self.numbers.insert(name.to_owned(), part);
        self.parts.push(Part {
            name: name.to_owned(),
            nodes: Vec::new(),
            installed: None,
            operator: None,
            dependencies: Dependencies::default(),
            bound: None,
        });
        self.origins.push(None);
        self.groups.add();
        part
    }

    pub(super) fn install(&mut self, part: usize, bundle: Arc<Bundle>, origin: Origin<'_>) {
        self.origins[part] = Some(OwnedOrigin {
            name: origin.name.to_owned(),
            version: origin.version.clone(),
            release: origin.release.to_owned(),
        });
        let node = self.nodes.len();
        let is_free = is_free(&bundle);
        self.of_bundle.insert(&bundle, node);
        self.running.push(node);
        self.parts[part].installed = Some(node);
        self.parts[part].nodes.push(node);
        self.nodes.push(Node {
            bundle,
            package: part,
            installed: true,
            unusable: None,
            unreachable: false,
            reached: false,
            is_free,
            needs: Vec::new(),
            forbids: Vec::new(),
        });
    }

    /// The node of a bundle. What is installed stands for all that are the same.
    pub(super) fn node(&mut self, bundle: &Arc<Bundle>) -> usize {
        if let Some(node) = self.of_bundle.get(bundle) {
            return node;
        }
        let part = self.part(&bundle.package);
        let unusable = eligibility(bundle, self.problem.facts).err();
        self.node_of(part, bundle, unusable)
    }

    /// The same, given its part, and why it cannot be used.
    pub(super) fn node_of(
        &mut self,
        part: usize,
        bundle: &Arc<Bundle>,
        unusable: Option<Ineligibility>,
    ) -> usize {
        let free = match self.of_bundle.entry(bundle) {
            Entry::Occupied(found) => return *found.get(),
            Entry::Vacant(free) => free,
        };
        let origin = self.origins[part].as_ref().map(OwnedOrigin::borrow);
        let installed = self.parts[part].installed;
        if let (Some(origin), Some(installed)) = (origin, installed)
            && origin.is(bundle)
        {
            return *free.insert(installed);
        }
        let unreachable = match (&self.parts[part].bound, origin) {
            (Some(Bound { channel }), Some(origin)) => {
                !origin.leads_to(bundle, self.problem.mode, channel.as_deref())
            }
            _ => false,
        };
        let node = *free.insert(self.nodes.len());
        self.parts[part].nodes.push(node);
        self.nodes.push(Node {
            bundle: Arc::clone(bundle),
            package: part,
            installed: false,
            unusable,
            unreachable,
            reached: false,
            is_free: is_free(bundle),
            needs: Vec::new(),
            forbids: Vec::new(),
        });
        node
    }

    /// Follows the requirements of all that could be selected.
    fn follow(&mut self) {
        let mut pending: VecDeque<usize> = VecDeque::new();
        for place in &self.order {
            match &self.wishes[*place] {
                Wish::OneOf(nodes) => pending.extend(nodes),
                Wish::Stays(node) => pending.push_back(*node),
                Wish::Nothing => {}
            }
        }
        while let Some(at) = pending.pop_front() {
            let node = &mut self.nodes[at];
            if std::mem::replace(&mut node.reached, true) || node.is_free || !node.is_open() {
                continue;
            }
            let dependencies = self.parts[node.package].dependencies;
            match self.needs_of(at, dependencies) {
                Ok(needs) => {
                    let own = self.nodes[at].package;
                    for candidate in needs.iter().flat_map(|need| &need.candidates) {
                        self.groups.join(own, self.nodes[*candidate].package);
                        pending.push_back(*candidate);
                    }
                    self.nodes[at].needs = needs;
                }
                Err(TooDear) => self.nodes[at].unusable = Some(Ineligibility::TooDear),
            }
        }
    }

    fn needs_of(&mut self, at: usize, dependencies: Dependencies) -> Result<Vec<Need>, TooDear> {
        let bundle = Arc::clone(&self.nodes[at].bundle);
        let own = self.nodes[at].package;
        let mut needs = Vec::new();
        for (place, requirement) in requirements(&bundle, dependencies).iter().enumerate() {
            needs.extend(self.need(place, requirement, &bundle, own, dependencies)?);
        }
        Ok(needs)
    }

    /// Links packages that provide the same.
    fn link_providers(&mut self) {
        let mut providers: HashMap<(&str, &str), usize> = HashMap::new();
        // Versions of a package mostly provide the same.
        let mut before: Option<&Node> = None;
        for node in self.nodes.iter().filter(|node| node.is_candidate()) {
            let is_same = |other: &Node| {
                let (own, others) = (&node.bundle.provides, &other.bundle.provides);
                other.package == node.package && (Arc::ptr_eq(own, others) || own == others)
            };
            if before.replace(node).is_some_and(is_same) {
                continue;
            }
            for api in node.bundle.provides.iter() {
                let key = (api.group.as_str(), api.kind.as_str());
                let first = *providers.entry(key).or_insert(node.package);
                if first != node.package {
                    self.groups.join(first, node.package);
                }
            }
        }
    }

    /// Links what does not allow one another.
    fn link_forbidden(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let dependencies = self.parts[node.package].dependencies;
            if node.is_free || !node.is_candidate() {
                continue;
            }
            let own = node.package;
            match self.forbidden_by(at, dependencies) {
                Ok(forbids) => {
                    for other in forbids.iter().flat_map(|(_, nodes)| nodes) {
                        self.groups.join(own, self.nodes[*other].package);
                    }
                    self.nodes[at].forbids = forbids;
                }
                Err(TooDear) => self.nodes[at].unusable = Some(Ineligibility::TooDear),
            }
        }
    }

    fn forbidden_by(
        &mut self,
        at: usize,
        dependencies: Dependencies,
    ) -> Result<Vec<(usize, Vec<usize>)>, TooDear> {
        let bundle = Arc::clone(&self.nodes[at].bundle);
        let own = self.nodes[at].package;
        let mut forbids = Vec::new();
        for (place, requirement) in requirements(&bundle, dependencies).iter().enumerate() {
            let Requirement::Constraint(constraint) = requirement else {
                continue;
            };
            if !constraint.is_prohibition() {
                continue;
            }
            let mut forbidden = Vec::new();
            for (other, node) in self.nodes.iter().enumerate() {
                if !node.is_candidate() || node.package == own {
                    continue;
                }
                let mut steps = 0;
                if !constraint.test.holds_at(&node.bundle, &mut steps) {
                    forbidden.push(other);
                }
                self.effort.spend(own, steps)?;
            }
            self.effort.remember(own, forbidden.len())?;
            if !forbidden.is_empty() {
                forbids.push((place, forbidden));
            }
        }
        Ok(forbids)
    }
}

fn is_free(bundle: &Bundle) -> bool {
    bundle.requires.as_ref().is_ok_and(Vec::is_empty)
}
