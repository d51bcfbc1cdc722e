//! Input files to blocks: about a megabyte of whole records each.
//!
//! One thread cuts, many tokenize. For plain JSON Lines the cutter reads only the
//! neighborhood of each border and leaves the block itself to the thread that will
//! parse it; files are read by offset and not mapped, because a mapped file that
//! shrinks kills the process. Where blocks and units end depends on the content
//! alone, so a block's checksum means the same on every machine.

mod lines;
mod parquet_rows;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use mashbill_format::checksum::Checksum;
use mashbill_format::open;

use crate::error::{Error, Result};
use crate::input::{Input, Kind, stamp};

pub(crate) use lines::{read_range, read_range_into};
pub(crate) use parquet_rows::{Label, ParquetRow, ParquetRows};

use lines::{PlainLines, StreamedLines};
use parquet_rows::ParquetFile;

/// Bytes of input in a block, except where a unit is smaller: enough work to be worth handing to a
/// thread, little enough for sixteen threads to share a small file.
pub(crate) const BLOCK_BYTES: u64 = 1 << 20;

/// The window in which the cutter looks for a line's end.
const BORDER_WINDOW_BYTES: usize = 16 << 10;

/// Bytes of a refused line that are kept for people.
pub(crate) const EXCERPT_BYTES: usize = 200;

/// A stretch of whole records.
#[derive(Debug)]
pub(crate) struct Block {
    /// The unit it belongs to, from 0.
    pub(crate) unit: usize,
    /// The key of its first record.
    pub(crate) key: u64,
    /// The key of the record after its last.
    pub(crate) next_key: u64,
    /// Bytes of the file on the disk that were read for it: what progress is measured by.
    pub(crate) disk_bytes: u64,
    pub(crate) content: Content,
}

/// The records of a block, or where they are.
#[derive(Debug)]
pub(crate) enum Content {
    /// Bytes `key..next_key` of a plain file.
    Range(Arc<File>),
    /// Lines that had to be decompressed.
    Bytes(Vec<u8>),
    /// One line that is longer than any document may be: it was read past, not kept.
    TooLong { checksum: Checksum, excerpt: Vec<u8> },
    /// Rows of a Parquet file.
    Rows(ParquetRows),
}

/// How input is cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cutting<'a> {
    pub(crate) unit_bytes: u64,
    /// A line beyond this cannot hold a document that is small enough.
    pub(crate) line_bytes_max: u64,
    /// The field or column of the text.
    pub(crate) text_field: &'a str,
}

impl Cutting<'_> {
    fn block_bytes(&self) -> u64 {
        self.unit_bytes.min(BLOCK_BYTES)
    }
}

/// The blocks of one input file, in order.
#[derive(Debug)]
pub(crate) struct Blocks {
    reader: Reader,
    unit_bytes: u64,
    unit: usize,
    /// Bytes of the unit that were handed out.
    bytes: u64,
    /// Bytes on the disk that were read for the blocks so far.
    disk_bytes: u64,
}

#[derive(Debug)]
enum Reader {
    Plain(PlainLines),
    Streamed(Box<StreamedLines>),
    Parquet(Box<ParquetFile>),
}

impl Blocks {
    /// Opens `input` and begins with unit `unit` at the record `key`, where an earlier run left off.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::ReadParquet`], [`Error::NoTextColumn`], [`Error::Changed`].
    pub(crate) fn open(input: &Input, cutting: &Cutting<'_>, unit: usize, key: u64) -> Result<Self> {
        let file = open::open(&input.path).map_err(|source| Error::read(&input.path, source))?;
        let metadata = file.metadata().map_err(|source| Error::read(&input.path, source))?;
        if stamp(&metadata) != (input.size, input.modified_ns) {
            return Err(Error::Changed { path: input.path.clone() });
        }
        let reader = match input.kind {
            Kind::JsonLines => Reader::Plain(PlainLines::new(file, input, cutting, key)),
            Kind::JsonLinesGzip | Kind::JsonLinesZstd => {
                Reader::Streamed(Box::new(StreamedLines::new(file, input, cutting, key)?))
            }
            Kind::Parquet => Reader::Parquet(Box::new(ParquetFile::new(file, input, cutting, key)?)),
        };
        Ok(Self { reader, unit_bytes: cutting.unit_bytes, unit, bytes: 0, disk_bytes: 0 })
    }

    /// The next block; none at the end of the file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::ReadParquet`], [`Error::Changed`].
    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        let cut = match &mut self.reader {
            Reader::Plain(lines) => lines.next()?,
            Reader::Streamed(lines) => lines.next()?,
            Reader::Parquet(rows) => rows.next()?,
        };
        let Some(cut) = cut else { return Ok(None) };
        if self.bytes >= self.unit_bytes {
            self.unit += 1;
            self.bytes = 0;
        }
        self.bytes += cut.bytes;
        let read = match &self.reader {
            Reader::Plain(_) => cut.next_key,
            Reader::Streamed(lines) => lines.disk_bytes(),
            Reader::Parquet(rows) => rows.disk_bytes(),
        };
        let disk_bytes = read - std::mem::replace(&mut self.disk_bytes, read);
        let Cut { key, next_key, content, .. } = cut;
        Ok(Some(Block { unit: self.unit, key, next_key, disk_bytes, content }))
    }
}

/// A block before it is known to which unit it belongs.
#[derive(Debug)]
struct Cut {
    key: u64,
    next_key: u64,
    /// Bytes of input, by which units are measured.
    bytes: u64,
    content: Content,
}

/// Fails where the file at `path` is not the one that was found in the beginning.
///
/// # Errors
/// [`Error::Changed`], [`Error::Read`].
pub(crate) fn check_unchanged(input: &Input) -> Result<()> {
    let metadata = std::fs::metadata(&input.path).map_err(|source| Error::read(&input.path, source))?;
    if stamp(&metadata) == (input.size, input.modified_ns) {
        return Ok(());
    }
    Err(changed(&input.path))
}

fn changed(path: &Path) -> Error {
    Error::Changed { path: path.to_owned() }
}
