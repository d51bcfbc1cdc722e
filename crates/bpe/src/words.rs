//! The words that are tokens.
//!
//! Nine of ten pieces of ordinary text are tokens themselves. Words of up to 15 bytes are packed with
//! their length into 16 bytes, which compare at once; so are the others that were seen before, see
//! `cache`.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::pages::{Table, prefetch};

/// Longest word, in bytes, that fits a [`Key`].
pub(crate) const SHORT_MAX: usize = 15;
/// No token.
const NONE: u32 = u32::MAX;

/// A word of 1 to 15 bytes: the bytes, zeros, and the length in the last byte.
pub(crate) type Key = [u64; 2];

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
pub(crate) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// A word that is one token.
#[derive(Debug)]
pub(crate) struct Word {
    pub(crate) bytes: Vec<u8>,
    pub(crate) id: u32,
    /// Whether merging gives the token, too. What is a part of a word is a token only then.
    pub(crate) merges: bool,
}

/// The words that are one token.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    slots: Table<Slot>,
    long: HashMap<Box<[u8]>, (u32, bool), BuildHasherDefault<WordHasher>>,
    long_max: usize,
}

/// Aligned so that it never lies in two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Slot {
    key: Key,
    id: u32,
    merges: bool,
}

impl Slot {
    fn word(&self) -> Word {
        let bytes = self.key.map(u64::to_le_bytes);
        let bytes = bytes.as_flattened();
        let bytes = bytes[..usize::from(bytes[SHORT_MAX])].to_vec();
        Word { bytes, id: self.id, merges: self.merges }
    }
}

impl Vocabulary {
    /// `words` must be different from one another and not empty. Those that come first are found
    /// fastest.
    pub(crate) fn new(words: &[Word]) -> Self {
        // At three fifths full, most words are found where they belong.
        let size = words.len() * 5 / 3 + 2;
        let mut slots = Table::new(Slot { key: [0; 2], id: NONE, merges: false }, size);
        let mut long = HashMap::<Box<[u8]>, _, _>::default();
        for &Word { ref bytes, id, merges } in words {
            if bytes.len() > SHORT_MAX {
                long.insert(bytes.as_slice().into(), (id, merges));
                continue;
            }
            let key = key(bytes, 0, bytes.len());
            let mut slot = home(hash(key), size);
            while slots[slot].key != [0; 2] {
                slot = if slot + 1 == size { 0 } else { slot + 1 };
            }
            slots[slot] = Slot { key, id, merges };
        }
        let long_max = long.keys().map(|word| word.len()).max().unwrap_or(0);
        Self { slots, long, long_max }
    }

    /// All words in order of id.
    pub(crate) fn words(&self) -> Vec<Word> {
        let long = self.long.iter().map(|(word, &(id, merges))| Word { bytes: word.to_vec(), id, merges });
        let mut words: Vec<_> = self.taken().map(Slot::word).chain(long).collect();
        words.sort_unstable_by_key(|word| word.id);
        words
    }

    fn taken(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().filter(|slot| slot.key != [0; 2])
    }

    /// The token that a short word, or a part of a word, is.
    #[inline(always)]
    pub(crate) fn short(&self, key: Key, hash: u64, whole: bool) -> Option<u32> {
        let slots = &*self.slots;
        let mut at = home(hash, slots.len());
        loop {
            let slot = &slots[at];
            if slot.key == [0; 2] {
                return None;
            }
            if slot.key == key {
                return (whole | slot.merges).then_some(slot.id);
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

    /// The token that a word, or a part of a word, of more than [`SHORT_MAX`] bytes is.
    pub(crate) fn long(&self, word: &[u8], whole: bool) -> Option<u32> {
        if word.len() > self.long_max {
            return None;
        }
        let (id, merges) = *self.long.get(word)?;
        (whole | merges).then_some(id)
    }
}

/// Where in a table of `size` slots a hash belongs.
#[inline(always)]
fn home(hash: u64, size: usize) -> usize {
    ((u128::from(hash) * size as u128) >> 64) as usize
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
