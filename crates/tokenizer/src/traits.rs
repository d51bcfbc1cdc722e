//! Which documents are compared with the reference: those that have what no document before them had.
//!
//! An engine that is wrong is mostly wrong about little: a script, a kind of white space, an added token with a flag. The
//! first documents of an input rarely have it, and those that have it may be one in a million. So each text has traits:
//! where in Unicode its characters lie, control characters, its length, how long its tokens are, which added tokens are
//! in it; and a document with a new trait is compared.

use std::sync::atomic::{AtomicU64, Ordering};

use super::id_set::IdSet;

/// Documents of more bytes are not compared, as the reference needs some forty times a document's size in memory.
const DOCUMENT_MAX: usize = 64 * 1024;

/// Bytes of documents with new traits that are compared of a part of a run, and of what follows the share. The reference
/// takes some thirty times as long as the engine.
const BYTES_AT_FIRST: u64 = 32 * 1024;
const SHARE: u64 = 2_048;

/// Of documents without new traits one in so many is compared, by its content.
const OTHERS: u64 = 4_096;

/// Bytes of a text that are looked at together.
const CHUNK: usize = 64;

/// Characters that lie together: 64, of which nearly all have one script and one use.
const PAGE: u32 = 64;

/// Pages whose characters differ, so that each has a trait of its own: controls and Latin-1's signs, marks, Mongolian's
/// separators, spaces and format characters, selectors, specials.
const PAGES_OF_SINGLES: [u32; 11] =
    [0x80, 0x300, 0x340, 0x17C0, 0x1800, 0x2000, 0x2040, 0x3000, 0xFE00, 0xFEC0, 0xFFC0];

/// Ideographs and syllables, of which 1,024 have a trait together.
const IDEOGRAPHS: std::ops::Range<u32> = 0x3400..0xD800;
const PAGES_TOGETHER: u32 = 16;

/// Marks the place of a page of singles.
const SINGLES: u16 = 1 << 15;

/// The place of each page below U+10000, and how many places there are.
const PAGES: ([u16; 0x1_0000 / PAGE as usize], u16) = pages();

const fn pages() -> ([u16; 0x1_0000 / PAGE as usize], u16) {
    let mut places = [0; 0x1_0000 / PAGE as usize];
    let (mut page, mut next) = (0, 0);
    while page < 0x1_0000 / PAGE {
        let mut singles = false;
        let mut at = 0;
        while at < PAGES_OF_SINGLES.len() {
            singles |= PAGES_OF_SINGLES[at] / PAGE == page;
            at += 1;
        }
        let start = page * PAGE;
        let shares = IDEOGRAPHS.start < start && start < IDEOGRAPHS.end && page % PAGES_TOGETHER != 0;
        places[page as usize] = if singles {
            next | SINGLES
        } else if shares {
            next - 1
        } else {
            next
        };
        next += if singles {
            PAGE as u16
        } else if shares {
            0
        } else {
            1
        };
        page += 1;
    }
    (places, next)
}

/// Behind them: 4,096 characters each from U+10000 on, control characters, lengths of texts and of tokens as powers of
/// two, and added tokens, by their ids.
const BEYOND: usize = PAGES.1 as usize;
const CONTROL: usize = BEYOND + 0x100;
const LENGTH: usize = CONTROL + 1;
const TOKEN_LENGTH: usize = LENGTH + 18;
const ADDED: usize = TOKEN_LENGTH + 18;
const ADDED_IDS: usize = 256;
const WORDS: usize = (ADDED + ADDED_IDS).div_ceil(64);

/// What a text has: a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits([u64; WORDS]);

impl Default for Traits {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Traits {
    /// Those of a text with these ids.
    pub(super) fn of(text: &str, ids: &[u32], added: &IdSet) -> Self {
        let mut traits = Self::default();
        traits.note_characters(text);
        let power = |number: usize| number.checked_ilog2().map_or(0, |power| power as usize + 1).min(17);
        traits.note(LENGTH + power(text.len()));
        traits.note(TOKEN_LENGTH + power(text.len() / ids.len().max(1)));
        added.among(ids).for_each(|id| traits.note(ADDED + id as usize % ADDED_IDS));
        traits
    }

    fn note(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn note_characters(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let (chunks, _) = bytes.as_chunks::<CHUNK>();
        for (number, chunk) in chunks.iter().enumerate() {
            self.note_chunk(chunk, &bytes[number * CHUNK..]);
        }
        let rest = &bytes[chunks.len() * CHUNK..];
        self.note_chunk(rest, rest);
    }

    /// Notes the characters that begin in `chunk`; `bytes` are the text's from there on.
    #[inline(always)]
    fn note_chunk(&mut self, chunk: &[u8], bytes: &[u8]) {
        let is_control =
            |byte: u8| (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r') | (byte == 0x7F);
        // Without branches, so that many bytes are looked at together.
        let (mut all, mut has_control) = (0, false);
        for &byte in chunk {
            all |= byte;
            has_control |= is_control(byte);
        }
        if has_control {
            self.note(CONTROL);
        }
        if !all.is_ascii() {
            let begins = |byte: &u8| *byte >= 0xC0;
            let places = (0..chunk.len()).filter(|&at| begins(&chunk[at])).map(|at| place_of(&bytes[at..]));
            places.for_each(|place| self.note(place));
        }
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(own, other)| *own |= other);
    }

    /// Whether it has all of `others`.
    #[must_use]
    pub fn has_all(&self, others: &Self) -> bool {
        self.0.iter().zip(others.0).all(|(own, other)| other & !own == 0)
    }
}

/// The place of the character that `bytes` begins with, which is not ASCII.
fn place_of(bytes: &[u8]) -> usize {
    let part = |at: usize| usize::from(bytes[at] & 0x3F);
    // All but the last six bits are the page.
    let (page, last) = match bytes[0] {
        0xC0..0xE0 => (usize::from(bytes[0] & 0x1F), part(1)),
        0xE0..0xF0 => (usize::from(bytes[0] & 0xF) << 6 | part(1), part(2)),
        lead => return BEYOND + (usize::from(lead & 7) << 6 | part(1)) - 0x10,
    };
    let place = PAGES.0[page];
    usize::from(place & !SINGLES) + if place & SINGLES == 0 { 0 } else { last }
}

/// Traits that were met, for other threads to see: they may see them late.
#[derive(Debug, Default)]
pub struct MetTraits([AtomicU64; WORDS]);

impl MetTraits {
    /// Adds traits.
    pub fn add(&self, traits: &Traits) {
        for (own, &other) in self.0.iter().zip(&traits.0) {
            own.fetch_or(other, Ordering::Relaxed);
        }
    }

    /// Whether all of these were met.
    #[must_use]
    pub fn has_all(&self, traits: &Traits) -> bool {
        self.0.iter().zip(traits.0).all(|(own, other)| other & !own.load(Ordering::Relaxed) == 0)
    }
}

/// Chooses the documents of a part of a run, in their order.
#[derive(Debug, Clone, Default)]
pub struct SampleChoice {
    met: Traits,
    /// Bytes of texts so far, and of those that were chosen for their traits.
    bytes: u64,
    taken: u64,
}

impl SampleChoice {
    /// So many more bytes of texts have come.
    pub fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Whether a document is chosen: for its content, so that a second run picks the same, or for its traits.
    pub fn takes(&mut self, traits: &Traits, text_bytes: usize, content_hash: u64) -> bool {
        let is_by_content = is_by_content(content_hash);
        if !may_be_sample(text_bytes, content_hash, !self.met.has_all(traits)) {
            return false;
        }
        let room = BYTES_AT_FIRST + self.bytes / SHARE - self.taken;
        if !is_by_content {
            // Half of it at most, so that there is always some for shorter documents.
            if text_bytes as u64 > room / 2 {
                return false;
            }
            self.taken += text_bytes as u64;
        }
        self.met.add(traits);
        true
    }
}

/// Whether a document with or without new traits may be chosen.
#[must_use]
pub fn may_be_sample(text_bytes: usize, content_hash: u64, is_new: bool) -> bool {
    text_bytes <= DOCUMENT_MAX && (is_new || is_by_content(content_hash))
}

fn is_by_content(content_hash: u64) -> bool {
    content_hash.is_multiple_of(OTHERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(text: &str) -> Traits {
        Traits::of(text, &[1, 2, 3], &IdSet::default())
    }

    #[test]
    fn scripts_and_odd_characters_have_traits_of_their_own() {
        let some = [
            "плюс",
            "日本",
            "ひらがな",
            "ไทย",
            "\u{200b}a",
            "\u{2019}a",
            "\u{180e}",
            "\u{85}",
            "\u{301}",
            "😀",
            "𠀀",
            "\0",
        ];
        let padded = |text: &str| format!("{text:0<24}");
        for one in some {
            for other in some {
                assert_eq!(
                    traits(&padded(one)).has_all(&traits(&padded(other))),
                    one == other,
                    "{one:?} {other:?}"
                );
            }
        }
        assert_eq!(traits("你余你余"), traits("你你你你"), "characters that lie together");
    }

    #[test]
    fn every_character_has_a_place() {
        let mut places: Vec<usize> =
            ('\u{80}'..=char::MAX).map(|c| place_of(c.encode_utf8(&mut [0; 4]).as_bytes())).collect();
        assert!(places.iter().all(|place| *place < CONTROL));
        places.dedup();
        assert!(places.is_sorted(), "characters that lie together have a place together");
        places.dedup();
        let (ascii, surrogates) = (2, 32);
        assert_eq!(places.len(), BEYOND + 0x100 - ascii - surrogates);
    }

    #[test]
    fn characters_are_found_wherever_they_stand() {
        for at in 0..70 {
            let text = format!("{}é{}", "a".repeat(at), "b".repeat(69 - at));
            assert_eq!(traits(&text), traits(&format!("é{}", "c".repeat(69))), "{at}");
        }
    }

    #[test]
    fn added_tokens_and_lengths_count() {
        let added = IdSet::new(vec![7, 300]);
        let plain = Traits::of("text", &[1, 2], &added);
        assert!(!plain.has_all(&Traits::of("text", &[1, 7], &added)));
        assert!(!Traits::of("text", &[1, 7], &added).has_all(&Traits::of("text", &[1, 300], &added)));
        assert!(!plain.has_all(&Traits::of("text, longer than that", &[1, 2], &added)));
    }

    #[test]
    fn a_document_is_chosen_for_new_traits_while_there_is_room() {
        let mut choice = SampleChoice::default();
        let takes = |choice: &mut SampleChoice, text: &str, bytes| choice.takes(&traits(text), bytes, 1);
        assert!(takes(&mut choice, "one", 3));
        assert!(!takes(&mut choice, "two", 3), "nothing is new");
        assert!(takes(&mut choice, "три", 16_000));
        assert!(!takes(&mut choice, "四四", 16_000), "half of the room is for shorter ones");
        assert!(takes(&mut choice, "四四", 6), "which leaves its traits to others");
        choice.read(1 << 30);
        assert!(takes(&mut choice, "ไทย", 60_000), "later there is more");
        assert!(!takes(&mut choice, "\0", 70_000), "it is too long");
    }

    #[test]
    fn one_document_of_many_is_chosen_by_its_content() {
        let mut choice = SampleChoice::default();
        assert!(choice.takes(&traits("one"), 3, 1));
        assert!(choice.takes(&traits("two"), 3, 3 * OTHERS) && !choice.takes(&traits("two"), 3, OTHERS + 1));
        assert!(!choice.takes(&traits("two"), 1 << 20, OTHERS), "it is too long");
    }
}
