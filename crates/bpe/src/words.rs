//! Tables from words to tokens.
//!
//! Nine of ten pieces of ordinary text are tokens themselves, and most of the rest were seen
//! before. Words of up to 15 bytes are therefore packed with their length into 16 bytes, which
//! compare at once, and kept in two tables: the vocabulary, complete and shared by all threads, and
//! a cache of other words for each thread, of fixed size, in which a newcomer takes the place of
//! what was there.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::pages::{Table, prefetch};

/// Longest word, in bytes, that fits a [`Key`].
pub(crate) const SHORT_MAX: usize = 15;
/// Longest word, in bytes, that the cache takes.
pub(crate) const CACHED_MAX: usize = 31;
/// No token.
const NONE: u32 = u32::MAX;
/// Words of up to [`SHORT_MAX`] bytes in a thread's cache: 16 MiB of them.
const SHORT_SETS: usize = 1 << 18;
/// Longer words in a thread's cache, and those of many tokens: 8 MiB of them.
const LONG_SLOTS: usize = 1 << 17;

/// A word of 1 to 15 bytes: the bytes, zeros, and the length in the last byte.
pub(crate) type Key = [u64; 2];
/// A word of 1 to 31 bytes, likewise.
pub(crate) type LongKey = [u64; 4];

/// The key of `text[start..end]`, which must be a word of 1 to [`SHORT_MAX`] bytes.
#[inline(always)]
pub(crate) fn key(text: &[u8], start: usize, end: usize) -> Key {
    let len = end - start;
    let bytes = match text.get(start..start + 16) {
        Some(bytes) => u128::from_le_bytes(bytes.try_into().expect("the slice has 16 bytes")),
        None => {
            let mut bytes = [0; 16];
            bytes[..len].copy_from_slice(&text[start..end]);
            u128::from_le_bytes(bytes)
        }
    };
    let word = bytes & MASKS[len & 15] | (len as u128) << 120;
    [word as u64, (word >> 64) as u64]
}

/// The lowest `i` bytes.
static MASKS: [u128; 16] = {
    let mut masks = [0; 16];
    let mut i = 1;
    while i < 16 {
        masks[i] = masks[i - 1] << 8 | 0xff;
        i += 1;
    }
    masks
};

#[inline(always)]
pub(crate) fn hash(key: Key) -> u64 {
    fold(key[0] ^ 0x9E37_79B9_7F4A_7C15, key[1] ^ 0xD1B5_4A32_D192_ED03)
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The key of a word of 1 to [`CACHED_MAX`] bytes.
pub(crate) fn long_key(word: &[u8]) -> LongKey {
    let mut bytes = [0; 32];
    bytes[..word.len()].copy_from_slice(word);
    bytes[31] = word.len() as u8;
    std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes")))
}

fn long_hash(key: LongKey) -> u64 {
    fold(hash([key[0], key[1]]) ^ key[2], key[3] ^ 0x9E37_79B9_7F4A_7C15)
}

/// The words that are one token.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    slots: Table<Slot>,
    long: HashMap<Box<[u8]>, u32, BuildHasherDefault<WordHasher>>,
    long_max: usize,
}

/// Aligned so that it never lies in two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Slot {
    key: Key,
    id: u32,
}

impl Slot {
    fn word(&self) -> Vec<u8> {
        let bytes = self.key.map(u64::to_le_bytes);
        let bytes = bytes.as_flattened();
        bytes[..usize::from(bytes[SHORT_MAX])].to_vec()
    }
}

impl Vocabulary {
    /// `words` must be different from one another and not empty. Those that come first are found
    /// fastest.
    pub(crate) fn new<'a>(words: impl ExactSizeIterator<Item = (&'a [u8], u32)>) -> Self {
        // At three fifths full, most words are found where they belong.
        let size = words.len() * 5 / 3 + 2;
        let mut slots = Table::new(Slot { key: [0; 2], id: NONE }, size);
        let mut long = HashMap::<Box<[u8]>, u32, _>::default();
        for (word, id) in words {
            if word.len() > SHORT_MAX {
                long.insert(word.into(), id);
                continue;
            }
            let key = key(word, 0, word.len());
            let mut slot = home(hash(key), size);
            while slots[slot].key != [0; 2] {
                slot = if slot + 1 == size { 0 } else { slot + 1 };
            }
            slots[slot] = Slot { key, id };
        }
        let long_max = long.keys().map(|word| word.len()).max().unwrap_or(0);
        Self { slots, long, long_max }
    }

    /// All words in order of id.
    pub(crate) fn words(&self) -> Vec<(Vec<u8>, u32)> {
        let long = self.long.iter().map(|(word, &id)| (word.to_vec(), id));
        let mut words: Vec<_> = self.taken().map(|slot| (slot.word(), slot.id)).chain(long).collect();
        words.sort_unstable_by_key(|(_, id)| *id);
        words
    }

    /// The word that is the token `id`.
    pub(crate) fn word(&self, id: u32) -> Option<Vec<u8>> {
        let short = || self.taken().find(|slot| slot.id == id).map(Slot::word);
        let long = || self.long.iter().find(|&(_, other)| *other == id).map(|(word, _)| word.to_vec());
        short().or_else(long)
    }

    fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.key != [0; 2])
    }

    /// The token that a short word is.
    #[inline(always)]
    pub(crate) fn short(&self, key: Key, hash: u64) -> Option<u32> {
        let slots = &*self.slots;
        let mut at = home(hash, slots.len());
        loop {
            let slot = &slots[at];
            if slot.key == [0; 2] {
                return None;
            }
            if slot.key == key {
                return Some(slot.id);
            }
            at = if at + 1 == slots.len() { 0 } else { at + 1 };
        }
    }

    /// Has the processor fetch what [`Vocabulary::short`] will read.
    #[inline(always)]
    pub(crate) fn prefetch(&self, hash: u64) {
        let slots = &*self.slots;
        prefetch(&slots[home(hash, slots.len())]);
    }

    /// The token that a word of more than [`SHORT_MAX`] bytes is.
    pub(crate) fn long(&self, word: &[u8]) -> Option<u32> {
        if word.len() > self.long_max {
            return None;
        }
        self.long.get(word).copied()
    }
}

/// Where in a table of `size` slots a hash belongs.
#[inline(always)]
fn home(hash: u64, size: usize) -> usize {
    ((u128::from(hash) * size as u128) >> 64) as usize
}

/// The words a thread met that are several tokens.
#[derive(Debug)]
pub(crate) struct Cache {
    short: Table<ShortSet>,
    long: Table<LongEntry>,
}

/// Two words that share a cache line; the one used last, or written last, comes first.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct ShortSet([ShortEntry; 2]);

#[derive(Clone, Copy, Debug)]
struct ShortEntry {
    key: Key,
    ids: [u32; 4],
}

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct LongEntry {
    key: LongKey,
    ids: [u32; 8],
}

impl Cache {
    pub(crate) fn new() -> Self {
        // A key is never zero.
        Self {
            short: Table::new(ShortSet([ShortEntry { key: [0; 2], ids: [0; 4] }; 2]), SHORT_SETS),
            long: Table::new(LongEntry { key: [0; 4], ids: [0; 8] }, LONG_SLOTS),
        }
    }

    /// The tokens of a short word, of which the first [`count`] are meant.
    #[inline(always)]
    pub(crate) fn short(&self, key: Key, hash: u64) -> Option<&[u32; 4]> {
        let set = &self.short[hash as usize % SHORT_SETS].0;
        set.iter().find(|entry| entry.key == key).map(|entry| &entry.ids)
    }

    /// The tokens of a longer word.
    pub(crate) fn long(&self, key: LongKey) -> Option<&[u32]> {
        let entry = &self.long[long_hash(key) as usize % LONG_SLOTS];
        (entry.key == key).then(|| &entry.ids[..usize::from(count(&entry.ids))])
    }

    /// Has the processor fetch what [`Cache::short`] will read.
    #[inline(always)]
    pub(crate) fn prefetch_short(&self, hash: u64) {
        prefetch(&self.short[hash as usize % SHORT_SETS]);
    }

    /// Has the processor fetch what [`Cache::long`] will read.
    pub(crate) fn prefetch_long(&self, key: LongKey) {
        prefetch(&self.long[long_hash(key) as usize % LONG_SLOTS]);
    }

    /// Keeps the tokens of a word, if it has at most [`CACHED_MAX`] bytes and they are few: at
    /// most 4 of a short word and 8 of a longer one.
    pub(crate) fn insert(&mut self, word: &[u8], tokens: &[u32]) {
        if word.len() > SHORT_MAX {
            if word.len() <= CACHED_MAX && tokens.len() <= 8 {
                let key = long_key(word);
                let ids = padded(tokens);
                self.long[long_hash(key) as usize % LONG_SLOTS] = LongEntry { key, ids };
            }
        } else if tokens.len() <= 4 {
            let key = key(word, 0, word.len());
            let set = &mut self.short[hash(key) as usize % SHORT_SETS].0;
            set[1] = set[0];
            set[0] = ShortEntry { key, ids: padded(tokens) };
        }
    }
}

fn padded<const N: usize>(tokens: &[u32]) -> [u32; N] {
    std::array::from_fn(|i| tokens.get(i).copied().unwrap_or(NONE))
}

/// How many tokens there are before the padding.
#[inline(always)]
pub(crate) fn count(ids: &[u32]) -> u8 {
    ids.iter().map(|&id| u8::from(id != NONE)).sum()
}

/// XXH3 over what is hashed, a slice at a time.
#[derive(Debug, Default)]
pub(crate) struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = self.0.wrapping_add(u64::from(byte));
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = self.0.wrapping_add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
