//! Dictionary indices as they stand in a page, in whole bytes.

/// Dictionary indices of 1 to 4 whole bytes.
#[derive(Clone, Copy)]
pub(super) struct Indices<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) width: usize,
}

impl Indices<'_> {
    pub(super) fn get(&self, at: usize) -> usize {
        let bytes = &self.bytes[at * self.width..][..self.width];
        bytes.iter().rev().fold(0, |index, &byte| index << 8 | usize::from(byte))
    }

    /// Adds to `counts` how often each index stands in the first `positions`; all of them are within `counts`.
    pub(super) fn count(&self, positions: usize, counts: &mut [u64]) {
        let bytes = &self.bytes[..positions * self.width];
        match self.width {
            1 => bytes.iter().for_each(|&byte| counts[usize::from(byte)] += 1),
            2 => {
                for &pair in bytes.as_chunks().0 {
                    counts[usize::from(u16::from_le_bytes(pair))] += 1;
                }
            }
            _ => (0..positions).for_each(|at| counts[self.get(at)] += 1),
        }
    }

    /// How often `index` stands in the first `positions`.
    pub(super) fn count_of(&self, positions: usize, index: usize) -> u64 {
        let bytes = &self.bytes[..positions * self.width];
        match self.width {
            1 => {
                // Counts of 8 and 16 bits are counted many at once.
                let wanted = index as u8;
                let each = bytes.chunks(255);
                each.map(|some| u64::from(some.iter().map(|&byte| u8::from(byte == wanted)).sum::<u8>()))
                    .sum()
            }
            2 => {
                let (pairs, wanted) = (bytes.as_chunks().0, index as u16);
                let is_it = |&pair: &[u8; 2]| u16::from(u16::from_le_bytes(pair) == wanted);
                pairs.chunks(1 << 12).map(|some| u64::from(some.iter().map(is_it).sum::<u16>())).sum()
            }
            _ => (0..positions).filter(|&at| self.get(at) == index).count() as u64,
        }
    }

    /// The least and the greatest index.
    pub(super) fn bounds(&self) -> (u32, u32) {
        match self.width {
            1 => bounds(self.bytes.iter().map(|&byte| u32::from(byte))),
            2 => {
                let pairs = self.bytes.as_chunks().0.iter();
                let (least, most) = pairs.fold((u16::MAX, 0), |(least, most), &pair| {
                    let index = u16::from_le_bytes(pair);
                    (least.min(index), most.max(index))
                });
                (least.into(), most.into())
            }
            3 => bounds(
                self.bytes.as_chunks::<3>().0.iter().map(|&[a, b, c]| u32::from_le_bytes([a, b, c, 0])),
            ),
            _ => bounds(self.bytes.as_chunks().0.iter().map(|&four| u32::from_le_bytes(four))),
        }
    }
}

fn bounds(indices: impl Iterator<Item = u32>) -> (u32, u32) {
    indices.fold((u32::MAX, 0), |(least, most), index| (least.min(index), most.max(index)))
}
