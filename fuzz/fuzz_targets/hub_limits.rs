#![no_main]
//! Any headers about limits: no panic, and no wait longer than a day.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| { mashbill_hub::fuzzing::limits(bytes) });
