#![no_main]
//! Any bytes as comma-separated values: no panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| { mashbill_download::fuzzing::csv(bytes) });
