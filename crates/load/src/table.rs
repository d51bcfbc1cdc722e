//! A document table: a file a shard, which says where each document stands and where it came from.

use std::path::PathBuf;
use std::sync::OnceLock;

use mashbill_format::documents;
use mashbill_store::checksum::Checksum;

use crate::whole;

/// A document table of a dataset.
#[derive(Debug)]
pub struct DatasetTable {
    /// Where it is.
    pub path: PathBuf,
    /// Its checksum.
    pub checksum: Checksum,
    /// Set when it was held to its checksum.
    checked: OnceLock<()>,
}

impl DatasetTable {
    pub(crate) const fn new(path: PathBuf, checksum: Checksum) -> Self {
        Self { path, checksum, checked: OnceLock::new() }
    }

    /// The documents as they stand in the table, after a look whether it is the one that the manifest knows.
    pub(crate) fn documents(&self) -> mashbill_format::error::Result<documents::DocumentReader> {
        if self.checked.get().is_none() {
            whole::check(&self.path, self.checksum)?;
            self.checked.get_or_init(|| ());
        }
        documents::read(&self.path)
    }
}
