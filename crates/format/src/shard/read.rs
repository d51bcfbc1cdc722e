//! Shards read back with the stock reader: simple and checked, not fast.

use std::path::{Path, PathBuf};

use mashbill_parquet::encode::Compression;
use mashbill_parquet::reader::{FileGroup, ParquetReader, damaged, reading};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::Piece;
use crate::error::Result;

/// A shard open for reading.
pub struct ShardReader {
    path: PathBuf,
    file: ParquetReader,
}

/// The rows of one row group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShardRows {
    /// Tokens in a row, padding included.
    pub row_length: usize,
    /// Token ids, row after row.
    pub input_ids: Vec<i32>,
    /// 1 for a token, 0 for padding; row after row.
    pub attention_mask: Vec<i32>,
    /// Each position's next token or [`IGNORED`](super::IGNORED), row after row.
    pub labels: Vec<i32>,
    /// The pieces of all rows in order.
    pub pieces: Vec<Piece>,
    /// How many pieces each row has.
    pub pieces_in_row: Vec<u32>,
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Token ids.
    pub input_ids: &'a [i32],
    /// 1 for a token, 0 for padding.
    pub attention_mask: &'a [i32],
    /// Each position's next token or [`IGNORED`](super::IGNORED).
    pub labels: &'a [i32],
    /// The documents' pieces in the row.
    pub pieces: &'a [Piece],
}

impl ShardReader {
    /// Opens a shard and checks its schema.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be opened, [`Damaged`](mashbill_store::Error::Damaged) where it is no complete shard.
    pub fn open(path: &Path) -> Result<Self> {
        let file = super::schema(Compression::None).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Rows in the shard.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Row groups in the shard.
    #[must_use]
    pub fn row_group_count(&self) -> usize {
        self.file.groups()
    }

    /// Rows in row group `index`.
    #[must_use]
    pub fn rows_in_group(&self, index: usize) -> u64 {
        self.file.rows_in_group(index)
    }

    /// All row groups in order, one in memory at a time.
    pub fn row_groups(&self) -> impl Iterator<Item = Result<ShardRows>> + '_ {
        (0..self.row_group_count()).map(|index| self.row_group(index))
    }

    /// The rows of row group `index`.
    ///
    /// # Errors
    /// [`Damaged`](mashbill_store::Error::Damaged) where its bytes or lengths contradict one another.
    pub fn row_group(&self, index: usize) -> Result<ShardRows> {
        let rows = reading(|| read(self.file.group(index)));
        Ok(rows.map_err(|error| damaged(&self.path, &error))?)
    }
}

impl ShardRows {
    /// The rows one after another.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        let mut pieces = self.pieces.as_slice();
        self.pieces_in_row.iter().enumerate().map(move |(row, &count)| {
            let range = row * self.row_length..(row + 1) * self.row_length;
            let (here, later) = pieces.split_at(count as usize);
            pieces = later;
            Row {
                input_ids: &self.input_ids[range.clone()],
                attention_mask: &self.attention_mask[range.clone()],
                labels: &self.labels[range],
                pieces: here,
            }
        })
    }
}

fn read(group: FileGroup<'_>) -> ParquetResult<ShardRows> {
    let rows = group.rows();
    let list = |column| lists::<Int32Type>(group.column(column)?, rows);
    let (input_ids, lengths) = list(0)?;
    let (attention_mask, mask_lengths) = list(1)?;
    let (labels, label_lengths) = list(2)?;
    let (seq_lens, pieces_in_row) = list(3)?;
    let (doc_ids, doc_ids_in_row) = lists::<Int64Type>(group.column(4)?, rows)?;
    let (doc_offsets, doc_offsets_in_row) = list(5)?;

    let row_length = lengths.first().copied().unwrap_or(0);
    let expect = |agrees: bool, what: &str| {
        if agrees { Ok(()) } else { Err(ParquetError::General(what.to_owned())) }
    };
    expect(lengths.iter().all(|&length| length == row_length), "its rows have different lengths")?;
    expect(lengths == mask_lengths && lengths == label_lengths, "its columns have different lengths")?;
    expect(
        pieces_in_row == doc_ids_in_row && pieces_in_row == doc_offsets_in_row,
        "its piece columns have different lengths",
    )?;
    let pieces = seq_lens.into_iter().zip(doc_ids).zip(doc_offsets);
    let pieces = pieces.map(|((len, doc_id), doc_offset)| Piece { doc_id, doc_offset, len }).collect();
    Ok(ShardRows {
        row_length: row_length as usize,
        input_ids,
        attention_mask,
        labels,
        pieces,
        pieces_in_row,
    })
}

/// The elements of `rows` lists and the lists' lengths.
///
/// # Errors
/// Where the bytes contradict themselves, or fewer lists are there.
pub fn lists<T: DataType>(column: ColumnReader, rows: usize) -> ParquetResult<(Vec<T::T>, Vec<u32>)> {
    let mut column: ColumnReaderImpl<T> = get_typed_column_reader(column);
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut records, mut elements) = (0, 0);
    while records < rows {
        let (more_records, more_elements, _) = column.read_records(
            rows - records,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if more_records == 0 {
            return Err(ParquetError::General(format!("{records} of {rows} rows are there")));
        }
        records += more_records;
        elements += more_elements;
    }
    if elements != repetitions.len() {
        return Err(ParquetError::General("a list is empty".to_owned()));
    }
    let mut lengths = Vec::with_capacity(rows);
    for &repetition in &repetitions {
        match lengths.last_mut() {
            Some(length) if repetition > 0 => *length += 1,
            _ => lengths.push(1),
        }
    }
    Ok((values, lengths))
}

impl std::fmt::Debug for ShardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardReader").field("path", &self.path).field("rows", &self.rows()).finish()
    }
}
