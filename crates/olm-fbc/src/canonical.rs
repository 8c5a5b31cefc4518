//! Canonical JSON: what Go's `encoding/json` writes for a decoded document without HTML escaping.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

/// Writes a value on one line: keys sorted, no blanks, numbers as IEEE doubles in Go's notation.
pub(crate) fn to_line(value: &Value) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut bytes,
        GoFormatter,
    ))?;
    String::from_utf8(bytes).map_err(|_| serde::ser::Error::custom("not UTF-8"))
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_i64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers pass through doubles, as in Go"
        )]
        self.write_f64(writer, value as f64)
    }

    fn write_u64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "numbers pass through doubles, as in Go"
        )]
        self.write_f64(writer, value as f64)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            return match text.split_once('e') {
                Some((digits, exponent)) if !exponent.starts_with('-') => {
                    write!(writer, "{digits}e+{exponent}")
                }
                _ => writer.write_all(text.as_bytes()),
            };
        }
        write!(writer, "{value}")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Go escapes the two line separators of Unicode even where it leaves HTML alone.
        let mut rest = fragment;
        while let Some(at) = rest.find(['\u{2028}', '\u{2029}']) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let escape = if from.starts_with('\u{2028}') {
                "\\u2028"
            } else {
                "\\u2029"
            };
            writer.write_all(escape.as_bytes())?;
            rest = from.get('\u{2028}'.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::to_line;
    use rstest::rstest;

    #[rstest]
    #[case(r#"{"b":1,"a":{"d":1,"c":2}}"#, r#"{"a":{"c":2,"d":1},"b":1}"#)]
    #[case("[1.0, 1.5, -0.25, 100]", "[1,1.5,-0.25,100]")]
    #[case(
        "[9007199254740993, 18446744073709551615]",
        "[9007199254740992,18446744073709552000]"
    )]
    #[case(
        "[1e21, 1e20, 1e-7, 0.000001, 1.5e300]",
        "[1e+21,100000000000000000000,1e-7,0.000001,1.5e+300]"
    )]
    #[case(
        r#"["<a&b>","\u2028\u2029x","\u0007\u007f\t\/"]"#,
        "[\"<a&b>\",\"\\u2028\\u2029x\",\"\\u0007\u{7f}\\t/\"]"
    )]
    fn documents_are_written_as_go_writes_them(#[case] read: &str, #[case] written: &str) {
        assert_eq!(
            to_line(&serde_json::from_str(read).unwrap()).unwrap(),
            written
        );
    }
}
