//! The words of several tokens that were met before, remembered for all threads together.
//!
//! Merging a word costs far more than looking it up, and a thread that starts with nothing would merge
//! what the others have merged: so they share one table, of fixed size, in which a newcomer takes the
//! place of what stood there longest.
//!
//! Nobody waits. An entry's last number holds a count that each writer raises, and a bit that says that
//! somebody is writing (a *sequence lock*): a reader who finds it taken, or changed while it read, does
//! not know the word, and a writer who finds it taken goes away. So what is read is what one writer wrote.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::merges::IDS_MAX;
use crate::pages::{Table, prefetch};
use crate::words::{self, Key, SHORT_MAX};

/// Longest word, in bytes, that the cache takes.
pub(crate) const CACHED_MAX: usize = 31;
/// Most tokens of a word of up to [`SHORT_MAX`] bytes that it takes.
pub(crate) const SHORT_TOKENS: usize = 4;
/// Most tokens of a longer word that it takes.
pub(crate) const LONG_TOKENS: usize = 8;
/// Pairs of words of up to [`SHORT_MAX`] bytes: 32 MiB.
const SHORT_SETS: usize = 1 << 19;
/// Longer words: 16 MiB.
const LONG_SLOTS: usize = 1 << 18;

/// No token: above all ids.
const NONE: u32 = IDS_MAX;
const ID_BITS: u32 = 21;
const ID_MASK: u64 = (1 << ID_BITS) - 1;
/// Ids in one number.
const IDS: usize = 3;
const _: () = assert!(IDS_MAX as u64 == ID_MASK && IDS as u32 * ID_BITS < u64::BITS);

/// Somebody is writing. Below stands an id, above how often the entry was written.
const LOCKED: u64 = 1 << ID_BITS;
const WRITTEN_ONCE: u64 = LOCKED << 1;

/// A word of 1 to 31 bytes: the bytes, zeros, and the length in the last byte.
type LongKey = [u64; 4];

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Cache {
    short: Table<ShortSet>,
    long: Table<LongEntry>,
}

/// Two words that share a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct ShortSet([Entry<4>; 2]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct LongEntry(Entry<8>);

/// A key, then ids; the last number has one id and the state.
#[derive(Debug)]
struct Entry<const NUMBERS: usize>([AtomicU64; NUMBERS]);

impl<const NUMBERS: usize> Default for Entry<NUMBERS> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const NUMBERS: usize> Entry<NUMBERS> {
    /// The numbers, as one writer wrote them, if they begin with `key`.
    #[inline(always)]
    fn read<const KEY: usize>(&self, key: [u64; KEY]) -> Option<[u64; NUMBERS]> {
        let mut numbers = [0; NUMBERS];
        let last = NUMBERS - 1;
        numbers[last] = self.0[last].load(Ordering::Acquire);
        for (number, shared) in numbers.iter_mut().zip(&self.0[..last]) {
            *number = shared.load(Ordering::Relaxed);
        }
        fence(Ordering::Acquire);
        let same = self.0[last].load(Ordering::Relaxed) == numbers[last];
        let other = key.iter().zip(&numbers).fold(0, |other, (a, b)| other | (a ^ b));
        (other == 0 && same && numbers[last] & LOCKED == 0).then_some(numbers)
    }

    /// Writes `numbers`, of which the last has an id alone, unless somebody else is writing.
    fn write(&self, numbers: [u64; NUMBERS]) {
        let last = NUMBERS - 1;
        let before = self.state();
        if before & LOCKED != 0
            || self.0[last]
                .compare_exchange(before, before | LOCKED, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        fence(Ordering::Release);
        for (shared, number) in self.0.iter().zip(&numbers[..last]) {
            shared.store(*number, Ordering::Relaxed);
        }
        let written = (before & !(LOCKED | ID_MASK)).wrapping_add(WRITTEN_ONCE);
        self.0[last].store(written | numbers[last], Ordering::Release);
    }

    fn state(&self) -> u64 {
        self.0[NUMBERS - 1].load(Ordering::Relaxed)
    }
}

impl Cache {
    pub(crate) fn new() -> Self {
        // A key is never zero.
        Self {
            short: Table::from_fn(ShortSet::default, SHORT_SETS),
            long: Table::from_fn(LongEntry::default, LONG_SLOTS),
        }
    }

    /// The tokens of a short word, of which the first [`count`] are meant.
    #[inline(always)]
    pub(crate) fn short(&self, key: Key, hash: u64) -> Option<[u32; SHORT_TOKENS]> {
        let set = &self.short[hash as usize % SHORT_SETS].0;
        let [_, _, first, last] = set.iter().find_map(|entry| entry.read(key))?;
        let [a, b, c] = unpacked(first);
        Some([a, b, c, (last & ID_MASK) as u32])
    }

    /// The tokens of a word of more than [`SHORT_MAX`] bytes, likewise.
    pub(crate) fn long(&self, word: &[u8]) -> Option<[u32; LONG_TOKENS]> {
        let key = long_key(word);
        let [_, _, _, _, first, second, third, last] = self.long[long_slot(key)].0.read(key)?;
        let ([a, b, c], [d, e, f], [g, ..]) = (unpacked(first), unpacked(second), unpacked(third));
        Some([a, b, c, d, e, f, g, (last & ID_MASK) as u32])
    }

    /// Has the processor fetch what [`Cache::short`] will read.
    #[inline(always)]
    pub(crate) fn prefetch_short(&self, hash: u64) {
        prefetch(&self.short, hash as usize % SHORT_SETS);
    }

    /// Has the processor fetch what [`Cache::long`] will read.
    pub(crate) fn prefetch_long(&self, word: &[u8]) {
        prefetch(&self.long, long_slot(long_key(word)));
    }

    /// Keeps the tokens of a word, if it has at most [`CACHED_MAX`] bytes and they are few: at
    /// most [`SHORT_TOKENS`] of a short word and [`LONG_TOKENS`] of a longer one.
    pub(crate) fn insert(&self, word: &[u8], tokens: &[u32]) {
        if word.len() > SHORT_MAX {
            if word.len() <= CACHED_MAX && tokens.len() <= LONG_TOKENS {
                let key = long_key(word);
                let [k0, k1, k2, k3] = key;
                let [a, b, c, d, e, f, g, h] = padded(tokens);
                let ids = [packed([a, b, c]), packed([d, e, f]), packed([g, NONE, NONE]), u64::from(h)];
                self.long[long_slot(key)].0.write([k0, k1, k2, k3, ids[0], ids[1], ids[2], ids[3]]);
            }
        } else if tokens.len() <= SHORT_TOKENS {
            let key = words::key(word, 0, word.len());
            let [one, other] = &self.short[words::hash(key) as usize % SHORT_SETS].0;
            // The one that was written less often is the older one, as they take turns.
            let older = if one.state() >> ID_BITS <= other.state() >> ID_BITS { one } else { other };
            let [a, b, c, d] = padded(tokens);
            older.write([key[0], key[1], packed([a, b, c]), u64::from(d)]);
        }
    }
}

fn long_key(word: &[u8]) -> LongKey {
    let mut bytes = [0; 32];
    bytes[..word.len()].copy_from_slice(word);
    bytes[31] = word.len() as u8;
    std::array::from_fn(|i| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().expect("8 bytes")))
}

fn long_slot(key: LongKey) -> usize {
    let hash = words::fold(words::hash([key[0], key[1]]) ^ key[2], key[3] ^ 0x9E37_79B9_7F4A_7C15);
    hash as usize % LONG_SLOTS
}

#[inline(always)]
fn packed(ids: [u32; IDS]) -> u64 {
    u64::from(ids[0]) | u64::from(ids[1]) << ID_BITS | u64::from(ids[2]) << (2 * ID_BITS)
}

#[inline(always)]
fn unpacked(number: u64) -> [u32; IDS] {
    std::array::from_fn(|i| (number >> (i as u32 * ID_BITS) & ID_MASK) as u32)
}

fn padded<const N: usize>(tokens: &[u32]) -> [u32; N] {
    std::array::from_fn(|i| tokens.get(i).copied().unwrap_or(NONE))
}

/// How many tokens there are before the padding.
#[inline(always)]
pub(crate) fn count(ids: &[u32]) -> u8 {
    ids.iter().map(|&id| u8::from(id != NONE)).sum()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Words of all lengths with tokens that follow from them.
    fn word_and_tokens(number: u64) -> (Vec<u8>, Vec<u32>) {
        let len = 1 + (number % CACHED_MAX as u64) as usize;
        let bytes = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        let word: Vec<u8> = bytes.into_iter().cycle().take(len).collect();
        let most = if len > SHORT_MAX { LONG_TOKENS } else { SHORT_TOKENS };
        let count = 1 + (bytes[0] as usize) % most;
        let id =
            word.iter().fold(0_u32, |id, &byte| id.wrapping_mul(31).wrapping_add(byte.into())) % (NONE / 2);
        (word, (id..).take(count).collect())
    }

    fn get(cache: &Cache, word: &[u8]) -> Option<Vec<u32>> {
        if word.len() > SHORT_MAX {
            return cache.long(word).map(|ids| ids[..usize::from(count(&ids))].to_vec());
        }
        let key = words::key(word, 0, word.len());
        cache.short(key, words::hash(key)).map(|ids| ids[..usize::from(count(&ids))].to_vec())
    }

    #[test]
    fn what_is_found_is_what_was_kept() {
        let cache = Cache::new();
        let mut found = 0;
        for number in 0..1000 {
            let (word, tokens) = word_and_tokens(number);
            cache.insert(&word, &tokens);
            assert_eq!(get(&cache, &word), Some(tokens));
        }
        for number in 0..2000 {
            let (word, tokens) = word_and_tokens(number);
            if let Some(kept) = get(&cache, &word) {
                found += 1;
                assert_eq!(kept, tokens);
            }
        }
        assert!(found > 950, "{found} of 1,000 are kept");
    }

    #[test]
    fn the_word_that_was_kept_longest_makes_room() {
        let cache = Cache::new();
        let set = |word: &[u8]| words::hash(words::key(word, 0, word.len())) as usize % SHORT_SETS;
        let first = b"word0".to_vec();
        let same_set = (1_u32..).map(|number| format!("word{number}").into_bytes());
        let words: Vec<_> = same_set.filter(|word| set(word) == set(&first)).take(2).collect();
        for word in [&first, &words[0], &words[1]] {
            cache.insert(word, &[1, 2]);
        }
        assert_eq!(get(&cache, &first), None);
        assert_eq!(get(&cache, &words[0]), Some(vec![1, 2]));
        assert_eq!(get(&cache, &words[1]), Some(vec![1, 2]));
    }

    /// Many threads write few entries: what a reader finds is never made of two.
    #[test]
    fn readers_and_writers_do_not_mix() {
        let cache = Cache::new();
        let set = |word: &[u8]| words::hash(words::key(word, 0, word.len())) as usize % SHORT_SETS;
        let slot = |word: &[u8]| long_slot(long_key(word));
        let (mut short, mut long) = (Vec::new(), Vec::new());
        for number in 0.. {
            let (word, tokens) = word_and_tokens(number);
            if word.len() > SHORT_MAX && slot(&word) < 256 {
                long.push((word, tokens));
            } else if word.len() <= SHORT_MAX && set(&word) < 256 {
                short.push((word, tokens));
            }
            if long.len().min(short.len()) >= 600 {
                break;
            }
        }
        let words: Vec<_> = short.into_iter().chain(long).collect();
        let found: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let (cache, words) = (&cache, &words);
                    scope.spawn(move || {
                        let mut found = 0;
                        for turn in 0..200 {
                            for at in 0..words.len() {
                                let (word, tokens) =
                                    &words[(at * 7 + turn * 13 + thread * 101) % words.len()];
                                match get(cache, word) {
                                    Some(kept) => {
                                        found += 1;
                                        assert_eq!(&kept, tokens);
                                    }
                                    None => cache.insert(word, tokens),
                                }
                            }
                        }
                        found
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert!(found > 0);
    }
}
