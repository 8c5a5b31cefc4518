//! Catalogs of any size that look like the large public ones.
//!
//! A public catalog has 6,000 bundles in some hundred packages and 130 MB of JSON lines, most of it
//! descriptions: examples, custom resources and their fields, text for people. What is made here
//! has the same shape (sizes, schemas, properties, the order of keys), says nothing, and is the
//! same for the same options.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

/// How the files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// `catalog.yaml`: documents with sorted keys between `---` lines.
    #[default]
    Yaml,
    /// `catalog.json`: indented objects, one after the other, the head of each first.
    Json,
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    /// Bundles in all.
    pub(crate) bundles: usize,
    /// Another number makes another catalog.
    pub(crate) seed: u64,
    /// How it is written.
    pub(crate) format: Format,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bundles: 6_000,
            seed: 1,
            format: Format::Yaml,
        }
    }
}

/// What was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Made {
    /// Packages, and so files.
    pub(crate) packages: usize,
    /// Documents.
    pub(crate) documents: usize,
    /// Bytes of the files.
    pub(crate) bytes: u64,
}

/// Writes a catalog below `out`, one folder for each package, one document in memory at a time.
///
/// # Errors
/// Those of the disk.
pub(crate) fn write(out: &Path, options: &Options) -> io::Result<Made> {
    let mut random = Random(options.seed);
    let words: Vec<String> = (0..600).map(|_| random.word()).collect();
    let mut made = Made::default();
    let mut left = options.bundles;
    while left > 0 {
        // Few packages have many bundles, as out there.
        let most = *random.one_of(&[4, 8, 12, 20, 30, 60, 120]);
        let bundles = (1 + random.below(most)).min(left);
        left -= bundles;
        let name = format!(
            "{}-{}-operator",
            random.one_of(&words).clone(),
            made.packages
        );
        let folder = out.join(&name);
        fs::create_dir_all(&folder)?;
        let file = match options.format {
            Format::Yaml => "catalog.yaml",
            Format::Json => "catalog.json",
        };
        let mut file = Documents {
            to: BufWriter::new(File::create(folder.join(file))?),
            format: options.format,
            made: &mut made,
        };
        let mut random = Random(random.next());
        Package::new(name, bundles, &words, &mut random).write(&mut random, &mut file)?;
        file.to.flush()?;
        made.packages += 1;
    }
    Ok(made)
}

/// A document, its keys in the order in which tools write them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    schema: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    package: &'a str,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

struct Documents<'a> {
    to: BufWriter<File>,
    format: Format,
    made: &'a mut Made,
}

impl Documents<'_> {
    fn put(&mut self, schema: &str, package: &str, name: &str, rest: Value) -> io::Result<()> {
        let Value::Object(rest) = rest else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let document = Document {
            schema,
            name,
            package,
            rest,
        };
        let text = match self.format {
            Format::Yaml => {
                let text = olm_yaml::to_string(&document).map_err(io::Error::other)?;
                format!("---\n{text}").into_bytes()
            }
            Format::Json => {
                let mut text = Vec::new();
                let format = PrettyFormatter::with_indent(b"    ");
                document.serialize(&mut Serializer::with_formatter(&mut text, format))?;
                text.push(b'\n');
                text
            }
        };
        self.made.documents += 1;
        self.made.bytes += text.len() as u64;
        self.to.write_all(&text)
    }
}

/// What all versions of a package share.
struct Package<'a> {
    name: String,
    bundles: usize,
    words: &'a [String],
    group: String,
    kinds: Vec<String>,
    description: String,
    owned: Vec<Value>,
    examples: Vec<Value>,
}

impl<'a> Package<'a> {
    fn new(name: String, bundles: usize, words: &'a [String], random: &mut Random) -> Self {
        let group = format!("{}.example.com", random.one_of(words));
        let count = 2 + random.below(16);
        let kinds: Vec<String> = (0..count)
            .map(|n| format!("{}{n}", capital(random.one_of(words))))
            .collect();
        let mut description = String::new();
        for section in 0..=random.below(9) {
            let title = capital(random.text(words, 3));
            description.extend(["## ", &title, "\n\n"]);
            for _ in 0..=random.below(4) {
                let sentence = capital(random.text(words, 24));
                description.extend([&sentence, ".\n\n"]);
            }
            let list = format!(
                "* `{}`\n* [{section}](https://example.com)\n\n",
                random.one_of(words)
            );
            description.push_str(&list);
        }
        let owned = kinds
            .iter()
            .map(|kind| {
                let fields: Vec<Value> = (0..=random.below(7))
                    .map(|_| {
                        json!({
                            "description": capital(random.text(words, 12)),
                            "displayName": capital(random.text(words, 2)),
                            "path": random.text(words, 3).replace(' ', "."),
                            "x-descriptors": ["urn:alm:descriptor:com.tectonic.ui:text"],
                        })
                    })
                    .collect();
                json!({
                    "description": capital(random.text(words, 10)),
                    "displayName": kind,
                    "kind": kind,
                    "name": format!("{}s.{group}", kind.to_lowercase()),
                    "version": "v1alpha1",
                    "specDescriptors": fields,
                    "resources": [{"kind": "Deployment", "name": "", "version": "v1"}],
                })
            })
            .collect();
        let examples = kinds
            .iter()
            .map(|kind| {
                let mut spec = Map::new();
                for _ in 0..2 + random.below(12) {
                    let key = random.text(words, 2).replace(' ', "");
                    let value = match random.below(4) {
                        0 => json!(random.below(1000)),
                        1 => json!(random.below(2) == 0),
                        2 => json!({"limits": {"cpu": "500m", "memory": format!("{}Mi", 64 + random.below(512))}}),
                        _ => json!(random.text(words, 3)),
                    };
                    spec.insert(key, value);
                }
                json!({
                    "apiVersion": format!("{group}/v1alpha1"),
                    "kind": kind,
                    "metadata": {"name": format!("{}-sample", kind.to_lowercase())},
                    "spec": spec,
                })
            })
            .collect();
        Self {
            name,
            bundles,
            words,
            group,
            kinds,
            description,
            owned,
            examples,
        }
    }

    fn write(&self, random: &mut Random, to: &mut Documents<'_>) -> io::Result<()> {
        let package = json!({
            "defaultChannel": "stable",
            "icon": {"base64data": random.base64(4_000), "mediatype": "image/png"},
        });
        to.put("olm.package", "", &self.name, package)?;
        let versions: Vec<String> = (0..self.bundles)
            .map(|n| format!("{}.{}.{}", 1 + n / 40, n / 4 % 10, n % 4))
            .collect();
        let bundle = |version: &String| format!("{}.v{version}", self.name);
        for channel in ["alpha", "stable"] {
            let mut before: Option<&String> = None;
            let entries: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let mut entry = json!({"name": bundle(version)});
                    if let Some(before) = before.replace(version) {
                        entry["replaces"] = json!(bundle(before));
                        if version.ends_with(".0") {
                            entry["skipRange"] = json!(format!(">={before} <{version}"));
                        }
                    }
                    entry
                })
                .collect();
            to.put(
                "olm.channel",
                &self.name,
                channel,
                json!({"entries": entries}),
            )?;
        }
        for version in &versions {
            let rest = self.bundle(version, random);
            to.put("olm.bundle", &self.name, &bundle(version), rest)?;
        }
        Ok(())
    }

    fn bundle(&self, version: &str, random: &mut Random) -> Value {
        let (group, name) = (&self.group, &self.name);
        let image = |random: &mut Random, of: &str| {
            format!("registry.example.com/{name}/{of}@sha256:{}", random.hex(64))
        };
        let mut properties: Vec<Value> = self
            .kinds
            .iter()
            .map(|kind| {
                json!({"type": "olm.gvk", "value": {"group": group, "kind": kind, "version": "v1alpha1"}})
            })
            .collect();
        properties.push(json!({
            "type": "olm.package", "value": {"packageName": name, "version": version},
        }));
        // The descriptions of two versions differ in few places.
        let mut examples = self.examples.clone();
        if let Some(spec) = examples.first_mut().and_then(|first| first.get_mut("spec")) {
            spec["version"] = json!(version);
        }
        let examples = serde_json::to_string_pretty(&examples).unwrap_or_default();
        let related: Vec<Value> = (0..=random.below(8))
            .map(|n| json!({"name": format!("part-{n}"), "image": image(random, "part")}))
            .collect();
        let modes = [
            "OwnNamespace",
            "SingleNamespace",
            "MultiNamespace",
            "AllNamespaces",
        ]
        .map(|mode| json!({"supported": mode != "MultiNamespace", "type": mode}));
        properties.push(json!({
            "type": "olm.csv.metadata",
            "value": {
                "annotations": {
                    "alm-examples": examples,
                    "capabilities": "Seamless Upgrades",
                    "categories": "Database, Monitoring",
                    "containerImage": image(random, "operator"),
                    "createdAt": format!("2024-01-{:02}T00:00:00Z", 1 + random.below(28)),
                    "description": capital(random.text(self.words, 14)),
                    "operators.operatorframework.io/builder": "operator-sdk-v1.34.1",
                    "repository": format!("https://example.com/{name}"),
                },
                "apiServiceDefinitions": {},
                "crdDescriptions": {"owned": self.owned},
                "description": format!("{}Version {version}.\n", self.description),
                "displayName": capital(name),
                "installModes": modes,
                "keywords": [random.one_of(self.words), random.one_of(self.words)],
                "labels": {"operatorframework.io/arch.amd64": "supported"},
                "links": [{"name": "Source", "url": format!("https://example.com/{name}")}],
                "maintainers": [{"email": "team@example.com", "name": "Team"}],
                "maturity": "alpha",
                "minKubeVersion": "1.25.0",
                "provider": {"name": "Example & Partners <team@example.com>"},
            },
        }));
        json!({
            "image": image(random, "bundle"),
            "properties": properties,
            "relatedImages": related,
        })
    }
}

fn capital(text: impl AsRef<str>) -> String {
    let mut characters = text.as_ref().chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// Numbers that look random (`SplitMix64`, Steele, Lea and Flood 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap_or(0)
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn word(&mut self) -> String {
        let syllables = [
            "ka", "lo", "mi", "ra", "ten", "vor", "su", "pel", "dan", "ix",
        ];
        (0..=self.below(4))
            .map(|_| *self.one_of(&syllables))
            .collect()
    }

    fn text(&mut self, words: &[String], count: usize) -> String {
        let chosen: Vec<&str> = (0..count).map(|_| self.one_of(words).as_str()).collect();
        chosen.join(" ")
    }

    fn digits(&mut self, of: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(*self.one_of(of))).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        self.digits(b"0123456789abcdef", count)
    }

    fn base64(&mut self, count: usize) -> String {
        self.digits(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
            count,
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use super::*;

    fn made(options: &Options) -> (Made, BTreeMap<String, String>) {
        let folder = tempfile::tempdir().unwrap();
        let made = write(folder.path(), options).unwrap();
        let files = fs::read_dir(folder.path()).unwrap().map(|package| {
            let package = package.unwrap();
            let file = fs::read_dir(package.path())
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            let text = fs::read_to_string(file.path()).unwrap();
            (package.file_name().into_string().unwrap(), text)
        });
        (made, files.collect())
    }

    #[test]
    fn the_same_seed_makes_the_same_catalog_and_both_formats_say_the_same() {
        let yaml = Options {
            bundles: 60,
            ..Options::default()
        };
        let json = Options {
            format: Format::Json,
            ..yaml
        };
        let (first, files) = made(&yaml);
        assert_eq!((first, &files), (made(&yaml).0, &made(&yaml).1));
        assert_ne!(files, made(&Options { seed: 2, ..yaml }).1);
        assert_eq!(first.documents, 60 + 3 * first.packages);
        let read = |files: &BTreeMap<String, String>| -> Vec<Value> {
            files
                .values()
                .flat_map(|text| {
                    let limits = olm_yaml::Limits::default();
                    olm_yaml::documents(text.as_bytes(), &limits)
                        .map(|document| document.unwrap().value)
                        .collect::<Vec<_>>()
                })
                .collect()
        };
        assert_eq!(read(&files), read(&made(&json).1));
        // Some 20 KB for each bundle, as real ones have.
        assert!((8_000..40_000).contains(&(first.bytes / 60)), "{first:?}");
    }
}
