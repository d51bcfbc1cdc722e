//! Parquet files with a text column.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use mashbill_format::checksum::{Checksum, Hasher};
use mashbill_format::parquet_reader::ParquetReader;
use mashbill_format::parquet_rows::ParquetRows as Foreign;
use mashbill_format::records::EXCERPT_BYTES;
use mashbill_format::value::Value;

use super::{Content, Cut, Cutting};
use crate::error::{Error, Result};
use crate::input::Input;

/// The columns besides the text that a tokenizer reads.
const LABELS: [&str; 3] = ["id", "source", "category"];

/// Bytes of a row's labels that are not counted to its block: labels are short, and where blocks end must not depend on
/// them. What is longer counts, so that a block's memory has a bound.
const LABEL_BYTES_FREE: u64 = 64 << 10;

/// Some rows of a Parquet file, copied out of its pages: a page may be hundreds of megabytes, and would stay in memory
/// as long as one row of it.
#[derive(Debug)]
pub(crate) struct ParquetRows {
    checksum: Checksum,
    rows: Vec<Row>,
    /// The texts and labels.
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Row {
    text: Copied,
    labels: [Option<Range<usize>>; 3],
}

#[derive(Debug)]
enum Copied {
    Null,
    Whole(Range<usize>),
    TooLarge(TooLarge),
}

/// A text that is longer than a document may be: it is not kept.
#[derive(Debug)]
pub(crate) struct TooLarge {
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// The hash of its content.
    pub(crate) content_hash: Checksum,
    /// Where it ceases to be UTF-8, if it does.
    pub(crate) invalid_at: Option<usize>,
    /// Its beginning.
    pub(crate) excerpt: Vec<u8>,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParquetRow<'a> {
    pub(crate) text: ParquetText<'a>,
    pub(crate) id: Option<&'a str>,
    pub(crate) source: Option<&'a str>,
    pub(crate) category: Option<&'a str>,
}

/// The text of a row. Not checked to be UTF-8.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ParquetText<'a> {
    Null,
    Whole(&'a [u8]),
    TooLarge(&'a TooLarge),
}

impl ParquetText<'_> {
    /// Its bytes in the file.
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Whole(text) => text.len() as u64,
            Self::TooLarge(text) => text.bytes,
        }
    }
}

impl ParquetRows {
    /// Calls `visit` with every row in order and gives the checksum of what was visited.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(ParquetRow<'_>)) -> Checksum {
        let label = |range: &Option<Range<usize>>| {
            let bytes = &self.bytes[range.clone()?];
            Some(std::str::from_utf8(bytes).expect("labels are copied from text"))
        };
        for Row { text, labels: [id, source, category] } in &self.rows {
            let text = match text {
                Copied::Null => ParquetText::Null,
                Copied::Whole(range) => ParquetText::Whole(&self.bytes[range.clone()]),
                Copied::TooLarge(text) => ParquetText::TooLarge(text),
            };
            visit(ParquetRow { text, id: label(id), source: label(source), category: label(category) });
        }
        self.checksum
    }
}

/// Rows that are being copied.
#[derive(Default)]
struct Copying {
    hasher: Hasher,
    rows: Vec<Row>,
    bytes: Vec<u8>,
    text_bytes_max: u64,
}

impl Copying {
    /// Copies the row that `from` has advanced to and gives its size, by which blocks are measured.
    fn row(&mut self, from: &Foreign, text_fields: &[String]) -> u64 {
        let text = text_fields.iter().find_map(|field| from.text(field));
        hash(&mut self.hasher, text);
        // A row without text counts, too, so that a block of them ends.
        let mut size = 8 + text.map_or(0, <[u8]>::len) as u64;
        let text = match text {
            None => Copied::Null,
            Some(text) if text.len() as u64 > self.text_bytes_max => Copied::TooLarge(TooLarge {
                bytes: text.len() as u64,
                content_hash: Checksum::of(text),
                invalid_at: std::str::from_utf8(text).err().map(|error| error.valid_up_to()),
                excerpt: text[..text.len().min(EXCERPT_BYTES)].to_vec(),
            }),
            Some(text) => Copied::Whole(self.copy(text)),
        };
        let before = self.bytes.len();
        let labels = LABELS.map(|name| {
            let value = from.value(name);
            let label = value.label();
            match (&value, label.as_deref()) {
                // Integers have always been hashed so, and a finished split is known by its hash.
                (Value::Number(_), Some(number)) if number.parse::<i64>().is_ok() => {
                    let number: i64 = number.parse().expect("it was just parsed");
                    hash(&mut self.hasher, Some(&number.to_le_bytes()));
                }
                (_, label) => hash(&mut self.hasher, label.map(str::as_bytes)),
            }
            label.map(|label| self.copy(label.as_bytes()))
        });
        let label_bytes = (self.bytes.len() - before) as u64;
        size += label_bytes.saturating_sub(LABEL_BYTES_FREE);
        self.rows.push(Row { text, labels });
        size
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

/// The rows of a Parquet file, cut into blocks.
#[derive(Debug)]
pub(super) struct ParquetFile {
    reader: Foreign,
    /// The columns that the text is looked for in, in order, as far as the file has them.
    text_fields: Vec<String>,
    at: u64,
    rows: u64,
    size: u64,
    block_bytes: u64,
    text_bytes_max: u64,
}

impl ParquetFile {
    pub(super) fn new(file: File, input: &Input, cutting: &Cutting<'_>, key: u64) -> Result<Self> {
        let fields = &cutting.text_fields;
        let file = ParquetReader::of(&input.path, Arc::new(file)).map_err(Error::of_input)?;
        let wanted = |name: &str| fields.contains(&name) || LABELS.contains(&name);
        let reader = Foreign::of(file, &wanted, key).map_err(Error::of_input)?;
        let columns = reader.columns();
        let is_text = |field: &&&str| columns.iter().any(|column| column.name == **field && column.is_text);
        let text_fields: Vec<String> = fields.iter().filter(is_text).map(|&field| field.to_owned()).collect();
        if text_fields.is_empty() {
            return Err(Error::NoTextColumn {
                path: input.path.clone(),
                column: fields.join("` or `"),
                columns: columns.to_vec(),
            });
        }
        Ok(Self {
            rows: reader.count_all(),
            reader,
            text_fields,
            at: key,
            size: input.size,
            block_bytes: cutting.block_bytes(),
            text_bytes_max: cutting.document_bytes_max,
        })
    }

    /// Bytes of the file that were read, taking all rows for equally large.
    pub(super) fn disk_bytes(&self) -> u64 {
        let share = u128::from(self.size) * u128::from(self.at) / u128::from(self.rows.max(1));
        u64::try_from(share).unwrap_or(self.size)
    }

    pub(super) fn next(&mut self) -> Result<Option<Cut>> {
        let key = self.at;
        let mut bytes = 0;
        let mut copying = Copying { text_bytes_max: self.text_bytes_max, ..Copying::default() };
        while bytes < self.block_bytes && self.reader.advance().map_err(Error::of_input)? {
            bytes += copying.row(&self.reader, &self.text_fields);
            self.at += 1;
        }
        if copying.rows.is_empty() {
            return Ok(None);
        }
        let Copying { hasher, rows, bytes: copied, .. } = copying;
        let content = Content::Rows(ParquetRows { checksum: hasher.finish(), rows, bytes: copied });
        Ok(Some(Cut { key, next_key: self.at, bytes, content }))
    }
}
