//! From a stream of bytes to the texts of its documents, without holding more than one of them.
//!
//! The rules are those of [`olm_yaml::documents`], which reads streams that are held whole: JSON
//! objects one after the other where the stream begins with `{`, otherwise YAML, split at lines
//! that begin with `---`.

use std::io::{self, Read};

use memchr::{memchr, memchr_iter, memmem, memrchr};
use serde::de::IgnoredAny;

use crate::extent::Extent;

/// Bytes read at a time.
const CHUNK: usize = 128 << 10;
/// Room that is kept for the next document.
const KEPT: usize = 1 << 20;
/// Longest text of an invalid separator that is told, in characters.
const SEPARATOR_TOLD: usize = 256;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// How the text of a document is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As JSON.
    Json,
    /// As a part of a YAML stream.
    Yaml,
    /// As a part of a YAML stream that was taken for JSON; if it is neither, it was meant as JSON.
    Either,
}

/// Why a stream could not be split further.
#[derive(Debug)]
pub(crate) enum SplitError {
    /// The stream broke.
    Read(io::Error),
    /// A document is too long.
    TooLarge { limit: usize },
    /// A separator has more than a comment behind it.
    Separator { line: usize, text: String },
}

/// Splits one stream.
#[derive(Debug)]
pub(crate) struct Splitter<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer begins what has not been given out.
    start: usize,
    /// Whether the source has given everything.
    drained: bool,
    mode: Mode,
    /// Line on which the rest begins, from 1.
    line: usize,
    /// Documents given out as JSON.
    as_json: usize,
    /// Whether a separator here opens the first document of YAML and ends none.
    opening: bool,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Start,
    Json,
    Yaml(Kind),
    Ended,
}

impl<R: Read> Splitter<R> {
    /// Splits `source` into documents of at most `limit` bytes.
    pub(crate) fn new(source: R, limit: usize) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            drained: false,
            mode: Mode::Start,
            line: 1,
            as_json: 0,
            opening: true,
            limit,
        }
    }

    /// Adds the text of the next document to `to` and says how to read it and the line on which it
    /// begins; `None` at the end. What stands between two separators is a document even without any
    /// text. After an error there is nothing more.
    pub(crate) fn next(&mut self, to: &mut Vec<u8>) -> Result<Option<(Kind, usize)>, SplitError> {
        let found = self.find(to);
        if found.is_err() {
            self.mode = Mode::Ended;
        }
        found
    }

    fn find(&mut self, to: &mut Vec<u8>) -> Result<Option<(Kind, usize)>, SplitError> {
        loop {
            let found = match self.mode {
                Mode::Ended => return Ok(None),
                Mode::Start => {
                    self.begin()?;
                    None
                }
                Mode::Json => self.json()?,
                Mode::Yaml(kind) => self.yaml(kind)?,
            };
            if let Some((kind, text, length)) = found {
                // Empty lines before it are not part of it; what indents its first line is.
                let text = self.rest().get(..text).unwrap_or_default();
                let blanks = text.len() - text.trim_ascii_start().len();
                let blank_lines = text.get(..blanks).unwrap_or_default();
                let blank_lines = memrchr(b'\n', blank_lines).map_or(0, |last| last + 1);
                to.extend_from_slice(text.get(blank_lines..).unwrap_or_default());
                self.consume(blank_lines);
                let line = self.line;
                self.consume(length - blank_lines);
                return Ok(Some((kind, line)));
            }
        }
    }

    const fn too_large(&self) -> SplitError {
        SplitError::TooLarge { limit: self.limit }
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    fn consume(&mut self, length: usize) {
        let end = (self.start + length).min(self.buffer.len());
        let read = self.buffer.get(self.start..end).unwrap_or_default();
        self.line += memchr_iter(b'\n', read).count();
        self.start = end;
    }

    /// Reads more; `false` when there is no more.
    fn fill(&mut self) -> Result<bool, SplitError> {
        if self.drained {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.len() < KEPT / 2 {
            self.buffer.shrink_to(KEPT);
        }
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK, 0);
        let read = loop {
            let room = self.buffer.get_mut(length..).unwrap_or_default();
            match self.source.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(length + count);
        self.drained = count == 0;
        match read {
            Ok(_) => Ok(!self.drained),
            Err(error) => Err(SplitError::Read(error)),
        }
    }

    /// Reads until the rest has `length` bytes, if there are as many.
    fn ensure(&mut self, length: usize) -> Result<(), SplitError> {
        while self.rest().len() < length && self.fill()? {}
        Ok(())
    }

    /// Passes the byte order mark and empty lines, and sees how the stream begins.
    fn begin(&mut self) -> Result<(), SplitError> {
        self.ensure(BOM.len())?;
        if self.rest().starts_with(BOM) {
            self.consume(BOM.len());
        }
        loop {
            let first = self.rest().iter().position(|byte| !is_blank(*byte));
            if let Some(first) = first {
                let json = self.rest().get(first) == Some(&b'{');
                self.mode = if json {
                    Mode::Json
                } else {
                    Mode::Yaml(Kind::Yaml)
                };
                return Ok(());
            }
            // What indents the first line belongs to it.
            let lines = memrchr(b'\n', self.rest()).map_or(0, |last| last + 1);
            self.consume(lines);
            if self.rest().len() > self.limit {
                return Err(self.too_large());
            }
            if !self.fill()? {
                self.mode = Mode::Ended;
                return Ok(());
            }
        }
    }

    /// Length of the text of the next document, twice.
    fn json(&mut self) -> Result<Option<(Kind, usize, usize)>, SplitError> {
        loop {
            let blanks = self.rest().iter().position(|byte| !is_blank(*byte));
            self.consume(blanks.unwrap_or_else(|| self.rest().len()));
            if blanks.is_some() {
                break;
            }
            if !self.fill()? {
                self.mode = Mode::Ended;
                return Ok(None);
            }
        }
        self.ensure(3)?;
        if self.rest().starts_with(b"---") {
            self.mode = Mode::Yaml(Kind::Yaml);
            return Ok(None);
        }
        let length = self.json_value()?;
        let text = self.rest().get(..length).unwrap_or_default();
        // Flow mappings of YAML start like JSON. A word that is cut short is no word of JSON, unless
        // it is the stream that was cut.
        let more = length < self.rest().len();
        if self.as_json < 2
            && serde_json::from_slice::<IgnoredAny>(text)
                .is_err_and(|error| error.is_syntax() || more && error.is_eof())
        {
            self.mode = Mode::Yaml(Kind::Either);
            return Ok(None);
        }
        self.as_json += 1;
        Ok(Some((Kind::Json, length, length)))
    }

    /// Length of the value at the start of the rest. What never ends goes to the end of the stream.
    fn json_value(&mut self) -> Result<usize, SplitError> {
        let mut extent = Extent::default();
        loop {
            let found = extent.end(self.rest());
            let known = found.unwrap_or_else(|| self.rest().len());
            if known > self.limit {
                return Err(self.too_large());
            }
            if found.is_some() || !self.fill()? {
                return Ok(known);
            }
        }
    }

    /// Lengths of the next part and of what goes with it, its separator.
    fn yaml(&mut self, kind: Kind) -> Result<Option<(Kind, usize, usize)>, SplitError> {
        self.ensure(3)?;
        if self.rest().is_empty() {
            self.mode = Mode::Ended;
            return Ok(None);
        }
        let mut searched = 0;
        let length = loop {
            if self.rest().starts_with(b"---") {
                break 0;
            }
            let rest = self.rest();
            let unseen = rest.get(searched..).unwrap_or_default();
            if let Some(found) = memmem::find(unseen, b"\n---") {
                break searched + found + 1;
            }
            // A separator may lie across the end of what is there.
            searched = rest.len().saturating_sub(3);
            if rest.len() > self.limit + CHUNK {
                return Err(self.too_large());
            }
            if !self.fill()? {
                break self.rest().len();
            }
        };
        if length > self.limit {
            return Err(self.too_large());
        }
        let separator = self.separator(length)?;
        let text = self.rest().get(..length).unwrap_or_default();
        let blank = text.iter().all(|byte| is_blank(*byte));
        if blank && (self.opening || separator == 0) {
            self.consume(length + separator);
            self.opening = false;
            return Ok(None);
        }
        self.opening = false;
        self.mode = Mode::Yaml(Kind::Yaml);
        Ok(Some((kind, length, length + separator)))
    }

    /// Length of the separator at an offset of the rest, with its line end.
    fn separator(&mut self, offset: usize) -> Result<usize, SplitError> {
        let mut searched = offset;
        let end = loop {
            let unseen = self.rest().get(searched..).unwrap_or_default();
            if let Some(end) = memchr(b'\n', unseen) {
                break searched + end + 1;
            }
            searched = self.rest().len();
            if searched - offset > self.limit {
                return Err(self.too_large());
            }
            if !self.fill()? {
                break searched;
            }
        };
        let line = self.rest().get(offset..end).unwrap_or_default();
        let after = String::from_utf8_lossy(line.strip_prefix(b"---").unwrap_or_default());
        let after = after.trim();
        if after.is_empty() || after.starts_with('#') {
            return Ok(end - offset);
        }
        let before = self.rest().get(..offset).unwrap_or_default();
        Err(SplitError::Separator {
            line: self.line + memchr_iter(b'\n', before).count(),
            text: after.chars().take(SEPARATOR_TOLD).collect(),
        })
    }
}

/// The blanks that may stand around documents.
const fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
