//! What readers of bundles and catalogs rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_push_string,
    reason = "tests"
)]

use olm_yaml::{Limits, YamlError, documents, from_slice, to_string};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

fn all(text: &str) -> Result<Vec<Value>, YamlError> {
    documents(text.as_bytes(), &Limits::default())
        .map(|read| read.map(|doc| doc.value))
        .collect()
}

fn one(text: &str) -> Value {
    let mut values = all(text).unwrap();
    assert_eq!(values.len(), 1, "{text:?}");
    values.remove(0)
}

#[rstest]
#[case("a: yes", json!({"a": true}))]
#[case("a: 'yes'", json!({"a": "yes"}))]
#[case("a: \"yes\"", json!({"a": "yes"}))]
#[case("a: !!str yes", json!({"a": "yes"}))]
#[case("a: &x !!str yes", json!({"a": "yes"}))]
#[case("a: &x yes\nb: *x", json!({"a": true, "b": true}))]
#[case("[y, 'n', no, On, oFF]", json!([true, "n", false, true, "oFF"]))]
#[case("[a,yes,{b: on}]", json!(["a", true, {"b": true}]))]
#[case("a: |-\n  yes", json!({"a": "yes"}))]
#[case("- yes", json!([true]))]
#[case("ü: é\nb: yes\nc: 'yes'", json!({"ü": "é", "b": true, "c": "yes"}))]
#[case("y: 1\nyes: 2", json!({"true": 2}))]
#[case("'y': 1", json!({"y": 1}))]
#[case("1: a\n1.5: b\nfalse: c", json!({"1": "a", "1.5": "b", "false": "c"}))]
#[case("[0644, -010, 089, '0644', 0o17, 0x1F, 0b11]", json!([420, -8, 89, "0644", 15, 31, 3]))]
#[case("[1_000, 1_0a, _1]", json!([1000, "1_0a", "_1"]))]
#[case("[1.0, 1.5, 1e3, 18446744073709551615]", json!([1, 1.5, 1000, u64::MAX]))]
#[case("[18446744073709551616]", json!([1.844_674_407_370_955_2e19]))]
#[case("[~, null, '', .inf, ]", json!([null, null, "", null]))]
#[case("a: 2001-01-01", json!({"a": "2001-01-01"}))]
#[case("a: 1\na: 2", json!({"a": 2}))]
#[case("{\"a\": 1, \"a\": 2}", json!({"a": 2}))]
#[case("a: 'x\ny'\n", json!({"a": "x y"}))]
#[case("\u{feff}a: 1\r\nb: |\r\n  x\r\n", json!({"a": 1, "b": "x\n"}))]
#[case("a: '{{ .Values.x }}'", json!({"a": "{{ .Values.x }}"}))]
fn a_scalar_or_key_means_what_go_reads(#[case] text: &str, #[case] value: Value) {
    assert_eq!(one(text), value);
}

#[rstest]
#[case::json(r#"{"a":999999999999999999999999999999999999999999999991}"#)]
#[case::yaml("a: 999999999999999999999999999999999999999999999991")]
fn a_number_is_the_nearest_that_there_is(#[case] text: &str) {
    assert_eq!(one(text)["a"].to_string(), "1e+48");
}

#[rstest]
#[case("m: &m {a: 1, b: 2}\nx:\n  <<: *m\n  b: 3", json!({"a": 1, "b": 3}))]
#[case("m: &m {a: 1, b: 2}\nx:\n  b: 3\n  <<: *m", json!({"a": 1, "b": 3}))]
#[case("m: &m {a: 1, b: 2}\nx:\n  !!merge <<: *m\n  b: 3", json!({"a": 1, "b": 3}))]
#[case("m: [&m {a: 1}, &n {a: 2, b: 2}]\nx:\n  <<: [*m, *n]", json!({"a": 1, "b": 2}))]
#[case("x:\n  '<<': 1", json!({"<<": 1}))]
fn merge_keys_fill_in_what_is_missing(#[case] text: &str, #[case] value: Value) {
    assert_eq!(one(text)["x"], value);
}

#[rstest]
#[case("", &[])]
#[case("---\n---\n# nothing\n---\n", &[])]
#[case("a: 1\n--- # next\nb: 2\n---\n", &[(1, "a"), (3, "b")])]
#[case("---\n\na: 1\n...\nignored: 1\n---\r\nb: 2", &[(3, "a"), (7, "b")])]
#[case("{\"a\": 1}\n\n{\"b\": 1}{\"c\": 1}\n", &[(1, "a"), (3, "b"), (3, "c")])]
#[case(" \n{\"a\": 1}\n---\n{\"b\": 1}\n---\nc: 2", &[(2, "a"), (4, "b"), (6, "c")])]
#[case("{a: 1}\n---\nb: 2", &[(1, "a"), (3, "b")])]
#[case("{\"a\": 1}\n{\"b\": 1}\n{\"c\": 1}\n---\nd: 1", &[(1, "a"), (2, "b"), (3, "c"), (5, "d")])]
fn streams_are_split_and_empty_documents_skipped(
    #[case] text: &str,
    #[case] expected: &[(usize, &str)],
) {
    let read: Vec<_> = documents(text.as_bytes(), &Limits::default())
        .map(|doc| doc.unwrap())
        .collect();
    let lines: Vec<_> = read
        .iter()
        .map(|doc| {
            (
                doc.line,
                doc.value
                    .as_object()
                    .unwrap()
                    .keys()
                    .next()
                    .unwrap()
                    .as_str(),
            )
        })
        .collect();
    assert_eq!(lines, expected);
    assert!(read.iter().enumerate().all(|(at, doc)| doc.index == at));
}

#[rstest]
#[case("a: 1\n--- !tag\n", "invalid Yaml document separator: !tag")]
#[case(
    "-----BEGIN X-----\n",
    "invalid Yaml document separator: --BEGIN X-----"
)]
#[case("a: 1\n---\nb: [", "document 1 (line 4) is not valid YAML")]
#[case("a: !custom x", "document 0 (line 1) is not valid YAML")]
#[case("a: *unknown", "document 0 (line 1) is not valid YAML")]
#[case("x:\n  <<: 1", "document 0 (line 2) is not valid YAML")]
#[case(
    "{\"a\": 1}\n{\"b\": 1}\n{\"c\" 1}",
    "document 2 (line 3) is not valid JSON"
)]
#[case("{\"a\": ", "document 0 (line 1) is not valid JSON")]
#[case("a: \u{1}", "document 0 (line 1) is not valid YAML")]
fn what_cannot_be_read_is_named(#[case] text: &str, #[case] message: &str) {
    assert_eq!(all(text).unwrap_err().to_string(), message);
}

#[test]
fn aliases_cannot_inflate_a_document() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let previous = format!("*a{}", level - 1);
        bomb.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            vec![previous; 9].join(", ")
        ));
    }
    assert!(matches!(all(&bomb), Err(YamlError::Yaml { .. })));
    let long = format!(
        "a: &a {}\nb: [{}]",
        "x".repeat(100_000),
        vec!["*a"; 1000].join(", ")
    );
    assert!(matches!(all(&long), Err(YamlError::Yaml { .. })));
    assert!(matches!(all("a: &a [*a]"), Err(YamlError::Yaml { .. })));
}

#[test]
fn what_one_stream_leaves_of_the_expansion_can_be_given_to_the_next() {
    let limits = Limits {
        max_expansion: 1000,
        ..Limits::default()
    };
    let left = |text: &str| {
        let mut stream = documents(text.as_bytes(), &limits);
        assert!(stream.by_ref().all(|read| read.is_ok()), "{text}");
        stream.expansion_left()
    };
    assert_eq!(
        left("a: [1, 2, 3]\n---\n{\"b\": [4, 5]}\n---\nc: é\n"),
        1000
    );
    let nodes = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\nb: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]";
    assert!((940..970).contains(&left(nodes)), "{}", left(nodes));
    let text = format!("a: &a {}\nb: [{}]", "x".repeat(1000), ["*a"; 20].join(", "));
    assert!((680..740).contains(&left(&text)), "{}", left(&text));
}

#[test]
fn limits_hold_for_both_languages() {
    let limits = Limits {
        max_bytes: 40,
        max_depth: 2,
        max_documents: 2,
        ..Limits::default()
    };
    let read = |text: &str| documents(text.as_bytes(), &limits).collect::<Result<Vec<_>, _>>();
    assert!(read("{\"a\": [1]}\n{\"a\": 2}").is_ok());
    assert!(read("a: [1]\n---\nb: 2").is_ok());
    for text in ["{\"a\": [[1]]}", "a: [[1]]"] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in ["{}{}{}", "a: 1\n---\nb: 1\n---\nc: 1"] {
        assert!(
            matches!(read(text), Err(YamlError::TooManyDocuments { limit: 2 })),
            "{text}"
        );
    }
    assert!(matches!(
        read(&" ".repeat(41)),
        Err(YamlError::TooLarge {
            size: 41,
            limit: 40
        })
    ));
    for deep in [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        "- ".repeat(10_000),
    ] {
        assert!(all(&deep).is_err());
    }
}

#[test]
fn one_document_is_read_into_a_type() {
    #[derive(serde::Deserialize)]
    struct Mode {
        mode: u32,
    }
    assert_eq!(
        from_slice::<Mode>(b"mode: 0644", &Limits::default())
            .unwrap()
            .mode,
        420
    );
    assert_eq!(
        from_slice::<Option<u8>>(b"# empty", &Limits::default()).unwrap(),
        None
    );
    assert!(matches!(
        from_slice::<Mode>(b"mode: x", &Limits::default()),
        Err(YamlError::Shape { .. })
    ));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6)
            .prop_filter("fraction", |f: &f64| f.fract() != 0.0)
            .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[ -~\n]{0,12}".prop_map(Value::from),
        "y|Y|n|yes|No|ON|off|0644|1_000|<<|~|null|089|-07|\\+1|1e3|0x1|0o7".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z0-9]{0,4}|yes|y|<<|0644", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn yaml_is_written_as_people_write_it() {
    let value = json!({
        "kind": "Service", "yes": "yes", "text": "a\nb\n", "short": "a\nb", "none": null,
        "list": [1, "1", [], {"a": {}, "b": [true]}, ["x", "y"]], "path": "/a/b.c: d",
    });
    let text = "kind: Service\nlist:\n- 1\n- \"1\"\n- []\n- a: {}\n  b:\n  - true\n- - x\n  - \"y\"\n\
                none: null\npath: \"/a/b.c: d\"\nshort: |-\n  a\n  b\ntext: |\n  a\n  b\n\"yes\": \"yes\"\n";
    assert_eq!(to_string(&value).unwrap(), text);
    assert_eq!(to_string(&json!("x")).unwrap(), "x\n");
}

/// What holds for every stream, whatever its bytes: documents are counted from 0, stand in order on
/// lines of the stream, are not null, and can be written; an error ends it.
fn check_stream(bytes: &[u8]) -> Result<(), TestCaseError> {
    let lines = bytes.split(|byte| *byte == b'\n').count();
    let mut stream = documents(bytes, &Limits::default());
    let (mut count, mut at) = (0, 1);
    while let Some(read) = stream.next() {
        let Ok(document) = read else {
            prop_assert!(stream.next().is_none(), "something was read after an error");
            break;
        };
        prop_assert_eq!(document.index, count);
        prop_assert!(
            (at..=lines).contains(&document.line),
            "line {}",
            document.line
        );
        prop_assert!(!document.value.is_null());
        let text = to_string(&document.value).unwrap();
        let again: Value = from_slice(text.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(again, document.value);
        (count, at) = (count + 1, document.line);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_read_back(value in values()) {
        let text = to_string(&value).unwrap();
        prop_assert_eq!(from_slice::<Value>(text.as_bytes(), &Limits::default()).unwrap(), value);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_stream(&bytes)?;
    }

    #[test]
    fn any_yaml_like_text_is_read_or_refused(text in "[-a&*!<>|: \\n\\[\\]{},'\"#?%.0]{0,60}") {
        check_stream(text.as_bytes())?;
    }
}

#[rstest]
#[case::mappings("{a: ".repeat(200_000))]
#[case::sequences("[".repeat(200_000))]
#[case::entries("- ".repeat(200_000))]
#[case::keys("? ".repeat(200_000))]
fn nesting_without_end_is_refused_before_it_is_parsed(#[case] text: String) {
    let refused = all(&text).unwrap_err();
    assert!(matches!(refused, YamlError::TooDeep { .. }), "{refused}");
}

#[test]
fn brackets_and_dashes_in_text_are_no_nesting() {
    let text = format!("a: |\n  {}\n  {}\n", "{[".repeat(500), "-".repeat(500));
    assert_eq!(one(&text)["a"].as_str().map(str::len), Some(1502));
}
