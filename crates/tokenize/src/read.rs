//! Input files to blocks: about a megabyte of whole records each.
//!
//! One thread cuts, many tokenize. Where blocks and units end depends on the content
//! alone, so a block's checksum means the same on every machine.

use std::io;
use std::path::{Path, PathBuf};

use mashbill_format::checksum::Checksum;
use mashbill_format::records::{
    self, Kind, ReadError, RowBlock, RowBlocks, RowCutting, escaped, open_regular, stamp,
};

use crate::error::{Error, Result};
use crate::input::Input;

/// Bytes of input in a block, except where a unit is smaller: enough work to be worth handing to a
/// thread, little enough for sixteen threads to share a small file.
pub(crate) const BLOCK_BYTES: u64 = 1 << 20;

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
    /// Lines.
    Lines(records::Block),
    /// Rows of a Parquet file.
    Rows(RowBlock),
}

impl Block {
    /// The checksum of its content.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Changed`].
    pub(crate) fn checksum(&self, input: &Input) -> Result<Checksum> {
        match &self.content {
            Content::Lines(lines) => lines.checksum().map_err(|source| read_failed(&input.path, source)),
            Content::Rows(rows) => Ok(rows.checksum),
        }
    }
}

/// How input is cut.
#[derive(Debug, Clone)]
pub(crate) struct Cutting<'a> {
    pub(crate) unit_bytes: u64,
    /// A line beyond this cannot hold a document that is small enough.
    pub(crate) line_bytes_max: u64,
    /// A longer text is refused, and not kept where it can be told before its block is parsed.
    pub(crate) document_bytes_max: u64,
    /// The fields or columns that the text is looked for in, in order.
    pub(crate) text_fields: Vec<&'a str>,
}

impl Cutting<'_> {
    fn block_bytes(&self) -> u64 {
        self.unit_bytes.min(BLOCK_BYTES)
    }

    fn of_lines(&self) -> records::Cutting {
        records::Cutting { block_bytes: self.block_bytes(), line_bytes_max: self.line_bytes_max }
    }

    fn of_rows(&self) -> RowCutting<'_> {
        RowCutting {
            block_bytes: self.block_bytes(),
            text_bytes_max: self.document_bytes_max,
            text_fields: &self.text_fields,
        }
    }
}

/// The blocks of one input file, in order.
#[derive(Debug)]
pub(crate) struct Blocks {
    reader: Reader,
    path: PathBuf,
    unit_bytes: u64,
    unit: usize,
    /// Bytes of the unit that were handed out.
    bytes: u64,
    /// Bytes on the disk that were read for the blocks so far.
    disk_bytes: u64,
}

#[derive(Debug)]
enum Reader {
    Lines(records::Blocks),
    Rows(Box<RowBlocks>),
}

impl Blocks {
    /// Opens `input` and begins with unit `unit` at the record `key`, where an earlier run left off.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::NoTextColumn`], [`Error::Content`], [`Error::Changed`].
    pub(crate) fn open(input: &Input, cutting: &Cutting<'_>, unit: usize, key: u64) -> Result<Self> {
        let failed = |error| unread(&input.path, error);
        let (file, metadata) = open_regular(&input.path).map_err(failed)?;
        if stamp(&metadata) != (input.size, input.modified_ns) {
            return Err(changed(&input.path));
        }
        let reader = match input.kind {
            Kind::Parquet => {
                let rows = RowBlocks::new(&input.path, file, input.size, cutting.of_rows(), key);
                Reader::Rows(Box::new(rows.map_err(failed)?))
            }
            Kind::Json(container) => {
                let blocks = records::Blocks::new(file, container, input.size, cutting.of_lines(), key);
                Reader::Lines(blocks.map_err(failed)?)
            }
        };
        let path = input.path.clone();
        Ok(Self { reader, path, unit_bytes: cutting.unit_bytes, unit, bytes: 0, disk_bytes: 0 })
    }

    /// Bytes behind the end of what the file is packed in, which are no part of it: known at its end.
    pub(crate) fn ignored_bytes(&self) -> u64 {
        match &self.reader {
            Reader::Lines(lines) => lines.ignored_bytes(),
            Reader::Rows(_) => 0,
        }
    }

    /// The next block; none at the end of the file.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::Changed`].
    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        let cut = match &mut self.reader {
            Reader::Lines(lines) => {
                lines.next().map_err(|error| unread(&self.path, error))?.map(Cut::of_lines)
            }
            Reader::Rows(rows) => rows.next().map_err(|error| unread(&self.path, error))?.map(Cut::of_rows),
        };
        let Some(cut) = cut else { return Ok(None) };
        if self.bytes >= self.unit_bytes {
            self.unit += 1;
            self.bytes = 0;
        }
        self.bytes += cut.bytes;
        let read = match &self.reader {
            Reader::Lines(lines) => lines.disk_bytes(),
            Reader::Rows(rows) => rows.disk_bytes(),
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

impl Cut {
    fn of_lines(block: records::Block) -> Self {
        let records::Block { start, end, .. } = block;
        Self { key: start, next_key: end, bytes: end - start, content: Content::Lines(block) }
    }

    fn of_rows(block: RowBlock) -> Self {
        let RowBlock { start, end, size, .. } = block;
        Self { key: start, next_key: end, bytes: size, content: Content::Rows(block) }
    }
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

fn unread(path: &Path, error: ReadError) -> Error {
    match error {
        ReadError::Io(source) => Error::read(path, source),
        ReadError::Changed => changed(path),
        ReadError::Damaged { what } => Error::InputDamaged { path: path.to_owned(), what },
        ReadError::NoTextColumn { column, columns } => {
            Error::NoTextColumn { path: path.to_owned(), column, columns }
        }
        source => Error::Content { path: escaped(path.as_os_str()), source },
    }
}

/// A plain file that ends too early was cut off after it was cut into blocks.
pub(crate) fn read_failed(path: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => changed(path),
        _ => Error::read(path, source),
    }
}

fn changed(path: &Path) -> Error {
    Error::Changed { path: path.to_owned() }
}
