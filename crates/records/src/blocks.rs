//! A file of lines, cut into stretches of whole lines: for threads to share, in bounded memory.
//!
//! Of plain JSON Lines only the neighborhood of each border is read here, and the block itself is left to the thread
//! that will parse it; files are read by offset and not mapped, because a mapped file that shrinks kills the process.
//! All else is decoded from its beginning. Where blocks end depends on the content alone.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use mashbill_store::checksum::Checksum;
use mashbill_store::open;
use mashbill_store::read_at::ReadAt;

use crate::border::{Border, Strides};
use crate::content::{DecodedContent, ReadCounts, decoded};
use crate::kind::Container;
use crate::plain::PlainLines;
use crate::read_error::ReadError;
use crate::streamed::StreamedLines;

/// Bytes of a line that is too long that are kept for people.
pub const EXCERPT_BYTES: usize = 200;

/// The window in which a line's end is looked for.
pub(crate) const BORDER_WINDOW_BYTES: usize = 16 << 10;

/// The largest document in bytes of its text where nobody says otherwise.
pub const DOCUMENT_BYTES_MAX: u64 = 256_000_000;

/// A line that is longer than this many times a document's largest size holds none: JSON spells a byte of
/// text in six at most (`\u0000`).
const LINE_BYTES_PER_TEXT_BYTE: u64 = 6;

/// Lines up to this length are read whole in any case.
const LINE_BYTES_MIN: u64 = 16 << 20;

/// The longest line in bytes that is read whole where documents have so many bytes of text at the most.
#[must_use]
pub fn line_bytes_max(document_bytes_max: u64) -> u64 {
    document_bytes_max.saturating_mul(LINE_BYTES_PER_TEXT_BYTE).max(LINE_BYTES_MIN)
}

/// How lines are cut.
#[derive(Debug, Clone, Copy)]
pub struct LineCutting {
    /// Bytes after which a block ends with the line that it is in, 1 or more.
    pub block_bytes: u64,
    /// The longest line in bytes, its end included, no less than a block: a longer one is read past, not kept.
    pub line_bytes_max: u64,
}

/// A stretch of whole lines.
#[derive(Debug)]
pub struct Block {
    /// Where it begins in the decoded content, in bytes.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// The lines, or where they are.
    pub content: BlockLines,
}

/// The lines of a block, or where they are.
#[derive(Debug)]
pub enum BlockLines {
    /// Bytes of a plain file: those of the block.
    Range(Arc<File>),
    /// Lines that had to be decoded.
    Bytes(Vec<u8>),
    /// One line that is longer than is allowed: it was read past, not kept.
    TooLong {
        /// Of its bytes.
        checksum: Checksum,
        /// Its first [`EXCERPT_BYTES`].
        excerpt: Vec<u8>,
    },
}

impl Block {
    /// The checksum of its bytes.
    ///
    /// # Errors
    /// The file cannot be read; `UnexpectedEof` where it has become shorter.
    pub fn checksum(&self) -> io::Result<Checksum> {
        Ok(match &self.content {
            BlockLines::Range(file) => Checksum::of(&read_range(file, self.start, self.end)?),
            BlockLines::Bytes(bytes) => Checksum::of(bytes),
            BlockLines::TooLong { checksum, .. } => *checksum,
        })
    }

    /// How many lines it has, the last of a file also where no line feed ends it.
    ///
    /// # Errors
    /// As [`Block::checksum`].
    pub fn lines(&self) -> io::Result<u64> {
        let count = |bytes: &[u8]| {
            let unended = !bytes.is_empty() && !bytes.ends_with(b"\n");
            memchr::memchr_iter(b'\n', bytes).count() as u64 + u64::from(unended)
        };
        Ok(match &self.content {
            BlockLines::Range(file) => count(&read_range(file, self.start, self.end)?),
            BlockLines::Bytes(bytes) => count(bytes),
            BlockLines::TooLong { .. } => 1,
        })
    }

    pub(crate) fn of_file(file: &Arc<File>, start: u64, end: u64) -> Self {
        Self { start, end, content: BlockLines::Range(Arc::clone(file)) }
    }
}

/// The blocks of one file, in order.
#[derive(Debug)]
pub struct Blocks {
    reader: LineReader,
    counts: ReadCounts,
}

#[derive(Debug)]
enum LineReader {
    Plain(PlainLines),
    Streamed(Box<StreamedLines>),
}

impl Blocks {
    /// The blocks of the file at `path`, which is packed in `container`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path, container: Container, cutting: LineCutting) -> Result<Self, ReadError> {
        let (file, metadata) = open_regular(path)?;
        Self::new(file, container, metadata.len(), cutting, 0)
    }

    /// The blocks of `file`, which has `size` bytes and is packed in `container`, from `start` in the decoded content
    /// on: the beginning of a line.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Changed`] where the content ends before `start`.
    pub fn new(
        file: File,
        container: Container,
        size: u64,
        cutting: LineCutting,
        start: u64,
    ) -> Result<Self, ReadError> {
        let counts = ReadCounts::default();
        let reader = match decoded(file, container, size, &counts)? {
            DecodedContent::AsItIs(file) => LineReader::Plain(PlainLines::new(file, size, cutting, start)),
            DecodedContent::Streamed(content) => {
                LineReader::Streamed(Box::new(StreamedLines::new(content, cutting, start)?))
            }
        };
        Ok(Self { reader, counts })
    }

    /// The next block; none at the end of the file.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(clippy::should_implement_trait, reason = "a file that cannot be read is no end")]
    pub fn next(&mut self) -> Result<Option<Block>, ReadError> {
        self.next_until(u64::MAX)
    }

    /// The next block, which ends with the first line that ends at `until` or behind it, if it has not ended before; none
    /// at the end of the file.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn next_until(&mut self, until: u64) -> Result<Option<Block>, ReadError> {
        match &mut self.reader {
            LineReader::Plain(lines) => lines.next(until),
            LineReader::Streamed(lines) => lines.next(until),
        }
    }

    /// The size of the content in bytes, where any place of it can be read; none where all before it has to be decoded.
    #[must_use]
    pub const fn addressable(&self) -> Option<u64> {
        match &self.reader {
            LineReader::Plain(lines) => Some(lines.size()),
            LineReader::Streamed(_) => None,
        }
    }

    /// Where the next block begins.
    #[must_use]
    pub fn at(&self) -> u64 {
        match &self.reader {
            LineReader::Plain(lines) => lines.at(),
            LineReader::Streamed(lines) => lines.at(),
        }
    }

    /// Goes to `at`, the beginning of a line: forward, and back where the content is addressable.
    ///
    /// # Errors
    /// [`ReadError`]; [`ReadError::Changed`] where the content ends before.
    pub fn seek(&mut self, at: u64) -> Result<(), ReadError> {
        match &mut self.reader {
            LineReader::Plain(lines) => {
                lines.seek(at);
                Ok(())
            }
            LineReader::Streamed(lines) => lines.skip_to(at),
        }
    }

    /// Where stretch `index` begins. Where the content is not addressable, the next block begins no more than a block
    /// before the stretch's window, or behind that.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn border(&mut self, strides: Strides, index: u64) -> Result<Border, ReadError> {
        let (begin, end) = strides.window_of(index);
        match &mut self.reader {
            LineReader::Plain(lines) => lines.border(begin, end),
            LineReader::Streamed(lines) => lines.border(begin, end),
        }
    }

    /// The first line end at `from` or behind it, as the place behind the line feed; the content's end where there is
    /// none. Only for addressable content.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn line_behind(&mut self, from: u64) -> Result<u64, ReadError> {
        match &mut self.reader {
            LineReader::Plain(lines) => lines.line_behind(from),
            LineReader::Streamed(_) => unreachable!("the caller has asked whether it is addressable"),
        }
    }

    /// Bytes of the file on the disk that the blocks so far stand for.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        match &self.reader {
            LineReader::Plain(lines) => lines.at(),
            LineReader::Streamed(_) => self.counts.disk_bytes.load(Ordering::Relaxed),
        }
    }

    /// Bytes behind the end of what the file is packed in, which are no part of it: known at its end.
    #[must_use]
    pub fn ignored_bytes(&self) -> u64 {
        self.counts.ignored.load(Ordering::Relaxed)
    }
}

/// Opens a file that is read by offset: its handle, and what the system says of it.
///
/// # Errors
/// [`ReadError::Io`], [`ReadError::NotRegular`].
pub fn open_regular(path: &Path) -> Result<(File, Metadata), ReadError> {
    // Opening a pipe would wait for somebody to write to it.
    not_regular(&std::fs::metadata(path)?)?;
    let file = open::open_seen(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// Fails for what is no regular file.
pub fn not_regular(metadata: &Metadata) -> Result<(), ReadError> {
    let kind = metadata.file_type();
    if kind.is_file() {
        return Ok(());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return Err(ReadError::NotRegular { what: "a pipe" });
        }
        if kind.is_socket() {
            return Err(ReadError::NotRegular { what: "a socket" });
        }
        if kind.is_char_device() || kind.is_block_device() {
            return Err(ReadError::NotRegular { what: "a device" });
        }
    }
    Err(ReadError::NotRegular { what: if kind.is_dir() { "a folder" } else { "something else" } })
}

/// A file's size in bytes and modification time in nanoseconds since 1970: where both are unchanged while it is read,
/// so is the file.
#[must_use]
pub fn stamp(metadata: &Metadata) -> (u64, u64) {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    (metadata.len(), modified.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)))
}

/// When a file's content or its place on the disk last changed, in nanoseconds since 1970; 0 where the system does not
/// say. Nobody can set this time back.
#[must_use]
pub fn changed_ns(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let ns = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
        u64::try_from(ns).unwrap_or(0)
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        0
    }
}

/// Bytes `start..end` of a file.
///
/// # Errors
/// An I/O error; `UnexpectedEof` where the file has become shorter.
pub fn read_range(file: &File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_range_into(file, start, end, &mut bytes)?;
    Ok(bytes)
}

/// [`read_range`] into memory that is used again; what was in it is gone.
///
/// # Errors
/// Those of [`read_range`].
pub fn read_range_into(file: &File, start: u64, end: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = usize::try_from(end - start).map_err(|_| io::ErrorKind::FileTooLarge)?;
    bytes.resize(length, 0);
    file.read_at(start, bytes)
}
