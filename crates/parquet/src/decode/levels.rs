//! Repetition levels of lists of required elements, read.

use super::{Decoded, take, varint};

/// Takes a section off the front of a page's body: what stands behind its length in bytes.
pub fn section<'a>(body: &mut &'a [u8]) -> Decoded<&'a [u8]> {
    let length = take(body, 4)?.try_into().expect("four bytes were taken");
    take(body, u32::from_le_bytes(length) as usize)
}

/// The lengths of the `lists` lists whose `elements` repetition levels (one bit each: 0 begins a list) are
/// encoded in `levels`.
pub fn list_lengths(mut levels: &[u8], elements: usize, lists: usize) -> Decoded<Vec<u32>> {
    let mut lengths = Vec::with_capacity(lists);
    let mut push = |level: u8, count: usize| match level {
        0 if count > lists - lengths.len() => Err("a page has more rows than it should"),
        0 => {
            lengths.extend(std::iter::repeat_n(1, count));
            Ok(())
        }
        _ => {
            let last = lengths.last_mut().ok_or("its first list has no beginning")?;
            *last += count as u32;
            Ok(())
        }
    };
    let mut left = elements;
    while left > 0 {
        let head = varint(&mut levels)?;
        let count = usize::try_from(head >> 1).unwrap_or(usize::MAX);
        if count == 0 {
            return Err("a run of levels is empty");
        }
        if head & 1 == 0 {
            let count = count.min(left);
            push(take(&mut levels, 1)?[0], count)?;
            left -= count;
            continue;
        }
        for &byte in take(&mut levels, count)? {
            for bit in 0..left.min(8) {
                push(byte >> bit & 1, 1)?;
            }
            left -= left.min(8);
        }
    }
    if lengths.len() == lists { Ok(lengths) } else { Err("a page has fewer rows than it should") }
}
