#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn by_the_parser(text: &str) -> Option<Meta> {
    let value = olm_yaml::part(text.as_bytes(), &olm_yaml::Limits::default());
    Meta::from_value(&value.ok()??).ok()
}

fn read(text: &str) -> Option<Meta> {
    meta(&mut Rewriter::default(), text.as_bytes())
}

#[rstest]
#[case::fields("schema: olm.bundle\nname: p.v1\npackage: 'p'\n")]
#[case::order_and_empty_lines("\nb: 1\n\na:\n  d: x\n\n  c: y\n  \n")]
#[case::equal_keys_inside("a:\n  b: 1\n  c: 2\n  b: 3\n")]
#[case::sequences(
    "a:\n- x\n- w: 1\n  z:\n  - 1\n  -\n  - 2\n-\n  k: v\nb:\n  - q\n  -   r: s\n      t: u\n"
)]
#[case::nothing("a:\nb: \nc: ~\nd: null\ne: {}\nf: []  \n")]
#[case::words("a: yes\nb: No\nc: TRUE\nd: yEs\ne: on\nf: y\ng: NULL\nh: nope\n")]
#[case::numbers(
    "a: 1\nb: -7\nc: 0\nd: -0\ne: 1.0\nf: 1e3\ng: 0x1F\nh: 0644\ni: 1_000\nj: 123456789012345678\nk: .5\nl: +1\n"
)]
#[case::near_numbers(
    "a: 1.2.3\nb: 2024-01-01T00:00:00Z\nc: 10Gi\nd: -x\ne: 1:30\nf: .inf\ng: 09\n"
)]
#[case::plain(
    "a: http://x/y?z=1#f\nb: a:b\nc: it's \"x\" [y] {z}, &w *v !u\nd: (x)\ne: $x\nf: a - b\ng: <<\nh: /x\n"
)]
#[case::plain_lines("a: one\n  two\n\n  three\n\n\n  - four\nb: 1\n  2\nc:\n- x\n  y\n- z\n")]
#[case::single("a: 'x'\nb: ''\nc: 'it''s'\nd: ' x\n  y  \n\n  z '\ne: '\\n'\n'f g': 1\n\"h\": 2\n")]
#[case::double(
    "a: \"x\\ty\\\"\\\\\\/\\u00e9\\u0007\"\nb: \"x\n  y \\\n  z\\  \n  w\"\nc: \"\\ \\b\\f\\r\"\nd: \"a\n\n  b\"\n"
)]
#[case::literal(
    "a: |\n  x\n    y\n\n  z\nb: |-\n  x\n\n\nc: |+\n  x\n\nd: |2\n    x\n  y\ne: |-\n\n  x\n"
)]
#[case::literal_at_the_end("a:\n- |\n  x: 1 # y\n\t\n  \t z\n- b: |-\n    k\n    \"q\\\"\n")]
#[case::unicode("a: é – “x”\nc:\n  'é': \u{1f600}\nb: |\n  ü\n")]
fn what_is_read_here_is_what_the_parser_reads(#[case] text: &str) {
    assert_eq!(read(text), by_the_parser(text));
}

#[rstest]
#[case("schema: olm.bundle\nname: p.v1\npackage: 'p'\n")]
#[case("a: one\n  two\n\n  three\nb: \"x\n  y\"\nc: 'x\n  y'\n")]
#[case("a:\n- |-\n  [\n    {}\n  ]\n- b: '>=1.0.0 <2.0.0'\n  c: 1.2.3\n")]
#[case("a:\n  b:\n    c: true\n    d: 5\n  e: x\n")]
fn what_tools_write_is_read_here(#[case] text: &str) {
    assert!(read(text).is_some());
}

#[rstest]
#[case::no_line_end("a: 1")]
#[case::comment("a: 1 # x\n")]
#[case::comment_line("# x\na: 1\n")]
#[case::comment_in_plain_text("a: x\n  # y\n")]
#[case::anchor("a: &x 1\n")]
#[case::alias("a: *x\n")]
#[case::tag("a: !!str 1\n")]
#[case::flow("a: {b: 1}\n")]
#[case::folded("a: >\n  x\n")]
#[case::merge("<<: x\n")]
#[case::tab("a:\tx\n")]
#[case::tab_in_plain_text("a: x\ty\n")]
#[case::carriage_return("a: 1\r\n")]
#[case::control("a: \u{7}\n")]
#[case::separator("a: x\u{2028}y\n")]
#[case::next_line("a: x\u{85}y\n")]
#[case::key_that_is_a_word("on: 1\n")]
#[case::key_that_is_a_number("1: 1\n")]
#[case::key_with_a_blank("a b: 1\n")]
#[case::equal_keys("a: 1\na: 2\n")]
#[case::not_a_mapping("- 1\n")]
#[case::indented("  a: 1\n")]
#[case::scalar_on_a_line_of_its_own("a:\n  b\n")]
#[case::two_colons("a: b: c\n")]
#[case::nested_sequences("a:\n- - b\n")]
#[case::entry_behind_a_key("a: - b\n")]
#[case::dash_alone("a: -\n")]
#[case::wrong_indentation("a:\n    b: 1\n  c: 2\n")]
#[case::name_that_is_a_number("name: 1.0\n")]
#[case::quoted_and_more("a: 'b' c\n")]
#[case::open_quote("a: 'b\n")]
#[case::open_quote_before_a_key("a: 'b\nc: d'\n")]
#[case::ends("a: 1\n...\n")]
#[case::deep_literal("a: |\n   \n  x\n")]
fn what_is_out_of_the_ordinary_is_left_to_the_parser(#[case] text: &str) {
    assert_eq!(read(text), None);
}

#[test]
fn nesting_without_end_is_left_to_the_parser() {
    let nested: String = (0..5_000)
        .flat_map(|depth| [" ".repeat(depth), "a:\n".to_owned()])
        .collect();
    assert_eq!(read(&nested), None);
    assert_eq!(read(&format!("a:\n{}\n", "- ".repeat(5_000))), None);
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-zA-Z0-9 .:#'\"\\\\/{}<>=&*!|%@-]{0,12}".prop_map(Into::into),
        "([a-z #:'\"]{0,9}\n){0,4}[a-z ]{0,5}".prop_map(Into::into),
        "\\PC{0,9}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map("[a-cA-C./_-]{1,4}|yes|x y", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a: ",
        "b: ",
        "c:\n",
        "name: ",
        "- ",
        "-\n",
        "- d: ",
        "  ",
        " ",
        "\n",
        "\n\n",
        "x",
        "y z",
        "1",
        "1.5",
        "-2",
        "no",
        "~",
        "'",
        "''",
        "'q'",
        "\"",
        "\"q\"",
        "\\",
        "\\n",
        "\\\n",
        "|",
        "|-\n",
        "|+\n",
        "|2\n",
        ">\n",
        ":",
        " #",
        "#",
        "{}",
        "[]",
        "{",
        "]",
        "&",
        "*",
        "!",
        "?",
        "? ",
        "%",
        "...",
        "é",
        "\t",
        "  e: f\n",
        "  - g\n",
        "    h\n",
        "i: j\n",
        "k: |\n  l\n",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_from_any_document_is_read_as_the_parser_reads_it(
        value in prop::collection::hash_map("[a-z]{1,6}|schema|name", value(), 0..6),
    ) {
        let text = olm_yaml::to_string(&value).unwrap();
        if let Some(read) = read(&text) {
            prop_assert_eq!(Some(read), by_the_parser(&text), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_as_the_parser_reads_it_or_not_at_all(
        pieces in prop::collection::vec(piece(), 0..14),
    ) {
        let text = format!("{}\n", pieces.concat());
        if let Some(read) = read(&text) {
            prop_assert_eq!(Some(read), by_the_parser(&text), "{}", text);
        }
    }
}
