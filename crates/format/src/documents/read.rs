//! Document tables read back with the stock reader, a few thousand rows in memory at a time.

use std::path::{Path, PathBuf};
use std::vec;

use mashbill_parquet::encode::Compression;
use mashbill_parquet::reader::next_lists;
use mashbill_parquet::reader::{FileGroup, ParquetReader, damaged, reading};
use mashbill_store::checksum::Checksum;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::Document;
use crate::error::Result;
use crate::loss_spans::Loss;

const BATCH_ROWS: usize = 4096;

/// The documents of a table in order.
pub struct DocumentReader {
    path: PathBuf,
    file: ParquetReader,
    loss: Loss,
    next_group: usize,
    columns: Option<Columns>,
    rows_left: usize,
    batch: vec::IntoIter<Document<String>>,
}

/// Opens a document table, with `loss_spans` or without.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io) where it cannot be opened, [`Damaged`](mashbill_store::Error::Damaged) where it
/// is no complete table; the iterator gives the latter where a page is damaged, and ends.
pub fn read(path: &Path) -> Result<DocumentReader> {
    let file = ParquetReader::open(path)?;
    let loss = Loss::of(path, file.metadata(), |loss| super::schema(Compression::None, loss))?;
    Ok(DocumentReader {
        path: path.to_owned(),
        file,
        loss,
        next_group: 0,
        columns: None,
        rows_left: 0,
        batch: Vec::new().into_iter(),
    })
}

impl DocumentReader {
    /// Documents in the table.
    #[must_use]
    pub fn count_all(&self) -> u64 {
        self.file.rows()
    }

    /// The next documents; none after the last.
    fn next_batch(&mut self) -> ParquetResult<Vec<Document<String>>> {
        while self.rows_left == 0 && self.next_group < self.file.groups() {
            let group = self.file.group(self.next_group);
            self.next_group += 1;
            self.rows_left = group.rows();
            self.columns = Some(Columns::open(group, self.loss)?);
        }
        let rows = self.rows_left.min(BATCH_ROWS);
        self.rows_left -= rows;
        self.columns.as_mut().map_or(Ok(Vec::new()), |columns| columns.read(rows))
    }
}

impl Iterator for DocumentReader {
    type Item = Result<Document<String>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.batch.len() == 0 {
            match reading(|| self.next_batch()) {
                Ok(batch) => self.batch = batch.into_iter(),
                Err(error) => {
                    (self.rows_left, self.next_group) = (0, self.file.groups());
                    return Some(Err(damaged(&self.path, &error).into()));
                }
            }
        }
        self.batch.next().map(Ok)
    }
}

/// The columns of one row group, all read up to the same row.
struct Columns {
    doc_id: ColumnReaderImpl<Int64Type>,
    id: ColumnReaderImpl<ByteArrayType>,
    source: ColumnReaderImpl<ByteArrayType>,
    category: ColumnReaderImpl<ByteArrayType>,
    content_hash: ColumnReaderImpl<FixedLenByteArrayType>,
    tokens: ColumnReaderImpl<Int64Type>,
    row: ColumnReaderImpl<Int64Type>,
    position: ColumnReaderImpl<Int32Type>,
    loss_spans: Option<ColumnReaderImpl<Int32Type>>,
}

impl Columns {
    fn open(group: FileGroup<'_>, loss: Loss) -> ParquetResult<Self> {
        Ok(Self {
            doc_id: get_typed_column_reader(group.column(0)?),
            id: get_typed_column_reader(group.column(1)?),
            source: get_typed_column_reader(group.column(2)?),
            category: get_typed_column_reader(group.column(3)?),
            content_hash: get_typed_column_reader(group.column(4)?),
            tokens: get_typed_column_reader(group.column(5)?),
            row: get_typed_column_reader(group.column(6)?),
            position: get_typed_column_reader(group.column(7)?),
            loss_spans: match loss {
                Loss::All => None,
                Loss::Spans => Some(get_typed_column_reader(group.column(8)?)),
            },
        })
    }

    /// The next `rows` documents.
    fn read(&mut self, rows: usize) -> ParquetResult<Vec<Document<String>>> {
        let mut doc_ids = required(&mut self.doc_id, rows)?.into_iter();
        let mut ids = texts(&mut self.id, rows)?.into_iter();
        let mut sources = texts(&mut self.source, rows)?.into_iter();
        let mut categories = texts(&mut self.category, rows)?.into_iter();
        let mut hashes = required(&mut self.content_hash, rows)?.into_iter();
        let mut tokens = required(&mut self.tokens, rows)?.into_iter();
        let mut rows_in_shard = required(&mut self.row, rows)?.into_iter();
        let mut positions = required(&mut self.position, rows)?.into_iter();
        let spans = self.loss_spans.as_mut().map(|column| next_lists(column, rows)).transpose()?;
        let (lengths, in_row) = spans.unwrap_or_default();
        let (mut lengths, mut in_row) = (lengths.into_iter(), in_row.into_iter());
        let documents = std::iter::from_fn(|| {
            Some(Document {
                doc_id: doc_ids.next()?,
                id: ids.next()?,
                source: sources.next()?,
                category: categories.next()?,
                content_hash: self::content_hash(&hashes.next()?),
                tokens: tokens.next()?,
                row: rows_in_shard.next()?,
                position: positions.next()?,
                loss_spans: lengths.by_ref().take(in_row.next().unwrap_or(0) as usize).collect(),
            })
        });
        Ok(documents.collect())
    }
}

/// The next `rows` values of a required column.
fn required<T: DataType>(column: &mut ColumnReaderImpl<T>, rows: usize) -> ParquetResult<Vec<T::T>> {
    let mut values = Vec::with_capacity(rows);
    read_rows(column, rows, None, &mut values)?;
    Ok(values)
}

/// The next `rows` values of an optional column of texts.
fn texts(column: &mut ColumnReaderImpl<ByteArrayType>, rows: usize) -> ParquetResult<Vec<Option<String>>> {
    let (mut definitions, mut values) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    read_rows(column, rows, Some(&mut definitions), &mut values)?;
    let mut values = values.into_iter();
    let each = definitions.into_iter().map(|definition| match definition {
        0 => Ok(None),
        _ => values.next().map(|value: ByteArray| value.as_utf8().map(str::to_owned)).transpose(),
    });
    each.collect()
}

fn read_rows<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    rows: usize,
    mut definitions: Option<&mut Vec<i16>>,
    values: &mut Vec<T::T>,
) -> ParquetResult<()> {
    let mut records = 0;
    while records < rows {
        let (more, _, _) = column.read_records(rows - records, definitions.as_deref_mut(), None, values)?;
        if more == 0 {
            return Err(ParquetError::General(format!("{records} of {rows} rows are there")));
        }
        records += more;
    }
    Ok(())
}

/// The value of the column `content_hash`.
#[must_use]
pub fn content_hash(bytes: &FixedLenByteArray) -> Checksum {
    let bytes = bytes.data().try_into().expect("the schema says 16 bytes");
    Checksum(u128::from_be_bytes(bytes))
}

impl std::fmt::Debug for DocumentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents").field("path", &self.path).finish_non_exhaustive()
    }
}
