//! Input files to stretches of whole records, and these to blocks of about a megabyte.
//!
//! One thread cuts, many tokenize. Where stretches and blocks end depends on the content alone, so a block's checksum
//! means the same on every machine.

use std::io;
use std::ops::Range;
use std::path::Path;

use mashbill_format::manifest;
use mashbill_records::conversation::FIELDS;
use mashbill_records::{
    Border, FileKind, ReadError, RowBlock, RowBlocks, RowCutting, RowStretches, Strides, escaped,
    line_bytes_max, open_regular, stamp,
};
use mashbill_store::checksum::Checksum;

use crate::error::{Error, Result};
use crate::group::Group;
use crate::split_input::Input;

/// Bytes of input in a block: enough work to be worth handing to a thread, little enough for sixteen threads to share a
/// small file.
const BLOCK_BYTES: u64 = 1 << 20;

/// A part of a stretch: whole records.
#[derive(Debug)]
pub(crate) struct InputBlock {
    /// The key at which the stretch begins.
    pub(crate) stretch_start: u64,
    /// The place of its file in the group, and the key at which that begins.
    pub(crate) file: usize,
    pub(crate) file_start: u64,
    /// Bytes of its lines, or of the texts in its rows.
    pub(crate) bytes: u64,
    /// Bytes of the file on the disk that were read for it: what progress is measured by.
    pub(crate) disk_bytes: u64,
    pub(crate) content: BlockRecords,
}

/// The records of a block, or where they are.
#[derive(Debug)]
pub(crate) enum BlockRecords {
    /// Lines.
    Lines(mashbill_records::Block),
    /// Rows of a Parquet file.
    Rows(RowBlock),
}

impl InputBlock {
    /// The file that it is of.
    pub(crate) fn input<'a>(&self, group: &'a Group) -> &'a Input {
        &group.files[self.file]
    }

    /// How many lines, or rows, it has.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Changed`].
    pub(crate) fn lines(&self, group: &Group) -> Result<u64> {
        match &self.content {
            BlockRecords::Lines(lines) => {
                lines.lines().map_err(|error| read_failed(&self.input(group).path, error))
            }
            BlockRecords::Rows(rows) => Ok(rows.end - rows.start),
        }
    }

    /// The checksum of its content.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Changed`].
    pub(crate) fn checksum(&self, group: &Group) -> Result<Checksum> {
        match &self.content {
            BlockRecords::Lines(lines) => {
                lines.checksum().map_err(|source| read_failed(&self.input(group).path, source))
            }
            BlockRecords::Rows(rows) => Ok(rows.checksum),
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
pub(crate) struct InputCutting<'a> {
    strides: Strides,
    /// A line beyond this cannot hold a document that is small enough.
    line_bytes_max: u64,
    /// A longer text is refused, and not kept where it can be told before its block is parsed.
    document_bytes_max: u64,
    /// The fields or columns that the text is looked for in, in order.
    text_fields: Vec<&'a str>,
    /// Whether what is said is looked for in all of them.
    is_chat: bool,
}

impl<'a> InputCutting<'a> {
    /// How the options cut input.
    pub(crate) fn of(options: &'a manifest::ShardOptions) -> Self {
        Self {
            strides: Strides { stride: options.stride_bytes, window: options.border_window_bytes() },
            line_bytes_max: line_bytes_max(options.max_document_bytes),
            document_bytes_max: options.max_document_bytes,
            text_fields: fields_of(options),
            is_chat: options.chat.is_some(),
        }
    }

    const fn of_lines(&self) -> mashbill_records::LineCutting {
        mashbill_records::LineCutting { block_bytes: BLOCK_BYTES, line_bytes_max: self.line_bytes_max }
    }

    fn of_rows(&self) -> RowCutting<'_> {
        RowCutting {
            block_bytes: BLOCK_BYTES,
            text_bytes_max: if self.is_chat { self.line_bytes_max } else { self.document_bytes_max },
            text_fields: &self.text_fields,
            is_whole: self.is_chat,
        }
    }
}

/// The columns that are read: those of conversations, and of texts where these are taken.
fn fields_of(options: &manifest::ShardOptions) -> Vec<&str> {
    match &options.chat {
        None => options.text_fields(),
        Some(chat) if chat.mixed || chat.template.is_none() => {
            let texts = options.text_fields().into_iter().filter(|field| !FIELDS.contains(field));
            FIELDS.iter().copied().chain(texts).collect()
        }
        Some(_) => FIELDS.to_vec(),
    }
}

/// The stretches of a file, or of small files one after another.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    group: &'a Group,
    cutting: InputCutting<'a>,
    /// The file that is read; of small ones none before the first and behind the last.
    source: Option<OpenInput>,
    /// Its place in the group, and the key at which it begins.
    file: usize,
    file_start: u64,
    /// A block of the next stretch, where a file ended this one.
    waiting: Option<InputBlock>,
    /// Bytes of the group's content so far, where it is small files.
    bytes: u64,
    ignored_bytes: u64,
    /// The stretch that is being cut.
    index: u64,
    start: u64,
    /// Bytes on the disk that were read so far, of what is not addressable.
    disk_bytes: u64,
    /// The row behind the last block, of Parquet input.
    row: u64,
}

#[derive(Debug)]
enum OpenInput {
    /// Lines of which any can be read, up to the end of the stretch.
    Lines { lines: mashbill_records::Blocks, size: u64, end: u64 },
    /// Lines that are decoded from the file's beginning on, and the stretch's end where it is known.
    Chain { lines: mashbill_records::Blocks, end: Option<Border> },
    /// Rows of a Parquet file.
    Rows { stretches: Vec<Range<u64>>, largest_row_group: u64, rows: Option<Box<RowBlocks>> },
}

impl OpenInput {
    fn open(input: &Input, cutting: &InputCutting<'_>, stride: u64) -> Result<Self> {
        let failed = |error| unread(&input.path, error);
        let (file, metadata) = open_regular(&input.path).map_err(failed)?;
        if stamp(&metadata) != (input.size, input.modified_ns) {
            return Err(changed(&input.path));
        }
        Ok(match input.kind {
            FileKind::Parquet => {
                let stretches = RowBlocks::stretches(&input.path, file, &cutting.text_fields, stride);
                let RowStretches { stretches, largest_row_group } = stretches.map_err(failed)?;
                Self::Rows { stretches, largest_row_group, rows: None }
            }
            FileKind::Json(container) => {
                let lines = mashbill_records::Blocks::new(file, container, input.size, cutting.of_lines(), 0);
                let lines = lines.map_err(failed)?;
                match lines.addressable() {
                    Some(size) => Self::Lines { lines, size, end: 0 },
                    None => Self::Chain { lines, end: None },
                }
            }
        })
    }

    /// The rows of stretch `index` of a Parquet file.
    fn open_rows(input: &Input, cutting: &InputCutting<'_>, range: Range<u64>) -> Result<Box<RowBlocks>> {
        let failed = |error| unread(&input.path, error);
        let (file, _) = open_regular(&input.path).map_err(failed)?;
        let opened = RowBlocks::new(&input.path, file, input.size, cutting.of_rows(), range);
        Ok(Box::new(opened.map_err(failed)?))
    }
}

impl<'a> Reader<'a> {
    /// Opens `group`; of small files none before its turn comes.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::NoTextColumn`], [`Error::Content`], [`Error::Changed`].
    pub(crate) fn open(group: &'a Group, cutting: InputCutting<'a>) -> Result<Self> {
        let source = match &group.files[..] {
            [input] => Some(OpenInput::open(input, &cutting, cutting.strides.stride)?),
            _ => None,
        };
        Ok(Self {
            group,
            cutting,
            source,
            file: 0,
            file_start: 0,
            waiting: None,
            bytes: 0,
            ignored_bytes: 0,
            index: 0,
            start: 0,
            disk_bytes: 0,
            row: 0,
        })
    }

    /// Whether it reads small files one after another.
    const fn is_of_many(&self) -> bool {
        self.group.files.len() != 1
    }

    /// How many stretches there are; none where only reading to the end will tell.
    pub(crate) fn count(&self) -> Option<u64> {
        match &self.source {
            None => self.group.is_one_shard().then_some(1),
            Some(OpenInput::Lines { size, .. }) => Some(self.cutting.strides.count(*size)),
            Some(OpenInput::Chain { .. }) => None,
            Some(OpenInput::Rows { stretches, .. }) => Some(stretches.len() as u64),
        }
    }

    /// The bytes of texts in a row group that is larger than a stride, so that its shard is, too; none where none is.
    pub(crate) fn large_row_group(&self) -> Option<u64> {
        match self.source {
            Some(OpenInput::Rows { largest_row_group: bytes, .. }) if bytes > self.cutting.strides.stride => {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// Begins with stretch `index`: any where their number is known, else the one behind the last one.
    ///
    /// # Errors
    /// Errors of reading.
    pub(crate) fn begin(&mut self, index: u64) -> Result<()> {
        self.index = index;
        if self.is_of_many() {
            self.start = self.at();
            return Ok(());
        }
        let input = &self.group.files[0];
        let failed = |error| unread(&input.path, error);
        match self.source.as_mut().expect("the one file is open") {
            OpenInput::Lines { lines, size, end } => {
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
            OpenInput::Chain { lines, end } => {
                (self.start, *end) = (lines.at(), None);
                Ok(())
            }
            OpenInput::Rows { stretches, rows, .. } => {
                let range = stretches[usize::try_from(index).expect("one of the stretches")].clone();
                self.start = range.start;
                *rows = Some(OpenInput::open_rows(input, &self.cutting, range)?);
                Ok(())
            }
        }
    }

    /// Passes over what a stretch behind the last one has, whose end is known.
    ///
    /// # Errors
    /// Errors of reading.
    pub(crate) fn pass_over(&mut self, end: u64) -> Result<()> {
        if self.is_of_many() {
            while self.at() < end && self.next_of_many()?.is_some() {}
            // Up to the next block, as who made the stretch did: what it counted on the way is in its record.
            (self.waiting, self.ignored_bytes) = (self.next_of_many()?, 0);
            return Ok(());
        }
        match &mut self.source {
            Some(OpenInput::Chain { lines, .. }) => {
                lines.seek(end).map_err(|error| unread(&self.group.files[0].path, error))
            }
            _ => Ok(()),
        }
    }

    /// The next block of the stretch; none at its end.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::InputDamaged`], [`Error::Changed`].
    pub(crate) fn next(&mut self) -> Result<Option<InputBlock>> {
        if !self.is_of_many() {
            return self.next_of_file();
        }
        let is_over = self.bytes >= (self.index + 1).saturating_mul(self.cutting.strides.stride);
        let Some(block) = self.next_of_many()? else { return Ok(None) };
        if is_over && self.start < self.file_start && block_start(&block) == self.file_start {
            // The first file that begins behind the stride begins the next stretch.
            self.waiting = Some(block);
            return Ok(None);
        }
        Ok(Some(block))
    }

    /// The next block of the small files, whatever the stretches are.
    fn next_of_many(&mut self) -> Result<Option<InputBlock>> {
        if let Some(block) = self.waiting.take() {
            return Ok(Some(InputBlock { stretch_start: self.start, ..block }));
        }
        loop {
            if self.source.is_none() {
                let Some(input) = self.group.files.get(self.file) else { return Ok(None) };
                let mut source = OpenInput::open(input, &self.cutting, u64::MAX)?;
                match &mut source {
                    OpenInput::Lines { size, end, .. } => *end = *size,
                    OpenInput::Chain { .. } => {}
                    OpenInput::Rows { stretches, rows, .. } => {
                        *rows = Some(OpenInput::open_rows(input, &self.cutting, stretches[0].clone())?);
                    }
                }
                (self.source, self.disk_bytes, self.row) = (Some(source), 0, 0);
            }
            if let Some(block) = self.next_of_file()? {
                self.bytes += block.bytes;
                return Ok(Some(block));
            }
            (self.file_start, self.source) = (self.at(), None);
            self.file += 1;
        }
    }

    /// The key behind the last block.
    fn at(&self) -> u64 {
        if let Some(block) = &self.waiting {
            return block_start(block);
        }
        let in_file = match &self.source {
            None => 0,
            Some(OpenInput::Lines { lines, .. } | OpenInput::Chain { lines, .. }) => lines.at(),
            Some(OpenInput::Rows { .. }) => self.row,
        };
        self.file_start + in_file
    }

    fn next_of_file(&mut self) -> Result<Option<InputBlock>> {
        let (is_of_many, path) = (self.is_of_many(), &self.group.files[self.file].path);
        let failed = |error| unread(path, error);
        let (bytes, disk_bytes, content) = match self.source.as_mut().expect("a file is open") {
            OpenInput::Lines { lines, end, .. } => {
                if lines.at() >= *end {
                    return Ok(None);
                }
                let Some(block) = lines.next_until(*end).map_err(failed)? else { return Ok(None) };
                let bytes = block.end - block.start;
                (bytes, bytes, BlockRecords::Lines(block))
            }
            OpenInput::Chain { lines, end } => {
                let block = match is_of_many {
                    true => lines.next(),
                    false => chain_block(lines, end, self.cutting.strides, self.index),
                };
                let Some(block) = block.map_err(failed)? else {
                    self.ignored_bytes += if is_of_many { lines.ignored_bytes() } else { 0 };
                    return Ok(None);
                };
                let read = lines.disk_bytes();
                let disk_bytes = read - std::mem::replace(&mut self.disk_bytes, read);
                (block.end - block.start, disk_bytes, BlockRecords::Lines(block))
            }
            OpenInput::Rows { rows, .. } => {
                let rows = rows.as_mut().expect("a stretch was begun");
                let before = rows.disk_bytes();
                let Some(block) = rows.next().map_err(failed)? else { return Ok(None) };
                self.row = block.end;
                let bytes = block.rows().map(|row| row.text_bytes()).sum();
                (bytes, rows.disk_bytes() - before, BlockRecords::Rows(block))
            }
        };
        let (file, file_start) = (self.file, self.file_start);
        Ok(Some(InputBlock { stretch_start: self.start, file, file_start, bytes, disk_bytes, content }))
    }

    /// About how many bytes of the files on the disk are left of the stretch that is cut.
    pub(crate) fn bytes_left(&self) -> u64 {
        let part_of = |size: u64, left: u64, all: u64| (size as f64 * left as f64 / all.max(1) as f64) as u64;
        let size = self.group.files.get(self.file).map_or(0, |input| input.size);
        match &self.source {
            _ if self.is_of_many() => self.group.files[self.file..].iter().map(|input| input.size).sum(),
            None => 0,
            Some(OpenInput::Lines { lines, end, .. }) => end.saturating_sub(lines.at()),
            Some(OpenInput::Chain { lines, .. }) => {
                let (next, _) = self.cutting.strides.window_of(self.index + 1);
                let left = part_of(self.disk_bytes, next.saturating_sub(lines.at()), lines.at());
                left.min(size.saturating_sub(self.disk_bytes))
            }
            Some(OpenInput::Rows { stretches, .. }) => {
                let end = stretches[usize::try_from(self.index).expect("one of the stretches")].end;
                let all = stretches.last().map_or(0, |last| last.end);
                part_of(size, end.saturating_sub(self.row), all)
            }
        }
    }

    /// The stretch whose last block was given.
    pub(crate) fn end(&mut self) -> Stretch {
        let (start, last) = (self.start, |count: u64| self.index + 1 >= count);
        let (end, last, ignored_bytes) = match &self.source {
            _ if self.is_of_many() => {
                (self.at(), self.waiting.is_none(), std::mem::take(&mut self.ignored_bytes))
            }
            None => (start, true, 0),
            Some(OpenInput::Lines { size, end, .. }) => (*end, last(self.cutting.strides.count(*size)), 0),
            Some(OpenInput::Chain { lines, end }) => {
                // Where a border ended it, there is another one behind that.
                let is_last = !is_at(lines, *end) && last(self.cutting.strides.count(lines.at()));
                (lines.at(), is_last, if is_last { lines.ignored_bytes() } else { 0 })
            }
            Some(OpenInput::Rows { stretches, .. }) => {
                (stretches[self.index as usize].end, last(stretches.len() as u64), 0)
            }
        };
        Stretch { start, end: end.max(start), last, ignored_bytes }
    }
}

/// The key at which a block of small files begins.
const fn block_start(block: &InputBlock) -> u64 {
    block.file_start
        + match &block.content {
            BlockRecords::Lines(lines) => lines.start,
            BlockRecords::Rows(rows) => rows.start,
        }
}

/// The next block of stretch `index` of a chain, whose border is looked for when the block might go beyond it.
fn chain_block(
    lines: &mut mashbill_records::Blocks,
    end: &mut Option<Border>,
    strides: Strides,
    index: u64,
) -> std::result::Result<Option<mashbill_records::Block>, ReadError> {
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
fn is_at(lines: &mashbill_records::Blocks, end: Option<Border>) -> bool {
    matches!(end, Some(Border::At(end) | Border::Behind(end)) if lines.at() >= end)
}

/// How many lines, or rows, stand before stretch `index`.
///
/// # Errors
/// Errors of reading.
pub(crate) fn lines_before(group: &Group, cutting: InputCutting<'_>, index: u64) -> Result<u64> {
    let mut reader = Reader::open(group, cutting)?;
    let mut lines = 0;
    for before in 0..index {
        reader.begin(before)?;
        while let Some(block) = reader.next()? {
            lines += block.lines(group)?;
        }
    }
    Ok(lines)
}

/// Fails where a file of the group is not the one that was found in the beginning.
///
/// # Errors
/// [`Error::Changed`], [`Error::Read`].
pub(crate) fn check_unchanged(group: &Group) -> Result<()> {
    for input in &group.files {
        let metadata = std::fs::metadata(&input.path).map_err(|source| Error::read(&input.path, source))?;
        if stamp(&metadata) != (input.size, input.modified_ns) {
            return Err(changed(&input.path));
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests;
