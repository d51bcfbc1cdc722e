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

use crate::atoms::Atoms;
#[cfg(target_arch = "x86_64")]
use crate::blocks::has_avx2;
use crate::lane::Lane;
use crate::merges::{Merges, NONE, Pair};
use crate::sweep::Sweep;

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

    fn merge_long(&self, work: &mut Workspace) {
        while let Some((rank, count)) = self.least_rank(&work.ids) {
            if count * DENSE < work.ids.len() || self.is_retrograde(rank) {
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
        let (left, right, merged) = (ids[at], ids[at + 1], self.merged(rank));
        let (mut from, mut to) = (at, at);
        while from < ids.len() {
            let found = ids[from] == left && ids.get(from + 1) == Some(&right);
            ids[to] = if found { merged } else { ids[from] };
            from += 1 + usize::from(found);
            to += 1;
        }
        ids.truncate(to);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::bpe_definition::merges_that_happen;
    use crate::cuts::Cuts;
    use crate::merges::Merge;
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
            let happening = merges_that_happen(bytes, &HashMap::new(), list.clone(), &lens, &mut words);
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
