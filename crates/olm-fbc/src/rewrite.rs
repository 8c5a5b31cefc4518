//! From JSON text to canonical JSON without a tree of values in between.
//!
//! Documents are mostly well-formed and plain, and there are thousands of them. What is written
//! here is what [`to_line`](crate::canonical::to_line) writes of the decoded document; for anything
//! out of the ordinary, such as a number that is no short integer or an error, it gives up, and the
//! caller decodes the document.

use crate::Meta;
use crate::canonical;

/// Levels of arrays and objects that are read; fewer than the decoders read.
pub(crate) const MAX_DEPTH: usize = 96;
/// Keys at the top of a document, which are compared with one another.
const MAX_TOP_KEYS: usize = 64;
/// Digits of an integer that a double holds exactly, whatever they are.
const EXACT_DIGITS: usize = 15;

/// Rewrites documents, one after the other, in buffers that it keeps.
#[derive(Debug, Default)]
pub(crate) struct Rewriter {
    out: Vec<u8>,
    /// Members of the objects that are open, each of them a part of `out`.
    members: Vec<Member>,
    /// An object whose members are put in order.
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    start: usize,
    /// End of the key with its quotes.
    key_end: usize,
    end: usize,
}

impl Member {
    /// The key without its quotes.
    fn key<'a>(&self, out: &'a [u8]) -> &'a [u8] {
        out.get(self.start + 1..self.key_end - 1)
            .unwrap_or_default()
    }

    fn value<'a>(&self, out: &'a [u8]) -> &'a [u8] {
        out.get(self.key_end + 1..self.end).unwrap_or_default()
    }
}

impl Rewriter {
    /// The document in `text`, a JSON object and nothing else; `None` when it must be decoded.
    pub(crate) fn meta(&mut self, text: &[u8]) -> Option<Meta> {
        std::str::from_utf8(text).ok()?;
        self.begin();
        let mut input = Input { text, at: 0 };
        if input.next_after_blanks()? != b'{' {
            return None;
        }
        let body = self.collect(&mut input, 0)?;
        input.skip_blanks();
        if input.at != text.len() {
            return None;
        }
        self.end(body)
    }

    /// Forgets the document before.
    pub(crate) fn begin(&mut self) {
        self.out.clear();
        self.members.clear();
    }

    /// Ends a document whose members, of which the first stands at `body`, are collected.
    pub(crate) fn end(&mut self, body: usize) -> Option<Meta> {
        let [schema, package, name] = self.fields()?;
        self.finish(body, 0);
        let line = String::from_utf8(self.out.as_slice().to_vec()).ok()?;
        // A single large document shall not hold its memory for ever.
        for buffer in [&mut self.out, &mut self.scratch] {
            buffer.clear();
            buffer.shrink_to(1 << 20);
        }
        Some(Meta {
            schema,
            package,
            name,
            line,
        })
    }

    /// The fields of a meta among the members of the document.
    fn fields(&self) -> Option<[String; 3]> {
        if self.members.len() > MAX_TOP_KEYS {
            return None;
        }
        let mut fields = ["schema", "package", "name"].map(|name| (name, String::new()));
        let mut others = self.members.as_slice();
        while let Some((member, rest)) = others.split_first() {
            others = rest;
            let key = member.key(&self.out);
            let folded = |other: &Member| other.key(&self.out).eq_ignore_ascii_case(key);
            if !key.is_ascii() || others.iter().any(folded) {
                return None;
            }
            for (name, field) in &mut fields {
                if key.eq_ignore_ascii_case(name.as_bytes()) {
                    *field = text_of(member.value(&self.out))?;
                }
            }
        }
        Some(fields.map(|(_, field)| field))
    }

    /// Members that are collected and not finished.
    pub(crate) fn members(&self) -> usize {
        self.members.len()
    }

    /// Writes what needs no escape.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Opens an array or object; gives where its content begins.
    pub(crate) fn open(&mut self, bracket: u8) -> usize {
        self.out.push(bracket);
        self.out.len()
    }

    /// Writes a comma before all but the first; gives where what follows begins.
    pub(crate) fn separate(&mut self, first: bool) -> usize {
        if !first {
            self.out.push(b',');
        }
        self.out.len()
    }

    /// Ends a key; gives where it ends.
    pub(crate) fn colon(&mut self) -> usize {
        let end = self.out.len();
        self.out.push(b':');
        end
    }

    /// Notes a member whose value has just been written.
    pub(crate) fn member(&mut self, start: usize, key_end: usize) {
        let end = self.out.len();
        self.members.push(Member {
            start,
            key_end,
            end,
        });
    }

    /// Begins or ends a text.
    pub(crate) fn quote(&mut self) {
        self.out.push(b'"');
    }

    /// Writes a whole text.
    pub(crate) fn text(&mut self, text: &[u8]) {
        self.quote();
        self.characters(text);
        self.quote();
    }

    /// Writes a part of a text; valid UTF-8 without the line separators of Unicode.
    pub(crate) fn characters(&mut self, mut text: &[u8]) {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        while let Some(run) = text.iter().position(special) {
            let (plain, from) = text.split_at(run);
            self.out.extend_from_slice(plain);
            if let Some((byte, rest)) = from.split_first() {
                self.character(char::from(*byte));
                text = rest;
            }
        }
        self.out.extend_from_slice(text);
    }

    fn value(&mut self, input: &mut Input<'_>, depth: usize) -> Option<()> {
        match input.next_after_blanks()? {
            b'{' => {
                let base = self.members.len();
                let body = self.collect(input, depth)?;
                self.finish(body, base);
                Some(())
            }
            b'[' => self.array(input, depth),
            b'"' => self.string(input).map(|_| ()),
            b't' => self.literal(input, b"true"),
            b'f' => self.literal(input, b"false"),
            b'n' => self.literal(input, b"null"),
            _ => self.number(input),
        }
    }

    fn literal(&mut self, input: &mut Input<'_>, text: &[u8]) -> Option<()> {
        if !input.rest().starts_with(text) {
            return None;
        }
        input.at += text.len();
        self.out.extend_from_slice(text);
        Some(())
    }

    fn array(&mut self, input: &mut Input<'_>, depth: usize) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        input.at += 1;
        self.out.push(b'[');
        if input.next_after_blanks()? == b']' {
            input.at += 1;
            self.out.push(b']');
            return Some(());
        }
        loop {
            self.value(input, depth + 1)?;
            let next = input.next_after_blanks()?;
            input.at += 1;
            self.out.push(next);
            match next {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// Writes the members of an object as they come, and notes them. Gives where the first begins.
    fn collect(&mut self, input: &mut Input<'_>, depth: usize) -> Option<usize> {
        if depth >= MAX_DEPTH {
            return None;
        }
        input.at += 1;
        self.out.push(b'{');
        let body = self.out.len();
        if input.next_after_blanks()? == b'}' {
            input.at += 1;
            return Some(body);
        }
        loop {
            let start = self.out.len();
            if input.next_after_blanks()? != b'"' {
                return None;
            }
            // Keys with escapes are not in the order of their text.
            if !self.string(input)? {
                return None;
            }
            let key_end = self.out.len();
            if input.next_after_blanks()? != b':' {
                return None;
            }
            input.at += 1;
            self.out.push(b':');
            self.value(input, depth + 1)?;
            self.members.push(Member {
                start,
                key_end,
                end: self.out.len(),
            });
            let next = input.next_after_blanks()?;
            input.at += 1;
            match next {
                b',' => self.out.push(b','),
                b'}' => return Some(body),
                _ => return None,
            }
        }
    }

    /// Puts the members from `base` on in order, the last of equal ones alone, and closes the
    /// object that they are of.
    pub(crate) fn finish(&mut self, body: usize, base: usize) {
        let (out, scratch) = (&mut self.out, &mut self.scratch);
        let members = self.members.get_mut(base..).unwrap_or_default();
        if !members.is_sorted_by(|a, b| a.key(out) < b.key(out)) {
            members.sort_by(|a, b| a.key(out).cmp(b.key(out)));
            scratch.clear();
            for (at, member) in members.iter().enumerate() {
                let next = members.get(at + 1);
                if next.is_some_and(|next| next.key(out) == member.key(out)) {
                    continue;
                }
                if !scratch.is_empty() {
                    scratch.push(b',');
                }
                scratch.extend_from_slice(out.get(member.start..member.end).unwrap_or_default());
            }
            out.truncate(body);
            out.extend_from_slice(scratch);
        }
        out.push(b'}');
        self.members.truncate(base);
    }

    /// Writes a string; gives whether it has no escapes.
    fn string(&mut self, input: &mut Input<'_>) -> Option<bool> {
        input.at += 1;
        let start = self.out.len();
        self.out.push(b'"');
        let mut plain = true;
        loop {
            let rest = input.rest();
            let run = rest.iter().position(|byte| is_special(*byte))?;
            let (text, from) = rest.split_at(run);
            self.out.extend_from_slice(text);
            input.at += run;
            match from.first()? {
                b'"' => {
                    input.at += 1;
                    self.out.push(b'"');
                    if !plain {
                        let written = self.out.get(start..).unwrap_or_default();
                        plain = !written.contains(&b'\\');
                    }
                    return Some(plain);
                }
                b'\\' => {
                    plain = false;
                    self.escape(input)?;
                }
                0xe2 if from.starts_with("\u{2028}".as_bytes()) => {
                    plain = false;
                    self.character('\u{2028}');
                    input.at += 3;
                }
                0xe2 if from.starts_with("\u{2029}".as_bytes()) => {
                    plain = false;
                    self.character('\u{2029}');
                    input.at += 3;
                }
                0xe2 => {
                    self.out.push(0xe2);
                    input.at += 1;
                }
                _ => return None,
            }
        }
    }

    fn escape(&mut self, input: &mut Input<'_>) -> Option<()> {
        let kind = *input.rest().get(1)?;
        match kind {
            b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.out.extend_from_slice(&[b'\\', kind]);
                input.at += 2;
            }
            b'/' => {
                self.out.push(b'/');
                input.at += 2;
            }
            b'u' => {
                let first = input.hexadecimal()?;
                let character = if let Some(character) = char::from_u32(first) {
                    character
                } else {
                    if !(0xd800..0xdc00).contains(&first) || !input.rest().starts_with(b"\\u") {
                        return None;
                    }
                    let second = input.hexadecimal()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return None;
                    }
                    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?
                };
                self.character(character);
            }
            _ => return None,
        }
        Some(())
    }

    /// Writes a character that stands in a string.
    pub(crate) fn character(&mut self, character: char) {
        let escape: &[u8] = match character {
            '"' => b"\\\"",
            '\\' => b"\\\\",
            '\u{8}' => b"\\b",
            '\u{c}' => b"\\f",
            '\n' => b"\\n",
            '\r' => b"\\r",
            '\t' => b"\\t",
            '\u{2028}' => b"\\u2028",
            '\u{2029}' => b"\\u2029",
            '\0'..='\u{1f}' => {
                let text = format!("\\u{:04x}", u32::from(character));
                self.out.extend_from_slice(text.as_bytes());
                return;
            }
            _ => {
                let mut bytes = [0; 4];
                let text = character.encode_utf8(&mut bytes);
                self.out.extend_from_slice(text.as_bytes());
                return;
            }
        };
        self.out.extend_from_slice(escape);
    }

    fn number(&mut self, input: &mut Input<'_>) -> Option<()> {
        let rest = input.rest();
        let end = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let token = rest.get(..end).filter(|token| !token.is_empty())?;
        if self.short_integer(token).is_none() {
            let value: serde_json::Value = serde_json::from_slice(token).ok()?;
            let text = canonical::to_line(&value).ok()?;
            self.out.extend_from_slice(text.as_bytes());
        }
        input.at += end;
        Some(())
    }

    /// Writes an integer that is the same as a double, if it is one.
    pub(crate) fn short_integer(&mut self, token: &[u8]) -> Option<()> {
        let digits = token.strip_prefix(b"-").unwrap_or(token);
        let short = digits.len() <= EXACT_DIGITS && digits.iter().all(u8::is_ascii_digit);
        if !short || !(matches!(digits.first(), Some(b'1'..=b'9')) || token == b"0") {
            return None;
        }
        self.out.extend_from_slice(token);
        Some(())
    }
}

/// The text that a canonical value is; nothing for null.
fn text_of(value: &[u8]) -> Option<String> {
    if value == b"null" {
        return Some(String::new());
    }
    if value.contains(&b'\\') {
        return serde_json::from_slice(value).ok();
    }
    let text = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    String::from_utf8(text.to_vec()).ok()
}

/// Whether a byte of a string is not simply copied: quotes, backslashes, control characters, and
/// the first byte of the line separators of Unicode.
const fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f | 0xe2)
}

struct Input<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let blanks = self
            .rest()
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        self.at = blanks.map_or(self.text.len(), |blanks| self.at + blanks);
    }

    fn next_after_blanks(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.text.get(self.at).copied()
    }

    /// The number in an escape such as `\u00e9`, which is passed.
    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.rest().get(2..6)?;
        let mut number = 0;
        for digit in digits {
            number = number * 16 + char::from(*digit).to_digit(16)?;
        }
        self.at += 6;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn decoded(text: &str) -> Option<Meta> {
        Meta::from_value(&serde_json::from_str(text).ok()?).ok()
    }

    #[rstest]
    #[case(r#"{"schema":"s","name":"n","package":"p"}"#)]
    #[case(" {\n\t\"name\" : \"n\" ,\r\n \"a\" : [ 1 , true , null , false , [ ] , { } ] } \n")]
    #[case(r#"{"b":{"z":1,"a":{"d":[{"y":1,"x":2}],"c":2}},"a":1}"#)]
    #[case(r#"{"x":{"a":1,"b":2,"a":3,"a":{"k":4}}}"#)]
    #[case(r#"{"Schema":"s","NAME":"n","paCkage":null}"#)]
    #[case(r#"{"name":"\u003ca\u0026\"\\\/\b\f\n\r\t\u0007\u00e9\ud83d\ude00"}"#)]
    #[case("{\"name\":\"\u{2028}\u{2029}\u{2027}\u{7f}é\u{1f600}\"}")]
    #[case(r#"{"a":[0,-0,-1,999999999999999,1e3,1.50,0.1,12345678901234567890,1e-9]}"#)]
    #[case(r#"{"a\/b":1,"a":2,"a b":3,"a!":4}"#)]
    #[case("{}")]
    fn what_is_rewritten_is_what_is_decoded_and_written(#[case] text: &str) {
        let rewritten = Rewriter::default().meta(text.as_bytes());
        assert_eq!(rewritten, decoded(text));
        assert!(rewritten.is_some());
    }

    #[rstest]
    #[case::not_an_object("[]")]
    #[case::not_ended(r#"{"a":1"#)]
    #[case::more(r#"{"a":1}{"b":2}"#)]
    #[case::comma(r#"{"a":1,}"#)]
    #[case::no_comma(r#"{"a":1 "b":2}"#)]
    #[case::control("{\"a\":\"\n\"}")]
    #[case::lone_surrogate(r#"{"a":"\ud800x"}"#)]
    #[case::two_low_surrogates(r#"{"a":"\ude00\ude00"}"#)]
    #[case::leading_zero(r#"{"a":01}"#)]
    #[case::no_number(r#"{"a":1-1}"#)]
    #[case::literal(r#"{"a":nul}"#)]
    #[case::name_of_another_kind(r#"{"name":1}"#)]
    #[case::keys_that_differ_in_case(r#"{"name":"n","Name":"n"}"#)]
    #[case::key_with_an_escape(r#"{"a\n":1}"#)]
    #[case::yaml("{a: 1}")]
    fn what_is_out_of_the_ordinary_is_left_to_the_decoder(#[case] text: &str) {
        assert_eq!(Rewriter::default().meta(text.as_bytes()), None);
    }

    #[test]
    fn nesting_without_end_is_left_to_the_decoder() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(Rewriter::default().meta(deep.as_bytes()), None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "\\PC*".prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::hash_map("[a-cA-C!é]{0,3}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_rewritten_as_it_is_decoded_and_written(
            value in prop::collection::hash_map("[a-z]{1,7}|schema|name", json(), 0..8),
            pretty in any::<bool>(),
        ) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                serde_json::to_string(&value).unwrap()
            };
            if let Some(rewritten) = Rewriter::default().meta(text.as_bytes()) {
                prop_assert_eq!(Some(rewritten), decoded(&text));
            }
        }

        #[test]
        fn any_text_is_rewritten_as_it_is_decoded_or_not_at_all(
            text in r#"\{("a"|:|,|\{|\}|\[|\]|[0-9.eE-]| |"\\u00[0-9]{2}"|null|"b":){0,12}\}"#,
        ) {
            if let Some(rewritten) = Rewriter::default().meta(text.as_bytes()) {
                prop_assert_eq!(Some(rewritten), decoded(&text));
            }
        }
    }
}
