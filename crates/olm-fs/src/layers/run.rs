//! One layer, entry by entry: what it puts, replaces and removes.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};

use cap_std::fs::{Dir, OpenOptions};
use olm_tree::RelPath;

use super::Applied;
use super::caps::{Cap, Caps};
use super::decode::{self, Meter};
use super::error::LayerError;
use super::filter::PathFilter;
use super::header::{self, Absorb, Extensions, Kind, Member};

/// The prefix of a whiteout.
const WHITEOUT: &str = ".wh.";
/// The rest of the name that makes a directory opaque.
const OPAQUE: &str = ".wh..opq";
/// Bytes of a file that are written at a time.
const PIECE: usize = 64 << 10;

/// The application of one layer.
pub(super) struct Run<'a> {
    root: &'a Dir,
    filter: &'a PathFilter,
    caps: &'a Caps,
    applied: &'a mut Applied,
    /// Whether names may be whiteouts.
    pub(super) whiteouts: bool,
    /// What this layer put there itself, which its own whiteouts leave alone.
    written: BTreeSet<String>,
    /// Paths below which this layer has hidden everything lower already: hiding it once more is
    /// free, or an archive of whiteouts could list a large directory without end.
    hidden: HashSet<String>,
    /// The last entry, for messages.
    last: String,
    /// What is written next.
    piece: Vec<u8>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        root: &'a Dir,
        filter: &'a PathFilter,
        caps: &'a Caps,
        applied: &'a mut Applied,
    ) -> Self {
        Self {
            root,
            filter,
            caps,
            applied,
            whiteouts: true,
            written: BTreeSet::new(),
            hidden: HashSet::new(),
            last: String::from("(first)"),
            piece: vec![0; PIECE],
        }
    }

    pub(super) fn layer(&mut self, layer: impl Read, meter: &Meter) -> Result<(), LayerError> {
        let (compression, mut head) =
            decode::detect(layer, meter).map_err(|e| self.stream(meter, e))?;
        let mut tar =
            decode::expand(compression, &mut head, meter).map_err(|e| self.stream(meter, e))?;
        let mut archive = tar::Archive::new(&mut tar);
        let mut extensions = Extensions::default();
        for entry in archive
            .entries()
            .map_err(|e| self.stream(meter, e))?
            .raw(true)
        {
            let mut entry = entry.map_err(|e| self.stream(meter, e))?;
            let last = self.last.clone();
            self.count(&last)?;
            let absorbed = extensions.absorb(&mut entry, &self.last);
            if absorbed.map_err(|e| self.absorb(meter, e))? {
                continue;
            }
            let member = header::member(&entry, std::mem::take(&mut extensions), self.caps)
                .map_err(|e| self.absorb(meter, e))?;
            self.last.clone_from(&member.shown);
            self.member(&member, &mut entry, meter)?;
        }
        // Behind the archive's end: its padding and the checksum of the compression, then whatever
        // the layer has left.
        io::copy(&mut tar, &mut io::sink()).map_err(|e| self.stream(meter, e))?;
        drop(tar);
        io::copy(&mut head, &mut io::sink()).map_err(|e| self.stream(meter, e))?;
        Ok(())
    }

    fn member(
        &mut self,
        member: &Member,
        content: &mut impl Read,
        meter: &Meter,
    ) -> Result<(), LayerError> {
        let Some(text) = &member.path else {
            self.applied.skipped += 1;
            return Ok(());
        };
        let path = RelPath::parse(text).map_err(|_| LayerError::Path {
            entry: member.shown.clone(),
            reason: "it is not a relative path",
        })?;
        let name = path.as_str().rsplit('/').next().unwrap_or_default();
        if self.whiteouts
            && let Some(hidden) = name.strip_prefix(WHITEOUT)
        {
            return self.whiteout(&path, hidden, member);
        }
        if !self.filter.keeps(&path) {
            // A file or link where a kept folder's parent was: the folder is gone.
            if member.kind != Kind::Directory && self.filter.covers(&path) {
                self.remove(path.as_str())?;
            }
            return Ok(());
        }
        match member.kind {
            Kind::Directory => self.directory(&path)?,
            Kind::File { size } => self.file(&path, size, content, meter)?,
            Kind::HardLink => self.hard_link(&path, member)?,
            Kind::SymbolicLink => {
                self.applied.skipped += 1;
                self.remove(path.as_str())?;
                return Ok(());
            }
            Kind::Special(kind) => {
                return Err(LayerError::Special {
                    entry: member.shown.clone(),
                    kind,
                });
            }
        }
        self.written.insert(path.as_str().to_owned());
        Ok(())
    }

    fn whiteout(
        &mut self,
        path: &RelPath,
        hidden: &str,
        member: &Member,
    ) -> Result<(), LayerError> {
        let parent = path
            .as_str()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        if hidden == OPAQUE {
            if self.hidden.insert(format!("{parent}/")) {
                for child in self.children(parent)? {
                    self.remove_lower(&child)?;
                }
            }
            return Ok(());
        }
        // Names that the union file system behind an old builder kept for itself.
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        if matches!(hidden, "" | "." | "..") {
            return Err(LayerError::Path {
                entry: member.shown.clone(),
                reason: "it is a whiteout of nothing",
            });
        }
        let target = if parent.is_empty() {
            hidden.to_owned()
        } else {
            format!("{parent}/{hidden}")
        };
        if !self.hidden.contains(&target) {
            self.remove_lower(&target)?;
            self.hidden.insert(target);
        }
        Ok(())
    }

    fn directory(&mut self, path: &RelPath) -> Result<(), LayerError> {
        let text = path.as_str();
        if text.is_empty() {
            return Ok(());
        }
        if self.is_dir(text)? != Some(true) {
            self.remove(text)?;
            self.parents(text)?;
            self.make_dir(text)?;
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &RelPath,
        size: u64,
        content: &mut impl Read,
        meter: &Meter,
    ) -> Result<(), LayerError> {
        let text = self.room(path, size)?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = self.root.open_with(text, &options).map_err(write(text))?;
        let mut copied = 0_u64;
        loop {
            let n = match content.read(&mut self.piece) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.stream(meter, e)),
            };
            copied += n as u64;
            let bytes = self.piece.get(..n).unwrap_or_default();
            io::Write::write_all(&mut file, bytes).map_err(write(text))?;
        }
        if copied != size {
            return Err(self.stream(meter, io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    fn hard_link(&mut self, path: &RelPath, member: &Member) -> Result<(), LayerError> {
        let dangling = |target: &str| LayerError::Link {
            entry: member.shown.clone(),
            target: target.to_owned(),
        };
        let target = member.target.as_deref().unwrap_or_default();
        let metadata = match self.root.symlink_metadata(target) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Err(dangling(target)),
            Err(e) if is_absent(&e) => return Err(dangling(target)),
            Err(e) => return Err(write(target)(e)),
        };
        if target == path.as_str() {
            return Ok(());
        }
        let text = self.room(path, metadata.len())?;
        self.root.hard_link(target, self.root, text).map_err(|e| {
            // Making room may have removed it: a link below its own target.
            if is_absent(&e) {
                dangling(target)
            } else {
                write(text)(e)
            }
        })
    }

    /// Checks the caps of a file of `size` bytes, clears its path and makes its parents.
    fn room<'p>(&mut self, path: &'p RelPath, size: u64) -> Result<&'p str, LayerError> {
        let text = path.as_str();
        if text.is_empty() {
            return Err(LayerError::Path {
                entry: self.last.clone(),
                reason: "the root is not a file",
            });
        }
        if size > self.caps.file_bytes {
            return Err(over(Cap::FileBytes, self.caps.file_bytes, text));
        }
        self.applied.bytes = self.applied.bytes.saturating_add(size);
        if self.applied.bytes > self.caps.kept_bytes {
            return Err(over(Cap::KeptBytes, self.caps.kept_bytes, text));
        }
        self.applied.files += 1;
        self.remove(text)?;
        self.parents(text)?;
        Ok(text)
    }

    /// Makes the directories above `text`.
    fn parents(&mut self, text: &str) -> Result<(), LayerError> {
        let Some((parent, _)) = text.rsplit_once('/') else {
            return Ok(());
        };
        if self.is_dir(parent)? == Some(true) {
            return Ok(());
        }
        for (at, _) in text.match_indices('/') {
            let parent = &text[..at];
            match self.is_dir(parent)? {
                Some(true) => {}
                Some(false) => {
                    return Err(LayerError::NotADirectory {
                        entry: text.to_owned(),
                    });
                }
                None => self.make_dir(parent)?,
            }
        }
        Ok(())
    }

    fn make_dir(&mut self, text: &str) -> Result<(), LayerError> {
        // Counted as an entry, or one entry could stand for as many directories as its path is
        // deep.
        self.count(text)?;
        self.root.create_dir(text).map_err(|e| {
            if e.kind() == io::ErrorKind::NotADirectory {
                LayerError::NotADirectory {
                    entry: text.to_owned(),
                }
            } else {
                write(text)(e)
            }
        })
    }

    fn count(&mut self, entry: &str) -> Result<(), LayerError> {
        self.applied.entries += 1;
        if self.applied.entries > self.caps.entries {
            return Err(over(Cap::Entries, self.caps.entries, entry));
        }
        Ok(())
    }

    /// `None`: nothing there; otherwise whether it is a directory.
    fn is_dir(&self, text: &str) -> Result<Option<bool>, LayerError> {
        match self.root.symlink_metadata(text) {
            Ok(metadata) => Ok(Some(metadata.is_dir())),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(write(text)(e)),
        }
    }

    /// Removes what is at `text`, a directory with all below it, whichever layer put it there.
    fn remove(&mut self, text: &str) -> Result<(), LayerError> {
        match self.is_dir(text)? {
            None => Ok(()),
            Some(false) => {
                self.written.remove(text);
                self.root.remove_file(text).map_err(write(text))
            }
            Some(true) => {
                let below = format!("{text}/");
                self.written.remove(text);
                let gone: Vec<_> = self
                    .written
                    .range(below.clone()..)
                    .take_while(|path| path.starts_with(&below))
                    .cloned()
                    .collect();
                for path in &gone {
                    self.written.remove(path);
                }
                self.root.remove_dir_all(text).map_err(write(text))
            }
        }
    }

    /// Removes what lower layers put at and below `text`; `true` when nothing is left there. The
    /// recursion is as deep as a kept path may be: 128.
    fn remove_lower(&mut self, text: &str) -> Result<bool, LayerError> {
        match self.is_dir(text)? {
            None => Ok(true),
            Some(false) if self.written.contains(text) => Ok(false),
            Some(false) => self
                .root
                .remove_file(text)
                .map_err(write(text))
                .map(|()| true),
            Some(true) => {
                let mut empty = true;
                for child in self.children(text)? {
                    empty &= self.remove_lower(&child)?;
                }
                if !empty || self.written.contains(text) {
                    return Ok(false);
                }
                self.root
                    .remove_dir(text)
                    .map_err(write(text))
                    .map(|()| true)
            }
        }
    }

    /// Paths of what is in the directory `text`; nothing when there is no such directory.
    fn children(&self, text: &str) -> Result<Vec<String>, LayerError> {
        let listed = self.root.read_dir(if text.is_empty() { "." } else { text });
        let entries = match listed {
            Err(e) if is_absent(&e) => return Ok(Vec::new()),
            other => other.map_err(write(text))?,
        };
        let mut children = Vec::new();
        for entry in entries {
            let name = entry.map_err(write(text))?.file_name();
            let name = name.to_string_lossy();
            children.push(if text.is_empty() {
                name.into_owned()
            } else {
                format!("{text}/{name}")
            });
        }
        Ok(children)
    }

    /// The reason why the stream broke, which the decoders between hide.
    fn stream(&self, meter: &Meter, source: io::Error) -> LayerError {
        let entry = self.last.clone();
        if let Some((cap, limit)) = meter.breach() {
            LayerError::Cap { cap, limit, entry }
        } else if meter.source_failed() {
            LayerError::Read { entry, source }
        } else {
            LayerError::Format { entry, source }
        }
    }

    fn absorb(&self, meter: &Meter, error: Absorb) -> LayerError {
        match error {
            Absorb::Refused(error) => error,
            Absorb::Stream(source) => self.stream(meter, source),
        }
    }
}

/// Nothing there, or a file where the path wants a directory.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn write(entry: &str) -> impl FnOnce(io::Error) -> LayerError + use<> {
    let entry = entry.to_owned();
    move |source| LayerError::Write { entry, source }
}

fn over(cap: Cap, limit: u64, entry: &str) -> LayerError {
    LayerError::Cap {
        cap,
        limit,
        entry: entry.to_owned(),
    }
}
