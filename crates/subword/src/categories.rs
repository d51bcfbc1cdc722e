//! What normalizers and pre-tokenizers need to know of a character, in one byte.
//!
//! They ask for Unicode's general categories, `\w`, and whether a character may be changed or be one with its neighbors, each by
//! the tables of the library that the reference asks. Those are slow to ask, so what they say of every code point is kept in
//! `categories.bin`. A test asks them again.

use crate::character_table::CharacterTable;

/// `\p{P}` and ASCII's signs.
pub(crate) const PUNCTUATION: u8 = 1;
/// What may be one cluster of characters (a grapheme) with a neighbor.
pub(crate) const CLUSTERED: u8 = 1 << 1;
/// Control characters, format characters, and those for private use.
pub(crate) const OTHER: u8 = 1 << 2;
/// `\p{Mn}`.
pub(crate) const NONSPACING_MARK: u8 = 1 << 3;
/// `\p{M}`.
pub(crate) const MARK: u8 = 1 << 4;
/// `\w`.
pub(crate) const WORD: u8 = 1 << 5;
/// What is decomposed, or changes places with its neighbors.
pub(crate) const DECOMPOSED: u8 = 1 << 6;
/// What forms KC and KD may change, alone or with its neighbors.
pub(crate) const COMPATIBLE: u8 = 1 << 7;

static CATEGORIES: CharacterTable = CharacterTable::new(include_bytes!("categories.bin"));

/// Whether `c` has one of those that are set in `categories`.
#[inline(always)]
pub(crate) fn has(c: char, categories: u8) -> bool {
    CATEGORIES.of(c.into()) & categories != 0
}

/// Whether no character of `text` has one of those that are set in `categories`, none of which ASCII has.
pub(crate) fn has_none(text: &str, categories: u8) -> bool {
    text.is_ascii() || !text.chars().any(|c| has(c, categories))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use super::*;
    use crate::character_table::assert_is;
    use unicode_categories::UnicodeCategories;
    use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, char, is_nfkc_quick};
    use unicode_segmentation::UnicodeSegmentation;

    /// Whether it continues, leads, doubles, or is a part of a syllable of Hangul: the ways that there are (Unicode Standard
    /// Annex #29, table 1b), but for what also needs one of those between two others.
    fn is_clustered(c: char) -> bool {
        let texts = [['a', c], [c, 'a'], [c, c], [c, '\u{1161}'], [c, '\u{11a8}'], ['\u{1100}', c]];
        texts.iter().any(|text| text.iter().collect::<String>().graphemes(true).count() == 1)
    }

    fn derived(code_point: u32) -> u8 {
        let Some(c) = char::from_u32(code_point) else { return 0 };
        let reordered = char::canonical_combining_class(c) != 0;
        let is_itself =
            |mut form: Box<dyn Iterator<Item = char>>| form.next() == Some(c) && form.next().is_none();
        let nfd = [c].into_iter().nfd().map(|(c, _)| c);
        let nfkd = [c].into_iter().nfkd().map(|(c, _)| c);
        let composed = !matches!(is_nfkc_quick([c].into_iter()), IsNormalized::Yes);
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        flag(c.is_ascii_punctuation() || UnicodeCategories::is_punctuation(c), PUNCTUATION)
            | flag(is_clustered(c), CLUSTERED)
            | flag(c.is_other(), OTHER)
            | flag(c.is_mark_nonspacing(), NONSPACING_MARK)
            | flag(char::is_combining_mark(c), MARK)
            | flag(regex_syntax::try_is_word_character(c).unwrap(), WORD)
            | flag(reordered || !is_itself(Box::new(nfd)), DECOMPOSED)
            | flag(reordered || composed || !is_itself(Box::new(nfkd)), COMPATIBLE)
    }

    /// Rewrites `categories.bin` when `SUBWORD_DERIVE_CATEGORIES` names a file to write.
    #[test]
    fn every_code_point_has_what_the_libraries_say_of_it() {
        let all: Vec<u8> = (0..0x110000).map(derived).collect();
        assert_is(&CATEGORIES, &all, "SUBWORD_DERIVE_CATEGORIES");
        let ascii = all[..0x80].iter().fold(0, |seen, categories| seen | categories);
        assert_eq!(ascii & (CLUSTERED | NONSPACING_MARK | MARK | DECOMPOSED | COMPATIBLE), 0);
    }
}
