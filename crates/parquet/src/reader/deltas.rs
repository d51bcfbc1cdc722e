//! What a page of differences claims to unpack to.
//!
//! Such a page says by itself how many values it has and how long each is, and the stock reader takes memory for what it
//! says: a value that repeats all of the one before it takes no byte of the page.

use crate::decode::{Decoded, delta_binary_packed_prefix, varint};

/// Whether the values at the front of `bytes` are `values_max` at the most.
pub(super) fn check_count(mut bytes: &[u8], values_max: usize) -> Decoded<()> {
    let bytes = &mut bytes;
    let (_block, _miniblocks) = (varint(bytes)?, varint(bytes)?);
    if varint(bytes)? > values_max as u64 {
        return Err("a page has more values than its header says");
    }
    Ok(())
}

/// Whether texts that each begin with part of the one before come to `bytes_max` bytes at the most.
pub(super) fn check_prefixed(mut bytes: &[u8], values_max: usize, bytes_max: usize) -> Decoded<()> {
    let prefixes = delta_binary_packed_prefix(&mut bytes, values_max)?;
    let suffixes = delta_binary_packed_prefix(&mut bytes, values_max)?;
    if prefixes.len() != suffixes.len() {
        return Err("a page has beginnings and ends of different numbers");
    }
    let (mut before, mut total) = (0, 0usize);
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let (Ok(prefix), Ok(suffix)) = (usize::try_from(prefix), usize::try_from(suffix)) else {
            return Err("a page has a text of negative length");
        };
        if prefix > before || suffix > bytes.len() {
            return Err("a page has a text that is longer than there are bytes");
        }
        before = prefix + suffix;
        total = total.saturating_add(before);
        if total > bytes_max {
            return Err("a page unpacks to more than 512 MiB");
        }
    }
    Ok(())
}
