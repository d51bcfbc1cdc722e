//! What each row of a shard has to hold, by its document table.
//!
//! The documents of a shard follow one another and are cut where a row ends, so their lengths say which pieces every
//! row has, and whether its last label is a token: the first one of the row after it.

use mashbill_format::loss_spans::{Loss, LossSpans, SpansBuilder, SpansCursor};
use mashbill_format::shard::{ExpectedRows, Piece};

use crate::table::{ShardTable, TableEntry, TableTotals};

/// Gives the expectation of row after row of a shard.
#[derive(Debug)]
pub(crate) struct Expectations {
    row_length: u64,
    /// Rows that are left.
    rows: u64,
    table: ShardTable,
    /// The document that is not used up.
    current: Option<Begun>,
    loss: Loss,
    /// The spans of the row in the making.
    spans: SpansBuilder,
}

/// A document of which not all tokens are used up.
#[derive(Debug)]
struct Begun {
    document: TableEntry,
    /// How many were, and how far its spans.
    used: u64,
    cursor: SpansCursor,
}

impl Expectations {
    /// The expectations of a shard of `rows` rows, of a folder with this loss.
    pub(crate) fn new(row_length: usize, rows: u64, loss: Loss, table: ShardTable) -> Self {
        let row_length = row_length.max(1) as u64;
        Self { row_length, rows, table, current: None, loss, spans: SpansBuilder::default() }
    }

    /// The expectation of the next `rows` rows.
    ///
    /// # Errors
    /// What is wrong with the document table, as a fragment.
    pub(crate) fn next(&mut self, rows: usize) -> Result<ExpectedRows, String> {
        let loss_spans = match self.loss {
            Loss::All => None,
            Loss::Spans => Some(LossSpans::default()),
        };
        let mut expected = ExpectedRows { rows, loss_spans, ..ExpectedRows::default() };
        for _ in 0..rows {
            let before = expected.pieces.len();
            self.row(&mut expected)?;
            expected.pieces_in_row.push((expected.pieces.len() - before) as u32);
        }
        Ok(expected)
    }

    /// Reads the rest of the table, whose documents have `tokens` tokens in all: what they have.
    ///
    /// # Errors
    /// What is wrong with the document table, as a fragment.
    pub(crate) fn end(mut self, tokens: u64) -> Result<TableTotals, String> {
        while self.table.next()?.is_some() {}
        if self.table.tokens() != tokens {
            return Err(format!(
                "its documents have {} tokens, and the manifest says {tokens}",
                self.table.tokens()
            ));
        }
        Ok(self.table.into_totals())
    }

    /// A row: the documents that follow.
    fn row(&mut self, expected: &mut ExpectedRows) -> Result<(), String> {
        let mut left = self.row_length;
        while left > 0 {
            let mut begun = match self.current.take() {
                Some(current) => current,
                None => match self.table.next()? {
                    Some(document) => Begun { document, used: 0, cursor: SpansCursor::default() },
                    None => break,
                },
            };
            let here = left.min(begun.document.tokens - begun.used);
            let ends = begun.used + here == begun.document.tokens;
            let piece = piece(&begun.document, begun.used, here);
            if self.loss == Loss::Spans {
                self.spans.push_next(self.table.loss_spans(), &mut begun.cursor, piece.len);
            }
            expected.pieces.push(piece);
            expected.ends.push(ends);
            left -= here;
            begun.used += here;
            self.current = Some(begun).filter(|_| !ends);
        }
        if let Some(spans) = &mut expected.loss_spans {
            spans.push(&self.spans.take());
        }
        self.rows = self.rows.saturating_sub(1);
        // Only the last row may be short, and it has something.
        if left == self.row_length || (left > 0 && self.rows > 0) {
            return Err(format!(
                "its documents end after {} tokens, before its rows do",
                self.table.tokens()
            ));
        }
        expected.real += (self.row_length - left) as usize;
        Ok(())
    }
}

fn piece(document: &TableEntry, used: u64, tokens: u64) -> Piece {
    // A document of the table has fewer than 2^31 tokens.
    Piece { doc_id: document.doc_id, doc_offset: used as i32, len: tokens as i32 }
}
