//! Small random worlds against trying everything.

use crate::small::{Choices, compare, small};

/// Worlds that are tried.
const WORLDS: usize = 10_000;

/// A stream of numbers that is the same every time.
struct Numbers(u64);

impl Choices for Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[test]
fn random_worlds_get_the_answer_of_trying_everything() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut solved, mut refused) = (0, 0);
    for _ in 0..WORLDS {
        let (some, none) = compare(&small(&mut numbers));
        solved += some;
        refused += none;
    }
    assert!(solved > 2_000 && refused > 200, "{solved} {refused}");
}
