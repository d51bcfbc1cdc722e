//! One rank's rows of one step, as the arrays a model takes.
//!
//! Only ids are read. Labels are the ids moved by one where they are learned, the mask is where padding begins, positions
//! and borders follow from the documents' lengths; all are written once, in the types that PyTorch wants (its cross entropy
//! takes no labels of 32 bits).

use mashbill_format::loss_spans::{append_aligned, append_shifted};
use mashbill_format::recipe::LoaderState;
use mashbill_format::shard::{IGNORED, Piece};

use crate::rows::RowBuffer;

/// What the label of a position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelAlignment {
    /// The next token: what a loss takes that compares `logits[i]` with `labels[i]`.
    Shifted,
    /// The token itself: what Hugging Face's models take, which shift by themselves. The target of a row's last
    /// position, which stands in another row, cannot be expressed so.
    Aligned,
}

/// The columns of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// What labels are.
    pub labels: LabelAlignment,
    /// Whether there is an `attention_mask`. Beside `position_ids` it turns packed attention off in transformers.
    pub attention_mask: bool,
    /// Whether there are `position_ids`, `seq_lens`, `cu_seqlens` and pieces.
    pub documents: bool,
    /// Whether the first token of a document is no target.
    pub mask_borders: bool,
}

/// The rows of one step. All arrays are row after row, `rows.len() * row_length` long, unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The step, from 0.
    pub step: u64,
    /// The epoch of its first row; with a mixture, 0.
    pub epoch: u64,
    /// Whether an epoch ends in or with this step.
    pub ends_epoch: bool,
    /// The numbers of the rows in the dataset.
    pub rows: Vec<u64>,
    /// Tokens in a row.
    pub row_length: usize,
    /// Token ids.
    pub input_ids: Vec<i32>,
    /// Labels; -100 where there is no target.
    pub labels: Vec<i64>,
    /// 1 for a token, 0 for padding; empty where it is not wanted.
    pub attention_mask: Vec<i32>,
    /// The documents in the rows, where they are wanted.
    pub documents: Option<BatchDocuments>,
    /// Rows that could not be read and are all padding.
    pub skipped: u64,
    /// The state after this step: what to resume from once it was trained on.
    pub state: LoaderState,
}

/// The documents in the rows of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchDocuments {
    /// The position of each token in its piece of a document, from 0; padding counts as a piece.
    pub position_ids: Vec<i32>,
    /// Where each piece begins in the batch, padding counted as a piece, and the end: what FlashAttention's varlen
    /// kernels call `cu_seqlens`.
    pub cu_seqlens: Vec<i32>,
    /// The length of the longest piece, padding counted as one.
    pub max_seqlen: i32,
    /// The pieces of all rows in order, without padding. Here a document's key is counted from the beginning of the
    /// input, whatever shard it is in.
    pub pieces: Vec<Piece>,
    /// How many pieces each row has.
    pub pieces_in_row: Vec<u32>,
}

impl Batch {
    /// A batch without rows, with room for `rows`.
    pub(crate) fn empty(rows: usize, row_length: usize, columns: Columns, state: LoaderState) -> Self {
        let values = rows * row_length;
        let documents = columns.documents.then(|| BatchDocuments {
            position_ids: Vec::with_capacity(values),
            cu_seqlens: vec![0],
            ..BatchDocuments::default()
        });
        Self {
            step: 0,
            epoch: 0,
            ends_epoch: false,
            rows: Vec::with_capacity(rows),
            row_length,
            input_ids: Vec::with_capacity(values),
            labels: Vec::with_capacity(values),
            attention_mask: Vec::with_capacity(if columns.attention_mask { values } else { 0 }),
            documents,
            skipped: 0,
            state,
        }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: u64, buffer: &RowBuffer, columns: Columns) {
        let start = self.labels.len();
        self.rows.push(row);
        self.input_ids.extend_from_slice(&buffer.input_ids);
        let RowBuffer { input_ids, loss_spans, last_label, .. } = buffer;
        let (tokens, labels) = (&input_ids[..buffer.real_tokens], &mut self.labels);
        match columns.labels {
            LabelAlignment::Shifted => {
                append_shifted(labels, tokens, loss_spans, self.row_length, *last_label);
            }
            LabelAlignment::Aligned => append_aligned(labels, tokens, loss_spans, self.row_length),
        }
        if columns.mask_borders {
            mask_borders(&mut self.labels[start..], &buffer.pieces, columns.labels);
        }
        if columns.attention_mask {
            let end = self.attention_mask.len() + self.row_length;
            self.attention_mask.resize(end - self.row_length + buffer.real_tokens, 1);
            self.attention_mask.resize(end, 0);
        }
        if let Some(documents) = &mut self.documents {
            documents.push(&buffer.pieces, self.row_length);
        }
    }

    /// Appends a row of padding in the place of one that cannot be read.
    pub(crate) fn push_skipped(&mut self, row: u64, pad_id: i32, columns: Columns) {
        self.rows.push(row);
        let end = self.rows.len() * self.row_length;
        self.input_ids.resize(end, pad_id);
        self.labels.resize(end, IGNORED.into());
        if columns.attention_mask {
            self.attention_mask.resize(end, 0);
        }
        if let Some(documents) = &mut self.documents {
            documents.push(&[], self.row_length);
        }
        self.skipped += 1;
    }
}

/// Takes away the labels whose target is the first token of a document, but for the row's first: nothing in the
/// row precedes it.
fn mask_borders(labels: &mut [i64], pieces: &[Piece], convention: LabelAlignment) {
    let mut end = 0;
    for piece in &pieces[..pieces.len().saturating_sub(1)] {
        end += piece.len as usize;
        let at = match convention {
            LabelAlignment::Shifted => end - 1,
            LabelAlignment::Aligned => end,
        };
        labels[at] = IGNORED.into();
    }
}

impl BatchDocuments {
    fn push(&mut self, pieces: &[Piece], row_length: usize) {
        let real: i32 = pieces.iter().map(|piece| piece.len).sum();
        let padding = row_length as i32 - real;
        let lengths = pieces.iter().map(|piece| piece.len).chain((padding > 0).then_some(padding));
        let mut end = self.cu_seqlens.last().copied().unwrap_or(0);
        for length in lengths {
            self.position_ids.extend(0..length);
            end += length;
            self.cu_seqlens.push(end);
            self.max_seqlen = self.max_seqlen.max(length);
        }
        self.pieces.extend_from_slice(pieces);
        self.pieces_in_row.push(pieces.len() as u32);
    }
}
