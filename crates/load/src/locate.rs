//! From a batch to its documents, and from a document to its steps.
//!
//! Both ways are arithmetic: the order is invertible, a row lists its pieces, and a document stands in rows that follow
//! one another. Only the names (`id`, `source`) and where a document begins have to be looked up, in the document table
//! of its shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mashbill_format::documents::DocumentKey;
use mashbill_format::manifest;
use mashbill_format::shard::Piece;
use serde::Serialize;

use crate::dataset::{Dataset, DatasetShard};
use crate::entry::DocumentEntry;
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
    /// The group of files that it is of, where the split is many files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// The document's key: the byte offset of its record in the decompressed input file, or its row there; of many files, in
    /// the group's one after another. It is the sum of where the shard's stretch begins and of what the shard has.
    pub doc_id: i64,
    /// Where its record begins in `file`: the same where the split is one file.
    pub offset: i64,
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

    /// The rows of `rank` in step `step` of `stream`, or of all ranks, with their documents. Of document tables, only those
    /// of the shards in which the rows stand are read.
    ///
    /// # Errors
    /// Those of [`Stream::rows_of_step`]; [`Error::Shard`] and [`Error::Table`] where a shard or a document table
    /// is damaged, or the two contradict each other.
    pub fn locate(&self, stream: &Stream, step: u64, rank: Option<usize>) -> Result<Vec<LocatedRow>> {
        let world_size = stream.options().world_size;
        let mut rows = Vec::new();
        let mut buffer = RowBuffer::default();
        let mut wanted = BTreeMap::<usize, BTreeSet<i64>>::new();
        for (place, row) in stream.rows_of_step(step)?.into_iter().enumerate() {
            if rank.is_some_and(|rank| rank != place % world_size) {
                continue;
            }
            self.rows.read(row, &mut buffer)?;
            let shard = self.dataset.shard_of(row);
            wanted.entry(shard).or_default().extend(buffer.pieces.iter().map(|piece| piece.doc_id));
            rows.push((place, row, shard, buffer.pieces.clone()));
        }
        let mut entries = BTreeMap::new();
        for (shard, wanted) in wanted {
            entries.insert(shard, self.entries(shard, wanted)?);
        }
        let located = rows.into_iter().map(|(place, row, shard, pieces)| {
            let split = &self.dataset.splits[self.dataset.shards[shard].split];
            Ok(LocatedRow {
                row,
                split: split.name.clone(),
                row_in_split: row - split.first_row,
                rank: place % world_size,
                index: place / world_size,
                documents: self.located(shard, row, &pieces, &entries[&shard])?,
            })
        });
        located.collect()
    }

    /// The steps before `until` in which a part of a document stands: those of `stream` since the last change of
    /// batch size or weights. `document` is the record's `id`, or else its key as digits, `128`, or `2/128` with the group where the split is many files: the split's document
    /// tables are read one after another, up to the one that has the `id`. [`Locator::steps_of_key`] reads one alone.
    ///
    /// # Errors
    /// [`Error::UnknownSplit`], [`Error::UnknownDocument`], [`Error::Table`], and those of [`Stream::steps_of_row`].
    pub fn steps_of(
        &self,
        stream: &Stream,
        split: &str,
        document: &str,
        until: u64,
    ) -> Result<Vec<Appearance>> {
        let index = self.dataset.split(split)?;
        let key: Option<DocumentKey> = document.parse().ok();
        let mut by_key = None;
        for shard in self.dataset.splits[index].shards.clone() {
            for entry in self.dataset.entries(shard)? {
                let entry = entry?;
                // A record's own id comes first: it may consist of digits.
                if entry.id.as_deref() == Some(document) {
                    return self.steps_of_entry(stream, &entry, until);
                }
                if key.is_some_and(|key| self.is_key(shard, entry.key, key)) {
                    by_key = Some(entry);
                }
            }
        }
        let entry = by_key.ok_or_else(|| unknown(split, document))?;
        self.steps_of_entry(stream, &entry, until)
    }

    /// The same of the document with the key `key`. Only the document table of the shard whose stretch of the input
    /// holds the key is read.
    ///
    /// # Errors
    /// As [`Locator::steps_of`], and [`Error::NoGroup`].
    pub fn steps_of_key(
        &self,
        stream: &Stream,
        split: &str,
        key: DocumentKey,
        until: u64,
    ) -> Result<Vec<Appearance>> {
        let index = self.dataset.split(split)?;
        let shards = &self.dataset.shards[self.dataset.splits[index].shards.clone()];
        if key.group.is_none() && shards.iter().any(|shard| shard.group.is_some()) {
            return Err(Error::NoGroup { split: split.to_owned() });
        }
        let unknown = || unknown(split, &key.to_string());
        let shard = self.dataset.shard_with_key(index, key).ok_or_else(unknown)?;
        for entry in self.dataset.entries(shard)? {
            let entry = entry?;
            if self.is_key(shard, entry.key, key) {
                return self.steps_of_entry(stream, &entry, until);
            }
        }
        Err(unknown())
    }

    /// Whether the document of `shard` that begins at `offset` has the key `key`.
    fn is_key(&self, shard: usize, offset: i64, key: DocumentKey) -> bool {
        self.dataset.shards[shard].group == key.group && u64::try_from(offset) == Ok(key.offset)
    }

    fn steps_of_entry(&self, stream: &Stream, entry: &DocumentEntry, until: u64) -> Result<Vec<Appearance>> {
        let world_size = stream.options().world_size as u64;
        let mut appearances = Vec::new();
        for row in entry.rows.clone() {
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

    /// The entries of the documents with the keys `wanted` in a shard's table.
    fn entries(&self, shard: usize, mut wanted: BTreeSet<i64>) -> Result<BTreeMap<i64, DocumentEntry>> {
        let mut found = BTreeMap::new();
        for entry in self.dataset.entries(shard)? {
            if wanted.is_empty() {
                break;
            }
            let entry = entry?;
            if wanted.remove(&entry.key) {
                found.insert(entry.key, entry);
            }
        }
        let Some(missing) = wanted.first() else { return Ok(found) };
        let what = format!("has no document {missing}, but a row has a part of it");
        Err(self.dataset.table_error(&self.dataset.shards[shard], what))
    }

    /// The documents whose parts are `pieces` of row `row`, after a look whether the table says so, too.
    fn located(
        &self,
        shard: usize,
        row: u64,
        pieces: &[Piece],
        entries: &BTreeMap<i64, DocumentEntry>,
    ) -> Result<Vec<LocatedDocument>> {
        let DatasetShard { split, group, ref sources, .. } = self.dataset.shards[shard];
        let input = &self.dataset.splits[split].input;
        let parts = pieces.iter().map(|piece| {
            let entry = &entries[&piece.doc_id];
            let end = i64::from(piece.doc_offset) + i64::from(piece.len);
            if end > entry.tokens || !entry.rows.contains(&row) {
                let what = format!("says that document {} is not in row {row}", piece.doc_id);
                return Err(self.dataset.table_error(&self.dataset.shards[shard], what));
            }
            let of_many = manifest::source_of(sources, piece.doc_id.unsigned_abs());
            let (file, start) = of_many.map_or((input, 0), |source| (&source.file, source.start as i64));
            Ok(LocatedDocument {
                group,
                doc_id: piece.doc_id,
                offset: piece.doc_id - start,
                file: file.clone(),
                id: entry.id.clone(),
                source: entry.source.clone(),
                category: entry.category.clone(),
                doc_offset: piece.doc_offset,
                len: piece.len,
            })
        });
        parts.collect()
    }
}

fn unknown(split: &str, document: &str) -> Error {
    Error::UnknownDocument { split: split.to_owned(), document: document.to_owned() }
}
