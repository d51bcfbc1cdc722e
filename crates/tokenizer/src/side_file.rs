//! JSON as Python writes and reads it.
//!
//! The files beside a `tokenizer.json` are written by Python, whose `json` has a dialect of its own: `NaN`, `Infinity`
//! and `-Infinity` (the `config.json` of Mamba 2 and its kin has `"time_step_limit": [0.0, Infinity]`), numbers beyond
//! the range of a double, halves of surrogate pairs. None of that bears on which token ends a document, so it is let
//! through, and so is a byte order mark. Of a key given twice the last counts, there as here.

use serde_json::{Error, Value};

/// Reads a file beside a `tokenizer.json`. What JSON has no value for becomes null, and half a surrogate pair U+FFFD.
pub(super) fn parse(text: &str) -> Result<Value, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let strict = serde_json::from_str(text);
    if strict.is_ok() {
        return strict;
    }
    // Where it is no dialect either, the place in the file as it is says more.
    serde_json::from_str(&as_json(text)).or(strict)
}

/// The text with all that is Python's own replaced.
fn as_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '"' => string(rest, &mut json),
            '-' | '+' | '0'..='9' | 'A'..='Z' | 'a'..='z' => word(rest, &mut json),
            other => {
                json.push(other);
                other.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    json
}

/// Takes a number or a name from the beginning of `text`, and says how long it is.
fn word(text: &str, json: &mut String) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let word = &text[..end];
    let is_no_value = matches!(word, "NaN" | "Infinity" | "-Infinity");
    let is_number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let is_beyond = is_number && word.parse::<f64>().is_ok_and(f64::is_infinite);
    json.push_str(if is_no_value || is_beyond { "null" } else { word });
    end
}

/// Takes a string from the beginning of `text`, quotes included, and says how long it is.
fn string(text: &str, json: &mut String) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    json.push('"');
    while at < bytes.len() {
        let from = at;
        match bytes[at] {
            b'"' => {
                json.push('"');
                return at + 1;
            }
            b'\\' => match surrogate(&bytes[at..]) {
                Some(0xdc00..=0xdfff) => {
                    json.push_str("\\ufffd");
                    at += 6;
                }
                Some(_) if matches!(surrogate(&bytes[at + 6..]), Some(0xdc00..=0xdfff)) => {
                    at += 12;
                    json.push_str(&text[from..at]);
                }
                Some(_) => {
                    json.push_str("\\ufffd");
                    at += 6;
                }
                None => {
                    at = text.ceil_char_boundary((at + 2).min(bytes.len()));
                    json.push_str(&text[from..at]);
                }
            },
            _ => {
                at = text.ceil_char_boundary(at + 1);
                json.push_str(&text[from..at]);
            }
        }
    }
    at
}

/// The half of a surrogate pair that an escape at the beginning of `bytes` stands for.
fn surrogate(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..0xe000).contains(&code).then_some(code)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_is_read() {
        let text = "\u{feff}{\"a\": [0.0, Infinity, -Infinity, NaN, 1e999, -1e999, 1e5], \"b\": \"NaN, \\\" Infinity\",\n\
                    \"c\": \"\\ud83d\\ude00 \\ud83d \\ude00\\ud83dx é\\\\\", \"eos_token\": \"x\", \"eos_token\": \"<eos>\"}";
        let value = parse(text).unwrap();
        assert_eq!(value["a"], json!([0.0, null, null, null, null, null, 1e5]));
        assert_eq!(value["b"], "NaN, \" Infinity");
        assert_eq!(value["c"], "\u{1f600} \u{fffd} \u{fffd}\u{fffd}x é\\");
        assert_eq!(value["eos_token"], "<eos>");
    }

    #[test]
    fn what_python_does_not_read_either_is_refused() {
        for broken in [
            "",
            "{",
            "{\"a\": Inf}",
            "{\"a\": nan}",
            "{'a': 1}",
            "{\"a\": 1,}",
            "[1 2]",
            "\"\\",
            "\"\\ud8",
            "\"é",
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
