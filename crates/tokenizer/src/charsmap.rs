//! How long a SentencePiece charsmap says that its trie is.
//!
//! The library takes memory for as many units as the first four bytes say, before it looks whether they are there:
//! eight bytes of a hostile file are worth eight gigabytes.

use serde_json::Value;

use super::error::Error;

/// Whether each charsmap in `normalizer` has the trie that it announces.
///
/// # Errors
/// [`Error::Charsmap`].
pub(super) fn check(normalizer: Option<&Value>) -> Result<(), Error> {
    let Some(step) = normalizer else { return Ok(()) };
    step["normalizers"].as_array().into_iter().flatten().try_for_each(|step| check(Some(step)))?;
    let charsmap = step["precompiled_charsmap"].as_str().unwrap_or_default();
    // Four characters are three bytes, and the length's own four are no part of the trie.
    let there = (charsmap.len() as u64 / 4 * 3).saturating_sub(4);
    match announced(charsmap) {
        Some(announced) if announced > there => Err(Error::Charsmap { announced, there }),
        _ => Ok(()),
    }
}

/// The first four bytes of a text in Base64, least significant first; none where it has not so many or is none.
fn announced(base64: &str) -> Option<u64> {
    let mut bits: u64 = 0;
    for &letter in base64.as_bytes().get(..6)? {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // What fills the last four characters up.
            b'=' => 0,
            _ => return None,
        };
        bits = bits << 6 | u64::from(value);
    }
    // Six characters are 36 bits, the last four of which belong to the fifth byte.
    let bytes = u32::try_from(bits >> 4).ok()?.to_be_bytes();
    Some(u32::from_le_bytes(bytes).into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_trie_that_is_not_there_takes_no_memory() {
        let step = |charsmap: &str| json!({ "type": "Precompiled", "precompiled_charsmap": charsmap });
        for (charsmap, bytes, is_good) in [
            ("", None, true),
            ("!!!!!!!!", None, true),
            ("AAAA", None, true),
            ("AAAAAA==", Some(0), true),
            ("BAAAAAAAAAAA", Some(4), true),
            ("BgAAAAAAAAAA", Some(6), false),
            ("/////w==", Some(u64::from(u32::MAX)), false),
            ("AAQAAP////////////////8=", Some(1024), false),
        ] {
            assert_eq!(announced(charsmap), bytes, "{charsmap}");
            for normalizer in [step(charsmap), json!({ "type": "Sequence", "normalizers": [step(charsmap)] })]
            {
                assert_eq!(check(Some(&normalizer)).is_ok(), is_good, "{charsmap}");
            }
        }
        assert!(check(None).is_ok());
    }
}
