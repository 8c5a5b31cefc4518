//! What has to do with one another.

/// Sets of numbers that are joined pair by pair.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    /// Adds the next number, alone.
    pub(crate) fn add(&mut self) {
        self.parents.push(self.parents.len());
    }

    /// The number that stands for the group of another.
    pub(crate) fn of(&self, number: usize) -> usize {
        let mut at = number;
        while self.parents[at] != at {
            at = self.parents[at];
        }
        at
    }

    /// Joins the groups of two.
    pub(crate) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.of(one), self.of(other));
        // The lower stands for both, so that ways stay short and the outcome is the same.
        let (low, high) = (one.min(other), one.max(other));
        self.parents[high] = low;
        // Halves the ways of later searches.
        for start in [one, other] {
            let mut at = start;
            while self.parents[at] != at {
                let above = self.parents[at];
                self.parents[at] = self.parents[above];
                at = above;
            }
        }
    }
}
