//! The rows of a Parquet file as records, cut into blocks of about as many bytes as blocks of lines have.
//!
//! What is kept of a row is copied out of its pages: a page may be hundreds of megabytes, and would stay in memory as
//! long as one row of it. A text that is longer than a document may be is not kept at all.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use mashbill_parquet::reader::ParquetReader;
use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::error::Error;

use crate::blocks::{EXCERPT_BYTES, open_regular};
use crate::parquet_rows::{Column, ParquetRows};
use crate::read_error::ReadError;
use crate::record::{FieldCount, FieldCounts, LABELS, Reason, Record, Refusal};
use crate::value::Value;

/// Bytes of a row's labels, and of all labels in a block, that are not counted to the block: labels are short, and where
/// blocks end must not depend on them. What is longer, or more, counts, so that a block's memory has a bound.
const ROW_LABEL_BYTES_FREE: u64 = 64 << 10;
const BLOCK_LABEL_BYTES_FREE: u64 = 16 << 20;

/// How rows are read and cut.
#[derive(Debug, Clone, Copy)]
pub struct RowCutting<'a> {
    /// Bytes after which a block ends, 1 or more: those of its texts, and 8 a row.
    pub block_bytes: u64,
    /// A longer text is not kept.
    pub text_bytes_max: u64,
    /// The columns that the text is looked for in, in order.
    pub text_fields: &'a [&'a str],
    /// Whether a row's text is all of these columns, and its labels, as a JSON object: what is said stands in several.
    pub is_whole: bool,
}

/// How the rows of a file are cut into stretches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowStretches {
    /// The rows of each, one stretch or more.
    pub stretches: Vec<Range<u64>>,
    /// The most bytes before compression that the texts' columns have in a row group.
    pub largest_row_group: u64,
}

/// The blocks of one file, in order.
#[derive(Debug)]
pub struct RowBlocks {
    reader: ParquetRows,
    /// The columns that the text is looked for in, in order, as far as the file has them.
    text_columns: Vec<TextColumn>,
    columns: Arc<[Column]>,
    at: u64,
    end: u64,
    size: u64,
    block_bytes: u64,
    text_bytes_max: u64,
    is_whole: bool,
}

#[derive(Debug)]
struct TextColumn {
    name: String,
    /// What it has instead of texts.
    other: Option<String>,
}

/// Some rows of a file.
#[derive(Debug)]
pub struct RowBlock {
    /// Its first row, from 0.
    pub start: u64,
    /// The row behind its last.
    pub end: u64,
    /// Its size, by which units are measured: bytes of texts, and 8 a row.
    pub size: u64,
    /// Of all values that were read.
    pub checksum: Checksum,
    rows: Vec<Kept>,
    /// The texts and labels.
    bytes: Vec<u8>,
    columns: Arc<[Column]>,
}

#[derive(Debug)]
struct Kept {
    text: KeptText,
    labels: [Option<Range<usize>>; 3],
}

#[derive(Debug)]
enum KeptText {
    Null,
    Whole(Range<usize>),
    TooLarge(TooLarge),
    /// This column of a whole row has bytes that are no UTF-8.
    NotUtf8(String),
    /// A column that comes first has something of another type.
    Other {
        column: String,
        kind: String,
    },
}

/// A text that is longer than a document may be.
#[derive(Debug)]
struct TooLarge {
    bytes: u64,
    content_hash: Checksum,
    /// Where it ceases to be UTF-8, if it does.
    invalid_at: Option<usize>,
    /// Its beginning.
    excerpt: Vec<u8>,
}

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    block: &'a RowBlock,
    kept: &'a Kept,
}

impl RowBlocks {
    /// The rows of the Parquet file at `path`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path, cutting: RowCutting<'_>) -> Result<Self, ReadError> {
        let (file, metadata) = open_regular(path)?;
        Self::new(path, file, metadata.len(), cutting, 0..u64::MAX)
    }

    /// The rows `rows` of `file`, which is the one at `path` and has `size` bytes.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn new(
        path: &Path,
        file: File,
        size: u64,
        cutting: RowCutting<'_>,
        rows: Range<u64>,
    ) -> Result<Self, ReadError> {
        let fields = cutting.text_fields;
        let file = ParquetReader::of(path, Arc::new(file)).map_err(failed)?;
        let wanted = |name: &str| fields.contains(&name) || LABELS.contains(&name);
        let reader = ParquetRows::of(file, &wanted, rows.start).map_err(failed)?;
        if let Some(column) = reader.name_twice(&wanted) {
            return Err(ReadError::ColumnTwice { column: column.to_owned() });
        }
        let columns = reader.columns();
        let found = fields.iter().filter_map(|field| columns.iter().find(|column| column.name == **field));
        let text_columns: Vec<TextColumn> = found.map(TextColumn::of).collect();
        if text_columns.iter().all(|column| column.other.is_some() && !cutting.is_whole) {
            let columns = columns.to_vec();
            if cutting.is_whole {
                return Err(ReadError::NoChatColumn { columns });
            }
            return Err(ReadError::NoTextColumn { column: fields.join("` or `"), columns });
        }
        Ok(Self {
            columns: columns.into(),
            reader,
            text_columns,
            at: rows.start,
            end: rows.end,
            size,
            block_bytes: cutting.block_bytes,
            text_bytes_max: cutting.text_bytes_max,
            is_whole: cutting.is_whole,
        })
    }

    /// How the rows of `file`, which is the one at `path`, are cut into stretches: at row groups, each of which is in the
    /// stretch in whose `stride` bytes it begins, counted before compression in the columns of `text_fields`. So no row
    /// group is cut, and one that is larger than a stride makes a larger stretch.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn stretches(
        path: &Path,
        file: File,
        text_fields: &[&str],
        stride: u64,
    ) -> Result<RowStretches, ReadError> {
        let file = ParquetReader::of(path, Arc::new(file)).map_err(failed)?;
        let mut stretches: Vec<Range<u64>> = Vec::new();
        let (mut row, mut bytes, mut strides, mut largest) = (0, 0u64, 0, 0);
        for (index, group) in file.metadata().row_groups().iter().enumerate() {
            let end = row + file.rows_in_group(index);
            match stretches.last_mut() {
                Some(last) if bytes / stride == strides => last.end = end,
                _ => {
                    strides = bytes / stride;
                    stretches.push(row..end);
                }
            }
            row = end;
            let texts = group.columns().iter().filter(|chunk| {
                let name = chunk.column_path().parts().first();
                name.is_some_and(|name| text_fields.contains(&name.as_str()))
            });
            let here = texts.map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(0));
            let here = here.fold(0, u64::saturating_add);
            bytes = bytes.saturating_add(here);
            largest = here.max(largest);
        }
        if stretches.is_empty() {
            stretches.push(0..0);
        }
        Ok(RowStretches { stretches, largest_row_group: largest })
    }

    /// The next block; none at the end of the file.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(clippy::should_implement_trait, reason = "a file that cannot be read is no end")]
    pub fn next(&mut self) -> Result<Option<RowBlock>, ReadError> {
        let mut copying = Copying { text_bytes_max: self.text_bytes_max, ..Copying::default() };
        let (start, mut size) = (self.at, 0);
        while size < self.block_bytes && self.at < self.end && self.reader.advance().map_err(failed)? {
            size += match self.is_whole {
                true => copying.whole_row(&self.reader),
                false => copying.row(&self.reader, &self.text_columns),
            };
            self.at += 1;
        }
        if copying.rows.is_empty() {
            return Ok(None);
        }
        let Copying { hasher, rows, bytes, .. } = copying;
        let (end, checksum, columns) = (self.at, hasher.finish(), Arc::clone(&self.columns));
        Ok(Some(RowBlock { start, end, size, checksum, rows, bytes, columns }))
    }

    /// Bytes of the file that were read, taking all rows for equally large.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        let share = u128::from(self.size) * u128::from(self.at) / u128::from(self.reader.count_all().max(1));
        u64::try_from(share).unwrap_or(self.size)
    }
}

impl TextColumn {
    fn of(column: &Column) -> Self {
        Self { name: column.name.clone(), other: (!column.is_text).then(|| column.kind.clone()) }
    }
}

impl RowBlock {
    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        self.rows.iter().map(|kept| Row { block: self, kept })
    }

    /// Whether the file has a column of messages.
    fn has_messages(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.name.as_str(), "messages" | "conversations"))
    }

    /// Counts the columns of the file, for `rows` rows without a text whose text would be in one of `text_fields`: people
    /// want to know what they have instead.
    pub fn count_columns(&self, rows: u64, text_fields: &[String], counts: &mut FieldCounts) {
        for Column { name, kind, is_text } in &*self.columns {
            // What is known of the text's own column is that it is none here.
            let is_string = *is_text && kind != "null" && !text_fields.contains(name);
            counts.count_lines(name, FieldCount { lines: rows, strings: if is_string { rows } else { 0 } });
        }
    }
}

impl<'a> Row<'a> {
    /// The record.
    ///
    /// # Errors
    /// A [`Refusal`] where the row has no text, or one that is no string, not UTF-8, or too large.
    pub fn record(&self) -> Result<Record<'a>, Refusal> {
        let not_utf8 = |at| Refusal::new(Reason::InvalidUtf8, format!("not UTF-8 at byte {at}"));
        let text = match &self.kept.text {
            KeptText::Null => return Err(Refusal::new(Reason::NoText, "the text is null")),
            KeptText::Other { column, kind } => {
                let detail = format!("`{column}` is {kind}, not a string");
                return Err(Refusal::new(Reason::TextNotString, detail));
            }
            KeptText::NotUtf8(column) => {
                return Err(Refusal::new(
                    Reason::InvalidUtf8,
                    format!("`{column}` has bytes that are no UTF-8"),
                ));
            }
            KeptText::TooLarge(TooLarge { invalid_at: Some(at), .. }) => return Err(not_utf8(*at)),
            KeptText::TooLarge(TooLarge { bytes, .. }) => {
                return Err(Refusal::new(Reason::TooLarge, format!("a text of {bytes} bytes")));
            }
            KeptText::Whole(range) => {
                let text = str::from_utf8(&self.block.bytes[range.clone()]);
                text.map_err(|error| not_utf8(error.valid_up_to()))?
            }
        };
        let [id, source, category] = [0, 1, 2].map(|label| self.label(label));
        Ok(Record { text, id, source, category, has_messages: self.block.has_messages() })
    }

    /// The text's bytes, or the beginning of those of one that is too large; nothing where there is none.
    #[must_use]
    pub fn excerpt(&self) -> &'a [u8] {
        match &self.kept.text {
            KeptText::Whole(range) => &self.block.bytes[range.clone()],
            KeptText::TooLarge(text) => &text.excerpt,
            KeptText::Null | KeptText::NotUtf8(_) | KeptText::Other { .. } => &[],
        }
    }

    /// Bytes of its text in the file.
    #[must_use]
    pub fn text_bytes(&self) -> u64 {
        match &self.kept.text {
            KeptText::Whole(range) => range.len() as u64,
            KeptText::TooLarge(text) => text.bytes,
            KeptText::Null | KeptText::NotUtf8(_) | KeptText::Other { .. } => 0,
        }
    }

    /// The hash of a text that is UTF-8 and too large.
    #[must_use]
    pub fn too_large_hash(&self) -> Option<Checksum> {
        match &self.kept.text {
            KeptText::TooLarge(TooLarge { content_hash, invalid_at: None, .. }) => Some(*content_hash),
            _ => None,
        }
    }

    fn label(&self, label: usize) -> Option<&'a str> {
        let bytes = &self.block.bytes[self.kept.labels[label].clone()?];
        Some(str::from_utf8(bytes).expect("labels are copied from text"))
    }
}

/// Rows that are being copied.
#[derive(Default)]
struct Copying {
    hasher: Hasher,
    rows: Vec<Kept>,
    bytes: Vec<u8>,
    text_bytes_max: u64,
    /// Bytes of labels so far that do not count.
    label_bytes_free: u64,
}

impl Copying {
    /// Copies the row that `from` has advanced to as a JSON object and gives its size.
    fn whole_row(&mut self, from: &ParquetRows) -> u64 {
        let row = from.value_of_all();
        let start = self.bytes.len();
        row.write_spelled(&mut self.bytes);
        let json = &self.bytes[start..];
        hash(&mut self.hasher, Some(json));
        let bytes = json.len() as u64;
        let not_utf8 = match &row {
            Value::Map(columns) => {
                // Labels that are bytes are hexadecimal digits.
                let said = columns.iter().filter(|(name, _)| !LABELS.contains(&&**name));
                said.filter(|(_, value)| value.has_bytes()).map(|(name, _)| name.clone()).next()
            }
            _ => None,
        };
        let text = match not_utf8 {
            Some(column) => KeptText::NotUtf8(column.into_owned()),
            None if bytes > self.text_bytes_max => KeptText::TooLarge(TooLarge {
                bytes,
                content_hash: Checksum::of(json),
                invalid_at: None,
                excerpt: json[..json.len().min(EXCERPT_BYTES)].to_vec(),
            }),
            None => KeptText::Whole(start..self.bytes.len()),
        };
        if !matches!(text, KeptText::Whole(_)) {
            self.bytes.truncate(start);
        }
        self.rows.push(Kept { text, labels: [const { None }; 3] });
        8 + bytes
    }

    /// Copies the row that `from` has advanced to and gives its size, by which blocks are measured.
    fn row(&mut self, from: &ParquetRows, text_columns: &[TextColumn]) -> u64 {
        let mut text = None;
        let mut other = None;
        for TextColumn { name, other: kind } in text_columns {
            text = from.text(name);
            if text.is_some() {
                break;
            }
            if let Some(kind) = kind.as_ref().filter(|_| from.value(name) != Value::Null) {
                other = Some(KeptText::Other { column: name.clone(), kind: kind.clone() });
                break;
            }
        }
        hash(&mut self.hasher, text);
        // A row without text counts, too, so that a block of them ends.
        let mut size = 8 + text.map_or(0, <[u8]>::len) as u64;
        let text = match text {
            None => other.unwrap_or(KeptText::Null),
            Some(text) if text.len() as u64 > self.text_bytes_max => KeptText::TooLarge(TooLarge {
                bytes: text.len() as u64,
                content_hash: Checksum::of(text),
                invalid_at: str::from_utf8(text).err().map(|error| error.valid_up_to()),
                excerpt: text[..text.len().min(EXCERPT_BYTES)].to_vec(),
            }),
            Some(text) => KeptText::Whole(self.copy(text)),
        };
        let before = self.bytes.len();
        let labels = LABELS.map(|name| self.label(&from.value(name)));
        let label_bytes = (self.bytes.len() - before) as u64;
        let free = label_bytes.min(ROW_LABEL_BYTES_FREE).min(BLOCK_LABEL_BYTES_FREE - self.label_bytes_free);
        self.label_bytes_free += free;
        size += label_bytes - free;
        self.rows.push(Kept { text, labels });
        size
    }

    fn label(&mut self, value: &Value<'_>) -> Option<Range<usize>> {
        let label = value.label();
        match (value, label.as_deref()) {
            // Integers have always been hashed so, and a finished split is known by its hash.
            (Value::Number(_), Some(number)) if number.parse::<i64>().is_ok() => {
                let number: i64 = number.parse().expect("it was just parsed");
                hash(&mut self.hasher, Some(&number.to_le_bytes()));
            }
            (_, label) => hash(&mut self.hasher, label.map(str::as_bytes)),
        }
        label.map(|label| self.copy(label.as_bytes()))
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
}

/// Takes in a value so that no two rows of values give the same bytes: its length goes before it.
fn hash(hasher: &mut Hasher, value: Option<&[u8]>) {
    let length = value.map_or(u64::MAX, |value| value.len() as u64);
    hasher.update(&length.to_le_bytes());
    hasher.update(value.unwrap_or_default());
}

/// What is wrong with the file, whose name the caller knows.
fn failed(error: Error) -> ReadError {
    match error {
        Error::Io { source, .. } => ReadError::Io(source),
        Error::Damaged { what, .. } => ReadError::Damaged { what },
        other => ReadError::Damaged { what: other.to_string() },
    }
}
