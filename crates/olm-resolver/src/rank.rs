//! The order of bundles of one version: the one that supersedes the other comes first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::Bundle;

/// Gives the bundles whose version and release another bundle has, too, the length of the longest
/// chain that they supersede by name. So of two of them, the one that supersedes the other, directly
/// or not, has the greater. Bundles above a circle, which no sound catalog has, tie above all.
///
/// Takes time in proportion to the bundles and their edges.
pub(crate) fn rank_equal_versions(bundles: &mut [Arc<Bundle>]) {
    let equal = equal_versions(bundles);
    if equal.is_empty() {
        return;
    }
    let positions: HashMap<&str, usize> = bundles
        .iter()
        .enumerate()
        .map(|(at, bundle)| (bundle.name.as_str(), at))
        .collect();
    // For each bundle, what supersedes it, and how many of its own it waits for.
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); bundles.len()];
    let mut waiting: Vec<usize> = vec![0; bundles.len()];
    for (at, bundle) in bundles.iter().enumerate() {
        for name in bundle
            .entries
            .iter()
            .flat_map(|edge| edge.replaces.iter().chain(&edge.skips))
        {
            if let Some(&below) = positions.get(name.as_str())
                && below != at
            {
                above[below].push(at);
                waiting[at] += 1;
            }
        }
    }
    let mut lengths = vec![0; bundles.len()];
    let mut ready: Vec<usize> = (0..bundles.len()).filter(|at| waiting[*at] == 0).collect();
    while let Some(below) = ready.pop() {
        for &at in &above[below] {
            lengths[at] = lengths[at].max(lengths[below] + 1);
            waiting[at] -= 1;
            if waiting[at] == 0 {
                ready.push(at);
            }
        }
    }
    for at in equal {
        if let Some(bundle) = Arc::get_mut(&mut bundles[at]) {
            bundle.supersedes = if waiting[at] == 0 {
                lengths[at]
            } else {
                usize::MAX
            };
        }
    }
}

/// Positions of the bundles whose version and release another one has, too.
fn equal_versions(bundles: &[Arc<Bundle>]) -> HashSet<usize> {
    let mut seen = HashMap::new();
    let mut equal = HashSet::new();
    for (at, bundle) in bundles.iter().enumerate() {
        if let Ok(version) = &bundle.version
            && let Some(other) = seen.insert((version, bundle.release.as_str()), at)
        {
            equal.extend([at, other]);
        }
    }
    equal
}
