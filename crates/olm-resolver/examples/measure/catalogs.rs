//! The catalogs that are measured, document by document.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Packages of the community catalog.
const PACKAGES: usize = 328;

/// Its bundles.
const BUNDLES: usize = 6_000;

/// Packages of the dense catalogs, and versions of each.
const DENSE: (usize, usize) = (500, 40);

/// Bundles of a package that means harm.
const MANY: usize = 10_000;

/// A stream of numbers that is the same every time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }
}

pub(crate) fn community_packages() -> impl Iterator<Item = String> {
    (0..PACKAGES).map(|at| format!("package-{at:03}-operator"))
}

pub(crate) fn dense_packages() -> impl Iterator<Item = String> {
    (0..DENSE.0).map(|at| format!("p{at:03}"))
}

/// As the community catalog is: chains of `replaces`, a few APIs for each bundle, and requirements
/// in one package of fourteen.
pub(crate) fn community() -> impl Iterator<Item = String> {
    let names: Vec<String> = community_packages().collect();
    (0..PACKAGES).flat_map(move |at| {
        let count = (BUNDLES * (at + 1) / PACKAGES) - (BUNDLES * at / PACKAGES);
        let package = &names[at];
        let bundles = (0..count).map(|version| {
            let kinds = (0..5).map(|kind| {
                json!({"type": "olm.gvk", "value": {"group": format!("{package}.io"),
                    "version": "v1alpha1", "kind": format!("Kind{kind}")}})
            });
            let mut properties: Vec<Value> = kinds.collect();
            if at % 14 == 13 {
                properties.push(requires(&names[at - 1], &format!(">=1.{}.0", version / 2)));
            }
            if at % 40 == 39 {
                properties.push(json!({"type": "olm.gvk.required", "value":
                    {"group": format!("{}.io", names[at - 5]), "version": "v1alpha1", "kind": "Kind0"}}));
            }
            properties
        });
        package_of(package, bundles.collect())
    })
}

/// 500 packages of 40 versions, of which a share has so many requirements for each version.
pub(crate) fn dense(share: usize, each: usize) -> impl Iterator<Item = String> {
    let names: Vec<String> = dense_packages().collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut lines: Vec<String> = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let has = at * 37 % 100 < share;
        let bundles = (0..DENSE.1).map(|version| {
            let count = if has { each } else { 0 };
            let wants = (0..count).map(|_| {
                let other = (at + 1 + numbers.below(DENSE.0 - 1)) % DENSE.0;
                let low = numbers.below(version / 2 + 1);
                let range = match numbers.below(3) {
                    0 => format!(">=1.{low}.0 <1.{}.0", low + 8 + numbers.below(30)),
                    _ => format!(">=1.{low}.0"),
                };
                requires(&names[other], &range)
            });
            wants.collect()
        });
        lines.extend(package_of(name, bundles.collect()));
    }
    // Two pins that no version of the first package meets together.
    let clash = vec![requires("p000", "1.3.0"), requires("clash-too", ">=1.0.0")];
    lines.extend(package_of("clash", vec![clash]));
    lines.extend(package_of(
        "clash-too",
        vec![vec![requires("p000", "1.4.0")]],
    ));
    lines.into_iter()
}

/// What means harm: a name, the catalog, and who asks for what of it.
pub(crate) fn worst() -> Vec<(&'static str, Vec<String>, Vec<String>)> {
    let plain = |name: &str| package_of(name, vec![Vec::new(); MANY]);
    let each = |range: &dyn Fn(usize) -> String| {
        let mut lines = plain("p");
        let bundles = (0..MANY).map(|at| vec![requires("p", &range(at))]);
        lines.extend(package_of("q", bundles.collect()));
        lines
    };
    let crowd = |places: usize| {
        let names: Vec<String> = (0..=places).map(|at| format!("crowd-{at}")).collect();
        let lines = names.iter().flat_map(|name| {
            let bundles = (0..places).map(|place| vec![provides(&format!("Place{place}"))]);
            package_of(name, bundles.collect())
        });
        (lines.collect::<Vec<String>>(), names.clone())
    };
    let chain = |count: usize| {
        let name = |at: usize| format!("link-{at:05}");
        (0..count)
            .flat_map(|at| package_of(&name(at), vec![vec![requires(&name(at + 1), ">=1.0.0")]]))
            .collect::<Vec<String>>()
    };
    let rules = |loops: usize| {
        let mut lines = plain("p");
        let test = "semver_compare(p.value.version, '2.0.0') == ";
        let bundles = (0..40).map(|at| {
            let one = format!("properties.exists(p, p.type == 'olm.package' && {test}{at})");
            let two = format!("properties.exists(q, q.type == 'x' || {one})");
            let rule = if loops == 1 { one } else { two };
            vec![json!({"type": "olm.constraint", "value": {"cel": {"rule": rule}}})]
        });
        lines.extend(package_of("rules", bundles.collect()));
        lines
    };
    let (crowded, crowd) = crowd(14);
    let one = |name: &str| vec![name.to_owned()];
    vec![
        ("10,000 bundles", plain("p"), one("p")),
        (
            "10,000 bundles require 10,000",
            each(&|at| format!(">=1.{at}.0")),
            one("q"),
        ),
        (
            "10,000 bundles require what is not",
            each(&|at| format!(">=2.{at}.0")),
            one("q"),
        ),
        ("15 packages for 14 APIs", crowded, crowd),
        (
            "a chain of 10,000 without an end",
            chain(MANY),
            one("link-00000"),
        ),
        ("40 rules over 10,000 bundles", rules(1), one("rules")),
        ("40 dear rules over 10,000 bundles", rules(2), one("rules")),
    ]
}

fn requires(package: &str, range: &str) -> Value {
    json!({"type": "olm.package.required", "value": {"packageName": package, "versionRange": range}})
}

fn provides(kind: &str) -> Value {
    json!({"type": "olm.gvk", "value": {"group": "example.com", "version": "v1", "kind": kind}})
}

/// The documents of a package with one bundle for each list of properties, oldest first.
fn package_of(package: &str, bundles: Vec<Vec<Value>>) -> Vec<String> {
    let name = |version: usize| format!("{package}.v1.{version}.0");
    let mut lines =
        vec![json!({"schema": "olm.package", "name": package, "defaultChannel": "stable"})];
    let mut entries = Vec::new();
    for (version, more) in bundles.into_iter().enumerate() {
        let mut entry = BTreeMap::from([("name", name(version))]);
        if let Some(before) = version.checked_sub(1) {
            entry.insert("replaces", name(before));
        }
        entries.push(entry);
        let mut properties = vec![json!({"type": "olm.package",
            "value": {"packageName": package, "version": format!("1.{version}.0")}})];
        properties.extend(more);
        lines.push(
            json!({"schema": "olm.bundle", "package": package, "name": name(version),
            "image": format!("quay.io/community/{package}@sha256:{version:064}"),
            "properties": properties}),
        );
    }
    lines.push(
        json!({"schema": "olm.channel", "package": package, "name": "stable",
        "entries": entries}),
    );
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}
