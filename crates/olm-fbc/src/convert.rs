//! From documents to the model.
//!
//! The reference stops at the first error. Here what is wrong is left out and the rest goes on, so
//! that a tool can show everything at once; the first error is the one the reference shows.

use std::collections::{BTreeMap, BTreeSet};

use olm_semver::Version;

use crate::config::{self, Config};
use crate::model::{Bundle, Channel, Level, Model, Package};
use crate::property::{self, PropertyValue};
use crate::release::{Release, VersionRelease};
use crate::schema::Deprecations;

mod error;

pub use error::ConversionError;

/// Longest DNS label.
const MAX_LABEL: usize = 63;

/// A model and what was left out of it.
#[derive(Debug)]
pub struct Conversion {
    /// What makes sense.
    pub model: Model,
    /// What does not, in the order in which the reference looks.
    pub errors: Vec<ConversionError>,
}

impl Conversion {
    /// Builds the model of a catalog.
    pub fn of(config: Config, level: Level) -> Self {
        let mut conversion = Self {
            model: Model::default(),
            errors: Vec::new(),
        };
        let mut defaults = BTreeMap::new();
        for package in config.packages {
            conversion.add_package(package, level, &mut defaults);
        }
        for channel in config.channels {
            conversion.add_channel(channel);
        }
        let mut bundles = BundlesSeen::default();
        for bundle in config.bundles {
            conversion.add_bundle(bundle, level, &mut bundles);
        }
        conversion.find_missing(&bundles);
        conversion.set_defaults(defaults);
        let mut seen = BTreeSet::new();
        for (item, deprecations) in config.deprecations.into_iter().enumerate() {
            conversion.add_deprecations(item, deprecations, &bundles, &mut seen);
        }
        conversion
    }

    fn add_package(
        &mut self,
        document: config::Package,
        level: Level,
        defaults: &mut BTreeMap<String, String>,
    ) {
        let package = document.name.clone();
        if package.is_empty() {
            self.errors.push(ConversionError::PackageWithoutName);
            return;
        }
        if self.model.packages.contains_key(&package) {
            self.errors
                .push(ConversionError::DuplicatePackage { package });
            return;
        }
        let reasons = label_problems(&package);
        if level == Level::Current && !reasons.is_empty() {
            let package = package.clone();
            self.errors
                .push(ConversionError::PackageName { package, reasons });
        }
        if !document.default_channel.is_empty() {
            defaults.insert(package.clone(), document.default_channel);
        }
        self.model.packages.insert(
            package,
            Package {
                name: document.name,
                description: document.description,
                icon: document.icon,
                ..Package::default()
            },
        );
    }

    fn add_channel(&mut self, document: config::Channel) {
        let config::Channel {
            name: channel,
            package: name,
            entries,
            properties,
        } = document;
        let Some(package) = self.model.packages.get_mut(&name) else {
            self.errors.push(ConversionError::ChannelOfUnknownPackage {
                package: name,
                channel,
            });
            return;
        };
        if channel.is_empty() {
            self.errors
                .push(ConversionError::ChannelWithoutName { package: name });
            return;
        }
        if package.channels.contains_key(&channel) {
            self.errors.push(ConversionError::DuplicateChannel {
                package: name,
                channel,
            });
            return;
        }
        let mut built = Channel {
            name: channel.clone(),
            properties,
            ..Channel::default()
        };
        for entry in entries {
            if built.entries.contains_key(&entry.name) {
                self.errors.push(ConversionError::DuplicateEntry {
                    package: name.clone(),
                    channel: channel.clone(),
                    entry: entry.name,
                });
                continue;
            }
            built.entries.insert(entry.name.clone(), entry);
        }
        package.channels.insert(channel, built);
    }

    fn add_bundle(&mut self, document: config::Bundle, level: Level, seen: &mut BundlesSeen) {
        let (package, bundle) = (document.package.clone(), document.name.clone());
        if package.is_empty() {
            self.errors
                .push(ConversionError::BundleWithoutPackage { bundle });
            return;
        }
        let Some(parent) = self.model.packages.get_mut(&package) else {
            self.errors
                .push(ConversionError::BundleOfUnknownPackage { package, bundle });
            return;
        };
        if !seen.insert(&package, &bundle) {
            self.errors
                .push(ConversionError::DuplicateBundle { package, bundle });
            return;
        }
        match read_bundle(&document, level) {
            Err(error) => self.errors.push(error),
            Ok(version) => {
                let listed = parent
                    .channels
                    .values()
                    .any(|channel| channel.entries.contains_key(&bundle));
                if listed {
                    parent.bundles.insert(
                        bundle,
                        Bundle {
                            document,
                            version,
                            deprecation: None,
                        },
                    );
                } else {
                    self.errors
                        .push(ConversionError::BundleInNoChannel { package, bundle });
                }
            }
        }
    }

    /// Entries of any channel for which there is no document at all.
    fn find_missing(&mut self, seen: &BundlesSeen) {
        for (name, package) in &self.model.packages {
            let missing: BTreeSet<&String> = package
                .channels
                .values()
                .flat_map(|channel| channel.entries.keys())
                .filter(|entry| !seen.contains(name, entry))
                .collect();
            if !missing.is_empty() {
                self.errors.push(ConversionError::EntriesWithoutBundle {
                    package: name.clone(),
                    entries: missing.into_iter().cloned().collect(),
                });
            }
        }
    }

    /// A default channel that is not there is made, without entries, and so found by the checks.
    fn set_defaults(&mut self, defaults: BTreeMap<String, String>) {
        for (name, channel) in defaults {
            if let Some(package) = self.model.packages.get_mut(&name) {
                package
                    .channels
                    .entry(channel.clone())
                    .or_insert_with(|| Channel {
                        name: channel.clone(),
                        ..Channel::default()
                    });
                package.default_channel = Some(channel);
            }
        }
    }

    fn add_deprecations(
        &mut self,
        item: usize,
        document: Deprecations,
        bundles: &BundlesSeen,
        seen: &mut BTreeSet<String>,
    ) {
        let package = document.package;
        if package.is_empty() {
            self.errors
                .push(ConversionError::DeprecationsWithoutPackage { item });
            return;
        }
        let Some(parent) = self.model.packages.get_mut(&package) else {
            self.errors
                .push(ConversionError::DeprecationsOfUnknownPackage { package });
            return;
        };
        if !seen.insert(package.clone()) {
            self.errors
                .push(ConversionError::SeveralDeprecations { package });
            return;
        }
        let mut references = BTreeSet::new();
        for (entry, deprecation) in document.entries.into_iter().enumerate() {
            let reference = deprecation.reference;
            let package = package.clone();
            let name = reference.name.clone();
            if reference.schema.is_empty() {
                self.errors
                    .push(ConversionError::DeprecationWithoutSchema { package, entry });
                continue;
            }
            if !references.insert((reference.schema.clone(), name.clone())) {
                self.errors
                    .push(ConversionError::DuplicateDeprecation { package, reference });
                continue;
            }
            let message = Some(deprecation.message);
            match reference.schema.as_str() {
                config::BUNDLE => match parent.bundles.get_mut(&name) {
                    Some(bundle) => bundle.deprecation = message,
                    // One that was left out is there all the same.
                    None if bundles.contains(&package, &name) => {}
                    None => self.errors.push(ConversionError::DeprecatedBundle {
                        package,
                        bundle: name,
                    }),
                },
                config::CHANNEL => match parent.channels.get_mut(&name) {
                    Some(channel) => channel.deprecation = message,
                    None => self.errors.push(ConversionError::DeprecatedChannel {
                        package,
                        channel: name,
                    }),
                },
                config::PACKAGE if name.is_empty() => parent.deprecation = message,
                config::PACKAGE => self
                    .errors
                    .push(ConversionError::DeprecatedPackage { package, name }),
                _ => self.errors.push(ConversionError::DeprecatedSchema {
                    package,
                    reference,
                    entry,
                }),
            }
        }
    }
}

/// Which bundles there are, those that were left out of the model included.
#[derive(Debug, Default)]
struct BundlesSeen(BTreeMap<String, BTreeSet<String>>);

impl BundlesSeen {
    fn insert(&mut self, package: &str, bundle: &str) -> bool {
        if !self.0.contains_key(package) {
            self.0.insert(package.to_owned(), BTreeSet::new());
        }
        self.0
            .get_mut(package)
            .is_some_and(|bundles| bundles.insert(bundle.to_owned()))
    }

    fn contains(&self, package: &str, bundle: &str) -> bool {
        self.0
            .get(package)
            .is_some_and(|bundles| bundles.contains(bundle))
    }
}

/// Checks a bundle by itself and reads its version.
fn read_bundle(document: &config::Bundle, level: Level) -> Result<VersionRelease, ConversionError> {
    let (package, bundle) = (&document.package, &document.name);
    let mut found = Vec::new();
    for (index, property) in document.properties.iter().enumerate() {
        let value =
            property::parse(index, property).map_err(|error| ConversionError::Properties {
                package: package.clone(),
                bundle: bundle.clone(),
                error,
            })?;
        if let PropertyValue::Package(value) = value {
            found.push(value);
        }
    }
    let property = match (found.len(), found.pop()) {
        (1, Some(property)) => property,
        (found, _) => {
            return Err(ConversionError::PackageProperties {
                package: package.clone(),
                bundle: bundle.clone(),
                found,
            });
        }
    };
    if property.package_name != *package {
        return Err(ConversionError::OtherPackage {
            package: package.clone(),
            bundle: bundle.clone(),
            property: property.package_name,
        });
    }
    if level == Level::Current {
        check_images(document)?;
    }
    let version =
        Version::parse_strict(&property.version).map_err(|error| ConversionError::Version {
            package: package.clone(),
            bundle: bundle.clone(),
            version: property.version.clone(),
            error,
        })?;
    let release = if property.release.is_empty() {
        None
    } else {
        match Release::parse(&property.release) {
            Ok(release) => Some(release),
            Err(_) if level == Level::R34 => None,
            Err(error) => {
                return Err(ConversionError::Release {
                    package: package.clone(),
                    bundle: bundle.clone(),
                    release: property.release,
                    error,
                });
            }
        }
    };
    Ok(VersionRelease { version, release })
}

/// Images that are named must be named right; empty ones are found elsewhere or do not matter.
fn check_images(document: &config::Bundle) -> Result<(), ConversionError> {
    let check = |image: &str, field: &dyn Fn() -> String| {
        if image.is_empty() {
            return Ok(());
        }
        match olm_reference::parse(image) {
            Ok(_) => Ok(()),
            Err(problem) => Err(ConversionError::Image {
                package: document.package.clone(),
                bundle: document.name.clone(),
                field: field(),
                image: image.chars().take(300).collect(),
                problem,
            }),
        }
    };
    check(&document.image, &|| "image".to_owned())?;
    for (index, related) in document.related_images.iter().enumerate() {
        check(&related.image, &|| format!("relatedImages[{index}].image"))?;
    }
    Ok(())
}

/// Why a name is no DNS-1123 label, in the words of Kubernetes.
fn label_problems(name: &str) -> Vec<String> {
    let is_label = |text: &str| {
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !text.is_empty()
            && text.bytes().all(|b| word(b) || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    };
    let mut problems = Vec::new();
    if name.len() > MAX_LABEL {
        problems.push(format!("must be no more than {MAX_LABEL} characters"));
    }
    if !is_label(name) {
        problems.push(if name.split('.').all(is_label) {
            "must not contain dots".to_owned()
        } else {
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
             and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
             regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned()
        });
    }
    problems
}
