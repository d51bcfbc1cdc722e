//! Where a word may be cut into parts that are encoded on their own.
//!
//! A merge makes a token of two neighbors. Where no token has two characters side by side, no merge ever
//! crosses the border between them, and what merging makes of the whole is what it makes of both sides,
//! one after the other. Scripts that write no spaces have words as long as sentences, each of which is met
//! once; their parts are met again and again, and most of them are tokens. Borders inside ASCII are not
//! looked at: tokens have nearly all pairs of letters.

use crate::unicode::length;
use crate::word_ends::{BATCH, BLOCK, block_of};

/// Bits of the hash of two characters. Llama 3 has 11,700 such pairs, so one in eleven others is taken for one.
const PAIR_BITS: u32 = 17;
/// Where the bits of two bytes begin, and those of two characters of ASCII.
const BYTES: usize = 1 << PAIR_BITS;
const ASCII: usize = BYTES + (1 << 16);
/// Fewer bytes of ASCII are not looked at together.
const ASCII_MIN: usize = 8;
/// Numbers in a table file.
pub(crate) const NUMBERS: usize = (ASCII + (1 << 14)) / 32;

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    /// A bit for each value of the hash of two characters, whether they stand side by side in a token, then a
    /// bit for each two bytes, whether a token has them at a border of characters of which it has one in part, then one for each
    /// two characters of ASCII, as for other characters.
    bits: Box<[u32]>,
}

impl Cuts {
    /// `tokens` are all that merging may give, and all words that are tokens without it: those must not be cut.
    pub(crate) fn new<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut bits = vec![0; NUMBERS].into_boxed_slice();
        for token in tokens {
            for pair in token.windows(2).filter(|pair| pair.is_ascii()) {
                let bit = ascii_bit(pair[0], pair[1]);
                bits[bit / 32] |= 1 << (bit % 32);
            }
            if token.is_ascii() {
                continue;
            }
            for border in (1..token.len()).filter(|&at| !is_continued(token[at])) {
                let (before, after) = token.split_at(border);
                let start = before.iter().rposition(|&byte| !is_continued(byte));
                let left = start.map(|start| &before[start..]).filter(|left| left.len() == length(left[0]));
                let right = after.get(..length(after[0])).filter(|c| c[1..].iter().all(|&b| is_continued(b)));
                let bit = match (left, right) {
                    (Some(left), Some(right)) => pair_bit(packed(left), packed(right)),
                    _ => bytes_bit(token[border - 1], token[border]),
                };
                bits[bit / 32] |= 1 << (bit % 32);
            }
        }
        Self { bits }
    }

    /// Words are never cut.
    pub(crate) fn none() -> Self {
        Self { bits: vec![u32::MAX; NUMBERS].into_boxed_slice() }
    }

    /// What [`Cuts::numbers`] returned; `None` if it is of another length.
    pub(crate) fn from_numbers(numbers: impl Iterator<Item = u32>) -> Option<Self> {
        let bits: Box<[u32]> = numbers.collect();
        (bits.len() == NUMBERS).then_some(Self { bits })
    }

    /// All there is to know.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.bits
    }

    /// Where the part of `word`, which must be UTF-8, that begins at `start` ends.
    #[inline]
    pub(crate) fn end(&self, word: &[u8], start: usize) -> usize {
        let mut border = start + length(word[start]);
        let mut left = packed(&word[start..border.min(word.len())]);
        while border < word.len() {
            let end = border + length(word[border]);
            let right = packed(&word[border..end.min(word.len())]);
            if (left | right) & 0x80 != 0
                && !self.has(bytes_bit(word[border - 1], word[border]))
                && !self.has(pair_bit(left, right))
            {
                return border;
            }
            (border, left) = (end, right);
        }
        word.len()
    }

    /// Writes the ends of the next parts of a text, whose borders inside ASCII are looked at, too, behind the first `count` of
    /// `ends`, until the text ends or fewer than [`BLOCK`] would have room, and returns how many there are then. The first part
    /// begins at `start`; each space begins one if it `splits`.
    pub(crate) fn part_ends(
        &self,
        text: &[u8],
        start: usize,
        splits: bool,
        ends: &mut [usize; BATCH],
        mut count: usize,
    ) -> usize {
        let mut at = start;
        while at < text.len() && count <= BATCH - BLOCK {
            let mut tail = [0; BLOCK];
            let block = block_of(&text[at..], &mut tail);
            let ascii = ascii_length(block);
            let mut ends_before = if ascii >= ASCII_MIN { self.borders(block, ascii, splits) } else { 0 };
            if ends_before == 0 {
                at = self.part_end(text, at, splits);
                ends[count] = at;
                count += 1;
                continue;
            }
            let base = at;
            while ends_before != 0 {
                at = base + ends_before.trailing_zeros() as usize;
                ends[count] = at;
                count += 1;
                ends_before &= ends_before - 1;
            }
        }
        count
    }

    /// A bit for each of the first `ascii` bytes of a block, which are ASCII, before which a part ends, but the first.
    ///
    /// No byte decides a branch: where parts end would be guessed wrong.
    #[inline(always)]
    fn borders(&self, block: &[u8; BLOCK], ascii: usize, splits: bool) -> u64 {
        let pairs: &[u32; (1 << 14) / 32] =
            self.bits[ASCII / 32..].first_chunk().expect("the bits have them");
        let (mut borders, mut left) = (0, block[0]);
        for (number, eight) in block.as_chunks::<8>().0.iter().enumerate().take(ascii.div_ceil(8)) {
            let mut of_eight = 0;
            for (place, &right) in eight.iter().enumerate() {
                let pair = usize::from(left & 0x7f) << 7 | usize::from(right & 0x7f);
                let is_in_token = pairs[pair / 32] >> (pair % 32) & 1;
                of_eight |= u64::from(is_in_token ^ 1 | u32::from(splits & (right == b' '))) << place;
                left = right;
            }
            borders |= of_eight << (8 * number);
        }
        borders & u64::MAX.checked_shr((BLOCK - ascii) as u32).unwrap_or(0) & !1
    }

    /// The end of the part that begins at `start`.
    fn part_end(&self, text: &[u8], start: usize, splits: bool) -> usize {
        let mut border = start + length(text[start]);
        let mut last = start;
        while let Some(&first) = text.get(border) {
            let left = text[last];
            if splits && first == b' ' {
                return border;
            }
            if (left | first) & 0x80 == 0 {
                if !self.has(ascii_bit(left, first)) {
                    return border;
                }
                (last, border) = (border, border + 1);
                continue;
            }
            let end = (border + length(first)).min(text.len());
            if !self.has(pair_bit(packed(&text[last..border]), packed(&text[border..end]))) {
                return border;
            }
            (last, border) = (border, end);
        }
        text.len()
    }

    #[inline(always)]
    fn has(&self, bit: usize) -> bool {
        self.bits[bit / 32] >> (bit % 32) & 1 != 0
    }
}

/// How many bytes of a block are ASCII before the first that is not.
#[inline(always)]
fn ascii_length(block: &[u8; BLOCK]) -> usize {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let eights = block.as_chunks::<8>().0.iter().map(|eight| u64::from_le_bytes(*eight) & HIGH);
    let found = eights.enumerate().find(|(_, high)| *high != 0);
    found.map_or(BLOCK, |(number, high)| 8 * number + high.trailing_zeros() as usize / 8)
}

fn is_continued(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The bytes of a character, the first one lowest.
#[inline(always)]
fn packed(bytes: &[u8]) -> u32 {
    match *bytes {
        [a] => u32::from(a),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b, c, d, ..] => u32::from_le_bytes([a, b, c, d]),
        [] => 0,
    }
}

#[inline(always)]
fn pair_bit(left: u32, right: u32) -> usize {
    let hash = (u64::from(left) << 32 | u64::from(right)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (hash >> (64 - PAIR_BITS)) as usize
}

#[inline(always)]
fn bytes_bit(left: u8, right: u8) -> usize {
    BYTES | usize::from(left) << 8 | usize::from(right)
}

#[inline(always)]
fn ascii_bit(left: u8, right: u8) -> usize {
    ASCII + (usize::from(left) << 7 | usize::from(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts that are found many at a time end where each by itself ends, wherever a text stops being ASCII.
    #[test]
    fn parts_of_a_block_end_where_each_ends_alone() {
        let tokens: [&[u8]; 8] =
            [b" the", b"there", b"  ", b"12", b"\n\n", b"a.b", "é ".as_bytes(), "中文".as_bytes()];
        let cuts = Cuts::new(tokens.into_iter());
        let pieces = [
            " the",
            "re",
            "e",
            " ",
            "  ",
            "1",
            "2",
            "\n",
            ".",
            "a",
            "é",
            "中",
            "文",
            "\u{1F600}",
            "thethethe",
        ];
        let mut random = 1_u64;
        for length in 0..400 {
            let text: String = (0..length)
                .map(|_| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    // Few pieces at first, so that some texts are ASCII alone.
                    pieces[(random >> 33) as usize % pieces.len().min(6 + length / 16)]
                })
                .collect();
            let text = text.as_bytes();
            for splits in [false, true] {
                let (mut at, mut alone, mut together) = (0, Vec::new(), Vec::new());
                while at < text.len() {
                    at = cuts.part_end(text, at, splits);
                    alone.push(at);
                }
                let mut ends = [0; BATCH];
                while together.last().is_none_or(|&end| end < text.len()) && !text.is_empty() {
                    let start = together.last().copied().unwrap_or(0);
                    let count = cuts.part_ends(text, start, splits, &mut ends, 0);
                    together.extend_from_slice(&ends[..count]);
                }
                assert_eq!(together, alone, "{:?}", String::from_utf8_lossy(text));
            }
        }
    }
}
