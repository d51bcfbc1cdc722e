//! `shard_NNNN.parquet`: packed rows of one length.
//!
//! Six list columns, or seven with `loss_spans`, one row a training sequence. The bytes are promised: the
//! same rows give the same file, whatever thread encoded them. Therefore the
//! schema is spelled out here, no Arrow schema is embedded, `created_by` is fixed
//! and no statistics are written (ids have no order worth pruning by); the offset
//! index is written, because a loader reads rows at random.

mod column;
mod dictionary;
mod encode;
mod expectation;
mod labels;
mod pages;
mod read;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub(crate) use encode::spans_body;
pub use encode::{RowGroupEncoder, RowsToEncode};
pub use expectation::{CountedTokens, ExpectedRows, GroupCheck, RowEnds, RowForm, WantedRowGroup};
pub use pages::{PageScratch, PiecePage, ShardPages, TokenGroup, TokenPage};
pub use read::{ShardReader, ShardRow, ShardRows};

pub use crate::loss_spans::IGNORED;

use crate::error::Result;
use crate::loss_spans::Loss;
use mashbill_parquet::encode::{Compression, Encoding};
use mashbill_parquet::file::{Message, Schema, parse};
use mashbill_parquet::reader::ParquetReader;

/// Tokens in a row group, where rows are not longer: the dictionary of a group is paid once in 2^20 tokens.
const TOKENS_PER_ROW_GROUP: usize = 1 << 20;

/// Tokens in a page, where rows are not longer: one row costs the decoding of a page. Their indices fill one block
/// of Snappy's, 64 KiB; larger pages are not smaller in sum (1.45 bytes a token), half of it costs 1.8 %.
const TOKENS_PER_PAGE: usize = 1 << 15;

static COLUMNS: Message = Message::new(|| parse(&format!("{MESSAGE}}}")));

static COLUMNS_AND_SPANS: Message = Message::new(|| parse(&format!("{MESSAGE}{LOSS_SPANS}}}")));

/// The schema, to be closed behind its last column.
const MESSAGE: &str = "message shard {
    required group input_ids (LIST) { repeated group list { required int32 element; } }
    required group attention_mask (LIST) { repeated group list { required int32 element; } }
    required group labels (LIST) { repeated group list { required int32 element; } }
    required group seq_lens (LIST) { repeated group list { required int32 element; } }
    required group doc_ids (LIST) { repeated group list { required int64 element; } }
    required group doc_offsets (LIST) { repeated group list { required int32 element; } }
";
const LOSS_SPANS: &str =
    "    required group loss_spans (LIST) { repeated group list { required int32 element; } }\n";

/// How many rows stand together; the manifest records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RowLayout {
    /// Rows in a row group; the last group of a shard may hold fewer.
    pub rows_per_group: usize,
    /// Rows in a page; the last page of a group may hold fewer.
    pub rows_per_page: usize,
}

impl RowLayout {
    /// The layout of rows of `row_length` tokens.
    #[must_use]
    pub fn of(row_length: usize) -> Self {
        let row_length = row_length.max(1);
        Self {
            rows_per_group: (TOKENS_PER_ROW_GROUP / row_length).max(1),
            rows_per_page: (TOKENS_PER_PAGE / row_length).max(1),
        }
    }
}

/// The part of one document that stands in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The document's key: where its record begins, counted from where the shard's stretch of the input does.
    pub doc_id: i64,
    /// How many of the document's tokens stand before this piece.
    pub doc_offset: i32,
    /// Tokens in the piece.
    pub len: i32,
}

/// The schema of a shard whose pages are compressed with `compression`.
#[must_use]
pub fn schema(compression: Compression, loss: Loss) -> Schema {
    let ids = (Encoding::Dictionary, compression);
    let pieces = (Encoding::DeltaBinaryPacked, compression);
    match loss {
        Loss::All => Schema::new(&COLUMNS, &[ids, ids, ids, pieces, pieces, pieces]),
        Loss::Spans => Schema::new(&COLUMNS_AND_SPANS, &[ids, ids, ids, pieces, pieces, pieces, pieces]),
    }
}

/// Opens the shard at `path` of a folder with this loss, as the stock reader does.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io) where it cannot be opened or read, [`Damaged`](mashbill_store::Error::Damaged) where it is
/// no Parquet file, [`Columns`](crate::Error::Columns) where it is one of other columns.
pub fn open(path: &Path, loss: Loss) -> Result<ParquetReader> {
    let file = ParquetReader::open(path)?;
    loss.check(path, file.metadata(), |loss| schema(Compression::None, loss))?;
    Ok(file)
}
