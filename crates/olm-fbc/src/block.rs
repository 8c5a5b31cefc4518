//! From YAML as tools write it to canonical JSON, without a parser of all of YAML in between.
//!
//! Catalogs are written by programs: block mappings and sequences, plain, quoted and literal
//! scalars, one way or another of the same few things, and hundreds of megabytes of them. What is
//! read here is read as [`olm_yaml`] reads it, many times faster. For everything else (comments,
//! anchors, tags, flow collections, folded text, tabs, errors) it gives up, and the caller lets
//! `olm_yaml` read the document.

use memchr::{memchr, memchr_iter};

use crate::Meta;
use crate::canonical;
use crate::rewrite::{MAX_DEPTH, Rewriter};

/// Longest key. The YAML parser takes no keys above 1,024 characters.
const MAX_KEY: usize = 512;

/// Words that are no text when they stand alone, in lower case.
const WORDS: [&[u8]; 9] = [
    b"null", b"true", b"false", b"yes", b"no", b"on", b"off", b"y", b"n",
];

/// The meta in a part of a YAML stream; `None` when it must be read by `olm_yaml`.
pub(crate) fn meta(rewriter: &mut Rewriter, text: &[u8]) -> Option<Meta> {
    let text = std::str::from_utf8(text).ok()?;
    if !is_printable(text) || !text.ends_with('\n') {
        return None;
    }
    rewriter.begin();
    let mut reader = Reader {
        rewriter,
        text: text.as_bytes(),
        at: 0,
    };
    if reader.next_line()? != 0 {
        return None;
    }
    let body = reader.mapping(0, 0)?;
    if reader.next_line().is_some() {
        return None;
    }
    rewriter.end(body)
}

/// Whether the text has only what the YAML parser accepts, and no line ends but line feeds.
fn is_printable(text: &str) -> bool {
    if text.is_ascii() {
        return text
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t'));
    }
    text.chars().all(|c| match c {
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        ' '..='~' | '\n' | '\t' => true,
        _ => c >= '\u{a0}',
    })
}

struct Reader<'a, 'b> {
    rewriter: &'b mut Rewriter,
    text: &'a [u8],
    /// Where the next byte is; between entries, at the start of a line or of what indents it.
    at: usize,
}

impl<'a> Reader<'a, '_> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The rest of the line, without its end.
    fn line(&self) -> &'a [u8] {
        let rest = self.rest();
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Passes what `line` gave, and its end.
    fn pass(&mut self, line: &[u8]) {
        self.at += line.len() + 1;
    }

    /// Passes empty lines and gives how far the next one is indented, whose start this is; `None`
    /// at the end of the text.
    fn next_line(&mut self) -> Option<usize> {
        loop {
            let rest = self.rest();
            let indent = rest.iter().position(|byte| *byte != b' ')?;
            if rest.get(indent) != Some(&b'\n') {
                return Some(indent);
            }
            self.at += indent + 1;
        }
    }

    /// The entries of a mapping whose keys are indented by `indent`, from where a key begins.
    fn mapping(&mut self, indent: usize, depth: usize) -> Option<usize> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let body = self.rewriter.open(b'{');
        let mut first = true;
        loop {
            let start = self.rewriter.separate(first);
            first = false;
            let key = key(self.line())?;
            self.rewriter.text(key.text);
            let key_end = self.rewriter.colon();
            self.at += key.length;
            self.value(indent, depth)?;
            self.rewriter.member(start, key_end);
            match self.next_line() {
                Some(next) if next > indent => return None,
                Some(next) if next == indent => self.at += next,
                _ => return Some(body),
            }
        }
    }

    /// What stands behind the colon of a key that is indented by `indent`.
    fn value(&mut self, indent: usize, depth: usize) -> Option<()> {
        let line = self.line();
        let blanks = line.iter().position(|byte| *byte != b' ');
        if let Some(blanks) = blanks {
            self.at += blanks;
            return self.scalar(indent);
        }
        self.pass(line);
        match self.next_line() {
            Some(next) if next > indent => self.collection(next, depth),
            Some(next) if next == indent && is_entry(self.after(next)) => {
                self.sequence(next, depth + 1)
            }
            _ => {
                self.rewriter.put(b"null");
                Some(())
            }
        }
    }

    /// What is behind the indentation of the line at hand.
    fn after(&self, indent: usize) -> &'a [u8] {
        self.rest().get(indent..).unwrap_or_default()
    }

    /// A mapping or a sequence on lines of its own.
    fn collection(&mut self, indent: usize, depth: usize) -> Option<()> {
        if is_entry(self.after(indent)) {
            self.sequence(indent, depth + 1)
        } else {
            self.at += indent;
            self.object(indent, depth)
        }
    }

    fn object(&mut self, indent: usize, depth: usize) -> Option<()> {
        let base = self.rewriter.members();
        let body = self.mapping(indent, depth + 1)?;
        self.rewriter.finish(body, base);
        Some(())
    }

    /// The entries of a sequence whose dashes are indented by `indent`, from the start of a line.
    fn sequence(&mut self, indent: usize, depth: usize) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.rewriter.open(b'[');
        let mut first = true;
        loop {
            self.rewriter.separate(first);
            first = false;
            self.at += indent + 1;
            let line = self.line();
            match line.iter().position(|byte| *byte != b' ') {
                None => {
                    self.pass(line);
                    match self.next_line() {
                        Some(next) if next > indent => self.collection(next, depth)?,
                        _ => self.rewriter.put(b"null"),
                    }
                }
                Some(blanks) => {
                    self.at += blanks;
                    if is_entry(self.rest()) {
                        return None;
                    }
                    if key(self.line()).is_some() {
                        self.object(indent + 1 + blanks, depth)?;
                    } else {
                        self.scalar(indent)?;
                    }
                }
            }
            match self.next_line() {
                Some(next) if next > indent => return None,
                Some(next) if next == indent && is_entry(self.after(next)) => {}
                _ => {
                    self.rewriter.put(b"]");
                    return Some(());
                }
            }
        }
    }

    /// A scalar, or an empty flow collection, in a collection that is indented by `indent`. The
    /// line on which it ends is passed.
    fn scalar(&mut self, indent: usize) -> Option<()> {
        let line = self.line();
        if is_entry(line) {
            return None;
        }
        match line.first()? {
            b'\'' | b'"' => self.quoted(indent),
            b'|' => self.literal(indent),
            b'{' | b'[' => {
                let trimmed = line.trim_ascii_end();
                if trimmed != b"{}" && trimmed != b"[]" {
                    return None;
                }
                self.rewriter.put(trimmed);
                self.pass(line);
                Some(())
            }
            b'&' | b'*' | b'!' | b'>' | b'%' | b'@' | b'`' | b'#' | b'?' | b',' | b']' | b'}'
            | b':' | b'=' | b'\t' => None,
            _ => self.plain(indent),
        }
    }

    /// A plain scalar, on one line or on several.
    fn plain(&mut self, indent: usize) -> Option<()> {
        let line = self.line();
        let first = plain_line(line)?;
        self.pass(line);
        let mut next = self.continuation(indent);
        if next.is_none() {
            return self.resolve(first);
        }
        self.rewriter.quote();
        self.rewriter.characters(first);
        while let Some((empty, line)) = next {
            self.fold(empty);
            self.rewriter.characters(plain_line(line)?);
            self.at += line.len() + 1;
            next = self.continuation(indent);
        }
        self.rewriter.quote();
        Some(())
    }

    /// The next line, if it belongs to a scalar in a collection that is indented by `indent`, from
    /// its first character on, and how many lines before it are empty. Passes those.
    fn continuation(&mut self, indent: usize) -> Option<(usize, &'a [u8])> {
        let before = self.at;
        let next = self.next_line();
        let Some(next) = next.filter(|next| *next > indent) else {
            // Empty lines behind a scalar are nobody's.
            self.at = before;
            return None;
        };
        let passed = self.text.get(before..self.at).unwrap_or_default();
        let empty = memchr_iter(b'\n', passed).count();
        self.at += next;
        Some((empty, self.line()))
    }

    /// What stands for the end of a line of a scalar that goes on, with empty lines behind it.
    fn fold(&mut self, empty: usize) {
        if empty == 0 {
            self.rewriter.put(b" ");
        }
        for _ in 0..empty {
            self.rewriter.put(b"\\n");
        }
    }

    /// Writes what a plain scalar on one line means.
    fn resolve(&mut self, text: &[u8]) -> Option<()> {
        let first = *text.first()?;
        let is_text = match first {
            b'0'..=b'9' | b'-' | b'+' | b'.' | b'~' => false,
            _ => text.len() > 5 || !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)),
        };
        if is_text {
            self.rewriter.text(text);
        } else if self.rewriter.short_integer(text).is_none() {
            // Alone in a document these would be its ends.
            if text.starts_with(b"---") || text.starts_with(b"...") || text == b"-" {
                return None;
            }
            let value = olm_yaml::part(text, &olm_yaml::Limits::default()).ok()?;
            let line = canonical::to_line(&value.unwrap_or_default()).ok()?;
            self.rewriter.put(line.as_bytes());
        }
        Some(())
    }

    /// A quoted scalar, on one line or on several.
    fn quoted(&mut self, indent: usize) -> Option<()> {
        let quote = *self.rest().first()?;
        self.at += 1;
        self.rewriter.quote();
        let mut line = self.line();
        loop {
            let at = line
                .iter()
                .position(|byte| *byte == quote || *byte == b'\t' || *byte == b'\\');
            let Some(at) = at else {
                // The line ends within the text; blanks at its end do not count.
                self.rewriter.characters(trim_end(line));
                self.pass(line);
                let (empty, next) = self.continuation(indent)?;
                self.fold(empty);
                line = next;
                continue;
            };
            let (before, from) = line.split_at(at);
            match (from, quote) {
                ([b'\t', ..], _) => return None,
                ([b'\\', ..], b'\'') => {
                    self.rewriter.characters(before);
                    self.rewriter.characters(b"\\");
                    self.at += at + 1;
                    line = self.line();
                }
                ([b'\\'], _) => {
                    // An escaped line end; blanks before it count.
                    self.rewriter.characters(before);
                    self.at += at + 2;
                    let (0, next) = self.continuation(indent)? else {
                        return None;
                    };
                    line = next;
                }
                ([b'\\', escape, ..], _) => {
                    self.rewriter.characters(before);
                    self.at += at;
                    self.escape(*escape)?;
                    line = self.line();
                }
                ([b'\'', b'\'', ..], b'\'') => {
                    self.rewriter.characters(before);
                    self.rewriter.characters(b"'");
                    self.at += at + 2;
                    line = self.line();
                }
                (_, _) => {
                    self.rewriter.characters(before);
                    self.rewriter.quote();
                    self.at += at + 1;
                    let behind = self.line();
                    self.pass(behind);
                    return trim_end(behind).is_empty().then_some(());
                }
            }
        }
    }

    /// An escape in double quotes.
    fn escape(&mut self, escape: u8) -> Option<()> {
        let character = match escape {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b' ' => ' ',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let digits = self.rest().get(2..6)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                let digits = std::str::from_utf8(digits).ok()?;
                let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                self.at += 4;
                character
            }
            _ => return None,
        };
        self.at += 2;
        self.rewriter.character(character);
        Some(())
    }

    /// By how much the first line with text is indented, if by more than `parent`.
    fn indent_of_text(&self, parent: usize) -> Option<usize> {
        let rest = self.rest();
        let empty = rest.iter().position(|byte| *byte != b'\n')?;
        let line = rest.get(empty..)?;
        let indent = line.iter().position(|byte| *byte != b' ')?;
        // Blanks on an empty line in front would count as well.
        (indent > parent && line.get(indent) != Some(&b'\n')).then_some(indent)
    }

    /// A literal block.
    fn literal(&mut self, parent: usize) -> Option<()> {
        let header = self.line();
        let (mut keep, mut strip, mut indent) = (false, false, None);
        for byte in trim_end(header).get(1..)? {
            match byte {
                b'+' if !keep && !strip => keep = true,
                b'-' if !keep && !strip => strip = true,
                b'1'..=b'9' if indent.is_none() => indent = Some(parent + usize::from(byte - b'0')),
                _ => return None,
            }
        }
        self.pass(header);
        let indent = indent.or_else(|| self.indent_of_text(parent))?;
        self.rewriter.quote();
        // Line ends that are written once something follows.
        let (mut ends, mut written) = (0_usize, false);
        while !self.rest().is_empty() {
            let line = self.line();
            let blanks = line.iter().position(|byte| *byte != b' ');
            if blanks.is_some_and(|blanks| blanks < indent) {
                break;
            }
            let content = line.get(indent..).unwrap_or_default();
            if !content.is_empty() {
                self.line_ends(ends);
                ends = 0;
                self.rewriter.characters(content);
                written = true;
            }
            ends += 1;
            self.pass(line);
        }
        if keep {
            self.line_ends(ends);
        } else if !strip && written {
            self.line_ends(1);
        }
        self.rewriter.quote();
        Some(())
    }

    fn line_ends(&mut self, count: usize) {
        for _ in 0..count {
            self.rewriter.put(b"\\n");
        }
    }
}

/// A key and how much of the line it takes, with its colon.
struct Key<'a> {
    text: &'a [u8],
    length: usize,
}

/// The key with which a line begins, if it does and the key is plain text.
fn key(line: &[u8]) -> Option<Key<'_>> {
    let first = *line.first()?;
    let key = if matches!(first, b'"' | b'\'') {
        let rest = line.get(1..)?;
        let text = rest.get(..memchr(first, rest)?)?;
        if text
            .iter()
            .any(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b'\t'))
        {
            return None;
        }
        Key {
            text,
            length: text.len() + 3,
        }
    } else {
        let end = line.iter().position(|byte| {
            !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'/')
        })?;
        let text = line.get(..end)?;
        let is_text = matches!(first, b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'/')
            && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word));
        if !is_text {
            return None;
        }
        Key {
            text,
            length: end + 1,
        }
    };
    let colon = line.get(key.length - 1) == Some(&b':');
    let ended = matches!(line.get(key.length), None | Some(b' '));
    (colon && ended && key.text.len() <= MAX_KEY).then_some(key)
}

/// Whether an entry of a sequence begins here.
fn is_entry(line: &[u8]) -> bool {
    matches!(line, [b'-'] | [b'-', b' ' | b'\n', ..])
}

/// One line of a plain scalar without blanks at its end; `None` where it is not only that.
fn plain_line(line: &[u8]) -> Option<&[u8]> {
    let line = trim_end(line);
    let mut before = b' ';
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b':' if matches!(line.get(at + 1), None | Some(b' ')) => return None,
            b'#' if before == b' ' => return None,
            b'\t' => return None,
            _ => {}
        }
        before = *byte;
    }
    Some(line)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let end = line
        .iter()
        .rposition(|byte| *byte != b' ')
        .map_or(0, |last| last + 1);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
