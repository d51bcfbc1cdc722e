//! One column's pages, appended one after another.

use super::compact::{PageBody, data_page_header, dictionary_page_header};
use super::compression::Compressor;
use crate::row_group::{ColumnChunk, EncodedRowGroup, RowGroup};

/// The encodings data pages use, with their numbers in `parquet.thrift`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Value after value, as they are.
    Plain = 0,
    /// Differences in blocks, packed into bits.
    DeltaBinaryPacked = 5,
    /// Indices into the chunk's dictionary page.
    Dictionary = 8,
}

/// A column chunk in the making; its memory is kept from group to group.
#[derive(Debug, Default)]
pub struct Chunk {
    dictionary: Vec<u8>,
    dictionary_uncompressed_bytes: u64,
    pages: Vec<u8>,
    meta: ColumnChunk,
}

impl Chunk {
    /// Sets the dictionary page: `entries` values, plainly encoded in `raw`. It may come after the pages that
    /// use it, since a dictionary is complete only then.
    pub fn dictionary_page(&mut self, entries: usize, raw: &[u8], compressor: &mut Compressor) {
        let stored = compressor.compress(raw);
        let body = PageBody::of(raw.len(), stored);
        dictionary_page_header(&mut self.dictionary, body, entries);
        self.dictionary_uncompressed_bytes = (self.dictionary.len() + raw.len()) as u64;
        self.meta.uncompressed_bytes += self.dictionary_uncompressed_bytes;
        self.dictionary.extend_from_slice(stored);
        self.meta.dictionary_bytes = self.dictionary.len() as u64;
        self.meta.checksums.insert(0, body.checksum);
    }

    /// Sets the same dictionary page as `other` has.
    pub fn same_dictionary_page(&mut self, other: &Self) {
        self.dictionary.extend_from_slice(&other.dictionary);
        self.meta.dictionary_bytes = other.meta.dictionary_bytes;
        self.meta.checksums.insert(0, other.meta.checksums[0]);
        self.meta.uncompressed_bytes += other.dictionary_uncompressed_bytes;
    }

    /// Appends a data page: `values` levels and their values, compressed in `page`, which were
    /// `raw_bytes` before.
    pub fn data_page(&mut self, values: usize, encoding: Encoding, raw_bytes: usize, page: &[u8]) {
        let start = self.pages.len();
        let body = PageBody::of(raw_bytes, page);
        data_page_header(&mut self.pages, body, values, encoding as i64);
        self.meta.uncompressed_bytes += (self.pages.len() - start + raw_bytes) as u64;
        self.pages.extend_from_slice(page);
        self.meta.values += values as u64;
        self.meta.pages.push((self.pages.len() - start) as u64);
        self.meta.checksums.push(body.checksum);
    }
}

/// Joins finished chunks to a row group, in the memory of `bytes`, and empties them for the next one.
pub fn join(rows: usize, rows_per_page: usize, chunks: &mut [Chunk], mut bytes: Vec<u8>) -> EncodedRowGroup {
    bytes.clear();
    bytes.reserve_exact(chunks.iter().map(|chunk| chunk.dictionary.len() + chunk.pages.len()).sum());
    let mut columns = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        bytes.extend_from_slice(&chunk.dictionary);
        bytes.extend_from_slice(&chunk.pages);
        chunk.dictionary.clear();
        chunk.pages.clear();
        columns.push(std::mem::take(&mut chunk.meta));
    }
    let meta = RowGroup { rows: rows as u64, rows_per_page: rows_per_page as u64, columns };
    EncodedRowGroup { meta, bytes }
}
