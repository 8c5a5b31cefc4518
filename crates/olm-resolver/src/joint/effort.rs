//! What it may cost to find out who meets requirements.
//!
//! A catalog decides how much there is to look at: ten thousand bundles may each ask ten thousand
//! others for something, and rules take steps of their own. What is left is counted for each package
//! and for all together, so that a package that costs too much is the only one that pays for it,
//! unless there are many of its kind.

/// Steps for all together.
const ALL: u64 = 400_000_000;

/// Steps for the requirements of all bundles of one package.
const PACKAGE: u64 = ALL / 16;

/// Steps that a candidate counts for, besides being looked at: it is remembered.
const CANDIDATE: u64 = 32;

/// The steps that are left. One is a look at a bundle, or at one place of a rule.
#[derive(Debug)]
pub(super) struct Effort {
    all: u64,
    /// By number of the package.
    of_package: Vec<u64>,
}

/// There are not enough steps left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooDear;

impl Default for Effort {
    fn default() -> Self {
        Self {
            all: ALL,
            of_package: Vec::new(),
        }
    }
}

impl Effort {
    /// Takes steps on behalf of a package.
    pub(super) fn spend(&mut self, package: usize, steps: u64) -> Result<(), TooDear> {
        if self.of_package.len() <= package {
            self.of_package.resize(package + 1, PACKAGE);
        }
        let own = &mut self.of_package[package];
        let is_enough = steps <= *own && steps <= self.all;
        *own = own.saturating_sub(steps);
        self.all = self.all.saturating_sub(steps);
        if is_enough { Ok(()) } else { Err(TooDear) }
    }

    /// Takes the steps of remembering candidates.
    pub(super) fn remember(&mut self, package: usize, candidates: usize) -> Result<(), TooDear> {
        self.spend(package, CANDIDATE.saturating_mul(candidates as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Effort, PACKAGE, TooDear};

    #[test]
    fn a_package_that_costs_too_much_leaves_steps_to_others() {
        let mut effort = Effort::default();
        assert_eq!(effort.spend(1, PACKAGE), Ok(()));
        assert_eq!(effort.spend(1, 1), Err(TooDear));
        assert_eq!(effort.spend(0, PACKAGE), Ok(()));
    }

    #[test]
    fn all_together_end_somewhere() {
        let mut effort = Effort::default();
        let packages = usize::try_from(ALL / PACKAGE).unwrap_or_default();
        for package in 0..packages {
            assert_eq!(effort.spend(package, PACKAGE), Ok(()));
        }
        assert_eq!(effort.spend(packages, 1), Err(TooDear));
    }
}
