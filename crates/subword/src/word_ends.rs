//! Where the next words of a text end, many at a time.

/// Bytes that are split together, and bits in a mask.
pub(crate) const BLOCK: usize = 64;

/// Most words that are taken at once.
pub(crate) const BATCH: usize = 8 * BLOCK;

/// Marks an end as that of what is left out.
pub(crate) const LEFT_OUT: usize = 1 << (usize::BITS - 1);

/// Marks an end as that of an added token, which is no word of the model's.
pub(crate) const ADDED: usize = 1 << (usize::BITS - 2);

/// The first bytes of `text` up to a block, filled up with bytes that are not ASCII.
#[inline(always)]
pub(crate) fn block_of<'a>(text: &'a [u8], tail: &'a mut [u8; BLOCK]) -> &'a [u8; BLOCK] {
    match text.first_chunk() {
        Some(block) => block,
        None => {
            tail.fill(0x80);
            tail[..text.len()].copy_from_slice(text);
            tail
        }
    }
}
