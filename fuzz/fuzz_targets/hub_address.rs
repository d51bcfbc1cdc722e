#![no_main]
//! Any text as the address that a redirect or a list goes on at: never another scheme, never past the endpoint.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| { mashbill_hub::fuzzing::address(bytes) });
