//! The Parquet files of a split, as they grow.

use std::path::{Path, PathBuf};

use mashbill_format::encode::Compression;
use mashbill_format::journal::UnitRecord;
use mashbill_format::layout::{DOCUMENTS, shard_name};
use mashbill_format::manifest::DataFile;
use mashbill_format::parquet_file::{ParquetAppender, Unsynced};
use mashbill_format::row_group::{EncodedRowGroup, RowGroup};
use mashbill_format::{documents, shard};

use crate::error::{Error, Result};

/// The most that a row group adds to a shard's footer and offset index: with six columns of sixteen pages
/// it is under 2 KiB.
const FOOTER_BYTES_PER_GROUP: u64 = 8 << 10;

/// What the files of a split are known to hold.
#[derive(Debug, Default)]
pub(crate) struct Written {
    finished_shards: Vec<DataFile>,
    /// The row groups of the shard after the finished ones.
    last_shard: Vec<RowGroup>,
    documents: Vec<RowGroup>,
}

impl Written {
    /// Takes in the record of the next unit.
    pub(crate) fn add(&mut self, record: UnitRecord) {
        if !record.finished_shards.is_empty() {
            self.finished_shards.extend(record.finished_shards);
            self.last_shard.clear();
        }
        let last = self.finished_shards.len();
        self.last_shard
            .extend(record.row_groups.into_iter().filter(|(s, _)| *s == last).map(|(_, group)| group));
        self.documents.extend(record.documents);
    }

    /// The shards that are finished.
    pub(crate) fn finished_shards(&self) -> &[DataFile] {
        &self.finished_shards
    }
}

/// The files of a split. Whoever holds them appends to them: the workers take turns.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) shards: Shards,
    pub(crate) documents: DocumentsFile,
}

/// An encoded row group of a unit, whose turn it is to be written.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) unit: usize,
    pub(crate) kind: Kind,
    pub(crate) encoded: EncodedRowGroup,
}

/// What is in a row group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rows,
    Documents,
}

/// Where a row group went.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) shard: usize,
    /// The shard that had to be finished for it.
    pub(crate) finished: Option<DataFile>,
}

impl Files {
    /// Appends a row group; gives its place, if it is one of a shard.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn append(&mut self, group: &Group) -> Result<Option<Place>> {
        match group.kind {
            Kind::Rows => self.shards.append(&group.encoded).map(Some),
            Kind::Documents => self.documents.0.append(&group.encoded).map(|()| None).map_err(Error::from),
        }
    }

    /// The files that grow, for somebody else to wait for.
    ///
    /// # Errors
    /// An error of opening them again.
    pub(crate) fn unsynced(&self) -> Result<impl Iterator<Item = Unsynced>> {
        let documents = self.documents.0.unsynced()?;
        let shard = self.shards.growing.as_ref().map(ParquetAppender::unsynced).transpose()?;
        Ok(shard.into_iter().chain([documents]))
    }
}

/// The shards of a split, of which the last one is growing.
#[derive(Debug)]
pub(crate) struct Shards {
    folder: PathBuf,
    compression: Compression,
    shard_bytes: u64,
    finished: Vec<DataFile>,
    growing: Option<ParquetAppender>,
}

impl Shards {
    /// Goes on after `written`; with nothing written it begins.
    ///
    /// # Errors
    /// [`mashbill_format::Error::Damaged`] where a file is not what was recorded.
    pub(crate) fn resume(
        folder: &Path,
        compression: Compression,
        shard_bytes: u64,
        written: &mut Written,
    ) -> Result<Self> {
        let finished = std::mem::take(&mut written.finished_shards);
        for shard in &finished {
            check_size(&folder.join(&shard.name), shard.bytes)?;
        }
        let groups = std::mem::take(&mut written.last_shard);
        let growing = if groups.is_empty() {
            None
        } else {
            let path = folder.join(shard_name(finished.len()));
            Some(ParquetAppender::resume(&path, shard::schema(compression), groups)?)
        };
        Ok(Self { folder: folder.to_owned(), compression, shard_bytes, finished, growing })
    }

    /// Appends a row group.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn append(&mut self, group: &EncodedRowGroup) -> Result<Place> {
        let full = self.growing.as_ref().is_some_and(|shard| {
            shard.bytes() + group.meta.bytes() + FOOTER_BYTES_PER_GROUP > self.shard_bytes
        });
        let finished = if full { self.finish_growing()? } else { None };
        let index = self.finished.len();
        if self.growing.is_none() {
            let path = self.folder.join(shard_name(index));
            self.growing = Some(ParquetAppender::create(&path, shard::schema(self.compression))?);
        }
        let growing = self.growing.as_mut().expect("it was created");
        growing.append(group)?;
        Ok(Place { shard: index, finished })
    }

    /// Finishes the last shard and gives them all.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn finish(mut self) -> Result<Vec<DataFile>> {
        self.finish_growing()?;
        Ok(self.finished)
    }

    fn finish_growing(&mut self) -> Result<Option<DataFile>> {
        let Some(shard) = self.growing.take() else { return Ok(None) };
        let finished = data_file(shard_name(self.finished.len()), shard)?;
        self.finished.push(finished.clone());
        Ok(Some(finished))
    }
}

/// The document table of a split, as it grows.
#[derive(Debug)]
pub(crate) struct DocumentsFile(ParquetAppender);

impl DocumentsFile {
    /// Goes on after `written`; with nothing written it begins.
    ///
    /// # Errors
    /// [`mashbill_format::Error::Damaged`] where the file is not what was recorded.
    pub(crate) fn resume(folder: &Path, compression: Compression, written: &mut Written) -> Result<Self> {
        let path = folder.join(DOCUMENTS);
        let schema = documents::schema(compression);
        let groups = std::mem::take(&mut written.documents);
        Ok(Self(if groups.is_empty() {
            ParquetAppender::create(&path, schema)?
        } else {
            ParquetAppender::resume(&path, schema, groups)?
        }))
    }

    /// Finishes the table.
    ///
    /// # Errors
    /// An error of writing.
    pub(crate) fn finish(self) -> Result<DataFile> {
        data_file(DOCUMENTS.to_owned(), self.0)
    }
}

/// A finished shard has been on the disk whole; after a crash of the whole machine it may not be.
fn check_size(path: &Path, bytes: u64) -> Result<()> {
    let found = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    if found == bytes {
        return Ok(());
    }
    let what = format!("it has {found} bytes where {bytes} were recorded");
    Err(mashbill_format::Error::Damaged { path: path.to_owned(), what }.into())
}

fn data_file(name: String, file: ParquetAppender) -> Result<DataFile> {
    let finished = file.finish()?;
    let tail = (name != DOCUMENTS).then_some(finished.tail);
    Ok(DataFile { name, rows: finished.rows, bytes: finished.bytes, checksum: finished.checksum, tail })
}
