//! A Parquet file that grows by encoded row groups.
//!
//! The stock writer must encode what it writes. This one only appends: bytes that are encoded elsewhere, then at
//! the end its tail: the offset indexes, the checksums of all pages once more, and the footer. So the file's checksum is
//! complete the moment the file is.
//!
//! A page's checksum stands in its header, where every reader of Parquet finds it, and in the tail, where it is
//! bound to its place: pages that change places have right headers. The tail's own checksum is for the
//! manifest, so a reader that opens a file knows what each page of it has to be.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::error::{Error, Result};
use parquet::basic::Encoding as ParquetEncoding;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::encode::{Compression, Encoding, offset_index};
use crate::row_group::{ColumnChunk, EncodedRowGroup, RowGroup};

/// What every Parquet file of mashbill's says of its writer. It is a name of the layout, not of a release:
/// a new release must write the same bytes.
pub const CREATED_BY: &str = "mashbill version 1";

/// The first and the last bytes of a Parquet file.
pub const MAGIC: &[u8] = b"PAR1";

/// Bytes of a page's checksum in the tail.
pub const CHECKSUM_BYTES: u64 = size_of::<u32>() as u64;

/// The columns of a file with their encodings and codecs.
#[derive(Debug, Clone)]
pub struct Schema {
    descriptor: SchemaDescPtr,
    columns: Vec<(Encoding, Compression)>,
}

/// Columns that are parsed once: of a small file that would take a sixth of the time.
pub type Message = LazyLock<SchemaDescPtr>;

/// Columns in Parquet's message notation.
pub fn parse(message: &str) -> SchemaDescPtr {
    let message = parse_message_type(message).expect("schemas are constants of this crate");
    Arc::new(SchemaDescriptor::new(Arc::new(message)))
}

/// Bytes that are written together: a small file is written at once.
const WRITTEN_TOGETHER: usize = 64 << 10;

/// A file that takes row groups until it is finished. After an error it can only be dropped.
#[derive(Debug)]
pub struct ParquetAppender {
    path: PathBuf,
    file: File,
    schema: Schema,
    groups: Vec<Placed>,
    rows: u64,
    /// Bytes so far: the magic number and the row groups.
    end: u64,
    /// The last of them, which are not written yet.
    unwritten: Vec<u8>,
    hasher: Hasher,
}

/// A row group with its place in the file.
#[derive(Debug)]
struct Placed {
    group: RowGroup,
    offset: u64,
    /// Bytes of each column's offset index.
    index_bytes: Vec<u64>,
}

/// What a finished file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedFile {
    /// Its size in bytes.
    pub bytes: u64,
    /// Rows in all its groups.
    pub rows: u64,
    /// Its row groups.
    pub row_groups: u64,
    /// The checksum of the whole file.
    pub checksum: Checksum,
    /// Its tail.
    pub tail: Tail,
}

/// What stands behind the row groups of a file: the offset indexes, the checksums of all pages, and the footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tail {
    /// Size in bytes.
    pub bytes: u64,
    /// Checksum of these bytes.
    pub checksum: Checksum,
}

impl Tail {
    /// The tail that consists of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, checksum: Checksum::of(bytes) }
    }
}

impl Schema {
    /// The schema with the columns of `message`; for each leaf how its values are encoded where no dictionary
    /// is used, and how its pages are compressed.
    pub fn new(message: &Message, columns: &[(Encoding, Compression)]) -> Self {
        let descriptor = SchemaDescPtr::clone(message);
        assert_eq!(descriptor.num_columns(), columns.len(), "each leaf has an encoding");
        Self { descriptor, columns: columns.to_vec() }
    }

    /// The schema as a file's footer has it.
    pub fn root(&self) -> &Type {
        self.descriptor.root_schema()
    }
}

impl ParquetAppender {
    /// Creates the file, or empties it where it exists.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::DiskFull`].
    #[expect(
        clippy::disallowed_methods,
        reason = "a staging file, whose name means nothing until it is published"
    )]
    pub fn create(path: &Path, schema: Schema) -> Result<Self> {
        let file = File::create(path).map_err(|error| Error::io("create", path, error))?;
        let mut appender = Self::new(path, file, schema);
        appender.write(MAGIC)?;
        Ok(appender)
    }

    /// Appends a row group; one without rows is left out.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::DiskFull`].
    ///
    /// # Panics
    /// Panics where the group has other columns than the file.
    pub fn append(&mut self, group: &EncodedRowGroup) -> Result<()> {
        if group.meta.rows == 0 {
            return Ok(());
        }
        assert_eq!(group.meta.columns.len(), self.schema.columns.len(), "a row group of this schema");
        assert_eq!(group.meta.bytes(), group.bytes.len() as u64, "a row group is described as it is");
        let offset = self.end;
        self.write(&group.bytes)?;
        self.rows += group.meta.rows;
        self.groups.push(Placed::new(group.meta.clone(), offset));
        Ok(())
    }

    /// Writes the tail. Whoever gives the file its name waits until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::DiskFull`].
    pub fn finish(mut self) -> Result<FinishedFile> {
        let tail = tail(&self.schema, self.rows, self.end, &self.groups);
        self.write(&tail)?;
        self.flush()?;
        Ok(FinishedFile {
            bytes: self.end,
            rows: self.rows,
            row_groups: self.groups.len() as u64,
            checksum: self.hasher.finish(),
            tail: Tail::of(&tail),
        })
    }

    fn new(path: &Path, file: File, schema: Schema) -> Self {
        Self {
            path: path.to_owned(),
            file,
            schema,
            groups: Vec::new(),
            rows: 0,
            end: 0,
            unwritten: Vec::new(),
            hasher: Hasher::new(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.end += bytes.len() as u64;
        if self.unwritten.len() + bytes.len() <= WRITTEN_TOGETHER {
            self.unwritten.extend_from_slice(bytes);
            return Ok(());
        }
        self.flush()?;
        self.file.write_all(bytes).map_err(|error| Error::io("write", &self.path, error))
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.unwritten);
        self.unwritten.clear();
        written.map_err(|error| Error::io("write", &self.path, error))
    }
}

impl Placed {
    fn new(group: RowGroup, offset: u64) -> Self {
        let mut placed = Self { group, offset, index_bytes: Vec::new() };
        placed.index_bytes = offset_indexes(&mut Vec::new(), &placed);
        placed
    }

    /// The group's metadata; `place_index` gives each column's offset index of so many bytes its offset.
    fn metadata(
        &self,
        schema: &Schema,
        ordinal: usize,
        mut place_index: impl FnMut(u64) -> u64,
    ) -> RowGroupMetaData {
        let mut offset = self.offset;
        let mut builder = RowGroupMetaData::builder(schema.descriptor.clone())
            .set_num_rows(self.group.rows as i64)
            .set_total_byte_size(self.group.uncompressed_bytes() as i64)
            .set_file_offset(self.offset as i64)
            .set_ordinal(ordinal as i32);
        for (column, (chunk, &index_bytes)) in self.group.columns.iter().zip(&self.index_bytes).enumerate() {
            let index = (place_index(index_bytes), index_bytes);
            builder = builder.add_column_metadata(schema.chunk(column, chunk, offset, index));
            offset += chunk.bytes();
        }
        builder.build().expect("the number of columns was compared before")
    }
}

impl Schema {
    /// The metadata of a column chunk at `offset`, and its offset index's offset and bytes.
    fn chunk(
        &self,
        column: usize,
        chunk: &ColumnChunk,
        offset: u64,
        index: (u64, u64),
    ) -> ColumnChunkMetaData {
        let (encoding, compression) = self.columns[column];
        let has_dictionary = chunk.dictionary_bytes > 0;
        let encodings = match encoding {
            _ if has_dictionary => {
                vec![ParquetEncoding::PLAIN, ParquetEncoding::RLE, ParquetEncoding::RLE_DICTIONARY]
            }
            Encoding::DeltaBinaryPacked => vec![ParquetEncoding::RLE, ParquetEncoding::DELTA_BINARY_PACKED],
            Encoding::Plain | Encoding::Dictionary => vec![ParquetEncoding::PLAIN, ParquetEncoding::RLE],
        };
        ColumnChunkMetaData::builder(self.descriptor.column(column))
            .set_encodings(encodings)
            .set_compression_codec(compression.codec())
            .set_num_values(chunk.values as i64)
            .set_total_compressed_size(chunk.bytes() as i64)
            .set_total_uncompressed_size(chunk.uncompressed_bytes as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(offset as i64))
            .set_data_page_offset((offset + chunk.dictionary_bytes) as i64)
            .set_offset_index_offset(Some(index.0 as i64))
            .set_offset_index_length(Some(index.1 as i32))
            .build()
            .expect("all fields are set")
    }
}

/// What stands behind the row groups of a finished file that holds `groups` and nothing else.
pub fn tail_of(schema: &Schema, groups: Vec<RowGroup>) -> Vec<u8> {
    let (mut rows, mut end) = (0, MAGIC.len() as u64);
    let place = |group: RowGroup| {
        let placed = Placed::new(group, end);
        rows += placed.group.rows;
        end += placed.group.bytes();
        placed
    };
    let placed: Vec<_> = groups.into_iter().map(place).collect();
    tail(schema, rows, end, &placed)
}

/// The offset indexes of `groups`, the last of which ends at `end`, the checksums of their pages, and the footer.
fn tail(schema: &Schema, rows: u64, end: u64, groups: &[Placed]) -> Vec<u8> {
    let mut tail = Vec::new();
    let mut described = Vec::with_capacity(groups.len());
    for (ordinal, placed) in groups.iter().enumerate() {
        let mut index = end + tail.len() as u64;
        offset_indexes(&mut tail, placed);
        described.push(placed.metadata(schema, ordinal, |bytes| {
            let offset = index;
            index += bytes;
            offset
        }));
    }
    let chunks = groups.iter().flat_map(|placed| &placed.group.columns);
    tail.extend(chunks.flat_map(|chunk| &chunk.checksums).flat_map(|checksum| checksum.to_le_bytes()));
    tail.append(&mut footer(schema, rows, described));
    tail
}

/// Appends a group's offset indexes and returns the bytes of each.
fn offset_indexes(out: &mut Vec<u8>, placed: &Placed) -> Vec<u64> {
    let mut offset = placed.offset;
    let each = placed.group.columns.iter().map(|chunk| {
        let start = out.len();
        offset_index(out, offset + chunk.dictionary_bytes, &chunk.pages, placed.group.rows_per_page);
        offset += chunk.bytes();
        (out.len() - start) as u64
    });
    each.collect()
}

/// The footer of a file, its length and the closing magic number included.
fn footer(schema: &Schema, rows: u64, groups: Vec<RowGroupMetaData>) -> Vec<u8> {
    const VERSION: i32 = 1;
    let created_by = Some(CREATED_BY.to_owned());
    let descriptor = schema.descriptor.clone();
    let metadata = FileMetaData::new(VERSION, rows as i64, created_by, None, descriptor, None);
    let metadata = ParquetMetaDataBuilder::new(metadata).set_row_groups(groups).build();
    let mut out = Vec::new();
    ParquetMetaDataWriter::new(&mut out, &metadata).finish().expect("memory takes all bytes");
    out
}
