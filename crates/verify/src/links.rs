//! Labels whose token stands in another row: the last of a row in whose middle a document is cut. It is the first token
//! of the row after it, which may be in another row group.
//!
//! Row groups are checked in any order, so a label waits here for its token, and a token for its label.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mashbill_format::loss_spans::learns_first;
use mashbill_format::shard::{ExpectedRows, IGNORED, RowEnds};

use crate::problem::{ProblemKind, ProblemPlace, Remedy};
use crate::values::RowGroupCheck;

/// Halves of the links between the row groups of one shard, by the row in the shard that begins with the token.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<HashMap<u64, Half>>);

#[derive(Debug)]
enum Half {
    Label { label: i32, place: ProblemPlace },
    Token(i32),
}

impl Links {
    /// Checks the last labels of a group's rows.
    pub(crate) fn check(&self, group: &RowGroupCheck<'_>, expected: &ExpectedRows, ends: &RowEnds) {
        if expected.pieces.first().is_some_and(|piece| piece.doc_offset > 0) {
            self.put(group, group.first_row, Half::Token(target(expected, ends, 0)));
        }
        let mut pieces = 0;
        // A padded row ends with padding, whose label was checked with the page.
        for row in 0..expected.real / group.form.row_length {
            let label = ends.last_labels[row];
            let place = || group.place.at(group.index, group.first_row + row as u64);
            pieces += expected.pieces_in_row[row] as usize;
            if expected.ends[pieces - 1] {
                compare(group, place, label, IGNORED);
            } else if row + 1 < ends.first_tokens.len() {
                compare(group, place, label, target(expected, ends, row + 1));
            } else {
                let half = Half::Label { label, place: place() };
                self.put(group, group.first_row + row as u64 + 1, half);
            }
        }
    }

    fn put(&self, group: &RowGroupCheck<'_>, row: u64, half: Half) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (halves.remove(&row), half) {
            (None, half) => drop(halves.insert(row, half)),
            (Some(Half::Token(token)), Half::Label { label, place })
            | (Some(Half::Label { label, place }), Half::Token(token)) => {
                compare(group, || place, label, token);
            }
            (Some(_), half) => drop(halves.insert(row, half)),
        }
    }
}

/// The label that the first token of row `row` is, where its document goes on there.
fn target(expected: &ExpectedRows, ends: &RowEnds, row: usize) -> i32 {
    if learns_first(expected.spans_of(row)) { ends.first_tokens[row] } else { IGNORED }
}

fn compare(group: &RowGroupCheck<'_>, place: impl FnOnce() -> ProblemPlace, label: i32, token: i32) {
    if label == token {
        return;
    }
    let detail = if token == IGNORED {
        format!(
            "the label {label} at the last position, where its document ends or its next token is not learned: {IGNORED} \
             should be there"
        )
    } else {
        format!("the label {label} at the last position should be {token}, with which its document continues")
    };
    let remedy = Remedy::MakeSplitAgain { split: group.split.to_owned() };
    group.findings.error(ProblemKind::Labels, place(), remedy, detail);
}
