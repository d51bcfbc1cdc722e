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
