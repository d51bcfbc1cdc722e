//! Control by requests, for tests that are not written in Rust.
//!
//! ```text
//!  POST   /_stand-in/rules   a rule, as JSON    DELETE: forget all rules
//!  GET    /_stand-in/log     the requests       DELETE: forget them
//! ```

use serde_json::json;

use crate::http::{Answer, Request};
use crate::shared::Shared;

pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    match (request.method.as_str(), request.target.as_str()) {
        ("POST", "/_stand-in/rules") => match serde_json::from_slice(&request.body) {
            Ok(rule) => shared.add_rule(rule),
            Err(error) => return Answer::new(400, error.to_string().into_bytes()),
        },
        ("DELETE", "/_stand-in/rules") => shared.clear_rules(),
        ("GET", "/_stand-in/log") => return Answer::json(&json!(shared.log())),
        ("DELETE", "/_stand-in/log") => shared.clear_log(),
        _ => return Answer::new(404, Vec::new()),
    }
    Answer::json(&json!({}))
}
