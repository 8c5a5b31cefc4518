//! Writing an index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::{FIELDS, HEAD, Key, MAGIC, NONE, VERSION, key};

/// Collects what an index says while the lines are written; see the [module](super).
///
/// It holds 24 bytes for each line and about 40 for each distinct value.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    lines: Vec<Line>,
    /// Numbers of the values of each field, in the order in which they were met.
    numbers: [HashMap<Key, u32>; FIELDS],
    length: u64,
}

#[derive(Debug, Clone, Copy)]
struct Line {
    offset: u64,
    length: u32,
    values: [u32; FIELDS],
}

impl IndexBuilder {
    /// An index of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next line, of `length` bytes with its line feed. An empty value is none.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the line has 4 GiB or more, or there are 2³² lines.
    pub fn push(&mut self, schema: &str, package: &str, name: &str, length: u64) -> io::Result<()> {
        let refuse = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
        let short = u32::try_from(length).map_err(|_| refuse("line too long for an index"))?;
        let mut values = [NONE; FIELDS];
        let fields = self.numbers.iter_mut().zip([schema, package, name]);
        for (to, (numbers, value)) in values.iter_mut().zip(fields) {
            if value.is_empty() {
                continue;
            }
            // One number is left for NONE.
            let next = u32::try_from(numbers.len()).ok().filter(|n| *n < NONE);
            let next = next.ok_or_else(|| refuse("too many values for an index"))?;
            *to = *numbers.entry(key(value)).or_insert(next);
        }
        if self.lines.len() >= NONE as usize {
            return Err(refuse("too many lines for an index"));
        }
        self.lines.push(Line {
            offset: self.length,
            length: short,
            values,
        });
        self.length += length;
        Ok(())
    }

    /// Lines so far.
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of these lines.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the builder back to when it had `lines` lines; more than it has changes nothing.
    pub fn truncate(&mut self, lines: usize) {
        if let Some(line) = self.lines.get(lines) {
            self.length = line.offset;
            self.lines.truncate(lines);
        }
    }

    /// Takes back, of the lines from number `from` on, those of the given packages, the package
    /// documents themselves included. Gives the bytes of those that stay, as they were before.
    pub fn take_back(&mut self, from: usize, packages: &BTreeSet<String>) -> Vec<Range<u64>> {
        let number = |field: usize, value: &str| {
            let numbers = self.numbers.get(field);
            numbers.and_then(|numbers| numbers.get(&key(value)).copied())
        };
        let package_schema = number(0, "olm.package");
        let of_package: HashSet<u32> = packages.iter().filter_map(|p| number(1, p)).collect();
        let of_name: HashSet<u32> = packages.iter().filter_map(|p| number(2, p)).collect();
        let taken: Vec<Line> = self.lines.drain(from.min(self.lines.len())..).collect();
        let mut kept: Vec<Range<u64>> = Vec::new();
        if let Some(first) = taken.first() {
            self.length = first.offset;
        }
        for line in taken {
            let [schema, package, name] = line.values;
            let is_package = Some(schema) == package_schema && package == NONE;
            if of_package.contains(&package) || is_package && of_name.contains(&name) {
                continue;
            }
            let end = line.offset + u64::from(line.length);
            match kept.last_mut() {
                Some(last) if last.end == line.offset => last.end = end,
                _ => kept.push(line.offset..end),
            }
            self.lines.push(Line {
                offset: self.length,
                ..line
            });
            self.length += u64::from(line.length);
        }
        kept
    }

    /// Writes the index of the content that `content` names, such as by its digest.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, content: &str, mut to: impl Write) -> io::Result<()> {
        let tables: Vec<Table> = (0..FIELDS).map(|field| self.table(field)).collect();
        let mut head = Vec::with_capacity(HEAD);
        head.extend(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend(count(self.lines.len())?.to_le_bytes());
        for table in &tables {
            head.extend(count(table.keys.len())?.to_le_bytes());
        }
        for table in &tables {
            head.extend(count(table.uses.len())?.to_le_bytes());
        }
        head.extend(self.length.to_le_bytes());
        head.extend(Sha256::digest(content.as_bytes()));
        let mut sum = Sha256::new();
        sum.update(&head);
        self.parts(&tables, &mut |bytes| {
            sum.update(bytes);
            Ok(())
        })?;
        to.write_all(&head)?;
        to.write_all(&sum.finalize())?;
        self.parts(&tables, &mut |bytes| to.write_all(bytes))?;
        to.flush()
    }

    /// What follows the header, in pieces.
    fn parts(
        &self,
        tables: &[Table],
        to: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut pieces = Pieces {
            buffer: Vec::with_capacity(PIECE),
            to,
        };
        for line in &self.lines {
            pieces.put(&line.offset.to_le_bytes())?;
            pieces.put(&line.length.to_le_bytes())?;
            for (value, table) in line.values.iter().zip(tables) {
                let number = table.renumbered.get(*value as usize).copied();
                pieces.put(&number.unwrap_or(NONE).to_le_bytes())?;
            }
        }
        for table in tables {
            let mut first = 0_u32;
            for (key, uses) in &table.keys {
                pieces.put(key)?;
                pieces.put(&first.to_le_bytes())?;
                pieces.put(&uses.to_le_bytes())?;
                first += uses;
            }
        }
        for table in tables {
            for line in &table.uses {
                pieces.put(&line.to_le_bytes())?;
            }
        }
        pieces.end()
    }

    /// The sorted keys of a field and the lines that use them. Values whose lines were all taken
    /// back are left out.
    fn table(&self, field: usize) -> Table {
        let Some(numbers) = self.numbers.get(field) else {
            return Table::default();
        };
        let mut uses_of = vec![0_u32; numbers.len()];
        let value_of = |line: &Line| line.values.get(field).copied().unwrap_or(NONE) as usize;
        for line in &self.lines {
            if let Some(uses) = uses_of.get_mut(value_of(line)) {
                *uses += 1;
            }
        }
        let uses = |number: u32| uses_of.get(number as usize).copied().unwrap_or(0);
        let mut sorted: Vec<(Key, u32)> = numbers
            .iter()
            .map(|(key, number)| (*key, *number))
            .filter(|(_, number)| uses(*number) > 0)
            .collect();
        sorted.sort_unstable();
        let mut renumbered = vec![NONE; numbers.len()];
        let mut next_use = vec![0_usize; numbers.len()];
        let mut total = 0;
        for (new, (_, old)) in (0_u32..).zip(&sorted) {
            if let (Some(number), Some(first)) = (
                renumbered.get_mut(*old as usize),
                next_use.get_mut(*old as usize),
            ) {
                *number = new;
                *first = total;
            }
            total += uses(*old) as usize;
        }
        let mut lines = vec![0_u32; total];
        for (number, line) in (0_u32..).zip(&self.lines) {
            if let Some(at) = next_use.get_mut(value_of(line)) {
                if let Some(to) = lines.get_mut(*at) {
                    *to = number;
                }
                *at += 1;
            }
        }
        Table {
            keys: sorted
                .iter()
                .map(|(key, number)| (*key, uses(*number)))
                .collect(),
            uses: lines,
            renumbered,
        }
    }
}

/// A field of the index.
#[derive(Debug, Default)]
struct Table {
    /// Keys, sorted, with the number of their uses.
    keys: Vec<(Key, u32)>,
    /// Lines by key.
    uses: Vec<u32>,
    /// From the numbers of the builder to those of the file.
    renumbered: Vec<u32>,
}

/// Bytes that are handed on at a time.
const PIECE: usize = 32 << 10;

struct Pieces<'a> {
    buffer: Vec<u8>,
    to: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
}

impl Pieces<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > PIECE {
            (self.to)(&self.buffer)?;
            self.buffer.clear();
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        (self.to)(&self.buffer)
    }
}

fn count(length: usize) -> io::Result<u32> {
    u32::try_from(length)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too much for an index"))
}
