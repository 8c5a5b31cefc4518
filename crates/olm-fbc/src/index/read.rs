//! Looking things up in an index.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::{FIELDS, HEAD, HEADER, KEY, Key, LINE, MAGIC, NONE, SUM, USE, VERSION, key};

/// Most bytes that one look-up reads at a time.
const WINDOW: usize = 8 << 10;

/// Something that can be read at any offset, by several readers at once.
pub trait ReadAt {
    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when there are not as many, and those of the medium.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Number of bytes.
    ///
    /// # Errors
    /// Those of the medium.
    fn length(&self) -> io::Result<u64>;
}

#[cfg(unix)]
impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let end = from.and_then(|from| from.checked_add(buffer.len()));
        let bytes = from.zip(end).and_then(|(from, end)| self.get(from..end));
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.as_slice().length()
    }
}

impl<T: ReadAt + ?Sized> ReadAt for Arc<T> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }
}

/// Why a file cannot be used as an index.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// It cannot be read.
    #[error("index cannot be read")]
    Io {
        /// What the medium says.
        #[from]
        source: io::Error,
    },
    /// It is no index of this version.
    #[error("file is not an index of version {VERSION}")]
    Foreign,
    /// It is the index of other content.
    #[error("index is of other content")]
    OtherContent,
    /// It is torn or was changed.
    #[error("index is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
}

/// An index that is read by offset; see the [module](super). Look-ups may run at the same time.
#[derive(Debug)]
pub struct Index<R> {
    file: R,
    length: u64,
    lines: u32,
    fields: [Field; FIELDS],
}

/// Where the parts of one field are.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    keys: u32,
    keys_at: u64,
    uses: u32,
    uses_at: u64,
}

/// The uses of one value.
#[derive(Debug, Clone, Copy)]
struct Found {
    field: usize,
    number: u32,
    first: u32,
    uses: u32,
}

impl<R: ReadAt> Index<R> {
    /// Opens the index of the content that `content` names and that has `length` bytes. Reads the
    /// whole file once, in pieces, for its checksum.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn open(file: R, content: &str, length: u64) -> Result<Self, IndexError> {
        let size = file.length()?;
        if size < HEADER as u64 {
            return Err(damaged("it is too short"));
        }
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        let (head, sum) = header.split_at(HEAD);
        let mut fields = Fields(head);
        if fields.take::<8>()? != MAGIC || fields.number()? != VERSION {
            return Err(IndexError::Foreign);
        }
        let lines = fields.number()?;
        let mut parts = [Field::default(); FIELDS];
        for part in &mut parts {
            part.keys = fields.number()?;
        }
        for part in &mut parts {
            part.uses = fields.number()?;
        }
        let of_length = u64::from_le_bytes(fields.take()?);
        let of_content: [u8; SUM] = fields.take()?;
        // At most 2³² records of 24 bytes each: no sum overflows.
        let mut at = HEADER as u64 + u64::from(lines) * LINE as u64;
        for part in &mut parts {
            part.keys_at = at;
            at += u64::from(part.keys) * KEY as u64;
        }
        for part in &mut parts {
            part.uses_at = at;
            at += u64::from(part.uses) * USE as u64;
        }
        if at != size {
            return Err(damaged("its size is not what its header says"));
        }
        if check_sum(&file, head, size)? != *sum {
            return Err(damaged("its checksum does not match"));
        }
        if of_length != length || of_content != *Sha256::digest(content.as_bytes()) {
            return Err(IndexError::OtherContent);
        }
        Ok(Self {
            file,
            length,
            lines,
            fields: parts,
        })
    }

    /// Number of lines.
    pub const fn lines(&self) -> u32 {
        self.lines
    }

    /// The bytes of the lines that have all the given values, in the order of the file; ranges that
    /// touch are one. A value that is empty is as good as not given; where none is given, the whole
    /// content is selected.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when the index contradicts itself, and those of the medium.
    pub fn select(
        &self,
        schema: Option<&str>,
        package: Option<&str>,
        name: Option<&str>,
    ) -> io::Result<Vec<Range<u64>>> {
        let selected = self.select_within(schema, package, name, u32::MAX)?;
        selected.ok_or_else(contradiction)
    }

    /// The same if it takes a look at no more than `most` lines; `None` otherwise. With a small
    /// number this takes some microseconds where the file is in the system's cache, less than to
    /// have another thread do it.
    ///
    /// # Errors
    /// Those of [`select`](Self::select).
    pub fn select_within(
        &self,
        schema: Option<&str>,
        package: Option<&str>,
        name: Option<&str>,
        most: u32,
    ) -> io::Result<Option<Vec<Range<u64>>>> {
        let mut wanted = Vec::with_capacity(FIELDS);
        for (field, value) in [schema, package, name].into_iter().enumerate() {
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            match self.find(field, &key(value))? {
                Some(found) => wanted.push(found),
                None => return Ok(Some(Vec::new())),
            }
        }
        let Some(fewest) = wanted.iter().min_by_key(|found| found.uses).copied() else {
            let whole = 0..self.length;
            return Ok(Some(if whole.is_empty() {
                Vec::new()
            } else {
                vec![whole]
            }));
        };
        if fewest.uses > most {
            return Ok(None);
        }
        wanted.retain(|found| found.field != fewest.field);
        self.ranges(fewest, &wanted).map(Some)
    }

    /// The lines that use `fewest` and all of `others`.
    fn ranges(&self, fewest: Found, others: &[Found]) -> io::Result<Vec<Range<u64>>> {
        let field = self.field(fewest.field)?;
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut uses = vec![0; WINDOW.min(fewest.uses as usize * USE)];
        let mut records = Records::new(self);
        let (mut left, mut at) = (
            fewest.uses as usize,
            field.uses_at + u64::from(fewest.first) * USE as u64,
        );
        let mut before = None;
        while left > 0 {
            let count = left.min(uses.len() / USE);
            let window = uses.get_mut(..count * USE).ok_or_else(contradiction)?;
            self.file.read_exact_at(window, at)?;
            left -= count;
            at += (count * USE) as u64;
            let mut window = Fields(window);
            for _ in 0..count {
                let number = window.number()?;
                // Rising numbers: so the ranges are sorted, and no line is there twice.
                if before.is_some_and(|before| before >= number) {
                    return Err(contradiction());
                }
                before = Some(number);
                let line = records.get(number, fewest.uses)?;
                if line.values.get(fewest.field) != Some(&fewest.number) {
                    return Err(contradiction());
                }
                let fits = |other: &Found| line.values.get(other.field) == Some(&other.number);
                if !others.iter().all(fits) {
                    continue;
                }
                match ranges.last_mut() {
                    Some(last) if last.end == line.range.start => last.end = line.range.end,
                    Some(last) if last.end > line.range.start => return Err(contradiction()),
                    _ => ranges.push(line.range),
                }
            }
        }
        Ok(ranges)
    }

    /// The key with that sum: a binary search whose last steps are done on one read.
    fn find(&self, number: usize, wanted: &Key) -> io::Result<Option<Found>> {
        let field = self.field(number)?;
        let (mut from, mut to) = (0_u32, field.keys);
        let mut window = [0; WINDOW];
        let fits = u32::try_from(WINDOW / KEY).unwrap_or(1);
        while to - from > fits {
            let middle = from + (to - from) / 2;
            let mut sum = Key::default();
            self.file
                .read_exact_at(&mut sum, field.keys_at + u64::from(middle) * KEY as u64)?;
            match sum.cmp(wanted) {
                Ordering::Greater => to = middle,
                Ordering::Equal | Ordering::Less => from = middle,
            }
        }
        let bytes = window
            .get_mut(..(to - from) as usize * KEY)
            .ok_or_else(contradiction)?;
        self.file
            .read_exact_at(bytes, field.keys_at + u64::from(from) * KEY as u64)?;
        let mut entries = Fields(bytes);
        for entry in from..to {
            let sum: Key = entries.take()?;
            let (first, uses) = (entries.number()?, entries.number()?);
            if sum != *wanted {
                continue;
            }
            let end = first.checked_add(uses).ok_or_else(contradiction)?;
            if end > field.uses || uses == 0 {
                return Err(contradiction());
            }
            return Ok(Some(Found {
                field: number,
                number: entry,
                first,
                uses,
            }));
        }
        Ok(None)
    }

    fn field(&self, number: usize) -> io::Result<&Field> {
        self.fields.get(number).ok_or_else(contradiction)
    }
}

/// One line as the index knows it.
#[derive(Debug)]
struct Line {
    range: Range<u64>,
    values: [u32; FIELDS],
}

/// Reads records of lines, several at once where many are asked for.
struct Records<'a, R> {
    index: &'a Index<R>,
    /// The records that `window` holds.
    held: Range<u32>,
    window: Vec<u8>,
}

impl<'a, R: ReadAt> Records<'a, R> {
    const fn new(index: &'a Index<R>) -> Self {
        Self {
            index,
            held: 0..0,
            window: Vec::new(),
        }
    }

    /// The record of a line; `wanted` is about how many more will be asked for, with rising
    /// numbers.
    fn get(&mut self, number: u32, wanted: u32) -> io::Result<Line> {
        let index = self.index;
        if number >= index.lines {
            return Err(contradiction());
        }
        if !self.held.contains(&number) {
            let most = u32::try_from(WINDOW / LINE).unwrap_or(1);
            let count = (index.lines - number).min(most).min(wanted.max(1));
            self.window.resize(count as usize * LINE, 0);
            self.held = 0..0;
            let at = HEADER as u64 + u64::from(number) * LINE as u64;
            index.file.read_exact_at(&mut self.window, at)?;
            self.held = number..number + count;
        }
        let at = (number - self.held.start) as usize * LINE;
        let record = self.window.get(at..at + LINE).ok_or_else(contradiction)?;
        let mut record = Fields(record);
        let offset = u64::from_le_bytes(record.take()?);
        let length = record.number()?;
        let mut values = [NONE; FIELDS];
        for (value, field) in values.iter_mut().zip(&index.fields) {
            *value = record.number()?;
            if *value != NONE && *value >= field.keys {
                return Err(contradiction());
            }
        }
        let end = offset.checked_add(u64::from(length));
        let end = end.filter(|end| *end <= index.length && length > 0);
        let end = end.ok_or_else(contradiction)?;
        Ok(Line {
            range: offset..end,
            values,
        })
    }
}

/// Numbers in a row.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk().ok_or_else(contradiction)?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }
}

fn check_sum(file: &impl ReadAt, head: &[u8], size: u64) -> io::Result<[u8; SUM]> {
    let mut sum = Sha256::new();
    sum.update(head);
    let mut piece = vec![0; 32 << 10];
    let mut at = HEADER as u64;
    while at < size {
        let count = usize::try_from(size - at).map_or(piece.len(), |left| left.min(piece.len()));
        let bytes = piece.get_mut(..count).ok_or_else(contradiction)?;
        file.read_exact_at(bytes, at)?;
        sum.update(bytes);
        at += count as u64;
    }
    Ok(sum.finalize().into())
}

const fn damaged(what: &'static str) -> IndexError {
    IndexError::Damaged { what }
}

fn contradiction() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "index contradicts itself")
}
