//! Merging by buckets of positions, one for each rank that is waiting.
//!
//! The word lies in an array with an element for each byte: a token's id at its first byte, and
//! the id with a mark at its last, so that a token's neighbors follow from the lengths of tokens,
//! without links. Positions whose pair has changed in the meantime are found out when their turn
//! comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::merges::{Merges, NONE, Pair};

/// Marks the last byte of a token that has more than one.
const LAST: u32 = 1 << 31;
/// Marks a place where a token began before it was merged into the one on its left.
const GONE: u32 = u32::MAX;

/// What is waiting to be merged.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
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
    pub(crate) fn run(&mut self, merges: &Merges, ids: &mut Vec<u32>) {
        self.bucket_of.resize(merges.count(), 0);
        let len = |id: u32| merges.len(id & !LAST);
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
        let len = |id: u32| merges.len(id & !LAST);
        let number = self.bucket_of[rank as usize] - 1;
        let mut bucket = std::mem::take(&mut self.buckets[number as usize]);
        // Positions come as a few ascending runs, which a stable sort takes advantage of.
        bucket.positions[bucket.done..].sort();
        let merged = merges.merged(rank);
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
