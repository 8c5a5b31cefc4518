//! Solving in numbers: rules in, the preferred selection or an irreducible set of rules that clash
//! out. Knows nothing of bundles.

mod engine;
mod rules;

pub(crate) use engine::{End, Engine};
pub(crate) use rules::{FactId, Rule, Variable};

/// Reduces facts that cannot hold together until dropping any one of them would let the rest hold:
/// each is tried once, last to first. Where the budget ends before, what is left is returned; it
/// cannot hold together either.
pub(crate) fn reduce(
    rules: &[Rule],
    core: Vec<FactId>,
    variables: usize,
    budget: &mut u64,
) -> Vec<FactId> {
    let mut core = core;
    let mut at = core.len();
    while at > 0 {
        at -= 1;
        let Some(&dropped) = core.get(at) else {
            continue;
        };
        let without: Vec<FactId> = core
            .iter()
            .copied()
            .filter(|fact| *fact != dropped)
            .collect();
        match Engine::new(rules, &without, variables).run(budget) {
            End::Impossible(smaller) => {
                at = smaller.partition_point(|fact| *fact < dropped);
                core = smaller;
            }
            End::Found(_) => {}
            End::Cancelled => break,
        }
    }
    core
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests;
