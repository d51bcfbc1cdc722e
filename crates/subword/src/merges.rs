//! The merges of a vocabulary, and a pair's rank among them.
//!
//! Nearly all that merging costs is waiting for these tables, so they are made to be asked for early: a filter of a bit a
//! pair, which most pairs don't pass, before the table of pairs, and a question that is asked one step before its answer
//! is wanted ([`Merges::ask`]).

use crate::pages::{Table, prefetch};

/// No merge: above all ranks.
pub(crate) const NONE: u32 = u32::MAX;
const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;
const RANK_MASK: u32 = (1 << RANK_BITS) - 1;
/// Ids must be below this.
pub(crate) const IDS_MAX: u32 = (1 << ID_BITS) - 1;
/// What stands for the token of a byte that has none: it merges with nothing.
pub(crate) const NO_TOKEN: u32 = IDS_MAX;
/// There must be fewer merges than this.
pub(crate) const MERGES_MAX: usize = (1 << RANK_BITS) - 1;
/// One merge: two neighbors and what they become. Its place in a list is its rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) merged: u32,
}

/// The merges of a vocabulary.
#[derive(Debug)]
pub(crate) struct Merges {
    /// The token of each byte, or [`NO_TOKEN`].
    bytes: [u32; 256],
    /// The rank of every pair of bytes.
    byte_pairs: Vec<u32>,
    /// A bit for each value of the first bits of a pair's hash: whether there is such a pair. Most
    /// pairs that are looked up don't merge, and this is small enough to stay in the cache.
    filter: Table<u64>,
    filter_shift: u32,
    /// An open-addressing table from pairs to ranks: left, right and rank packed in a word.
    slots: Table<u64>,
    slot_shift: u32,
    /// A slot that is empty: there is nothing to be waited for.
    empty_slot: usize,
    /// What each rank merges into.
    merged: Table<u32>,
    /// Whether each rank may create pairs of lower rank.
    retrograde: Vec<bool>,
    /// The length in bytes of each token.
    lens: Vec<u32>,
}

const EMPTY: u64 = u64::MAX;

impl Merges {
    /// `merges` in order of rank, all pairs different; `lens` holds the length in bytes of every
    /// id that occurs. Ids are below [`IDS_MAX`] and the length of `lens`; merges are fewer than
    /// [`MERGES_MAX`], and lengths add up: neither part of a merge is empty.
    pub(crate) fn new(bytes: [u32; 256], merges: &[Merge], lens: Vec<u32>) -> Self {
        let slots = (merges.len() * 3 / 2).next_power_of_two().max(64);
        let bits = slots * 2;
        let mut this = Self {
            bytes,
            byte_pairs: Vec::with_capacity(1 << 16),
            filter: Table::new(0, bits / 64),
            filter_shift: 64 - bits.trailing_zeros(),
            slots: Table::new(EMPTY, slots),
            slot_shift: 64 - slots.trailing_zeros(),
            empty_slot: 0,
            merged: Table::new(0, merges.len()),
            retrograde: Vec::new(),
            lens,
        };
        let mut first_use = vec![NONE; this.lens.len()];
        for (rank, merge) in merges.iter().enumerate() {
            this.merged[rank] = merge.merged;
            let pair = Pair::new(merge.left, merge.right);
            let bit = pair.hash >> this.filter_shift;
            this.filter[bit as usize / 64] |= 1 << (bit % 64);
            let mut slot = (pair.hash >> this.slot_shift) as usize;
            while this.slots[slot] != EMPTY {
                slot = (slot + 1) & (slots - 1);
            }
            this.slots[slot] = pair.packed << RANK_BITS | rank as u64;
            for part in [merge.left, merge.right] {
                let first = &mut first_use[part as usize];
                *first = (*first).min(rank as u32);
            }
        }
        // A third of the table is empty.
        this.empty_slot = this.slots.iter().position(|&slot| slot == EMPTY).unwrap_or(0);
        this.retrograde =
            (0..).zip(merges).map(|(rank, merge)| first_use[merge.merged as usize] < rank).collect();
        for left in bytes {
            let ranks = bytes.map(|right| this.rank(Pair::new(left, right)));
            this.byte_pairs.extend_from_slice(&ranks);
        }
        this
    }

    pub(crate) fn bytes(&self) -> &[u32; 256] {
        &self.bytes
    }

    pub(crate) fn lens(&self) -> &[u32] {
        &self.lens
    }

    /// How many merges there are.
    pub(crate) fn count(&self) -> usize {
        self.merged.len()
    }

    /// Whether a rank may create pairs of lower rank.
    pub(crate) fn is_retrograde(&self, rank: u32) -> bool {
        self.retrograde[rank as usize]
    }

    /// The length in bytes of a token.
    #[inline(always)]
    pub(crate) fn len(&self, id: u32) -> usize {
        self.lens[id as usize] as usize
    }

    /// All merges in order of rank.
    pub(crate) fn list(&self) -> Vec<Merge> {
        let mut list: Vec<_> =
            self.merged.iter().map(|&merged| Merge { left: 0, right: 0, merged }).collect();
        for &slot in self.slots.iter().filter(|&&slot| slot != EMPTY) {
            let merge = &mut list[(slot as u32 & RANK_MASK) as usize];
            merge.left = (slot >> (RANK_BITS + ID_BITS)) as u32;
            merge.right = (slot >> RANK_BITS) as u32 & ((1 << ID_BITS) - 1);
        }
        list
    }

    /// Merges `ids` straight from the definition, and returns the rank of the last merge. That takes quadratic time, and is
    /// for making tables of tokens, which are short.
    pub(crate) fn merge_alone(&self, ids: &mut Vec<u32>) -> Option<u32> {
        let mut ranks: Vec<u32> = ids.windows(2).map(|pair| self.rank(Pair::new(pair[0], pair[1]))).collect();
        let mut last = None;
        while let Some((&rank, at)) = ranks.iter().zip(0..).min().filter(|(rank, _)| **rank != NONE) {
            last = Some(rank);
            ids[at] = self.merged(rank);
            ids.remove(at + 1);
            ranks.remove(at);
            for at in at.saturating_sub(1)..(at + 1).min(ranks.len()) {
                ranks[at] = self.rank(Pair::new(ids[at], ids[at + 1]));
            }
        }
        last
    }

    #[inline(always)]
    pub(crate) fn byte(&self, byte: u8) -> u32 {
        self.bytes[usize::from(byte)]
    }

    /// The rank of the tokens of two bytes.
    #[inline(always)]
    pub(crate) fn byte_rank(&self, left: u8, right: u8) -> u32 {
        self.byte_pairs[usize::from(left) << 8 | usize::from(right)]
    }

    /// What a rank merges into.
    #[inline(always)]
    pub(crate) fn merged(&self, rank: u32) -> u32 {
        self.merged[rank as usize]
    }

    /// Has the processor fetch what [`Merges::merged`] will read.
    #[inline(always)]
    pub(crate) fn prefetch_merged(&self, rank: u32) {
        prefetch(&self.merged, rank as usize);
    }

    /// Whether the pair can merge: seldom `true` in error. Has the processor fetch what
    /// [`Merges::rank`] will read then.
    #[inline(always)]
    pub(crate) fn may_merge(&self, pair: Pair) -> bool {
        let may = self.passes(pair);
        if may {
            prefetch(&self.slots, self.slot(pair));
        }
        may
    }

    /// Whether the pair passes the filter.
    #[inline(always)]
    fn passes(&self, pair: Pair) -> bool {
        let bit = pair.hash >> self.filter_shift;
        self.filter[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// Where a pair is looked for at first.
    #[inline(always)]
    fn slot(&self, pair: Pair) -> usize {
        (pair.hash >> self.slot_shift) as usize
    }

    /// The rank of a pair, or [`NONE`].
    #[inline(always)]
    pub(crate) fn rank(&self, pair: Pair) -> u32 {
        self.search(pair.packed, self.slot(pair))
    }

    /// The rank of a pair that stands in `slot` or behind it, or [`NONE`].
    #[inline(always)]
    fn search(&self, packed: u64, mut slot: usize) -> u32 {
        let slots = &*self.slots;
        loop {
            let found = slots[slot];
            if found >> RANK_BITS == packed {
                return found as u32 & RANK_MASK;
            }
            if found == EMPTY {
                return NONE;
            }
            slot = (slot + 1) & (slots.len() - 1);
        }
    }

    /// Asks for a pair's rank: has the processor fetch what [`Merges::answer`] will read.
    #[inline(always)]
    pub(crate) fn ask(&self, pair: Pair) -> AskedPair {
        let slot = if self.passes(pair) { self.slot(pair) } else { self.empty_slot };
        prefetch(&self.slots, slot);
        AskedPair { packed: pair.packed, slot }
    }

    /// What [`Merges::answer`] says [`NONE`] to.
    pub(crate) fn no_question(&self) -> AskedPair {
        AskedPair { packed: 0, slot: self.empty_slot }
    }

    /// The rank that was asked for, or [`NONE`].
    #[inline(always)]
    pub(crate) fn answer(&self, question: AskedPair) -> u32 {
        let found = self.slots[question.slot];
        let is_it = found >> RANK_BITS == question.packed;
        if !is_it & (found != EMPTY) {
            return self.search(question.packed, question.slot);
        }
        if is_it { found as u32 & RANK_MASK } else { NONE }
    }
}

/// A pair whose rank was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AskedPair {
    packed: u64,
    /// Where the answer is looked for.
    slot: usize,
}

/// Two neighbors, ready to be looked up.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    packed: u64,
    hash: u64,
}

impl Pair {
    #[inline(always)]
    pub(crate) fn new(left: u32, right: u32) -> Self {
        let packed = u64::from(left) << ID_BITS | u64::from(right);
        Self { packed, hash: packed.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
    }
}
