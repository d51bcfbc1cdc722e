//! Dictionary indices as whole bytes.
//!
//! Parquet would allow any number of bits. Whole bytes need no bit-twiddling, and
//! byte-wise compressors find repeats in them, which outweighs the bits saved.

use super::levels::varint;

/// The bytes an index into `entries` dictionary entries takes: 1 to 4.
pub const fn index_width(entries: usize) -> usize {
    match entries {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        0x1_0001..=0x100_0000 => 3,
        _ => 4,
    }
}

/// Appends the values of a dictionary-encoded page: the width in bits, and one bit-packed run. Returns where in
/// `out` the indices begin.
pub fn bit_packed_indices(out: &mut Vec<u8>, indices: &[u32], width: usize) -> usize {
    // A run holds a multiple of 8 values; zeros fill it up.
    let groups = indices.len().div_ceil(8);
    out.push(width as u8 * 8);
    varint(out, (groups as u64) << 1 | 1);
    let start = out.len();
    out.resize(start + groups * 8 * width, 0);
    let out = &mut out[start..];
    match width {
        1 => pack::<1>(indices, out),
        2 => pack::<2>(indices, out),
        3 => pack::<3>(indices, out),
        _ => pack::<4>(indices, out),
    }
    start
}

/// Writes the low `WIDTH` bytes of each index, little endian.
fn pack<const WIDTH: usize>(indices: &[u32], out: &mut [u8]) {
    for (out, index) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(indices) {
        out.copy_from_slice(&index.to_le_bytes()[..WIDTH]);
    }
}
