//! Words whose last letter has tokens of its own, as CLIP has them: `hello</w>`.
//!
//! The end of a word is a byte that no text has. It merges with any byte before everything else does, which makes of a word's
//! last letter the token that the vocabulary has for it there.

use crate::word_ends::{BATCH, LEFT_OUT};

/// The byte.
pub(crate) const END_OF_WORD: u8 = 0xff;

/// Bytes that are copied at once.
const WIDE: usize = 16;

/// Copies the first `count` words of `text`, which begin at `start`, each with its end behind it, puts where they end in the copy
/// in the place of where they end in the text, and returns how many they are.
pub(crate) fn mark(
    word_ends: &mut [usize; BATCH],
    text: &[u8],
    mut start: usize,
    count: usize,
    marked: &mut Vec<u8>,
) -> usize {
    // What is behind the last word is left as it is.
    let most = (word_ends[..count].last().map_or(0, |end| end & !LEFT_OUT) - start) + count + WIDE;
    if marked.len() < most {
        marked.resize(most, 0);
    }
    let (mut marked_count, mut at) = (0, 0);
    for i in 0..count {
        let end = word_ends[i] & !LEFT_OUT;
        if word_ends[i] & LEFT_OUT == 0 {
            let len = end - start;
            // A copy of fixed length, where there is room for it, is far cheaper, and most words are shorter.
            match text[start..].first_chunk::<WIDE>() {
                Some(wide) if len <= WIDE => marked[at..at + WIDE].copy_from_slice(wide),
                _ => marked[at..at + len].copy_from_slice(&text[start..end]),
            }
            marked[at + len] = END_OF_WORD;
            at += len + 1;
            word_ends[marked_count] = at;
            marked_count += 1;
        }
        start = end;
    }
    marked_count
}
