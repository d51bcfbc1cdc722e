//! A shard's document table as a stream of numbers, checked against itself as it goes by.
//!
//! Texts and hashes are left out here: they cost ten times the numbers and are looked at by another thread.

use std::path::Path;

use mashbill_format::documents::{self, content_hash};
use mashbill_format::error::Result;
use mashbill_format::loss_spans::{self, Loss, LossSpans};
use mashbill_format::stats::LengthHistogram;
use mashbill_parquet::reader::next_lists;
use mashbill_parquet::reader::{ParquetReader, damaged, reading};
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result as ParquetResult};

use crate::gather::DocumentSeen;

const BATCH_ROWS: usize = 4096;

/// The columns by their place in the schema.
const DOC_ID: usize = 0;
const TEXTS: [usize; 3] = [1, 2, 3];
const CONTENT_HASH: usize = 4;
const TOKENS: usize = 5;
const ROW: usize = 6;
const POSITION: usize = 7;
const LOSS_SPANS: usize = 8;

/// A document's key, counted from where its shard's stretch of the input begins, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) doc_id: i64,
    pub(crate) tokens: u64,
}

/// The documents of a shard in order.
pub(crate) struct ShardTable {
    file: ParquetReader,
    loss: Loss,
    next_group: usize,
    rows_left: usize,
    columns: Option<TableColumns>,
    batch: TableBatch,
    /// How many rows of the batch were given.
    given: usize,
    row_length: u64,
    /// Every key is smaller.
    key_end: u64,
    /// The document after the last one that was given, and its first token.
    document: u64,
    token: u64,
    last_id: i64,
    totals: TableTotals,
}

/// What the documents of a table have in all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TableTotals {
    /// Tokens a document.
    pub(crate) lengths: LengthHistogram,
    /// Tokens on which there is a loss, where not all are learned.
    pub(crate) learned_tokens: u64,
}

/// Rows of the table.
#[derive(Debug, Default)]
struct TableBatch {
    doc_id: Vec<i64>,
    tokens: Vec<i64>,
    row: Vec<i64>,
    position: Vec<i32>,
    loss_spans: Option<LossSpans>,
}

impl TableBatch {
    fn spans_of(&self, at: usize) -> &[i32] {
        self.loss_spans.as_ref().map_or(&[], |spans| spans.of(at))
    }
}

struct TableColumns {
    doc_id: ColumnReaderImpl<Int64Type>,
    tokens: ColumnReaderImpl<Int64Type>,
    row: ColumnReaderImpl<Int64Type>,
    position: ColumnReaderImpl<Int32Type>,
    loss_spans: Option<ColumnReaderImpl<Int32Type>>,
}

impl ShardTable {
    /// Opens the table at `path` of a folder with this loss, of rows of `row_length` tokens, made of a stretch of which every
    /// key is below `key_end`.
    pub(crate) fn open(path: &Path, row_length: usize, loss: Loss, key_end: u64) -> Result<Self> {
        Ok(Self {
            file: documents::open(path, loss)?,
            loss,
            next_group: 0,
            rows_left: 0,
            columns: None,
            batch: TableBatch::default(),
            given: 0,
            row_length: row_length.max(1) as u64,
            key_end,
            document: 0,
            token: 0,
            last_id: -1,
            totals: TableTotals::default(),
        })
    }

    /// Documents in the table.
    pub(crate) fn rows(&self) -> u64 {
        self.file.rows()
    }

    /// Tokens of the documents that were given.
    pub(crate) const fn tokens(&self) -> u64 {
        self.token
    }

    /// The next document; none after the last.
    ///
    /// # Errors
    /// What is wrong with the table, as a fragment.
    pub(crate) fn next(&mut self) -> std::result::Result<Option<TableEntry>, String> {
        if self.given == self.batch.doc_id.len() {
            self.batch = reading(|| self.read_batch()).map_err(|error| error.to_string())?;
            self.given = 0;
        }
        let at = self.given;
        let Some(&doc_id) = self.batch.doc_id.get(at) else { return Ok(None) };
        self.check(at)?;
        let tokens = self.batch.tokens[at] as u64;
        self.given += 1;
        self.last_id = doc_id;
        self.document += 1;
        self.token += tokens;
        self.totals.lengths.count(tokens);
        let learned = self.batch.spans_of(at).iter().skip(1).step_by(2).map(|&tokens| tokens as u64);
        self.totals.learned_tokens += learned.sum::<u64>();
        Ok(Some(TableEntry { doc_id, tokens }))
    }

    /// Which tokens of the document that was given last are learned; empty where all are.
    pub(crate) fn loss_spans(&self) -> &[i32] {
        self.given.checked_sub(1).map_or(&[], |at| self.batch.spans_of(at))
    }

    /// What the documents have, when all were given.
    pub(crate) fn into_totals(self) -> TableTotals {
        self.totals
    }

    /// Whether a document stands where the ones before it leave off.
    fn check(&self, row: usize) -> std::result::Result<(), String> {
        let (at, batch) = (self.document, &self.batch);
        let (doc_id, tokens) = (batch.doc_id[row], batch.tokens[row]);
        if doc_id <= self.last_id {
            return Err(format!("document {at} has the key {doc_id} after {}", self.last_id));
        }
        if doc_id as u64 >= self.key_end {
            return Err(format!(
                "document {at} has the key {doc_id}, and the shard's stretch of the input ends at {}",
                self.key_end
            ));
        }
        if tokens < 1 || tokens > i64::from(i32::MAX) {
            return Err(format!("document {at} has {tokens} tokens"));
        }
        let place = ((self.token / self.row_length) as i64, (self.token % self.row_length) as i64);
        let found = (batch.row[row], i64::from(batch.position[row]));
        if place != found {
            return Err(format!(
                "document {at} stands at row {}, position {}, and the documents before it end at row {}, position {}",
                found.0, found.1, place.0, place.1
            ));
        }
        if self.loss == Loss::Spans {
            loss_spans::check(batch.spans_of(row), tokens as u64)
                .map_err(|what| format!("document {at}: {what}"))?;
        }
        Ok(())
    }

    fn read_batch(&mut self) -> ParquetResult<TableBatch> {
        while self.rows_left == 0 && self.next_group < self.file.groups() {
            let group = self.file.group(self.next_group);
            self.next_group += 1;
            self.rows_left = group.rows();
            self.columns = Some(TableColumns {
                doc_id: get_typed_column_reader(group.column(DOC_ID)?),
                tokens: get_typed_column_reader(group.column(TOKENS)?),
                row: get_typed_column_reader(group.column(ROW)?),
                position: get_typed_column_reader(group.column(POSITION)?),
                loss_spans: match self.loss {
                    Loss::All => None,
                    Loss::Spans => Some(get_typed_column_reader(group.column(LOSS_SPANS)?)),
                },
            });
        }
        let rows = self.rows_left.min(BATCH_ROWS);
        self.rows_left -= rows;
        let Some(columns) = self.columns.as_mut().filter(|_| rows > 0) else {
            return Ok(TableBatch::default());
        };
        let spans = columns.loss_spans.as_mut().map(|column| next_lists(column, rows)).transpose()?;
        let loss_spans = spans.map(|(lengths, in_row)| {
            LossSpans::from_parts(lengths, &in_row)
                .ok_or_else(|| ParquetError::General("loss_spans and their counts differ".into()))
        });
        Ok(TableBatch {
            doc_id: required(&mut columns.doc_id, rows)?,
            tokens: required(&mut columns.tokens, rows)?,
            row: required(&mut columns.row, rows)?,
            position: required(&mut columns.position, rows)?,
            loss_spans: loss_spans.transpose()?,
        })
    }
}

/// Reads the texts and hashes of the table at `path` once, to see that they can be; `each` gets the row of each
/// document and what stands there, its learned tokens only where `reads_spans`.
///
/// # Errors
/// [`Damaged`](mashbill_store::Error::Damaged), [`Io`](mashbill_store::Error::Io).
pub(crate) fn check_texts(
    path: &Path,
    loss: Loss,
    reads_spans: bool,
    each: &mut dyn FnMut(u64, &DocumentSeen<'_>),
) -> Result<()> {
    let file = documents::open(path, loss)?;
    let mut row = 0;
    let read = || -> ParquetResult<()> {
        for index in 0..file.groups() {
            let group = file.group(index);
            let rows = group.rows();
            let text = |column| {
                group.column(column).map(get_typed_column_reader::<ByteArrayType>).map(OptionalTexts::new)
            };
            let [mut ids, mut sources, mut categories] = [text(TEXTS[0])?, text(TEXTS[1])?, text(TEXTS[2])?];
            let mut hashes: ColumnReaderImpl<FixedLenByteArrayType> =
                get_typed_column_reader(group.column(CONTENT_HASH)?);
            let mut tokens: ColumnReaderImpl<Int64Type> = get_typed_column_reader(group.column(TOKENS)?);
            let mut spans: Option<ColumnReaderImpl<Int32Type>> = match loss {
                Loss::Spans if reads_spans => Some(get_typed_column_reader(group.column(LOSS_SPANS)?)),
                Loss::Spans | Loss::All => None,
            };
            let mut left = rows;
            while left > 0 {
                let rows = left.min(BATCH_ROWS);
                left -= rows;
                ids.read(rows)?;
                sources.read(rows)?;
                categories.read(rows)?;
                let hashes = required(&mut hashes, rows)?;
                let tokens = required(&mut tokens, rows)?;
                let spans = spans.as_mut().map(|column| next_lists(column, rows)).transpose()?;
                let mut learned = spans.map(|(lengths, in_row)| learned_of(&lengths, &in_row).into_iter());
                for (hash, tokens) in hashes.iter().zip(tokens) {
                    ids.next()?;
                    let tokens = u64::try_from(tokens).unwrap_or(0);
                    let document = DocumentSeen {
                        source: sources.next()?,
                        category: categories.next()?,
                        content_hash: content_hash(hash),
                        tokens,
                        learned_tokens: learned
                            .as_mut()
                            .map_or(tokens, |learned| learned.next().unwrap_or(0)),
                    };
                    each(row, &document);
                    row += 1;
                }
            }
        }
        Ok(())
    };
    Ok(reading(read).map_err(|error| damaged(path, &error))?)
}

/// How many tokens of each document are learned, by the spans of all, `in_row` of which are one document's.
fn learned_of(lengths: &[i32], in_row: &[u32]) -> Vec<u64> {
    let mut rest = lengths;
    let each = in_row.iter().map(|&count| {
        let (spans, others) = rest.split_at((count as usize).min(rest.len()));
        rest = others;
        spans.iter().skip(1).step_by(2).map(|&tokens| u64::try_from(tokens).unwrap_or(0)).sum()
    });
    each.collect()
}

/// An optional column of texts, read in batches.
struct OptionalTexts {
    column: ColumnReaderImpl<ByteArrayType>,
    definitions: Vec<i16>,
    values: Vec<ByteArray>,
    /// The next row of the batch, and the next of its values.
    row: usize,
    value: usize,
}

impl OptionalTexts {
    const fn new(column: ColumnReaderImpl<ByteArrayType>) -> Self {
        Self { column, definitions: Vec::new(), values: Vec::new(), row: 0, value: 0 }
    }

    /// Reads the next `rows` rows.
    fn read(&mut self, rows: usize) -> ParquetResult<()> {
        self.definitions.clear();
        self.values.clear();
        (self.row, self.value) = (0, 0);
        let mut left = rows;
        while left > 0 {
            let read = self.column.read_records(left, Some(&mut self.definitions), None, &mut self.values)?.0;
            match read {
                0 => return Err(ParquetError::General(format!("{left} rows are missing"))),
                some => left -= some,
            }
        }
        Ok(())
    }

    /// The text of the batch's next row.
    fn next(&mut self) -> ParquetResult<Option<&str>> {
        let is_there = self.definitions.get(self.row).is_some_and(|&definition| definition > 0);
        self.row += 1;
        if !is_there {
            return Ok(None);
        }
        self.value += 1;
        let value = self.values.get(self.value - 1);
        value.ok_or_else(|| ParquetError::General("a text is missing".into()))?.as_utf8().map(Some)
    }
}

/// The next `rows` values of a required column.
fn required<T: DataType>(column: &mut ColumnReaderImpl<T>, rows: usize) -> ParquetResult<Vec<T::T>> {
    let mut values = Vec::with_capacity(rows);
    let mut left = rows;
    while left > 0 {
        match column.read_records(left, None, None, &mut values)?.0 {
            0 => return Err(ParquetError::General(format!("{left} rows are missing"))),
            some => left -= some,
        }
    }
    Ok(values)
}

impl std::fmt::Debug for ShardTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("document", &self.document).finish_non_exhaustive()
    }
}
