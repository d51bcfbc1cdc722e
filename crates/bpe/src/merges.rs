//! Byte-pair merging: bytes become tokens by merging, again and again, the neighbors whose merge
//! has the lowest rank, the leftmost first.
//!
//! Three ways lead to the same tokens. Words of ordinary length keep the rank of every pair of
//! neighbors in an array and look for the least each time ([`Lane`]), several words side by side:
//! quadratic, but fastest while the array is short. Longer words begin with *dense passes*, which
//! merge all pairs of the least rank at once while that shortens the word notably (runs of one
//! character fall to a few tokens in about as many passes as the longest token is doubled), and end
//! with a *sweep*, which keeps positions in buckets by rank. Merging all pairs of one rank in one go is exact as long as
//! no merge makes a pair of lower rank, which a sweep notices and a dense pass knows beforehand.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::atoms::Atoms;
#[cfg(target_arch = "x86_64")]
use crate::blocks::has_avx2;
use crate::lane::Lane;
use crate::pages::{Table, prefetch};

/// No merge: above all ranks.
pub(crate) const NONE: u32 = u32::MAX;
const ID_BITS: u32 = 21;
const RANK_BITS: u32 = 22;
const RANK_MASK: u32 = (1 << RANK_BITS) - 1;
/// Ids must be below this.
pub(crate) const IDS_MAX: u32 = (1 << ID_BITS) - 1;
/// There must be fewer merges than this.
pub(crate) const MERGES_MAX: usize = (1 << RANK_BITS) - 1;
/// Longest word, in bytes, that is merged side by side with others.
pub(crate) const SIDE_BY_SIDE_MAX: usize = Lane::<1>::WORD_MAX;
/// Longest word, in bytes, that goes into a lane; longer ones are merged in near-linear time.
const LANE_MAX: usize = Lane::<4>::WORD_MAX;
/// Words that are merged side by side.
const LANES: usize = 16;
/// A dense pass must find its pair at least once in so many symbols.
const DENSE: usize = 8;
/// Most symbols whose working memory is kept for the next word.
const KEPT_LEN_MAX: usize = 1 << 18;

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
    /// The token of each byte.
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

/// Working memory for merging.
#[derive(Debug)]
pub(crate) struct Workspace {
    lanes: [Lane<1>; LANES],
    wide_lane: Lane<4>,
    ids: Vec<u32>,
    sweep: Sweep,
}

impl Default for Workspace {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane::default()),
            wide_lane: Lane::default(),
            ids: Vec::new(),
            sweep: Sweep::default(),
        }
    }
}

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

    /// Encodes `words`, each of 1 to [`SIDE_BY_SIDE_MAX`] bytes, side by side, and calls `done`
    /// with the number of each and its tokens, in any order.
    pub(crate) fn encode_side_by_side<'a>(
        &self,
        atoms: &Atoms,
        words: impl Iterator<Item = (usize, &'a [u8])>,
        work: &mut Workspace,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            #[expect(unsafe_code, reason = "code for a newer processor may only be called on one")]
            // SAFETY: the processor has the features.
            return unsafe { self.take_turns_avx2(atoms, words, work, done) };
        }
        self.take_turns(atoms, words, &mut work.lanes, &mut done);
    }

    /// [`Merges::take_turns`], compiled for newer processors.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    fn take_turns_avx2<'a>(
        &self,
        atoms: &Atoms,
        words: impl Iterator<Item = (usize, &'a [u8])>,
        work: &mut Workspace,
        mut done: impl FnMut(usize, &[u32]),
    ) {
        self.take_turns(atoms, words, &mut work.lanes, &mut done);
    }

    #[inline(always)]
    fn take_turns<'a, const BLOCKS: usize, const LANES: usize>(
        &self,
        atoms: &Atoms,
        words: impl Iterator<Item = (usize, &'a [u8])>,
        lanes: &mut [Lane<BLOCKS>; LANES],
        done: &mut impl FnMut(usize, &[u32]),
    ) {
        let mut words = words.fuse();
        // The busy lanes come first in `order`, each with the number of its word.
        let mut order: [(usize, usize); LANES] = std::array::from_fn(|lane| (lane, 0));
        let mut busy = 0;
        loop {
            while busy < LANES
                && let Some((number, word)) = words.next()
            {
                lanes[order[busy].0].begin(self, atoms, word);
                order[busy].1 = number;
                busy += 1;
            }
            if busy == 0 {
                return;
            }
            for (lane, _) in &order[..busy] {
                lanes[*lane].hear(self);
            }
            let mut i = 0;
            while i < busy {
                let (lane, number) = order[i];
                if lanes[lane].merge(self) {
                    i += 1;
                    continue;
                }
                done(number, lanes[lane].finish());
                busy -= 1;
                order.swap(i, busy);
            }
        }
    }

    /// Appends the tokens of `word`, which may be of any length but 0.
    ///
    /// # Panics
    /// If the word has 2³¹ bytes or more.
    pub(crate) fn encode(&self, atoms: &Atoms, word: &[u8], work: &mut Workspace, out: &mut Vec<u32>) {
        if word.len() <= LANE_MAX {
            let words = std::iter::once((0, word));
            let done = &mut |_, tokens: &[u32]| out.extend_from_slice(tokens);
            self.take_turns(atoms, words, std::array::from_mut(&mut work.wide_lane), done);
            return;
        }
        assert!(word.len() < 1 << 31, "a word of 2 GiB or more");
        work.ids.clear();
        // All the room there may be need for: growing step by step would take three times as much.
        work.ids.reserve_exact(word.len());
        let mut at = 0;
        while at < word.len() {
            let (id, len) = atoms.at(word, at).unwrap_or((self.byte(word[at]), 1));
            work.ids.push(id);
            at += len;
        }
        self.merge_long(work);
        out.extend_from_slice(&work.ids);
        if work.ids.capacity() > KEPT_LEN_MAX {
            work.ids = Vec::new();
            work.sweep = Sweep::default();
        }
    }

    /// Merges `word` straight from the definition: `ids` are its tokens afterwards. Returns the rank of the last
    /// merge. That takes quadratic time, and is for making tables of tokens, which are short.
    pub(crate) fn merge_alone(&self, word: &[u8], ids: &mut Vec<u32>) -> Option<u32> {
        ids.clear();
        ids.extend(word.iter().map(|&byte| self.byte(byte)));
        let mut ranks: Vec<u32> = word.windows(2).map(|pair| self.byte_rank(pair[0], pair[1])).collect();
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

    fn merge_long(&self, work: &mut Workspace) {
        while let Some((rank, count)) = self.least_rank(&work.ids) {
            if count * DENSE < work.ids.len() || self.retrograde[rank as usize] {
                work.sweep.run(self, &mut work.ids);
                return;
            }
            self.merge_all(&mut work.ids, rank);
        }
    }

    /// The least rank of all pairs of neighbors and how often it occurs.
    fn least_rank(&self, ids: &[u32]) -> Option<(u32, usize)> {
        let (mut least, mut count) = (NONE, 0);
        let (mut last, mut rank) = ([NONE; 2], NONE);
        for pair in ids.windows(2) {
            if pair != last {
                last = [pair[0], pair[1]];
                rank = self.rank(Pair::new(pair[0], pair[1]));
            }
            if rank < least {
                (least, count) = (rank, 0);
            }
            count += usize::from(rank == least);
        }
        (least != NONE).then_some((least, count))
    }

    /// Merges all pairs of this rank, from left to right.
    fn merge_all(&self, ids: &mut Vec<u32>, rank: u32) {
        let Some(at) = ids.windows(2).position(|pair| self.rank(Pair::new(pair[0], pair[1])) == rank) else {
            return;
        };
        let (left, right, merged) = (ids[at], ids[at + 1], self.merged[rank as usize]);
        let (mut from, mut to) = (at, at);
        while from < ids.len() {
            let found = ids[from] == left && ids.get(from + 1) == Some(&right);
            ids[to] = if found { merged } else { ids[from] };
            from += 1 + usize::from(found);
            to += 1;
        }
        ids.truncate(to);
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
        if let Some(merged) = self.merged.get(rank as usize) {
            prefetch(merged);
        }
    }

    /// Whether the pair can merge: seldom `true` in error. Has the processor fetch what
    /// [`Merges::rank`] will read then.
    #[inline(always)]
    pub(crate) fn may_merge(&self, pair: Pair) -> bool {
        let may = self.passes(pair);
        if may {
            prefetch(&self.slots[self.slot(pair)]);
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
    pub(crate) fn ask(&self, pair: Pair) -> Question {
        let slot = if self.passes(pair) { self.slot(pair) } else { self.empty_slot };
        prefetch(&self.slots[slot]);
        Question { packed: pair.packed, slot }
    }

    /// What [`Merges::answer`] says [`NONE`] to.
    pub(crate) fn no_question(&self) -> Question {
        Question { packed: 0, slot: self.empty_slot }
    }

    /// The rank that was asked for, or [`NONE`].
    #[inline(always)]
    pub(crate) fn answer(&self, question: Question) -> u32 {
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
pub(crate) struct Question {
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

/// Marks the last byte of a token that has more than one.
const LAST: u32 = 1 << 31;
/// Marks a place where a token began before it was merged into the one on its left.
const GONE: u32 = u32::MAX;

/// Merging by buckets of positions, one for each rank that is waiting.
///
/// The word lies in an array with an element for each byte: a token's id at its first byte, and
/// the id with a mark at its last, so that a token's neighbors follow from the lengths of tokens,
/// without links. Positions whose pair has changed in the meantime are found out when their turn
/// comes.
#[derive(Debug, Default)]
struct Sweep {
    /// The place in `buckets`, plus 1, of each rank that has a bucket.
    bucket_of: Vec<u32>,
    buckets: Vec<Bucket>,
    free: Vec<u32>,
    waiting: BinaryHeap<Reverse<u32>>,
}

#[derive(Debug, Default)]
struct Bucket {
    left: u32,
    right: u32,
    /// Where the pair was seen; those before `done` are dealt with.
    positions: Vec<u32>,
    done: usize,
}

impl Sweep {
    fn run(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        self.bucket_of.resize(merges.merged.len(), 0);
        let len = |id: u32| merges.lens[(id & !LAST) as usize] as usize;
        spread(ids, len);
        let word = ids;
        let mut at = 0;
        while let Some(&right) = word.get(at + len(word[at])) {
            self.add(merges, word[at], right, at);
            at += len(word[at]);
        }
        while let Some(Reverse(rank)) = self.waiting.pop() {
            self.merge_rank(merges, word, rank);
        }
        // Gather the ids at the front again.
        let (mut from, mut to) = (0, 0);
        while from < word.len() {
            word[to] = word[from];
            from += len(word[to]);
            to += 1;
        }
        word.truncate(to);
    }

    /// Merges the pairs of the bucket of `rank`, until a pair of lower rank comes up.
    fn merge_rank(&mut self, merges: &Merges, word: &mut [u32], rank: u32) {
        let len = |id: u32| merges.lens[(id & !LAST) as usize] as usize;
        let number = self.bucket_of[rank as usize] - 1;
        let mut bucket = std::mem::take(&mut self.buckets[number as usize]);
        // Positions come as a few ascending runs, which a stable sort takes advantage of.
        bucket.positions[bucket.done..].sort();
        let merged = merges.merged[rank as usize];
        let (left_len, both_len) = (len(bucket.left), len(merged));
        while let Some(&position) = bucket.positions.get(bucket.done) {
            bucket.done += 1;
            let at = position as usize;
            let (middle, next) = (at + left_len, at + both_len);
            if word[at] != bucket.left || word.get(middle) != Some(&bucket.right) {
                continue;
            }
            word[at] = merged;
            word[middle] = GONE;
            word[next - 1] = merged | LAST;
            let mut lower = false;
            if let Some(&right) = word.get(next) {
                lower |= self.add(merges, merged, right, at) < rank;
            }
            if at > 0 {
                let left = word[at - 1] & !LAST;
                lower |= self.add(merges, left, merged, at - len(left)) < rank;
            }
            if lower {
                self.buckets[number as usize] = bucket;
                self.waiting.push(Reverse(rank));
                return;
            }
        }
        bucket.positions.clear();
        bucket.done = 0;
        self.buckets[number as usize] = bucket;
        self.bucket_of[rank as usize] = 0;
        self.free.push(number);
    }

    /// Notes that `left` and `right` meet at `at`, if they can merge, and returns the rank.
    fn add(&mut self, merges: &Merges, left: u32, right: u32, at: usize) -> u32 {
        let rank = merges.rank(Pair::new(left, right));
        if rank == NONE {
            return NONE;
        }
        let number = &mut self.bucket_of[rank as usize];
        if *number == 0 {
            *number = match self.free.pop() {
                Some(free) => free + 1,
                None => {
                    self.buckets.push(Bucket::default());
                    self.buckets.len() as u32
                }
            };
            let bucket = &mut self.buckets[*number as usize - 1];
            (bucket.left, bucket.right) = (left, right);
            self.waiting.push(Reverse(rank));
        }
        self.buckets[*number as usize - 1].positions.push(at as u32);
        rank
    }
}

/// Spreads tokens out to an element for each byte, in place from the back.
fn spread(ids: &mut Vec<u32>, len: impl Fn(u32) -> usize) {
    let mut at = ids.len();
    let mut end = ids.iter().map(|&id| len(id)).sum();
    ids.resize(end, GONE);
    while at > 0 {
        at -= 1;
        let id = ids[at];
        let start = end - len(id);
        ids[end - 1] = id | LAST;
        ids[start] = id;
        end = start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuts::Cuts;
    use crate::definition::merges_that_happen;
    use crate::words::Word;

    fn word_of(id: u32, text: &[u8]) -> Word {
        Word { bytes: text.to_vec(), id, merges: false }
    }

    /// Straight from the definition.
    fn plain(merges: &[Merge], mut ids: Vec<u32>) -> Vec<u32> {
        loop {
            let rank = |pair: &[u32]| merges.iter().position(|m| [m.left, m.right] == *pair);
            let best = ids.windows(2).enumerate().filter_map(|(at, pair)| Some((rank(pair)?, at))).min();
            let Some((rank, at)) = best else { return ids };
            ids[at] = merges[rank].merged;
            ids.remove(at + 1);
        }
    }

    fn random(state: &mut u64) -> u32 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as u32
    }

    /// Characters of one, two and three bytes.
    const LETTERS: [&str; 5] = ["a", "b", "é", "è", "日"];

    /// Merges over the bytes of some letters in any order, so that some make pairs of lower rank
    /// and some join parts of characters.
    fn vocabulary(state: &mut u64) -> (Vec<Merge>, Vec<Vec<u8>>) {
        let mut texts: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        let count = 2 + random(state) as usize % 4;
        let mut usable: Vec<u32> = LETTERS[..count].concat().bytes().map(u32::from).collect();
        usable.extend("éé".bytes().map(u32::from));
        let mut merges = Vec::new();
        for _ in 0..4 + random(state) % 40 {
            let mut part = || usable[(random(state) as usize) % usable.len()];
            let (left, right): (u32, u32) = (part(), part());
            let text = [&*texts[left as usize], &*texts[right as usize]].concat();
            if text.len() > 40 || merges.iter().any(|m: &Merge| (m.left, m.right) == (left, right)) {
                continue;
            }
            let merged = texts.iter().position(|t| *t == text).unwrap_or(texts.len()) as u32;
            if merged as usize == texts.len() {
                texts.push(text);
                usable.push(merged);
            }
            merges.push(Merge { left, right, merged });
        }
        for i in (1..merges.len()).rev() {
            if random(state).is_multiple_of(3) {
                merges.swap(i, random(state) as usize % (i + 1));
            }
        }
        (merges, texts)
    }

    #[test]
    fn all_ways_of_merging_follow_the_definition() {
        let (mut state, mut atoms_met, mut cuts_met, mut merges_left_out) = (1, 0, 0, 0);
        // Serves all: what a word leaves behind must not matter to the next.
        let mut work = Workspace::default();
        for _ in 0..4_000 {
            let (list, texts) = vocabulary(&mut state);
            let lens: Vec<u32> = texts.iter().map(|text| text.len() as u32).collect();
            let bytes = std::array::from_fn(|byte| byte as u32);
            let mut words: Vec<_> = (0..).zip(&texts).map(|(id, text)| word_of(id, text)).collect();
            let happening = merges_that_happen(bytes, list.clone(), &lens, &mut words);
            merges_left_out += list.len() - happening.len();
            for word in words {
                let tokens = plain(&list, word.bytes.iter().map(|&byte| u32::from(byte)).collect());
                assert_eq!(word.merges, tokens == [word.id], "{:?}, {list:?}", word.bytes);
            }
            let merges = Merges::new(bytes, &happening, lens);
            let atoms = Atoms::new(&merges, &happening);
            atoms_met += usize::from(atoms.at("é".as_bytes(), 0).is_some());
            atoms_met += usize::from(atoms.at("日".as_bytes(), 0).is_some());
            let letters = 1 + random(&mut state) as usize % LETTERS.len();
            let period = 1 + random(&mut state) as usize % 20;
            let mut units: Vec<&str> =
                (0..period).map(|_| LETTERS[random(&mut state) as usize % letters]).collect();
            units = units.iter().copied().cycle().take(1 + random(&mut state) as usize % 110).collect();
            for _ in 0..random(&mut state) % 3 {
                let at = random(&mut state) as usize % units.len();
                units[at] = LETTERS[random(&mut state) as usize % LETTERS.len()];
            }
            let mut word = units.concat().into_bytes();
            word.truncate(256);
            while str::from_utf8(&word).is_err() {
                word.pop();
            }
            let text = str::from_utf8(&word).expect("it is UTF-8");
            let heads = [SIDE_BY_SIDE_MAX, SIDE_BY_SIDE_MAX - 1, 1 + random(&mut state) as usize % 40]
                .map(|len| &text.as_bytes()[..text.floor_char_boundary(len).max(1)])
                .map(|head| if str::from_utf8(head).is_ok() { head } else { &word[..1] });
            let expected = plain(&list, word.iter().map(|&byte| u32::from(byte)).collect());
            let expected_heads =
                heads.map(|head| plain(&list, head.iter().map(|&byte| u32::from(byte)).collect()));
            let words = heads.into_iter().cycle().take(30).enumerate();
            let (mut seen, mut out) = (0, Vec::new());
            merges.encode_side_by_side(&atoms, words, &mut work, |number, tokens| {
                seen |= 1 << number;
                assert_eq!(tokens, expected_heads[number % 3], "{:?}, {list:?}", heads[number % 3]);
            });
            assert_eq!(seen, (1 << 30) - 1);
            merges.encode(&atoms, &word, &mut work, &mut out);
            assert_eq!(out, expected, "{:?}, {list:?}", String::from_utf8_lossy(&word));
            let cuts = Cuts::new(texts.iter().map(|text| &**text));
            let (mut start, mut parts) = (0, Vec::new());
            while start < word.len() {
                let end = cuts.end(&word, start);
                merges.encode(&atoms, &word[start..end], &mut work, &mut parts);
                cuts_met += usize::from(end < word.len());
                start = end;
            }
            assert_eq!(parts, expected, "in parts, {:?}, {list:?}", String::from_utf8_lossy(&word));
            for way in 0..2 {
                work.ids = word.iter().map(|&byte| u32::from(byte)).collect();
                match way {
                    0 => merges.merge_long(&mut work),
                    _ => work.sweep.run(&merges, &mut work.ids),
                }
                assert_eq!(work.ids, expected, "way {way}, {:?}, {list:?}", String::from_utf8_lossy(&word));
            }
        }
        assert!(merges_left_out > 100, "{merges_left_out}");
        assert!(atoms_met > 100, "{atoms_met}");
        assert!(cuts_met > 100, "{cuts_met}");
    }
}
