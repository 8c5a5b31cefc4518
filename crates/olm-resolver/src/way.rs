//! The way of several upgrade edges to what is asked for.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;

use olm_semver::blang::Range;
use olm_semver::{Version, compare_releases};

use crate::edges::{EdgeMode, Origin};
use crate::model::Bundle;

/// The first step of a shortest way of several edges to one of the targets; of several first steps
/// the one that comes first in `bundles`. `None` if there is no way, or one edge is enough.
///
/// Takes time in proportion to the edges and, but for a logarithm, to the bundles.
pub(crate) fn next_step<'a>(
    origin: Origin<'_>,
    bundles: &[&'a Bundle],
    is_target: impl Fn(&Bundle) -> bool,
    mode: EdgeMode,
) -> Option<&'a Bundle> {
    // What is compatible with a compatible version is compatible: one edge is enough, or no way is.
    if mode == EdgeMode::Semver {
        return None;
    }
    let mut search = Search::new(bundles);
    search.run(is_target);
    let mut nearest: Option<(usize, &Bundle)> = None;
    for (distance, bundle) in search.distances() {
        if nearest.is_none_or(|(least, _)| distance < least) && origin.leads_to(bundle, mode, None)
        {
            nearest = Some((distance, bundle));
        }
    }
    nearest
        .filter(|(distance, _)| *distance > 0)
        .map(|(_, bundle)| bundle)
}

/// A search backwards from the targets, which meets every bundle once.
struct Search<'a> {
    /// By version and release.
    sorted: Vec<Place<'a>>,
    by_name: HashMap<&'a str, Vec<usize>>,
    /// For each of `sorted`, itself while it is not reached, else one behind it from which to look
    /// on; one more for the end.
    unreached: Vec<usize>,
    /// Edges to the nearest target.
    distance: Vec<Option<usize>>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    bundle: &'a Bundle,
    version: &'a Version,
    /// Where it stood before sorting.
    at: usize,
}

impl<'a> Search<'a> {
    fn new(bundles: &[&'a Bundle]) -> Self {
        let mut sorted: Vec<Place<'a>> = bundles
            .iter()
            .enumerate()
            .filter_map(|(at, bundle)| {
                let version = bundle.version.as_ref().ok()?;
                Some(Place {
                    bundle,
                    version,
                    at,
                })
            })
            .collect();
        sorted.sort_by(|a, b| {
            a.version
                .cmp(b.version)
                .then_with(|| compare_releases(&a.bundle.release, &b.bundle.release))
        });
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (rank, place) in sorted.iter().enumerate() {
            by_name
                .entry(place.bundle.name.as_str())
                .or_default()
                .push(rank);
        }
        Self {
            unreached: (0..=sorted.len()).collect(),
            distance: vec![None; sorted.len()],
            by_name,
            sorted,
        }
    }

    fn run(&mut self, is_target: impl Fn(&Bundle) -> bool) {
        let mut pending = VecDeque::new();
        for (rank, place) in self.sorted.iter().enumerate() {
            if is_target(place.bundle) {
                self.unreached[rank] = rank + 1;
                self.distance[rank] = Some(0);
                pending.push_back((rank, 0));
            }
        }
        while let Some((rank, distance)) = pending.pop_front() {
            for before in self.predecessors(rank) {
                self.distance[before] = Some(distance + 1);
                pending.push_back((before, distance + 1));
            }
        }
    }

    /// What was not reached and has an edge to that bundle; it is reached from now on.
    fn predecessors(&mut self, rank: usize) -> Vec<usize> {
        let Some(&Place {
            bundle, version, ..
        }) = self.sorted.get(rank)
        else {
            return Vec::new();
        };
        // No edge leads to a lower version, nor to the same one without a higher release.
        let lower = self.sorted.partition_point(|place| {
            place
                .version
                .cmp(version)
                .then_with(|| compare_releases(&place.bundle.release, &bundle.release))
                .is_lt()
        });
        let mut found = Vec::new();
        for edge in &bundle.entries {
            for name in edge.replaces.iter().chain(&edge.skips) {
                for &rank in self.by_name.get(name.as_str()).into_iter().flatten() {
                    if rank < lower && self.unreached[rank] == rank {
                        self.unreached[rank] = rank + 1;
                        found.push(rank);
                    }
                }
            }
            for (from, to) in edge.skip_range.iter().flat_map(Range::intervals) {
                let start = self.sorted.partition_point(|place| match from {
                    Bound::Unbounded => false,
                    Bound::Included(bound) => place.version < bound,
                    Bound::Excluded(bound) => place.version <= bound,
                });
                let end = self.sorted.partition_point(|place| match to {
                    Bound::Unbounded => true,
                    Bound::Included(bound) => place.version <= bound,
                    Bound::Excluded(bound) => place.version < bound,
                });
                let mut next = self.next_unreached(start);
                while next < end.min(lower) {
                    self.unreached[next] = next + 1;
                    found.push(next);
                    next = self.next_unreached(next + 1);
                }
            }
        }
        found
    }

    /// The first of `sorted` from `rank` on that is not reached; its length if there is none.
    fn next_unreached(&mut self, rank: usize) -> usize {
        let mut end = rank;
        while self.unreached[end] != end {
            end = self.unreached[end];
        }
        // The next search takes the short way.
        let mut at = rank;
        while self.unreached[at] != at {
            at = std::mem::replace(&mut self.unreached[at], end);
        }
        end
    }

    /// What was reached, in the order in which the bundles were given.
    fn distances(&self) -> Vec<(usize, &'a Bundle)> {
        let mut reached: Vec<(usize, usize, &'a Bundle)> = self
            .sorted
            .iter()
            .zip(&self.distance)
            .filter_map(|(place, distance)| Some((place.at, (*distance)?, place.bundle)))
            .collect();
        reached.sort_unstable_by_key(|(at, ..)| *at);
        reached
            .into_iter()
            .map(|(_, distance, bundle)| (distance, bundle))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::model::ChannelEdge;

    /// The same by trying every edge from every bundle.
    fn by_trying<'a>(
        origin: Origin<'_>,
        bundles: &[&'a Bundle],
        is_target: impl Fn(&Bundle) -> bool,
    ) -> Option<&'a Bundle> {
        let leads = |from: Origin<'_>, to: &Bundle| from.leads_to(to, EdgeMode::Catalog, None);
        let mut pending: VecDeque<(&Bundle, &Bundle)> = bundles
            .iter()
            .filter(|bundle| leads(origin, bundle))
            .map(|bundle| (*bundle, *bundle))
            .collect();
        if pending.iter().any(|(_, bundle)| is_target(bundle)) {
            return None;
        }
        let mut reached: Vec<&str> = Vec::new();
        while let Some((first, last)) = pending.pop_front() {
            let from = Origin {
                name: &last.name,
                version: last.version.as_ref().unwrap(),
                release: &last.release,
            };
            for bundle in bundles.iter().filter(|bundle| leads(from, bundle)) {
                if is_target(bundle) {
                    return Some(first);
                }
                if !reached.contains(&bundle.name.as_str()) {
                    reached.push(&bundle.name);
                    pending.push_back((first, bundle));
                }
            }
        }
        None
    }

    fn edges() -> impl Strategy<Value = Vec<ChannelEdge>> {
        let name = || "p[0-9]";
        let range = prop::option::of("(>=0\\.[0-3]\\.0 )?<[0-2]\\.[0-3]\\.0( !=1\\.0\\.0)?");
        let edge = (
            prop::option::of(name()),
            prop::collection::vec(name(), 0..2),
            range,
        );
        let edge = edge.prop_map(|(replaces, skips, range)| ChannelEdge {
            channel: "c".to_owned(),
            replaces,
            skips,
            skip_range: range.map(|range| Range::parse(&range).unwrap()),
        });
        prop::collection::vec(edge, 0..3)
    }

    fn bundles() -> impl Strategy<Value = Vec<Bundle>> {
        let bundle = (("[0-2]\\.[0-3]\\.0", "1?"), edges());
        prop::collection::vec(bundle, 1..10).prop_map(|bundles| {
            bundles
                .into_iter()
                .enumerate()
                .map(|(at, ((version, release), entries))| Bundle {
                    release,
                    entries,
                    ..Bundle::new(
                        String::new(),
                        format!("p{at}"),
                        Version::parse_strict(&version).unwrap(),
                    )
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn the_next_step_is_that_of_a_search_through_all_edges(
            bundles in bundles(),
            target in 0..10_usize,
        ) {
            let bundles: Vec<&Bundle> = bundles.iter().collect();
            let version = Version::new(0, 1, 0);
            let origin = Origin { name: "p0", version: &version, release: "" };
            let is_target = |bundle: &Bundle| bundle.name == format!("p{target}");
            let step = next_step(origin, &bundles, is_target, EdgeMode::Catalog);
            let expected = by_trying(origin, &bundles, is_target);
            prop_assert_eq!(
                step.map(|bundle| &bundle.name),
                expected.map(|bundle| &bundle.name)
            );
        }
    }
}
