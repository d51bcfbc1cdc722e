#![no_main]
//! Any bytes as rows of JSON, in an array or in lines: no panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    {
        mashbill_download::fuzzing::array(bytes);
        mashbill_download::fuzzing::lines(bytes);
    }
});
