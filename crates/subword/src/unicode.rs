//! What the split patterns need to know of a character, in one byte.
//!
//! Most patterns ask only for `\p{L}` (by case), `\p{M}`, `\p{N}` and `\s`, so every code point has
//! one of eight classes; what few of them ask for besides has a bit of its own. Being exact means
//! having the classes of the *reference's* regex engine (Oniguruma), whose Unicode version is older
//! than Rust's; `classes.bin` is therefore derived by asking it for every code point, and a test asks
//! again. Of a character's byte bits 0 to
//! 2 are the class, bit 3 for `[\p{P}\p{S}]`, bit 4 for `\p{Han}`, bit 5 for the Han and kana that
//! DeepSeek's tokenizers split off, bit 6 for what ends words in BLOOM's; bit 7 says that Unicode 9 normalization form C (the reference's
//! tables) may treat the character as other than inert.

use crate::character_table::CharacterTable;

/// Anything that no other class claims: punctuation, symbols, controls, unassigned.
pub(crate) const OTHER: u8 = 0;
/// `\p{Lu}` and `\p{Lt}`.
pub(crate) const UPPER: u8 = 1;
/// `\p{Ll}`.
pub(crate) const LOWER: u8 = 2;
/// `\p{Lm}` and `\p{Lo}`: letters that count as upper and as lower case.
pub(crate) const CASELESS: u8 = 3;
/// `\p{M}`: not a letter, but part of words in the patterns that tell case apart.
pub(crate) const MARK: u8 = 4;
/// `\p{N}`.
pub(crate) const NUMBER: u8 = 5;
/// `\s` but for the two newline characters.
pub(crate) const SPACE: u8 = 6;
/// `\r` and `\n`.
pub(crate) const NEWLINE: u8 = 7;

/// A set of classes, to be asked with [`Char::is`].
pub(crate) const fn set(classes: &[u8]) -> u8 {
    let mut bits = 0;
    let mut i = 0;
    while i < classes.len() {
        bits |= 1 << classes[i];
        i += 1;
    }
    bits
}

pub(crate) const LETTERS: u8 = set(&[UPPER, LOWER, CASELESS]);
pub(crate) const SPACES: u8 = set(&[SPACE, NEWLINE]);

static CLASSES: CharacterTable = CharacterTable::new(include_bytes!("classes.bin"));

const CLASS: u8 = 7;
const SIGN: u8 = 1 << 3;
const HAN: u8 = 1 << 4;
const HAN_OR_KANA: u8 = 1 << 5;
const BLOOM_STOP: u8 = 1 << 6;
const NOT_INERT: u8 = 1 << 7;

/// A character of a text: what the patterns ask of it, and its length in bytes (1 to 4).
#[derive(Clone, Copy)]
pub(crate) struct Char {
    properties: u8,
    pub(crate) len: usize,
}

impl Char {
    /// The character that starts at `at`; `None` at the end of the text.
    /// `text` must be UTF-8 and `at` a character boundary (else the class is meaningless).
    #[inline(always)]
    pub(crate) fn at(text: &[u8], at: usize) -> Option<Self> {
        let lead = *text.get(at)?;
        if lead < 0x80 {
            return Some(Self { properties: CLASSES.of_ascii(lead), len: 1 });
        }
        let (code_point, len) = decode(text, at, lead);
        Some(Self { properties: CLASSES.of(code_point), len })
    }

    /// Whether the class is one of `set`.
    #[inline(always)]
    pub(crate) fn is(self, set: u8) -> bool {
        set >> (self.properties & CLASS) & 1 != 0
    }

    /// Whether it is in `[\p{P}\p{S}]`.
    #[inline(always)]
    pub(crate) fn is_sign(self) -> bool {
        self.properties & SIGN != 0
    }

    /// Whether it is in `\p{Han}`: letters, but also numbers, marks and symbols.
    #[inline(always)]
    pub(crate) fn is_han(self) -> bool {
        self.properties & HAN != 0
    }

    /// Whether it is in `[一-龥\u3040-ゟ゠-ヿ]`.
    #[inline(always)]
    pub(crate) fn is_han_or_kana(self) -> bool {
        self.properties & HAN_OR_KANA != 0
    }

    /// Whether it is in `[(\s|[.,!?…。，、।۔،])]`.
    #[inline(always)]
    pub(crate) fn is_bloom_stop(self) -> bool {
        self.properties & BLOOM_STOP != 0
    }
}

/// Whether the text holds only characters that normalization form C leaves alone wherever they
/// stand, so that the text is its own normal form. `false` says nothing.
pub(crate) fn is_inert(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let lead = bytes[at];
        // All that starts with a byte below 0xCC is below U+0300, where composition begins.
        if lead < 0xCC {
            at += 1;
            continue;
        }
        let (code_point, len) = decode(bytes, at, lead);
        if CLASSES.of(code_point) & NOT_INERT != 0 {
            return false;
        }
        at += len;
    }
    true
}

/// Whether texts in UTF-8 may have this byte.
pub(crate) const fn is_in_texts(byte: u8) -> bool {
    !matches!(byte, 0xc0 | 0xc1 | 0xf5..)
}

/// The length of the character that begins with this byte.
#[inline(always)]
pub(crate) const fn length(first: u8) -> usize {
    match first {
        0..0xc0 => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0.. => 4,
    }
}

#[inline(always)]
fn decode(text: &[u8], at: usize, lead: u8) -> (u32, usize) {
    let next = |i: usize| u32::from(text.get(at + i).copied().unwrap_or(0) & 0x3f);
    let lead = u32::from(lead);
    if lead < 0xe0 {
        ((lead & 0x1f) << 6 | next(1), 2)
    } else if lead < 0xf0 {
        ((lead & 0x0f) << 12 | next(1) << 6 | next(2), 3)
    } else {
        ((lead & 0x07) << 18 | next(1) << 12 | next(2) << 6 | next(3), 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::character_table::assert_is;
    use unicode_normalization_alignments::{IsNormalized, UnicodeNormalization, char, is_nfc_quick};

    /// The class byte of every code point, from the reference's own engines.
    fn derived() -> Vec<u8> {
        let sets = [
            (r"[\p{Lu}\p{Lt}]", UPPER),
            (r"\p{Ll}", LOWER),
            (r"[\p{Lm}\p{Lo}]", CASELESS),
            (r"\p{M}", MARK),
            (r"\p{N}", NUMBER),
            (r"[\s&&[^\r\n]]", SPACE),
            (r"[\r\n]", NEWLINE),
        ]
        .map(|(pattern, class)| (onig::Regex::new(pattern).expect("a valid pattern"), class));
        let flags = [
            (r"[\p{P}\p{S}]", SIGN),
            (r"\p{Han}", HAN),
            ("[\u{4e00}-\u{9fa5}\u{3040}-\u{309f}\u{30a0}-\u{30ff}]", HAN_OR_KANA),
            (r"[(\s|[.,!?…。，、।۔،])]", BLOOM_STOP),
        ]
        .map(|(pattern, flag)| (onig::Regex::new(pattern).expect("a valid pattern"), flag));
        let mut buffer = [0; 4];
        (0..0x110000)
            .map(|code_point| {
                let Some(c) = char::from_u32(code_point) else { return OTHER };
                let text = &*c.encode_utf8(&mut buffer);
                let mut classes = sets.iter().filter(|(regex, _)| regex.find(text).is_some());
                let class = classes.next().map_or(OTHER, |&(_, class)| class);
                assert!(classes.next().is_none(), "{c:?} has two classes");
                let inert = char::canonical_combining_class(c) == 0
                    && matches!(is_nfc_quick([c].into_iter()), IsNormalized::Yes)
                    && [c].into_iter().nfc().map(|(c, _)| c).eq([c]);
                let flags = flags.iter().filter(|(regex, _)| regex.find(text).is_some());
                let flags = flags.fold(0, |flags, (_, flag)| flags | flag);
                class | flags | if inert { 0 } else { NOT_INERT }
            })
            .collect()
    }

    /// Rewrites `classes.bin` when `SUBWORD_DERIVE_CLASSES` names a file to write.
    #[test]
    fn every_code_point_has_the_class_the_reference_gives_it() {
        let derived = derived();
        assert_is(&CLASSES, &derived, "SUBWORD_DERIVE_CLASSES");
        assert!(derived[..0x300].iter().all(|class| class & NOT_INERT == 0));
    }

    #[test]
    fn inert_texts_are_their_own_normal_form() {
        assert!(is_inert("Grüße, 世界! \u{1F600}"));
        assert!(!is_inert("e\u{301}"));
        assert!(!is_inert("\u{212B}"));
    }
}
