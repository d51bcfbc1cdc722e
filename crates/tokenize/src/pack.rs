//! Documents to rows: joined where they are short, cut where they are long, nothing dropped.
//!
//! Packing copies no token. It decides which stretch of which block a row is made of
//! and hands that to the encoder, so the one thread that packs does a few steps a
//! document and a row, and no work a token.

use std::ops::Range;
use std::sync::Arc;

use mashbill_format::loss_spans::{Loss, LossSpans, SpansBuilder, SpansCursor};
use mashbill_format::shard::{IGNORED, Piece, RowsToEncode};

/// Rows that are ready to be encoded as one row group.
#[derive(Debug)]
pub(crate) struct PackedRows {
    count: usize,
    tokens: Vec<TokenStretch>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
    loss_spans: Option<LossSpans>,
}

/// Tokens where they are.
#[derive(Debug, Clone)]
struct TokenStretch {
    ids: Arc<Vec<u32>>,
    range: Range<usize>,
}

impl PackedRows {
    /// Calls `encode` with the rows as the encoder takes them.
    pub(crate) fn with_rows<T>(&self, encode: impl FnOnce(&RowsToEncode<'_>) -> T) -> T {
        let tokens: Vec<&[u32]> = self.tokens.iter().map(|s| &s.ids[s.range.clone()]).collect();
        encode(&RowsToEncode {
            count: self.count,
            tokens: &tokens,
            last_labels: &self.last_labels,
            pieces: &self.pieces,
            pieces_in_row: &self.pieces_in_row,
            loss_spans: self.loss_spans.as_ref(),
        })
    }

    /// The blocks' ids, each time a stretch of them is a part of these rows.
    pub(crate) fn into_ids(self) -> impl Iterator<Item = Arc<Vec<u32>>> {
        self.tokens.into_iter().map(|stretch| stretch.ids)
    }

    /// How many tokens there are, padding aside.
    pub(crate) fn tokens(&self) -> usize {
        self.tokens.iter().map(|stretch| stretch.range.len()).sum()
    }

    /// How many rows there are.
    #[cfg(test)]
    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

/// Where a token stands in the rows of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The row, from 0.
    pub(crate) row: i64,
    /// The position in it.
    pub(crate) position: i32,
}

/// Packs the documents of a shard, in order.
#[derive(Debug)]
pub(crate) struct Packer {
    row_length: usize,
    rows_per_group: usize,
    /// Tokens that stand in no group that was handed out.
    tokens: Vec<TokenStretch>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
    /// Which tokens of closed rows are learned, where not all are; and those of the row that is being filled.
    loss_spans: Option<LossSpans>,
    open_spans: SpansBuilder,
    /// The row that is being filled, its tokens, and its pieces.
    row: i64,
    fill: usize,
    open_pieces: u32,
}

impl Packer {
    pub(crate) fn new(row_length: usize, rows_per_group: usize, loss: Loss) -> Self {
        Self {
            row_length,
            rows_per_group,
            tokens: Vec::new(),
            last_labels: Vec::new(),
            pieces: Vec::new(),
            pieces_in_row: Vec::new(),
            loss_spans: match loss {
                Loss::All => None,
                Loss::Spans => Some(LossSpans::default()),
            },
            open_spans: SpansBuilder::default(),
            row: 0,
            fill: 0,
            open_pieces: 0,
        }
    }

    /// Where the next document's first token will stand.
    pub(crate) fn next_position(&self) -> Position {
        let position = i32::try_from(self.fill).expect("rows are shorter than 2^31");
        Position { row: self.row, position }
    }

    /// Takes in a document whose tokens are those from `start` on in `ids`, and hands out the row groups that became full.
    /// `spans` are the document's, where not all tokens are learned.
    pub(crate) fn push(
        &mut self,
        ids: &Arc<Vec<u32>>,
        start: usize,
        document: Piece,
        spans: &[i32],
        groups: &mut Vec<PackedRows>,
    ) {
        let (mut at, mut cursor) = (start, SpansCursor::default());
        let mut stretch_start = start;
        let mut rest = document;
        while rest.len > 0 {
            let room = self.row_length - self.fill;
            let taken = room.min(usize::try_from(rest.len).expect("a positive length"));
            let length = i32::try_from(taken).expect("no longer than the document");
            self.pieces.push(Piece { len: length, ..rest });
            rest = Piece { doc_offset: rest.doc_offset + length, len: rest.len - length, ..rest };
            at += taken;
            self.fill += taken;
            self.open_pieces += 1;
            if self.loss_spans.is_some() {
                self.open_spans.push_next(spans, &mut cursor, length);
            }
            if self.fill == self.row_length {
                let has_target = rest.len > 0 && (spans.is_empty() || cursor.is_learned());
                self.close_row(if has_target { label(ids[at]) } else { IGNORED });
                if self.pieces_in_row.len() == self.rows_per_group {
                    self.stretch(ids, stretch_start..at);
                    stretch_start = at;
                    groups.extend(self.take_rows());
                }
            }
        }
        self.stretch(ids, stretch_start..at);
    }

    /// Forgets the rows so far: for a caller that only wants to know where tokens are.
    pub(crate) fn forget_rows(&mut self) {
        self.tokens.clear();
        drop(self.take_rows());
        self.pieces.clear();
        self.open_spans.clear();
        self.open_pieces = 0;
    }

    /// Ends the shard: its last rows, of which the very last may be filled up with padding.
    pub(crate) fn end(&mut self) -> Option<PackedRows> {
        if self.fill > 0 {
            self.close_row(IGNORED);
        }
        self.take_rows()
    }

    fn close_row(&mut self, last_label: i32) {
        self.last_labels.push(last_label);
        self.pieces_in_row.push(self.open_pieces);
        if let Some(spans) = &mut self.loss_spans {
            spans.push(self.open_spans.spans());
            self.open_spans.clear();
        }
        self.open_pieces = 0;
        self.fill = 0;
        self.row += 1;
    }

    fn stretch(&mut self, ids: &Arc<Vec<u32>>, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.tokens.last_mut() {
            Some(last) if last.range.end == range.start && Arc::ptr_eq(&last.ids, ids) => {
                last.range.end = range.end;
            }
            _ => self.tokens.push(TokenStretch { ids: Arc::clone(ids), range }),
        }
    }

    /// All closed rows; no token of an open row is there.
    fn take_rows(&mut self) -> Option<PackedRows> {
        if self.pieces_in_row.is_empty() {
            return None;
        }
        Some(PackedRows {
            count: self.pieces_in_row.len(),
            tokens: std::mem::take(&mut self.tokens),
            last_labels: std::mem::take(&mut self.last_labels),
            pieces: std::mem::take(&mut self.pieces),
            pieces_in_row: std::mem::take(&mut self.pieces_in_row),
            loss_spans: self.loss_spans.as_mut().map(std::mem::take),
        })
    }
}

fn label(id: u32) -> i32 {
    i32::try_from(id).expect("a vocabulary has fewer than 2^31 ids")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows as plain values: tokens, last label, pieces.
    type Row = (Vec<u32>, i32, Vec<Piece>);

    fn rows(packed: &PackedRows, row_length: usize) -> Vec<Row> {
        packed.with_rows(|rows| {
            let tokens = rows.tokens.concat();
            let mut pieces = rows.pieces.iter().copied();
            (0..rows.count)
                .map(|row| {
                    let start = row * row_length;
                    let end = tokens.len().min(start + row_length);
                    let count = rows.pieces_in_row[row] as usize;
                    (
                        tokens[start..end].to_vec(),
                        rows.last_labels[row],
                        pieces.by_ref().take(count).collect(),
                    )
                })
                .collect()
        })
    }

    proptest! {
        /// Nothing lost, nothing invented, in order, each where it is said to begin: whatever the documents, rows and
        /// cuts into blocks, and whatever of a block belongs to another part.
        #[test]
        fn rows_are_the_documents(
            row_length in 1usize..12,
            rows_per_group in 1usize..5,
            blocks in prop::collection::vec(prop::collection::vec((0usize..30, any::<bool>()), 0..6), 1..6),
        ) {
            let mut packer = Packer::new(row_length, rows_per_group, Loss::All);
            // The documents by their lengths; ids count up, so order and loss both show.
            let (mut next_id, mut kept, mut expected) = (0u32, Vec::new(), Vec::new());
            let mut all: Vec<Row> = Vec::new();
            for block in &blocks {
                let first = next_id;
                let count: usize = block.iter().map(|(len, _)| len).sum();
                let ids = Arc::new((first..first + count as u32).collect::<Vec<_>>());
                let mut groups = Vec::new();
                for &(len, is_kept) in block {
                    if is_kept {
                        let doc_id = kept.len() as i64;
                        kept.push((next_id, len, packer.next_position()));
                        expected.extend(next_id..next_id + len as u32);
                        let start = (next_id - first) as usize;
                        packer.push(&ids, start, Piece { doc_id, doc_offset: 0, len: len as i32 }, &[], &mut groups);
                    }
                    next_id += len as u32;
                }
                for group in groups {
                    prop_assert_eq!(group.count(), rows_per_group);
                    all.extend(rows(&group, row_length));
                }
            }
            all.extend(packer.end().iter().flat_map(|group| rows(group, row_length)));
            let stream: Vec<u32> = all.iter().flat_map(|row| row.0.clone()).collect();
            prop_assert_eq!(&stream, &expected);
            // Only the very last row may be short.
            let full = all.len().saturating_sub(1);
            prop_assert!(all[..full].iter().all(|row| row.0.len() == row_length));
            let mut seen = vec![0usize; kept.len()];
            for (tokens, last_label, pieces) in &all {
                let mut at = 0;
                for piece in pieces {
                    let (first, len, _) = kept[piece.doc_id as usize];
                    prop_assert_eq!(tokens[at], first + piece.doc_offset as u32);
                    at += piece.len as usize;
                    seen[piece.doc_id as usize] += piece.len as usize;
                    if at == row_length {
                        let end = (piece.doc_offset + piece.len) as usize;
                        let expected = if end < len { (first as usize + end) as i32 } else { IGNORED };
                        prop_assert_eq!(*last_label, expected);
                    }
                }
                prop_assert_eq!(at, tokens.len());
            }
            prop_assert_eq!(seen, kept.iter().map(|document| document.1).collect::<Vec<_>>());
            for &(first, len, Position { row, position }) in &kept {
                if len > 0 {
                    prop_assert_eq!(all[row as usize].0[position as usize], first);
                }
            }
        }
    }
}
