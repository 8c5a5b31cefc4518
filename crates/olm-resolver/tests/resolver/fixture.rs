//! Catalogs and requests.

use olm_resolver::{Catalog, Choice, EdgeMode, Facts, Installed, Policy, Refusal, Request, choose};
use olm_semver::Version;
use olm_semver::masterminds::Constraint;
use serde_json::{Value, json};

pub(crate) use crate::documents::read as catalog;

pub(crate) fn bundle(package: &str, version: &str, more: &[Value]) -> Value {
    let mut properties =
        vec![json!({"type": "olm.package", "value": {"packageName": package, "version": version}})];
    properties.extend(more.iter().cloned());
    json!({"schema": "olm.bundle", "package": package, "name": format!("{package}.{version}"),
           "image": format!("example.com/{package}:{version}"), "properties": properties})
}

pub(crate) fn channel(package: &str, name: &str, entries: &Value) -> Value {
    json!({"schema": "olm.channel", "package": package, "name": name, "entries": entries})
}

/// The fixture of the reference: `beta` is 1.0.0, 1.0.1, 1.2.0, 2.0.0 one after another, `alpha`
/// holds 1.0.0 alone.
pub(crate) fn prometheus() -> Vec<Value> {
    let entries = json!([
        {"name": "prometheus.1.0.0"},
        {"name": "prometheus.1.0.1", "replaces": "prometheus.1.0.0"},
        {"name": "prometheus.1.2.0", "replaces": "prometheus.1.0.1"},
        {"name": "prometheus.2.0.0", "replaces": "prometheus.1.2.0"},
    ]);
    let mut documents = vec![
        json!({"schema": "olm.package", "name": "prometheus", "defaultChannel": "beta"}),
        channel("prometheus", "beta", &entries),
        channel(
            "prometheus",
            "alpha",
            &json!([{"name": "prometheus.1.0.0"}]),
        ),
    ];
    for version in ["1.0.0", "1.0.1", "1.2.0", "2.0.0"] {
        documents.push(bundle("prometheus", version, &[]));
    }
    documents
}

pub(crate) fn ask(
    package: &str,
    range: Option<&str>,
    channel: Option<&str>,
    from: Option<&str>,
) -> Request {
    Request {
        operator: "op".to_owned(),
        package: package.to_owned(),
        channel: channel.map(str::to_owned),
        version: range.map(|range| Constraint::parse(range).unwrap()),
        policy: Policy::Enforce,
        installed: from.map(|version| Installed {
            package: package.to_owned(),
            name: format!("{package}.{version}"),
            version: Version::parse_strict(version).unwrap(),
            release: String::new(),
            image: Some(format!("example.com/{package}:{version}")),
        }),
    }
}

pub(crate) fn resolve(catalogs: &[&Catalog], request: &Request) -> Result<Choice, Refusal> {
    choose(catalogs, request, EdgeMode::Catalog, &Facts::default())
}

pub(crate) fn name(choice: Result<Choice, Refusal>) -> String {
    match choice {
        Ok(choice) => choice.bundle.name.clone(),
        Err(refusal) => refusal.to_string(),
    }
}
