//! From a batch to its documents, and from a document to its steps.
//!
//! Both ways are arithmetic: the order is invertible, a row lists its pieces, and the manifest's units lead from
//! a document to its rows. Only the names (`id`, `source`) have to be looked up, in the split's document table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mashbill_format::documents::Document;
use mashbill_format::shard::Piece;
use serde::Serialize;

use crate::dataset::{Dataset, Split};
use crate::error::{Error, Result};
use crate::rows::{RowBuffer, RowStore};
use crate::stream::Stream;

/// Answers where rows come from and where they go.
#[derive(Debug)]
pub struct Locator {
    dataset: Arc<Dataset>,
    rows: RowStore,
}

/// One row of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocatedRow {
    /// The row's number in the dataset.
    pub row: u64,
    /// Its split.
    pub split: String,
    /// Its number in the split.
    pub row_in_split: u64,
    /// The rank it is delivered to.
    pub rank: usize,
    /// Its place in that rank's batch.
    pub index: usize,
    /// The documents in it, in order.
    pub documents: Vec<LocatedDocument>,
}

/// The part of a document in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocatedDocument {
    /// The document's key: the byte offset of its record in the decompressed input file, or its row there.
    pub doc_id: i64,
    /// The input file, relative to the folder that was tokenized.
    pub file: String,
    /// The record's own `id`.
    pub id: Option<String>,
    /// The record's `source`.
    pub source: Option<String>,
    /// The record's `category`.
    pub category: Option<String>,
    /// Tokens of the document before this part.
    pub doc_offset: i32,
    /// Tokens of this part.
    pub len: i32,
}

/// A step in which a row of a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Appearance {
    /// The step.
    pub step: u64,
    /// The rank that gets it.
    pub rank: usize,
    /// The place in that rank's batch.
    pub index: usize,
    /// The row's number in the dataset.
    pub row: u64,
}

impl Locator {
    /// A locator of rows of `dataset`.
    #[must_use]
    pub fn new(dataset: Arc<Dataset>) -> Self {
        Self { rows: RowStore::new(Arc::clone(&dataset), None, true), dataset }
    }

    /// The rows of `rank` in step `step` of `stream`, or of all ranks, with their documents.
    ///
    /// # Errors
    /// Those of [`Stream::rows_of_step`]; [`Error::Shard`] and [`Error::Table`] where a shard or a document table
    /// is damaged, or the two contradict each other.
    pub fn locate(&self, stream: &Stream, step: u64, rank: Option<usize>) -> Result<Vec<LocatedRow>> {
        let world_size = stream.options().world_size;
        let mut located = Vec::new();
        let mut buffer = RowBuffer::default();
        let mut wanted = BTreeMap::<usize, BTreeSet<i64>>::new();
        for (place, row) in stream.rows_of_step(step)?.into_iter().enumerate() {
            if rank.is_some_and(|rank| rank != place % world_size) {
                continue;
            }
            self.rows.read(row, &mut buffer)?;
            let split = self.dataset.split_of(row);
            wanted.entry(split).or_default().extend(buffer.pieces.iter().map(|piece| piece.doc_id));
            located.push((place, row, split, buffer.pieces.clone()));
        }
        let mut documents = BTreeMap::new();
        for (split, wanted) in wanted {
            documents.insert(split, self.documents(split, wanted)?);
        }
        for (_, row, split, pieces) in &located {
            self.check(*split, *row, pieces, &documents[split])?;
        }
        let rows = located.into_iter().map(|(place, row, split, pieces)| LocatedRow {
            row,
            split: self.dataset.splits[split].name.clone(),
            row_in_split: row - self.dataset.splits[split].first_row,
            rank: place % world_size,
            index: place / world_size,
            documents: pieces
                .iter()
                .map(|piece| {
                    let document = &documents[&split][&piece.doc_id];
                    LocatedDocument {
                        doc_id: piece.doc_id,
                        file: self.dataset.splits[split].input.clone(),
                        id: document.id.clone(),
                        source: document.source.clone(),
                        category: document.category.clone(),
                        doc_offset: piece.doc_offset,
                        len: piece.len,
                    }
                })
                .collect(),
        });
        Ok(rows.collect())
    }

    /// The steps before `until` in which a part of a document stands: those of `stream` since the last change of
    /// batch size or weights. `document` is the record's `id`, or its key as decimal digits.
    ///
    /// # Errors
    /// [`Error::UnknownSplit`], [`Error::UnknownDocument`], and those of [`Stream::steps_of_row`].
    pub fn steps_of(
        &self,
        stream: &Stream,
        split: &str,
        document: &str,
        until: u64,
    ) -> Result<Vec<Appearance>> {
        let index = self.dataset.split(split)?;
        let split = &self.dataset.splits[index];
        let key = document.parse().ok();
        let mut by_key = None;
        for found in self.dataset.documents(index)? {
            let found = found?;
            // A record's own id comes first: it may consist of digits.
            if found.id.as_deref() == Some(document) {
                return self.steps_of_rows(stream, &rows_of(split, &found, self.dataset.row_length), until);
            }
            if Some(found.doc_id) == key {
                by_key = Some(found);
            }
        }
        let found = by_key.ok_or_else(|| Error::UnknownDocument {
            split: split.name.clone(),
            document: document.to_owned(),
        })?;
        self.steps_of_rows(stream, &rows_of(split, &found, self.dataset.row_length), until)
    }

    fn steps_of_rows(&self, stream: &Stream, rows: &[u64], until: u64) -> Result<Vec<Appearance>> {
        let world_size = stream.options().world_size as u64;
        let mut appearances = Vec::new();
        for &row in rows {
            let steps = stream.steps_of_row(row, until)?.into_iter().map(|(step, place)| Appearance {
                step,
                rank: (place % world_size) as usize,
                index: (place / world_size) as usize,
                row,
            });
            appearances.extend(steps);
        }
        appearances.sort_unstable();
        Ok(appearances)
    }

    /// The documents with the keys `wanted` of a split.
    fn documents(&self, split: usize, mut wanted: BTreeSet<i64>) -> Result<BTreeMap<i64, Document<String>>> {
        let mut found = BTreeMap::new();
        for document in self.dataset.documents(split)? {
            let document = document?;
            if wanted.remove(&document.doc_id) {
                found.insert(document.doc_id, document);
            }
            if wanted.is_empty() {
                return Ok(found);
            }
        }
        let missing = wanted.first().map_or_else(String::new, i64::to_string);
        Err(self.contradiction(split, format!("has no document {missing}, of which a row has a part")))
    }

    /// Whether the documents that were found are those whose parts stand in row `row`.
    fn check(
        &self,
        split: usize,
        row: u64,
        pieces: &[Piece],
        documents: &BTreeMap<i64, Document<String>>,
    ) -> Result<()> {
        for piece in pieces {
            let document = &documents[&piece.doc_id];
            let end = i64::from(piece.doc_offset) + i64::from(piece.len);
            let rows = rows_of(&self.dataset.splits[split], document, self.dataset.row_length);
            if end > document.tokens || !rows.contains(&row) {
                let what = format!("says that document {} stands elsewhere than in row {row}", piece.doc_id);
                return Err(self.contradiction(split, what));
            }
        }
        Ok(())
    }

    /// The document table of a split and its rows contradict each other.
    fn contradiction(&self, split: usize, what: String) -> Error {
        let split = &self.dataset.splits[split];
        let path = split.folder.join(&split.documents.name);
        Error::Table { split: split.name.clone(), path, what }
    }
}

/// The dataset's rows that hold tokens of a document, in the document's order.
fn rows_of(split: &Split, document: &Document<String>, row_length: usize) -> Vec<u64> {
    let Some(unit) = usize::try_from(document.unit).ok().and_then(|unit| split.units.get(unit)) else {
        return Vec::new();
    };
    let row_length = row_length as u64;
    let (row, position) = (document.row.max(0) as u64, document.position.max(0) as u64);
    // A table that says more than there is makes no list longer than the split.
    let tokens = (document.tokens.max(0) as u64).min(split.rows.saturating_mul(row_length));
    let (mut left, full) = (tokens, unit.rows * row_length);
    let mut rows = Vec::new();
    let mut take = |start: u64, tokens: u64| {
        if tokens > 0 {
            rows.extend(start / row_length..=(start + tokens - 1) / row_length);
        }
    };
    let mut start = row.saturating_mul(row_length).saturating_add(position);
    if start < full {
        let here = left.min(full - start);
        take(unit.first_row * row_length + start, here);
        (left, start) = (left - here, full);
    }
    // The units' tails follow one another after all full rows.
    let full_rows: u64 = split.units.iter().map(|unit| unit.rows).sum();
    let before: u64 = split.units[..document.unit as usize].iter().map(|unit| unit.tail_tokens).sum();
    take(full_rows * row_length + before + (start - full), left);
    rows.iter().map(|row| split.first_row + row).collect()
}
