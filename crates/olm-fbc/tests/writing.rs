//! Writing documents, and drawing channels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod fixture;

use fixture::{bundle, channel, deprecations, entry, package, package_property, related};
use olm_fbc::Meta;
use olm_fbc::config::{Config, Icon, Property};
use olm_fbc::convert::Conversion;
use olm_fbc::load::{Keep, Loaded, Loader};
use olm_fbc::mermaid::{self, Options};
use olm_fbc::model::Level;
use olm_fbc::write::{self, Format};
use rstest::rstest;
use serde_json::{Value, json};

fn meta(value: &Value) -> Meta {
    Meta::from_value(value).unwrap()
}

/// Two packages with everything that a catalog may hold, in no order.
fn catalog() -> Config {
    let mut first = package("anakin", "dark");
    first.description = String::from("<b> & co");
    first.icon = Some(Icon {
        data: "PHN2Zy8+".to_owned(),
        media_type: "image/svg+xml".to_owned(),
    });
    let mut dark = channel("anakin", "dark", &[]);
    dark.entries = vec![
        entry("anakin.v0.0.1", "", &[], ""),
        entry("anakin.v0.1.0", "anakin.v0.0.1", &[], ""),
        entry(
            "anakin.v0.1.1",
            "anakin.v0.0.1",
            &["anakin.v0.1.0"],
            "<0.1.0",
        ),
    ];
    let mut light = channel("anakin", "light", &[]);
    light.entries = vec![
        entry("anakin.v0.0.1", "", &[], ""),
        entry("anakin.v0.1.0", "anakin.v0.0.1", &[], ""),
    ];
    let mut newest = bundle("anakin", "0.1.1");
    newest.related_images = vec![related("quay.io/test/anakin:v1")];
    newest.properties.insert(
        0,
        Property::new(
            "olm.gvk",
            &json!({"version": "v1", "kind": "PodRacer", "group": "g", "big": 1e21}),
        ),
    );
    Config {
        packages: vec![package("boba-fett", "mando"), first],
        channels: vec![
            light,
            dark,
            channel("boba-fett", "mando", &["boba-fett.v1.0.0"]),
        ],
        bundles: vec![
            newest,
            bundle("anakin", "0.1.0"),
            bundle("anakin", "0.0.1"),
            bundle("boba-fett", "1.0.0"),
        ],
        deprecations: vec![deprecations(
            "anakin",
            &[
                ("olm.package", "", "gone"),
                ("olm.channel", "light", "gone"),
                ("olm.bundle", "anakin.v0.0.1", "old"),
                ("olm.bundle", "anakin.v0.1.0", "old"),
            ],
        )],
        others: vec![
            meta(&json!({"schema": "custom.3", "name": "none"})),
            meta(&json!({"schema": "custom.2", "package": "boba-fett", "x": 1})),
            meta(&json!({"schema": "custom.1", "package": "boba-fett", "z": "<", "a": [1.0]})),
            meta(&json!({"schema": "custom.1"})),
        ],
    }
}

fn written(config: &Config, format: Format) -> String {
    let mut out = Vec::new();
    write::config(config, format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Schema and name, or package, of every document, in order.
fn order(text: &str, format: Format) -> Vec<String> {
    let documents: Vec<Value> = match format {
        Format::Json => serde_json::Deserializer::from_str(text)
            .into_iter()
            .map(Result::unwrap)
            .collect(),
        Format::Yaml => olm_yaml::documents(text.as_bytes(), &olm_yaml::Limits::default())
            .map(|document| document.unwrap().value)
            .collect(),
    };
    let name = |value: &Value| {
        let name = value.get("name").or_else(|| value.get("package"));
        format!(
            "{} {}",
            value["schema"].as_str().unwrap(),
            name.and_then(Value::as_str).unwrap_or_default()
        )
    };
    documents.iter().map(name).collect()
}

#[rstest]
#[case(Format::Json)]
#[case(Format::Yaml)]
fn documents_are_written_in_order(#[case] format: Format) {
    assert_eq!(
        order(&written(&catalog(), format), format),
        [
            "olm.package anakin",
            "olm.channel dark",
            "olm.channel light",
            "olm.bundle anakin.v0.0.1",
            "olm.bundle anakin.v0.1.0",
            "olm.bundle anakin.v0.1.1",
            "olm.deprecations anakin",
            "olm.package boba-fett",
            "olm.channel mando",
            "olm.bundle boba-fett.v1.0.0",
            "custom.1 boba-fett",
            "custom.2 boba-fett",
            "custom.3 none",
            "custom.1 ",
        ]
    );
}

#[test]
fn json_has_four_blanks_and_fields_in_the_order_declared() {
    let text = written(&catalog(), Format::Json);
    let package = r#"{
    "schema": "olm.package",
    "name": "anakin",
    "defaultChannel": "dark",
    "icon": {
        "base64data": "PHN2Zy8+",
        "mediatype": "image/svg+xml"
    },
    "description": "<b> & co"
}
"#;
    assert!(text.starts_with(package), "{text}");
    let entry = r#"        {
            "name": "anakin.v0.1.1",
            "replaces": "anakin.v0.0.1",
            "skips": [
                "anakin.v0.1.0"
            ],
            "skipRange": "<0.1.0"
        }
    ]
}
"#;
    assert!(text.contains(entry), "{text}");
    let bundle = r#"{
    "schema": "olm.bundle",
    "name": "anakin.v0.1.1",
    "package": "anakin",
    "image": "quay.io/test/anakin:v1",
    "properties": [
        {
            "type": "olm.gvk",
            "value": {
                "big": 1e+21,
                "group": "g",
                "kind": "PodRacer",
                "version": "v1"
            }
        },
        {
            "type": "olm.package",
            "value": {
                "packageName": "anakin",
                "version": "0.1.1"
            }
        }
    ],
    "relatedImages": [
        {
            "name": "",
            "image": "quay.io/test/anakin:v1"
        }
    ]
}
"#;
    assert!(text.contains(bundle), "{text}");
    assert!(
        text.contains("{\n    \"a\": [\n        1\n    ],\n    \"package\": \"boba-fett\",\n"),
        "{text}"
    );
    assert!(
        text.contains(
            "\"reference\": {\n                \"schema\": \"olm.package\"\n            },"
        ),
        "{text}"
    );
}

#[test]
fn yaml_has_sorted_keys_and_a_line_before_each_document() {
    let text = written(&catalog(), Format::Yaml);
    let start = "---\ndefaultChannel: dark\ndescription: \"<b> & co\"\nicon:\n  base64data: \
                 PHN2Zy8+\n  mediatype: image/svg+xml\nname: anakin\nschema: olm.package\n---\n";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(text.matches("---\n").count(), 14);
}

fn load(text: &str, keep: Keep) -> Loaded {
    let mut tree = olm_tree::MemoryTree::new();
    tree.insert("catalog", text).unwrap();
    let root = olm_tree::RelPath::root();
    let loader = Loader::new(keep, None);
    loader
        .tree(&tree, &root, &olm_fbc::Limits::default())
        .unwrap()
}

#[rstest]
#[case(Format::Json)]
#[case(Format::Yaml)]
fn what_is_written_is_read_again(#[case] format: Format) {
    let text = written(&catalog(), format);
    let loaded = load(&text, Keep::Everything);
    assert!(loaded.findings.is_empty(), "{:?}", loaded.findings);
    assert_eq!(written(&loaded.config, format), text);
}

#[test]
fn unknown_fields_survive_where_documents_are_written_as_they_are() {
    let metas = [
        meta(
            &json!({"schema": "olm.bundle", "package": "p", "name": "b", "x-own": {"b": 1, "a": 2}}),
        ),
        meta(&json!({"Schema": "olm.package", "Name": "p", "unknown": true})),
    ];
    let mut out = Vec::new();
    write::metas(&metas, Format::Yaml, &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "---\nName: p\nSchema: olm.package\nunknown: true\n\
         ---\nname: b\npackage: p\nschema: olm.bundle\nx-own:\n  a: 2\n  b: 1\n"
    );
}

#[test]
fn the_directory_form_has_a_folder_for_each_package_and_a_file_for_the_rest() {
    let files = write::files(&catalog(), Format::Yaml).unwrap();
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "catalog.yaml",
            "anakin/catalog.yaml",
            "boba-fett/catalog.yaml"
        ]
    );
    let texts: Vec<&str> = files
        .iter()
        .map(|(_, bytes)| std::str::from_utf8(bytes).unwrap())
        .collect();
    assert_eq!(
        order(texts[0], Format::Yaml),
        ["custom.3 none", "custom.1 "]
    );
    assert!(texts[1].contains("schema: olm.deprecations\n"));
    assert!(order(texts[2], Format::Yaml).contains(&"custom.2 boba-fett".to_owned()));
}

#[rstest]
#[case("../x")]
#[case("a/b")]
#[case("..")]
#[case(".")]
#[case("/a")]
fn a_package_that_is_no_path_element_gets_no_folder(#[case] name: &str) {
    let config = Config {
        packages: vec![package(name, "c")],
        ..Config::default()
    };
    assert_eq!(
        write::files(&config, Format::Json).unwrap_err().to_string(),
        format!("invalid package name {name:?}: must be a single local path element")
    );
}

#[test]
fn the_model_gives_its_documents_back() {
    let mut config = catalog();
    config.bundles[0]
        .properties
        .push(package_property("anakin", "0.1.1"));
    config.bundles[0].properties.swap(0, 1);
    config.bundles[0].properties.pop();
    let twice = config.bundles[0].properties[1].clone();
    config.bundles[0].properties.push(twice);
    config.packages[1].properties = vec![Property::new("x", &json!(1))];
    let converted = Conversion::of(config, Level::Current);
    assert!(converted.errors.is_empty(), "{:?}", converted.errors);
    let rebuilt = converted.model.to_config();
    let mut expected = catalog();
    expected.deprecations.clear();
    expected.others.clear();
    assert_eq!(
        written(&rebuilt, Format::Json),
        written(&expected, Format::Json)
    );
}

fn draw(options: &Options) -> String {
    mermaid::draw(&catalog(), options).unwrap().text
}

const HEADER: &str = r"graph LR
  classDef deprecated fill:#E8960F
  classDef skipped stroke:#FF0000,stroke-width:4px
  classDef deprecatedskipped fill:#E8960F,stroke:#FF0000,stroke-width:4px
";

const ANAKIN: &str = r#"  %% package "anakin"
  subgraph "anakin"
    %% channel "dark"
    subgraph anakin-dark["dark"]
      anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.1.0["anakin.v0.1.0"]-- skip --> anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.0.1["anakin.v0.0.1"]-- "skipRange(<0.1.0)" --> anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.0.1["anakin.v0.0.1"]-- replace --> anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.1.0["anakin.v0.1.0"]
      anakin-dark-anakin.v0.0.1["anakin.v0.0.1"]-- replace --> anakin-dark-anakin.v0.1.0["anakin.v0.1.0"]
      anakin-dark-anakin.v0.0.1["anakin.v0.0.1"]
    end
    %% channel "light"
    subgraph anakin-light["light"]
      anakin-light-anakin.v0.1.0["anakin.v0.1.0"]
      anakin-light-anakin.v0.0.1["anakin.v0.0.1"]-- replace --> anakin-light-anakin.v0.1.0["anakin.v0.1.0"]
      anakin-light-anakin.v0.0.1["anakin.v0.0.1"]
    end
  end
"#;

const BOBA: &str = r#"  %% package "boba-fett"
  subgraph "boba-fett"
    %% channel "mando"
    subgraph boba-fett-mando["mando"]
      boba-fett-mando-boba-fett.v1.0.0["boba-fett.v1.0.0"]
    end
  end
"#;

const STYLES: &str = "style anakin fill:#989695\nstyle anakin-light fill:#DCD0FF\n";

#[test]
fn channels_are_drawn() {
    let classes = "class anakin-dark-anakin.v0.0.1,anakin-dark-anakin.v0.1.0,\
                   anakin-light-anakin.v0.0.1,anakin-light-anakin.v0.1.0 deprecated\n";
    assert_eq!(
        draw(&Options::default()),
        format!("{HEADER}{ANAKIN}{BOBA}{STYLES}{classes}")
    );
}

#[test]
fn what_is_skipped_is_marked_where_old_clients_are_meant() {
    let options = Options {
        draw_v0_semantics: true,
        package: Some("anakin".to_owned()),
        ..Options::default()
    };
    let classes = "class anakin-dark-anakin.v0.0.1,anakin-light-anakin.v0.0.1,\
                   anakin-light-anakin.v0.1.0 deprecated\n\
                   class anakin-dark-anakin.v0.1.0 deprecatedskipped\n\
                   linkStyle 3 stroke:#FF0000,stroke-width:3px,stroke-dasharray:5;\n";
    assert_eq!(draw(&options), format!("{HEADER}{ANAKIN}{STYLES}{classes}"));
}

#[test]
fn only_one_package_is_drawn_where_it_is_named() {
    let options = Options {
        package: Some("boba-fett".to_owned()),
        ..Options::default()
    };
    assert_eq!(draw(&options), format!("{HEADER}{BOBA}"));
}

#[test]
fn nothing_older_than_the_minimum_edge_is_drawn() {
    let options = Options {
        minimum_edge: Some("anakin.v0.1.0".to_owned()),
        ..Options::default()
    };
    let expected = r#"  %% package "anakin"
  subgraph "anakin"
    %% channel "dark"
    subgraph anakin-dark["dark"]
      anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.1.0["anakin.v0.1.0"]-- skip --> anakin-dark-anakin.v0.1.1["anakin.v0.1.1"]
      anakin-dark-anakin.v0.1.0["anakin.v0.1.0"]
    end
    %% channel "light"
    subgraph anakin-light["light"]
      anakin-light-anakin.v0.1.0["anakin.v0.1.0"]
    end
  end
style anakin fill:#989695
style anakin-light fill:#DCD0FF
class anakin-dark-anakin.v0.1.0,anakin-light-anakin.v0.1.0 deprecated
"#;
    assert_eq!(draw(&options), format!("{HEADER}{expected}"));
}

#[test]
fn a_minimum_edge_that_is_not_there_is_an_error_and_a_bad_range_a_warning() {
    let options = Options {
        minimum_edge: Some("x".to_owned()),
        ..Options::default()
    };
    let error = mermaid::draw(&catalog(), &options).unwrap_err();
    assert_eq!(error.to_string(), "unknown minimum edge name: \"x\"");
    let mut config = catalog();
    config.channels[1].entries[2].skip_range = Some(">v1".to_owned());
    let drawing = mermaid::draw(&config, &Options::default()).unwrap();
    assert_eq!(drawing.warnings.len(), 1);
    assert!(!drawing.text.contains("skipRange"));
    config.bundles[0].properties.clear();
    assert!(mermaid::draw(&config, &Options::default()).is_err());
}
