//! Merging one word of ordinary length, a step at a time.
//!
//! A merge depends on look-ups of the pairs that the last one made, which mostly miss the
//! processor's cache. Each step therefore ends with asking for the memory that the next one reads, so
//! that several words can take turns and wait together rather than one after another: [`Lane::hear`]
//! takes the ranks of new pairs, [`Lane::merge`] merges and asks for the next. Neither decides a branch by what was found,
//! as the processor would guess wrong half of the time.

use crate::atoms::Atoms;
use crate::merges::{IDS_MAX, Merges, NONE, Pair, Question};

/// Places in a lane: a bit each in a number.
const PLACES: usize = 64;
/// Longest word, in bytes, that a lane takes: it has an end on either side.
pub(crate) const WORD_MAX: usize = PLACES - 2;
/// Bits of a place; ranks have the other bits of 32.
const PLACE_BITS: u32 = 6;
/// Ranks are compared so many at a time.
const STRIDE: usize = 16;
/// What stands at both ends: it merges with nothing.
const END: u32 = IDS_MAX;

/// A word with an end on either side.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Tokens, each at the place of its first byte.
    ids: [u32; PLACES],
    /// The rank of each token with the next, above its place: the least is the merge to make.
    ranks: [u32; PLACES],
    /// A bit for each place where a token, or an end, begins.
    alive: u64,
    /// Places that are in use, to a whole stride.
    used: usize,
    /// A bit for each place whose token is to be looked up with the next at first.
    first: u64,
    /// Where the last merge made new pairs, and what was asked about them.
    asked: [(usize, Question); 2],
}

impl Default for Lane {
    fn default() -> Self {
        let asked = [(0, Question::default()); 2];
        Self { ids: [END; PLACES], ranks: [NONE; PLACES], alive: 0, used: 0, first: 0, asked }
    }
}

impl Lane {
    /// Takes a word of 1 to [`WORD_MAX`] bytes.
    #[inline(always)]
    pub(crate) fn begin(&mut self, merges: &Merges, atoms: &Atoms, word: &[u8]) {
        let end = word.len() + 1;
        self.used = (end + 1).next_multiple_of(STRIDE);
        self.ranks[..self.used].fill(NONE);
        self.first = 0;
        self.asked = [(0, merges.no_question()); 2];
        if word.is_ascii() {
            for (id, &byte) in self.ids[1..].iter_mut().zip(word) {
                *id = merges.byte(byte);
            }
            for (last, pair) in word.windows(2).enumerate() {
                self.set(merges, last + 1, merges.byte_rank(pair[0], pair[1]));
            }
            self.alive = u64::MAX >> (PLACES - 1 - end);
        } else {
            self.begin_in_unicode(merges, atoms, word);
            self.alive |= 1 | 1 << end;
        }
        (self.ids[0], self.ids[end]) = (END, END);
    }

    fn begin_in_unicode(&mut self, merges: &Merges, atoms: &Atoms, word: &[u8]) {
        self.alive = 0;
        let (mut at, mut last) = (0, 0);
        while at < word.len() {
            let atom = if word[at] < 0x80 { None } else { atoms.at(word, at) };
            let (id, len) = atom.unwrap_or((merges.byte(word[at]), 1));
            self.ids[at + 1] = id;
            self.alive |= 1 << (at + 1);
            // The pair with the token before: a table has those of bytes.
            if at > 0 {
                if len == 1 && last + 1 == at {
                    self.set(merges, last + 1, merges.byte_rank(word[last], word[at]));
                } else if merges.may_merge(Pair::new(self.ids[last + 1], id)) {
                    self.first |= 1 << (last + 1);
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
        while self.first != 0 {
            let at = self.first.trailing_zeros() as usize;
            self.first &= self.first - 1;
            self.set(merges, at, merges.rank(Pair::new(self.ids[at], self.ids[self.after(at)])));
        }
    }

    /// Merges once, and asks about the pairs that it makes; `false` if there is nothing left to merge.
    #[inline(always)]
    pub(crate) fn merge(&mut self, merges: &Merges) -> bool {
        let least = self.least();
        if least == NONE {
            return false;
        }
        let at = least as usize % PLACES;
        let id = merges.merged(least >> PLACE_BITS);
        let gone = self.after(at);
        self.alive &= !(1 << gone);
        let (last, next) = (self.before(at), self.after(at));
        self.ids[at] = id;
        self.ranks[gone] = NONE;
        self.asked = [
            (last, merges.ask(Pair::new(self.ids[last], id))),
            (at, merges.ask(Pair::new(id, self.ids[next]))),
        ];
        // Until they are heard.
        (self.ranks[last], self.ranks[at]) = (NONE, NONE);
        true
    }

    /// The tokens, moved to the front.
    #[inline(always)]
    pub(crate) fn finish(&mut self) -> &[u32] {
        let mut count = 0;
        // Without the ends.
        let mut alive = self.alive & !1;
        alive &= !(1 << alive.ilog2());
        while alive != 0 {
            self.ids[count] = self.ids[alive.trailing_zeros() as usize];
            count += 1;
            alive &= alive - 1;
        }
        &self.ids[..count]
    }

    /// The least rank, above its first place.
    #[inline(always)]
    fn least(&self) -> u32 {
        let mut least = [NONE; STRIDE];
        for ranks in self.ranks[..self.used].chunks_exact(STRIDE) {
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
        self.ranks[at] = if is_none { NONE } else { rank << PLACE_BITS | at as u32 };
    }

    /// The place of the token, or the end, after the one at `at`, which is not the last.
    #[inline(always)]
    fn after(&self, at: usize) -> usize {
        (self.alive & (u64::MAX << 1 << at)).trailing_zeros() as usize % PLACES
    }

    /// The place of the token, or the end, before the one at `at`, which is not the first.
    #[inline(always)]
    fn before(&self, at: usize) -> usize {
        (PLACES - 1 - (self.alive & ((1 << at) - 1)).leading_zeros() as usize) % PLACES
    }
}
