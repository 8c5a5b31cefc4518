//! Small worlds, written like tables.

use olm_resolver::{
    Catalog, DEFAULT_BUDGET, EdgeMode, Facts, Installed, Member, Policy, Problem, Refusal, Request,
    Resolution, Running,
};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) use crate::documents::read;

/// A bundle on its way to a catalog.
#[derive(Clone)]
pub(crate) struct Written {
    package: String,
    version: String,
    name: String,
    image: String,
    properties: Vec<Value>,
    entries: Vec<(String, Value)>,
    default_channel: Option<String>,
    min_kube: Option<String>,
}

/// A bundle of a package at a version.
pub(crate) fn b(package: &str, version: &str) -> Written {
    Written {
        package: package.to_owned(),
        version: version.to_owned(),
        name: format!("{package}.v{version}"),
        image: format!("example.com/{package}:{version}"),
        properties: Vec::new(),
        entries: Vec::new(),
        default_channel: None,
        min_kube: None,
    }
}

/// `g/v k` as the value of a property; short names get a group and a version.
pub(crate) fn api(text: &str) -> Value {
    let (group, version, kind) = match text.split_once(['/', ' ']) {
        Some((group, rest)) => match rest.split_once(' ') {
            Some((version, kind)) => (group, version, kind),
            None => (group, "v1", rest),
        },
        None => ("example.com", "v1", text),
    };
    json!({"group": group, "version": version, "kind": kind})
}

impl Written {
    pub(crate) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    pub(crate) fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    fn with(mut self, type_: &str, value: Value) -> Self {
        self.properties.push(json!({"type": type_, "value": value}));
        self
    }

    pub(crate) fn needs(self, package: &str, range: &str) -> Self {
        let value = json!({"packageName": package, "versionRange": range});
        self.with("olm.package.required", value)
    }

    pub(crate) fn needs_api(self, name: &str) -> Self {
        self.with("olm.gvk.required", api(name))
    }

    pub(crate) fn gives(self, name: &str) -> Self {
        self.with("olm.gvk", api(name))
    }

    pub(crate) fn label(self, label: &str) -> Self {
        self.with("olm.label", json!({"label": label}))
    }

    pub(crate) fn needs_label(self, label: &str) -> Self {
        self.with("olm.label.required", json!({"label": label}))
    }

    pub(crate) fn constraint(self, value: Value) -> Self {
        self.with("olm.constraint", value)
    }

    pub(crate) fn property(self, type_: &str, value: Value) -> Self {
        self.with(type_, value)
    }

    pub(crate) fn withdrawn(self) -> Self {
        self.with("olm.deprecated", json!({}))
    }

    pub(crate) fn kubernetes(mut self, version: &str) -> Self {
        self.min_kube = Some(version.to_owned());
        self
    }

    pub(crate) fn channel(self, channel: &str) -> Self {
        self.entry(channel, json!({}))
    }

    /// In the default channel of its package.
    pub(crate) fn default_channel(mut self, channel: &str) -> Self {
        self.default_channel = Some(channel.to_owned());
        self.channel(channel)
    }

    /// In the only channel, with an edge.
    pub(crate) fn edge(self, edge: Value) -> Self {
        self.entry("stable", edge)
    }

    pub(crate) fn replaces(self, version: &str) -> Self {
        let replaced = format!("{}.v{version}", self.package);
        self.edge(json!({"replaces": replaced}))
    }

    /// In a channel, with an edge.
    pub(crate) fn entry(mut self, channel: &str, mut edge: Value) -> Self {
        edge["name"] = json!(self.name);
        self.entries.push((channel.to_owned(), edge));
        self
    }
}

/// A catalog before it is read.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) name: String,
    pub(crate) priority: i32,
    pub(crate) bundles: Vec<Written>,
}

pub(crate) fn catalog(name: &str, priority: i32, bundles: &[Written]) -> Shelf {
    Shelf {
        name: name.to_owned(),
        priority,
        bundles: bundles.to_vec(),
    }
}

impl Shelf {
    /// Bundles without a channel are in `stable`.
    pub(crate) fn read(&self) -> Catalog {
        documents(&self.name, self.priority, &self.bundles)
    }
}

fn documents(name: &str, priority: i32, bundles: &[Written]) -> Catalog {
    let mut documents = Vec::new();
    let mut channels: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    let mut defaults: BTreeMap<String, String> = BTreeMap::new();
    for bundle in bundles {
        let mut properties = vec![json!({"type": "olm.package",
            "value": {"packageName": bundle.package, "version": bundle.version}})];
        properties.extend(bundle.properties.iter().cloned());
        if let Some(version) = &bundle.min_kube {
            properties
                .push(json!({"type": "olm.csv.metadata", "value": {"minKubeVersion": version}}));
        }
        documents.push(json!({"schema": "olm.bundle", "package": bundle.package,
            "name": bundle.name, "image": bundle.image, "properties": properties}));
        let mut entries = bundle.entries.clone();
        if entries.is_empty() {
            entries.push(("stable".to_owned(), json!({"name": bundle.name})));
        }
        for (channel, entry) in entries {
            let key = (bundle.package.clone(), channel);
            channels.entry(key).or_default().push(entry);
        }
        let default = defaults.entry(bundle.package.clone()).or_default();
        if let Some(channel) = &bundle.default_channel {
            default.clone_from(channel);
        }
    }
    for ((package, channel), entries) in channels {
        documents.push(
            json!({"schema": "olm.channel", "package": package, "name": channel,
            "entries": entries}),
        );
    }
    for (package, channel) in defaults {
        documents
            .push(json!({"schema": "olm.package", "name": package, "defaultChannel": channel}));
    }
    read(name, priority, &documents)
}

/// An Operator named after the package that it asks for.
pub(crate) fn ask(package: &str, range: &str) -> Member {
    let range = (!range.is_empty()).then(|| Constraint::parse(range).unwrap());
    Member::from(Request {
        operator: package.to_owned(),
        package: package.to_owned(),
        version: range,
        ..Request::default()
    })
}

pub(crate) fn installed(package: &str, version: &str) -> Installed {
    Installed {
        package: package.to_owned(),
        name: format!("{package}.v{version}"),
        version: Version::parse_strict(version).unwrap(),
        release: String::new(),
        image: Some(format!("example.com/{package}:{version}")),
    }
}

/// What an Operator is, in a few words.
pub(crate) trait Words {
    fn at(self, version: &str) -> Self;
    fn in_channel(self, channel: &str) -> Self;
    fn ignoring(self) -> Self;
    fn since(self, created: i64) -> Self;
    fn called(self, name: &str) -> Self;
}

impl Words for Member {
    /// It runs that version.
    fn at(mut self, version: &str) -> Self {
        self.request.installed = Some(installed(&self.request.package, version));
        self
    }

    fn in_channel(mut self, channel: &str) -> Self {
        self.request.channel = Some(channel.to_owned());
        self
    }

    fn ignoring(mut self) -> Self {
        self.request.policy = Policy::Ignore;
        self
    }

    fn since(mut self, created: i64) -> Self {
        self.created = created;
        self
    }

    fn called(mut self, name: &str) -> Self {
        name.clone_into(&mut self.request.operator);
        self
    }
}

#[derive(Clone)]
/// Everything that a problem is made of.
pub(crate) struct World {
    pub(crate) catalogs: Vec<Shelf>,
    pub(crate) operators: Vec<Member>,
    pub(crate) adopted: Vec<Running>,
    pub(crate) mode: EdgeMode,
    pub(crate) facts: Facts,
}

pub(crate) fn world(catalogs: Vec<Shelf>, operators: &[Member]) -> World {
    World {
        catalogs,
        operators: operators.to_vec(),
        adopted: Vec::new(),
        mode: EdgeMode::Catalog,
        facts: Facts::default(),
    }
}

/// A world with one catalog.
pub(crate) fn one(bundles: &[Written], operators: &[Member]) -> World {
    world(vec![catalog("catalog", 0, bundles)], operators)
}

impl World {
    pub(crate) fn semver(mut self) -> Self {
        self.mode = EdgeMode::Semver;
        self
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&Problem<'_>) -> T) -> T {
        let read: Vec<Catalog> = self.catalogs.iter().map(Shelf::read).collect();
        let catalogs: Vec<&Catalog> = read.iter().collect();
        act(&Problem {
            catalogs: &catalogs,
            operators: &self.operators,
            adopted: &self.adopted,
            mode: self.mode,
            facts: &self.facts,
            budget: DEFAULT_BUDGET,
        })
    }

    pub(crate) fn solve(&self) -> Resolution {
        self.with(|problem| problem.solve())
    }

    /// What is selected, by package: `A 0.1.0, C 0.1.0`, each with its catalog where there are
    /// several.
    pub(crate) fn selected(&self) -> String {
        self.names(&self.solve())
    }

    fn names(&self, resolution: &Resolution) -> String {
        let mut names: Vec<String> = resolution
            .groups
            .iter()
            .flatten()
            .map(|selected| {
                let bundle = &selected.bundle;
                let mut name = format!("{} {}", bundle.package, bundle.label());
                if self.catalogs.len() > 1 {
                    name = format!("{name} {}", bundle.catalog);
                }
                name
            })
            .collect();
        names.sort();
        names.join(", ")
    }

    /// Why an Operator gets nothing, in one sentence.
    pub(crate) fn summary(&self, operator: &str) -> String {
        self.refusal(operator).to_string()
    }

    /// The whole text.
    pub(crate) fn explanation(&self, operator: &str) -> String {
        self.refusal(operator).explanation()
    }

    pub(crate) fn place(&self, operator: &str) -> usize {
        let named = |member: &Member| member.request.operator == operator;
        self.operators.iter().position(named).unwrap()
    }

    fn refusal(&self, operator: &str) -> Refusal {
        let resolution = self.solve();
        match &resolution.answers[self.place(operator)] {
            Ok(answer) => panic!("{operator} gets {}", answer.bundle.name),
            Err(refusal) => refusal.clone(),
        }
    }

    /// What an Operator gets.
    pub(crate) fn version(&self, operator: &str) -> String {
        match &self.solve().answers[self.place(operator)] {
            Ok(answer) => answer.bundle.label(),
            Err(refusal) => refusal.explanation(),
        }
    }

    pub(crate) fn held_back(&self, operator: &str) -> Vec<String> {
        match &self.solve().answers[self.place(operator)] {
            Ok(answer) => answer.held_back.clone(),
            Err(refusal) => panic!("{}", refusal.explanation()),
        }
    }

    /// All that a user sees.
    pub(crate) fn transcript(&self) -> Vec<(String, String)> {
        let resolution = self.solve();
        let answers = self.operators.iter().zip(&resolution.answers);
        let mut lines: Vec<(String, String)> = answers
            .map(|(member, answer)| {
                let text = match answer {
                    Ok(answer) => format!(
                        "{} {} {:?}",
                        answer.bundle.catalog, answer.bundle.name, answer.held_back
                    ),
                    Err(refusal) => refusal.explanation(),
                };
                (member.request.operator.clone(), text)
            })
            .collect();
        lines.sort();
        lines.push(("selected".to_owned(), self.names(&resolution)));
        lines
    }
}
