//! Whether text begins with a JSON value, as strictly as a record is read.

use super::cursor::Cursor;

/// Words that a value may be.
const WORDS: [&[u8]; 6] = [b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity"];

/// What some bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A value that ends at this byte.
    Value(usize),
    /// The first part of a value, so far without a fault.
    CutOff,
    /// No value.
    Broken,
}

/// What `bytes` begin with, white space left out.
pub(crate) fn beginning(bytes: &[u8]) -> Beginning {
    let mut nesting = Vec::new();
    let mut cursor = Cursor { bytes, at: 0, nesting: &mut nesting };
    cursor.white_space();
    match cursor.value() {
        Ok(_) => Beginning::Value(cursor.at),
        Err(_) if is_cut_off(&bytes[cursor.at..]) => Beginning::CutOff,
        Err(_) => Beginning::Broken,
    }
}

/// Whether `rest`, where a value was seen to be none, is only too short.
fn is_cut_off(rest: &[u8]) -> bool {
    let escape = rest.first() == Some(&b'u') && rest.len() < 5 && rest[1..].iter().all(u8::is_ascii_hexdigit);
    rest.is_empty() || escape || WORDS.iter().any(|word| word.starts_with(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_cut_off_and_broken_are_told_apart() {
        let whole = br#" {"a": ["\u00e9\n", -1.5e3, NaN, -Infinity, true, {"b": null}]}"#;
        assert_eq!(beginning(whole), Beginning::Value(whole.len()));
        for length in 2..whole.len() {
            assert_eq!(beginning(&whole[..length]), Beginning::CutOff, "{length}");
        }
        for broken in
            [&b"{\"a\":\"b\nc\"}"[..], b"{\"a\":}", b"{\"a\" 1}", b"{\"a\":1,}", b"[1,]", b"}", b"x"]
        {
            assert_eq!(beginning(broken), Beginning::Broken, "{}", broken.escape_ascii());
        }
    }
}
