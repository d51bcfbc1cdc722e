//! Rows of Parquet files that others made: any columns, any types, as the values of [`value`](crate::value).
//!
//! Only wanted columns are read, about a megabyte of rows at a time, so that neither a row group of gigabytes nor rows of
//! megabytes cost more memory than their pages. Texts are read as bytes, whatever the file says of them, and judged one
//! by one: a text that is not UTF-8 spoils its row, not the file. The Arrow schema that some writers embed is left
//! aside: it only offers more types for the same values. Texts are not copied out of their pages; what is kept for
//! longer than a row has to be.

mod cell;
mod column;
mod schema;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use mashbill_parquet::reader::{Held, ParquetReader, damaged, reading};
use mashbill_store::door;
use mashbill_store::error::Result;
use parquet::arrow::FieldLevels;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector};
use parquet::column::page::{PageIterator, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use crate::value::Value;

pub use column::Column;

use cell::value_at;

/// Rows that are decoded at a time, at the most.
const BATCH_ROWS: u64 = 1024;

/// Bytes of a column that are decoded at a time, where rows are equally large.
const BATCH_BYTES: u64 = 1 << 20;

/// The rows of a file, in the columns that are wanted.
pub struct ParquetRows {
    file: ParquetReader,
    levels: FieldLevels,
    /// The wanted columns' leaves, by their places in the file.
    leaves: Vec<usize>,
    columns: Vec<Column>,
    /// The row group that comes next, and how many of its rows are passed over.
    next_group: usize,
    behind: u64,
    group: Option<OpenGroup>,
    batch: Option<RecordBatch>,
    /// The row in the batch that was advanced to.
    row: usize,
    position: u64,
}

/// A row group that is being read.
struct OpenGroup {
    index: usize,
    reader: ParquetRecordBatchReader,
    held: Arc<Held>,
    rows_left: u64,
}

impl ParquetRows {
    /// The rows of the file at `path` from row `position` on, in the columns for which `wanted` is true.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be opened or read, [`Damaged`](mashbill_store::Error::Damaged) where it is no Parquet file, is beyond a limit
    /// of [`parquet_reader`](mashbill_parquet::reader), or says of a wanted column what contradicts itself.
    pub fn open(path: &Path, wanted: &dyn Fn(&str) -> bool, position: u64) -> Result<Self> {
        Self::of(ParquetReader::open(path)?, wanted, position)
    }

    /// The same for a file that is open.
    ///
    /// # Errors
    /// [`Damaged`](mashbill_store::Error::Damaged), as [`ParquetRows::open`].
    pub fn of(file: ParquetReader, wanted: &dyn Fn(&str) -> bool, position: u64) -> Result<Self> {
        let descriptor = file.metadata().file_metadata().schema_descr_ptr();
        let columns = schema::columns(&descriptor);
        let planned = reading(|| schema::plan(&descriptor, wanted));
        let (levels, leaves) = planned.map_err(|error| damaged(file.path(), &error))?;
        let mut rows = Self {
            file,
            levels,
            leaves,
            columns,
            next_group: 0,
            behind: position,
            group: None,
            batch: None,
            row: 0,
            position,
        };
        // Row groups that are behind are not decoded again.
        while rows.next_group < rows.file.groups() {
            let here = rows.file.rows_in_group(rows.next_group);
            if here > rows.behind {
                break;
            }
            rows.behind -= here;
            rows.next_group += 1;
        }
        Ok(rows)
    }

    /// All columns of the file.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The name of two columns, if there are such, for which `wanted` is true: of which values are to be taken nothing
    /// says.
    #[must_use]
    pub fn name_twice(&self, wanted: &dyn Fn(&str) -> bool) -> Option<&str> {
        let mut names = BTreeSet::new();
        let names_wanted = self.columns.iter().map(|column| column.name.as_str()).filter(|name| wanted(name));
        names_wanted.into_iter().find(|name| !names.insert(*name))
    }

    /// Rows in the file.
    #[must_use]
    pub fn count_all(&self) -> u64 {
        self.file.rows()
    }

    /// Goes to the next row; false at the end.
    ///
    /// # Errors
    /// [`Damaged`](mashbill_store::Error::Damaged).
    pub fn advance(&mut self) -> Result<bool> {
        self.row += 1;
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            // What was decoded goes before more is.
            self.batch = None;
            match reading(|| self.next_batch()) {
                Ok(true) => self.row = 0,
                Ok(false) => return Ok(false),
                Err(error) => return Err(damaged(self.file.path(), &error)),
            }
        }
        self.position += 1;
        Ok(true)
    }

    /// Decodes the next rows; false where there are none.
    fn next_batch(&mut self) -> ParquetResult<bool> {
        loop {
            if let Some(group) = &mut self.group {
                group.held.next_round();
                if let Some(batch) = group.reader.next() {
                    let batch = batch?;
                    let rows = batch.num_rows() as u64;
                    let left = group.rows_left.checked_sub(rows);
                    group.rows_left = left.ok_or_else(|| self::rows(group.index, "more"))?;
                    self.batch = Some(batch);
                    return Ok(true);
                }
                if group.rows_left > 0 {
                    return Err(self::rows(group.index, "fewer"));
                }
                self.group = None;
            }
            if self.next_group >= self.file.groups() {
                return Ok(false);
            }
            self.group = Some(self.open_group(self.next_group)?);
            (self.next_group, self.behind) = (self.next_group + 1, 0);
        }
    }

    fn open_group(&self, index: usize) -> ParquetResult<OpenGroup> {
        let metadata = self.file.metadata().row_group(index);
        let rows = self.file.rows_in_group(index);
        let mut batch_rows = BATCH_ROWS;
        for &leaf in &self.leaves {
            let chunk = metadata
                .columns()
                .get(leaf)
                .ok_or_else(|| ParquetError::General("a row group has fewer columns than the file".into()))?;
            let column = chunk.column_descr();
            if column.max_rep_level() == 0 && u64::try_from(chunk.num_values()) != Ok(rows) {
                let what = format!("its column `{}` has another number of values than rows", column.path());
                return Err(ParquetError::General(what));
            }
            let bytes = u64::try_from(chunk.uncompressed_size()).unwrap_or(0) / rows.max(1);
            let fixed = u64::try_from(column.type_length()).unwrap_or(0);
            batch_rows = batch_rows.min(BATCH_BYTES / bytes.max(fixed).max(1)).max(1);
        }
        let held = Arc::new(Held::default());
        let group = OneGroup { file: &self.file, index, leaves: &self.leaves, held: Arc::clone(&held) };
        let selection = (self.behind > 0).then(|| {
            let behind = usize::try_from(self.behind).unwrap_or(usize::MAX);
            let rest = usize::try_from(rows - self.behind).unwrap_or(usize::MAX);
            RowSelection::from(vec![RowSelector::skip(behind), RowSelector::select(rest)])
        });
        let batch_rows = usize::try_from(batch_rows.min(rows.max(1))).expect("a small number");
        let reader =
            ParquetRecordBatchReader::try_new_with_row_groups(&self.levels, &group, batch_rows, selection)?;
        Ok(OpenGroup { index, reader, held, rows_left: rows - self.behind })
    }

    /// Rows up to the one that was advanced to, it included.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of the text in the column `name` of the row that was advanced to; none where it is null. The column is
    /// a wanted one whose [`Column::is_text`] is true.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&[u8]> {
        let column = self.batch.as_ref()?.column_by_name(name)?;
        if column.is_null(self.row) {
            return None;
        }
        match column.data_type() {
            DataType::BinaryView => Some(column.as_binary_view().value(self.row)),
            DataType::FixedSizeBinary(_) => Some(column.as_fixed_size_binary().value(self.row)),
            _ => None,
        }
    }

    /// The value in the column `name` of the row that was advanced to; null where there is no such column or it was
    /// not wanted.
    #[must_use]
    pub fn value(&self, name: &str) -> Value<'_> {
        let Some((index, field)) =
            self.batch.as_ref().and_then(|batch| batch.schema_ref().fields().find(name))
        else {
            return Value::Null;
        };
        let column = self.batch.as_ref().map(|batch| batch.column(index));
        let value = column.map(|column| door::behind(|| value_at(field, column.as_ref(), self.row)));
        value.and_then(std::result::Result::ok).unwrap_or(Value::Null)
    }

    /// The row that was advanced to, as a map of the wanted columns.
    #[must_use]
    pub fn value_of_all(&self) -> Value<'_> {
        let Some(batch) = &self.batch else { return Value::Null };
        let fields = batch.schema_ref().fields().iter();
        let named = |field: &Arc<arrow_schema::Field>| {
            // Names are few and short, and the schema does not live as long as the batch's columns.
            (std::borrow::Cow::Owned(field.name().clone()), self.value(field.name()))
        };
        Value::Map(fields.map(named).collect())
    }
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("position", &self.position).finish_non_exhaustive()
    }
}

fn rows(group: usize, than: &str) -> ParquetError {
    ParquetError::General(format!("row group {group} has {than} rows than its footer says"))
}

/// A row group as the stock reader asks for it.
struct OneGroup<'a> {
    file: &'a ParquetReader,
    index: usize,
    /// Where the columns stand in the file that the reader knows by their places among the wanted ones.
    leaves: &'a [usize],
    held: Arc<Held>,
}

impl RowGroups for OneGroup<'_> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.file.rows_in_group(self.index)).unwrap_or(usize::MAX)
    }

    fn column_chunks(&self, column: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let pages = self.file.pages(self.index, self.leaves[column], Arc::clone(&self.held))?;
        Ok(Box::new(OneChunk(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.file.metadata().row_group(self.index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.file.metadata()
    }
}

/// The one column chunk of a row group.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}
