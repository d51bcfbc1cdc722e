//! Lines that have to be decoded: from the file's beginning, by one thread.

use std::io::{self, Read};

use mashbill_store::checksum::Hasher;
use memchr::{memchr, memrchr};

use crate::blocks::{BORDER_WINDOW_BYTES, Block, BlockLines, EXCERPT_BYTES, LineCutting};
use crate::border::{Border, HASHED_BYTES, greatest_line};
use crate::read_error::ReadError;

type Result<T> = std::result::Result<T, ReadError>;

/// A line beyond this many bytes is given room for the longest one at once: a buffer that grows by doubling would hold
/// it twice.
const LONG_LINE_BYTES: usize = 16 << 20;

/// Decoded content that is being cut.
pub(crate) struct StreamedLines {
    decoder: Box<dyn Read + Send>,
    /// Where the first byte in `buffer` stands in the content.
    at: u64,
    /// Bytes that were decoded and not handed out.
    buffer: Vec<u8>,
    ended: bool,
    block_bytes: usize,
    line_bytes_max: usize,
    too_long: Option<Block>,
}

impl std::fmt::Debug for StreamedLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamedLines").field("at", &self.at).finish_non_exhaustive()
    }
}

impl StreamedLines {
    /// The lines that `decoder` gives, from `start` on.
    pub(crate) fn new(mut decoder: Box<dyn Read + Send>, cutting: LineCutting, start: u64) -> Result<Self> {
        // There is no way into the middle of a stream but through it.
        let skipped = io::copy(&mut decoder.by_ref().take(start), &mut io::sink())?;
        if skipped < start {
            return Err(ReadError::Changed);
        }
        Ok(Self {
            decoder,
            at: start,
            buffer: Vec::new(),
            ended: false,
            block_bytes: usize::try_from(cutting.block_bytes).expect("a block fits in memory"),
            line_bytes_max: usize::try_from(cutting.line_bytes_max).unwrap_or(usize::MAX),
            too_long: None,
        })
    }

    /// Where the next block begins.
    pub(crate) fn at(&self) -> u64 {
        self.too_long.as_ref().map_or(self.at, |line| line.start)
    }

    /// Passes over what is before `to`.
    pub(crate) fn skip_to(&mut self, to: u64) -> Result<()> {
        self.too_long = None;
        let missing = to.checked_sub(self.at).ok_or(ReadError::Changed)?;
        let buffered = missing.min(self.buffer.len() as u64);
        self.buffer.drain(..usize::try_from(buffered).expect("no more than the buffer has"));
        let rest = missing - buffered;
        let skipped = io::copy(&mut self.decoder.by_ref().take(rest), &mut io::sink())?;
        self.at = to;
        if skipped < rest { Err(ReadError::Changed) } else { Ok(()) }
    }

    /// Where the stretch begins whose window is `begin..end`.
    pub(crate) fn border(&mut self, begin: u64, end: u64) -> Result<Border> {
        // One that is handed out next was read past, so the buffer is what follows it; a border is looked for before a block
        // may go beyond `begin`.
        debug_assert!(self.too_long.as_ref().is_none_or(|line| line.start < begin));
        let upto = end.saturating_add(HASHED_BYTES as u64);
        while !self.ended && self.at + (self.buffer.len() as u64) < upto {
            self.fill()?;
        }
        let from = begin.max(self.at).saturating_sub(1).max(self.at);
        let start = usize::try_from(from - self.at).unwrap_or(usize::MAX).min(self.buffer.len());
        let found = greatest_line(&self.buffer[start..], self.at + start as u64, begin, end);
        Ok(found.map_or(Border::Behind(end), Border::At))
    }

    pub(crate) fn next(&mut self, until: u64) -> Result<Option<Block>> {
        if let Some(line) = self.too_long.take() {
            return Ok(Some(line));
        }
        let room = usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX);
        // Everything before `searched` is known to have no border for this block.
        let limit = self.block_bytes.min(room.max(1));
        let mut searched = limit - 1;
        loop {
            if let Some(found) = self.buffer.get(searched..).and_then(|rest| memchr(b'\n', rest)) {
                let end = searched + found + 1;
                let line_start = self.line_start(end - 1, limit);
                return if end - line_start > self.line_bytes_max {
                    self.past_long_line(line_start, Some(end)).map(Some)
                } else {
                    Ok(Some(self.hand_out(end)))
                };
            }
            searched = searched.max(self.buffer.len());
            if self.ended {
                let all = self.buffer.len();
                return Ok((all > 0).then(|| self.hand_out(all)));
            }
            let line_start = self.line_start(self.buffer.len(), limit);
            if self.buffer.len() - line_start > self.line_bytes_max {
                return self.past_long_line(line_start, None).map(Some);
            }
            self.fill()?;
        }
    }

    /// Where the line begins that goes on to `end`, which is the first to end behind `limit`; 0 where it can't be too long.
    fn line_start(&self, end: usize, limit: usize) -> usize {
        if end < self.line_bytes_max {
            return 0;
        }
        let head = &self.buffer[..limit.min(end)];
        memrchr(b'\n', head).map_or(0, |at| at + 1)
    }

    fn fill(&mut self) -> Result<()> {
        let length = self.buffer.len();
        let missing = self.block_bytes.saturating_sub(length).max(BORDER_WINDOW_BYTES);
        if length >= LONG_LINE_BYTES && self.buffer.capacity() - length < missing {
            let room =
                self.block_bytes.saturating_add(self.line_bytes_max).saturating_add(2 * BORDER_WINDOW_BYTES);
            // Where there is no such room, the buffer grows as it must.
            drop(self.buffer.try_reserve_exact(room.saturating_sub(length)));
        }
        self.ended = (&mut self.decoder).take(missing as u64).read_to_end(&mut self.buffer)? == 0;
        Ok(())
    }

    fn hand_out(&mut self, length: usize) -> Block {
        let rest = self.buffer.split_off(length);
        let bytes = std::mem::replace(&mut self.buffer, rest);
        let start = self.at;
        self.at += length as u64;
        Block { start, end: self.at, content: BlockLines::Bytes(bytes) }
    }

    /// Reads past the line that begins at `line_start` and ends at `end`, or fills the buffer's end, keeping its checksum
    /// and its beginning.
    fn past_long_line(&mut self, line_start: usize, end: Option<usize>) -> Result<Block> {
        let rest = end.map(|end| self.buffer.split_off(end));
        let mut hasher = Hasher::new();
        let line = &self.buffer[line_start..];
        let excerpt = line[..EXCERPT_BYTES.min(line.len())].to_vec();
        hasher.update(line);
        let length = line.len() as u64;
        self.buffer.truncate(line_start);
        self.buffer.shrink_to_fit();
        let before = (line_start > 0).then(|| self.hand_out(line_start));
        let start = self.at;
        self.at += length;
        let mut goes_on = rest.is_none();
        self.buffer = rest.unwrap_or_default();
        while goes_on {
            self.fill()?;
            let line_end = memchr(b'\n', &self.buffer).map(|at| at + 1);
            let upto = line_end.unwrap_or(self.buffer.len());
            hasher.update(&self.buffer[..upto]);
            self.at += upto as u64;
            self.buffer.drain(..upto);
            goes_on = line_end.is_none() && !self.ended;
        }
        let content = BlockLines::TooLong { checksum: hasher.finish(), excerpt };
        let line = Block { start, end: self.at, content };
        let Some(before) = before else { return Ok(line) };
        self.too_long = Some(line);
        Ok(before)
    }
}
