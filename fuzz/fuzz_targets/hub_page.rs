#![no_main]
//! Any bytes as a page of the Hub's list of files: no panic, and no error that holds the token or a control character.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| { mashbill_hub::fuzzing::page(bytes) });
