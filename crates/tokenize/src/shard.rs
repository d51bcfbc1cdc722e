//! A shard on its way: what was packed and counted of it, and what is still to come.

use std::collections::BTreeMap;
use std::sync::Arc;

use mashbill_format::checksum::{Checksum, Hasher};
use mashbill_format::documents::{Document, DocumentsEncoder};
use mashbill_format::held_out::Part;
use mashbill_format::manifest::InputRange;
use mashbill_format::record::Reason;
use mashbill_format::row_group::EncodedRowGroup;
use mashbill_format::task::{Counts, MadePart, Reject, ShardRecord};

use crate::block::{BlockDocuments, BlockPart, TokenizedBlock, first_of_each};
use crate::files::FinishedFiles;
use crate::pack::{PackedRows, Packer, Position};
use crate::read::Stretch;

/// Documents in a row group of the document table, where the shard has as many; a group ends with a block.
const DOCUMENTS_PER_GROUP: usize = 1 << 16;

/// A shard whose blocks are coming in.
#[derive(Debug)]
pub(crate) struct OpenShard {
    /// The place of its task in the order of the work.
    pub(crate) task: usize,
    /// The place of its split in the plan.
    pub(crate) split: usize,
    /// Its number in the split.
    pub(crate) index: usize,
    bytes: u64,
    hasher: Hasher,
    parts: Vec<OpenPart>,
    has_ended: bool,
    stretch: Option<Stretch>,
}

/// What belongs to one of the parts that documents are divided into.
#[derive(Debug)]
struct OpenPart {
    part: Part,
    packer: Packer,
    counts: Counts,
    rejects: Vec<Reject>,
    kept: BTreeMap<Reason, u64>,
    waiting: DocumentTable,
}

/// Rows of the document table that are not encoded yet.
#[derive(Debug, Default)]
pub(crate) struct DocumentTable {
    blocks: Vec<(BlockDocuments, Vec<Position>)>,
    count: usize,
}

/// Something of a shard that is ready to be encoded.
#[derive(Debug)]
pub(crate) enum Ready {
    Rows(Part, PackedRows),
    Documents(Part, DocumentTable),
}

impl DocumentTable {
    /// Encodes the rows as a row group of the document table.
    pub(crate) fn encode(&self, encoder: &mut DocumentsEncoder) -> EncodedRowGroup {
        let each = self.blocks.iter().flat_map(|(documents, positions)| documents.table_rows(positions));
        let documents: Vec<Document<&str>> = each.collect();
        encoder.encode(&documents)
    }
}

impl OpenPart {
    /// Takes in its part of a block, whose tokens are `ids`.
    fn add(&mut self, ids: &Arc<Vec<u32>>, block: BlockPart, ready: &mut Vec<Ready>) {
        let lines = self.counts.lines;
        let rejects = block.rejects.into_iter().map(|reject| Reject { line: reject.line + lines, ..reject });
        self.rejects.extend(first_of_each(rejects, &mut self.kept));
        self.counts.add(&block.counts);
        let (mut positions, mut groups) = (Vec::with_capacity(block.documents.len()), Vec::new());
        for (start, piece) in block.documents.pieces() {
            positions.push(self.packer.next_position());
            self.packer.push(ids, start, piece, &mut groups);
        }
        ready.extend(groups.into_iter().map(|rows| Ready::Rows(self.part, rows)));
        self.waiting.count += block.documents.len();
        self.waiting.blocks.push((block.documents, positions));
        if self.waiting.count >= DOCUMENTS_PER_GROUP {
            ready.push(Ready::Documents(self.part, std::mem::take(&mut self.waiting)));
        }
    }

    fn end(&mut self, ready: &mut Vec<Ready>) {
        ready.extend(self.packer.end().map(|rows| Ready::Rows(self.part, rows)));
        if self.waiting.count > 0 {
            ready.push(Ready::Documents(self.part, std::mem::take(&mut self.waiting)));
        }
    }

    /// What is recorded of it, whose rows are in `files`.
    fn into_made(self, files: &mut Vec<FinishedFiles>, row_length: u64) -> MadePart {
        let Self { part, mut counts, rejects, .. } = self;
        let place = files.iter().position(|files| files.part == part);
        let (file, table) = place.map(|place| files.swap_remove(place)).map(|f| (f.file, f.table)).unzip();
        let rows = file.as_ref().map_or(0, |file| file.rows);
        let tokens = counts.ledger.tokens();
        assert_eq!(
            rows,
            tokens.div_ceil(row_length),
            "the rows hold the tokens and less than a row of padding"
        );
        counts.ledger.padding = rows * row_length - tokens;
        let own = counts.documents + counts.blank_lines + counts.rejected.values().sum::<u64>();
        counts.other_part = counts.lines - own;
        MadePart { part, file, table, counts, rejects }
    }
}

impl OpenShard {
    /// Shard `index` of the split `split`, of all documents or of the two parts.
    pub(crate) fn new(
        task: usize,
        split: usize,
        index: usize,
        parts: &[Part],
        packer: impl Fn() -> Packer,
    ) -> Self {
        let part = |&part| OpenPart {
            part,
            packer: packer(),
            counts: Counts::default(),
            rejects: Vec::new(),
            kept: BTreeMap::new(),
            waiting: DocumentTable::default(),
        };
        Self {
            task,
            split,
            index,
            bytes: 0,
            hasher: Hasher::new(),
            parts: parts.iter().map(part).collect(),
            has_ended: false,
            stretch: None,
        }
    }

    /// Takes in the next block; hands out what has become ready.
    pub(crate) fn add(&mut self, block: TokenizedBlock) -> Vec<Ready> {
        self.bytes += block.bytes;
        self.hasher.update(&block.checksum.to_bytes());
        let mut ready = Vec::new();
        for (part, block_part) in self.parts.iter_mut().zip(block.parts) {
            part.add(&block.ids, block_part, &mut ready);
        }
        ready
    }

    /// All blocks are in; without a stretch the rest of them cannot be read, and nothing will be said of the shard.
    pub(crate) fn end(&mut self, stretch: Option<Stretch>) -> Vec<Ready> {
        (self.has_ended, self.stretch) = (true, stretch);
        let mut ready = Vec::new();
        self.parts.iter_mut().for_each(|part| part.end(&mut ready));
        ready
    }

    /// Whether all blocks are in.
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The lines of the shard so far.
    pub(crate) fn lines(&self) -> u64 {
        self.parts[0].counts.lines
    }

    /// The record of a shard whose files are finished.
    pub(crate) fn into_record(
        self,
        of: Checksum,
        engine: &str,
        mut files: Vec<FinishedFiles>,
        row_length: u64,
    ) -> ShardRecord {
        let Stretch { start, end, last, ignored_bytes } = self.stretch.expect("its split has not failed");
        let parts = self.parts.into_iter().map(|part| part.into_made(&mut files, row_length)).collect();
        ShardRecord {
            of,
            index: self.index,
            last,
            input: InputRange { start, end, bytes: self.bytes, checksum: self.hasher.finish() },
            ignored_bytes,
            engine: engine.to_owned(),
            parts,
        }
    }
}
