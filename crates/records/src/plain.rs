//! Plain JSON Lines, of which only the borders of blocks are read here.

use std::fs::File;
use std::io;
use std::sync::Arc;

use mashbill_store::checksum::Hasher;
use mashbill_store::read_at::ReadAt;
use memchr::{memchr, memrchr};

use crate::blocks::{BORDER_WINDOW_BYTES, Block, BlockLines, EXCERPT_BYTES, LineCutting, read_range};
use crate::border::{Border, HASHED_BYTES, greatest_line};
use crate::read_error::ReadError;

type Result<T> = std::result::Result<T, ReadError>;

/// A plain file that is being cut.
#[derive(Debug)]
pub(crate) struct PlainLines {
    file: Arc<File>,
    size: u64,
    at: u64,
    cutting: LineCutting,
    /// Empty until a line's end is looked for.
    window: Vec<u8>,
    /// A line that is too long and follows the block that was handed out last.
    too_long: Option<Block>,
}

impl PlainLines {
    pub(crate) fn new(file: File, size: u64, cutting: LineCutting, start: u64) -> Self {
        Self { file: Arc::new(file), size, at: start, cutting, window: Vec::new(), too_long: None }
    }

    /// Where the next block begins.
    pub(crate) fn at(&self) -> u64 {
        self.too_long.as_ref().map_or(self.at, |line| line.start)
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn seek(&mut self, at: u64) {
        self.too_long = None;
        self.at = at;
    }

    /// Where the stretch begins whose window is `begin..end`.
    pub(crate) fn border(&mut self, begin: u64, end: u64) -> Result<Border> {
        let at = begin.saturating_sub(1);
        let upto = end.saturating_add(HASHED_BYTES as u64).min(self.size);
        if upto <= at {
            return Ok(Border::At(self.size));
        }
        let bytes = read_range(&self.file, at, upto).map_err(cut_off)?;
        Ok(greatest_line(&bytes, at, begin, end).map_or(Border::Behind(end), Border::At))
    }

    /// The place behind the first line that ends at `from` or behind it.
    pub(crate) fn line_behind(&mut self, from: u64) -> Result<u64> {
        if from >= self.size { Ok(self.size) } else { self.line_end(from.saturating_sub(1)) }
    }

    pub(crate) fn next(&mut self, until: u64) -> Result<Option<Block>> {
        if let Some(line) = self.too_long.take() {
            return Ok(Some(line));
        }
        if self.at >= self.size {
            return Ok(None);
        }
        let start = self.at;
        let wanted = start.saturating_add(self.cutting.block_bytes).min(until.max(start + 1));
        let end = if wanted >= self.size { self.size } else { self.line_end(wanted - 1)? };
        self.at = end;
        if end - start > self.cutting.line_bytes_max {
            return self.with_long_line(start, wanted.min(end), end).map(Some);
        }
        Ok(Some(Block::of_file(&self.file, start, end)))
    }

    /// The end of the line that holds the byte at `from`, its line feed included.
    fn line_end(&mut self, from: u64) -> Result<u64> {
        let mut at = from;
        self.window.resize(BORDER_WINDOW_BYTES, 0);
        while at < self.size {
            let wanted = usize::try_from(self.size - at).unwrap_or(usize::MAX).min(self.window.len());
            let window = &mut self.window[..wanted];
            self.file.read_at(at, window).map_err(cut_off)?;
            if let Some(found) = memchr(b'\n', window) {
                return Ok(at + found as u64 + 1);
            }
            at += wanted as u64;
        }
        Ok(self.size)
    }

    /// Bytes `start..end` end with a long line that begins before `wanted`. Where it is too long, the block
    /// ends before it and the line comes next, by itself.
    fn with_long_line(&mut self, start: u64, wanted: u64, end: u64) -> Result<Block> {
        let range = |start, end| read_range(&self.file, start, end).map_err(cut_off);
        let head = range(start, wanted)?;
        let line_start = match memrchr(b'\n', &head) {
            Some(at) => start + at as u64 + 1,
            None => start,
        };
        if end - line_start <= self.cutting.line_bytes_max {
            return Ok(Block::of_file(&self.file, start, end));
        }
        let mut hasher = Hasher::new();
        let mut at = line_start;
        while at < end {
            let upto = end.min(at + self.cutting.block_bytes);
            hasher.update(&range(at, upto)?);
            at = upto;
        }
        let excerpt = range(line_start, end.min(line_start + EXCERPT_BYTES as u64))?;
        let content = BlockLines::TooLong { checksum: hasher.finish(), excerpt };
        let line = Block { start: line_start, end, content };
        if line_start == start {
            return Ok(line);
        }
        self.too_long = Some(line);
        Ok(Block::of_file(&self.file, start, line_start))
    }
}

/// A plain file that ends too early was cut off while it was read.
fn cut_off(source: io::Error) -> ReadError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Changed,
        _ => ReadError::Io(source),
    }
}
