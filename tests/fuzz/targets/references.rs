//! Image references: one that was read is written as text that reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_registry::Reference;

fuzz_target!(|text: &str| {
    let Ok(reference) = Reference::parse(text) else {
        return;
    };
    let again = Reference::parse(&reference.to_string()).expect("what was written can be read");
    assert_eq!(reference, again);
});
