//! The lines of a served catalog, as a client reads them from somebody else's server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use olm_fbc::{Reading, read_lines};

fuzz_target!(|data: &[u8]| {
    for item in read_lines(data, Reading::default()) {
        if item.is_err() {
            return;
        }
    }
});
