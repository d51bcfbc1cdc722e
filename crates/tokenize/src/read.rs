//! Input files to stretches of whole records, and these to blocks of about a megabyte.
//!
//! One thread cuts, many tokenize. Where stretches and blocks end depends on the content alone, so a block's checksum
//! means the same on every machine.

use std::io;
use std::ops::Range;
use std::path::Path;

use mashbill_format::checksum::Checksum;
use mashbill_format::manifest;
use mashbill_format::records::{
    self, Border, Kind, ReadError, RowBlock, RowBlocks, RowCutting, Strides, escaped, line_bytes_max,
    open_regular, stamp,
};

use crate::error::{Error, Result};
use crate::input::Input;

/// Bytes of input in a block: enough work to be worth handing to a thread, little enough for sixteen threads to share a
/// small file.
const BLOCK_BYTES: u64 = 1 << 20;

/// A part of a stretch: whole records.
#[derive(Debug)]
pub(crate) struct Block {
    /// The key at which the stretch begins.
    pub(crate) stretch_start: u64,
    /// Bytes of its lines, or of the texts in its rows.
    pub(crate) bytes: u64,
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
    /// Whether it is the first of its input.
    pub(crate) fn is_first(&self) -> bool {
        match &self.content {
            Content::Lines(lines) => lines.start == 0,
            Content::Rows(rows) => rows.start == 0,
        }
    }

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

/// A stretch that was cut into blocks to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The key at which it begins.
    pub(crate) start: u64,
    /// The key at which it ends.
    pub(crate) end: u64,
    /// Whether the input ends with it.
    pub(crate) last: bool,
    /// Bytes behind the end of what the file is packed in, which are no part of it.
    pub(crate) ignored_bytes: u64,
}

/// How input is cut.
#[derive(Debug, Clone)]
pub(crate) struct Cutting<'a> {
    strides: Strides,
    /// A line beyond this cannot hold a document that is small enough.
    line_bytes_max: u64,
    /// A longer text is refused, and not kept where it can be told before its block is parsed.
    document_bytes_max: u64,
    /// The fields or columns that the text is looked for in, in order.
    text_fields: Vec<&'a str>,
}

impl<'a> Cutting<'a> {
    /// How the options cut input.
    pub(crate) fn of(options: &'a manifest::Options) -> Self {
        Self {
            strides: Strides { stride: options.stride_bytes, window: options.border_window_bytes() },
            line_bytes_max: line_bytes_max(options.max_document_bytes),
            document_bytes_max: options.max_document_bytes,
            text_fields: options.text_fields(),
        }
    }

    const fn of_lines(&self) -> records::Cutting {
        records::Cutting { block_bytes: BLOCK_BYTES, line_bytes_max: self.line_bytes_max }
    }

    fn of_rows(&self) -> RowCutting<'_> {
        RowCutting {
            block_bytes: BLOCK_BYTES,
            text_bytes_max: self.document_bytes_max,
            text_fields: &self.text_fields,
        }
    }
}

/// The stretches of one input file.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    input: &'a Input,
    cutting: Cutting<'a>,
    source: Source,
    /// The stretch that is being cut.
    index: u64,
    start: u64,
    /// Bytes on the disk that were read so far, of what is not addressable.
    disk_bytes: u64,
}

#[derive(Debug)]
enum Source {
    /// Lines of which any can be read, up to the end of the stretch.
    Lines { lines: records::Blocks, size: u64, end: u64 },
    /// Lines that are decoded from the file's beginning on, and the stretch's end where it is known.
    Chain { lines: records::Blocks, end: Option<Border> },
    /// Rows of a Parquet file.
    Rows { stretches: Vec<Range<u64>>, rows: Option<Box<RowBlocks>> },
}

impl<'a> Reader<'a> {
    /// Opens `input`.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::NoTextColumn`], [`Error::Content`], [`Error::Changed`].
    pub(crate) fn open(input: &'a Input, cutting: Cutting<'a>) -> Result<Self> {
        let failed = |error| unread(&input.path, error);
        let (file, metadata) = open_regular(&input.path).map_err(failed)?;
        if stamp(&metadata) != (input.size, input.modified_ns) {
            return Err(changed(&input.path));
        }
        let source = match input.kind {
            Kind::Parquet => {
                let Cutting { strides, text_fields, .. } = &cutting;
                let stretches = RowBlocks::stretches(&input.path, file, text_fields, strides.stride);
                Source::Rows { stretches: stretches.map_err(failed)?, rows: None }
            }
            Kind::Json(container) => {
                let lines = records::Blocks::new(file, container, input.size, cutting.of_lines(), 0);
                let lines = lines.map_err(failed)?;
                match lines.addressable() {
                    Some(size) => Source::Lines { lines, size, end: 0 },
                    None => Source::Chain { lines, end: None },
                }
            }
        };
        Ok(Self { input, cutting, source, index: 0, start: 0, disk_bytes: 0 })
    }

    /// How many stretches there are; none where only reading to the end will tell.
    pub(crate) fn count(&self) -> Option<u64> {
        match &self.source {
            Source::Lines { size, .. } => Some(self.cutting.strides.count(*size)),
            Source::Chain { .. } => None,
            Source::Rows { stretches, .. } => Some(stretches.len() as u64),
        }
    }

    /// Begins with stretch `index`: any where their number is known, else the one behind the last one.
    ///
    /// # Errors
    /// Errors of reading.
    pub(crate) fn begin(&mut self, index: u64) -> Result<()> {
        self.index = index;
        let failed = |error| unread(&self.input.path, error);
        match &mut self.source {
            Source::Lines { lines, size, end } => {
                let strides = self.cutting.strides;
                let mut border = |index| match lines.border(strides, index)? {
                    Border::At(place) => Ok(place),
                    Border::Behind(place) => lines.line_behind(place),
                };
                self.start = if index == 0 { 0 } else { border(index).map_err(failed)? };
                let is_last = index + 1 >= strides.count(*size);
                *end = if is_last { *size } else { border(index + 1).map_err(failed)? };
                lines.seek(self.start).map_err(failed)
            }
            Source::Chain { lines, end } => {
                (self.start, *end) = (lines.at(), None);
                Ok(())
            }
            Source::Rows { stretches, rows } => {
                let range = stretches[usize::try_from(index).expect("one of the stretches")].clone();
                self.start = range.start;
                let (file, _) = open_regular(&self.input.path).map_err(failed)?;
                let cutting = self.cutting.of_rows();
                let opened = RowBlocks::new(&self.input.path, file, self.input.size, cutting, range);
                *rows = Some(Box::new(opened.map_err(failed)?));
                Ok(())
            }
        }
    }

    /// Passes over what a stretch behind the last one has, whose end is known.
    ///
    /// # Errors
    /// Errors of reading.
    pub(crate) fn pass_over(&mut self, end: u64) -> Result<()> {
        match &mut self.source {
            Source::Chain { lines, .. } => lines.seek(end).map_err(|error| unread(&self.input.path, error)),
            Source::Lines { .. } | Source::Rows { .. } => Ok(()),
        }
    }

    /// The next block of the stretch; none at its end.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::Changed`].
    pub(crate) fn next(&mut self) -> Result<Option<Block>> {
        let failed = |error| unread(&self.input.path, error);
        let (bytes, disk_bytes, content) = match &mut self.source {
            Source::Lines { lines, end, .. } => {
                if lines.at() >= *end {
                    return Ok(None);
                }
                let Some(block) = lines.next_until(*end).map_err(failed)? else { return Ok(None) };
                let bytes = block.end - block.start;
                (bytes, bytes, Content::Lines(block))
            }
            Source::Chain { lines, end } => {
                let block = chain_block(lines, end, self.cutting.strides, self.index);
                let Some(block) = block.map_err(failed)? else { return Ok(None) };
                let read = lines.disk_bytes();
                let disk_bytes = read - std::mem::replace(&mut self.disk_bytes, read);
                (block.end - block.start, disk_bytes, Content::Lines(block))
            }
            Source::Rows { rows, .. } => {
                let rows = rows.as_mut().expect("a stretch was begun");
                let before = rows.disk_bytes();
                let Some(block) = rows.next().map_err(failed)? else { return Ok(None) };
                let bytes = block.rows().map(|row| row.text_bytes()).sum();
                (bytes, rows.disk_bytes() - before, Content::Rows(block))
            }
        };
        Ok(Some(Block { stretch_start: self.start, bytes, disk_bytes, content }))
    }

    /// The stretch whose last block was given.
    pub(crate) fn end(&self) -> Stretch {
        let (end, ignored_bytes) = match &self.source {
            Source::Lines { end, .. } => (*end, 0),
            Source::Chain { lines, .. } => (lines.at(), lines.ignored_bytes()),
            Source::Rows { stretches, .. } => (stretches[self.index as usize].end, 0),
        };
        let count = match &self.source {
            // Where a border ended it, there is another one behind that.
            Source::Chain { lines, end } if is_at(lines, *end) => u64::MAX,
            Source::Chain { lines, .. } => self.cutting.strides.count(lines.at()),
            Source::Lines { size, .. } => self.cutting.strides.count(*size),
            Source::Rows { stretches, .. } => stretches.len() as u64,
        };
        Stretch { start: self.start, end: end.max(self.start), last: self.index + 1 >= count, ignored_bytes }
    }
}

/// The next block of stretch `index` of a chain, whose border is looked for when the block might go beyond it.
fn chain_block(
    lines: &mut records::Blocks,
    end: &mut Option<Border>,
    strides: Strides,
    index: u64,
) -> std::result::Result<Option<records::Block>, ReadError> {
    let (window, _) = strides.window_of(index + 1);
    if end.is_none() && lines.at().saturating_add(BLOCK_BYTES) > window {
        *end = Some(lines.border(strides, index + 1)?);
    }
    if is_at(lines, *end) {
        return Ok(None);
    }
    match *end {
        None => lines.next(),
        Some(Border::At(end) | Border::Behind(end)) => lines.next_until(end),
    }
}

/// Whether the border is reached.
fn is_at(lines: &records::Blocks, end: Option<Border>) -> bool {
    matches!(end, Some(Border::At(end) | Border::Behind(end)) if lines.at() >= end)
}

/// How many lines, or rows, stand before stretch `index`.
///
/// # Errors
/// Errors of reading.
pub(crate) fn lines_before(input: &Input, cutting: Cutting<'_>, index: u64) -> Result<u64> {
    let mut reader = Reader::open(input, cutting)?;
    let mut lines = 0;
    for before in 0..index {
        reader.begin(before)?;
        while let Some(block) = reader.next()? {
            lines += match &block.content {
                Content::Lines(block) => block.lines().map_err(|error| read_failed(&input.path, error))?,
                Content::Rows(rows) => rows.end - rows.start,
            };
        }
    }
    Ok(lines)
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
