//! Where each document of a split came from, as its records say: what a loss per source needs.

use std::collections::HashMap;

use crate::dataset::Dataset;
use crate::error::{Error, Result};

/// The documents of a split by key, with the number of each one's source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The documents' keys, ascending.
    pub doc_ids: Vec<i64>,
    /// For each document, its source's index in `names`.
    pub indices: Vec<u32>,
    /// The sources in the order in which they come; none: the record names no source.
    pub names: Vec<Option<String>>,
}

impl Dataset {
    /// The sources of all documents of a split: 12 bytes of memory each.
    ///
    /// # Errors
    /// [`crate::Error::UnknownSplit`], [`crate::Error::Table`] where the document table is damaged or cannot be read.
    pub fn sources(&self, split: &str) -> Result<Sources> {
        let split = self.split(split)?;
        let mut sources = Sources::default();
        let mut known = HashMap::new();
        for document in self.documents(split)? {
            let document = document?;
            if sources.doc_ids.last().is_some_and(|before| *before >= document.doc_id) {
                let split = &self.splits[split];
                let path = split.folder.join(&split.documents.name);
                let what = "is damaged: its documents are not in order".into();
                return Err(Error::Table { split: split.name.clone(), path, what });
            }
            let index = *known.entry(document.source).or_insert_with_key(|source| {
                sources.names.push(source.clone());
                sources.names.len() as u32 - 1
            });
            sources.doc_ids.push(document.doc_id);
            sources.indices.push(index);
        }
        Ok(sources)
    }
}
