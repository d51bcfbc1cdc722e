//! Where a file of lines is cut into stretches that anybody finds from two short reads.
//!
//! A fixed offset would move every border when a record is added before it. So each stride has a window at its
//! beginning, and the border is the record in it with the greatest hash (the choice that content-defined chunking makes,
//! within known places): a record that is added or removed moves, as a rule, no border but one whose window it
//! enters or leaves.

use memchr::memchr_iter;
use xxhash_rust::xxh3::xxh3_64;

/// The first bytes of a line that its hash is made of: so a line of any length costs a short read.
pub(crate) const HASHED_BYTES: usize = 4 << 10;

/// The places of borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strides {
    /// Bytes of decoded content from one window's beginning to the next one's, 1 or more.
    pub stride: u64,
    /// Bytes of a window, 1 to `stride`.
    pub window: u64,
}

/// Where a stretch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// At this line.
    At(u64),
    /// At the first line that begins here or later: none begins in the window.
    Behind(u64),
}

impl Strides {
    /// Where the window of stretch `index` begins and ends.
    #[must_use]
    pub const fn window_of(self, index: u64) -> (u64, u64) {
        let begin = index.saturating_mul(self.stride);
        (begin, begin.saturating_add(self.window))
    }

    /// How many stretches content of `bytes` bytes has, 1 or more.
    #[must_use]
    pub const fn count(self, bytes: u64) -> u64 {
        let count = bytes.div_ceil(self.stride);
        if count == 0 { 1 } else { count }
    }
}

/// The line with the greatest hash among those that begin in `begin..end`, the first of equals; none where none does.
/// `bytes` are those of the content from `at` on: from the byte before `begin`, unless that is the content's first,
/// to [`HASHED_BYTES`] behind `end`, unless the content ends before.
pub(crate) fn greatest_line(bytes: &[u8], at: u64, begin: u64, end: u64) -> Option<u64> {
    let mut greatest = None;
    let mut line = |start: usize| {
        let place = at + start as u64;
        if place < begin || place >= end || start >= bytes.len() {
            return;
        }
        let head = &bytes[start..bytes.len().min(start + HASHED_BYTES)];
        let line = &head[..memchr::memchr(b'\n', head).unwrap_or(head.len())];
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let hash = xxh3_64(line);
        if greatest.is_none_or(|(most, _)| hash > most) {
            greatest = Some((hash, place));
        }
    };
    // The first byte begins a line only where the caller says that `begin` does: at the content's beginning, or where
    // the stretch before ended.
    if at >= begin {
        line(0);
    }
    for feed in memchr_iter(b'\n', bytes) {
        line(feed + 1);
    }
    greatest.map(|(_, place)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_greatest_hash_in_the_window_is_taken_and_blank_ones_are_none() {
        let text = b"aa\nbb\n\n  \ncc\ndd\n";
        let starts = [3, 10, 13];
        let hash = |start: usize| xxh3_64(&text[start..start + 2]);
        let expected = starts.into_iter().max_by_key(|&start| hash(start)).map(|start| start as u64);
        assert_eq!(greatest_line(&text[2..], 2, 3, 17), expected);
        // `dd` begins behind the window, `aa` before it.
        let expected = [3, 10].into_iter().max_by_key(|&start| hash(start)).map(|start| start as u64);
        assert_eq!(greatest_line(text, 0, 3, 13), expected);
        assert_eq!(greatest_line(text, 0, 4, 10), None);
    }

    #[test]
    fn of_equal_lines_the_first_is_taken() {
        assert_eq!(greatest_line(b"x\nx\nx\n", 0, 0, 6), Some(0));
        assert_eq!(greatest_line(b"x\nx\nx\n", 0, 1, 6), Some(2));
    }
}
