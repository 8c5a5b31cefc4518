//! From documents to the model: every finding by its text, and everything that is fine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod fixture;

use fixture::{
    HEX, bundle, channel, deprecations, package, package_property, related, released, valid, with,
};
use olm_fbc::config::{Bundle, Config, Property};
use olm_fbc::load::Loaded;
use olm_fbc::model::Level;
use rstest::rstest;
use serde_json::json;

/// What the reference shows: the first error, or else the tree.
fn first(config: Config, level: Level) -> String {
    let loaded = Loaded {
        config,
        ..Loaded::default()
    };
    let (_, findings) = loaded.validate(level);
    match (findings.conversion.first(), findings.model) {
        (Some(error), _) => error.to_string(),
        (None, Some(tree)) => tree.to_string(),
        (None, None) => String::new(),
    }
}

fn properties(properties: Vec<Property>) -> Config {
    with(|config| config.bundles[0].properties = properties)
}

#[rstest]
#[case::package_without_name(
    with(|c| c.packages[0].name = String::new()),
    "config contains package with no name"
)]
#[case::duplicate_package(
    with(|c| c.packages.push(package("foo", "alpha"))),
    "duplicate package \"foo\""
)]
#[case::package_name_with_dots(
    with(|c| c.packages[0].name = "foo.bar".to_owned()),
    "invalid package name \"foo.bar\": [must not contain dots]"
)]
#[case::package_name_too_long(
    with(|c| c.packages[0].name = "a".repeat(64)),
    &format!("invalid package name \"{}\": [must be no more than 63 characters]", "a".repeat(64))
)]
#[case::package_name_in_capitals(
    with(|c| c.packages[0].name = "Foo".to_owned()),
    "invalid package name \"Foo\": [a lowercase RFC 1123 label must consist of lower case \
     alphanumeric characters or '-', and must start and end with an alphanumeric character \
     (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')]"
)]
#[case::channel_of_unknown_package(
    with(|c| c.channels[0].package = "non-existent".to_owned()),
    "unknown package \"non-existent\" for channel \"alpha\""
)]
#[case::channel_without_package(
    with(|c| c.channels[0].package = String::new()),
    "unknown package \"\" for channel \"alpha\""
)]
#[case::channel_without_name(
    with(|c| c.channels[0].name = String::new()),
    "package \"foo\" contains channel with no name"
)]
#[case::duplicate_channel(
    with(|c| c.channels.push(channel("foo", "alpha", &["foo.v0.1.0"]))),
    "package \"foo\" has duplicate channel \"alpha\""
)]
#[case::duplicate_entry(
    with(|c| c.channels[0] = channel("foo", "alpha", &["foo.v0.1.0", "foo.v0.1.0"])),
    "invalid package \"foo\", channel \"alpha\": duplicate entry \"foo.v0.1.0\""
)]
#[case::bundle_without_package(
    with(|c| c.bundles[0].package = String::new()),
    "package name must be set for bundle \"foo.v0.1.0\""
)]
#[case::bundle_of_unknown_package(
    with(|c| c.bundles = vec![bundle("bar", "0.1.0")]),
    "unknown package \"bar\" for bundle \"bar.v0.1.0\""
)]
#[case::duplicate_bundle(
    with(|c| c.bundles.push(bundle("foo", "0.1.0"))),
    "package \"foo\" has duplicate bundle \"foo.v0.1.0\""
)]
#[case::property_without_value(
    properties(vec![
        package_property("foo", "0.1.0"),
        Property { type_: "olm.foo".to_owned(), value: None },
    ]),
    "parse properties for bundle \"foo.v0.1.0\": parse property[1] of type \"olm.foo\": \
     unexpected end of JSON input"
)]
#[case::property_of_another_shape(
    properties(vec![Property::new("olm.package", &json!({"packageName": "foo", "version": 1.0}))]),
    "parse properties for bundle \"foo.v0.1.0\": parse property[0] of type \"olm.package\": \
     version: invalid type: integer `1`, expected a string"
)]
#[case::no_package_property(
    properties(Vec::new()),
    "package \"foo\" bundle \"foo.v0.1.0\" must have exactly 1 \"olm.package\" property, found 0"
)]
#[case::two_package_properties(
    properties(vec![package_property("foo", "0.1.0"), package_property("foo", "0.1.0")]),
    "package \"foo\" bundle \"foo.v0.1.0\" must have exactly 1 \"olm.package\" property, found 2"
)]
#[case::another_package_in_the_property(
    properties(vec![package_property("foooperator", "0.1.0")]),
    "package \"foo\" does not match \"olm.package\" property \"foooperator\""
)]
#[case::image_of_an_unknown_digest(
    with(|c| c.bundles[0].image = format!("quay.io/a/b@ssha256:{HEX}")),
    &format!(
        "package \"foo\" bundle \"foo.v0.1.0\" image: invalid image pull spec \
         \"quay.io/a/b@ssha256:{HEX}\": its digest must begin with `sha256:`, `sha384:` or `sha512:`"
    )
)]
#[case::related_image_of_an_unknown_digest(
    with(|c| c.bundles[0].related_images = vec![related("quay.io/a"), related(""),
        related("quay.io/a/b@md5:d41d8cd98f00b204e9800998ecf8427e")]),
    "package \"foo\" bundle \"foo.v0.1.0\" relatedImages[2].image: invalid image pull spec \
     \"quay.io/a/b@md5:d41d8cd98f00b204e9800998ecf8427e\": its digest must begin with `sha256:`, \
     `sha384:` or `sha512:`"
)]
#[case::version_of_four_parts(
    properties(vec![package_property("foo", "0.1.0.1")]),
    "error parsing bundle \"foo.v0.1.0\" version \"0.1.0.1\": Invalid character(s) found in patch \
     number \"0.1\""
)]
#[case::empty_version(
    properties(vec![package_property("foo", "")]),
    "error parsing bundle \"foo.v0.1.0\" version \"\": Version string empty"
)]
#[case::release_of_other_characters(
    properties(vec![released("foo", "0.1.0", "!!!")]),
    "error parsing bundle \"foo.v0.1.0\" release version \"!!!\": invalid release \"!!!\": segment \
     0: Invalid character(s) found in prerelease \"!!!\""
)]
#[case::release_with_a_plus(
    properties(vec![released("foo", "0.1.0", "a.1+2")]),
    "error parsing bundle \"foo.v0.1.0\" release version \"a.1+2\": invalid release \"a.1+2\": \
     segment 1: Invalid character(s) found in prerelease \"1+2\""
)]
#[case::release_too_long(
    properties(vec![released("foo", "0.1.0", "123456789012345678901")]),
    "error parsing bundle \"foo.v0.1.0\" release version \"123456789012345678901\": invalid release \
     \"123456789012345678901\": exceeds maximum length of 20 characters"
)]
#[case::bundle_in_no_channel(
    with(|c| c.bundles.push(bundle("foo", "0.2.0"))),
    "package \"foo\", bundle \"foo.v0.2.0\" not found in any channel entries"
)]
#[case::entries_without_bundle(
    with(|c| c.channels[0] = channel("foo", "alpha", &["foo.v0.3.0", "foo.v0.1.0", "foo.v0.2.0"])),
    "no olm.bundle blobs found in package \"foo\" for olm.channel entries [foo.v0.2.0 foo.v0.3.0]"
)]
#[case::entries_without_bundle_in_a_channel_that_is_not_the_last(
    with(|c| c.channels.insert(0, channel("foo", "beta", &["foo.v0.2.0"]))),
    "no olm.bundle blobs found in package \"foo\" for olm.channel entries [foo.v0.2.0]"
)]
#[case::deprecations_without_package(
    with(|c| c.deprecations = vec![deprecations("", &[])]),
    "package name must be set for deprecation item 0"
)]
#[case::deprecations_of_unknown_package(
    with(|c| c.deprecations = vec![deprecations("nyarl", &[])]),
    "cannot apply deprecations to an unknown package \"nyarl\""
)]
#[case::several_deprecations(
    with(|c| c.deprecations = vec![deprecations("foo", &[]), deprecations("foo", &[])]),
    "expected a maximum of one deprecation per package: \"foo\""
)]
#[case::deprecation_without_schema(
    with(|c| c.deprecations = vec![deprecations("foo", &[("", "x", "m")])]),
    "schema must be set for deprecation entry [0] for package \"foo\""
)]
#[case::duplicate_deprecation(
    with(|c| c.deprecations = vec![deprecations("foo", &[
        ("olm.bundle", "foo.v0.1.0", "m"), ("olm.bundle", "foo.v0.1.0", "n")])]),
    "duplicate deprecation entry declcfg.PackageScopedReference{Schema:\"olm.bundle\", \
     Name:\"foo.v0.1.0\"} for package \"foo\""
)]
#[case::deprecated_bundle_unknown(
    with(|c| c.deprecations = vec![deprecations("foo", &[("olm.bundle", "foo.v2.0.0", "m")])]),
    "cannot deprecate bundle \"foo.v2.0.0\" for package \"foo\": bundle not found"
)]
#[case::deprecated_channel_unknown(
    with(|c| c.deprecations = vec![deprecations("foo", &[("olm.channel", "beta", "m")])]),
    "cannot deprecate channel \"beta\" for package \"foo\": channel not found"
)]
#[case::deprecated_package_with_a_name(
    with(|c| c.deprecations = vec![deprecations("foo", &[("olm.package", "x", "m")])]),
    "package name must be empty for deprecated package \"foo\" (specified \"x\")"
)]
#[case::deprecation_of_an_unknown_schema(
    with(|c| c.deprecations = vec![deprecations("foo", &[("badschema", "foo.v2.0.0", "m")])]),
    "cannot deprecate object declcfg.PackageScopedReference{Schema:\"badschema\", \
     Name:\"foo.v2.0.0\"} referenced by entry 0 for package \"foo\": object schema unknown"
)]
#[case::no_default_channel(
    with(|c| c.packages[0].default_channel = String::new()),
    "invalid index:\n└── invalid package \"foo\":\n    └── default channel must be set"
)]
#[case::default_channel_without_bundles(
    Config {
        packages: vec![package("foo", "bar")],
        channels: vec![channel("foo", "bar", &[])],
        ..Config::default()
    },
    "invalid index:\n└── invalid package \"foo\":\n    └── invalid channel \"bar\":\n        \
     └── channel must contain at least one bundle"
)]
#[case::default_channel_that_is_not_there(
    with(|c| c.packages[0].default_channel = "bar".to_owned()),
    "invalid index:\n└── invalid package \"foo\":\n    └── invalid channel \"bar\":\n        \
     └── channel must contain at least one bundle"
)]
#[case::release_with_another_name(
    properties(vec![released("foo", "0.1.0", "alpha.1")]),
    "invalid index:\n└── invalid package \"foo\":\n    └── invalid channel \"alpha\":\n        \
     └── invalid bundle \"foo.v0.1.0\":\n            \
     └── name \"foo.v0.1.0\" does not match normalized name \"foo-v0.1.0-alpha.1\""
)]
#[case::release_and_build_metadata(
    with(|c| {
        let name = "foo.v0.1.0+alpha.1.0.0-0.0.1";
        c.channels[0] = channel("foo", "alpha", &[name]);
        c.bundles[0].name = name.to_owned();
        c.bundles[0].properties = vec![released("foo", "0.1.0+alpha.1.0.0", "0.0.1")];
    }),
    "invalid index:\n└── invalid package \"foo\":\n    └── invalid channel \"alpha\":\n        \
     └── invalid bundle \"foo.v0.1.0+alpha.1.0.0-0.0.1\":\n            \
     ├── name \"foo.v0.1.0+alpha.1.0.0-0.0.1\" does not match normalized name \
     \"foo-v0.1.0+alpha.1.0.0-0.0.1\"\n            \
     └── cannot use build metadata in version with a release version"
)]
#[case::empty_deprecation_message(
    with(|c| c.deprecations = vec![deprecations("foo", &[
        ("olm.package", "", ""), ("olm.channel", "alpha", ""), ("olm.bundle", "foo.v0.1.0", "")])]),
    "invalid index:\n└── invalid package \"foo\":\n    \
     ├── invalid channel \"alpha\":\n    \
     │   ├── invalid bundle \"foo.v0.1.0\":\n    \
     │   │   └── invalid deprecation: message must be set\n    \
     │   └── invalid deprecation: message must be set\n    \
     └── invalid deprecation: message must be set"
)]
fn what_makes_no_sense_is_named(#[case] config: Config, #[case] text: &str) {
    assert_eq!(first(config, Level::Current), text);
}

#[rstest]
#[case::plain(valid())]
#[case::objects_without_image(with(|c| {
    c.bundles[0].image = String::new();
    c.bundles[0].summary.objects = 1;
}))]
#[case::properties_of_package_and_channel(with(|c| {
    c.packages[0].properties = vec![Property::new("owner", &json!({"group": "abc.com"}))];
    c.channels[0].properties = vec![Property::new("user", &json!({"group": "xyz.com"}))];
}))]
#[case::digest(with(|c| c.bundles[0].image = format!("quay.io/a/b@sha256:{HEX}")))]
#[case::tag_and_digest(with(|c| c.bundles[0].image = format!("quay.io/a/b:v1@sha256:{HEX}")))]
#[case::short_name(with(|c| c.bundles[0].image = "busybox".to_owned()))]
#[case::related_images(with(|c| c.bundles[0].related_images = vec![related(""), related("b:1"),
    related(&format!("quay.io/a/b:v1@sha256:{HEX}"))]))]
#[case::release(with(|c| {
    c.channels[0] = channel("foo", "alpha", &["foo-v0.1.0-alpha.1"]);
    c.bundles[0].name = "foo-v0.1.0-alpha.1".to_owned();
    c.bundles[0].properties = vec![released("foo", "0.1.0", "alpha.1")];
}))]
#[case::deprecations(with(|c| c.deprecations = vec![deprecations("foo", &[
    ("olm.package", "", "m"), ("olm.channel", "alpha", "m"), ("olm.bundle", "foo.v0.1.0", "m")])]))]
#[case::names_in_other_cases_of_property_values(with(|c| c.bundles[0].properties =
    vec![Property::new("olm.package", &json!({"PackageName": "foo", "VERSION": "0.1.0"}))]))]
#[case::unknown_properties(with(|c| c.bundles[0].properties.extend([
    Property::new("search.skip", &json!(true)), Property::new("olm.constraint", &json!(null))])))]
#[case::an_icon_that_is_none(with(|c| c.packages[0].icon = Some(olm_fbc::config::Icon {
    data: "e30=".to_owned(), media_type: "image/png".to_owned() })))]
fn what_is_fine_passes(#[case] config: Config) {
    assert_eq!(first(config, Level::Current), "");
}

#[rstest]
#[case::package_name(with(|c| {
    c.packages[0].name = "foo.bar".to_owned();
    c.channels[0].package = "foo.bar".to_owned();
    c.bundles[0] = Bundle { name: "foo.v0.1.0".to_owned(), ..bundle("foo.bar", "0.1.0") };
}))]
#[case::image(with(|c| c.bundles[0].image = "quay.io/a@md5:1".to_owned()))]
#[case::related_image(with(|c| c.bundles[0].related_images = vec![related("A B")]))]
#[case::release(properties(vec![released("foo", "0.1.0", "!!!")]))]
#[case::one_version_twice(with(|c| {
    c.channels[0].entries[0].replaces = Some("foo.v0.1.0-again".to_owned());
    c.channels[0].entries.push(fixture::entry("foo.v0.1.0-again", "", &[], ""));
    let name = "foo.v0.1.0-again".to_owned();
    c.bundles.push(Bundle { name, ..bundle("foo", "0.1.0") });
}))]
#[case::range(with(|c| c.channels[0].entries[0].skip_range = Some(">v1".to_owned())))]
fn the_old_level_does_without_some_checks(#[case] config: Config) {
    assert_ne!(first(config.clone(), Level::Current), "");
    assert_eq!(first(config, Level::R34), "");
}

#[test]
fn all_findings_are_shown_and_good_packages_are_not_hidden() {
    let mut config = valid();
    config.bundles[0].properties = Vec::new();
    config.bundles.push(bundle("foo", "0.2.0"));
    config
        .packages
        .extend([package("bar", ""), package("good", "stable")]);
    config.channels.push(channel("bar", "c", &["bar.v1.0.0"]));
    config
        .channels
        .push(channel("good", "stable", &["good.v1.0.0"]));
    config
        .bundles
        .extend([bundle("bar", "1.0.0"), bundle("good", "1.0.0")]);
    let loaded = Loaded {
        config,
        ..Loaded::default()
    };
    let (model, findings) = loaded.validate(Level::Current);
    assert_eq!(
        findings.to_string(),
        "package \"foo\" bundle \"foo.v0.1.0\" must have exactly 1 \"olm.package\" property, found 0\n\
         package \"foo\", bundle \"foo.v0.2.0\" not found in any channel entries\n\
         invalid index:\n└── invalid package \"bar\":\n    └── default channel must be set"
    );
    assert_eq!(model.packages["good"].bundles.len(), 1);
}
