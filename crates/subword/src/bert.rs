//! BERT's normalizer.

use std::borrow::Cow;

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;

use crate::runs::{Along, beyond_ascii};

/// What it does, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BertNormalizer {
    /// Control characters are left out, and white space becomes spaces.
    pub(crate) clean_text: bool,
    /// A space is put before and behind each Chinese character.
    pub(crate) handle_chinese_chars: bool,
    /// Accents are left out.
    pub(crate) strip_accents: bool,
    /// Letters become lower case.
    pub(crate) lowercase: bool,
}

impl BertNormalizer {
    pub(crate) fn normalized<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let cleaned = if self.clean_text { cleaned(text) } else { Cow::Borrowed(text) };
        if cleaned.is_ascii() {
            return match self.lowercase {
                true => Cow::Owned(cleaned.to_ascii_lowercase()),
                false => cleaned,
            };
        }
        let mut lower = beyond_ascii(&cleaned, Along::None, |part, out| {
            let mut spaced = String::new();
            let part = match self.handle_chinese_chars && part.chars().any(is_chinese) {
                true => {
                    part.chars().for_each(|c| match is_chinese(c) {
                        true => spaced.extend([' ', c, ' ']),
                        false => spaced.push(c),
                    });
                    &*spaced
                }
                false => part,
            };
            let put = |c: char, out: &mut String| match self.lowercase {
                true => out.extend(c.to_lowercase()),
                false => out.push(c),
            };
            match self.strip_accents {
                true => {
                    let decomposed = part.nfd().map(|(c, _)| c).filter(|c| !c.is_mark_nonspacing());
                    decomposed.for_each(|c| put(c, out));
                }
                false => part.chars().for_each(|c| put(c, out)),
            }
        })
        .into_owned();
        if self.lowercase {
            lower.make_ascii_lowercase();
        }
        Cow::Owned(lower)
    }
}

/// Without control characters, with spaces for white space.
fn cleaned(text: &str) -> Cow<'_, str> {
    let is_clean = |byte: &u8| matches!(byte, b' '..=b'~');
    if text.bytes().all(|byte| is_clean(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let clean = rest.bytes().take_while(is_clean).count();
        out.push_str(&rest[..clean]);
        rest = &rest[clean..];
        let Some(c) = rest.chars().next() else { return Cow::Owned(out) };
        rest = &rest[c.len_utf8()..];
        match c {
            '\t' | '\n' | '\r' => out.push(' '),
            '\0' | '\u{fffd}' => {}
            // Of characters that no table of Unicode's had then, too.
            c if c.is_other() => {}
            c if c.is_whitespace() => out.push(' '),
            c => out.push(c),
        }
    }
}

/// The blocks of Chinese characters that BERT knows.
fn is_chinese(c: char) -> bool {
    matches!(
        u32::from(c),
        0x4e00..=0x9fff
            | 0x3400..=0x4dbf
            | 0x20000..=0x2a6df
            | 0x2a700..=0x2b73f
            | 0x2b740..=0x2b81f
            | 0x2b920..=0x2ceaf
            | 0xf900..=0xfaff
            | 0x2f800..=0x2fa1f
    )
}
