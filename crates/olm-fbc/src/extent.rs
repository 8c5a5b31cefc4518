//! Where a value of JSON ends, without reading what it says.

use memchr::memchr2;

/// A search for the end of a value, which goes on when more of its text has come.
#[derive(Debug, Default)]
pub(crate) struct Extent {
    /// What has been looked at.
    at: usize,
    /// Brackets that are open.
    depth: usize,
    within: Within,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Nothing has been looked at.
    #[default]
    Nothing,
    /// A number or a bare word.
    Word,
    /// Brackets, outside of any text.
    Brackets,
    Text,
    /// A text, behind a backslash.
    Escape,
}

impl Extent {
    /// Length of the value at the start of `text`: up to the bracket or quote that closes it, or for
    /// what has none, up to the next blank or the start of another value. `None` when it may go on;
    /// `text` is then to have more at its end the next time.
    pub(crate) fn end(&mut self, text: &[u8]) -> Option<usize> {
        loop {
            let rest = text.get(self.at..).unwrap_or_default();
            let first = *rest.first()?;
            let found = match self.within {
                Within::Nothing => {
                    self.within = match first {
                        b'{' | b'[' => Within::Brackets,
                        b'"' => Within::Text,
                        _ => Within::Word,
                    };
                    self.at += usize::from(self.within != Within::Brackets);
                    continue;
                }
                Within::Escape => {
                    self.within = Within::Text;
                    self.at += 1;
                    continue;
                }
                // Most of a catalog is text.
                Within::Text => memchr2(b'"', b'\\', rest),
                Within::Brackets => rest
                    .iter()
                    .position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']')),
                Within::Word => rest.iter().position(|byte| ends_word(*byte)),
            };
            let Some(found) = found else {
                self.at = text.len();
                return None;
            };
            self.at += found + 1;
            match (self.within, rest.get(found)) {
                (Within::Word, _) => return Some(self.at - 1),
                (Within::Text, Some(b'\\')) => self.within = Within::Escape,
                (Within::Text, _) => self.within = Within::Brackets,
                (_, Some(b'"')) => {
                    self.within = Within::Text;
                    continue;
                }
                (_, Some(b'{' | b'[')) => self.depth += 1,
                (_, _) => self.depth = self.depth.saturating_sub(1),
            }
            if self.within == Within::Brackets && self.depth == 0 {
                return Some(self.at);
            }
        }
    }
}

/// Whether a number or a bare word of JSON ends before this byte.
const fn ends_word(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'[' | b']' | b'{' | b'}' | b',' | b':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::object(r#"{"a":{"b":[1,{}]}} {}"#, Some(18))]
    #[case::array("[[],[[]]]]", Some(9))]
    #[case::brackets_in_texts(r#"{"}":"]\"}\\"}x"#, Some(14))]
    #[case::text(r#""a\"{ b" "c""#, Some(8))]
    #[case::empty_text(r#""""#, Some(2))]
    #[case::number("-1.5e3 2", Some(6))]
    #[case::word_before_an_object("null{}", Some(4))]
    #[case::odd_word("}x 1", Some(2))]
    #[case::open_object(r#"{"a":[1,2]"#, None)]
    #[case::open_text(r#""a\""#, None)]
    #[case::word_that_may_go_on("nul", None)]
    #[case::nothing("", None)]
    fn a_value_ends_where_it_is_closed(#[case] text: &str, #[case] end: Option<usize>) {
        assert_eq!(Extent::default().end(text.as_bytes()), end);
    }

    proptest! {
        #[test]
        fn a_value_ends_in_the_same_place_however_it_comes(
            text in r#"(\{|\[|"|)([a{}"\[\] \\,:]|\\"){0,20}"#,
            pieces in prop::collection::vec(1_usize..6, 0..8),
        ) {
            let text = text.as_bytes();
            let (mut extent, mut known, mut found) = (Extent::default(), 0, None);
            for piece in pieces.into_iter().chain([text.len()]) {
                known = (known + piece).min(text.len());
                found = found.or_else(|| extent.end(&text[..known]));
            }
            prop_assert_eq!(found, Extent::default().end(text));
        }

        #[test]
        fn documents_end_at_their_length(
            value in prop::collection::hash_map(".*", any::<Option<String>>(), 0..4),
            pretty in any::<bool>(),
            behind in ".*",
        ) {
            let written = if pretty {
                serde_json::to_string_pretty(&value)
            } else {
                serde_json::to_string(&value)
            };
            let text = written.unwrap_or_default();
            let whole = format!("{text}{behind}");
            prop_assert_eq!(Extent::default().end(whole.as_bytes()), Some(text.len()));
        }
    }
}
