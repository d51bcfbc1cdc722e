//! Where documents came from, as their records say: what a loss per source needs.
//!
//! A document is asked for by a row that has a part of it, since keys begin again with each group of a split of many
//! files: the row says which shard it is of, and in a shard a key is one document's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::Result;

/// The sources of a dataset's documents. A shard's document table is read when a row of it is asked for; from then on
/// its documents take 12 bytes of memory each.
#[derive(Debug)]
pub struct Sources {
    dataset: Arc<Dataset>,
    shards: HashMap<usize, ShardSources>,
}

/// The documents of a shard by key, with the number of each one's source.
#[derive(Debug, Default)]
struct ShardSources {
    /// Ascending.
    doc_ids: Vec<i64>,
    indices: Vec<u32>,
    /// None: the record names no source.
    names: Vec<Option<String>>,
}

impl Sources {
    /// The sources of the documents of `dataset`; nothing is read yet.
    #[must_use]
    pub fn new(dataset: Arc<Dataset>) -> Self {
        Self { dataset, shards: HashMap::new() }
    }

    /// The source of the document `doc_id`, of which row `row` has a part: the one that its record names, or its split
    /// where it names none.
    ///
    /// # Errors
    /// [`crate::Error::Table`] where the shard's document table is damaged, cannot be read, or has no such document.
    pub fn of(&mut self, row: u64, doc_id: i64) -> Result<&str> {
        let number = self.dataset.shard_of(row);
        let sources = match self.shards.entry(number) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(new) => new.insert(ShardSources::read(&self.dataset, number)?),
        };
        let shard = &self.dataset.shards[number];
        let place = sources.doc_ids.binary_search(&doc_id).map_err(|_| {
            self.dataset.table_error(shard, format!("has no document {doc_id}, but a row has a part of it"))
        })?;
        let name = sources.names[sources.indices[place] as usize].as_deref();
        Ok(name.filter(|name| !name.is_empty()).unwrap_or(&self.dataset.splits[shard.split].name))
    }
}

impl ShardSources {
    fn read(dataset: &Dataset, shard: usize) -> Result<Self> {
        let mut sources = Self::default();
        let mut known = HashMap::new();
        for entry in dataset.entries(shard)? {
            let entry = entry?;
            let index = *known.entry(entry.source).or_insert_with_key(|source| {
                sources.names.push(source.clone());
                sources.names.len() as u32 - 1
            });
            sources.doc_ids.push(entry.key);
            sources.indices.push(index);
        }
        Ok(sources)
    }
}
