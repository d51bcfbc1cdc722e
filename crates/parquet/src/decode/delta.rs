//! DELTA_BINARY_PACKED, read.

use super::{Decoded, take, varint, zigzag};

/// The `count` values that fill `bytes`.
pub fn delta_binary_packed(mut bytes: &[u8], count: usize) -> Decoded<Vec<i64>> {
    let values = delta_binary_packed_prefix(&mut bytes, count)?;
    if values.len() == count { Ok(values) } else { Err(OTHER_COUNT) }
}

/// Takes values off the front of `bytes`, `count_max` at the most.
pub fn delta_binary_packed_prefix(bytes: &mut &[u8], count_max: usize) -> Decoded<Vec<i64>> {
    let block = varint(bytes)? as usize;
    let miniblocks = varint(bytes)? as usize;
    let count =
        usize::try_from(varint(bytes)?).ok().filter(|&count| count <= count_max).ok_or(OTHER_COUNT)?;
    if !(1..=1 << 16).contains(&block) || miniblocks == 0 || !block.is_multiple_of(miniblocks) {
        return Err("a page has blocks of an unknown size");
    }
    let miniblock = block / miniblocks;
    let mut last = zigzag(bytes)?;
    let mut values = Vec::with_capacity(count.min(1 << 20));
    if count > 0 {
        values.push(last);
    }
    while values.len() < count {
        let least = zigzag(bytes)?;
        for &width in take(bytes, miniblocks)? {
            if values.len() == count {
                break;
            }
            let packed = take(bytes, (miniblock * usize::from(width)).div_ceil(8))?;
            for index in 0..miniblock.min(count - values.len()) {
                last = last.wrapping_add(least).wrapping_add(unpack(packed, index, width)?);
                values.push(last);
            }
        }
    }
    Ok(values)
}

const OTHER_COUNT: &str = "a page has another number of values than its header says";

/// The value `index` of those packed in `width` bits each.
fn unpack(packed: &[u8], index: usize, width: u8) -> Decoded<i64> {
    if width > 64 {
        return Err("a page has values that are too wide");
    }
    let (start, end) = (index * usize::from(width), (index + 1) * usize::from(width));
    let bytes = &packed[start / 8..end.div_ceil(8)];
    let all = bytes.iter().rev().fold(0u128, |all, &byte| all << 8 | u128::from(byte));
    let mask = (1u128 << width) - 1;
    Ok((all >> (start % 8) & mask) as i64)
}
