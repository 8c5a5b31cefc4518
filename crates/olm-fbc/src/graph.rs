//! The upgrade graph of a channel.
//!
//! The head is the one entry that no other names in `replaces` or `skips`. From it the `replaces`
//! chain leads to the tail; it ends where `replaces` names nothing, something outside the channel,
//! or an entry that is skipped. What is neither on the chain nor skipped is stranded.

use std::collections::{BTreeMap, BTreeSet};

use olm_semver::{Version, blang};

use crate::schema::ChannelEntry;

/// The entries of one channel as a graph.
#[derive(Debug, Clone)]
pub struct ChannelGraph<'a> {
    entries: BTreeMap<&'a str, &'a ChannelEntry>,
    skipped: BTreeSet<&'a str>,
}

/// What is wrong with a channel's graph. The texts are those of the reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Every entry is named by another.
    #[error("no channel head found in graph")]
    NoHead,
    /// Several entries are named by no other.
    #[error("multiple channel heads found in graph: {}", .0.join(", "))]
    SeveralHeads(Vec<String>),
    /// The chain comes back to where it was: the names from there to there.
    #[error("detected cycle in replaces chain of upgrade graph: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Entries that no upgrade leads on from.
    #[error("channel contains one or more stranded bundles: {}", .0.join(", "))]
    Stranded(Vec<String>),
}

/// Why a bundle may be upgraded to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeKind {
    /// The newer one names the older one in `skips`.
    Skip,
    /// The version of the older one lies in the `skipRange` of the newer one.
    SkipRange,
    /// The newer one names the older one in `replaces`.
    Replace,
}

/// A possible upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge<'a> {
    /// The older bundle; may be absent from the channel.
    pub from: &'a str,
    /// The entry that names it.
    pub to: &'a str,
    /// How it names it.
    pub kind: EdgeKind,
}

impl<'a> ChannelGraph<'a> {
    /// The graph of these entries; of two with one name the first counts.
    pub fn new(entries: impl IntoIterator<Item = &'a ChannelEntry>) -> Self {
        let mut map = BTreeMap::new();
        let mut skipped = BTreeSet::new();
        for entry in entries {
            map.entry(entry.name.as_str()).or_insert(entry);
            skipped.extend(entry.skips.iter().map(String::as_str));
        }
        Self {
            entries: map,
            skipped,
        }
    }

    /// The head of the channel.
    ///
    /// # Errors
    /// [`GraphError::NoHead`], [`GraphError::SeveralHeads`].
    pub fn head(&self) -> Result<&'a ChannelEntry, GraphError> {
        let replaced: BTreeSet<&str> = self
            .entries
            .values()
            .filter_map(|entry| replaces(entry))
            .collect();
        let mut heads = self
            .entries
            .iter()
            .filter(|(name, _)| !replaced.contains(*name) && !self.skipped.contains(*name));
        match (heads.next(), heads.next()) {
            (None, _) => Err(GraphError::NoHead),
            (Some((_, head)), None) => Ok(head),
            (Some(first), Some(second)) => Err(GraphError::SeveralHeads(
                [first, second]
                    .into_iter()
                    .chain(heads)
                    .map(|(name, _)| (*name).to_owned())
                    .collect(),
            )),
        }
    }

    /// The entries on the `replaces` chain from the head to the tail.
    ///
    /// # Errors
    /// Those of [`Self::head`], and [`GraphError::Cycle`].
    pub fn chain(&self) -> Result<Vec<&'a ChannelEntry>, GraphError> {
        self.walk().map(|(chain, _)| chain)
    }

    /// The last entry of the chain. What it replaces is not in the channel, or is skipped.
    ///
    /// # Errors
    /// Those of [`Self::chain`].
    pub fn tail(&self) -> Result<&'a ChannelEntry, GraphError> {
        let mut at = self.head()?;
        if let Some(last) = self.chain()?.last() {
            at = last;
        }
        Ok(at)
    }

    /// Names that some entry skips, whether they are in the channel or not.
    pub fn skipped(&self) -> impl Iterator<Item = &'a str> {
        self.skipped.iter().copied()
    }

    /// Finds the first thing that is wrong with the graph.
    ///
    /// # Errors
    /// [`GraphError`].
    pub fn check(&self) -> Result<(), GraphError> {
        let (_, reached) = self.walk()?;
        let stranded: Vec<String> = self
            .entries
            .keys()
            .filter(|name| !reached.contains(*name) && !self.skipped.contains(*name))
            .map(|name| (*name).to_owned())
            .collect();
        if stranded.is_empty() {
            Ok(())
        } else {
            Err(GraphError::Stranded(stranded))
        }
    }

    /// The chain, and every name on it: its entries and what the last of them replaces.
    fn walk(&self) -> Result<(Vec<&'a ChannelEntry>, BTreeSet<&'a str>), GraphError> {
        let mut at = self.head()?;
        let mut chain = vec![at];
        let mut reached = BTreeSet::from([at.name.as_str()]);
        while let Some(target) = replaces(at) {
            if !reached.insert(target) {
                let names = chain.iter().map(|entry| entry.name.as_str());
                let cycle = names.skip_while(|name| *name != target).chain([target]);
                return Err(GraphError::Cycle(cycle.map(str::to_owned).collect()));
            }
            if self.skipped.contains(target) {
                break;
            }
            let Some(next) = self.entries.get(target) else {
                break;
            };
            at = next;
            chain.push(at);
        }
        Ok((chain, reached))
    }

    /// All upgrades of the channel: for each entry by name those by `skips`, by `skipRange` and by
    /// `replaces`. `version` gives the version of an entry; one it does not know lies in no range,
    /// and a range that cannot be read holds no version.
    pub fn edges(&self, version: impl Fn(&str) -> Option<&'a Version>) -> Vec<Edge<'a>> {
        let mut edges = Vec::new();
        for entry in self.entries.values() {
            let to = entry.name.as_str();
            for from in &entry.skips {
                let kind = EdgeKind::Skip;
                edges.push(Edge { from, to, kind });
            }
            if let Some(Ok(range)) = skip_range(entry).map(blang::Range::parse) {
                for from in self.entries.keys() {
                    if version(from).is_some_and(|version| range.contains(version)) {
                        let kind = EdgeKind::SkipRange;
                        edges.push(Edge { from, to, kind });
                    }
                }
            }
            if let Some(from) = replaces(entry) {
                let kind = EdgeKind::Replace;
                edges.push(Edge { from, to, kind });
            }
        }
        edges
    }
}

/// What an entry replaces; empty text is nothing.
pub(crate) fn replaces(entry: &ChannelEntry) -> Option<&str> {
    entry.replaces.as_deref().filter(|name| !name.is_empty())
}

/// The range of an entry; empty text is none.
pub(crate) fn skip_range(entry: &ChannelEntry) -> Option<&str> {
    entry.skip_range.as_deref().filter(|text| !text.is_empty())
}
