#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::io::Cursor;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// Gives a few bytes at a time.
struct Drops<'a>(Cursor<&'a [u8]>, usize);

impl Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(self.1);
        self.0.read(&mut buffer[..room])
    }
}

fn split(text: &str, drops: usize, limit: usize) -> Result<Vec<(Kind, usize, String)>, SplitError> {
    let mut splitter = Splitter::new(Drops(Cursor::new(text.as_bytes()), drops), limit);
    let mut parts = Vec::new();
    loop {
        let mut part = Vec::new();
        match splitter.next(&mut part)? {
            Some((kind, line)) => parts.push((kind, line, String::from_utf8(part).unwrap())),
            None => return Ok(parts),
        }
    }
}

#[rstest]
#[case::nothing("", &[])]
#[case::blanks(" \n\n", &[])]
#[case::one("a: 1\n", &[(Kind::Yaml, 1, "a: 1\n")])]
#[case::leading_separator("---\na: 1", &[(Kind::Yaml, 2, "a: 1")])]
#[case::stream("\n  a: 1\n--- # x\n---\n\nb: 2\n---\n", &[
    (Kind::Yaml, 2, "  a: 1\n"), (Kind::Yaml, 4, ""), (Kind::Yaml, 6, "b: 2\n")])]
#[case::any_blank_behind_a_separator("a: 1\n---\t\u{b}\u{a0}\nb: 2\n", &[
    (Kind::Yaml, 1, "a: 1\n"), (Kind::Yaml, 3, "b: 2\n")])]
#[case::separators_alone("---\n---\n\n---\n", &[(Kind::Yaml, 2, ""), (Kind::Yaml, 4, "")])]
#[case::crlf("\u{feff}a: 1\r\n---\r\nb: 2\r\n", &[(Kind::Yaml, 1, "a: 1\r\n"), (Kind::Yaml, 3, "b: 2\r\n")])]
#[case::in_a_block_scalar("a: |\n  x\n---\n  y\n", &[(Kind::Yaml, 1, "a: |\n  x\n"), (Kind::Yaml, 4, "  y\n")])]
#[case::indented_is_none("a: |\n  ---\n ---\n", &[(Kind::Yaml, 1, "a: |\n  ---\n ---\n")])]
#[case::json("{\"a\":\"}\\\"{\"}{\"b\":[{}]}\n\n {}", &[
    (Kind::Json, 1, "{\"a\":\"}\\\"{\"}"), (Kind::Json, 1, "{\"b\":[{}]}"), (Kind::Json, 3, "{}")])]
#[case::json_then_yaml("{\"a\":1}\n---\n{\"b\":2}\n---\nc: 3", &[
    (Kind::Json, 1, "{\"a\":1}"), (Kind::Yaml, 3, "{\"b\":2}\n"), (Kind::Yaml, 5, "c: 3")])]
#[case::flow_mapping("{a: 1}\n---\nb: 2", &[(Kind::Either, 1, "{a: 1}\n"), (Kind::Yaml, 3, "b: 2")])]
#[case::flow_mapping_second("{\"a\": 1}\n{b: 2}\n", &[(Kind::Json, 1, "{\"a\": 1}"), (Kind::Either, 2, "{b: 2}\n")])]
#[case::text_behind_json("{\"a\":1}\"}\"{}", &[
    (Kind::Json, 1, "{\"a\":1}"), (Kind::Json, 1, "\"}\""), (Kind::Json, 1, "{}")])]
#[case::text_of_two_lines("{\"a\":1}\"\n\"", &[(Kind::Json, 1, "{\"a\":1}"), (Kind::Either, 1, "\"\n\"")])]
#[case::word_between_json("{\"a\":1}null{\"a\":2}1[]", &[
    (Kind::Json, 1, "{\"a\":1}"), (Kind::Json, 1, "null"), (Kind::Json, 1, "{\"a\":2}"),
    (Kind::Json, 1, "1"), (Kind::Json, 1, "[]")])]
#[case::stray_bracket("{\"a\":1}{}}{}", &[
    (Kind::Json, 1, "{\"a\":1}"), (Kind::Json, 1, "{}"), (Kind::Json, 1, "}"), (Kind::Json, 1, "{}")])]
#[case::word_of_yaml_behind_json("{}t x: 1\n", &[(Kind::Json, 1, "{}"), (Kind::Either, 1, "t x: 1\n")])]
#[case::torn_word("{}t", &[(Kind::Json, 1, "{}"), (Kind::Json, 1, "t")])]
#[case::torn_json("{\"a\":1}{\"b\":", &[(Kind::Json, 1, "{\"a\":1}"), (Kind::Json, 1, "{\"b\":")])]
fn a_stream_is_split_where_its_documents_end(
    #[case] text: &str,
    #[case] expected: &[(Kind, usize, &str)],
    #[values(1, 2, 3, 1000)] drops: usize,
) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, line, text)| (*kind, *line, (*text).to_owned()))
        .collect();
    assert_eq!(split(text, drops, 1000).unwrap(), expected);
}

#[test]
fn an_invalid_separator_is_named_with_its_line() {
    let error = split("a: 1\n\n--- b: 2\n", 2, 100).unwrap_err();
    assert!(
        matches!(&error, SplitError::Separator { line: 3, text } if text == "b: 2"),
        "{error:?}"
    );
}

#[rstest]
#[case::yaml("a: aaaaaaaaaaaaaaaaaaaaa\n---\nb: 1")]
#[case::json("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}")]
#[case::json_without_end("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
#[case::second("{}\n{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}")]
#[case::separator("a: 1\n---                             #\n")]
#[case::blanks("                              a: 1")]
fn a_document_over_the_limit_is_refused(#[case] text: &str) {
    let error = split(text, 4, 20).unwrap_err();
    assert!(matches!(error, SplitError::TooLarge { limit: 20 }));
    assert!(split(text, 4, 200).is_ok());
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "{\"a\":1}",
        "{\"a\": \"}{\"}\n",
        "{ \"b\" : [ { } ] }",
        "{c: 3}\n",
        "null",
        "\n",
        "  ",
        "---\n",
        "\n---\n",
        "--- # x\r\n",
        "a: 1\n",
        "b: |\n  t\n",
        "- 1\n",
        "# x\n",
        "\r\n",
        "{",
        "}",
        "\"",
    ])
}

proptest! {
    /// What the reader of whole streams reads without an error, is split into the same documents.
    #[test]
    fn splitting_agrees_with_the_reader_of_whole_streams(
        pieces in prop::collection::vec(piece(), 0..10),
        drops in 1..9_usize,
    ) {
        let text = pieces.concat();
        let limits = olm_yaml::Limits::default();
        let whole: Result<Vec<_>, _> = olm_yaml::documents(text.as_bytes(), &limits)
            .map(|document| document.map(|document| (document.line, document.value)))
            .collect();
        if let Ok(whole) = whole {
            let mut documents = Vec::new();
            for (kind, line, part) in split(&text, drops, 1000).unwrap() {
                let value = match kind {
                    Kind::Json => serde_json::from_str(&part).unwrap(),
                    Kind::Yaml | Kind::Either => {
                        olm_yaml::part(part.as_bytes(), &limits).unwrap().unwrap_or_default()
                    }
                };
                if !value.is_null() {
                    documents.push((line, value));
                }
            }
            prop_assert_eq!(documents, whole, "{:?}", text);
        }
    }
}
