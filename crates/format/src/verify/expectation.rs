//! What each row has to hold, by the document table and the manifest's units.
//!
//! The table says how long each document is and the units say how many rows are full, so the pieces of every row
//! follow, and for each row whether its last label is a token and where that token stands.

use std::collections::VecDeque;

use super::table::{Entry, Table};
use crate::manifest::{Split, Unit};
use crate::shard::Piece;

/// What a row group has to hold.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// The group's first row, counted in the split.
    pub(super) first_row: u64,
    /// Rows.
    pub(super) rows: usize,
    /// Real tokens; less than rows × row length only in the split's last row.
    pub(super) real: usize,
    /// The pieces of all rows in order, each with whether its document ends with it.
    pub(super) pieces: Vec<Piece>,
    pub(super) ends: Vec<bool>,
    /// How many pieces each row has.
    pub(super) pieces_in_row: Vec<u32>,
    /// For each row whose last document goes on elsewhere: the row in the group, and the position in the split,
    /// counted in tokens, at which it goes on.
    pub(super) links: Vec<(usize, u64)>,
    /// Positions in the group at which documents go on that began in rows of other groups.
    pub(super) asked: Vec<usize>,
}

/// Gives the expectation of row after row.
#[derive(Debug)]
pub(super) struct Expectations<'a> {
    row_length: u64,
    units: &'a [Unit],
    /// Full rows of all units.
    full_rows: u64,
    table: Table,
    /// The unit whose rows are next, and how many of its rows were given.
    unit: usize,
    rows_given: u64,
    /// The document that is not used up, and how many of its tokens were.
    current: Option<(Entry, u64)>,
    /// The tails of the units so far, and their tokens.
    tails: VecDeque<(Piece, bool, bool)>,
    tail_tokens: u64,
    /// The next row.
    row: u64,
}

impl<'a> Expectations<'a> {
    pub(super) fn new(split: &'a Split, row_length: usize, table: Table) -> Self {
        Self {
            row_length: row_length.max(1) as u64,
            units: &split.units,
            full_rows: split.units.iter().map(|unit| unit.rows).fold(0, u64::saturating_add),
            table,
            unit: 0,
            rows_given: 0,
            current: None,
            tails: VecDeque::new(),
            tail_tokens: 0,
            row: 0,
        }
    }

    /// The expectation of the next `rows` rows.
    ///
    /// # Errors
    /// What is wrong with the document table, as a fragment.
    pub(super) fn next(&mut self, rows: usize) -> Result<Expected, String> {
        let mut expected = Expected { first_row: self.row, rows, ..Expected::default() };
        for row in 0..rows {
            let before = expected.pieces.len();
            if self.row < self.full_rows {
                self.full_row(row, &mut expected)?;
            } else {
                self.last_row(row, &mut expected)?;
            }
            expected.pieces_in_row.push((expected.pieces.len() - before) as u32);
            self.row += 1;
        }
        Ok(expected)
    }

    /// The rest of the table, behind all rows: the document lengths of the whole table.
    ///
    /// # Errors
    /// What is wrong with the document table, as a fragment.
    pub(super) fn end(mut self) -> Result<Table, String> {
        while self.unit < self.units.len() {
            self.end_unit()?;
        }
        Ok(self.table)
    }

    /// A full row of a unit: the documents that follow.
    fn full_row(&mut self, row: usize, expected: &mut Expected) -> Result<(), String> {
        while self.rows_given == self.units[self.unit].rows {
            self.end_unit()?;
        }
        // The group before asks how the document goes on; for any other row that is in reach.
        if row == 0 && self.current.is_some() {
            expected.asked.push(0);
        }
        let mut left = self.row_length;
        while left > 0 {
            let (document, used) = match self.current.take() {
                Some(current) => current,
                None => match self.table.next(self.units, self.unit)? {
                    Some(document) => (document, 0),
                    None => return Err(format!("the documents of unit {} end before its rows", self.unit)),
                },
            };
            let here = left.min(document.tokens - used);
            let ends = used + here == document.tokens;
            expected.pieces.push(piece(document, used, here));
            expected.ends.push(ends);
            left -= here;
            if !ends {
                self.current = Some((document, used + here));
            }
        }
        expected.real += self.row_length as usize;
        self.rows_given += 1;
        if self.current.is_some() {
            let next = if self.rows_given < self.units[self.unit].rows {
                (self.row + 1) * self.row_length
            } else {
                self.full_rows * self.row_length + self.tail_tokens
            };
            expected.links.push((row, next));
        }
        Ok(())
    }

    /// Takes what is left of a unit as its tail and goes to the next unit.
    fn end_unit(&mut self) -> Result<(), String> {
        let mut linked = self.current.is_some();
        loop {
            let (document, used) = match self.current.take() {
                Some(current) => current,
                None => match self.table.next(self.units, self.unit)? {
                    Some(document) => (document, 0),
                    None => break,
                },
            };
            let here = document.tokens - used;
            self.tails.push_back((piece(document, used, here), true, linked));
            self.tail_tokens += here;
            linked = false;
            // A table that contradicts the unit would fill the memory with tails.
            if self.tail_tokens > (self.unit as u64 + 1) * self.row_length {
                return Err(format!("the documents of unit {} have more tokens than the unit", self.unit));
            }
        }
        self.table.end_unit(self.units)?;
        self.unit += 1;
        self.rows_given = 0;
        Ok(())
    }

    /// One of the split's last rows: tails that follow.
    fn last_row(&mut self, row: usize, expected: &mut Expected) -> Result<(), String> {
        while self.unit < self.units.len() {
            self.end_unit()?;
        }
        let mut left = self.row_length;
        while left > 0 {
            let Some((piece, ends, linked)) = self.tails.pop_front() else { break };
            let position = (row as u64 * self.row_length + self.row_length - left) as usize;
            if linked || (row == 0 && position == 0 && piece.doc_offset > 0) {
                expected.asked.push(position);
            }
            let here = left.min(piece.len as u64);
            left -= here;
            let cut = here < piece.len as u64;
            expected.pieces.push(Piece { len: here as i32, ..piece });
            expected.ends.push(ends && !cut);
            if cut {
                let rest = Piece {
                    doc_offset: piece.doc_offset + here as i32,
                    len: piece.len - here as i32,
                    ..piece
                };
                self.tails.push_front((rest, ends, false));
                expected.links.push((row, (self.row + 1) * self.row_length));
            }
        }
        expected.real += (self.row_length - left) as usize;
        if left == self.row_length {
            return Err(format!("it has no documents for row {}", self.row));
        }
        if left > 0 && !self.tails.is_empty() {
            return Err(format!("row {} is not full", self.row));
        }
        Ok(())
    }
}

fn piece(document: Entry, used: u64, tokens: u64) -> Piece {
    // A document of the table has fewer than 2^31 tokens.
    Piece { doc_id: document.doc_id, doc_offset: used as i32, len: tokens as i32 }
}
