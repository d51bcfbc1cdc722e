//! Documents as packed rows, as the encoder of row groups takes them.

use anyhow::{Result, ensure};
use mashbill_format::shard::{IGNORED, Piece, RowGroupEncoder, RowLayout, RowsToEncode};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_tokenizer::{Scratch, Tokenizer};

/// All documents of the input, cut into rows.
#[derive(Debug)]
pub(crate) struct Packed {
    row_length: usize,
    vocabulary_size: usize,
    pad_id: u32,
    ids: Vec<u32>,
    last_labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
}

impl Packed {
    /// Tokenizes the texts and cuts their tokens into rows of `row_length`; the last row may be padded.
    pub(crate) fn new(texts: &[(u64, String)], tokenizer: &Tokenizer, row_length: usize) -> Result<Self> {
        ensure!(row_length > 0, "rows need a length of 1 at least");
        let identity = tokenizer.identity();
        let mut packed = Self {
            row_length,
            vocabulary_size: identity.vocabulary_size as usize,
            pad_id: identity.pad.id,
            ids: Vec::new(),
            last_labels: Vec::new(),
            pieces: Vec::new(),
            pieces_in_row: Vec::new(),
        };
        let mut scratch = Scratch::new();
        for (key, text) in texts {
            let start = packed.ids.len();
            tokenizer.encode(&mut scratch, text, &mut packed.ids)?;
            packed.cut(i64::try_from(*key)?, start)?;
        }
        Ok(packed)
    }

    /// The number of tokens, padding not counted.
    pub(crate) const fn tokens(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Encodes everything and hands out the row groups, Snappy as in the command's default.
    pub(crate) fn encode(&self, mut each: impl FnMut(EncodedRowGroup)) {
        let rows_per_group = RowLayout::of(self.row_length).rows_per_group;
        let mut encoder =
            RowGroupEncoder::new(self.row_length, self.vocabulary_size, self.pad_id, Compression::Snappy);
        let mut pieces = self.pieces.as_slice();
        let groups = self.ids.chunks(rows_per_group * self.row_length);
        let counts = self.pieces_in_row.chunks(rows_per_group);
        for ((ids, last_labels), pieces_in_row) in
            groups.zip(self.last_labels.chunks(rows_per_group)).zip(counts)
        {
            let (here, rest) = pieces.split_at(pieces_in_row.iter().sum::<u32>() as usize);
            pieces = rest;
            each(encoder.encode(&RowsToEncode {
                count: last_labels.len(),
                tokens: &[ids],
                last_labels,
                pieces: here,
                pieces_in_row,
                loss_spans: None,
            }));
        }
    }

    /// Cuts the document whose tokens begin at `start` and go on to the end.
    fn cut(&mut self, doc_id: i64, start: usize) -> Result<()> {
        let mut at = start;
        while at < self.ids.len() {
            let fill = at % self.row_length;
            if fill == 0 {
                self.pieces_in_row.push(0);
                self.last_labels.push(IGNORED);
            }
            let len = (self.ids.len() - at).min(self.row_length - fill);
            self.pieces.push(Piece {
                doc_id,
                doc_offset: i32::try_from(at - start)?,
                len: i32::try_from(len)?,
            });
            *self.pieces_in_row.last_mut().expect("a row is open") += 1;
            at += len;
            if at.is_multiple_of(self.row_length) && at < self.ids.len() {
                *self.last_labels.last_mut().expect("a row is open") = i32::try_from(self.ids[at])?;
            }
        }
        Ok(())
    }
}
