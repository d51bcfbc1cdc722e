//! Merging one word of ordinary length, a step at a time.
//!
//! A merge depends on look-ups of the pairs that the last one made, which mostly miss the
//! processor's cache. Each step therefore ends with asking for the memory that the next one reads,
//! so that several words can take turns and wait together rather than one after another:
//! [`Lane::hear`] takes the ranks of new pairs, [`Lane::merge`] merges and asks for the next. What
//! was found hardly decides a branch, as the processor would guess wrong half of the time.

use crate::atoms::Atoms;
use crate::merges::{AskedPair, IDS_MAX, Merges, NONE, Pair};

/// Bits of a place; ranks have the other bits of 32.
const PLACE_BITS: u32 = 8;
/// Ranks are compared so many at a time.
const STRIDE: usize = 16;
/// What stands at both ends: it merges with nothing.
const END: u32 = IDS_MAX;

/// A word with an end on either side, in 64 × `BLOCKS` places.
#[derive(Debug)]
pub(crate) struct Lane<const BLOCKS: usize> {
    /// Tokens, each at the place of its first byte, the first of which has place 1.
    ids: [[u32; 64]; BLOCKS],
    /// The rank of each token with the next, above its place: the least is the merge to make.
    ranks: [[u32; 64]; BLOCKS],
    /// A bit for each place where a token, or an end, begins.
    alive: [u64; BLOCKS],
    /// Places that are in use, to a whole stride.
    used: usize,
    /// A bit for each place whose token is to be looked up with the next at first.
    first: [u64; BLOCKS],
    /// Where the last merge made new pairs, and what was asked about them.
    asked: [(usize, AskedPair); 2],
}

impl<const BLOCKS: usize> Default for Lane<BLOCKS> {
    fn default() -> Self {
        const { assert!(64 * BLOCKS <= 1 << PLACE_BITS) };
        Self {
            ids: [[END; 64]; BLOCKS],
            ranks: [[NONE; 64]; BLOCKS],
            alive: [0; BLOCKS],
            used: 0,
            first: [0; BLOCKS],
            asked: [(0, AskedPair::default()); 2],
        }
    }
}

impl<const BLOCKS: usize> Lane<BLOCKS> {
    /// Longest word, in bytes, that fits between the ends.
    pub(crate) const WORD_MAX: usize = 64 * BLOCKS - 2;

    /// Takes a word of 1 to [`Lane::WORD_MAX`] bytes.
    #[inline(always)]
    pub(crate) fn begin(&mut self, merges: &Merges, atoms: &Atoms, word: &[u8]) {
        let end = word.len() + 1;
        self.used = (end + 1).next_multiple_of(STRIDE);
        self.ranks.as_flattened_mut()[..self.used].fill(NONE);
        self.first = [0; BLOCKS];
        self.asked = [(0, merges.no_question()); 2];
        if word.is_ascii() {
            for (id, &byte) in self.ids.as_flattened_mut()[1..].iter_mut().zip(word) {
                *id = merges.byte(byte);
            }
            for (last, pair) in word.windows(2).enumerate() {
                self.set(merges, last + 1, merges.byte_rank(pair[0], pair[1]));
            }
            for (block, alive) in self.alive.iter_mut().enumerate() {
                let places = (end + 1).saturating_sub(64 * block).min(64) as u32;
                *alive = u64::MAX.checked_shr(64 - places).unwrap_or(0);
            }
        } else {
            self.begin_in_unicode(merges, atoms, word);
            self.alive[0] |= 1;
            self.alive[end / 64] |= 1 << (end % 64);
        }
        let ids = self.ids.as_flattened_mut();
        (ids[0], ids[end]) = (END, END);
    }

    fn begin_in_unicode(&mut self, merges: &Merges, atoms: &Atoms, word: &[u8]) {
        self.alive = [0; BLOCKS];
        let (mut at, mut last) = (0, 0);
        while at < word.len() {
            let atom = if word[at] < 0x80 { None } else { atoms.at(word, at) };
            let (id, len) = atom.unwrap_or((merges.byte(word[at]), 1));
            self.ids.as_flattened_mut()[at + 1] = id;
            self.alive[(at + 1) / 64] |= 1 << ((at + 1) % 64);
            // The pair with the token before: a table has those of bytes.
            if at > 0 {
                if len == 1 && last + 1 == at {
                    self.set(merges, last + 1, merges.byte_rank(word[last], word[at]));
                } else if merges.may_merge(Pair::new(self.id(last + 1), id)) {
                    self.first[(last + 1) / 64] |= 1 << ((last + 1) % 64);
                }
            }
            last = at;
            at += len;
        }
    }

    /// Takes the answers to what was asked.
    #[inline(always)]
    pub(crate) fn hear(&mut self, merges: &Merges) {
        for (at, question) in self.asked {
            self.set(merges, at, merges.answer(question));
        }
        for block in 0..BLOCKS {
            while self.first[block] != 0 {
                let at = 64 * block + self.first[block].trailing_zeros() as usize;
                self.first[block] &= self.first[block] - 1;
                self.set(merges, at, merges.rank(Pair::new(self.id(at), self.id(self.after(at)))));
            }
        }
    }

    /// Merges once, and asks about the pairs that it makes; `false` if there is nothing left to merge.
    #[inline(always)]
    pub(crate) fn merge(&mut self, merges: &Merges) -> bool {
        let least = self.least();
        if least == NONE {
            return false;
        }
        let at = least as usize % (1 << PLACE_BITS);
        let id = merges.merged(least >> PLACE_BITS);
        let gone = self.after(at);
        self.alive[gone / 64] &= !(1 << (gone % 64));
        let (last, next) = (self.before(at), self.after(at));
        self.ids.as_flattened_mut()[at] = id;
        self.asked = [
            (last, merges.ask(Pair::new(self.id(last), id))),
            (at, merges.ask(Pair::new(id, self.id(next)))),
        ];
        // Until they are heard.
        let ranks = self.ranks.as_flattened_mut();
        (ranks[last], ranks[at], ranks[gone]) = (NONE, NONE, NONE);
        true
    }

    /// The tokens, moved to the front.
    #[inline(always)]
    pub(crate) fn finish(&mut self) -> &[u32] {
        let ids = self.ids.as_flattened_mut();
        let mut count = 0;
        for (block, &alive) in self.alive.iter().enumerate() {
            let mut alive = alive;
            while alive != 0 {
                ids[count] = ids[64 * block + alive.trailing_zeros() as usize];
                count += 1;
                alive &= alive - 1;
            }
        }
        // Without the ends.
        &ids[1..count - 1]
    }

    /// The least rank, above its first place.
    #[inline(always)]
    fn least(&self) -> u32 {
        let mut least = [NONE; STRIDE];
        for ranks in self.ranks.as_flattened()[..self.used].chunks_exact(STRIDE) {
            for (least, &rank) in least.iter_mut().zip(ranks) {
                *least = rank.min(*least);
            }
        }
        least.into_iter().fold(NONE, u32::min)
    }

    #[inline(always)]
    fn set(&mut self, merges: &Merges, at: usize, rank: u32) {
        let is_none = rank == NONE;
        merges.prefetch_merged(if is_none { 0 } else { rank });
        self.ranks.as_flattened_mut()[at] = if is_none { NONE } else { rank << PLACE_BITS | at as u32 };
    }

    #[inline(always)]
    fn id(&self, at: usize) -> u32 {
        self.ids.as_flattened()[at]
    }

    /// The place of the token, or the end, after the one at `at`, which is not the last.
    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        let mut block = at / 64;
        let mut rest = self.alive[block] & (u64::MAX << 1 << (at % 64));
        while rest == 0 && block + 1 < BLOCKS {
            block += 1;
            rest = self.alive[block];
        }
        64 * block + rest.trailing_zeros() as usize
    }

    /// The place of the token, or the end, before the one at `at`, which is not the first.
    #[inline(always)]
    fn before(&self, at: usize) -> usize {
        let mut block = at / 64;
        let mut rest = self.alive[block] & ((1 << (at % 64)) - 1);
        while rest == 0 && block > 0 {
            block -= 1;
            rest = self.alive[block];
        }
        64 * block + 63 - rest.leading_zeros() as usize
    }
}
