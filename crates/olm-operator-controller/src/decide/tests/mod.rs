//! Decisions for Operators that have nothing to do with one another, and what all tests of decisions
//! are written with.
#![allow(clippy::unwrap_used, reason = "tests")]

mod failed;
mod together;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use olm_api::bundle_deployment::BundleDeploymentStatus;
use olm_fbc::{Reading, read_lines};
use olm_semver::Version;
use serde_json::json;

use super::*;
use crate::catalogs::{Content, Known};
use crate::deployment::Api;

/// A catalog with the package `name`, whose versions each replace the one before in `stable`.
fn content(catalog: &str, name: &str, versions: &[&str]) -> Known {
    let bundle = |version: &str| format!("{name}.v{version}");
    let mut entries = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let replaces = index.checked_sub(1).map(|before| bundle(versions[before]));
        entries.push(json!({"name": bundle(version), "replaces": replaces}));
    }
    let mut lines = vec![
        json!({"schema": "olm.package", "name": name, "defaultChannel": "stable"}),
        json!({"schema": "olm.channel", "package": name, "name": "stable", "entries": entries}),
    ];
    lines.extend(versions.iter().map(|version| {
        json!({"schema": "olm.bundle", "package": name, "name": bundle(version),
            "image": format!("r/{catalog}/{name}:{version}"), "properties": [
                {"type": "olm.package", "value": {"packageName": name, "version": version}},
                {"type": "olm.gvk", "value": {"group": "g", "version": "v1", "kind": name}}]})
    }));
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    let model =
        olm_resolver::Catalog::read(catalog, 0, read_lines(text.as_bytes(), Reading::default()));
    let content = Content {
        digest: "sha256:1".to_owned(),
        model: model.unwrap(),
    };
    Known {
        content: Some(Arc::new(content)),
        ..Known::default()
    }
}

fn snapshot(catalogs: impl IntoIterator<Item = (&'static str, Known)>) -> Snapshot {
    let catalogs: BTreeMap<String, Known> = catalogs
        .into_iter()
        .map(|(name, known)| (name.to_owned(), known))
        .collect();
    Snapshot {
        listed: true,
        catalogs,
    }
}

fn operator(name: &str, package: &str, version: Option<&str>) -> Operator {
    let mut operator = Operator::new(
        name,
        OperatorSpec {
            package_name: package.to_owned(),
            version: version.map(str::to_owned),
            ..OperatorSpec::default()
        },
    );
    operator.metadata.uid = Some(format!("uid-{name}"));
    operator
}

fn identity(package: &str, version: &str) -> BundleIdentity {
    BundleIdentity {
        name: format!("{package}.v{version}"),
        version: version.to_owned(),
        package: package.to_owned(),
        channel: Some("stable".to_owned()),
        catalog: Some("c".to_owned()),
        image: format!("r/c/{package}:{version}"),
    }
}

/// A BundleDeployment that asks for a bundle, with `Installed` as given.
fn deployment(operator: &Operator, asks: &BundleIdentity, installed: &str) -> BundleDeployment {
    let wanted = Wanted {
        identity: asks.clone(),
        media_type: None,
        apis: vec![Api {
            group: "g".to_owned(),
            version: "v1".to_owned(),
            kind: asks.package.clone(),
        }],
        declared: Some(olm_resolver::Declared::default()),
    };
    let mut deployment = deployment::desired(operator, &wanted).unwrap();
    deployment.metadata.generation = Some(1);
    deployment.status = Some(BundleDeploymentStatus {
        active_bundle: Some("active".to_owned()),
        observed_generation: Some(1),
        conditions: vec![Condition {
            type_: "Installed".to_owned(),
            status: installed.to_owned(),
            reason: "R".to_owned(),
            message: String::new(),
            last_transition_time: serde_json::from_str("\"2026-01-01T00:00:00Z\"").unwrap(),
            observed_generation: Some(1),
        }],
        ..BundleDeploymentStatus::default()
    });
    deployment
}

struct World {
    operator: Operator,
    installed: Option<BundleIdentity>,
    deployment: Option<BundleDeployment>,
    catalogs: Snapshot,
    operators: Vec<Arc<Operator>>,
    deployments: Vec<Arc<BundleDeployment>>,
    facts: Facts,
}

impl World {
    fn new(operator: Operator, catalogs: Snapshot) -> Self {
        let (operators, deployments) = (Vec::new(), Vec::new());
        Self {
            operator,
            installed: None,
            deployment: None,
            catalogs,
            operators,
            deployments,
            facts: Facts::default(),
        }
    }

    /// The same where `runs` is installed and the BundleDeployment asks for `asks`.
    fn with(mut self, runs: &BundleIdentity, asks: &BundleIdentity, state: &str) -> Self {
        self.deployment = Some(deployment(&self.operator, asks, state));
        self.installed = Some(runs.clone());
        self
    }

    fn decision(&self) -> Arc<Decision> {
        let mut operator = self.operator.clone();
        let status = operator.status.get_or_insert_default();
        status.installed.clone_from(&self.installed);
        let mut operators = self.operators.clone();
        operators.retain(|other| other.metadata.name != operator.metadata.name);
        let name = operator.name_any();
        operators.push(Arc::new(operator));
        let mut deployments = self.deployments.clone();
        if let Some(own) = &self.deployment {
            deployments.retain(|other| other.metadata.name != own.metadata.name);
            deployments.push(Arc::new(own.clone()));
        }
        let decisions = Decider::default().decide(&Cluster {
            operators,
            unreadable: BTreeSet::new(),
            deployments,
            bundles: BTreeMap::new(),
            catalogs: Arc::new(self.catalogs.clone()),
            facts: Arc::new(self.facts.clone()),
            mode: EdgeMode::Catalog,
        });
        Arc::clone(&decisions[&name])
    }

    fn answer(&self) -> String {
        match self.decision().answer.clone() {
            Answer::Chosen(wanted) => wanted.identity.version,
            Answer::Refused(why) => why,
            Answer::NotYet => "not yet".to_owned(),
            Answer::InvalidSpec(why) => why.unwrap_or_else(|| "invalid".to_owned()),
        }
    }
}

fn etcd() -> Snapshot {
    snapshot([("c", content("c", "etcd", &["1.0.0", "1.1.0", "1.2.0"]))])
}

#[test]
fn without_anything_installed_the_newest_is_chosen() {
    assert_eq!(
        World::new(operator("o", "etcd", None), etcd()).answer(),
        "1.2.0"
    );
    assert_eq!(
        World::new(operator("o", "etcd", Some("1.0.x")), etcd()).answer(),
        "1.0.0"
    );
    assert_eq!(
        World::new(operator("o", "etcd", Some("|")), etcd()).answer(),
        "invalid"
    );
    assert_eq!(
        World::new(operator("o", "nope", None), etcd()).answer(),
        "no package \"nope\" found"
    );
}

#[test]
fn the_same_bundle_in_another_catalog_changes_nothing() {
    let last = identity("etcd", "1.2.0");
    let mut both = etcd();
    both.catalogs
        .insert("a".to_owned(), content("c", "etcd", &["1.2.0"]));
    let world = World::new(operator("o", "etcd", None), both).with(&last, &last, "True");
    let answer = world.decision().answer.clone();
    let Answer::Chosen(wanted) = answer else {
        unreachable!("{answer:?}")
    };
    assert_eq!(wanted.identity.catalog.as_deref(), Some("c"));
}

#[test]
fn what_is_installed_moves_one_hop() {
    let (old, next) = (identity("etcd", "1.0.0"), identity("etcd", "1.1.0"));
    let world = World::new(operator("o", "etcd", None), etcd()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.1.0");
    // The next one is asked for and not there yet: it is asked for still.
    let world = World::new(operator("o", "etcd", None), etcd()).with(&old, &next, "Unknown");
    assert_eq!(world.answer(), "1.1.0");
}

#[test]
fn a_release_that_cannot_be_installed_does_not_hold_up_the_one_that_repairs_it() {
    let (old, broken) = (identity("etcd", "1.0.0"), identity("etcd", "1.1.0"));
    let world = World::new(operator("o", "etcd", None), etcd()).with(&old, &broken, "False");
    assert_eq!(world.answer(), "1.2.0");
}

#[test]
fn the_older_of_two_operators_for_one_package_has_it() {
    let mut world = World::new(operator("b", "etcd", None), etcd());
    world.operators = vec![
        Arc::new(operator("a", "etcd", None)),
        Arc::new(world.operator.clone()),
    ];
    let text = world.answer();
    assert!(text.contains("Operator \"a\""), "{text}");
    assert!(
        text.contains(r#"duplicate identifier "required package etcd" in input"#),
        "{text}"
    );
    world.operator = operator("a", "etcd", None);
    assert_eq!(world.answer(), "1.2.0");
}

/// `asking` among the Operators of the cluster, each with its age and the state of its
/// BundleDeployment where it has one.
fn among(asking: &str, operators: &[(Operator, i64, Option<&str>)]) -> World {
    let mut world = World::new(operator("nobody", "etcd", None), etcd());
    let bundle = identity("etcd", "1.2.0");
    for (operator, created, state) in operators {
        let mut operator = operator.clone();
        operator.metadata.creation_timestamp =
            serde_json::from_value(json!(format!("2026-01-01T00:00:{created:02}Z"))).unwrap();
        if let Some(state) = state {
            let mut deployment = deployment(&operator, &bundle, state);
            if *state != "True" {
                deployment.status.as_mut().unwrap().active_bundle = None;
            }
            world.deployments.push(Arc::new(deployment));
        }
        if operator.metadata.name.as_deref() == Some(asking) {
            let of_its = world.deployments.last().filter(|_| state.is_some());
            world.deployment = of_its.map(|deployment| (**deployment).clone());
            world.installed = state
                .filter(|state| *state == "True")
                .map(|_| bundle.clone());
            world.operator = operator.clone();
        }
        world.operators.push(Arc::new(operator));
    }
    world
}

/// The one of the Operators that has the package; each of the others names it.
fn holder(operators: &[(Operator, i64, Option<&str>)]) -> String {
    let names: Vec<_> = operators
        .iter()
        .map(|(operator, _, _)| operator.name_any())
        .collect();
    let loses = |name: &String, to: &str| {
        let told = format!("already asked for by Operator {to:?}");
        among(name, operators).answer().contains(&told)
    };
    let has = |name: &&String| {
        names
            .iter()
            .all(|other| (other != *name) == loses(other, name))
    };
    let holders: Vec<_> = names.iter().filter(has).cloned().collect();
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders.concat()
}

#[test]
fn of_several_operators_for_a_package_one_has_it() {
    let plain = |name| operator(name, "etcd", None);
    let hopeless = |name| operator(name, "etcd", Some("9.x"));
    let no_range = |name| operator(name, "etcd", Some("|"));
    let nameless = |_| operator(&"o".repeat(46), "etcd", None);

    assert_eq!(holder(&[(plain("b"), 1, None), (plain("a"), 2, None)]), "b");
    assert_eq!(holder(&[(plain("b"), 1, None), (plain("a"), 1, None)]), "a");
    // Who cannot succeed stands back, as long as someone can.
    for never in [hopeless("a"), nameless("a")] {
        assert_eq!(holder(&[(never, 1, None), (plain("b"), 2, None)]), "b");
    }
    let all = [(hopeless("b"), 1, None), (hopeless("a"), 2, None)];
    assert_eq!(holder(&all), "b");
    // What is there stays, whatever the catalogs would give to others.
    let (runs, begun) = (Some("True"), Some("Unknown"));
    let all = [(plain("a"), 1, None), (hopeless("b"), 2, begun)];
    assert_eq!(holder(&all), "b");
    let all = [(plain("a"), 1, begun), (plain("b"), 2, runs)];
    assert_eq!(holder(&all), "b");
    let all = [(plain("a"), 1, runs), (plain("b"), 2, runs)];
    assert_eq!(holder(&all), "a");
    // One whose range is none says that, and holds nobody up.
    let all = [(no_range("a"), 1, None), (plain("b"), 2, None)];
    assert_eq!(among("a", &all).answer(), "invalid");
    assert_eq!(among("b", &all).answer(), "1.2.0");
}

#[test]
fn a_bundle_that_needs_a_newer_cluster_is_passed_over_or_refused() {
    let needs = |version: &str, kubernetes: &str| {
        json!({"schema": "olm.bundle", "package": "etcd", "name": format!("etcd.v{version}"),
            "image": format!("r/c/etcd:{version}"), "properties": [
                {"type": "olm.package", "value": {"packageName": "etcd", "version": version}},
                {"type": "olm.csv.metadata", "value": {"minKubeVersion": kubernetes}}]})
    };
    let entries = json!([{"name": "etcd.v1.0.0"}, {"name": "etcd.v2.0.0"}]);
    let lines = [
        json!({"schema": "olm.package", "name": "etcd", "defaultChannel": "stable"}),
        json!({"schema": "olm.channel", "package": "etcd", "name": "stable", "entries": entries}),
        needs("1.0.0", "1.20.0"),
        needs("2.0.0", "1.34.0"),
    ];
    let text = lines.map(|line| line.to_string() + "\n").concat();
    let mut known = content("c", "etcd", &[]);
    let model =
        olm_resolver::Catalog::read("c", 0, read_lines(text.as_bytes(), Reading::default()));
    known.content = Some(Arc::new(Content {
        digest: "sha256:3".to_owned(),
        model: model.unwrap(),
    }));
    let ask = |range, cluster: Option<&str>| {
        let catalogs = snapshot([("c", known.clone())]);
        let mut world = World::new(operator("o", "etcd", range), catalogs);
        world.facts.kubernetes = cluster.map(|version| Version::parse_strict(version).unwrap());
        world.answer()
    };
    assert_eq!(ask(None, Some("1.33.4")), "1.0.0");
    assert_eq!(ask(None, Some("1.34.0-eks-1")), "2.0.0");
    assert_eq!(
        ask(Some("2.0.0"), Some("1.33.4")),
        "no usable version of package \"etcd\": 2.0.0 needs Kubernetes 1.34.0"
    );
    assert_eq!(ask(None, None), "2.0.0");
}

#[test]
fn without_any_catalog_what_runs_is_kept() {
    let old = identity("etcd", "1.0.0");
    let none = || Snapshot {
        listed: true,
        catalogs: BTreeMap::new(),
    };
    let world = World::new(operator("o", "etcd", None), none()).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.0.0");
    let world = World::new(operator("o", "etcd", Some("1.1.0")), none()).with(&old, &old, "True");
    assert_eq!(
        world.answer(),
        "no package \"etcd\" matching version \"1.1.0\" found"
    );
}

#[test]
fn a_catalog_that_cannot_be_read_holds_up_only_those_who_need_it() {
    let mut broken = content("c", "etcd", &["1.0.0"]);
    broken.unread = Some(Unread::Failed("it is away".to_owned()));
    let other = content("d", "redis", &["2.0.0"]);
    let catalogs = snapshot([("c", broken), ("d", other)]);
    assert_eq!(
        World::new(operator("o", "redis", None), catalogs.clone()).answer(),
        "2.0.0"
    );
    let text = World::new(operator("o", "etcd", None), catalogs.clone()).answer();
    assert!(
        text.contains("catalog \"c\" cannot be read: it is away"),
        "{text}"
    );
    let old = identity("etcd", "1.0.0");
    let world = World::new(operator("o", "etcd", None), catalogs).with(&old, &old, "True");
    assert_eq!(world.answer(), "1.0.0");
}

#[test]
fn nothing_is_said_while_a_catalog_that_may_have_it_is_read_for_the_first_time() {
    let loading = Known {
        unread: Some(Unread::Loading),
        ..Known::default()
    };
    let catalogs = snapshot([("c", loading), ("d", content("d", "redis", &["2.0.0"]))]);
    assert_eq!(
        World::new(operator("o", "etcd", None), catalogs.clone()).answer(),
        "not yet"
    );
    assert_eq!(
        World::new(operator("o", "redis", None), catalogs).answer(),
        "2.0.0"
    );
}

#[test]
fn requirements_are_met_only_by_what_is_installed() {
    let mut known = content("c", "mesh", &["1.0.0"]);
    let lines = json!({"schema": "olm.bundle", "package": "mesh", "name": "mesh.v1.0.0",
        "image": "r/c/mesh:1.0.0", "properties": [
            {"type": "olm.package", "value": {"packageName": "mesh", "version": "1.0.0"}},
            {"type": "olm.package.required",
                "value": {"packageName": "etcd", "versionRange": ">=1.0.0"}},
            {"type": "olm.gvk.required",
                "value": {"group": "g", "version": "v1", "kind": "etcd"}}]})
    .to_string();
    let model =
        olm_resolver::Catalog::read("c", 0, read_lines(lines.as_bytes(), Reading::default()));
    let content = Content {
        digest: "sha256:2".to_owned(),
        model: model.unwrap(),
    };
    known.content = Some(Arc::new(content));
    let mut world = World::new(operator("m", "mesh", None), snapshot([("c", known)]));
    let text = "constraints not satisfiable:\nmesh 1.0.0 requires package \"etcd\" in range \
                \">=1.0.0\", which no catalog offers";
    assert!(world.answer().starts_with(text), "{}", world.answer());
    let base = operator("e", "etcd", None);
    world.operators = vec![Arc::new(base.clone())];
    let installing = deployment(&base, &identity("etcd", "1.0.0"), "Unknown");
    world.deployments = vec![Arc::new(installing)];
    assert!(world.answer().starts_with(text), "not installed yet");
    let installed = deployment(&base, &identity("etcd", "1.0.0"), "True");
    world.deployments = vec![Arc::new(installed)];
    assert_eq!(world.answer(), "1.0.0");
}
