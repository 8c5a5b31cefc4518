//! Channel graphs in the language of Mermaid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use olm_semver::{Version, VersionError, blang};

use crate::config::{self, Channel, Config};
use crate::graph::{replaces, skip_range};
use crate::property::{self, PropertyError, PropertyValue};
use crate::schema::ChannelEntry;

/// What is drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// A bundle: only its package is drawn, and nothing that is older. Default: none.
    pub minimum_edge: Option<String>,
    /// Only this package is drawn. Default: all.
    pub package: Option<String>,
    /// Whether skipped entries are marked, and the edges that are void because of them, as clients
    /// of OLM 0.x see them. Default false.
    pub draw_v0_semantics: bool,
}

/// A drawing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// The text, ending in a line feed.
    pub text: String,
    /// Ranges that cannot be read, whose edges are left out.
    pub warnings: Vec<String>,
}

/// Why a catalog cannot be drawn. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MermaidError {
    /// There is no bundle of that name.
    #[error("unknown minimum edge name: {0:?}")]
    MinimumEdge(String),
    /// A property of a bundle cannot be read.
    #[error("parse properties for bundle {bundle:?}: {error}")]
    Properties {
        /// The bundle.
        bundle: String,
        /// What is wrong; part of the text, as in the reference.
        error: PropertyError,
    },
    /// None or several `olm.package` properties.
    #[error("bundle {bundle:?} has {found} \"olm.package\" properties, expected exactly 1")]
    PackageProperties {
        /// The bundle.
        bundle: String,
        /// How many.
        found: usize,
    },
    /// A version is none.
    #[error("bundle {bundle:?} has invalid version {version:?}: {error}")]
    Version {
        /// The bundle.
        bundle: String,
        /// The text.
        version: String,
        /// What is wrong; part of the text, as in the reference.
        error: VersionError,
    },
}

/// Bundle names are those of one package; two packages may share one.
type Versions<'a> = BTreeMap<(&'a str, &'a str), Version>;

/// Draws the channels of a catalog.
///
/// # Errors
/// [`MermaidError`].
pub fn draw(config: &Config, options: &Options) -> Result<Drawing, MermaidError> {
    let versions = versions(config)?;
    let floor = match &options.minimum_edge {
        None => None,
        Some(name) => Some(
            Floor::find(config, name, &versions)
                .ok_or_else(|| MermaidError::MinimumEdge(name.clone()))?,
        ),
    };
    let mut channels: Vec<Channel> = config
        .channels
        .iter()
        .filter(|channel| {
            let wanted = |package: &str| channel.package == package;
            options.package.as_deref().is_none_or(wanted)
                && floor.as_ref().is_none_or(|floor| wanted(floor.package))
        })
        .filter_map(|channel| match &floor {
            None => Some(channel.clone()),
            Some(floor) => floor.cut(channel, &versions),
        })
        .collect();
    channels.sort_by(|a, b| (&a.package, &a.name).cmp(&(&b.package, &b.name)));
    let mut pen = Pen {
        versions: &versions,
        deprecated: deprecated(config),
        v0: options.draw_v0_semantics,
        text: String::from(
            "graph LR\n  classDef deprecated fill:#E8960F\n  classDef skipped \
             stroke:#FF0000,stroke-width:4px\n  classDef deprecatedskipped \
             fill:#E8960F,stroke:#FF0000,stroke-width:4px\n",
        ),
        warnings: Vec::new(),
        edges: 0,
        void: Vec::new(),
        decorated: BTreeMap::new(),
        styles: [String::new(), String::new()],
    };
    for channels in channels.chunk_by(|a, b| a.package == b.package) {
        pen.package(channels);
    }
    Ok(pen.finish())
}

fn versions(config: &Config) -> Result<Versions<'_>, MermaidError> {
    let mut versions = Versions::new();
    for bundle in &config.bundles {
        let key = (bundle.package.as_str(), bundle.name.as_str());
        if let std::collections::btree_map::Entry::Vacant(place) = versions.entry(key) {
            place.insert(version(bundle)?);
        }
    }
    Ok(versions)
}

fn version(bundle: &config::Bundle) -> Result<Version, MermaidError> {
    let name = || bundle.name.clone();
    let mut found = Vec::new();
    for (index, property) in bundle.properties.iter().enumerate() {
        match property::parse(index, property) {
            Ok(PropertyValue::Package(package)) => found.push(package.version),
            Ok(_) => {}
            Err(error) => {
                return Err(MermaidError::Properties {
                    bundle: name(),
                    error,
                });
            }
        }
    }
    let [text] = found.as_slice() else {
        return Err(MermaidError::PackageProperties {
            bundle: name(),
            found: found.len(),
        });
    };
    Version::parse_strict(text).map_err(|error| MermaidError::Version {
        bundle: name(),
        version: text.clone(),
        error,
    })
}

/// Deprecated things: package, schema, name.
fn deprecated(config: &Config) -> BTreeSet<(&str, &str, &str)> {
    config
        .deprecations
        .iter()
        .flat_map(|document| {
            document.entries.iter().map(|entry| {
                let reference = &entry.reference;
                let package = document.package.as_str();
                (package, reference.schema.as_str(), reference.name.as_str())
            })
        })
        .collect()
}

/// The oldest bundle that is drawn.
struct Floor<'a> {
    package: &'a str,
    name: &'a str,
    version: &'a Version,
}

impl<'a> Floor<'a> {
    fn find(config: &'a Config, name: &'a str, versions: &'a Versions<'a>) -> Option<Self> {
        let package = config
            .channels
            .iter()
            .find(|channel| channel.entries.iter().any(|entry| entry.name == name))?
            .package
            .as_str();
        let version = versions.get(&(package, name))?;
        Some(Self {
            package,
            name,
            version,
        })
    }

    /// What is left of a channel; none where nothing is.
    fn cut(&self, channel: &Channel, versions: &Versions<'_>) -> Option<Channel> {
        let above = |name: &str| {
            versions
                .get(&(self.package, name))
                .is_some_and(|version| version >= self.version)
        };
        let entries: Vec<ChannelEntry> = channel
            .entries
            .iter()
            .filter_map(|entry| self.cut_entry(entry, &above))
            .collect();
        (!entries.is_empty()).then(|| Channel {
            name: channel.name.clone(),
            package: channel.package.clone(),
            entries,
            properties: Vec::new(),
        })
    }

    /// What is left of an entry. One that loses all it names goes; the floor itself stays.
    fn cut_entry(
        &self,
        entry: &ChannelEntry,
        above: &dyn Fn(&str) -> bool,
    ) -> Option<ChannelEntry> {
        let mut left = ChannelEntry {
            name: entry.name.clone(),
            ..ChannelEntry::default()
        };
        if entry.name == self.name {
            return Some(left);
        }
        left.replaces = replaces(entry)
            .filter(|name| above(name))
            .map(str::to_owned);
        left.skips = entry
            .skips
            .iter()
            .filter(|name| above(name))
            .cloned()
            .collect();
        left.skip_range = skip_range(entry)
            .filter(|text| {
                blang::Range::parse(text).is_ok_and(|range| range.contains(self.version))
            })
            .map(str::to_owned);
        let names = |entry: &ChannelEntry| {
            replaces(entry).is_some() || !entry.skips.is_empty() || skip_range(entry).is_some()
        };
        let kept = names(&left) || (!names(entry) && above(&entry.name));
        kept.then_some(left)
    }
}

/// What is drawn so far.
struct Pen<'a> {
    versions: &'a Versions<'a>,
    deprecated: BTreeSet<(&'a str, &'a str, &'a str)>,
    v0: bool,
    text: String,
    warnings: Vec<String>,
    /// Edges so far.
    edges: usize,
    /// Numbers of those without effect.
    void: Vec<String>,
    /// Nodes by the class that marks them.
    decorated: BTreeMap<&'static str, BTreeSet<String>>,
    /// Marks of packages, and of channels.
    styles: [String; 2],
}

impl Pen<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    /// Draws the channels of one package.
    fn package(&mut self, channels: &[Channel]) {
        let Some(name) = channels.first().map(|channel| channel.package.as_str()) else {
            return;
        };
        self.line(2, &format!("%% package {name:?}"));
        self.line(2, &format!("subgraph {name:?}"));
        if self.deprecated.contains(&(name, config::PACKAGE, "")) {
            let [packages, _] = &mut self.styles;
            let _ = writeln!(packages, "style {name} fill:#989695");
        }
        for channel in channels {
            self.channel(channel);
        }
        self.line(2, "end");
    }

    fn channel(&mut self, channel: &Channel) {
        let (package, name) = (channel.package.as_str(), channel.name.as_str());
        let id = format!("{package}-{name}");
        self.line(4, &format!("%% channel {name:?}"));
        self.line(4, &format!("subgraph {id}[{name:?}]"));
        if self.deprecated.contains(&(package, config::CHANNEL, name)) {
            let [_, channels] = &mut self.styles;
            let _ = writeln!(channels, "style {id} fill:#DCD0FF");
        }
        let versions = self.versions;
        let mut entries: Vec<(Option<&Version>, &ChannelEntry)> = channel
            .entries
            .iter()
            .map(|entry| (versions.get(&(package, entry.name.as_str())), entry))
            .collect();
        let olders = entries.clone();
        entries.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut skipped: BTreeSet<&str> = BTreeSet::new();
        for (_, entry) in entries {
            let to = entry.name.as_str();
            self.line(6, &node(&id, to));
            self.decorate(package, &id, to, skipped.contains(to));
            for from in &entry.skips {
                let again = !skipped.insert(from);
                self.edge(&id, from, "skip", to, again);
            }
            if let Some(text) = skip_range(entry) {
                match blang::Range::parse(text) {
                    Ok(range) => {
                        for (version, from) in &olders {
                            if version.is_some_and(|version| range.contains(version)) {
                                let label = format!("\"skipRange({text})\"");
                                self.edge(&id, &from.name, &label, to, skipped.contains(to));
                            }
                        }
                    }
                    Err(error) => self.warnings.push(format!(
                        "ignoring invalid SkipRange for package/edge {package:?}/{to:?}: {error}"
                    )),
                }
            }
            // Last, because a skip may make it void.
            if let Some(from) = replaces(entry) {
                self.edge(&id, from, "replace", to, skipped.contains(to));
            }
        }
        self.line(4, "end");
    }

    /// Marks a node, with the one class that the language allows it.
    fn decorate(&mut self, package: &str, channel: &str, name: &str, skipped: bool) {
        let deprecated = self.deprecated.contains(&(package, config::BUNDLE, name));
        let class = match (deprecated, skipped && self.v0) {
            (true, true) => "deprecatedskipped",
            (true, false) => "deprecated",
            (false, true) => "skipped",
            (false, false) => return,
        };
        let nodes = self.decorated.entry(class).or_default();
        nodes.insert(format!("{channel}-{name}"));
    }

    fn edge(&mut self, channel: &str, from: &str, label: &str, to: &str, void: bool) {
        let (from, to) = (node(channel, from), node(channel, to));
        self.line(6, &format!("{from}-- {label} --> {to}"));
        if void && self.v0 {
            self.void.push(self.edges.to_string());
        }
        self.edges += 1;
    }

    fn finish(mut self) -> Drawing {
        for style in std::mem::take(&mut self.styles) {
            self.text.push_str(&style);
        }
        for (class, nodes) in std::mem::take(&mut self.decorated) {
            let nodes: Vec<String> = nodes.into_iter().collect();
            self.line(0, &format!("class {} {class}", nodes.join(",")));
        }
        if !self.void.is_empty() {
            let style = "stroke:#FF0000,stroke-width:3px,stroke-dasharray:5;";
            self.line(0, &format!("linkStyle {} {style}", self.void.join(",")));
        }
        Drawing {
            text: self.text,
            warnings: self.warnings,
        }
    }
}

fn node(channel: &str, name: &str) -> String {
    format!("{channel}-{name}[{name:?}]")
}
