#![no_main]
//! Any text as a catalogue of a user's: no panic, and a mistake has a line.

use libfuzzer_sys::fuzz_target;
use mashbill_format::catalog::parse_own;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Err(mistake) = parse_own(&text) {
        assert!(mistake.line >= 1);
    }
});
