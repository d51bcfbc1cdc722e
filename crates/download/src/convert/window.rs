//! Bytes of a file as they go by, decompressed, with what is being looked at kept together.
//!
//! Memory is what the longest row needs and no more: the buffer grows only when a row does not fit.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use mashbill_records::{Container, FileKind, unpacked};
use mashbill_store::open;

/// Bytes that are read at a time.
const READ_BYTES: usize = 1 << 20;

/// Bytes of content without a row, at the most: a small file may hold any number of them, compressed.
const PASSED_OVER_MAX: u64 = 4 << 30;

/// A stretch of a file's decompressed content.
pub(crate) struct ContentWindow {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where the stretch begins in the content.
    offset: u64,
    /// Bytes that were read since a row began.
    since_row: u64,
    passed_over_max: u64,
}

impl std::fmt::Debug for ContentWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("offset", &self.offset).field("length", &self.bytes().len()).finish()
    }
}

impl ContentWindow {
    /// The content of the file at `path` from byte `offset` on. What `name` ends with says how it is compressed.
    pub(crate) fn open(path: &Path, name: &str, offset: u64) -> io::Result<Self> {
        Ok(Self::over(content(path, name, offset)?, offset))
    }

    /// What `reader` gives, which stands at `offset`.
    pub(crate) fn over(reader: Box<dyn Read + Send>, offset: u64) -> Self {
        let passed_over_max = PASSED_OVER_MAX;
        Self { reader, buffer: Vec::new(), start: 0, end: 0, offset, since_row: 0, passed_over_max }
    }

    /// Where the next row is looked for: so far it is none.
    pub(crate) const fn begin_row(&mut self) {
        self.since_row = 0;
    }

    /// The bytes at hand.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where the bytes at hand begin.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Leaves the first `count` of the bytes at hand behind.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
        debug_assert!(self.start <= self.end);
    }

    /// Gets more bytes to hand behind those that are; false at the end of the content. Very many without a row are
    /// invalid.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.since_row > self.passed_over_max {
            let what = format!("more than {} bytes without a row", self.passed_over_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let wanted = self.end + READ_BYTES;
            if self.buffer.len() < wanted {
                self.buffer.resize(wanted.max(2 * READ_BYTES), 0);
            }
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    self.since_row += count as u64;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gets bytes to hand until there are `count`; false where the content ends before.
    pub(crate) fn fill_to(&mut self, count: usize) -> io::Result<bool> {
        while self.bytes().len() < count {
            if !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The decompressed content of a file from byte `offset` on.
pub(crate) fn content(path: &Path, name: &str, offset: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut file = open::open(path)?;
    let mut skip = offset;
    let ends_with = |end: &str| name.to_ascii_lowercase().ends_with(end);
    let container = match FileKind::of(name) {
        Some((_, FileKind::Json(container))) => container,
        _ if ends_with(".gz") => Container::Gzip,
        _ if ends_with(".zst") => Container::Zstd,
        _ => Container::Plain,
    };
    if container == Container::Plain {
        file.seek(SeekFrom::Start(offset))?;
        skip = 0;
    }
    let mut reader = unpacked(BufReader::with_capacity(1 << 16, file), container, None)?;
    // Compressed content has to be gone through from its beginning.
    if io::copy(&mut (&mut reader).take(skip), &mut io::sink())? < skip {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_without_a_row_is_given_up() {
        let blanks = || ContentWindow::over(Box::new(io::repeat(b' ')), 0);
        let mut window = ContentWindow { passed_over_max: 10 << 20, ..blanks() };
        let failed = loop {
            match window.fill() {
                Ok(_) => window.consume(window.bytes().len()),
                Err(error) => break error,
            }
        };
        assert_eq!(failed.to_string(), "more than 10485760 bytes without a row");
        assert_eq!(failed.kind(), io::ErrorKind::InvalidData);
        assert!(window.offset() < 20 << 20);
        window.begin_row();
        assert!(window.fill().expect("it goes on"));
    }
}
