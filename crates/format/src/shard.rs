//! `shard_NNNN.parquet`: packed rows of one length.
//!
//! Six list columns, one row a training sequence. The bytes are promised: the
//! same rows give the same file, whatever thread encoded them. Therefore the
//! schema is spelled out here, no Arrow schema is embedded, `created_by` is fixed
//! and no statistics are written (ids have no order worth pruning by); the offset
//! index is written, because a loader reads rows at random.

mod column;
mod dictionary;
mod encode;
mod expectation;
mod pages;
mod read;

use serde::{Deserialize, Serialize};

pub use encode::{RowGroupEncoder, Rows};
pub use expectation::{ExpectedRows, GroupCheck, RowEnds, RowForm, Wanted};
pub use pages::{PiecePage, Scratch, ShardPages, TokenGroup, TokenPage};
pub use read::lists;
pub use read::{Row, ShardReader, ShardRows};

use mashbill_parquet::encode::{Compression, Encoding};
use mashbill_parquet::file::Schema;

/// The label of a position that has no target: what PyTorch's cross entropy ignores.
pub const IGNORED: i32 = -100;

/// Tokens in a row group, where rows are not longer: the dictionary of a group is paid once in 2^20 tokens.
const TOKENS_PER_ROW_GROUP: usize = 1 << 20;

/// Tokens in a page, where rows are not longer: one row costs the decoding of a page. Their indices fill one block
/// of Snappy's, 64 KiB; larger pages are not smaller in sum (1.45 bytes a token), half of it costs 1.8 %.
const TOKENS_PER_PAGE: usize = 1 << 15;

const MESSAGE: &str = "message shard {
    required group input_ids (LIST) { repeated group list { required int32 element; } }
    required group attention_mask (LIST) { repeated group list { required int32 element; } }
    required group labels (LIST) { repeated group list { required int32 element; } }
    required group seq_lens (LIST) { repeated group list { required int32 element; } }
    required group doc_ids (LIST) { repeated group list { required int64 element; } }
    required group doc_offsets (LIST) { repeated group list { required int32 element; } }
}";

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
pub fn schema(compression: Compression) -> Schema {
    let ids = (Encoding::Dictionary, compression);
    let pieces = (Encoding::DeltaBinaryPacked, compression);
    Schema::parse(MESSAGE, &[ids, ids, ids, pieces, pieces, pieces])
}
