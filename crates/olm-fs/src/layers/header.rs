//! One tar entry: its extension headers, its cleaned path.
//!
//! The archive is read entry by entry in raw form and the extension headers are interpreted here,
//! because the tar crate would read them whole into memory, however long they claim to be.

use std::io::Read;

use tar::{Entry, EntryType, PaxExtensions};

use super::caps::{Cap, Caps, MAX_DEPTH};
use super::error::LayerError;

/// Longest extension header (PAX records, GNU long names).
const MAX_EXTENSION: u64 = 1 << 20;

/// What the extension headers before an entry said about it.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Extensions {
    /// Takes an extension header in; `false` when `entry` is none.
    pub(super) fn absorb<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        last: &str,
    ) -> Result<bool, Absorb> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => self.path = Some(text(entry, last)?),
            EntryType::GNULongLink => self.link = Some(text(entry, last)?),
            EntryType::XHeader => {
                let records = content(entry, last)?;
                self.records(&records, last)?;
            }
            // Comments for the whole archive. What they could set for every entry is not wanted.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn records(&mut self, records: &[u8], last: &str) -> Result<(), LayerError> {
        let bad = |reason| LayerError::Path {
            entry: format!("after {last}"),
            reason,
        };
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| bad("malformed PAX record"))?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|v| v.parse().ok());
                    self.size = Some(size.ok_or_else(|| bad("malformed PAX size"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Failure while an extension header is read: with or without a better name than the decoder's.
#[derive(Debug)]
pub(super) enum Absorb {
    Refused(LayerError),
    Stream(std::io::Error),
}

impl From<LayerError> for Absorb {
    fn from(error: LayerError) -> Self {
        Self::Refused(error)
    }
}

fn content<R: Read>(entry: &mut Entry<'_, R>, last: &str) -> Result<Vec<u8>, Absorb> {
    let size = entry.header().entry_size().map_err(Absorb::Stream)?;
    if size > MAX_EXTENSION {
        return Err(Absorb::Refused(LayerError::Cap {
            cap: Cap::HeaderBytes,
            limit: MAX_EXTENSION,
            entry: last.to_owned(),
        }));
    }
    let mut bytes = Vec::new();
    entry
        .take(MAX_EXTENSION)
        .read_to_end(&mut bytes)
        .map_err(Absorb::Stream)?;
    if bytes.len() as u64 != size {
        return Err(Absorb::Stream(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}

fn text<R: Read>(entry: &mut Entry<'_, R>, last: &str) -> Result<Vec<u8>, Absorb> {
    let mut bytes = content(entry, last)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { size: u64 },
    HardLink,
    SymbolicLink,
    Special(&'static str),
}

/// An entry with its extensions applied.
#[derive(Debug)]
pub(super) struct Member {
    /// Cleaned; the root is empty. `None`: a name that no tree can hold (not UTF-8, a backslash).
    pub(super) path: Option<String>,
    /// For messages.
    pub(super) shown: String,
    pub(super) kind: Kind,
    /// Cleaned target of a hard link.
    pub(super) target: Option<String>,
}

/// Reads the header of `entry`.
pub(super) fn member<R: Read>(
    entry: &Entry<'_, R>,
    extensions: Extensions,
    caps: &Caps,
) -> Result<Member, Absorb> {
    let header = entry.header();
    let raw = extensions
        .path
        .unwrap_or_else(|| header.path_bytes().into_owned());
    let shown = printable(&raw);
    let refuse = |reason| LayerError::Path {
        entry: shown.clone(),
        reason,
    };
    let size = header.entry_size().map_err(Absorb::Stream)?;
    if extensions.sparse || header.entry_type() == EntryType::GNUSparse {
        return Err(refuse("sparse files are not supported").into());
    }
    // Parsers disagree on which of the two counts; a stream that depends on it is refused.
    if extensions.size.is_some_and(|other| other != size) {
        return Err(refuse("two different sizes in its headers").into());
    }
    let path = clean(&raw, caps, &shown)?;
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Directory,
        // Before POSIX a directory was a file whose name ends with a slash.
        EntryType::Regular if raw.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File { size },
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::SymbolicLink,
        EntryType::Char => Kind::Special("it is a character device"),
        EntryType::Block => Kind::Special("it is a block device"),
        EntryType::Fifo => Kind::Special("it is a FIFO"),
        _ => Kind::Special("its type is unknown"),
    };
    let target = if kind == Kind::HardLink {
        let raw = extensions
            .link
            .or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned))
            .unwrap_or_default();
        // Archivers write the targets of hard links as they write names: from the root.
        let shown = format!("{shown} -> {}", printable(&raw));
        clean(raw.strip_prefix(b"/").unwrap_or(&raw), caps, &shown)?
    } else {
        None
    };
    Ok(Member {
        path,
        shown,
        kind,
        target,
    })
}

/// The cleaned path; refuses what could lead out of the root, `None` for a name that is harmless
/// but that no tree can hold.
fn clean(raw: &[u8], caps: &Caps, shown: &str) -> Result<Option<String>, LayerError> {
    let refuse = |reason| {
        Err(LayerError::Path {
            entry: shown.to_owned(),
            reason,
        })
    };
    let cap = |cap, limit: usize| {
        Err(LayerError::Cap {
            cap,
            limit: limit as u64,
            entry: shown.to_owned(),
        })
    };
    if raw.is_empty() {
        return refuse("its path is empty");
    }
    if raw.contains(&0) {
        return refuse("its path holds a NUL");
    }
    if raw.starts_with(b"/") {
        return refuse("its path is absolute");
    }
    if raw.len() > caps.path_bytes {
        return cap(Cap::PathBytes, caps.path_bytes);
    }
    if raw
        .split(|b| *b == b'/')
        .any(|component| component == b"..")
    {
        return refuse("its path holds `..`");
    }
    let Ok(text) = std::str::from_utf8(raw) else {
        return Ok(None);
    };
    if text.contains('\\') {
        return Ok(None);
    }
    let components: Vec<_> = text
        .split('/')
        .filter(|component| !matches!(*component, "" | "."))
        .collect();
    if components.len() > MAX_DEPTH {
        return cap(Cap::PathDepth, MAX_DEPTH);
    }
    Ok(Some(components.join("/")))
}

/// A path as it may stand in a message: printable, at most 256 characters.
fn printable(raw: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(raw);
    lossy
        .chars()
        .take(256)
        .flat_map(char::escape_debug)
        .collect()
}
