//! DELTA_BINARY_PACKED: differences between neighbors, as wide as the widest of 32 needs.
//!
//! Ascending keys and small counts take one or two bytes where PLAIN takes eight,
//! and the encoder is a few instructions a value.

use super::levels::varint;

const BLOCK: usize = 128;
const MINIBLOCK: usize = 32;

/// Appends `values` in blocks of 128 with miniblocks of 32. The differences must fit the column's type, which
/// they do where all values are non-negative.
pub fn delta_binary_packed<V: Copy + Into<i64>>(out: &mut Vec<u8>, values: &[V]) {
    varint(out, BLOCK as u64);
    varint(out, (BLOCK / MINIBLOCK) as u64);
    varint(out, values.len() as u64);
    let mut last = values.first().map_or(0, |&first| first.into());
    zigzag(out, last);
    for block in values.get(1..).unwrap_or_default().chunks(BLOCK) {
        let mut deltas = [0; BLOCK];
        for (delta, &value) in deltas.iter_mut().zip(block) {
            let value = value.into();
            *delta = value.wrapping_sub(last);
            last = value;
        }
        pack_block(out, &mut deltas, block.len());
    }
}

fn pack_block(out: &mut Vec<u8>, deltas: &mut [i64; BLOCK], count: usize) {
    let least = deltas[..count].iter().copied().min().unwrap_or(0);
    zigzag(out, least);
    let widths = out.len();
    out.extend([0; BLOCK / MINIBLOCK]);
    for (miniblock, deltas) in deltas[..count.next_multiple_of(MINIBLOCK)].chunks_mut(MINIBLOCK).enumerate() {
        let used = (count - miniblock * MINIBLOCK).min(MINIBLOCK);
        let mut all = 0;
        for delta in &mut deltas[..used] {
            *delta = delta.wrapping_sub(least);
            all |= *delta as u64;
        }
        let width = u64::BITS - all.leading_zeros();
        out[widths + miniblock] = width as u8;
        pack(out, deltas, width);
    }
}

/// Appends the low `width` bits of each value, lowest bit first.
fn pack(out: &mut Vec<u8>, values: &[i64], width: u32) {
    let (mut pending, mut filled) = (0u128, 0);
    for &value in values {
        pending |= u128::from(value as u64) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, (value << 1 ^ value >> 63) as u64);
}
