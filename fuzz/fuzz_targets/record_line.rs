#![no_main]
//! The parser of records against any line: no panic, and where `serde_json` reads a text, the same text.

use libfuzzer_sys::fuzz_target;
use mashbill_records::record::{Reason, RecordParser};
use serde_json::{Map, Value};

fuzz_target!(|bytes: &[u8]| {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    let mut parser = RecordParser::new(&["text"]);
    let ours = parser.parse(line).map(|record| record.text.to_owned());
    if ours.as_ref().is_err_and(|refusal| refusal.reason == Reason::FieldTwice) {
        return;
    }
    if let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) {
        match object.get("text") {
            Some(Value::String(text)) => assert_eq!(ours.as_ref(), Ok(text)),
            _ => assert!(ours.is_err(), "{ours:?} of a record without text"),
        }
    }
});
