//! Merging one word of ordinary length, a step at a time.
//!
//! A merge depends on look-ups of the pairs that the last one made, which mostly miss the
//! processor's cache. [`Lane`] therefore stops after asking for that memory, so that several words
//! can take turns and wait together rather than one after another.

use crate::atoms::Atoms;
use crate::merges::{Merges, NONE, Pair};

/// Bits of a place in a lane; ranks have the other bits of 32.
pub(crate) const PLACE_BITS: u32 = 8;
/// Ranks are compared so many at a time.
const STRIDE: usize = 16;

/// A word of up to 64 × `BLOCKS` bytes.
#[derive(Debug)]
pub(crate) struct Lane<const BLOCKS: usize> {
    /// Tokens, each at the place of its first byte.
    ids: [[u32; 64]; BLOCKS],
    /// The rank of each token with the next, above its place: the least is the merge to make.
    ranks: [[u32; 64]; BLOCKS],
    /// A bit for each place where a token begins.
    alive: [u64; BLOCKS],
    len: usize,
    /// A bit for each place whose token is still to be looked up with the next.
    pending: [u64; BLOCKS],
}

impl<const BLOCKS: usize> Default for Lane<BLOCKS> {
    fn default() -> Self {
        let ids = [[0; 64]; BLOCKS];
        Self { ids, ranks: ids, alive: [0; BLOCKS], len: 0, pending: [0; BLOCKS] }
    }
}

impl<const BLOCKS: usize> Lane<BLOCKS> {
    /// Takes a word, which must not be empty.
    #[inline(always)]
    pub(crate) fn begin(&mut self, merges: &Merges, atoms: &Atoms, word: &[u8]) {
        self.len = word.len();
        self.alive = [0; BLOCKS];
        self.pending = [0; BLOCKS];
        self.ranks.as_flattened_mut()[..word.len().next_multiple_of(STRIDE)].fill(NONE);
        let (mut at, mut last) = (0, 0);
        while at < word.len() {
            let atom = if word[at] < 0x80 { None } else { atoms.at(word, at) };
            let (id, len) = atom.unwrap_or((merges.byte(word[at]), 1));
            self.ids.as_flattened_mut()[at] = id;
            self.alive[at / 64] |= 1 << (at % 64);
            // The pair with the token before: a table has those of bytes.
            if at > 0 {
                if len == 1 && last + 1 == at {
                    self.set(merges, last, merges.byte_rank(word[last], word[at]));
                } else if merges.may_merge(Pair::new(self.id(last), id)) {
                    self.pending[last / 64] |= 1 << (last % 64);
                }
            }
            last = at;
            at += len;
        }
    }

    /// Merges until memory must be waited for; `false` if there is nothing left to merge.
    #[inline(always)]
    pub(crate) fn step(&mut self, merges: &Merges) -> bool {
        for block in 0..BLOCKS {
            let mut pending = std::mem::take(&mut self.pending[block]);
            while pending != 0 {
                let at = 64 * block + pending.trailing_zeros() as usize;
                pending &= pending - 1;
                if let Some(next) = self.after(at) {
                    self.set(merges, at, merges.rank(Pair::new(self.id(at), self.id(next))));
                }
            }
        }
        while let Some((at, rank)) = self.least() {
            let Some(gone) = self.after(at) else { return false };
            let id = merges.merged(rank);
            self.ids.as_flattened_mut()[at] = id;
            self.alive[gone / 64] &= !(1 << (gone % 64));
            let ranks = self.ranks.as_flattened_mut();
            (ranks[at], ranks[gone]) = (NONE, NONE);
            let mut waits = false;
            if let Some(next) = self.after(at)
                && merges.may_merge(Pair::new(id, self.id(next)))
            {
                self.pending[at / 64] |= 1 << (at % 64);
                waits = true;
            }
            if let Some(last) = self.before(at) {
                self.ranks.as_flattened_mut()[last] = NONE;
                if merges.may_merge(Pair::new(self.id(last), id)) {
                    self.pending[last / 64] |= 1 << (last % 64);
                    waits = true;
                }
            }
            if waits {
                return true;
            }
        }
        false
    }

    /// The tokens, moved to the front.
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
        &ids[..count]
    }

    /// The first place of the least rank, and the rank.
    #[inline(always)]
    fn least(&self) -> Option<(usize, u32)> {
        let mut least = [NONE; STRIDE];
        let used = self.len.next_multiple_of(STRIDE);
        for ranks in self.ranks.as_flattened()[..used].chunks_exact(STRIDE) {
            for (least, &rank) in least.iter_mut().zip(ranks) {
                *least = rank.min(*least);
            }
        }
        let least = least.into_iter().fold(NONE, u32::min);
        let place = least & ((1 << PLACE_BITS) - 1);
        (least != NONE).then_some((place as usize, least >> PLACE_BITS))
    }

    #[inline(always)]
    fn set(&mut self, merges: &Merges, at: usize, rank: u32) {
        if rank != NONE {
            merges.prefetch_merged(rank);
            self.ranks.as_flattened_mut()[at] = rank << PLACE_BITS | at as u32;
        } else {
            self.ranks.as_flattened_mut()[at] = NONE;
        }
    }

    #[inline(always)]
    fn id(&self, at: usize) -> u32 {
        self.ids.as_flattened()[at]
    }

    /// The place of the token after the one at `at`.
    #[inline(always)]
    fn after(&self, at: usize) -> Option<usize> {
        let mut block = at / 64;
        let mut rest = self.alive[block] & (u64::MAX << 1 << (at % 64));
        while rest == 0 {
            block += 1;
            rest = *self.alive.get(block)?;
        }
        Some(64 * block + rest.trailing_zeros() as usize)
    }

    /// The place of the token before the one at `at`.
    #[inline(always)]
    fn before(&self, at: usize) -> Option<usize> {
        let mut block = at / 64;
        let mut rest = self.alive[block] & ((1 << (at % 64)) - 1);
        while rest == 0 {
            block = block.checked_sub(1)?;
            rest = self.alive[block];
        }
        Some(64 * block + rest.ilog2() as usize)
    }
}
