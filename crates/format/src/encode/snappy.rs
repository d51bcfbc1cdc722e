//! A Snappy stream made from another one without a search.
//!
//! Labels are the ids moved by one position, so nearly every copy Snappy found in
//! the ids is one in the labels, at the same distance. Walking the ids' stream
//! and keeping those copies takes a tenth of the time of compressing anew; the
//! size is the same. Any Snappy decoder reads the result.
//! Source: `format_description.txt` of google/snappy.

/// Appends the operations of a Snappy stream that decodes to `data`, given `operations` that decode to the data
/// it was moved from: `data[i] == moved[i + distance]`, the last `distance` bytes of `data` being new, except in
/// the elements of `distance` bytes at `changed` (ascending positions, counted in elements).
pub(super) fn move_operations(
    out: &mut Vec<u8>,
    operations: &[u8],
    data: &[u8],
    distance: usize,
    changed: &[usize],
) {
    let is_changed = |from: usize, to: usize| {
        let next = changed.partition_point(|&element| (element + 1) * distance <= from);
        changed.get(next).is_some_and(|&element| element * distance < to)
    };
    let mut operations = Operations(operations);
    // Where the operation begins in the moved data, and what of `data` is not yet written.
    let (mut begin, mut written) = (0, 0);
    while let Some(operation) = operations.next() {
        let end = begin + operation.length;
        if let Some(offset) = operation.offset
            && let Some(to) = begin.checked_sub(distance)
            && let Some(from) = to.checked_sub(offset)
            && !is_changed(from, from + operation.length)
            && !is_changed(to, to + operation.length)
        {
            literal(out, &data[written..to]);
            out.extend_from_slice(operation.bytes);
            written = to + operation.length;
        }
        begin = end;
    }
    literal(out, &data[written..]);
}

/// One operation of a stream.
struct Operation<'a> {
    /// The bytes it decodes to.
    length: usize,
    /// How far back a copy reads; none for a literal.
    offset: Option<usize>,
    /// A copy as it stands in the stream.
    bytes: &'a [u8],
}

/// The operations of a well-formed stream, its length in front taken away.
struct Operations<'a>(&'a [u8]);

impl<'a> Operations<'a> {
    #[inline]
    fn next(&mut self) -> Option<Operation<'a>> {
        let tag = usize::from(*self.0.first()?);
        let (length, offset, size) = match tag & 3 {
            0 => return Some(self.literal(tag >> 2)),
            1 => (4 + (tag >> 2 & 7), tag >> 5 << 8 | self.number(1), 2),
            2 => (1 + (tag >> 2), self.number(2), 3),
            _ => (1 + (tag >> 2), self.number(4), 5),
        };
        let (bytes, rest) = self.0.split_at(size);
        self.0 = rest;
        Some(Operation { length, offset: Some(offset), bytes })
    }

    fn literal(&mut self, short: usize) -> Operation<'a> {
        let length_bytes = short.saturating_sub(59);
        let length = 1 + if length_bytes == 0 { short } else { self.number(length_bytes) };
        self.0 = &self.0[1 + length_bytes + length..];
        Operation { length, offset: None, bytes: &[] }
    }

    /// The number behind the tag.
    #[inline]
    fn number(&self, bytes: usize) -> usize {
        self.0[1..=bytes].iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }
}

/// Appends a literal.
fn literal(out: &mut Vec<u8>, data: &[u8]) {
    let Some(last) = data.len().checked_sub(1) else { return };
    if last < 60 {
        out.push((last as u8) << 2);
    } else {
        let length_bytes = (usize::BITS - last.leading_zeros()).div_ceil(8) as usize;
        out.push((59 + length_bytes as u8) << 2);
        out.extend_from_slice(&last.to_le_bytes()[..length_bytes]);
    }
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::encode::levels::varint;

    /// Compresses `elements` without the first, changed at some places, by moving the operations of all.
    fn check(elements: &[u32], width: usize, changed: &[usize]) -> (usize, usize) {
        let bytes = |elements: &[u32]| -> Vec<u8> {
            elements.iter().flat_map(|element| element.to_le_bytes()[..width].to_vec()).collect()
        };
        let moved = bytes(&elements[..elements.len() - 1]);
        let mut data = elements[1..].to_vec();
        changed.iter().for_each(|&at| data[at] ^= 1);
        let data = bytes(&data);
        let mut compressed = Vec::new();
        varint(&mut compressed, moved.len() as u64);
        let length_bytes = compressed.len();
        let operations = snap::raw::Encoder::new().compress_vec(&moved).unwrap();

        move_operations(&mut compressed, &operations[length_bytes..], &data, width, changed);
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&compressed).unwrap(), data);
        (compressed.len(), operations.len())
    }

    proptest! {
        #[test]
        fn moved_operations_decode_to_the_moved_data(
            words in prop::collection::vec(prop::collection::vec(any::<u32>(), 1..30), 1..20),
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..400),
            width in 1..=4usize,
            changed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let elements: Vec<u32> = order.iter().flat_map(|at| words[at.index(words.len())].clone()).collect();
            if elements.len() > 1 {
                let mut changed: Vec<usize> = changed.iter().map(|at| at.index(elements.len() - 1)).collect();
                changed.sort_unstable();
                changed.dedup();
                check(&elements, width, &changed);
            }
        }
    }

    #[test]
    fn long_literals_and_several_blocks_are_moved() {
        let noise = |at: u32| at.wrapping_mul(2_654_435_761) >> 7;
        for count in [2, 60, 61, 62, 257, 258, 65_537, 100_000] {
            let elements: Vec<u32> = (0..count).map(noise).collect();
            check(&elements, 2, &[]);
            check(&elements, 3, &[count as usize / 2 - 1]);
        }
        let repeated: Vec<u32> = (0..200_000).map(|at| noise(at % 1000)).collect();
        let (moved, compressed) = check(&repeated, 2, &[]);
        assert!(moved < compressed + 64, "{moved} bytes instead of {compressed}");
    }
}
