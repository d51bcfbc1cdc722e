//! Pages read back by hand: the other side of [`encode`](crate::encode).
//!
//! The stock reader decodes a column from its start and value by value; a loader wants one page out of the
//! middle. Since the layout is known to the byte, a page of ids is one decompression and one table look-up a
//! token. Nothing here trusts a length that it read: what contradicts itself is an error, never a panic.
//! Source: Apache Parquet format 2.12, `Encodings.md` and `parquet.thrift`.

mod delta;
mod levels;
mod page;
mod thrift;

pub use delta::{delta_binary_packed, delta_binary_packed_prefix};
pub use levels::{list_lengths, section};
pub use page::{Page, PageKind};
pub use thrift::{
    Field, PageHeader, PageLocation, binary, fields, integer, offset_index, page_header, structures,
};

/// What is wrong with bytes that were read, as a lowercase fragment.
pub type Decoded<T> = Result<T, &'static str>;

/// Takes an unsigned LEB128 number off the front of `bytes`.
pub fn varint(bytes: &mut &[u8]) -> Decoded<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("a number is cut off")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is too long")
}

/// Takes a zigzag number off the front of `bytes`.
fn zigzag(bytes: &mut &[u8]) -> Decoded<i64> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Takes `count` bytes off the front of `bytes`.
pub fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Decoded<&'a [u8]> {
    bytes.split_off(..count).ok_or("it ends too early")
}
