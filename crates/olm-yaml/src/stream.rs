//! Streams of documents: JSON or YAML, splitting, limits.

use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value;

use crate::YamlError;
use crate::build::{Budget, Build};

/// The deepest nesting either parser reads.
const PARSER_DEPTH: usize = 128;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Bounds on what a stream may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Length of the whole stream in bytes. Default 256 MiB.
    pub max_bytes: usize,
    /// Levels of arrays and objects. Default 128, which is also the most that is ever read.
    pub max_depth: usize,
    /// Documents in the stream, empty ones included. Default 1,000,000.
    pub max_documents: usize,
    /// Nodes that aliases may add to the stream, with 64 bytes of text for each. Default 500,000.
    /// What is held together although it comes from several streams shares one such bound: see
    /// [`Documents::expansion_left`].
    pub max_expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024 * 1024,
            max_depth: PARSER_DEPTH,
            max_documents: 1_000_000,
            max_expansion: 500_000,
        }
    }
}

/// One document of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value; never null.
    pub value: Value,
    /// Position among the documents of the stream that are not empty, from 0.
    pub index: usize,
    /// Line on which the document's text starts, from 1.
    pub line: usize,
}

/// Reads all documents of a stream, one at a time.
///
/// Where the first byte that is not blank is `{`, the stream is read as JSON objects that follow
/// one another, with or without line ends between them. When one of the first two is not JSON, or
/// a `---` follows an object, the rest is read as YAML. A YAML stream is split at lines that start
/// with `---`; of each part the first document counts. Documents without content are skipped. A
/// byte order mark and CR LF line ends are accepted. Nothing is read after an error.
pub fn documents<'a>(input: &'a [u8], limits: &Limits) -> Documents<'a> {
    let size = input.len();
    let rest = input.strip_prefix(BOM).unwrap_or(input);
    let blank = rest.len() - rest.trim_ascii_start().len();
    let json = rest.get(blank..).is_some_and(|text| text.starts_with(b"{"));
    Documents {
        rest,
        mode: if json { Mode::Json } else { Mode::Yaml },
        line: 1,
        index: 0,
        read: 0,
        failed: (size > limits.max_bytes).then_some(YamlError::TooLarge {
            size,
            limit: limits.max_bytes,
        }),
        budget: Budget::new(size, limits.max_expansion),
        limits: limits.clone(),
    }
}

/// Reads the first document of a stream into a type; an empty stream is null. Later documents are
/// ignored, as Go's `Unmarshal` does.
///
/// # Errors
/// The errors of [`documents`], and [`YamlError::Shape`] when the document does not fit the type.
pub fn from_slice<T: DeserializeOwned>(input: &[u8], limits: &Limits) -> Result<T, YamlError> {
    let value = match documents(input, limits).next() {
        Some(document) => document?.value,
        None => Value::Null,
    };
    serde_json::from_value(value).map_err(|source| YamlError::Shape { source })
}

/// Reads one part of a YAML stream: what stands between two separators, and no separator itself.
/// Of its documents the first counts; a part without content is `None`. For readers that split a
/// stream themselves, because they do not hold it whole; [`Limits::max_documents`] is theirs to keep.
/// Errors speak of document 0 and count lines from the start of the part.
///
/// # Errors
/// The errors of [`documents`].
pub fn part(text: &[u8], limits: &Limits) -> Result<Option<Value>, YamlError> {
    if text.len() > limits.max_bytes {
        return Err(YamlError::TooLarge {
            size: text.len(),
            limit: limits.max_bytes,
        });
    }
    if text.trim_ascii_start().is_empty() {
        return Ok(None);
    }
    let part = Documents {
        rest: &[],
        mode: Mode::Ended,
        line: 1,
        index: 0,
        read: 0,
        failed: None,
        budget: Budget::new(text.len(), limits.max_expansion),
        limits: limits.clone(),
    };
    let value = part.parse_yaml(text, 1)?;
    Ok((!value.is_null()).then_some(value))
}

/// The documents of a stream; see [`documents`].
#[derive(Debug)]
pub struct Documents<'a> {
    /// What has not been read.
    rest: &'a [u8],
    mode: Mode,
    /// Line on which `rest` starts.
    line: usize,
    /// Position of the next document that is not empty.
    index: usize,
    /// Documents read, empty ones included.
    read: usize,
    failed: Option<YamlError>,
    budget: Budget,
    limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Json,
    Yaml,
    Ended,
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, YamlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.mode = Mode::Ended;
            return Some(Err(error));
        }
        loop {
            let read = match self.mode {
                Mode::Ended => return None,
                Mode::Json => self.next_json(),
                Mode::Yaml => self.next_yaml(),
            };
            match read {
                Ok(Some((Value::Null, _))) => {}
                Ok(Some((value, line))) => {
                    let index = self.index;
                    self.index += 1;
                    return Some(Ok(Document { value, index, line }));
                }
                Ok(None) => {
                    // Either the end, or the rest is to be read in the other mode.
                    if self.mode == Mode::Ended {
                        return None;
                    }
                }
                Err(error) => {
                    self.mode = Mode::Ended;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Documents<'_> {
    /// What is left of [`Limits::max_expansion`]. Given to the next stream as its limit, many
    /// streams together expand no further than one may. Only aliases take from it.
    #[must_use]
    pub fn expansion_left(&self) -> usize {
        self.budget.expansion_left().min(self.limits.max_expansion)
    }

    fn count(&mut self) -> Result<(), YamlError> {
        if self.read >= self.limits.max_documents {
            return Err(YamlError::TooManyDocuments {
                limit: self.limits.max_documents,
            });
        }
        self.read += 1;
        Ok(())
    }

    fn consume(&mut self, length: usize) {
        let (read, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.line += count_lines(read);
        self.rest = rest;
    }

    fn next_json(&mut self) -> Result<Option<(Value, usize)>, YamlError> {
        let blank = self.rest.len() - self.rest.trim_ascii_start().len();
        self.consume(blank);
        if self.rest.is_empty() {
            self.mode = Mode::Ended;
            return Ok(None);
        }
        if self.rest.starts_with(b"---") {
            self.mode = Mode::Yaml;
            return Ok(None);
        }
        let mut stream = serde_json::Deserializer::from_slice(self.rest).into_iter::<Value>();
        match stream.next() {
            None => {
                self.mode = Mode::Ended;
                Ok(None)
            }
            Some(Ok(value)) => {
                let length = stream.byte_offset();
                self.count()?;
                let line = self.line;
                check_depth(&value, self.limits.max_depth).map_err(|limit| YamlError::TooDeep {
                    index: self.index,
                    line,
                    limit,
                })?;
                self.consume(length);
                Ok(Some((value, line)))
            }
            // Flow mappings of YAML start like JSON.
            Some(Err(error)) if self.read < 2 && error.is_syntax() => {
                self.mode = Mode::Yaml;
                match self.next_yaml() {
                    Err(YamlError::Yaml { index, .. }) => Err(self.json_error(index, error)),
                    read => Ok(read?),
                }
            }
            Some(Err(error)) => Err(self.json_error(self.index, error)),
        }
    }

    fn json_error(&self, index: usize, source: serde_json::Error) -> YamlError {
        YamlError::Json {
            index,
            line: self.line + source.line().saturating_sub(1),
            source,
        }
    }

    fn next_yaml(&mut self) -> Result<Option<(Value, usize)>, YamlError> {
        if self.rest.is_empty() {
            self.mode = Mode::Ended;
            return Ok(None);
        }
        let start = self.line;
        let rest = self.rest;
        let (length, next) = first_part(rest).map_err(|(offset, text)| YamlError::Separator {
            line: start + count_lines(rest.get(..offset).unwrap_or_default()),
            text,
        })?;
        let text = rest.get(..length).unwrap_or(rest);
        let empty = text.trim_ascii_start();
        let line = start + count_lines(text.get(..text.len() - empty.len()).unwrap_or_default());
        let value = if empty.is_empty() {
            Value::Null
        } else {
            self.count()?;
            self.parse_yaml(text, start)?
        };
        self.consume(next);
        Ok(Some((value, line)))
    }

    fn parse_yaml(&self, text: &[u8], line: usize) -> Result<Value, YamlError> {
        // JSON in a YAML stream: the JSON parser is many times faster and reads the same values.
        if text.trim_ascii_start().starts_with(b"{")
            && let Ok(value) = serde_json::from_slice::<Value>(text)
        {
            check_depth(&value, self.limits.max_depth).map_err(|limit| YamlError::TooDeep {
                index: self.index,
                line,
                limit,
            })?;
            return Ok(value);
        }
        if opens_beyond(text, MAX_OPEN) {
            return Err(YamlError::TooDeep {
                index: self.index,
                line,
                limit: self.limits.max_depth,
            });
        }
        let Some(deserializer) = yaml_serde::Deserializer::from_slice(text).next() else {
            return Ok(Value::Null);
        };
        let depth = self.limits.max_depth.min(PARSER_DEPTH);
        let build = Build {
            input: text,
            budget: &self.budget,
            depth,
        };
        build
            .deserialize(deserializer)
            .map_err(|source| YamlError::Yaml {
                index: self.index,
                line: line
                    + source
                        .location()
                        .map_or(0, |at| at.line().saturating_sub(1)),
                source,
            })
    }
}

/// Collections that a text may open before it is given to the YAML parser, whose work grows with
/// the square of the nesting. Far above the depth that is accepted, because the count also sees
/// brackets and dashes in text.
const MAX_OPEN: usize = 4096;

/// Whether more than `limit` collections seem to be open at once: brackets that are not closed, or
/// entries of sequences and mappings begun on one line.
fn opens_beyond(text: &[u8], limit: usize) -> bool {
    // Nearly every text has not even as many of these bytes, which is found out much faster.
    let count = |one: u8, other: u8| {
        let found = text.iter().filter(|byte| **byte == one || **byte == other);
        found.count()
    };
    if count(b'{', b'[') <= limit && count(b'-', b'?') <= limit {
        return false;
    }
    let (mut open, mut begun) = (0_usize, 0_usize);
    let mut leading = true;
    text.iter().any(|byte| {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        match byte {
            b'\n' => (leading, begun) = (true, 0),
            b' ' | b'\t' => {}
            b'-' | b'?' if leading => begun += 1,
            _ => leading = false,
        }
        open > limit || begun > limit
    })
}

/// Length of the first part of a YAML stream, and where the next part begins. The error is the
/// offset and the text of an invalid separator.
fn first_part(stream: &[u8]) -> Result<(usize, usize), (usize, String)> {
    let mut offset = 0;
    for line in stream.split_inclusive(|b| *b == b'\n') {
        let next = offset + line.len();
        if let Some(after) = line.strip_prefix(b"---") {
            let after = String::from_utf8_lossy(after);
            let after = after.trim();
            if !after.is_empty() && !after.starts_with('#') {
                return Err((offset, after.to_owned()));
            }
            return Ok((offset, next));
        }
        offset = next;
    }
    Ok((stream.len(), stream.len()))
}

fn count_lines(text: &[u8]) -> usize {
    text.split(|b| *b == b'\n').count() - 1
}

/// The JSON parser has a fixed depth; a lower limit is checked on what it read.
fn check_depth(value: &Value, limit: usize) -> Result<(), usize> {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(values) => left > 0 && values.iter().all(|value| within(value, left - 1)),
            Value::Object(map) => left > 0 && map.values().all(|value| within(value, left - 1)),
            _ => true,
        }
    }
    if limit >= PARSER_DEPTH || within(value, limit) {
        Ok(())
    } else {
        Err(limit)
    }
}
