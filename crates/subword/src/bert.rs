//! BERT's normalizer.

use std::borrow::Cow;

use unicode_normalization_alignments::UnicodeNormalization;

use crate::categories::{self, DECOMPOSED, NONSPACING_MARK, OTHER, has_none};
use crate::runs::{Along, changed};

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
        // What is left out may have held two characters apart that change together: it goes with them.
        let is_kept = |byte| matches!(byte, b' '..=b'~');
        let change = |part: &str, out: &mut String| {
            self.change(part, out);
            Ok(())
        };
        let changed = changed(text, is_kept, Along::None, change).expect("nothing fails");
        if !self.lowercase {
            return changed;
        }
        let mut lower = changed.into_owned();
        lower.make_ascii_lowercase();
        Cow::Owned(lower)
    }

    /// Appends what becomes of `part`.
    fn change(&self, part: &str, out: &mut String) {
        let put = |c: char, out: &mut String| match self.lowercase && !c.is_ascii() {
            true => out.extend(c.to_lowercase()),
            false => out.push(c),
        };
        if !self.strip_accents || has_none(part, DECOMPOSED | NONSPACING_MARK) {
            return part.chars().for_each(|c| self.clean(c, out, put));
        }
        let mut cleaned = String::new();
        part.chars().for_each(|c| self.clean(c, &mut cleaned, |c, out| out.push(c)));
        let decomposed = cleaned.nfd().map(|(c, _)| c).filter(|c| !categories::has(*c, NONSPACING_MARK));
        decomposed.for_each(|c| put(c, out));
    }

    /// Puts a character as it is, something else, or nothing.
    #[inline(always)]
    fn clean(&self, c: char, out: &mut String, put: impl Fn(char, &mut String)) {
        match c {
            '\t' | '\n' | '\r' if self.clean_text => out.push(' '),
            '\0' | '\u{fffd}' if self.clean_text => {}
            // Of characters that no table of Unicode's had then, too.
            c if self.clean_text && categories::has(c, OTHER) => {}
            c if self.clean_text && c.is_whitespace() => out.push(' '),
            c if self.handle_chinese_chars && is_chinese(c) => out.extend([' ', c, ' ']),
            c => put(c, out),
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
