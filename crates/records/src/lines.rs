//! The lines of a file one after another, one block of them in memory at a time.

use std::path::Path;

use memchr::memchr;

use crate::blocks::{BlockLines, Blocks, LineCutting, line_bytes_max, read_range_into};
use crate::kind::Container;
use crate::read_error::ReadError;
use crate::{BYTE_ORDER_MARK, DOCUMENT_BYTES_MAX};

/// Bytes of lines that are read at a time.
const BLOCK_BYTES: u64 = 1 << 20;

/// A line that is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number, from 1; of an array, its record's.
    pub number: u64,
    /// Where it begins in the decoded content, in bytes.
    pub start: u64,
    /// Its bytes without their end; none where it is too long to be read.
    pub bytes: Option<&'a [u8]>,
}

/// The lines of a file.
#[derive(Debug)]
pub struct Lines {
    blocks: Blocks,
    block: Vec<u8>,
    /// Where the block begins in the content.
    start: u64,
    /// Bytes of the block that were read.
    at: usize,
    number: u64,
}

impl Lines {
    /// The lines of the file at `path`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path, container: Container) -> Result<Self, ReadError> {
        let cutting =
            LineCutting { block_bytes: BLOCK_BYTES, line_bytes_max: line_bytes_max(DOCUMENT_BYTES_MAX) };
        let blocks = Blocks::open(path, container, cutting)?;
        Ok(Self { blocks, block: Vec::new(), start: 0, at: 0, number: 0 })
    }

    /// The next line that is not blank; none after the last.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read(&mut self) -> Result<Option<Line<'_>>, ReadError> {
        loop {
            if self.at >= self.block.len() {
                let Some(block) = self.blocks.next()? else { return Ok(None) };
                (self.start, self.at) = (block.start, 0);
                match block.content {
                    BlockLines::Range(file) => {
                        read_range_into(&file, block.start, block.end, &mut self.block)?
                    }
                    BlockLines::Bytes(bytes) => self.block = bytes,
                    BlockLines::TooLong { .. } => {
                        self.block.clear();
                        self.number += 1;
                        return Ok(Some(Line { number: self.number, start: block.start, bytes: None }));
                    }
                }
                if self.start == 0 && self.block.starts_with(BYTE_ORDER_MARK) {
                    self.at = BYTE_ORDER_MARK.len();
                }
                continue;
            }
            let from = self.at;
            let end = memchr(b'\n', &self.block[from..]).map_or(self.block.len(), |at| from + at);
            self.at = end + 1;
            self.number += 1;
            if !self.block[from..end].iter().all(u8::is_ascii_whitespace) {
                let start = self.start + from as u64;
                return Ok(Some(Line { number: self.number, start, bytes: Some(&self.block[from..end]) }));
            }
        }
    }

    /// Bytes behind the end of what the file is packed in, which are no part of it: known once the last line was read.
    #[must_use]
    pub fn ignored_bytes(&self) -> u64 {
        self.blocks.ignored_bytes()
    }
}
