//! What is known about the content that a catalog serves.

use jiff::Timestamp;
use olm_fs::Digest;
use serde::{Deserialize, Serialize};

/// Version of the store: of the rules by which content is made from an image, and of the files it
/// lies in. Content of other versions, older or newer, is removed and made again, so a release that
/// changes either raises it.
pub(crate) const FORMAT: u32 = 2;

/// Most broken files that a record names; further ones are only counted.
pub(crate) const BROKEN_FILES_KEPT: usize = 20;

/// Longest error text that is kept of one broken file, in bytes.
pub(crate) const BROKEN_TEXT_MAX: usize = 512;

/// Content made from one image, as one catalog serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// UID of the Catalog, so that a new one of the same name is told from the one before.
    pub uid: String,
    /// Digest of the content; its strong entity tag.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub length: u64,
    /// Digest of the image it was made from.
    pub image: Digest,
    /// When this catalog began to serve content with this digest, in whole seconds.
    pub modified: Timestamp,
    /// When the image was unpacked for this catalog, in whole seconds.
    pub unpacked: Timestamp,
    /// Files of the image that were left out because they could not be read.
    pub broken: BrokenFiles,
}

/// Files that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenFiles {
    /// The first of them in path order, at most 20.
    pub first: Vec<BrokenFile>,
    /// How many there are in all.
    pub count: u64,
}

/// One file that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenFile {
    /// Its path in the image.
    pub path: String,
    /// Why it cannot be read.
    pub error: String,
}

impl BrokenFiles {
    /// Adds one, keeping it if there is room.
    pub fn push(&mut self, path: &str, error: &str) {
        self.count += 1;
        if self.first.len() < BROKEN_FILES_KEPT {
            self.first.push(BrokenFile {
                path: clipped(path, BROKEN_TEXT_MAX),
                error: clipped(error, BROKEN_TEXT_MAX),
            });
        }
    }
}

/// At most `limit` bytes of `text`, with an ellipsis where something was cut.
pub(crate) fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The file form of a [`Record`].
#[derive(Serialize, Deserialize)]
struct Stored {
    format: u32,
    uid: String,
    digest: String,
    length: u64,
    image: String,
    modified: Timestamp,
    unpacked: Timestamp,
    #[serde(default)]
    broken: BrokenFiles,
}

impl Record {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&Stored {
            format: FORMAT,
            uid: self.uid.clone(),
            digest: self.digest.as_str().to_owned(),
            length: self.length,
            image: self.image.as_str().to_owned(),
            modified: self.modified,
            unpacked: self.unpacked,
            broken: self.broken.clone(),
        })
    }

    /// Reads a record; `None` when it is damaged or of another format.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        if stored.format != FORMAT {
            return None;
        }
        Some(Self {
            uid: stored.uid,
            digest: stored.digest.parse().ok()?,
            length: stored.length,
            image: stored.image.parse().ok()?,
            modified: stored.modified,
            unpacked: stored.unpacked,
            broken: stored.broken,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written_and_damage_is_seen() {
        let mut broken = BrokenFiles::default();
        broken.push("configs/a.yaml", "bad");
        let record = Record {
            uid: "1234".to_owned(),
            digest: Digest::of(b"content"),
            length: 7,
            image: Digest::of(b"image"),
            modified: Timestamp::UNIX_EPOCH,
            unpacked: Timestamp::UNIX_EPOCH,
            broken,
        };
        let bytes = record.to_bytes().unwrap();
        assert_eq!(Record::from_bytes(&bytes), Some(record));
        assert_eq!(Record::from_bytes(&bytes[..bytes.len() - 1]), None);
        let other = String::from_utf8(bytes).unwrap();
        let other = other.replace("\"format\":2", "\"format\":0");
        assert_eq!(Record::from_bytes(other.as_bytes()), None);
    }

    #[test]
    fn many_broken_files_are_counted_and_few_are_kept() {
        let mut broken = BrokenFiles::default();
        for n in 0..100 {
            broken.push(&n.to_string(), &"ü".repeat(1000));
        }
        assert_eq!((broken.count, broken.first.len()), (100, BROKEN_FILES_KEPT));
        assert!(broken.first[0].error.len() <= BROKEN_TEXT_MAX);
        assert!(broken.first[0].error.ends_with('…'));
    }
}
