//! The words that are tokens.
//!
//! Nine of ten pieces of ordinary text are tokens themselves. Words of up to 15 bytes are packed with
//! their length into 16 bytes, which compare at once; so are the others that were seen before, see
//! `cache`. Finding a word takes two small tables rather than a large one, since what doesn't fit the
//! processor's cache is waited for.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::merges::IDS_MAX;
use crate::pages::{Table, prefetch};

/// Longest word, in bytes, that fits a [`Key`].
pub(crate) const SHORT_MAX: usize = 15;

/// A word of 1 to 15 bytes: the bytes, zeros, and the length in the last byte.
pub(crate) type Key = [u64; 2];

/// The key of `text[start..end]`, which must be a word of 1 to [`SHORT_MAX`] bytes.
#[inline(always)]
pub(crate) fn key(text: &[u8], start: usize, end: usize) -> Key {
    let len = end - start;
    match text[start..].first_chunk() {
        Some(bytes) => key_of_first(bytes, len),
        None => {
            let mut bytes = [0; 16];
            bytes[..len].copy_from_slice(&text[start..end]);
            key_of_first(&bytes, len)
        }
    }
}

/// The key of the first `len` of some bytes: 1 to [`SHORT_MAX`].
#[inline(always)]
pub(crate) fn key_of_first(bytes: &[u8; 16], len: usize) -> Key {
    let word = u128::from_le_bytes(*bytes) & MASKS[len & 15] | (len as u128) << 120;
    [word as u64, (word >> 64) as u64]
}

/// The length in bytes of the word with this key; 0 for zeros.
pub(crate) fn length(key: Key) -> usize {
    (key[1] >> 56) as usize
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
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) bytes: Vec<u8>,
    pub(crate) id: u32,
    /// Whether merging, or whatever the model does, gives the token, too. What is a part of a word is a token only then.
    pub(crate) merges: bool,
}

/// The words that are one token.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// An open-addressing table of short words.
    entries: Table<Entry>,
    /// Their bytes, by id: those of tokens that are met often stand close together.
    keys: Table<Key>,
    long: HashMap<Box<[u8]>, (u32, bool), BuildHasherDefault<WordHasher>>,
    long_max: usize,
}

/// The tables of short words, at hand for many look-ups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortWords<'a> {
    entries: &'a [Entry],
    keys: &'a [Key],
}

/// What the table has in a place: an id, whether merging gives the token, too, and some bits of the word's hash. So
/// most of what is no token is known to be none without a look at `keys`, and the table is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(u32);

const ID_BITS: u32 = 21;
const ID_MASK: u32 = (1 << ID_BITS) - 1;
const _: () = assert!(IDS_MAX == ID_MASK);
const MERGES: u32 = 1 << ID_BITS;
const HASH_SHIFT: u32 = ID_BITS + 1;

impl Entry {
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline(always)]
    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    #[inline(always)]
    pub(crate) fn id(self) -> u32 {
        self.0 & ID_MASK
    }

    /// Whether merging gives the token, too.
    #[inline(always)]
    pub(crate) fn merges(self) -> bool {
        self.0 & MERGES != 0
    }
}

impl Vocabulary {
    /// `words` must be different from one another, as their ids, and not empty. Those that come first are found
    /// fastest.
    pub(crate) fn new(words: &[Word]) -> Self {
        // Half full, so most words are found where they belong.
        let size = words.len() * 2 + 2;
        let mut entries = Table::new(Entry::NONE, size);
        let ids = words.iter().map(|word| word.id as usize + 1).max().unwrap_or(1);
        let mut keys = Table::new([0; 2], ids);
        let mut long = HashMap::<Box<[u8]>, _, _>::default();
        for &Word { ref bytes, id, merges } in words {
            if bytes.len() > SHORT_MAX {
                long.insert(bytes.as_slice().into(), (id, merges));
                continue;
            }
            let key = key(bytes, 0, bytes.len());
            let hash = hash(key);
            let mut at = home(hash, size);
            while !entries[at].is_none() {
                at = if at + 1 == size { 0 } else { at + 1 };
            }
            entries[at] = Entry(id | if merges { MERGES } else { 0 } | (hash as u32) << HASH_SHIFT);
            keys[id as usize] = key;
        }
        let long_max = long.keys().map(|word| word.len()).max().unwrap_or(0);
        Self { entries, keys, long, long_max }
    }

    /// All words in order of id.
    pub(crate) fn words(&self) -> Vec<Word> {
        let short = self.entries.iter().filter(|entry| !entry.is_none()).map(|entry| {
            let bytes = self.keys[entry.id() as usize].map(u64::to_le_bytes);
            let bytes = bytes.as_flattened();
            Word {
                bytes: bytes[..usize::from(bytes[SHORT_MAX])].to_vec(),
                id: entry.id(),
                merges: entry.merges(),
            }
        });
        let long = self.long.iter().map(|(word, &(id, merges))| Word { bytes: word.to_vec(), id, merges });
        let mut words: Vec<_> = short.chain(long).collect();
        words.sort_unstable_by_key(|word| word.id);
        words
    }

    /// What short words are looked up in.
    #[inline(always)]
    pub(crate) fn short_words(&self) -> ShortWords<'_> {
        ShortWords { entries: &self.entries, keys: &self.keys }
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

impl ShortWords<'_> {
    /// Has the processor fetch what [`ShortWords::find`] will read.
    #[inline(always)]
    pub(crate) fn prefetch(self, hash: u64) {
        prefetch(self.entries, home(hash, self.entries.len()));
    }

    /// The first entry that may be of the word with this hash, or [`Entry::NONE`].
    #[inline(always)]
    pub(crate) fn find(self, hash: u64) -> Entry {
        let mut at = home(hash, self.entries.len());
        loop {
            let entry = self.entries[at];
            if entry.0 >> HASH_SHIFT == hash as u32 & u32::MAX >> HASH_SHIFT || entry.is_none() {
                return entry;
            }
            at = if at + 1 == self.entries.len() { 0 } else { at + 1 };
        }
    }

    /// Has the processor fetch what [`ShortWords::entry`] will read.
    #[inline(always)]
    pub(crate) fn prefetch_key(self, entry: Entry) {
        prefetch(self.keys, entry.id() as usize);
    }

    /// The entry of the word with this key and hash, for which `found` was found, or [`Entry::NONE`].
    #[inline(always)]
    pub(crate) fn entry(self, key: Key, hash: u64, found: Entry) -> Entry {
        // Without a branch on what was found, which would be guessed wrong.
        let id = found.id() as usize;
        let other = self.keys[if id < self.keys.len() { id } else { 0 }];
        let is_other = (key[0] ^ other[0]) | (key[1] ^ other[1]) != 0;
        if is_other & !found.is_none() { search(self.entries, self.keys, key, hash) } else { found }
    }
}

/// Looks at the keys of all that stand together.
#[cold]
fn search(entries: &[Entry], keys: &[Key], key: Key, hash: u64) -> Entry {
    let mut at = home(hash, entries.len());
    loop {
        let entry = entries[at];
        if entry.is_none() || keys[entry.id() as usize] == key {
            return entry;
        }
        at = if at + 1 == entries.len() { 0 } else { at + 1 };
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
