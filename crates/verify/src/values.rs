//! A row group decoded value by value, to say which row is wrong and how.
//!
//! It is asked only about groups whose bytes are not those they should be, so it may be slow; it knows nothing of
//! how values are encoded.

use std::cell::Cell;
use std::path::Path;

use mashbill_format::loss_spans::{self, Loss, LossSpans, append_shifted};
use mashbill_format::shard::{self, ExpectedRows, Piece, RowEnds, RowForm, ShardRow, WantedRowGroup};
use mashbill_parquet::reader::lists;
use mashbill_parquet::reader::{FileGroup, reading};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;

use crate::findings::Findings;
use crate::gather::Gather;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// A row group that is looked at.
#[derive(Debug)]
pub(crate) struct RowGroupCheck<'a> {
    pub(crate) split: &'a str,
    pub(crate) place: ProblemPlace,
    pub(crate) index: usize,
    /// Its first row, counted in the shard.
    pub(crate) first_row: u64,
    /// The split's row with which the shard begins, and where the shard's stretch of the input does.
    pub(crate) shard_row: u64,
    pub(crate) shard_start: u64,
    /// Its rows.
    pub(crate) rows: usize,
    pub(crate) form: &'a RowForm,
    pub(crate) findings: &'a Findings,
    /// Whether anything was found.
    pub(crate) is_wrong: Cell<bool>,
}

/// The rows of a group as far as they could be read.
struct ReadRows {
    ids: Vec<i32>,
    mask: Vec<i32>,
    labels: Vec<i32>,
    pieces: Vec<Piece>,
    pieces_in_row: Vec<u32>,
    loss_spans: Option<LossSpans>,
}

impl ReadRows {
    fn spans_of(&self, row: usize) -> &[i32] {
        self.loss_spans.as_ref().map_or(&[], |spans| spans.of(row))
    }
}

impl RowGroupCheck<'_> {
    /// Finds what is wrong with the group of the shard at `path`; what others need of it, where its rows could be
    /// read. Without `expected` the rows are checked against themselves only. What is wanted of them is shown to
    /// `gatherer`.
    pub(crate) fn check(
        &self,
        path: &Path,
        expected: Option<&ExpectedRows>,
        wanted: &WantedRowGroup<'_>,
        gatherer: &mut dyn Gather,
    ) -> Option<RowEnds> {
        let rows = self.read(path)?;
        self.check_ids(&rows);
        let real = self.check_pieces(&rows, expected);
        self.check_mask(&rows, &real);
        self.check_padding(&rows, &real);
        self.check_spans(&rows, &real, expected);
        self.check_labels(&rows, &real, expected);
        self.check_around(&rows, expected);
        self.show(&rows, &real, wanted, gatherer);
        if !self.is_wrong.get() && expected.is_some() {
            let detail = "its values are right, but its bytes are not those that mashbill writes for them";
            self.wrong(ProblemKind::Encoding, None, detail.into());
        }
        let length = self.form.row_length;
        Some(RowEnds {
            first_tokens: rows.ids.iter().step_by(length).copied().collect(),
            last_labels: rows.labels.iter().skip(length - 1).step_by(length).copied().collect(),
        })
    }

    fn show(&self, rows: &ReadRows, real: &[usize], wanted: &WantedRowGroup<'_>, gatherer: &mut dyn Gather) {
        let length = self.form.row_length;
        if gatherer.wants_tokens() {
            let each = rows.ids.chunks(length).zip(real).flat_map(|(ids, &real)| &ids[..real]);
            gatherer.tokens(self.split, &mut each.map(|&id| (id, 1)));
        }
        gatherer.pieces(self.split, &rows.pieces_in_row);
        let mut pieces = rows.pieces.as_slice();
        for (row, &count) in rows.pieces_in_row.iter().enumerate() {
            let here = pieces.split_off(..count as usize).expect("lengths were compared with elements");
            if wanted.rows.binary_search(&row).is_ok() {
                let positions = row * length..(row + 1) * length;
                let content = ShardRow {
                    input_ids: &rows.ids[positions.clone()],
                    attention_mask: &rows.mask[positions.clone()],
                    labels: &rows.labels[positions],
                    pieces: &self.in_split(here),
                    loss_spans: rows.spans_of(row),
                };
                gatherer.row(self.split, self.row_in_split(row), content);
            }
        }
    }

    /// The number in the split of row `row` of the group.
    pub(crate) const fn row_in_split(&self, row: usize) -> u64 {
        self.shard_row + self.first_row + row as u64
    }

    /// Pieces with the keys that their documents have in the whole input.
    pub(crate) fn in_split(&self, pieces: &[Piece]) -> Vec<Piece> {
        pieces.iter().map(|piece| Piece { doc_id: self.key(piece), ..*piece }).collect()
    }

    /// The key in the whole input of a piece's document. One in a damaged shard may be any number.
    const fn key(&self, piece: &Piece) -> i64 {
        piece.doc_id.wrapping_add_unsigned(self.shard_start)
    }

    fn wrong(&self, kind: ProblemKind, row: Option<usize>, detail: String) {
        self.is_wrong.set(true);
        let place = match row {
            Some(row) => self.place.at(self.index, self.first_row + row as u64),
            None => self.place.group(self.index),
        };
        let remedy = Remedy::MakeSplitAgain { split: self.split.to_owned() };
        self.findings.error(kind, place, remedy, detail);
    }

    /// Reads the columns and checks that each row is as long as a row has to be.
    fn read(&self, path: &Path) -> Option<ReadRows> {
        let file = match shard::open(path, self.form.loss) {
            Ok(file) => file,
            Err(error) => {
                self.wrong(ProblemKind::Unreadable, None, error.to_string());
                return None;
            }
        };
        let group = file.group(self.index);
        let ids = self.column::<Int32Type>(group, 0, "input_ids");
        let mask = self.column::<Int32Type>(group, 1, "attention_mask");
        let labels = self.column::<Int32Type>(group, 2, "labels");
        let lens = self.column::<Int32Type>(group, 3, "seq_lens");
        let doc_ids = self.column::<Int64Type>(group, 4, "doc_ids");
        let offsets = self.column::<Int32Type>(group, 5, "doc_offsets");
        let loss_spans = match self.form.loss {
            Loss::All => None,
            Loss::Spans => Some(spans_of(self.column::<Int32Type>(group, 6, loss_spans::COLUMN)?)),
        };
        let (ids, mask, labels) = (self.whole(ids?, 0)?, self.whole(mask?, 1)?, self.whole(labels?, 2)?);
        let ((lens, pieces_in_row), (doc_ids, of_ids), (offsets, of_offsets)) = (lens?, doc_ids?, offsets?);
        if pieces_in_row != of_ids || pieces_in_row != of_offsets {
            let differs =
                |row: &usize| pieces_in_row[*row] != of_ids[*row] || pieces_in_row[*row] != of_offsets[*row];
            let row = (0..self.rows).find(differs);
            self.wrong(
                ProblemKind::Pieces,
                row,
                "seq_lens, doc_ids and doc_offsets have different lengths".into(),
            );
            return None;
        }
        let pieces = lens.into_iter().zip(doc_ids).zip(offsets);
        let pieces = pieces.map(|((len, doc_id), doc_offset)| Piece { doc_id, doc_offset, len }).collect();
        Some(ReadRows { ids, mask, labels, pieces, pieces_in_row, loss_spans })
    }

    /// The elements of a column and the lengths of its lists.
    fn column<T: DataType>(
        &self,
        group: FileGroup<'_>,
        column: usize,
        name: &str,
    ) -> Option<(Vec<T::T>, Vec<u32>)> {
        let read = reading(|| lists::<T>(group.column(column)?, self.rows));
        let read = read.and_then(|(values, lengths)| {
            let elements: usize = lengths.iter().map(|&length| length as usize).sum();
            if lengths.len() == self.rows && elements == values.len() {
                Ok((values, lengths))
            } else {
                Err(ParquetError::General(format!("{} rows of {}", lengths.len(), self.rows)))
            }
        });
        read.map_err(|error| self.wrong(ProblemKind::Unreadable, None, format!("{name}: {error}"))).ok()
    }

    fn whole(&self, (values, lengths): (Vec<i32>, Vec<u32>), column: usize) -> Option<Vec<i32>> {
        let length = self.form.row_length;
        let wrong = lengths.iter().position(|&found| found as usize != length);
        let Some(row) = wrong else { return Some(values) };
        let name = ["input_ids", "attention_mask", "labels"][column];
        self.wrong(
            ProblemKind::RowLength,
            Some(row),
            format!("{name} has {} elements, not {length}", lengths[row]),
        );
        None
    }

    fn check_ids(&self, rows: &ReadRows) {
        let length = self.form.row_length;
        let size = self.form.vocabulary_size;
        for (row, ids) in rows.ids.chunks(length).enumerate() {
            let outside = |id: &i32| usize::try_from(*id).map_or(true, |id| id >= size);
            if let Some(at) = ids.iter().position(outside) {
                let detail =
                    format!("the id {} at position {at} is outside the vocabulary of {size}", ids[at]);
                self.wrong(ProblemKind::Ids, Some(row), detail);
            }
        }
    }

    /// Checks the pieces and gives the real tokens of each row: what is expected, else what the pieces sum to.
    fn check_pieces(&self, rows: &ReadRows, expected: Option<&ExpectedRows>) -> Vec<usize> {
        let length = self.form.row_length;
        let mut real = Vec::with_capacity(self.rows);
        let mut pieces = rows.pieces.as_slice();
        let mut expected_pieces = expected.map_or(&[][..], |expected| &expected.pieces);
        for (row, &count) in rows.pieces_in_row.iter().enumerate() {
            let here = pieces.split_off(..count as usize).expect("lengths were compared with elements");
            let sum: i64 = here.iter().map(|piece| i64::from(piece.len)).sum();
            let mut tokens = usize::try_from(sum).unwrap_or(0).min(length);
            if let Some(expected) = expected {
                let count = expected.pieces_in_row[row] as usize;
                let should = expected_pieces.split_off(..count).expect("the count is of these pieces");
                tokens = should.iter().map(|piece| piece.len as usize).sum();
                if here != should {
                    let (here, should) = (self.in_split(here), self.in_split(should));
                    self.wrong(ProblemKind::Pieces, Some(row), different_pieces(&here, &should, sum));
                }
            } else if sum > length as i64 || here.iter().any(|piece| piece.len < 1 || piece.doc_offset < 0) {
                self.wrong(ProblemKind::Pieces, Some(row), format!("seq_lens sum to {sum} of {length}"));
            }
            real.push(tokens);
        }
        real
    }

    fn check_mask(&self, rows: &ReadRows, real: &[usize]) {
        for (row, (mask, &real)) in rows.mask.chunks(self.form.row_length).zip(real).enumerate() {
            let wrong = mask.iter().enumerate().find(|&(at, &value)| value != i32::from(at < real));
            if let Some((at, value)) = wrong {
                let detail = format!("{value} at position {at} of a row with {real} tokens");
                self.wrong(ProblemKind::AttentionMask, Some(row), detail);
            }
        }
    }

    fn check_padding(&self, rows: &ReadRows, real: &[usize]) {
        let pad = self.form.pad;
        for (row, (ids, &real)) in rows.ids.chunks(self.form.row_length).zip(real).enumerate() {
            if let Some(at) = (real..ids.len()).find(|&at| ids[at] != pad) {
                let detail = format!("the id {} at position {at}, where padding is {pad}", ids[at]);
                self.wrong(ProblemKind::Padding, Some(row), detail);
            }
        }
    }

    /// Checks the spans, where the folder has such.
    fn check_spans(&self, rows: &ReadRows, real: &[usize], expected: Option<&ExpectedRows>) {
        let Some(spans) = &rows.loss_spans else { return };
        for (row, (spans, &real)) in spans.iter().zip(real).enumerate() {
            if let Err(what) = loss_spans::check(spans, real as u64) {
                self.wrong(ProblemKind::LossSpans, Some(row), what);
            } else if let Some(should) = expected.map(|expected| expected.spans_of(row))
                && spans != should
            {
                let at = spans.iter().zip(should).position(|(is, should)| is != should);
                let at = at.unwrap_or(spans.len().min(should.len()));
                let detail = format!("loss_spans are not those of its documents, from element {at} on");
                self.wrong(ProblemKind::LossSpans, Some(row), detail);
            }
        }
    }

    /// Checks all labels but that of the last position, which depends on other rows. The document table knows better than the
    /// row which tokens are learned.
    fn check_labels(&self, rows: &ReadRows, real: &[usize], expected: Option<&ExpectedRows>) {
        let length = self.form.row_length;
        let each = rows.ids.chunks(length).zip(rows.labels.chunks(length)).zip(real).enumerate();
        let mut should: Vec<i32> = Vec::with_capacity(length);
        for (row, ((ids, labels), &real)) in each {
            let spans = expected.map_or_else(|| rows.spans_of(row), |expected| expected.spans_of(row));
            should.clear();
            append_shifted(&mut should, &ids[..real], spans, length, labels[length - 1]);
            let is_wrong = |&at: &usize| labels[at] != should[at];
            if let Some(at) = (0..length).find(is_wrong) {
                let count = (0..length).filter(is_wrong).count();
                let mut detail = format!(
                    "the label {} at position {at} should be {}{}",
                    labels[at],
                    should[at],
                    if count > 1 { format!(", and {} others are wrong", count - 1) } else { String::new() }
                );
                detail.push_str(shift_of(ids, labels, real));
                self.wrong(ProblemKind::Labels, Some(row), detail);
            }
        }
    }

    fn check_around(&self, rows: &ReadRows, expected: Option<&ExpectedRows>) {
        let Some(expected) = expected else { return };
        let RowForm { before, after, row_length, .. } = self.form;
        let mut pieces = expected.pieces.iter().zip(&expected.ends);
        for (row, &count) in expected.pieces_in_row.iter().enumerate() {
            let mut at = row * row_length;
            for (piece, &ends) in pieces.by_ref().take(count as usize) {
                let tokens = &rows.ids[at..at + piece.len as usize];
                at += piece.len as usize;
                let begins = piece.doc_offset > 0 || tokens.iter().zip(before).all(|(id, known)| id == known);
                let ends =
                    !ends || tokens.iter().rev().zip(after.iter().rev()).all(|(id, known)| id == known);
                for (is, end) in [(begins, "begin"), (ends, "end")] {
                    if !is {
                        let detail = format!("document {} does not {end} as documents do", self.key(piece));
                        self.wrong(ProblemKind::SpecialTokens, Some(row), detail);
                    }
                }
            }
        }
    }
}

/// The lists of a column, whose lengths were compared with its elements.
fn spans_of((lengths, in_row): (Vec<i32>, Vec<u32>)) -> LossSpans {
    LossSpans::from_parts(lengths, &in_row).expect("lengths were compared with elements")
}

/// What is different between a row's pieces and those it should have.
fn different_pieces(found: &[Piece], should: &[Piece], sum: i64) -> String {
    let tokens: i64 = should.iter().map(|piece| i64::from(piece.len)).sum();
    if sum != tokens {
        return format!("seq_lens sum to {sum}, and the row has {tokens} tokens");
    }
    if found.len() != should.len() {
        return format!("{} pieces where the document table gives {}", found.len(), should.len());
    }
    let at = found.iter().zip(should).position(|(found, should)| found != should).unwrap_or(0);
    let text = |piece: &Piece| {
        format!("{} tokens of document {} from token {} on", piece.len, piece.doc_id, piece.doc_offset)
    };
    format!("piece {at} has {}, and the document table gives {}", text(&found[at]), text(&should[at]))
}

/// Whether all labels of a row are those of another shift, as a remark.
fn shift_of(ids: &[i32], labels: &[i32], real: usize) -> &'static str {
    let by = |shift: usize| real > shift + 1 && (0..real - shift).all(|at| labels[at] == ids[at + shift]);
    if by(0) {
        ": they are the ids themselves, not shifted"
    } else if by(2) {
        ": they are shifted twice"
    } else {
        ""
    }
}
