//! A row group that is encoded but stands nowhere yet.
//!
//! Workers encode row groups at the same time and in any order; where a group
//! ends up in which shard is known only when its turn comes. So its description
//! holds lengths and no offset: the file that takes it in turns the lengths into
//! offsets.

/// The description of one row group: what a file's footer needs to know of it, offsets aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroup {
    /// Rows in the group.
    pub rows: u64,
    /// Rows in each page of every column; the last page of a group may hold fewer.
    pub rows_per_page: u64,
    /// The column chunks in schema order; they stand one after another.
    pub columns: Vec<ColumnChunk>,
}

/// The description of one column's bytes in a row group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnChunk {
    /// Values, nulls and repeated ones counted: one a level.
    pub values: u64,
    /// Bytes of headers and page bodies before compression.
    pub uncompressed_bytes: u64,
    /// Bytes of the dictionary page that opens the chunk, header included; 0: the chunk has none.
    pub dictionary_bytes: u64,
    /// Bytes of each data page, header included; they follow the dictionary page one after another.
    pub pages: Vec<u64>,
    /// The CRC-32 of each page's body as it is stored: the dictionary's first, where there is one.
    pub checksums: Vec<u32>,
}

/// A row group's description and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRowGroup {
    /// What the bytes are.
    pub meta: RowGroup,
    /// The column chunks, one after another: `meta.bytes()` of them.
    pub bytes: Vec<u8>,
}

impl RowGroup {
    /// Bytes the group takes in a file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.columns.iter().map(ColumnChunk::bytes).fold(0, u64::saturating_add)
    }

    /// Bytes the group would take without compression.
    #[must_use]
    pub fn uncompressed_bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.uncompressed_bytes).fold(0, u64::saturating_add)
    }
}

impl ColumnChunk {
    /// Bytes the chunk takes in a file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pages.iter().copied().fold(self.dictionary_bytes, u64::saturating_add)
    }
}
