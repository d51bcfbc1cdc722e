#![no_main]
//! Any bytes as a manifest: no panic, and what is read can be written and read again.

use libfuzzer_sys::fuzz_target;
use mashbill_format::manifest::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) else { return };
    let text = serde_json::to_vec(&manifest).expect("a manifest is JSON");
    serde_json::from_slice::<Manifest>(&text).expect("its own text is read");
});
