//! Texts that stand more than once, counted in bounded memory.
//!
//! A text is known by 64 bits of a hash. When there are too many to keep, half of them are left out, chosen by the
//! hash itself, so that all copies of a text stay or go together; what is counted then stands for the others. Up to
//! [`KEPT`] documents it is exact.

use std::sync::{Mutex, PoisonError};

/// Texts that are kept: 32 MB, and as much again while they grow.
const KEPT: usize = 2 << 20;

/// Texts that a thread brings at a time.
const BATCH: usize = 4096;

/// The texts that all threads saw.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Only hashes are kept whose last `halvings` bits are 0.
    halvings: u32,
    /// Hashes and the dataset in which each was seen.
    texts: Vec<(u64, u32)>,
}

/// The texts that one thread saw and did not bring yet.
#[derive(Debug)]
pub(crate) struct SeenTexts<'a> {
    all: &'a Texts,
    batch: Vec<(u64, u32)>,
}

/// What stands more than once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Duplicates {
    /// By dataset: documents whose text stands in an earlier one, of the same dataset or of one before it.
    pub(crate) by_dataset: Vec<u64>,
    /// Whether it is extrapolated from a part of the documents.
    pub(crate) is_about: bool,
}

impl<'a> SeenTexts<'a> {
    pub(crate) const fn new(all: &'a Texts) -> Self {
        Self { all, batch: Vec::new() }
    }

    /// Takes in a text of the dataset `dataset`.
    pub(crate) fn add(&mut self, hash: u64, dataset: u32) {
        self.batch.push((hash, dataset));
        if self.batch.len() == BATCH {
            self.bring();
        }
    }

    fn bring(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).take(&self.batch, KEPT);
        self.batch.clear();
    }
}

impl Drop for SeenTexts<'_> {
    fn drop(&mut self) {
        self.bring();
    }
}

impl Texts {
    /// What stands more than once in `datasets` datasets, when all threads have brought what they saw.
    pub(crate) fn duplicates(&self, datasets: usize) -> Duplicates {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).duplicates(datasets)
    }
}

impl Kept {
    fn take(&mut self, texts: &[(u64, u32)], kept: usize) {
        self.texts.extend(texts.iter().filter(|(hash, _)| is_kept(*hash, self.halvings)));
        while self.texts.len() > kept {
            self.halvings += 1;
            let halvings = self.halvings;
            self.texts.retain(|(hash, _)| is_kept(*hash, halvings));
        }
    }

    fn duplicates(mut self, datasets: usize) -> Duplicates {
        self.texts.sort_unstable();
        let mut by_dataset = vec![0; datasets];
        for [first, again] in self.texts.array_windows() {
            if first.0 == again.0 {
                by_dataset[again.1 as usize] += 1 << self.halvings;
            }
        }
        Duplicates { by_dataset, is_about: self.halvings > 0 }
    }
}

const fn is_kept(hash: u64, halvings: u32) -> bool {
    hash.trailing_zeros() >= halvings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes of texts: a mixer that is no hash of texts is enough here.
    fn hash(text: u64) -> u64 {
        let mixed = (text + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    }

    #[test]
    fn copies_are_counted_where_they_stand_again() {
        let texts = Texts::default();
        let mut seen = SeenTexts::new(&texts);
        for (text, dataset) in [(1, 1), (2, 0), (1, 0), (1, 1), (3, 2)] {
            seen.add(hash(text), dataset);
        }
        drop(seen);
        assert_eq!(texts.duplicates(3), Duplicates { by_dataset: vec![0, 2, 0], is_about: false });
    }

    #[test]
    fn of_too_many_a_part_stands_for_all() {
        let mut kept = Kept::default();
        for text in 0..200_000 {
            // Every tenth text stands three times.
            for _ in 0..if text % 10 == 0 { 3 } else { 1 } {
                kept.take(&[(hash(text), 0)], 10_000);
            }
        }
        assert!(kept.texts.len() <= 10_000 && kept.halvings > 0);
        let found = kept.duplicates(1);
        assert!(found.is_about && (36_000..44_000).contains(&found.by_dataset[0]), "{found:?}");
    }
}
