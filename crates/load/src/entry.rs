//! A document of a dataset, as the tables of its shards have it.
//!
//! Keys and rows stand in them as the shard counts them, so that a table depends on its stretch of the input alone.
//! Here they become the dataset's, once a look has shown that they are within the shard.

use std::iter;
use std::ops::Range;

use mashbill_format::documents::{Document, DocumentKey};

use crate::dataset::{Dataset, DatasetShard, what};
use crate::error::{Error, Result};

/// A document as a table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentEntry {
    /// Its key, counted from the beginning of the input.
    pub(crate) key: i64,
    /// Its tokens.
    pub(crate) tokens: i64,
    /// The dataset's rows that hold tokens of it.
    pub(crate) rows: Range<u64>,
    /// The record's own `id`.
    pub(crate) id: Option<String>,
    /// The record's `source`.
    pub(crate) source: Option<String>,
    /// The record's `category`.
    pub(crate) category: Option<String>,
}

impl Dataset {
    /// The documents of a shard in the order of the input, keys ascending.
    ///
    /// # Errors
    /// [`Error::Table`], also as an entry; nothing follows that one.
    pub(crate) fn entries(&self, shard: usize) -> Result<impl Iterator<Item = Result<DocumentEntry>>> {
        let shard = &self.shards[shard];
        let of_table = |error| self.table_error(shard, what(&error));
        let mut documents = Some(shard.table.documents().map_err(of_table)?);
        let mut before = None;
        Ok(iter::from_fn(move || {
            let document = documents.as_mut()?.next()?;
            let entry = document.map_err(of_table).and_then(|document| {
                let entry = DocumentEntry::of(document, shard, self.row_length);
                entry.map_err(|wrong| self.table_error(shard, format!("is damaged: {wrong}")))
            });
            let key = entry.as_ref().map_or(None, |entry| Some(entry.key));
            let entry = match entry {
                Ok(_) if key <= before => {
                    Err(self.table_error(shard, "is damaged: its documents are not in order".into()))
                }
                entry => entry,
            };
            before = key;
            if entry.is_err() {
                documents = None;
            }
            Some(entry)
        }))
    }

    /// The shard of a split whose stretch of the input holds a key; none where no shard that has rows does.
    pub(crate) fn shard_with_key(&self, split: usize, key: DocumentKey) -> Option<usize> {
        let shards = self.splits[split].shards.clone();
        let is_before = |shard: &DatasetShard| (shard.group, shard.input.end) <= (key.group, key.offset);
        let at = shards.start + self.shards[shards.clone()].partition_point(is_before);
        let has_it = |shard: &DatasetShard| shard.group == key.group && shard.input.contains(&key.offset);
        (at < shards.end && has_it(&self.shards[at])).then_some(at)
    }

    /// An error of a shard's document table, with what a user needs to find it.
    pub(crate) fn table_error(&self, shard: &DatasetShard, what: String) -> Error {
        Error::Table { split: self.splits[shard.split].name.clone(), path: shard.table.path.clone(), what }
    }
}

impl DocumentEntry {
    /// The document of a shard, whose rows are `row_length` long, as the dataset counts; what is wrong with it, as a
    /// fragment.
    fn of(
        document: Document<String>,
        shard: &DatasetShard,
        row_length: usize,
    ) -> std::result::Result<Self, String> {
        let Document { doc_id, id, source, category, tokens, row, position, .. } = document;
        let key = shard.key(doc_id).ok_or_else(|| {
            format!("it has a document {doc_id} of a stretch of {}", shard.input.end - shard.input.start)
        })?;
        let rows = rows(shard, row_length as u64, tokens, row, position)
            .ok_or_else(|| format!("its document {doc_id} is in no row of the shard"))?;
        Ok(Self { key, tokens, rows, id, source, category })
    }
}

/// The dataset's rows that hold `tokens` tokens from a position in a row of `shard` on; none where the shard has no
/// such rows.
fn rows(shard: &DatasetShard, row_length: u64, tokens: i64, row: i64, position: i32) -> Option<Range<u64>> {
    let (tokens, row) = (u64::try_from(tokens).ok()?, u64::try_from(row).ok()?);
    let position = u64::try_from(position).ok().filter(|&position| position < row_length)?;
    let end = row.checked_add(position.checked_add(tokens)?.div_ceil(row_length))?;
    // Without tokens it may stand behind the last one.
    let end = if tokens == 0 { row } else { end };
    (end <= shard.rows).then(|| shard.first_row + row..shard.first_row + end)
}
