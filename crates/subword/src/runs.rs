//! Changing what of a text is not ASCII, mostly little, and keeping the rest.

use std::borrow::Cow;

use crate::error::Error;

/// Which neighbors of a part go with it, since they may be changed together.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    None,
    /// The character before it.
    Before,
    /// The characters before and behind it.
    Both,
}

/// Calls `change` for each part of `text` that is not ASCII; `change` appends what it becomes.
pub(crate) fn beyond_ascii(
    text: &str,
    along: Along,
    mut change: impl FnMut(&str, &mut String),
) -> Cow<'_, str> {
    let change = |part: &str, out: &mut String| {
        change(part, out);
        Ok(())
    };
    changed(text, |byte| byte.is_ascii(), along, change).expect("nothing fails")
}

/// The same for each part whose bytes are not kept; those that are kept are ASCII.
///
/// # Errors
/// Those of `change`.
pub(crate) fn changed(
    text: &str,
    is_kept: impl Fn(u8) -> bool,
    along: Along,
    mut change: impl FnMut(&str, &mut String) -> Result<(), Error>,
) -> Result<Cow<'_, str>, Error> {
    let bytes = text.as_bytes();
    let count = |from: usize, kept: bool| bytes[from..].iter().take_while(|b| is_kept(**b) == kept).count();
    let mut out = String::new();
    let mut start = 0;
    loop {
        let kept = count(start, true);
        if kept == bytes.len() {
            return Ok(Cow::Borrowed(text));
        }
        if start + kept == bytes.len() {
            out.push_str(&text[start..]);
            return Ok(Cow::Owned(out));
        }
        if start == 0 {
            out.reserve(text.len() + text.len() / 8);
        }
        let first = start + kept - usize::from(along != Along::None && kept > 0);
        out.push_str(&text[start..first]);
        let mut end = start + kept + count(start + kept, false);
        // The character behind it has no other part behind itself, else that goes along, too.
        while along == Along::Both && end < bytes.len() {
            end += 1;
            match count(end, false) {
                0 => break,
                more => end += more,
            }
        }
        change(&text[first..end], &mut out)?;
        start = end;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use super::*;

    fn parts(text: &str, along: Along) -> Vec<String> {
        let mut parts = Vec::new();
        let out = changed(
            text,
            |byte| byte.is_ascii_lowercase(),
            along,
            |part, out| {
                parts.push(part.to_owned());
                out.push_str(part);
                Ok(())
            },
        );
        assert_eq!(out.unwrap(), text);
        parts
    }

    #[test]
    fn parts_come_with_their_neighbors() {
        let text = "abÉcÄÖdefß";
        assert_eq!(parts(text, Along::None), ["É", "ÄÖ", "ß"]);
        assert_eq!(parts(text, Along::Before), ["bÉ", "cÄÖ", "fß"]);
        assert_eq!(parts(text, Along::Both), ["bÉcÄÖd", "fß"]);
        assert_eq!(parts("É", Along::Both), ["É"]);
        assert_eq!(parts("Éa", Along::Both), ["Éa"]);
        assert_eq!(parts("Éab", Along::Both), ["Éa"]);
        assert_eq!(parts("ÉabÄ", Along::Both), ["Éa", "bÄ"]);
        assert!(parts("", Along::Both).is_empty());
        assert!(parts("abc", Along::Before).is_empty());
    }
}
