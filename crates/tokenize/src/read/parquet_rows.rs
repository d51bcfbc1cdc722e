//! Parquet files with a text column.

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_schema::DataType;
use mashbill_format::checksum::{Checksum, Hasher};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::{Content, Cut, Cutting};
use crate::error::{Error, Result};
use crate::input::Input;

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 1024;

/// The columns besides the text that a tokenizer reads.
const LABELS: [&str; 3] = ["id", "source", "category"];

/// Some rows of a Parquet file, as decoded.
#[derive(Debug)]
pub(crate) struct ParquetRows {
    batches: Vec<RecordBatch>,
    text_field: String,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ParquetRow<'a> {
    /// The text; none where it is null. Not checked to be UTF-8.
    pub(crate) text: Option<&'a [u8]>,
    pub(crate) id: Option<Label<'a>>,
    pub(crate) source: Option<Label<'a>>,
    pub(crate) category: Option<Label<'a>>,
}

/// A value that labels a record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Label<'a> {
    Text(&'a str),
    Number(i64),
}

impl ParquetRows {
    /// Calls `visit` with every row in order and gives the checksum of what was visited.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(ParquetRow<'_>)) -> Checksum {
        let mut hasher = Hasher::new();
        for batch in &self.batches {
            let column = |name: &str| batch.column_by_name(name);
            let text = column(&self.text_field).expect("the projection has the text column");
            let [id, source, category] = LABELS.map(column);
            for row in 0..batch.num_rows() {
                let row = ParquetRow {
                    text: bytes_at(text, row),
                    id: id.and_then(|column| label_at(column, row)),
                    source: source.and_then(|column| label_at(column, row)),
                    category: category.and_then(|column| label_at(column, row)),
                };
                hash(&mut hasher, row.text);
                for label in [row.id, row.source, row.category] {
                    match label {
                        Some(Label::Text(text)) => hash(&mut hasher, Some(text.as_bytes())),
                        Some(Label::Number(number)) => hash(&mut hasher, Some(&number.to_le_bytes())),
                        None => hash(&mut hasher, None),
                    }
                }
                visit(row);
            }
        }
        hasher.finish()
    }
}

/// Takes in a value so that no two rows of values give the same bytes: its length goes before it.
fn hash(hasher: &mut Hasher, value: Option<&[u8]>) {
    let length = value.map_or(u64::MAX, |value| value.len() as u64);
    hasher.update(&length.to_le_bytes());
    hasher.update(value.unwrap_or_default());
}

fn bytes_at(column: &ArrayRef, row: usize) -> Option<&[u8]> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Binary => Some(column.as_binary::<i32>().value(row)),
        _ => Some(strings(column).value(row).as_bytes()),
    }
}

fn label_at(column: &ArrayRef, row: usize) -> Option<Label<'_>> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(Label::Text(strings(column).value(row))),
        DataType::Binary => std::str::from_utf8(column.as_binary::<i32>().value(row)).ok().map(Label::Text),
        DataType::Int32 => Some(Label::Number(column.as_primitive::<Int32Type>().value(row).into())),
        DataType::Int64 => Some(Label::Number(column.as_primitive::<Int64Type>().value(row))),
        _ => None,
    }
}

fn strings(column: &ArrayRef) -> &StringArray {
    column.as_string::<i32>()
}

/// The rows of a Parquet file, cut into blocks.
#[derive(Debug)]
pub(super) struct ParquetFile {
    reader: ParquetRecordBatchReader,
    path: PathBuf,
    text_field: String,
    /// The batch that is being handed out, and which of its rows are left.
    batch: Option<(RecordBatch, Range<usize>)>,
    at: u64,
    rows: u64,
    size: u64,
    block_bytes: u64,
}

impl ParquetFile {
    pub(super) fn new(file: File, input: &Input, cutting: &Cutting<'_>, key: u64) -> Result<Self> {
        let failed = |source: ParquetError| Error::ReadParquet { path: input.path.clone(), source };
        // An embedded Arrow schema would bring in more types for the same strings.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(failed)?;
        let fields = builder.schema().fields();
        let text = fields.iter().find(|field| field.name() == cutting.text_field);
        if !text.is_some_and(|field| matches!(field.data_type(), DataType::Utf8 | DataType::Binary)) {
            return Err(Error::NoTextColumn {
                path: input.path.clone(),
                column: cutting.text_field.to_owned(),
                columns: fields.iter().map(|f| format!("{} ({})", f.name(), f.data_type())).collect(),
            });
        }
        let wanted = fields.iter().enumerate().filter(|(_, field)| {
            let name = field.name().as_str();
            let simple = matches!(
                field.data_type(),
                DataType::Utf8 | DataType::Binary | DataType::Int32 | DataType::Int64
            );
            name == cutting.text_field || (LABELS.contains(&name) && simple)
        });
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let projection = ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(index, _)| index));
        let offset = usize::try_from(key).expect("a row number that was reached before");
        let reader = builder.with_projection(projection).with_batch_size(BATCH_ROWS).with_offset(offset);
        Ok(Self {
            reader: reader.build().map_err(failed)?,
            path: input.path.clone(),
            text_field: cutting.text_field.to_owned(),
            batch: None,
            at: key,
            rows,
            size: input.size,
            block_bytes: cutting.block_bytes(),
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
        let mut batches = Vec::new();
        while bytes < self.block_bytes {
            if self.batch.is_none() {
                let Some(batch) = self.reader.next() else { break };
                let batch = batch.map_err(|source| Error::ReadParquet {
                    path: self.path.clone(),
                    source: source.into(),
                })?;
                let rows = 0..batch.num_rows();
                self.batch = Some((batch, rows));
            }
            let Some((batch, rows)) = &mut self.batch else { break };
            let text = batch.column_by_name(&self.text_field).expect("the projection has the text column");
            let first = rows.start;
            while rows.start < rows.end && bytes < self.block_bytes {
                // A row without text counts too, so that a block of them ends.
                bytes += 8 + bytes_at(text, rows.start).map_or(0, <[u8]>::len) as u64;
                rows.start += 1;
            }
            batches.push(batch.slice(first, rows.start - first));
            self.at += (rows.start - first) as u64;
            if rows.start >= rows.end {
                self.batch = None;
            }
        }
        if batches.is_empty() {
            return Ok(None);
        }
        let content = Content::Rows(ParquetRows { batches, text_field: self.text_field.clone() });
        Ok(Some(Cut { key, next_key: self.at, bytes, content }))
    }
}
