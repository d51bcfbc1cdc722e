//! A unit on its way: what has been counted of it and what is still to come.

use mashbill_format::checksum::Hasher;
use mashbill_format::documents::{Document, DocumentsEncoder};
use mashbill_format::journal::{Counts, Reject, Tail, UnitRecord};
use mashbill_format::manifest::{DataFile, FORMAT_VERSION};
use mashbill_format::row_group::{EncodedRowGroup, RowGroup};

use crate::block::{BlockDocuments, TokenizedBlock};
use crate::shards::Place;

/// Documents in a row group of the document table, where the unit has as many; a group ends with a block.
const DOCUMENTS_PER_GROUP: usize = 1 << 16;

/// A unit whose blocks are coming in, or whose row groups are not all written.
#[derive(Debug)]
pub(crate) struct OpenUnit {
    pub(crate) index: usize,
    first_key: u64,
    next_key: u64,
    bytes: u64,
    hasher: Hasher,
    counts: Counts,
    rejects: Vec<Reject>,
    /// Tokens of the blocks so far: where the next block's first document stands.
    tokens: u64,
    waiting: DocumentTable,
    /// Row groups, of rows and of documents, that were handed to workers and are not written yet.
    pub(crate) pending: usize,
    row_groups: Vec<(usize, RowGroup)>,
    documents: Vec<RowGroup>,
    finished_shards: Vec<DataFile>,
    /// There once all blocks are in.
    tail: Option<Tail>,
}

/// Rows of the document table that are not encoded yet.
#[derive(Debug, Default)]
pub(crate) struct DocumentTable {
    unit: usize,
    blocks: Vec<(BlockDocuments, u64)>,
    count: usize,
}

impl DocumentTable {
    /// Encodes the rows as one row group.
    pub(crate) fn encode(&self, row_length: usize, encoder: &mut DocumentsEncoder) -> EncodedRowGroup {
        let rows = self
            .blocks
            .iter()
            .flat_map(|(documents, first)| documents.table_rows(self.unit, *first, row_length));
        let rows: Vec<Document<&str>> = rows.collect();
        encoder.encode(&rows)
    }
}

impl OpenUnit {
    pub(crate) fn new(index: usize, first_key: u64) -> Self {
        Self {
            index,
            first_key,
            next_key: first_key,
            bytes: 0,
            hasher: Hasher::new(),
            counts: Counts::default(),
            rejects: Vec::new(),
            tokens: 0,
            waiting: DocumentTable { unit: index, ..DocumentTable::default() },
            pending: 0,
            row_groups: Vec::new(),
            documents: Vec::new(),
            finished_shards: Vec::new(),
            tail: None,
        }
    }

    /// Takes in the next block; hands out rows of the document table that make a row group.
    pub(crate) fn add(&mut self, block: TokenizedBlock) -> Option<DocumentTable> {
        self.next_key = block.next_key;
        self.bytes += block.bytes;
        self.hasher.update(&block.checksum.to_bytes());
        self.counts.add(&block.counts);
        self.rejects.extend(block.rejects);
        self.waiting.count += block.documents.len();
        self.waiting.blocks.push((block.documents, self.tokens));
        self.tokens += block.ids.len() as u64;
        (self.waiting.count >= DOCUMENTS_PER_GROUP).then(|| self.take_documents())
    }

    /// All blocks are in: `rows` full rows and the tail. Hands out the rest of the document table.
    pub(crate) fn close(&mut self, rows: u64, tail: Tail) -> Option<DocumentTable> {
        self.counts.rows = rows;
        self.tail = Some(tail);
        (self.waiting.count > 0).then(|| self.take_documents())
    }

    fn take_documents(&mut self) -> DocumentTable {
        let empty = DocumentTable { unit: self.index, ..DocumentTable::default() };
        std::mem::replace(&mut self.waiting, empty)
    }

    /// Tokens of the blocks so far.
    pub(crate) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// A row group of the unit is written: in a shard, or in the document table.
    pub(crate) fn written(&mut self, group: RowGroup, place: Option<Place>) {
        match place {
            Some(Place { shard, finished }) => {
                self.row_groups.push((shard, group));
                self.finished_shards.extend(finished);
            }
            None => self.documents.push(group),
        }
        self.pending -= 1;
    }

    /// Whether all blocks are in.
    pub(crate) const fn is_closed(&self) -> bool {
        self.tail.is_some()
    }

    /// Whether all of the unit is written.
    pub(crate) const fn is_written(&self) -> bool {
        self.tail.is_some() && self.pending == 0
    }

    /// The record of a unit that is written.
    pub(crate) fn into_record(self) -> UnitRecord {
        UnitRecord {
            format_version: FORMAT_VERSION,
            first_key: self.first_key,
            next_key: self.next_key,
            bytes: self.bytes,
            checksum: self.hasher.finish(),
            row_groups: self.row_groups,
            finished_shards: self.finished_shards,
            documents: self.documents,
            tail: self.tail.expect("the unit is closed"),
            counts: self.counts,
            rejects: self.rejects,
        }
    }
}
