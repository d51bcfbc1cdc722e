//! Which bytes of a file are there.

use serde::{Deserialize, Serialize};

/// A set of bytes as stretches `[start, end)` in ascending order that neither touch nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds `[start, end)`; returns how many of its bytes are new.
    pub(crate) fn insert(&mut self, start: u64, end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        // Those that touch the new one are [first, last).
        let first = self.0.partition_point(|range| range.1 < start);
        let last = first + self.0[first..].partition_point(|range| range.0 <= end);
        let known: u64 =
            self.0[first..last].iter().map(|range| range.1.min(end).saturating_sub(range.0.max(start))).sum();
        let merged = self.0[first..last]
            .iter()
            .fold((start, end), |all, range| (all.0.min(range.0), all.1.max(range.1)));
        self.0.splice(first..last, [merged]);
        end - start - known
    }

    /// How many bytes there are.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.1 - range.0).sum()
    }

    /// Where the first stretch that begins at 0 ends; 0 if there is none.
    pub(crate) fn prefix(&self) -> u64 {
        self.0.first().filter(|range| range.0 == 0).map_or(0, |range| range.1)
    }

    /// What is missing of `[start, end)`, in ascending order.
    pub(crate) fn missing(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let mut missing = Vec::new();
        let mut at = start;
        for &(from, to) in &self.0 {
            if to <= at {
                continue;
            }
            if from >= end {
                break;
            }
            if from > at {
                missing.push((at, from));
            }
            at = to;
        }
        if at < end {
            missing.push((at, end));
        }
        missing
    }

    /// Whether the stretches are what the type promises and lie within `size` bytes: they may have been read
    /// from a file.
    pub(crate) fn is_valid(&self, size: u64) -> bool {
        let ascending = self.0.windows(2).all(|pair| pair[0].1 < pair[1].0);
        ascending && self.0.iter().all(|range| range.0 < range.1 && range.1 <= size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_list_of_bytes(inserts in prop::collection::vec((0_u64..60, 0_u64..60), 0..12)) {
            let mut ranges = Ranges::default();
            let mut bytes = [false; 64];
            for (start, end) in inserts {
                let fresh = (start..end).filter(|&byte| !bytes[byte as usize]).count() as u64;
                prop_assert_eq!(ranges.insert(start, end), fresh);
                (start..end).for_each(|byte| bytes[byte as usize] = true);
                prop_assert!(ranges.is_valid(60));
            }
            prop_assert_eq!(ranges.total(), bytes.iter().filter(|byte| **byte).count() as u64);
            prop_assert_eq!(ranges.prefix(), bytes.iter().take_while(|byte| **byte).count() as u64);
            let missing = ranges.missing(5, 64);
            let listed: Vec<u64> = missing.iter().flat_map(|&(start, end)| start..end).collect();
            let expected: Vec<u64> = (5..64).filter(|&byte| !bytes[byte as usize]).collect();
            prop_assert_eq!(listed, expected);
        }
    }
}
