//! Words whose last letter has tokens of its own, as CLIP has them: `hello</w>`.
//!
//! The end of a word is a byte that no text has. It merges with any byte before everything else does, which makes of a word's
//! last letter the token that the vocabulary has for it there.

use crate::word_ends::{BATCH, LEFT_OUT};

/// The byte.
pub(crate) const END_OF_WORD: u8 = 0xff;

/// Copies the first `count` words of `text`, which begin at `start`, each with its end behind it, puts where they end in the copy
/// in the place of where they end in the text, and returns how many they are.
pub(crate) fn mark(
    word_ends: &mut [usize; BATCH],
    text: &[u8],
    mut start: usize,
    count: usize,
    marked: &mut Vec<u8>,
) -> usize {
    marked.clear();
    let mut marked_count = 0;
    for i in 0..count {
        let end = word_ends[i] & !LEFT_OUT;
        if word_ends[i] & LEFT_OUT == 0 {
            marked.extend_from_slice(&text[start..end]);
            marked.push(END_OF_WORD);
            word_ends[marked_count] = marked.len();
            marked_count += 1;
        }
        start = end;
    }
    marked_count
}
