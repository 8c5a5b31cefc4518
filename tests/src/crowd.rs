//! Catalogs of many small packages that nobody made, and the Operators that ask for them.
//!
//! They hold what resolving reads and nothing else: chains of versions, an API each, and a
//! requirement in one package of fourteen, as in public catalogs. Their images are nowhere.

use std::ops::Range;

use serde_json::{Value, json};

/// A version of a package, and its properties besides that.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The version, which need not be one.
    pub version: String,
    /// More properties.
    pub properties: Vec<Value>,
}

impl Bundle {
    /// A version without more properties.
    pub fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            properties: Vec::new(),
        }
    }

    /// The same with one more property.
    #[must_use]
    pub fn with(mut self, kind: &str, value: &Value) -> Self {
        self.properties.push(json!({"type": kind, "value": value}));
        self
    }

    /// The same, requiring a version of another package.
    #[must_use]
    pub fn requiring(self, package: &str, range: &str) -> Self {
        let value = json!({"packageName": package, "versionRange": range});
        self.with("olm.package.required", &value)
    }
}

/// The name of the package of that number.
pub fn name(number: usize) -> String {
    format!("crowd-{number:04}")
}

/// The documents of the package of that number with the versions 1.MINOR.0 of these minors.
pub fn numbered(number: usize, minors: Range<usize>) -> String {
    let bundles: Vec<Bundle> = minors
        .map(|minor| {
            let bundle = Bundle::new(&format!("1.{minor}.0"));
            match number.checked_sub(1) {
                Some(before) if number % 14 == 13 => bundle.requiring(&name(before), ">=1.0.0"),
                _ => bundle,
            }
        })
        .collect();
    package(&name(number), &bundles)
}

/// The documents of a package of these bundles, oldest first, each replacing the one before in the
/// channel `stable`.
pub fn package(name: &str, bundles: &[Bundle]) -> String {
    let bundle_name = |bundle: &Bundle| format!("{name}.v{}", bundle.version);
    let mut entries: Vec<Value> = Vec::new();
    let mut documents =
        vec![json!({"schema": "olm.package", "name": name, "defaultChannel": "stable"})];
    for (at, bundle) in bundles.iter().enumerate() {
        let mut entry = json!({"name": bundle_name(bundle)});
        if let Some(before) = at.checked_sub(1) {
            entry["replaces"] = json!(bundle_name(&bundles[before]));
        }
        entries.push(entry);
        let mut properties = vec![
            json!({"type": "olm.package",
                "value": {"packageName": name, "version": bundle.version}}),
            json!({"type": "olm.gvk",
                "value": {"group": format!("{name}.example.com"), "version": "v1", "kind": "Member"}}),
        ];
        properties.extend(bundle.properties.iter().cloned());
        documents.push(json!({
            "schema": "olm.bundle", "package": name, "name": bundle_name(bundle),
            "image": format!("example.com/{name}@sha256:{at:064}"), "properties": properties,
        }));
    }
    documents.push(
        json!({"schema": "olm.channel", "package": name, "name": "stable", "entries": entries}),
    );
    let lines: Vec<String> = documents.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}
