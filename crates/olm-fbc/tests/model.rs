//! The checks of a model and of its graphs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod fixture;

use std::collections::BTreeMap;

use fixture::{bundle, entry, valid};
use olm_fbc::convert::Conversion;
use olm_fbc::graph::{ChannelGraph, EdgeKind, GraphError};
use olm_fbc::model::{Bundle, Level, Model, Package};
use olm_fbc::schema::ChannelEntry;
use olm_semver::Version;
use rstest::rstest;

fn model() -> Model {
    let conversion = Conversion::of(valid(), Level::Current);
    assert!(conversion.errors.is_empty());
    conversion.model
}

/// The leaf of the tree, and its parents.
fn lines(model: &Model) -> Vec<String> {
    let tree = model.check(Level::Current).err();
    let text = tree.map(|tree| tree.to_string()).unwrap_or_default();
    let bare = |line: &str| {
        line.trim_start_matches(['│', '├', '└', '─', ' '])
            .to_owned()
    };
    text.lines().map(bare).collect()
}

fn changed(change: impl FnOnce(&mut Package)) -> Model {
    let mut model = model();
    change(model.packages.get_mut("foo").unwrap());
    model
}

fn first_entry(package: &mut Package) -> &mut ChannelEntry {
    let channel = package.channels.get_mut("alpha").unwrap();
    channel.entries.get_mut("foo.v0.1.0").unwrap()
}

fn first_bundle(package: &mut Package) -> &mut Bundle {
    package.bundles.get_mut("foo.v0.1.0").unwrap()
}

#[rstest]
#[case::package_key(
    {
        let mut model = model();
        let package = model.packages.remove("foo").unwrap();
        model.packages.insert("bar".to_owned(), package);
        model
    },
    "package key \"bar\" does not match package name \"foo\""
)]
#[case::package_name(changed(|p| p.name = String::new()), "package name must not be empty")]
#[case::no_default_channel(changed(|p| p.default_channel = None), "default channel must be set")]
#[case::no_channels(
    changed(|p| p.channels.clear()),
    "package must contain at least one channel"
)]
#[case::channel_key(
    changed(|p| p.channels.get_mut("alpha").unwrap().name = "light".to_owned()),
    "channel key \"alpha\" does not match channel name \"light\""
)]
#[case::channel_name(
    changed(|p| p.channels.get_mut("alpha").unwrap().name = String::new()),
    "channel name must not be empty"
)]
#[case::default_channel(
    changed(|p| p.default_channel = Some("not-found".to_owned())),
    "default channel \"not-found\" not found in channels list"
)]
#[case::bundle_key(
    changed(|p| first_entry(p).name = "bar".to_owned()),
    "bundle key \"foo.v0.1.0\" does not match bundle name \"bar\""
)]
#[case::bundle_name(changed(|p| first_entry(p).name = String::new()), "name must be set")]
#[case::empty_skip(
    changed(|p| first_entry(p).skips = vec!["a".to_owned(), String::new()]),
    "skip[1] is empty"
)]
#[case::range_with_a_letter(
    changed(|p| first_entry(p).skip_range = Some(">v0.1.0".to_owned())),
    "invalid skipRange \">v0.1.0\": Could not parse Range \">v0.1.0\": Could not parse comparator \
     \">v\" in \">v0.1.0\""
)]
#[case::range_with_zeros(
    changed(|p| first_entry(p).skip_range = Some(">1.00.1".to_owned())),
    "invalid skipRange \">1.00.1\": Could not parse Range \">1.00.1\": Could not parse version \
     \"1.00.1\" in \">1.00.1\": Minor number must not contain leading zeroes \"00\""
)]
#[case::no_package_property(
    changed(|p| first_bundle(p).document.properties.clear()),
    "must be exactly one property with type \"olm.package\""
)]
#[case::broken_property(
    changed(|p| first_bundle(p).document.properties.push(olm_fbc::config::Property {
        type_: "broken".to_owned(), value: None })),
    "parse property[1] of type \"broken\": unexpected end of JSON input"
)]
#[case::no_image(
    changed(|p| first_bundle(p).document.image = String::new()),
    "bundle image must be set"
)]
#[case::no_bundle(changed(|p| p.bundles.clear()), "bundle image must be set")]
#[case::deprecation(
    changed(|p| p.deprecation = Some(String::new())),
    "invalid deprecation: message must be set"
)]
fn what_is_wrong_with_a_model_is_named(#[case] model: Model, #[case] text: &str) {
    let lines = lines(&model);
    assert!(lines.iter().any(|line| line == text), "{lines:#?}");
}

#[rstest]
#[case::plain(model())]
#[case::replaces_outside_the_channel(
    changed(|p| first_entry(p).replaces = Some("foo.v0.0.9".to_owned()))
)]
#[case::empty_range(changed(|p| first_entry(p).skip_range = Some(String::new())))]
#[case::range(changed(|p| first_entry(p).skip_range = Some(">=0.0.1 <0.1.0".to_owned())))]
#[case::skips_outside_the_channel(changed(|p| first_entry(p).skips = vec!["x".to_owned()]))]
#[case::objects_without_image(changed(|p| {
    first_bundle(p).document.image = String::new();
    first_bundle(p).document.summary.objects = 1;
}))]
fn a_fine_model_passes(#[case] model: Model) {
    assert_eq!(model.check(Level::Current), Ok(()));
}

fn versions(bundles: &[(&str, &str, &str)]) -> Vec<String> {
    let mut config = valid();
    config.channels[0].entries = Vec::new();
    config.bundles = Vec::new();
    let mut before = String::new();
    for (name, version, release) in bundles {
        config.channels[0]
            .entries
            .push(entry(name, &before, &[], ""));
        before = String::from(*name);
        let mut document = bundle("foo", version);
        document.name = String::from(*name);
        if !release.is_empty() {
            document.properties = vec![fixture::released("foo", version, release)];
        }
        config.bundles.push(document);
    }
    // One more channel with the same bundles changes nothing.
    let mut again = config.channels[0].clone();
    again.name = String::from("beta");
    config.channels.push(again);
    lines(&Conversion::of(config, Level::Current).model)
}

#[rstest]
#[case(
    &[("b", "1.0.1", ""), ("a", "0.0.1", ""), ("d", "1.0.1", ""), ("c", "0.0.1", ""), ("e", "2.0.0", "")],
    Some("[{0.0.1: [a, c]} {1.0.1: [b, d]}]")
)]
#[case(&[("a", "10.0.0", ""), ("b", "10.0.0", ""), ("c", "9.0.0", ""), ("d", "9.0.0", "")],
    Some("[{9.0.0: [c, d]} {10.0.0: [a, b]}]"))]
#[case(&[("a", "1.0.0+a", ""), ("b", "1.0.0+b", ""), ("c", "1.0.0", "")], None)]
#[case(&[("foo-v1.0.0-1", "1.0.0", "1"), ("foo-v1.0.0-2", "1.0.0", "2"), ("a", "1.0.0", "")], None)]
#[case(&[("foo-v1.0.0-1", "1.0.0", "1"), ("x", "1.0.0", "1")],
    Some("[{1.0.0-1: [foo-v1.0.0-1, x]}]"))]
fn one_version_belongs_to_one_bundle(
    #[case] bundles: &[(&str, &str, &str)],
    #[case] expected: Option<&str>,
) {
    let found = versions(bundles);
    let prefix = "duplicate versions found in bundles: ";
    let duplicates = found.iter().find_map(|line| line.strip_prefix(prefix));
    assert_eq!(duplicates, expected, "{found:#?}");
}

/// `NAME > REPLACES, SKIP, …`, one entry a line.
fn graph(text: &str) -> Vec<ChannelEntry> {
    text.split_whitespace()
        .map(|line| {
            let (name, names) = line.split_once('>').unwrap_or((line, ""));
            let mut names = names.split(',');
            let replaces = names.next().unwrap_or_default();
            let skips: Vec<&str> = names.collect();
            entry(name, replaces, &skips, "")
        })
        .collect()
}

#[rstest]
#[case::one("a", "a", "a", "a")]
#[case::chain("c>b,a b>a a", "c", "c b", "b")]
#[case::only_skips("a b>,a c>,b d>c", "d", "d c", "c")]
#[case::skipped_target_ends_the_chain("c>b,b b>a,a a", "c", "c", "c")]
#[case::outside("b>a a>zero", "b", "b a", "a")]
fn a_channel_has_a_head_a_chain_and_a_tail(
    #[case] text: &str,
    #[case] head: &str,
    #[case] chain: &str,
    #[case] tail: &str,
) {
    let entries = graph(text);
    let graph = ChannelGraph::new(&entries);
    assert_eq!(graph.head().unwrap().name, head);
    let names: Vec<&str> = graph
        .chain()
        .unwrap()
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    assert_eq!(names.join(" "), chain);
    assert_eq!(graph.tail().unwrap().name, tail);
}

#[rstest]
#[case::no_head("a>b b>a", "no channel head found in graph")]
#[case::self_reference_alone("a>a", "no channel head found in graph")]
#[case::several("a c>a,b d>a", "multiple channel heads found in graph: c, d")]
#[case::cycle_of_one_hop("4>4 5>4", "detected cycle in replaces chain of upgrade graph: 4 -> 4")]
#[case::cycle_of_three_hops(
    "1>3 2>1 3>2 4>3",
    "detected cycle in replaces chain of upgrade graph: 3 -> 2 -> 1 -> 3"
)]
#[case::stranded("1 2>1 3>,2", "channel contains one or more stranded bundles: 1")]
#[case::stranded_behind_a_skipped_one(
    "1 2>1 3>2,2",
    "channel contains one or more stranded bundles: 1"
)]
#[case::two_stranded(
    "1 0 2>1 x>0 3>,2,x",
    "channel contains one or more stranded bundles: 0, 1"
)]
fn a_broken_graph_is_described(#[case] text: &str, #[case] message: &str) {
    let entries = graph(text);
    let error: GraphError = ChannelGraph::new(&entries).check().unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn edges_come_from_skips_ranges_and_replaces() {
    let mut entries = graph("1 2>1 3>2,1,gone");
    entries[2].skip_range = Some("<2.0.0 || 3.0.0".to_owned());
    let versions: BTreeMap<&str, Version> = [("1", 1), ("2", 2), ("3", 3)]
        .map(|(name, major)| (name, Version::new(major, 0, 0)))
        .into();
    let graph = ChannelGraph::new(&entries);
    let edges: Vec<_> = graph
        .edges(|name| versions.get(name))
        .into_iter()
        .map(|edge| (edge.from, edge.kind, edge.to))
        .collect();
    assert_eq!(
        edges,
        [
            ("1", EdgeKind::Replace, "2"),
            ("1", EdgeKind::Skip, "3"),
            ("gone", EdgeKind::Skip, "3"),
            ("1", EdgeKind::SkipRange, "3"),
            ("3", EdgeKind::SkipRange, "3"),
            ("2", EdgeKind::Replace, "3"),
        ]
    );
}
