//! From the documents of a catalog to its compact form.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use olm_error::Chain;
use olm_fbc::schema::{self, ChannelEntry, Deprecations, Property};
use olm_fbc::{Item, LineError};
use olm_semver::{Version, blang};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::constraint::Constraint;
use crate::model::{Api, Bundle, Catalog, ChannelEdge, Package, Requirement, legacy_release, push};
use crate::rank::rank_equal_versions;

/// The media type whose bundles may carry their release in the build metadata of their version;
/// also that of bundles which name none.
const REGISTRY_V1: &str = "registry+v1";

/// Longest value of a property that is kept for rules, in bytes.
const MAX_PROPERTY: usize = 4096;

/// Collects the documents of a catalog in any order.
#[derive(Debug, Default)]
struct CatalogBuilder {
    name: String,
    priority: i32,
    packages: BTreeMap<String, Collected>,
}

#[derive(Debug, Default)]
struct Collected {
    default_channel: String,
    channels: BTreeMap<String, Vec<ChannelEntry>>,
    bundles: Vec<Arc<Bundle>>,
    deprecations: Vec<Deprecations>,
    notes: Vec<String>,
}

impl Catalog {
    /// Reads a catalog from its documents. A document that cannot be read becomes a note on its
    /// package.
    ///
    /// # Errors
    /// The first error that belongs to no package: the stream broke off, or a line is no document.
    pub fn read(
        name: &str,
        priority: i32,
        items: impl IntoIterator<Item = Result<Item, LineError>>,
    ) -> Result<Self, LineError> {
        let mut builder = CatalogBuilder::new(name, priority);
        for item in items {
            match item {
                Ok(item) => builder.add(item),
                Err(error) => match error.package().map(str::to_owned) {
                    Some(package) => builder.note(&package, Chain::new(&error).to_string()),
                    None => return Err(error),
                },
            }
        }
        Ok(builder.build())
    }
}

impl CatalogBuilder {
    /// An empty catalog.
    fn new(name: &str, priority: i32) -> Self {
        Self {
            name: name.to_owned(),
            priority,
            packages: BTreeMap::new(),
        }
    }

    /// Adds a document; those without meaning for resolution are ignored.
    fn add(&mut self, item: Item) {
        match item {
            Item::Package(package) => {
                self.package(&package.name).default_channel = package.default_channel;
            }
            Item::Channel(channel) => {
                let channels = &mut self.package(&channel.package).channels;
                channels
                    .entry(channel.name)
                    .or_default()
                    .extend(channel.entries);
            }
            Item::Bundle(bundle) => {
                let compact = compact(&self.name, bundle);
                push(&mut self.package(&compact.package).bundles, compact);
            }
            Item::Deprecations(deprecations) => {
                self.package(&deprecations.package)
                    .deprecations
                    .push(deprecations);
            }
            _ => {}
        }
    }

    /// Notes something wrong with a package.
    fn note(&mut self, package: &str, note: String) {
        self.package(package).notes.push(note);
    }

    fn package(&mut self, name: &str) -> &mut Collected {
        self.packages.entry(name.to_owned()).or_default()
    }

    /// The catalog.
    fn build(self) -> Catalog {
        let catalog = self.name;
        let packages = self
            .packages
            .into_iter()
            .map(|(name, collected)| {
                let package = collected.join(&catalog, name);
                (package.name.clone(), package)
            })
            .collect();
        Catalog::new(catalog, self.priority, packages)
    }
}

impl Collected {
    /// Joins channel entries and deprecations to bundles by name.
    fn join(self, catalog: &str, name: String) -> Package {
        let Self {
            default_channel,
            channels,
            bundles: found,
            deprecations,
            mut notes,
        } = self;
        let mut positions: HashMap<String, usize> = HashMap::new();
        let mut bundles: Vec<Arc<Bundle>> = Vec::with_capacity(found.len());
        for bundle in found {
            match positions.entry(bundle.name.clone()) {
                Entry::Vacant(free) => {
                    free.insert(bundles.len());
                    bundles.push(bundle);
                }
                // Edges name bundles, so that two of one name cannot be told apart.
                Entry::Occupied(_) => notes.push(format!(
                    "bundle {:?} is more than once in catalog {catalog:?} (package {name:?}): the first counts",
                    bundle.name
                )),
            }
        }
        let mut channel_messages = BTreeMap::new();
        // How many channels hold a bundle, and in how many another entry skips it.
        let mut held: Vec<(usize, usize)> = vec![(0, 0); bundles.len()];
        for (channel, entries) in channels {
            let skipped: HashSet<String> = entries
                .iter()
                .flat_map(|entry| entry.skips.iter().filter(|name| **name != entry.name))
                .cloned()
                .collect();
            for entry in entries {
                let Some(bundle) = positions
                    .get(&entry.name)
                    .and_then(|at| bundles.get_mut(*at).and_then(Arc::get_mut))
                else {
                    notes.push(format!(
                        "bundle {:?} not found in catalog {catalog:?} (package {name:?}, channel {channel:?})",
                        entry.name
                    ));
                    continue;
                };
                if let Some((holding, skipping)) =
                    positions.get(&entry.name).and_then(|at| held.get_mut(*at))
                {
                    *holding += 1;
                    *skipping += usize::from(skipped.contains(&entry.name));
                }
                bundle.in_default_channel |= channel == default_channel;
                let edge = edge(&channel, entry, &mut notes);
                // Most are in one channel, and there are thousands.
                if bundle.entries.is_empty() {
                    bundle.entries.reserve_exact(1);
                }
                bundle.entries.push(edge);
            }
            channel_messages.insert(channel, None);
        }
        let mut deprecated = None;
        for deprecation in deprecations.into_iter().flat_map(|blob| blob.entries) {
            let (reference, message) = (deprecation.reference, deprecation.message);
            if message.is_empty() {
                continue;
            }
            match reference.schema.as_str() {
                "olm.package" => deprecated = Some(message),
                "olm.channel" => {
                    channel_messages.insert(reference.name, Some(message));
                }
                "olm.bundle" => {
                    if let Some(bundle) = positions
                        .get(&reference.name)
                        .and_then(|at| bundles.get_mut(*at).and_then(Arc::get_mut))
                    {
                        bundle.deprecated = Some(message);
                    }
                }
                _ => {}
            }
        }
        let owned = bundles.iter_mut().filter_map(Arc::get_mut);
        for (bundle, (holding, skipping)) in owned.zip(held) {
            bundle.skipped = holding > 0 && holding == skipping;
        }
        rank_equal_versions(&mut bundles);
        Package {
            name,
            default_channel,
            bundles,
            channels: channel_messages,
            deprecated,
            notes,
        }
    }
}

fn edge(channel: &str, entry: ChannelEntry, notes: &mut Vec<String>) -> ChannelEdge {
    let range = entry.skip_range.filter(|range| !range.is_empty());
    let skip_range = range.and_then(|range| match blang::Range::parse(&range) {
        Ok(range) => Some(range),
        // As the reference does: no edge, but it should not go unnoticed.
        Err(error) => {
            notes.push(format!(
                "skipRange {range:?} of bundle {:?} in channel {channel:?} is ignored: {error}",
                entry.name
            ));
            None
        }
    });
    ChannelEdge {
        channel: channel.to_owned(),
        replaces: entry.replaces.filter(|name| !name.is_empty()),
        skips: entry.skips,
        skip_range,
    }
}

#[derive(Deserialize)]
struct PackageValue {
    version: String,
    #[serde(default)]
    release: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequiredPackage {
    package_name: String,
    version_range: String,
}

#[derive(Deserialize)]
struct LabelValue {
    label: String,
}

#[derive(Deserialize)]
struct ApiValue {
    #[serde(default)]
    group: String,
    version: String,
    kind: String,
}

impl From<ApiValue> for Api {
    fn from(value: ApiValue) -> Self {
        Self {
            group: value.group,
            version: value.version,
            kind: value.kind,
        }
    }
}

fn compact(catalog: &str, bundle: schema::Bundle) -> Bundle {
    let schema::Bundle {
        package,
        name,
        image,
        properties,
        csv,
        ..
    } = bundle;
    let identity = identity(&name, &properties);
    let media_type = media_type(&name, &properties);
    // A media type that cannot be read leaves the bundle as unusable as its version would.
    let (version, release, media_type) = match (identity, media_type) {
        (Ok((version, explicit)), Ok(media_type)) => {
            let release = match explicit {
                Some(release) => release,
                None if matches!(media_type.as_str(), "" | REGISTRY_V1) => {
                    legacy_release(&version).to_owned()
                }
                None => String::new(),
            };
            (Ok(version), release, media_type)
        }
        (Err(error), media_type) => (Err(error), String::new(), media_type.unwrap_or_default()),
        (Ok(_), Err(error)) => (Err(error), String::new(), String::new()),
    };
    Bundle {
        catalog: catalog.to_owned(),
        requires: requirements(&name, &properties),
        provides: of_type(&properties, "olm.gvk")
            .filter_map(|property| parse::<ApiValue>(property).ok().map(Api::from))
            .collect(),
        labels: of_type(&properties, "olm.label")
            .filter_map(|property| parse::<LabelValue>(property).ok())
            .map(|value| value.label)
            .collect(),
        properties: properties.iter().filter_map(further).collect(),
        withdrawn: of_type(&properties, "olm.deprecated").next().is_some(),
        min_kube_version: csv
            .min_kube_version
            .and_then(|v| Version::parse_tolerant(&v).ok()),
        package,
        name,
        version,
        release,
        image,
        media_type,
        entries: Vec::new(),
        deprecated: None,
        supersedes: 0,
        in_default_channel: false,
        skipped: false,
    }
}

/// A property that is kept as it is, for rules.
fn further(property: &Property) -> Option<(String, String)> {
    const ELSEWHERE: [&str; 6] = [
        "olm.package",
        "olm.gvk",
        "olm.label",
        "olm.csv.metadata",
        "olm.bundle.object",
        "olm.bundle.object.ref",
    ];
    let (type_, value) = (property.type_.as_str(), property.value.get());
    (!ELSEWHERE.contains(&type_) && value.len() <= MAX_PROPERTY)
        .then(|| (type_.to_owned(), value.to_owned()))
}

fn of_type<'a>(properties: &'a [Property], type_: &'a str) -> impl Iterator<Item = &'a Property> {
    properties
        .iter()
        .filter(move |property| property.type_ == type_)
}

fn parse<T: DeserializeOwned>(property: &Property) -> Result<T, String> {
    serde_json::from_str(property.value.get()).map_err(|error| {
        format!(
            "property {:?} with value {:?} could not be parsed: {error}",
            property.type_,
            property.value.get()
        )
    })
}

/// The version, and the release where one is written.
fn identity(bundle: &str, properties: &[Property]) -> Result<(Version, Option<String>), String> {
    let found: Vec<_> = of_type(properties, "olm.package").collect();
    let property = match found.as_slice() {
        [] => return Err("bundle property with type \"olm.package\" not found".to_owned()),
        [property] => property,
        several => {
            return Err(format!(
                "expected 1 instance of property with type \"olm.package\", got {}",
                several.len()
            ));
        }
    };
    let value: PackageValue = parse(property)?;
    let version = Version::parse_strict(&value.version).map_err(|error| {
        format!(
            "could not parse semver {:?} for bundle '{bundle}': {error}",
            value.version
        )
    })?;
    let release = value.release.filter(|release| !release.is_empty());
    Ok((version, release))
}

fn media_type(bundle: &str, properties: &[Property]) -> Result<String, String> {
    let wrap = |error| format!("error determining bundle mediatype for bundle {bundle:?}: {error}");
    let mut found = of_type(properties, "olm.bundle.mediatype");
    let Some(property) = found.next() else {
        return Ok(String::new());
    };
    match found.count() {
        0 => parse(property).map_err(wrap),
        more => Err(wrap(format!(
            "expected 1 instance of property with type \"olm.bundle.mediatype\", got {}",
            more + 1
        ))),
    }
}

fn requirements(bundle: &str, properties: &[Property]) -> Result<Vec<Requirement>, String> {
    let wrap = |error| {
        format!("error determining bundle required packages for bundle {bundle:?}: {error}")
    };
    let mut requirements = Vec::new();
    for property in properties {
        requirements.push(match property.type_.as_str() {
            "olm.package.required" => {
                let required: RequiredPackage = parse(property).map_err(wrap)?;
                let range = blang::Range::parse(&required.version_range).map_err(|error| {
                    format!(
                        "error parsing bundle required package semver range for bundle {bundle:?} \
                         (required package {:?}): {error}",
                        required.package_name
                    )
                })?;
                Requirement::Package {
                    name: required.package_name,
                    range,
                }
            }
            "olm.gvk.required" => {
                Requirement::Api(parse::<ApiValue>(property).map_err(wrap)?.into())
            }
            "olm.label.required" => {
                Requirement::Label(parse::<LabelValue>(property).map_err(wrap)?.label)
            }
            "olm.constraint" => {
                let constraint = Constraint::parse(property.value.get()).map_err(wrap)?;
                Requirement::Constraint(Box::new(constraint))
            }
            _ => continue,
        });
    }
    Ok(requirements)
}
