//! Shards read back with the stock reader: simple and checked, not fast.

use std::path::{Path, PathBuf};

use mashbill_parquet::encode::Compression;
use mashbill_parquet::reader::{FileGroup, ParquetReader, damaged, lists, reading};
use parquet::data_type::{Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::Piece;
use super::column::LOSS_SPANS;
use crate::error::Result;
use crate::loss_spans::{self, Loss, LossSpans};

/// A shard open for reading.
pub struct ShardReader {
    path: PathBuf,
    file: ParquetReader,
    loss: Loss,
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
    /// For each row which of its tokens are learned, where the shard has such a column.
    pub loss_spans: Option<LossSpans>,
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardRow<'a> {
    /// Token ids.
    pub input_ids: &'a [i32],
    /// 1 for a token, 0 for padding.
    pub attention_mask: &'a [i32],
    /// Each position's next token or [`IGNORED`](super::IGNORED).
    pub labels: &'a [i32],
    /// The documents' pieces in the row.
    pub pieces: &'a [Piece],
    /// Which of its tokens are learned, as run lengths; empty where the shard has no such column: all of them.
    pub loss_spans: &'a [i32],
}

impl ShardReader {
    /// Opens a shard, with `loss_spans` or without.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io) where it cannot be opened, [`Damaged`](mashbill_store::Error::Damaged) where it is no complete shard.
    pub fn open(path: &Path) -> Result<Self> {
        let file = ParquetReader::open(path)?;
        let loss = Loss::of(path, file.metadata(), |loss| super::schema(Compression::None, loss))?;
        Ok(Self { path: path.to_owned(), file, loss })
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
        let rows = reading(|| read(self.file.group(index), self.loss));
        Ok(rows.map_err(|error| damaged(&self.path, &error))?)
    }
}

impl ShardRows {
    /// The rows one after another.
    pub fn iter(&self) -> impl Iterator<Item = ShardRow<'_>> {
        let mut pieces = self.pieces.as_slice();
        self.pieces_in_row.iter().enumerate().map(move |(row, &count)| {
            let range = row * self.row_length..(row + 1) * self.row_length;
            let (here, later) = pieces.split_at(count as usize);
            pieces = later;
            ShardRow {
                input_ids: &self.input_ids[range.clone()],
                attention_mask: &self.attention_mask[range.clone()],
                labels: &self.labels[range],
                pieces: here,
                loss_spans: self.loss_spans.as_ref().map_or(&[], |spans| spans.of(row)),
            }
        })
    }
}

fn read(group: FileGroup<'_>, loss: Loss) -> ParquetResult<ShardRows> {
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
    let loss_spans = match loss {
        Loss::All => None,
        Loss::Spans => Some(loss_spans(group, &attention_mask, row_length as usize)?),
    };
    Ok(ShardRows {
        row_length: row_length as usize,
        input_ids,
        attention_mask,
        labels,
        pieces,
        pieces_in_row,
        loss_spans,
    })
}

/// The spans of a group's rows, held against the tokens in each.
fn loss_spans(group: FileGroup<'_>, mask: &[i32], row_length: usize) -> ParquetResult<LossSpans> {
    let (lengths, in_row) = lists::<Int32Type>(group.column(LOSS_SPANS)?, group.rows())?;
    let mut lengths = lengths.as_slice();
    let mut spans = LossSpans::default();
    for (mask, &count) in mask.chunks(row_length.max(1)).zip(&in_row) {
        let row = lengths.split_off(..count as usize);
        let row = row.ok_or_else(|| ParquetError::General("a list is cut off".to_owned()))?;
        let tokens = mask.iter().filter(|&&mask| mask == 1).count();
        loss_spans::check(row, tokens as u64).map_err(ParquetError::General)?;
        spans.push(row);
    }
    Ok(spans)
}

impl std::fmt::Debug for ShardReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardReader").field("path", &self.path).field("rows", &self.rows()).finish()
    }
}
