//! Which tokens are learned, and what the label of a position is: the one rule.
//!
//! Spans are run lengths of tokens that are not learned, are, are not, …: of a row's tokens in a shard, of a document's in a
//! document table. A token is learned where it is somebody's target. So the label of a position is the next token where that
//! one is learned, else [`IGNORED`]; without spans all tokens are learned. Spans are the truth and labels follow, so
//! whoever makes labels, or compares them, asks here.

use std::ops::Range;
use std::path::Path;

use mashbill_parquet::file::Schema;
use parquet::file::metadata::ParquetMetaData;

use crate::error::{Error, Result};

/// The label of a position that has no target: what PyTorch's cross entropy ignores.
pub const IGNORED: i32 = -100;

/// The name of the column.
pub const COLUMN: &str = "loss_spans";

/// On which tokens of a folder there is a loss: its files have the column `loss_spans`, all of them or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// On all tokens: there is no such column.
    All,
    /// On those that the column says.
    Spans,
}

impl Loss {
    /// What the columns of the file at `path` say, which are those of `schema` with one of them.
    ///
    /// # Errors
    /// [`Error::Columns`] where they are other ones.
    pub(crate) fn of(
        path: &Path,
        metadata: &ParquetMetaData,
        schema: impl Fn(Self) -> Schema,
    ) -> Result<Self> {
        let found = metadata.file_metadata().schema();
        let loss = [Self::All, Self::Spans].into_iter().find(|&loss| schema(loss).root() == found);
        loss.ok_or_else(|| other_columns(path, ""))
    }

    /// Checks that the columns of the file at `path` are those of `schema` with this one.
    ///
    /// # Errors
    /// [`Error::Columns`] where they are not.
    pub(crate) fn check(
        self,
        path: &Path,
        metadata: &ParquetMetaData,
        schema: impl Fn(Self) -> Schema,
    ) -> Result<()> {
        if Self::of(path, metadata, schema)? == self {
            return Ok(());
        }
        Err(other_columns(
            path,
            match self {
                Self::All => ": it has loss_spans, which the manifest does not require",
                Self::Spans => ": it has no loss_spans, which the manifest requires",
            },
        ))
    }
}

fn other_columns(path: &Path, more: &'static str) -> Error {
    Error::Columns { path: path.to_owned(), more }
}

/// The spans of rows, or of documents, one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LossSpans {
    lengths: Vec<i32>,
    /// One a row: the index behind its last span.
    ends: Vec<usize>,
}

impl LossSpans {
    /// The spans `lengths` of rows that have so many `in_row` each; none where these are not as many.
    #[must_use]
    pub fn from_parts(lengths: Vec<i32>, in_row: &[u32]) -> Option<Self> {
        let mut end = 0usize;
        let ends: Vec<usize> = in_row
            .iter()
            .map(|&count| {
                end += count as usize;
                end
            })
            .collect();
        (end == lengths.len()).then_some(Self { lengths, ends })
    }

    /// Appends the spans of a row.
    pub fn push(&mut self, spans: &[i32]) {
        self.lengths.extend_from_slice(spans);
        self.ends.push(self.lengths.len());
    }

    /// The spans of row `row`; empty behind the last.
    #[must_use]
    pub fn of(&self, row: usize) -> &[i32] {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        start.zip(self.ends.get(row)).map_or(&[], |(start, &end)| &self.lengths[start..end])
    }

    /// How many rows there are.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The spans of each row in order.
    pub fn iter(&self) -> impl Iterator<Item = &[i32]> {
        (0..self.rows()).map(|row| self.of(row))
    }
}

/// How far a document's spans are used up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpansCursor {
    span: usize,
    used: i32,
}

impl SpansCursor {
    /// Whether the next token is learned; where some of the spans are used up, and some are left.
    #[must_use]
    pub const fn is_learned(&self) -> bool {
        self.span % 2 == 1
    }
}

/// Spans in the making: neighbors of the same kind become one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpansBuilder {
    spans: Vec<i32>,
}

impl SpansBuilder {
    /// Appends `tokens` tokens, all of which are learned or none.
    pub fn push(&mut self, is_learned: bool, tokens: i32) {
        if tokens == 0 {
            return;
        }
        // The first span is of tokens that are not learned, and may be empty.
        if self.spans.is_empty() && is_learned {
            self.spans.push(0);
        }
        match self.spans.len().is_multiple_of(2) {
            last_is_learned if !self.spans.is_empty() && last_is_learned == is_learned => {
                *self.spans.last_mut().expect("it is not empty") += tokens;
            }
            _ => self.spans.push(tokens),
        }
    }

    /// Appends the next `tokens` tokens of a document with these spans, which are used up to `cursor`.
    pub fn push_next(&mut self, spans: &[i32], cursor: &mut SpansCursor, tokens: i32) {
        if spans.is_empty() {
            return self.push(true, tokens);
        }
        let mut left = tokens;
        while let Some(&length) = spans.get(cursor.span).filter(|_| left > 0) {
            let here = left.min(length - cursor.used);
            self.push(cursor.span % 2 == 1, here);
            left -= here;
            cursor.used += here;
            if cursor.used == length {
                *cursor = SpansCursor { span: cursor.span + 1, used: 0 };
            }
        }
    }

    /// The spans so far.
    #[must_use]
    pub fn spans(&self) -> &[i32] {
        &self.spans
    }

    /// Forgets the spans so far: those of another row come.
    pub fn clear(&mut self) {
        self.spans.clear();
    }

    /// The spans so far; from then on those of another row.
    pub fn take(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.spans)
    }
}

/// Checks the spans of `tokens` tokens, 1 or more.
///
/// # Errors
/// What is wrong with them, as a fragment.
pub fn check(spans: &[i32], tokens: u64) -> std::result::Result<(), String> {
    match sum(spans)? {
        sum if sum == tokens => Ok(()),
        sum => Err(format!("loss_spans sum to {sum}, and there are {tokens} tokens")),
    }
}

/// How many tokens there are by these spans, 1 or more.
///
/// # Errors
/// What is wrong with their form, as a fragment.
pub(crate) fn sum(spans: &[i32]) -> std::result::Result<u64, String> {
    if spans.is_empty() {
        return Err("loss_spans have no element".into());
    }
    if let Some((at, length)) = spans.iter().enumerate().find(|&(at, &length)| length < i32::from(at > 0)) {
        return Err(format!("loss_spans have {length} at element {at}"));
    }
    Ok(spans.iter().map(|&length| length as u64).sum())
}

/// Whether the first token is learned.
#[must_use]
pub fn learns_first(spans: &[i32]) -> bool {
    spans.first().is_none_or(|&length| length == 0)
}

/// The stretches of tokens that are not learned, are, are not, …, among the first `tokens`. Spans may be of anybody: what lies
/// behind the last token is left out.
pub fn runs(spans: &[i32], tokens: usize) -> impl Iterator<Item = (bool, Range<usize>)> {
    let all = spans.is_empty().then_some((true, 0..tokens));
    let mut end = 0usize;
    let each = spans.iter().enumerate().map(move |(at, &length)| {
        let start = end;
        end = start.saturating_add(usize::try_from(length).unwrap_or(0)).min(tokens);
        (at % 2 == 1, start..end)
    });
    all.into_iter().chain(each)
}

/// The same for a row's labels: the positions whose label is the next token of the row, or is ignored since that one is not
/// learned, with the next tokens. A row's last token has none in its row.
pub(crate) fn labels_of_runs(
    spans: &[i32],
    tokens: usize,
) -> impl Iterator<Item = (bool, Range<usize>, Range<usize>)> {
    runs(spans, tokens).filter_map(|(is_learned, run)| {
        let next = run.start.max(1)..run.end;
        (!next.is_empty()).then(|| (is_learned, next.start - 1..next.end - 1, next))
    })
}

/// Appends the labels of a row of `row_length` positions as they are stored: of each position the next token. `tokens` are
/// those of the row, and `last_label` is the label of its last position, if that is no padding.
pub fn append_shifted<Label: From<i32> + Copy>(
    labels: &mut Vec<Label>,
    tokens: &[i32],
    spans: &[i32],
    row_length: usize,
    last_label: i32,
) {
    let (start, ignored) = (labels.len(), Label::from(IGNORED));
    for (is_learned, at, next) in labels_of_runs(spans, tokens.len()) {
        if is_learned {
            labels.resize(start + at.start, ignored);
            labels.extend(tokens[next].iter().map(|&id| Label::from(id)));
        }
    }
    if tokens.len() == row_length {
        labels.resize(start + row_length.saturating_sub(1), ignored);
        labels.push(last_label.into());
    }
    labels.resize(start + row_length, ignored);
}

/// Appends the labels of a row of `row_length` positions, each position's own token, for whoever shifts them by himself.
pub fn append_aligned<Label: From<i32> + Copy>(
    labels: &mut Vec<Label>,
    tokens: &[i32],
    spans: &[i32],
    row_length: usize,
) {
    let (start, ignored) = (labels.len(), Label::from(IGNORED));
    for (is_learned, run) in runs(spans, tokens.len()) {
        if is_learned {
            labels.resize(start + run.start, ignored);
            labels.extend(tokens[run].iter().map(|&id| Label::from(id)));
        }
    }
    labels.resize(start + row_length, ignored);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans_of(learned: &[bool]) -> Vec<i32> {
        let mut builder = SpansBuilder::default();
        learned.iter().for_each(|&is_learned| builder.push(is_learned, 1));
        builder.take()
    }

    proptest! {
        #[test]
        fn labels_are_the_next_tokens_that_are_learned(
            learned in prop::collection::vec(any::<bool>(), 1..40),
            padding in 0..5usize,
        ) {
            let tokens: Vec<i32> = (1000..).take(learned.len()).collect();
            let (spans, length) = (spans_of(&learned), learned.len() + padding);
            prop_assert_eq!(check(&spans, learned.len() as u64), Ok(()));
            prop_assert_eq!(learns_first(&spans), learned[0]);
            let token = |at: usize| if learned.get(at) == Some(&true) { i64::from(tokens[at]) } else { -100 };
            let last = if padding == 0 { 7 } else { -100 };
            let shifted = (1..length).map(token).chain([last]).collect::<Vec<_>>();
            let mut found = vec![5i64];
            append_shifted(&mut found, &tokens, &spans, length, 7);
            prop_assert_eq!(&found[1..], shifted);
            found.truncate(1);
            append_aligned(&mut found, &tokens, &spans, length);
            prop_assert_eq!(&found[1..], (0..length).map(token).collect::<Vec<_>>());
        }

        #[test]
        fn a_part_has_the_spans_of_its_tokens(
            learned in prop::collection::vec(any::<bool>(), 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let (spans, cut) = (spans_of(&learned), cut.index(learned.len()));
            let (mut builder, mut cursor) = (SpansBuilder::default(), SpansCursor::default());
            builder.push_next(&spans, &mut cursor, cut as i32);
            prop_assert_eq!(builder.take(), spans_of(&learned[..cut]));
            builder.push_next(&spans, &mut cursor, (learned.len() - cut) as i32);
            prop_assert_eq!(builder.take(), spans_of(&learned[cut..]));
        }

        #[test]
        fn spans_of_anybody_stay_within_the_tokens(spans in prop::collection::vec(any::<i32>(), 0..9), tokens in 0..9usize) {
            let (row, mut labels) = (vec![1; tokens], Vec::<i64>::new());
            append_shifted(&mut labels, &row, &spans, 9, 2);
            append_aligned(&mut labels, &row, &spans, 9);
            prop_assert_eq!(labels.len(), 18);
        }
    }

    #[test]
    fn spans_are_of_all_tokens_and_none_but_the_first_is_empty() {
        for good in [&[0, 5][..], &[5], &[2, 3], &[0, 1, 4], &[1, 1, 1, 1, 1]] {
            assert_eq!(check(good, 5), Ok(()), "{good:?}");
        }
        for bad in [&[][..], &[0], &[4], &[6], &[2, 0, 3], &[-1, 6], &[6, -1], &[5, 0], &[i32::MAX, i32::MAX]]
        {
            assert!(check(bad, 5).is_err(), "{bad:?}");
        }
    }
}
