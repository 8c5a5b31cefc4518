//! The hash that names are made of.

use sha2::{Digest as _, Sha224};

/// SHA-224 of `bytes` as a number in base 36: at most 44 characters of `0-9a-z`, without leading
/// zeros. Upstream names generated objects and generated Bundles by it.
pub fn sha224_base36(bytes: &[u8]) -> String {
    base36(&Sha224::digest(bytes))
}

/// A big-endian number in base 36, without leading zeros.
fn base36(bytes: &[u8]) -> String {
    let mut number = bytes.to_vec();
    let mut digits = Vec::new();
    while number.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            // Both fit: the quotient of a number below 36 * 256 by 36 is below 256.
            *byte = u8::try_from(value / 36).unwrap_or(u8::MAX);
            remainder = value % 36;
        }
        digits.push(char::from_digit(remainder, 36).unwrap_or('0'));
    }
    if digits.is_empty() {
        digits.push('0');
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[0, 0], "0")]
    #[case(&[35], "z")]
    #[case(&[1, 0], "74")]
    #[case(&[0xff, 0xff, 0xff, 0xff], "1z141z3")]
    fn base_36_is_the_usual_one(#[case] bytes: &[u8], #[case] text: &str) {
        assert_eq!(base36(bytes), text);
    }
}
