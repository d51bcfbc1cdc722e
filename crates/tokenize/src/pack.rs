//! Documents to rows: joined where they are short, cut where they are long, nothing dropped.
//!
//! Packing copies no token. It decides which stretch of which block a row is made of
//! and hands that to the encoder, so the one thread that packs does a few steps a
//! document and a row, and no work a token.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use mashbill_format::journal::Tail;
use mashbill_format::shard::{IGNORED, Piece, Rows};

/// Rows that are ready to be encoded as one row group.
#[derive(Debug)]
pub(crate) struct PackedRows {
    count: usize,
    tokens: Vec<Stretch>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
}

/// Tokens where they are.
#[derive(Debug, Clone)]
struct Stretch {
    ids: Arc<Vec<u32>>,
    range: Range<usize>,
}

impl PackedRows {
    /// Calls `encode` with the rows as the encoder takes them.
    pub(crate) fn with_rows<T>(&self, encode: impl FnOnce(&Rows<'_>) -> T) -> T {
        let tokens: Vec<&[u32]> = self.tokens.iter().map(|s| &s.ids[s.range.clone()]).collect();
        encode(&Rows {
            count: self.count,
            tokens: &tokens,
            last_labels: &self.last_labels,
            pieces: &self.pieces,
            pieces_in_row: &self.pieces_in_row,
        })
    }

    /// The blocks' ids, each time a stretch of them is a part of these rows.
    pub(crate) fn into_ids(self) -> impl Iterator<Item = Arc<Vec<u32>>> {
        self.tokens.into_iter().map(|stretch| stretch.ids)
    }

    /// How many rows there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }
}

/// Packs the documents of one unit after another, in order.
#[derive(Debug)]
pub(crate) struct Packer {
    row_length: usize,
    rows_per_group: usize,
    /// Tokens that stand in no group that was handed out.
    tokens: VecDeque<Stretch>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
    /// Tokens in the row that is being filled, and its pieces.
    fill: usize,
    open_pieces: u32,
}

impl Packer {
    pub(crate) fn new(row_length: usize, rows_per_group: usize) -> Self {
        Self {
            row_length,
            rows_per_group,
            tokens: VecDeque::new(),
            last_labels: Vec::new(),
            pieces: Vec::new(),
            pieces_in_row: Vec::new(),
            fill: 0,
            open_pieces: 0,
        }
    }

    /// Takes in documents, or the rest of them, whose tokens follow one another in `ids`, and hands out
    /// the row groups that became full.
    pub(crate) fn push(
        &mut self,
        ids: &Arc<Vec<u32>>,
        documents: impl IntoIterator<Item = Piece>,
    ) -> Vec<PackedRows> {
        let mut at = 0;
        let mut groups = Vec::new();
        let mut stretch_start = 0;
        for document in documents {
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
                if self.fill == self.row_length {
                    self.close_row(if rest.len > 0 { label(ids[at]) } else { IGNORED });
                    if self.pieces_in_row.len() == self.rows_per_group {
                        self.stretch(ids, stretch_start..at);
                        stretch_start = at;
                        groups.extend(self.take_rows());
                    }
                }
            }
        }
        debug_assert_eq!(at, ids.len(), "the documents cover the ids");
        self.stretch(ids, stretch_start..at);
        groups
    }

    /// Ends the unit: its last full rows, if any, and what is left after them.
    pub(crate) fn end_unit(&mut self) -> (Option<PackedRows>, Tail) {
        let open = self.pieces.len() - self.open_pieces as usize;
        let pieces = self.pieces.split_off(open);
        let tokens = self.split_off_tokens(self.fill);
        self.fill = 0;
        self.open_pieces = 0;
        (self.take_rows(), Tail { tokens, pieces })
    }

    /// Ends the split: the last rows, of which the very last may be filled up with padding.
    pub(crate) fn end_split(&mut self) -> Option<PackedRows> {
        if self.fill > 0 {
            self.close_row(IGNORED);
        }
        self.take_rows()
    }

    fn close_row(&mut self, last_label: i32) {
        self.last_labels.push(last_label);
        self.pieces_in_row.push(self.open_pieces);
        self.open_pieces = 0;
        self.fill = 0;
    }

    fn stretch(&mut self, ids: &Arc<Vec<u32>>, range: Range<usize>) {
        if !range.is_empty() {
            self.tokens.push_back(Stretch { ids: Arc::clone(ids), range });
        }
    }

    /// All closed rows; no token of an open row is there.
    fn take_rows(&mut self) -> Option<PackedRows> {
        if self.pieces_in_row.is_empty() {
            return None;
        }
        Some(PackedRows {
            count: self.pieces_in_row.len(),
            tokens: self.tokens.drain(..).collect(),
            last_labels: std::mem::take(&mut self.last_labels),
            pieces: std::mem::take(&mut self.pieces),
            pieces_in_row: std::mem::take(&mut self.pieces_in_row),
        })
    }

    /// The last `count` tokens, taken out.
    fn split_off_tokens(&mut self, count: usize) -> Vec<u32> {
        let mut missing = count;
        let mut stretches = Vec::new();
        while missing > 0 {
            let last = self.tokens.back_mut().expect("an open row has tokens");
            let taken = missing.min(last.range.len());
            last.range.end -= taken;
            stretches.push((Arc::clone(&last.ids), last.range.end..last.range.end + taken));
            if last.range.is_empty() {
                self.tokens.pop_back();
            }
            missing -= taken;
        }
        let mut tokens = Vec::with_capacity(count);
        for (ids, range) in stretches.into_iter().rev() {
            tokens.extend_from_slice(&ids[range]);
        }
        tokens
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
        /// Nothing lost, nothing invented, in order: whatever the documents, rows and cuts into blocks.
        #[test]
        fn rows_and_tails_put_together_are_the_documents(
            row_length in 1usize..12,
            rows_per_group in 1usize..5,
            units in prop::collection::vec(prop::collection::vec(prop::collection::vec(0usize..30, 0..6), 1..4), 1..5),
        ) {
            let mut packer = Packer::new(row_length, rows_per_group);
            let mut next_id = 0u32;
            let mut next_doc = 0i64;
            // The documents by their lengths; ids count up, so order and loss both show.
            let mut first_id_of = Vec::new();
            let mut full = Vec::new();
            let mut tails = Vec::new();
            let mut unit_ids = Vec::new();
            for unit in &units {
                let unit_start = next_id;
                let mut unit_rows: Vec<Row> = Vec::new();
                for block in unit {
                    let start = next_id;
                    let documents: Vec<Piece> = block.iter().map(|&len| {
                        first_id_of.push((next_id, len));
                        next_id += len as u32;
                        next_doc += 1;
                        Piece { doc_id: next_doc - 1, doc_offset: 0, len: len as i32 }
                    }).collect();
                    let ids = Arc::new((start..next_id).collect::<Vec<_>>());
                    for group in packer.push(&ids, documents) {
                        prop_assert_eq!(group.count(), rows_per_group);
                        unit_rows.extend(rows(&group, row_length));
                    }
                }
                let (last, tail) = packer.end_unit();
                unit_rows.extend(last.iter().flat_map(|group| rows(group, row_length)));
                let stream: Vec<u32> = unit_rows.iter().flat_map(|row| row.0.clone()).chain(tail.tokens.clone()).collect();
                prop_assert_eq!(stream, (unit_start..next_id).collect::<Vec<_>>());
                prop_assert!(tail.tokens.len() < row_length);
                prop_assert!(unit_rows.iter().all(|row| row.0.len() == row_length));
                unit_ids.extend(tail.tokens.clone());
                full.extend(unit_rows);
                tails.push(tail);
            }
            let mut last_rows = Vec::new();
            for tail in tails {
                for group in packer.push(&Arc::new(tail.tokens), tail.pieces) {
                    last_rows.extend(rows(&group, row_length));
                }
            }
            last_rows.extend(packer.end_split().iter().flat_map(|group| rows(group, row_length)));
            let stream: Vec<u32> = last_rows.iter().flat_map(|row| row.0.clone()).collect();
            prop_assert_eq!(stream, unit_ids);
            // Only the very last row may be short.
            let short = last_rows.iter().filter(|row| row.0.len() < row_length).count();
            prop_assert!(short <= 1 && last_rows.iter().rev().skip(1).all(|row| row.0.len() == row_length));

            let mut seen = vec![0usize; first_id_of.len()];
            for (tokens, last_label, pieces) in full.iter().chain(&last_rows) {
                let mut at = 0;
                for piece in pieces {
                    let (first, len) = first_id_of[piece.doc_id as usize];
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
            prop_assert_eq!(seen, first_id_of.iter().map(|d| d.1).collect::<Vec<_>>());
        }
    }
}
