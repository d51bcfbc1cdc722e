//! `_documents/shard_NNNN.documents`: where each document of a shard stands. Parquet inside.
//!
//! One row a document, in input order: enough to lead from a token to its record
//! and back, for a few bytes a document beside the 16 of its content's hash. It
//! cannot be added later without reading the input again, so it is always written.

mod encode;
mod key;
mod read;
mod texts;

pub use encode::DocumentsEncoder;
pub use key::DocumentKey;
pub use read::content_hash;
pub use read::{DocumentReader, read};

use std::path::Path;

use mashbill_parquet::encode::{Compression, Encoding};
use mashbill_parquet::file::{Message, Schema, parse};
use mashbill_parquet::reader::ParquetReader;
use mashbill_store::checksum::Checksum;

use crate::error::Result;
use crate::loss_spans::Loss;

static COLUMNS: Message = Message::new(|| parse(&format!("{MESSAGE}}}")));

static COLUMNS_AND_SPANS: Message = Message::new(|| parse(&format!("{MESSAGE}{LOSS_SPANS}}}")));

/// The schema, to be closed behind its last column.
const MESSAGE: &str = "message documents {
    required int64 doc_id;
    optional binary id (STRING);
    optional binary source (STRING);
    optional binary category (STRING);
    required fixed_len_byte_array(16) content_hash;
    required int64 tokens;
    required int64 row;
    required int32 position;
";
const LOSS_SPANS: &str =
    "    required group loss_spans (LIST) { repeated group list { required int32 element; } }\n";

/// One document; `Text` is `&str` where it is written and `String` where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<Text> {
    /// The key: where the record begins, counted from where the shard's stretch of the input does; 0 or more.
    pub doc_id: i64,
    /// The record's own `id`.
    pub id: Option<Text>,
    /// The record's `source`.
    pub source: Option<Text>,
    /// The record's `category`.
    pub category: Option<Text>,
    /// XXH3-128 of the text.
    pub content_hash: Checksum,
    /// Tokens, BOS and EOS included; 0 or more.
    pub tokens: i64,
    /// The row of the shard in which its first token stands, from 0. Its tokens follow one another from there on, row
    /// after row.
    pub row: i64,
    /// The position in that row, from 0.
    pub position: i32,
    /// Which of its tokens are learned, as run lengths; empty in a table without such a column: all of them.
    pub loss_spans: Vec<i32>,
}

impl Document<String> {
    /// The same document as it is written, its texts borrowed.
    #[must_use]
    pub fn as_deref(&self) -> Document<&str> {
        Document {
            doc_id: self.doc_id,
            id: self.id.as_deref(),
            source: self.source.as_deref(),
            category: self.category.as_deref(),
            content_hash: self.content_hash,
            tokens: self.tokens,
            row: self.row,
            position: self.position,
            loss_spans: self.loss_spans.clone(),
        }
    }
}

/// The schema of a document table whose pages are compressed with `compression`.
#[must_use]
pub fn schema(compression: Compression, loss: Loss) -> Schema {
    let text = (Encoding::Plain, compression);
    let integer = (Encoding::DeltaBinaryPacked, compression);
    // A hash cannot be compressed, so nobody should try.
    let hash = (Encoding::Plain, Compression::None);
    let columns = [integer, text, text, text, hash, integer, integer, integer];
    match loss {
        Loss::All => Schema::new(&COLUMNS, &columns),
        Loss::Spans => Schema::new(&COLUMNS_AND_SPANS, &[&columns[..], &[integer]].concat()),
    }
}

/// Opens the document table at `path` of a folder with this loss, as the stock reader does.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io) where it cannot be opened or read, [`Damaged`](mashbill_store::Error::Damaged) where it is
/// no Parquet file, [`Columns`](crate::Error::Columns) where it is one of other columns.
pub fn open(path: &Path, loss: Loss) -> Result<ParquetReader> {
    let file = ParquetReader::open(path)?;
    loss.check(path, file.metadata(), |loss| schema(Compression::None, loss))?;
    Ok(file)
}
