//! Rows to an encoded row group.
//!
//! Each token is looked up once. Its index goes to the `input_ids` page; the same
//! array, read from its second element on and mended at the rows' ends, is the
//! `labels` page, so both columns share one dictionary, -100 included. Indices
//! are whole bytes wide: a page is then a plain array, and Snappy, which sees
//! bytes, finds the repeats; it searches the ids alone, since the labels repeat
//! where the ids do.

use std::ops::Range;
use std::slice;

use mashbill_parquet::encode::{
    Chunk, Compression, Compressor, Encoding, Moved, Runs, bit_packed_indices, delta_binary_packed,
    index_width, join, levels_of_equal_lists, levels_of_lists,
};
use mashbill_parquet::row_group::EncodedRowGroup;

use super::column::{
    ATTENTION_MASK, COLUMNS_MAX, DOC_IDS, DOC_OFFSETS, INPUT_IDS, LABELS, LOSS_SPANS, SEQ_LENS, column_count,
};
use super::dictionary::Dictionary;
use super::{Piece, RowLayout};
use crate::loss_spans::{self, Loss, LossSpans};

/// Rows to encode, borrowed from where they are.
#[derive(Debug, Clone, Copy)]
pub struct RowsToEncode<'a> {
    /// How many rows.
    pub count: usize,
    /// Slices whose concatenation is the rows' real tokens in order: `count * row_length` of them, fewer
    /// only where the last row is padded at its end.
    pub tokens: &'a [&'a [u32]],
    /// One a row: the label of its last position, which is the token with which its document goes on where that is
    /// learned, else [`IGNORED`](super::IGNORED); without meaning for a padded row.
    pub last_labels: &'a [i32],
    /// The pieces of all rows in order; the lengths of a row's pieces sum to its real tokens.
    pub pieces: &'a [Piece],
    /// How many pieces each row has; one at least.
    pub pieces_in_row: &'a [u32],
    /// For each row which of its tokens are learned; none where all are, in a folder without such a column.
    pub loss_spans: Option<&'a LossSpans>,
}

/// Encodes row groups of one dataset; one a thread, since it keeps all the memory it works in.
#[derive(Debug)]
pub struct RowGroupEncoder {
    row_length: usize,
    layout: RowLayout,
    pad_id: u32,
    dictionary: Dictionary,
    compressor: Compressor,
    chunks: [Chunk; COLUMNS_MAX],
    /// Indices of a page's tokens, and one more for the shift.
    indices: Vec<u32>,
    /// Indices of the labels of the rows' last positions.
    last_indices: Vec<u32>,
    /// Positions in a page whose label is not the next position's id.
    changed: Vec<usize>,
    /// A page's body before compression.
    body: Vec<u8>,
    /// The body of a page of labels.
    labels_body: Vec<u8>,
    /// Repetition and definition levels of the page.
    levels: Vec<u8>,
    /// One column of a page's pieces.
    values: Vec<i64>,
}

impl RowGroupEncoder {
    /// An encoder of rows of `row_length` (1 or more) ids below `vocabulary_size`, `pad_id` among them.
    #[must_use]
    pub fn new(row_length: usize, vocabulary_size: usize, pad_id: u32, compression: Compression) -> Self {
        Self {
            row_length,
            layout: RowLayout::of(row_length),
            pad_id,
            dictionary: Dictionary::new(vocabulary_size),
            compressor: Compressor::new(compression),
            chunks: Default::default(),
            indices: Vec::new(),
            last_indices: Vec::new(),
            changed: Vec::new(),
            body: Vec::new(),
            labels_body: Vec::new(),
            levels: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Encodes `rows` as one row group. The bytes depend on the rows alone, not on how their tokens are cut
    /// into slices nor on what was encoded before.
    ///
    /// # Panics
    /// Panics where `rows` contradicts itself (another number of tokens, labels or pieces than its rows need)
    /// or has an id outside the vocabulary.
    pub fn encode(&mut self, rows: &RowsToEncode<'_>) -> EncodedRowGroup {
        self.encode_into(rows, Vec::new())
    }

    /// [`encode`](Self::encode) into the memory of `bytes`, whose content is lost.
    ///
    /// # Panics
    /// As there.
    pub fn encode_into(&mut self, rows: &RowsToEncode<'_>, bytes: Vec<u8>) -> EncodedRowGroup {
        let real_tokens = check(rows, self.row_length);
        self.dictionary.clear();
        let mut tokens = Tokens { slices: rows.tokens.iter(), rest: &[] };
        let mut pieces = rows.pieces;
        for first_row in (0..rows.count).step_by(self.layout.rows_per_page) {
            let end_row = (first_row + self.layout.rows_per_page).min(rows.count);
            let real = real_tokens.saturating_sub(first_row * self.row_length);
            self.token_pages(&mut tokens, real, rows, first_row..end_row);
            let pieces_in_row = &rows.pieces_in_row[first_row..end_row];
            let here = pieces.split_off(..total(pieces_in_row)).expect("`check` has counted the pieces");
            self.piece_pages(here, pieces_in_row);
            if let Some(spans) = rows.loss_spans {
                self.spans_page(spans, first_row..end_row);
            }
        }
        self.dictionary_pages();
        let columns = column_count(rows.loss_spans.map_or(Loss::All, |_| Loss::Spans));
        join(rows.count, self.layout.rows_per_page, &mut self.chunks[..columns], bytes)
    }

    /// Appends a page to `input_ids`, `attention_mask` and `labels`: the rows `page`, the first `real` of whose positions are
    /// tokens.
    fn token_pages(
        &mut self,
        tokens: &mut Tokens<'_>,
        real: usize,
        rows: &RowsToEncode<'_>,
        page: Range<usize>,
    ) {
        let last_labels = &rows.last_labels[page.clone()];
        let values = last_labels.len() * self.row_length;
        let real = real.min(values);
        self.levels.clear();
        levels_of_equal_lists(&mut self.levels, last_labels.len(), self.row_length);

        self.indices.clear();
        tokens.take(real, |tokens| self.dictionary.look_up(tokens, &mut self.indices));
        let pad = if real < values { self.dictionary.index(self.pad_id) } else { 0 };
        self.indices.resize(values, pad);
        // Looked up now, so that both pages have indices of the same width.
        self.last_indices.clear();
        self.last_indices.extend(last_labels.iter().map(|&label| self.dictionary.label(label)));
        let width = index_width(self.dictionary.values().len());

        index_page(&mut self.body, &self.levels, &self.indices, width);
        self.ids_to_labels(real, rows.loss_spans.map(|spans| (spans, page)));
        let start = index_page(&mut self.labels_body, &self.levels, &self.indices[1..], width);
        let [ids, labels] = self.chunks.get_disjoint_mut([INPUT_IDS, LABELS]).expect("two columns");
        let (first, second, changed) = (&self.body, &self.labels_body, &self.changed);
        self.compressor.compress_moved(
            Moved { first, second, values: start, width, changed },
            |page| ids.data_page(values, Encoding::Dictionary, first.len(), page),
            |page| labels.data_page(values, Encoding::Dictionary, second.len(), page),
        );
        self.mask_page(values, real);
    }

    /// Turns `indices` from ids to labels, the label of position `i` standing at `i + 1`, and notes in `changed`
    /// where it is not just the next id: of the page's rows, `spans` says which tokens are learned.
    fn ids_to_labels(&mut self, real: usize, spans: Option<(&LossSpans, Range<usize>)>) {
        let values = self.indices.len();
        self.indices.push(Dictionary::IGNORED);
        self.changed.clear();
        for (row, &label) in self.last_indices.iter().enumerate() {
            let (begin, end) = (row * self.row_length, (row + 1) * self.row_length);
            if let Some((spans, page)) = &spans {
                let tokens = real.saturating_sub(begin).min(self.row_length);
                for (is_learned, at, next) in loss_spans::labels_of_runs(spans.of(page.start + row), tokens) {
                    if !is_learned {
                        self.indices[begin + next.start..begin + next.end].fill(Dictionary::IGNORED);
                        self.changed.extend(begin + at.start..begin + at.end);
                    }
                }
            }
            if end <= real && self.indices[end] != label {
                self.indices[end] = label;
                self.changed.push(end - 1);
            }
        }
        // Where the last row is padded: its last token has no next one, nor has padding.
        if real < values {
            self.indices[real..].fill(Dictionary::IGNORED);
            self.changed.extend(real - 1..values);
        }
    }

    /// Appends a page to `attention_mask`: ones (index 0), then zeros (index 1).
    fn mask_page(&mut self, values: usize, real: usize) {
        const INDEX_BITS: u8 = 1;
        self.body.clear();
        self.body.extend_from_slice(&self.levels);
        self.body.push(INDEX_BITS);
        let mut runs = Runs::default();
        runs.push(&mut self.body, 0, real);
        runs.push(&mut self.body, 1, values - real);
        runs.finish(&mut self.body);
        let page = self.compressor.compress(&self.body);
        self.chunks[ATTENTION_MASK].data_page(values, Encoding::Dictionary, self.body.len(), page);
    }

    /// Appends a page to the three columns that hold one value a piece.
    fn piece_pages(&mut self, pieces: &[Piece], pieces_in_row: &[u32]) {
        self.levels.clear();
        levels_of_lists(&mut self.levels, pieces_in_row);
        self.piece_page(SEQ_LENS, pieces, |piece| piece.len.into());
        self.piece_page(DOC_IDS, pieces, |piece| piece.doc_id);
        self.piece_page(DOC_OFFSETS, pieces, |piece| piece.doc_offset.into());
    }

    fn piece_page(&mut self, column: usize, pieces: &[Piece], value: fn(&Piece) -> i64) {
        self.values.clear();
        self.values.extend(pieces.iter().map(value));
        self.body.clear();
        self.body.extend_from_slice(&self.levels);
        delta_binary_packed(&mut self.body, &self.values);
        let page = self.compressor.compress(&self.body);
        self.chunks[column].data_page(pieces.len(), Encoding::DeltaBinaryPacked, self.body.len(), page);
    }

    /// Appends a page to `loss_spans`.
    fn spans_page(&mut self, spans: &LossSpans, page: Range<usize>) {
        self.values.clear();
        self.body.clear();
        spans_body(&mut self.body, &mut self.values, page.map(|row| spans.of(row)));
        let body = self.compressor.compress(&self.body);
        let (values, raw_bytes) = (self.values.len(), self.body.len());
        self.chunks[LOSS_SPANS].data_page(values, Encoding::DeltaBinaryPacked, raw_bytes, body);
    }

    /// Sets the dictionaries: one for `input_ids` and `labels`, `[1, 0]` for `attention_mask`.
    fn dictionary_pages(&mut self) {
        let compressor = &mut self.compressor;
        let columns = [INPUT_IDS, ATTENTION_MASK, LABELS];
        let [ids, mask, labels] = self.chunks.get_disjoint_mut(columns).expect("three columns");
        let values = self.dictionary.values();
        plain(&mut self.body, values);
        ids.dictionary_page(values.len(), &self.body, compressor);
        labels.same_dictionary_page(ids);
        plain(&mut self.body, &[1, 0]);
        mask.dictionary_page(2, &self.body, compressor);
    }
}

/// Sets `body` to a page of indices and returns where they begin.
fn index_page(body: &mut Vec<u8>, levels: &[u8], indices: &[u32], width: usize) -> usize {
    body.clear();
    body.extend_from_slice(levels);
    bit_packed_indices(body, indices, width)
}

/// Appends the body of a page of `loss_spans` before compression, of rows with these spans, and the spans to `values`.
pub(crate) fn spans_body<'a>(
    body: &mut Vec<u8>,
    values: &mut Vec<i64>,
    rows: impl Iterator<Item = &'a [i32]>,
) {
    let in_row = |spans: &[i32]| {
        values.extend(spans.iter().map(|&length| i64::from(length)));
        u32::try_from(spans.len()).expect("a row has fewer than 2^31 tokens")
    };
    let lengths: Vec<u32> = rows.map(in_row).collect();
    levels_of_lists(body, &lengths);
    delta_binary_packed(body, values);
}

/// Real tokens in `rows`, after a look whether its parts agree.
fn check(rows: &RowsToEncode<'_>, row_length: usize) -> usize {
    let tokens = rows.tokens.iter().map(|slice| slice.len()).sum();
    assert_eq!(rows.last_labels.len(), rows.count, "a last label for each row");
    assert_eq!(rows.pieces_in_row.len(), rows.count, "a number of pieces for each row");
    assert_eq!(rows.pieces.len(), total(rows.pieces_in_row), "all pieces stand in rows");
    let mut pieces = rows.pieces;
    let mut left: usize = tokens;
    for &count in rows.pieces_in_row {
        let row = pieces.split_off(..count as usize).expect("the total was just compared");
        let length: i64 = row.iter().map(|piece| i64::from(piece.len)).sum();
        assert!(row.iter().all(|piece| piece.len > 0 && piece.doc_offset >= 0), "no piece is empty");
        assert!(left > 0 && length == left.min(row_length) as i64, "pieces of {length} tokens in a row");
        left -= length as usize;
    }
    assert_eq!(left, 0, "all tokens stand in rows");
    if let Some(spans) = rows.loss_spans {
        assert_eq!(spans.rows(), rows.count, "spans for each row");
        for (row, spans) in spans.iter().enumerate() {
            let here = tokens.saturating_sub(row * row_length).min(row_length);
            loss_spans::check(spans, here as u64).expect("the spans are of the row's tokens");
        }
    }
    tokens
}

fn total(counts: &[u32]) -> usize {
    counts.iter().map(|&count| count as usize).sum()
}

/// Replaces `out` by `values` as a dictionary page has them.
fn plain(out: &mut Vec<u8>, values: &[i32]) {
    out.clear();
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

/// The tokens not yet encoded.
struct Tokens<'a> {
    slices: slice::Iter<'a, &'a [u32]>,
    rest: &'a [u32],
}

impl Tokens<'_> {
    /// Calls `each` with slices of the next `count` tokens.
    fn take(&mut self, mut count: usize, mut each: impl FnMut(&[u32])) {
        while count > 0 {
            if self.rest.is_empty() {
                self.rest = self.slices.next().expect("`check` has counted the tokens");
                continue;
            }
            let here = count.min(self.rest.len());
            let (now, later) = self.rest.split_at(here);
            each(now);
            self.rest = later;
            count -= here;
        }
    }
}
