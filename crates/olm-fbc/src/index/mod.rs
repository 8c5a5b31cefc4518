//! Which bytes of a catalog's lines belong to a schema, a package or a name.
//!
//! A catalog is served as one file of JSON lines. A reader who wants one package gets the lines of
//! that package, which are found through a second file: the index. It is written while the lines
//! are, never changed, and read by offset, so that a look-up costs a few small reads whatever the
//! size of the catalog.
//!
//! # The file
//!
//! All numbers are little-endian. There are no gaps; each part begins where the one before ends.
//!
//! | Part | Bytes | Content |
//! |---|---|---|
//! | magic | 8 | `OLM-FBC` and a zero byte |
//! | version | 4 | 1 |
//! | metas | 4 | number of lines, n |
//! | keys | 3 × 4 | distinct values of `schema`, `package` and `name` |
//! | uses | 3 × 4 | lines that have a `schema`, a `package` and a `name` |
//! | content length | 8 | bytes of the file of lines |
//! | content | 32 | SHA-256 of the text that names the content, such as its digest |
//! | checksum | 32 | SHA-256 of all other bytes of the file |
//! | lines | n × 24 | offset (8), length with the line feed (4), and the numbers of its schema, package and name (3 × 4), `u32::MAX` for none |
//! | keys of the schemas, packages, names | each 24 | the first 16 bytes of the value's SHA-256, first use (4), number of uses (4); sorted by the former |
//! | uses of the schemas, packages, names | each 4 | numbers of lines, rising within each key |
//!
//! Values are known by their SHA-256 alone: two values that share 128 bits of it cannot be made.
//! Empty values are not indexed.
//!
//! Every number is checked when it is read. A file that is torn, belongs to other content or was
//! written by another version is an error.

mod build;
mod read;

use sha2::{Digest as _, Sha256};

pub use self::build::IndexBuilder;
pub use self::read::{Index, IndexError, ReadAt};

/// First bytes of an index.
const MAGIC: [u8; 8] = *b"OLM-FBC\0";
/// Version of the format. Other versions are not read; the content is indexed again.
const VERSION: u32 = 1;
/// Bytes before the checksum.
const HEAD: usize = 80;
/// Bytes of a SHA-256.
const SUM: usize = 32;
/// Bytes before the lines.
const HEADER: usize = HEAD + SUM;
/// Bytes of a line's record.
const LINE: usize = 24;
/// Bytes of a key's record.
const KEY: usize = 24;
/// Bytes of a use.
const USE: usize = 4;
/// The number that stands for "has no such value".
const NONE: u32 = u32::MAX;
/// Fields that are indexed.
const FIELDS: usize = 3;

/// What stands for a value.
type Key = [u8; 16];

fn key(value: &str) -> Key {
    let mut key = Key::default();
    let sum = Sha256::digest(value.as_bytes());
    for (to, from) in key.iter_mut().zip(sum) {
        *to = from;
    }
    key
}

#[cfg(test)]
mod tests;
