//! The Parquet files of shards, as they are written.
//!
//! Workers take turns at writing: copying to the system takes a tenth of all the time. A file has its name from the
//! beginning, and it counts when a record says so.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};

use mashbill_format::held_out::DatasetPart;
use mashbill_format::layout::{ShardId, TABLES_FOLDER};
use mashbill_format::loss_spans::Loss;
use mashbill_format::manifest::{ShardFile, TableFile};
use mashbill_format::{documents, shard};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::ParquetAppender;
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_store::atomic;

use crate::error::Result;

/// The files of one part of a shard that is under way: its rows and its document table.
#[derive(Debug)]
struct Growing {
    folder: PathBuf,
    id: ShardId,
    rows: ParquetAppender,
    table: ParquetAppender,
}

/// Whether a file is there with this size.
pub(crate) fn has_size(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() == bytes)
}

/// What is in a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowGroupKind {
    Rows,
    Documents,
}

/// The files of a part of a shard that are finished.
#[derive(Debug)]
pub(crate) struct FinishedFiles {
    pub(crate) part: DatasetPart,
    pub(crate) file: ShardFile,
    pub(crate) table: TableFile,
    pub(crate) paths: [PathBuf; 2],
}

/// The files of the shards under way, by the shards' places in the order of the work.
#[derive(Debug, Default)]
pub(crate) struct GrowingFiles {
    growing: BTreeMap<(usize, DatasetPart), Growing>,
}

/// Where a part of a shard is written.
#[derive(Debug, Clone)]
pub(crate) struct ShardPlace {
    /// The folder that becomes the split's.
    pub(crate) folder: PathBuf,
    /// The shard.
    pub(crate) id: ShardId,
    pub(crate) compression: Compression,
    pub(crate) loss: Loss,
}

impl GrowingFiles {
    /// Appends a row group to the files of `part` of the shard `ordinal`, which are created where it is the first.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn append(
        &mut self,
        ordinal: usize,
        part: DatasetPart,
        place: &ShardPlace,
        kind: RowGroupKind,
        group: &EncodedRowGroup,
    ) -> Result<()> {
        let growing = match self.growing.entry((ordinal, part)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Growing::create(place)?),
        };
        match kind {
            RowGroupKind::Rows => growing.rows.append(group)?,
            RowGroupKind::Documents => growing.table.append(group)?,
        }
        Ok(())
    }

    /// Finishes the files of the shard `ordinal`, if it has any.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn finish(&mut self, ordinal: usize) -> Result<Vec<FinishedFiles>> {
        let later = self.growing.split_off(&(ordinal + 1, DatasetPart::Train));
        let mine = std::mem::replace(&mut self.growing, later);
        mine.into_iter().map(|((_, part), growing)| growing.finish(part)).collect()
    }
}

impl Growing {
    fn create(place: &ShardPlace) -> Result<Self> {
        let ShardPlace { folder, id, compression, loss } = place;
        atomic::create_folder(&folder.join(TABLES_FOLDER))?;
        let [rows, table] = paths(folder, *id);
        Ok(Self {
            folder: folder.clone(),
            id: *id,
            rows: ParquetAppender::create(&rows, shard::schema(*compression, *loss))?,
            table: ParquetAppender::create(&table, documents::schema(*compression, *loss))?,
        })
    }

    fn finish(self, part: DatasetPart) -> Result<FinishedFiles> {
        let Self { folder, id, rows, table } = self;
        let (rows, table) = (rows.finish()?, table.finish()?);
        Ok(FinishedFiles {
            part,
            file: ShardFile {
                name: id.file_name(),
                rows: rows.rows,
                bytes: rows.bytes,
                checksum: rows.checksum,
                tail: rows.tail,
            },
            table: TableFile {
                name: id.table_name(),
                rows: table.rows,
                bytes: table.bytes,
                checksum: table.checksum,
            },
            paths: paths(&folder, id),
        })
    }
}

/// The files of a shard in the folder of its split: rows and document table.
pub(crate) fn paths(folder: &Path, id: ShardId) -> [PathBuf; 2] {
    [folder.join(id.file_name()), folder.join(TABLES_FOLDER).join(id.table_name())]
}
