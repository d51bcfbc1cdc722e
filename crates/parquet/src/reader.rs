//! Parquet files opened and read, whoever made them: bounded, and without a panic.
//!
//! The stock reader (the `parquet` crate) decodes; what it is given has been held against limits first, since it takes
//! memory for whatever a file claims: the footer by `footer`, each page by `pages`. What remains of its panics is
//! caught in `reading`. A limit is there to refuse what no writer makes: a file beyond one is refused by name.

mod footer;
mod codec;
mod deltas;
mod pages;
mod lists;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mashbill_store::door;
use mashbill_store::error::{Error, Result};
use mashbill_store::open;
use mashbill_store::read_at::ReadAt;
use parquet::column::page::PageReader;
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

pub use footer::{
    COLUMN_CHUNKS_MAX, FIXED_BYTES_MAX, FOOTER_BYTES_MAX, GROUP_ROWS_MAX, NAME_BYTES_MAX, NESTING_MAX,
    SCHEMA_ELEMENTS_MAX,
};
pub use lists::{lists, next_lists};
pub use pages::Held;
pub use pages::{DENSE_VALUES_MAX, DICTIONARY_VALUES_MAX, HELD_BYTES_MAX, PAGE_BYTES_MAX, PAGE_VALUES_MAX};

use pages::Pages;

/// A Parquet file open for reading. Its footer is within the limits.
#[derive(Debug, Clone)]
pub struct ParquetReader {
    path: PathBuf,
    file: Arc<dyn ReadAt>,
    bytes: u64,
    metadata: Arc<ParquetMetaData>,
}

impl ParquetReader {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened or read, [`Error::Damaged`] where its footer is none or beyond a limit.
    pub fn open(path: &Path) -> Result<Self> {
        let file = open::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::of(path, Arc::new(file))
    }

    /// The same for a file that lies anywhere; `path` is its name in errors.
    ///
    /// # Errors
    /// As [`ParquetReader::open`].
    pub fn of(path: &Path, file: Arc<dyn ReadAt>) -> Result<Self> {
        let bytes = file.size().map_err(|error| Error::io("read", path, error))?;
        let metadata = Arc::new(metadata_of(path, &*file)?);
        Ok(Self { path: path.to_owned(), file, bytes, metadata })
    }

    /// The file's name in errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the footer says.
    #[must_use]
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        &self.metadata
    }

    /// Rows in the file.
    #[must_use]
    pub fn rows(&self) -> u64 {
        (0..self.groups()).map(|group| self.rows_in_group(group)).sum()
    }

    /// Row groups in the file.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// Rows in row group `group`: [`GROUP_ROWS_MAX`] at the most.
    #[must_use]
    pub fn rows_in_group(&self, group: usize) -> u64 {
        u64::try_from(self.metadata.row_group(group).num_rows()).unwrap_or(0)
    }

    /// A row group.
    pub const fn group(&self, group: usize) -> FileGroup<'_> {
        FileGroup { file: self, group }
    }

    /// The pages of a column of a row group, which are counted to `held` while they are in memory.
    pub fn pages(&self, group: usize, column: usize, held: Arc<Held>) -> ParquetResult<Box<dyn PageReader>> {
        let group = self.metadata.row_group(group);
        if column >= group.num_columns() {
            return Err(ParquetError::General("a row group has fewer columns than the file".to_owned()));
        }
        Ok(Box::new(Pages::new(Arc::clone(&self.file), self.bytes, group.column(column), held)?))
    }
}

/// A row group of a file.
#[derive(Debug, Clone, Copy)]
pub struct FileGroup<'a> {
    file: &'a ParquetReader,
    group: usize,
}

impl FileGroup<'_> {
    /// Its rows.
    pub fn rows(&self) -> usize {
        usize::try_from(self.file.rows_in_group(self.group)).expect("the limit of rows is one of memory, too")
    }

    /// One of its columns, to be decoded by the stock reader behind [`reading`].
    pub fn column(&self, column: usize) -> ParquetResult<ColumnReader> {
        let pages = self.file.pages(self.group, column, Arc::default())?;
        let chunk = self.file.metadata.row_group(self.group).column(column);
        Ok(get_column_reader(chunk.column_descr_ptr(), pages))
    }
}

/// The metadata of a file whose footer is within the limits; `path` is its name in errors.
pub fn metadata_of(path: &Path, file: &dyn ReadAt) -> Result<ParquetMetaData> {
    let size = file.size().map_err(|error| Error::io("read", path, error))?;
    let footer = footer::read(file, size).map_err(|error| Error::io("read", path, error))?;
    let what = |what: &str| Error::Damaged { path: path.to_owned(), what: what.to_owned() };
    metadata_in(path, &footer.map_err(what)?, size)
}

/// The metadata in the bytes of a footer of a file of `size` bytes, held against the limits first.
pub fn metadata_in(path: &Path, footer: &[u8], size: u64) -> Result<ParquetMetaData> {
    let what = |what: &str| Error::Damaged { path: path.to_owned(), what: what.to_owned() };
    footer::check(footer, size).map_err(what)?;
    reading(|| ParquetMetaDataReader::decode_metadata(footer)).map_err(|error| damaged(path, &error))
}

/// Calls the stock reader, which panics on some damaged files: that, too, is an error.
pub fn reading<T>(read: impl FnOnce() -> ParquetResult<T>) -> ParquetResult<T> {
    let panicked = |_| ParquetError::General("its bytes contradict themselves".to_owned());
    door::behind(read).map_err(panicked)?
}

/// What the stock reader says of a file, as an error of this crate's.
pub fn damaged(path: &Path, error: &ParquetError) -> Error {
    // The stock readers put their names before what they say, each its own.
    const NAMES: [&str; 5] =
        ["Arrow: ", "Parquet argument error: ", "Parquet error: ", "EOF: ", "External: "];
    let said = error.to_string();
    let mut what = said.as_str();
    while let Some(rest) = NAMES.iter().find_map(|name| what.strip_prefix(name)) {
        what = rest;
    }
    Error::Damaged { path: path.to_owned(), what: what.to_owned() }
}
