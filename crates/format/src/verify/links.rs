//! Labels whose token stands in another row: the last of a row in whose middle a document is cut.
//!
//! Row groups are checked in any order, so a label waits here for its token, and a token for its label.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::exact::Found;
use super::expectation::Expected;
use super::problem::{Kind, Remedy};
use super::values::Group;
use crate::shard::IGNORED;

/// Halves of links of one split, by the position in the split at which the token stands.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<HashMap<u64, Half>>);

#[derive(Debug)]
enum Half {
    Label { label: i32, place: super::Place },
    Token(i32),
}

impl Links {
    /// Checks the last labels of a group's rows.
    pub(super) fn check(&self, group: &Group<'_>, expected: &Expected, found: &Found) {
        let length = group.common.row_length as u64;
        let begin = expected.first_row * length;
        let mut links = expected.links.iter().copied().peekable();
        // A padded row ends with padding, whose label was checked with the page.
        for row in 0..expected.real / group.common.row_length {
            let label = found.last_labels[row];
            match links.next_if(|&(of, _)| of == row) {
                Some((_, target)) => {
                    let inside = target.checked_sub(begin).filter(|at| at % length == 0);
                    match inside.and_then(|at| found.first_tokens.get((at / length) as usize)) {
                        Some(&token) => compare(
                            group,
                            group.place.at(group.index, group.first_row + row as u64),
                            label,
                            token,
                        ),
                        None => {
                            let place = group.place.at(group.index, group.first_row + row as u64);
                            self.put(group, target, Half::Label { label, place });
                        }
                    }
                }
                None => {
                    compare(group, group.place.at(group.index, group.first_row + row as u64), label, IGNORED)
                }
            }
        }
        for (&position, &token) in expected.asked.iter().zip(&found.asked) {
            self.put(group, begin + position as u64, Half::Token(token));
        }
    }

    fn put(&self, group: &Group<'_>, position: u64, half: Half) {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (halves.remove(&position), half) {
            (None, half) => drop(halves.insert(position, half)),
            (Some(Half::Token(token)), Half::Label { label, place })
            | (Some(Half::Label { label, place }), Half::Token(token)) => compare(group, place, label, token),
            (Some(_), half) => drop(halves.insert(position, half)),
        }
    }
}

fn compare(group: &Group<'_>, place: super::Place, label: i32, token: i32) {
    if label == token {
        return;
    }
    let detail = if token == IGNORED {
        format!("the label {label} at the last position, where its document ends: {IGNORED} should be there")
    } else {
        format!("the label {label} at the last position should be {token}, with which its document goes on")
    };
    let remedy = Remedy::MakeSplitAgain { split: group.split.to_owned() };
    group.findings.error(Kind::Labels, place, remedy, detail);
}
