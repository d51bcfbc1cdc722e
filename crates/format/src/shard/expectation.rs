//! What a row group has to be, to the byte: the writer's other half, and what `verify` holds a shard to.
//!
//! Pages are frozen, so all but the ids can be made from the expectation and compared: levels, masks, lengths,
//! keys and spans byte for byte. The ids' indices are checked to lie in the dictionary, whose values are checked once a
//! group; the labels' pages are the ids' pages moved by one where tokens are learned, so they are compared as bytes too. A
//! token costs its decompression and a comparison of two bytes.
//!
//! This only says yes. Where anything differs the answer is no, and whoever asked decodes the values to find out what.

mod indices;

use std::ops::Range;

use mashbill_parquet::encode::{
    Compression, Decompressor, Encoding, PageBody, Runs, data_page_header, delta_binary_packed,
    dictionary_page_header, index_width, levels_of_equal_lists, levels_of_lists, page_body_of,
};
use mashbill_parquet::row_group::{ColumnChunk, RowGroup};

use self::indices::Indices;
use super::column::{
    ATTENTION_MASK, COLUMNS_MAX, DOC_IDS, DOC_OFFSETS, INPUT_IDS, LABELS, LOSS_SPANS, SEQ_LENS, column_count,
};
use super::encode::spans_body;
use super::labels::follow;
use super::{IGNORED, Piece, RowLayout, ShardRow};
use crate::loss_spans::{Loss, LossSpans, append_shifted};

/// What the rows of one dataset have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowForm {
    /// Tokens in a row, padding included; 1 or more.
    pub row_length: usize,
    /// How many rows stand together; 1 or more each.
    pub layout: RowLayout,
    /// Every id is smaller.
    pub vocabulary_size: usize,
    /// How pages are compressed.
    pub compression: Compression,
    /// On which tokens there is a loss.
    pub loss: Loss,
    /// The id that fills padding.
    pub pad: i32,
    /// The ids that each document begins with.
    pub before: Vec<i32>,
    /// The ids that each document ends with.
    pub after: Vec<i32>,
}

/// What a row group has to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExpectedRows {
    /// Rows.
    pub rows: usize,
    /// Real tokens; less than rows × row length only where the last row is padded at its end.
    pub real: usize,
    /// The pieces of all rows in order; the lengths of a row's pieces sum to its real tokens.
    pub pieces: Vec<Piece>,
    /// For each piece whether its document ends with it.
    pub ends: Vec<bool>,
    /// How many pieces each row has; one at least.
    pub pieces_in_row: Vec<u32>,
    /// For each row which of its tokens are learned; none where all are, in a folder without such a column.
    pub loss_spans: Option<LossSpans>,
}

impl ExpectedRows {
    /// Which of a row's tokens are learned; empty where all are, in a folder without `loss_spans`.
    #[must_use]
    pub fn spans_of(&self, row: usize) -> &[i32] {
        self.loss_spans.as_ref().map_or(&[], |spans| spans.of(row))
    }

    const fn loss(&self) -> Loss {
        match self.loss_spans {
            Some(_) => Loss::Spans,
            None => Loss::All,
        }
    }
}

/// What has to be known of a row group to check those beside it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RowEnds {
    /// The first token of each row.
    pub first_tokens: Vec<i32>,
    /// The label of each row's last position.
    pub last_labels: Vec<i32>,
}

/// What somebody wants to see of a row group.
#[derive(Debug, Default)]
pub struct WantedRowGroup<'a> {
    /// How often which ids stand there.
    pub tokens: CountedTokens<'a>,
    /// Rows, counted in the group, ascending.
    pub rows: Vec<usize>,
}

/// So many ids are counted sooner one by one, many positions at once, than all in one go, position by position.
const COUNTED_ALONE: usize = 12;

/// Which ids are counted.
#[derive(Debug, Clone, Copy, Default)]
pub enum CountedTokens<'a> {
    /// None.
    #[default]
    None,
    /// These, ascending. A few cost much less than all.
    Some(&'a [u32]),
    /// All.
    All,
}

/// Checks row groups one after another, in memory that is kept.
#[derive(Debug)]
pub struct GroupCheck<'a> {
    form: &'a RowForm,
    decompressor: Decompressor,
    dictionary: Vec<i32>,
    /// Pages after decompression.
    ids: Vec<u8>,
    other: Vec<u8>,
    /// Pages that are much smaller than those: memory that shrinks between pages would be cleared for each.
    small: Vec<u8>,
    /// Bytes as they should be.
    expected: Vec<u8>,
    levels: Vec<u8>,
    prefix: Vec<u8>,
    values: Vec<i64>,
    /// The indices of the dictionary that are counted.
    counted: Vec<usize>,
    /// How often each index of the dictionary stands in the group, as far as it is counted.
    counts: Vec<u64>,
    /// The ids of the rows that are wanted.
    rows: Vec<i32>,
}

/// A page in the group's bytes.
#[derive(Debug, Clone)]
struct Page {
    body: Range<usize>,
    raw: usize,
}

impl<'a> GroupCheck<'a> {
    /// For row groups of rows of this form.
    #[must_use]
    pub fn new(form: &'a RowForm) -> Self {
        Self {
            form,
            decompressor: Decompressor::new(form.compression),
            dictionary: Vec::new(),
            ids: Vec::new(),
            other: Vec::new(),
            small: Vec::new(),
            expected: Vec::new(),
            levels: Vec::new(),
            prefix: Vec::new(),
            values: Vec::new(),
            counted: Vec::new(),
            counts: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// The group's description and what others need of it, where `bytes` are those of a group of the expected
    /// rows; none where they are not, in whatever way.
    pub fn check(
        &mut self,
        bytes: &[u8],
        expected: &ExpectedRows,
        wanted: &WantedRowGroup<'_>,
    ) -> Option<(RowGroup, RowEnds)> {
        let length = self.form.row_length;
        let mut pages_of = Vec::with_capacity(COLUMNS_MAX);
        let mut columns = Vec::with_capacity(COLUMNS_MAX);
        let mut at = 0;
        for column in 0..column_count(expected.loss()) {
            let values = |rows: Range<usize>| match column {
                INPUT_IDS | ATTENTION_MASK | LABELS => rows.len() * length,
                LOSS_SPANS => rows.map(|row| expected.spans_of(row).len()).sum(),
                _ => expected.pieces_in_row[rows].iter().map(|&pieces| pieces as usize).sum(),
            };
            let (chunk, pages) = self.walk(bytes, &mut at, expected.rows, column <= LABELS, values)?;
            columns.push(chunk);
            pages_of.push(pages);
        }
        if at != bytes.len() {
            return None;
        }
        self.dictionaries(bytes, &pages_of)?;
        let found = self.pages(bytes, &pages_of, expected, wanted)?;
        let meta = RowGroup {
            rows: expected.rows as u64,
            rows_per_page: self.form.layout.rows_per_page as u64,
            columns,
        };
        Some((meta, found))
    }

    /// How often the ids that were wanted stand in the group that was checked last, if that was good; padding is left out.
    pub fn token_counts(&self) -> impl Iterator<Item = (i32, u64)> {
        self.counted.iter().map(|&index| (self.dictionary[index], self.counts[index]))
    }

    /// Calls `each` with the rows that were wanted of the group that was checked last, if that was good.
    pub fn wanted_rows(
        &self,
        expected: &ExpectedRows,
        ends: &RowEnds,
        wanted: &WantedRowGroup<'_>,
        mut each: impl FnMut(usize, ShardRow<'_>),
    ) {
        let length = self.form.row_length;
        let mut pieces = expected.pieces.as_slice();
        let mut next = 0;
        for (&row, input_ids) in wanted.rows.iter().zip(self.rows.chunks(length)) {
            let counts = &expected.pieces_in_row[next..=row];
            let before: usize = counts[..row - next].iter().map(|&count| count as usize).sum();
            pieces = &pieces[before..];
            let here;
            (here, pieces) = pieces.split_at(counts[row - next] as usize);
            next = row + 1;
            let real = expected.real.saturating_sub(row * length).min(length);
            let loss_spans = expected.spans_of(row);
            let mut labels = Vec::with_capacity(length);
            append_shifted(&mut labels, &input_ids[..real], loss_spans, length, ends.last_labels[row]);
            let attention_mask: Vec<i32> = (0..length).map(|at| i32::from(at < real)).collect();
            each(
                row,
                ShardRow {
                    input_ids,
                    attention_mask: &attention_mask,
                    labels: &labels,
                    pieces: here,
                    loss_spans,
                },
            );
        }
    }

    /// Walks over the pages of a column from `at` on.
    fn walk(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        rows: usize,
        has_dictionary: bool,
        values: impl Fn(Range<usize>) -> usize,
    ) -> Option<(ColumnChunk, Vec<Page>)> {
        let mut chunk = ColumnChunk::default();
        let mut pages = Vec::new();
        if has_dictionary {
            let body = page_body_of(bytes.get(*at..)?)?;
            self.expected.clear();
            dictionary_page_header(&mut self.expected, body, body.raw / 4);
            pages.push(self.take(bytes, at, body)?);
            chunk.dictionary_bytes = (self.expected.len() + body.compressed) as u64;
            chunk.uncompressed_bytes += (self.expected.len() + body.raw) as u64;
            chunk.checksums.push(body.checksum);
        }
        let encoding = if has_dictionary { Encoding::Dictionary } else { Encoding::DeltaBinaryPacked };
        for first in (0..rows).step_by(self.form.layout.rows_per_page) {
            let values = values(first..(first + self.form.layout.rows_per_page).min(rows));
            let body = page_body_of(bytes.get(*at..)?)?;
            self.expected.clear();
            data_page_header(&mut self.expected, body, values, encoding as i64);
            pages.push(self.take(bytes, at, body)?);
            chunk.values += values as u64;
            chunk.uncompressed_bytes += (self.expected.len() + body.raw) as u64;
            chunk.pages.push((self.expected.len() + body.compressed) as u64);
            chunk.checksums.push(body.checksum);
        }
        Some((chunk, pages))
    }

    /// The page behind the header in `self.expected`, if that is the one that stands at `at` and has the checksum that
    /// it says.
    fn take(&self, bytes: &[u8], at: &mut usize, page: PageBody) -> Option<Page> {
        let start = *at + self.expected.len();
        let body = start..start.checked_add(page.compressed)?;
        let stored = bytes.get(body.clone())?;
        let same = bytes.get(*at..start)? == self.expected && crc32fast::hash(stored) == page.checksum;
        *at = body.end;
        same.then_some(Page { body, raw: page.raw })
    }

    /// Checks the dictionaries and keeps the one of ids and labels.
    fn dictionaries(&mut self, bytes: &[u8], pages: &[Vec<Page>]) -> Option<()> {
        let vocabulary = self.form.vocabulary_size;
        let page = &pages[INPUT_IDS][0];
        let fits = page.raw.is_multiple_of(4) && page.raw <= 4 * (vocabulary + 1);
        if !(fits && self.decompressor.decompress(&bytes[page.body.clone()], page.raw, &mut self.small)) {
            return None;
        }
        self.dictionary.clear();
        self.dictionary.extend(self.small.as_chunks().0.iter().map(|&value| i32::from_le_bytes(value)));
        let (&ignored, ids) = self.dictionary.split_first()?;
        if ignored != IGNORED || ids.iter().any(|&id| usize::try_from(id).map_or(true, |id| id >= vocabulary))
        {
            return None;
        }
        let labels = &pages[LABELS][0];
        // The same bytes are there; others that mean the same would not be ours.
        if bytes[labels.body.clone()] != bytes[page.body.clone()] || labels.raw != page.raw {
            return None;
        }
        let mask = &pages[ATTENTION_MASK][0];
        let mask_values = [1i32.to_le_bytes(), 0i32.to_le_bytes()].concat();
        let same = mask.raw == mask_values.len()
            && self.decompressor.decompress(&bytes[mask.body.clone()], mask.raw, &mut self.small)
            && self.small == mask_values;
        same.then_some(())
    }

    /// Checks the data pages.
    fn pages(
        &mut self,
        bytes: &[u8],
        pages: &[Vec<Page>],
        expected: &ExpectedRows,
        wanted: &WantedRowGroup<'_>,
    ) -> Option<RowEnds> {
        let (length, rows_per_page) = (self.form.row_length, self.form.layout.rows_per_page);
        let mut found = RowEnds::default();
        let mut pieces_before = 0;
        let mut wanted_rows = wanted.rows.iter().copied().peekable();
        self.counted.clear();
        let is_wanted = |index: &usize| match wanted.tokens {
            CountedTokens::None => false,
            CountedTokens::Some(ids) => u32::try_from(self.dictionary[*index])
                .is_ok_and(|id| ids.first() <= Some(&id) && ids.binary_search(&id).is_ok()),
            CountedTokens::All => true,
        };
        self.counted.extend((0..self.dictionary.len()).filter(is_wanted));
        self.counts.clear();
        self.counts.resize(if self.counted.is_empty() { 0 } else { self.dictionary.len() }, 0);
        self.rows.clear();
        // The dictionary grows from page to page: index 0 is there from the beginning.
        let mut entries = 1;
        for (page, first) in (0..expected.rows).step_by(rows_per_page).enumerate() {
            let rows = first..(first + rows_per_page).min(expected.rows);
            let positions = rows.len() * length;
            let real = expected.real.saturating_sub(first * length).min(positions);
            let counts = &expected.pieces_in_row[rows.clone()];
            let pieces =
                pieces_before..pieces_before + counts.iter().map(|&count| count as usize).sum::<usize>();
            pieces_before = pieces.end;

            let [ids, mask, labels] =
                [INPUT_IDS, ATTENTION_MASK, LABELS].map(|column| &pages[column][page + 1]);
            let width = self.token_prefix(rows.len(), positions, ids.raw)?;
            let most_id = self.id_page(&bytes[ids.body.clone()], ids.raw, positions, real, width)?;
            let label_body = &bytes[labels.body.clone()];
            let most_label =
                self.label_page(label_body, labels.raw, rows.clone(), expected, width, &mut found)?;
            entries = entries.max(most_id.max(most_label) + 1);
            if width != index_width(entries) {
                return None;
            }
            self.mask_page(&bytes[mask.body.clone()], mask.raw, positions, real)?;
            let ids = Indices { bytes: &self.ids[self.prefix.len()..], width };
            let token = |position: usize| self.dictionary[ids.get(position)];
            found.first_tokens.extend((0..rows.len()).map(|row| token(row * length)));
            match self.counted.len() {
                0..=COUNTED_ALONE => {
                    self.counted.iter().for_each(|&index| self.counts[index] += ids.count_of(real, index));
                }
                _ => ids.count(real, &mut self.counts),
            }
            while let Some(row) = wanted_rows.next_if(|&row| row < rows.end) {
                let begin = (row - rows.start) * length;
                self.rows.extend((begin..begin + length).map(token));
            }
            let (these, ends) = (&expected.pieces[pieces.clone()], &expected.ends[pieces]);
            self.around(these, ends, counts, &token)?;
            self.piece_page(bytes, &pages[SEQ_LENS][page], these, counts, |piece| piece.len.into())?;
            self.piece_page(bytes, &pages[DOC_IDS][page], these, counts, |piece| piece.doc_id)?;
            self.piece_page(bytes, &pages[DOC_OFFSETS][page], these, counts, |piece| {
                piece.doc_offset.into()
            })?;
            if expected.loss() == Loss::Spans {
                self.spans_page(bytes, &pages[LOSS_SPANS][page], expected, rows)?;
            }
        }
        Some(found)
    }

    /// Sets `levels` to the levels of a page of tokens, and `prefix` to what a page of indices begins with if it has
    /// `raw` bytes. The bytes that each index then takes; none where that is no number of bytes of an index.
    fn token_prefix(&mut self, rows: usize, positions: usize, raw: usize) -> Option<usize> {
        self.levels.clear();
        levels_of_equal_lists(&mut self.levels, rows, self.form.row_length);
        self.prefix.clear();
        self.prefix.extend_from_slice(&self.levels);
        self.prefix.push(0);
        mashbill_parquet::encode::varint(&mut self.prefix, (positions.div_ceil(8) as u64) << 1 | 1);
        let width = raw.checked_sub(self.prefix.len())?.checked_div(positions.next_multiple_of(8))?;
        if !(1..=4).contains(&width) {
            return None;
        }
        self.prefix[self.levels.len()] = width as u8 * 8;
        Some(width)
    }

    /// Decompresses a page of indices to `out`, where it begins as it should and has as many.
    fn index_page(
        decompressor: &mut Decompressor,
        body: &[u8],
        raw: usize,
        (prefix, positions, width): (&[u8], usize, usize),
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let bytes = positions.next_multiple_of(8) * width;
        if raw != prefix.len() + bytes || !decompressor.decompress(body, raw, out) {
            return None;
        }
        let filled = prefix.len() + positions * width;
        (out.starts_with(prefix) && out[filled..].iter().all(|&byte| byte == 0)).then_some(())
    }

    /// Checks a page of ids and leaves it in `self.ids`; its greatest index.
    fn id_page(
        &mut self,
        body: &[u8],
        raw: usize,
        positions: usize,
        real: usize,
        width: usize,
    ) -> Option<usize> {
        let page = (self.prefix.as_slice(), positions, width);
        Self::index_page(&mut self.decompressor, body, raw, page, &mut self.ids)?;
        let indices = Indices { bytes: &self.ids[self.prefix.len()..][..positions * width], width };
        let (least, most) = indices.bounds();
        // Index 0 is no id.
        if least == 0 || most as usize >= self.dictionary.len() {
            return None;
        }
        (real..positions)
            .all(|position| self.dictionary[indices.get(position)] == self.form.pad)
            .then_some(most as usize)
    }

    /// Checks a page of the labels of `rows` against the ids; the label of each row's last position is left to others. The
    /// greatest index of those.
    fn label_page(
        &mut self,
        body: &[u8],
        raw: usize,
        rows: Range<usize>,
        expected: &ExpectedRows,
        width: usize,
        found: &mut RowEnds,
    ) -> Option<usize> {
        let length = self.form.row_length;
        let mut most = 0;
        let start = self.prefix.len();
        let page = (self.prefix.as_slice(), rows.len() * length, width);
        Self::index_page(&mut self.decompressor, body, raw, page, &mut self.other)?;
        let (ids, labels) = (&self.ids[start..], &self.other[start..]);
        for (index, row) in rows.enumerate() {
            let begin = index * length;
            let bytes = begin * width..(begin + length) * width;
            let real = expected.real.saturating_sub(row * length).min(length);
            if !follow(&labels[bytes.clone()], &ids[bytes], width, real, expected.spans_of(row)) {
                return None;
            }
            let last = Indices { bytes: labels, width }.get(begin + length - 1);
            found.last_labels.push(*self.dictionary.get(last)?);
            most = most.max(last);
        }
        Some(most)
    }

    fn mask_page(&mut self, body: &[u8], raw: usize, positions: usize, real: usize) -> Option<()> {
        self.expected.clear();
        self.expected.extend_from_slice(&self.levels);
        self.expected.push(1);
        let mut runs = Runs::default();
        runs.push(&mut self.expected, 0, real);
        runs.push(&mut self.expected, 1, positions - real);
        runs.finish(&mut self.expected);
        self.is_expected(body, raw)
    }

    fn piece_page(
        &mut self,
        bytes: &[u8],
        page: &Page,
        pieces: &[Piece],
        counts: &[u32],
        value: fn(&Piece) -> i64,
    ) -> Option<()> {
        self.values.clear();
        self.values.extend(pieces.iter().map(value));
        self.expected.clear();
        levels_of_lists(&mut self.expected, counts);
        delta_binary_packed(&mut self.expected, &self.values);
        self.is_expected(&bytes[page.body.clone()], page.raw)
    }

    fn spans_page(
        &mut self,
        bytes: &[u8],
        page: &Page,
        expected: &ExpectedRows,
        rows: Range<usize>,
    ) -> Option<()> {
        self.values.clear();
        self.expected.clear();
        let spans = rows.map(|row| expected.spans_of(row));
        spans_body(&mut self.expected, &mut self.values, spans);
        self.is_expected(&bytes[page.body.clone()], page.raw)
    }

    /// Whether `body` decompresses to the bytes in `expected`.
    fn is_expected(&mut self, body: &[u8], raw: usize) -> Option<()> {
        let same = raw == self.expected.len()
            && self.decompressor.decompress(body, raw, &mut self.small)
            && self.small == self.expected;
        same.then_some(())
    }

    /// Whether documents begin and end with what is put around documents, as far as that stands in one piece.
    fn around(
        &self,
        pieces: &[Piece],
        ends: &[bool],
        counts: &[u32],
        token: &dyn Fn(usize) -> i32,
    ) -> Option<()> {
        let RowForm { before, after, row_length, .. } = self.form;
        let mut pieces = pieces.iter().zip(ends);
        for (row, &count) in counts.iter().enumerate() {
            let mut at = row * row_length;
            for (piece, &ends) in pieces.by_ref().take(count as usize) {
                let (begin, end) = (at, at + piece.len as usize);
                at = end;
                let inside = |position: usize| (begin..end).contains(&position);
                let good = (piece.doc_offset > 0
                    || (0..before.len()).all(|k| !inside(begin + k) || token(begin + k) == before[k]))
                    && (!ends
                        || (0..after.len()).all(|k| match end.checked_sub(after.len() - k) {
                            Some(position) if inside(position) => token(position) == after[k],
                            _ => true,
                        }));
                if !good {
                    return None;
                }
            }
        }
        Some(())
    }
}
