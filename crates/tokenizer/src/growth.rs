//! How much longer a tokenizer's normalizer may make a text.
//!
//! Forty replacements of `o` by `oo`, one after another, make a terabyte of one letter. Memory is promised to be a few
//! times the longest text, so a normalizer that may do more than that is refused.

use regex_syntax::Parser;
use serde_json::Value;

use super::error::Error;

/// The most times as long as a text may become. Normalizers in use make of a space the three bytes of `▁`.
const GROWTH_MAX: u64 = 64;

/// The most bytes that are put before a text.
const PREPENDED_BYTES_MAX: usize = 1_024;

/// Whether `normalizer` keeps texts at a length in step with their own.
///
/// # Errors
/// [`Error::Grows`].
pub(super) fn check(normalizer: Option<&Value>) -> Result<(), Error> {
    let factor = normalizer.map_or(1, growth);
    if factor > GROWTH_MAX { Err(Error::Grows { factor, limit: GROWTH_MAX }) } else { Ok(()) }
}

/// At most so many times as long a step makes a text.
fn growth(step: &Value) -> u64 {
    let inner = step["normalizers"].as_array().into_iter().flatten().map(growth);
    let inner = inner.fold(1, u64::saturating_mul);
    let put = step["content"].as_str().unwrap_or_default().len() as u64;
    let here = match (step["type"].as_str(), &step["pattern"]["String"], &step["pattern"]["Regex"]) {
        (Some("Replace"), Value::String(replaced), _) if !replaced.is_empty() => {
            put.div_ceil(replaced.len() as u64).max(1)
        }
        // What matches nothing is found beside every character.
        (Some("Replace"), _, Value::String(pattern)) if always_takes_some(pattern) => put.max(1),
        (Some("Replace"), _, _) => put + 1,
        (Some("Prepend"), _, _) => {
            let prepended = step["prepend"].as_str().unwrap_or_default().len();
            if prepended > PREPENDED_BYTES_MAX { prepended as u64 } else { 1 }
        }
        _ => 1,
    };
    inner.saturating_mul(here)
}

/// Whether a regular expression never matches nothing; `false` says nothing.
fn always_takes_some(pattern: &str) -> bool {
    let parsed = Parser::new().parse(pattern);
    parsed.is_ok_and(|parsed| parsed.properties().minimum_len().is_some_and(|len| len > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_each_step_adds_is_multiplied() {
        let replace = |pattern: Value, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
        let twice = replace(json!({ "String": "o" }), "oo");
        for (step, factor) in [
            (json!({ "type": "NFC" }), 1),
            (replace(json!({ "String": " " }), "▁"), 3),
            (replace(json!({ "String": "``" }), "\""), 1),
            (replace(json!({ "Regex": r"\s+" }), " "), 1),
            (replace(json!({ "Regex": "o*" }), "xyz"), 4),
            (replace(json!({ "String": "" }), "x"), 2),
            (json!({ "type": "Prepend", "prepend": "▁" }), 1),
            (json!({ "type": "Prepend", "prepend": "x".repeat(2_000) }), 2_000),
            (json!({ "type": "Sequence", "normalizers": vec![twice.clone(); 6] }), 64),
            (json!({ "type": "Sequence", "normalizers": vec![twice; 90] }), u64::MAX),
        ] {
            assert_eq!(growth(&step), factor, "{step}");
            assert_eq!(check(Some(&step)).is_ok(), factor <= 64);
        }
        assert!(check(None).is_ok());
    }
}
