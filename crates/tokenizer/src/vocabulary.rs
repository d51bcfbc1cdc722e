//! Finding entries of a vocabulary, and leaving out those that can't matter.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::definition::{ModelDefinition, TokenizerJson};

/// The entries of a vocabulary by their spelling. Where the file has a spelling
/// twice, the last one counts, as in the reference.
pub(super) struct VocabularyIndex<'d> {
    ids: HashMap<&'d str, u32, BuildHasherDefault<EntryHasher>>,
}

impl<'d> VocabularyIndex<'d> {
    pub(super) fn new(definition: &'d TokenizerJson<'_>) -> Self {
        let entries = &definition.model.vocab.0;
        let mut ids = HashMap::with_capacity_and_hasher(entries.len(), BuildHasherDefault::default());
        ids.extend(entries.iter().map(|(token, id)| (token.as_ref(), *id)));
        Self { ids }
    }

    /// How many different entries there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The entry with an id.
    pub(super) fn token(&self, id: u32) -> Option<&'d str> {
        self.entries().find(|(_, other)| *other == id).map(|(token, _)| token)
    }

    /// The highest id.
    pub(super) fn max_id(&self) -> Option<u32> {
        self.ids.values().max().copied()
    }

    /// Whether no two spellings share an id, so that an id stands for one symbol.
    pub(super) fn ids_are_unique(&self) -> bool {
        let mut ids: Vec<u32> = self.ids.values().copied().collect();
        ids.sort_unstable();
        ids.windows(2).all(|pair| pair[0] != pair[1])
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'d str, u32)> {
        self.ids.iter().map(|(token, id)| (*token, *id))
    }
}

impl ModelDefinition<'_> {
    /// Whether this is a unigram model, or byte-pair encoding whose symbols are substrings of the word, or stand for what has
    /// none, and the same word always gives the same ids.
    pub(super) fn is_divisible(&self) -> bool {
        let kind = self.kind.as_deref();
        kind == Some("Unigram") || kind == Some("BPE") && self.spells_characters_as_themselves()
    }

    fn spells_characters_as_themselves(&self) -> bool {
        self.unk_token.as_ref().is_none_or(|token| token.is_null() || token.is_string())
            && self.continuing_subword_prefix.as_deref().is_none_or(str::is_empty)
    }

    /// What becomes of characters without an entry.
    pub(super) fn fallback(&self) -> Fallback {
        Fallback {
            unknown: self.unk_token.as_ref().and_then(|token| token.as_str()).map(str::to_owned),
            unknown_id: self.unk_id,
            fuses_unknown: self.fuse_unk.unwrap_or(false),
            spells_bytes: self.byte_fallback.unwrap_or(false),
        }
    }
}

/// What becomes of characters without an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Fallback {
    /// The entry that stands for them.
    pub(super) unknown: Option<String>,
    /// Its id, where it is said instead.
    pub(super) unknown_id: Option<u32>,
    /// Whether neighbors have one together.
    pub(super) fuses_unknown: bool,
    /// Whether they are spelled in bytes, where all of these have an entry.
    pub(super) spells_bytes: bool,
}

impl Fallback {
    /// Whether an entry is one of those that stand for characters without one, or is made of some.
    pub(super) fn holds(&self, token: &str) -> bool {
        self.spells_bytes && contains(token, "<0x")
            || self.unknown.as_ref().is_some_and(|unknown| contains(token, unknown))
    }
}

/// The same as `token.contains(part)`, which makes a search ready each time; hardly a token has the first byte of `part`.
fn contains(token: &str, part: &str) -> bool {
    let may_contain = part.bytes().next().is_none_or(|first| token.as_bytes().contains(&first));
    may_contain && token.contains(part)
}

/// The runs of one to four bytes that some texts have, to tell which strings can't be
/// a part of them. Runs are hashed into 64 KiB of bits: a string that is a part is
/// always let through, few others are.
pub(super) struct Grams {
    bits: Vec<u64>,
}

const GRAM_BITS: u32 = 19;
const GRAM_BYTES: usize = 4;

impl Grams {
    pub(super) fn new() -> Self {
        Self { bits: vec![0; 1 << (GRAM_BITS - 6)] }
    }

    /// Takes in the runs of a text.
    pub(super) fn add(&mut self, text: &str) {
        for length in 1..=GRAM_BYTES {
            for run in text.as_bytes().windows(length) {
                let bit = Self::bit(run);
                self.bits[bit / 64] |= 1 << (bit % 64);
            }
        }
    }

    /// Whether `text` may be a part of a text that was added.
    pub(super) fn may_hold(&self, text: &str) -> bool {
        let text = text.as_bytes();
        if text.len() < GRAM_BYTES {
            return text.is_empty() || self.has(text);
        }
        text.windows(GRAM_BYTES).all(|run| self.has(run))
    }

    /// Whether one may follow the other in a text, as far as the bytes where they meet tell.
    pub(super) fn may_meet(&self, left: &str, right: &str) -> bool {
        let (Some(&[a, b, c]), Some(&d)) = (left.as_bytes().last_chunk(), right.as_bytes().first()) else {
            return true;
        };
        self.has(&[a, b, c, d])
    }

    fn has(&self, run: &[u8]) -> bool {
        let bit = Self::bit(run);
        self.bits[bit / 64] >> (bit % 64) & 1 == 1
    }

    fn bit(run: &[u8]) -> usize {
        let mut word = [0; 8];
        word[..run.len()].copy_from_slice(run);
        word[GRAM_BYTES] = run.len() as u8;
        (u64::from_le_bytes(word).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - GRAM_BITS)) as usize
    }
}

/// A hasher for vocabulary entries, five times as fast as the standard one. Its
/// weakness costs nothing: the keys are the tokenizer's own.
#[derive(Default)]
pub(super) struct EntryHasher(u64);

impl Hasher for EntryHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }
}
