//! A shard on its way: what was packed and counted of it, and what is still to come.

use std::collections::BTreeMap;
use std::sync::Arc;

use mashbill_format::documents::{Document, DocumentsEncoder};
use mashbill_format::held_out::DatasetPart;
use mashbill_format::manifest::{InputRange, SourceFile};
use mashbill_format::task::{DocumentCounts, MadePart, Reject, ShardRecord};
use mashbill_parquet::row_group::EncodedRowGroup;
use mashbill_records::record::Reason;
use mashbill_store::checksum::Hasher;

use crate::block::TokenizedBlock;
use crate::context::GroupMaking;
use crate::documents::{BlockDocuments, BlockPart, first_of_each};
use crate::files::{FinishedFiles, RowGroupKind};
use crate::pack::{PackedRows, Packer, Position};
use crate::read::Stretch;

/// Documents in a row group of the document table, where the shard has as many; a group ends with a block.
const DOCUMENTS_PER_GROUP: usize = 1 << 16;

/// Bytes of labels in such a row group after which it ends, too: labels are short, and where they are not, memory has a
/// bound.
const LABEL_BYTES_PER_GROUP: usize = 64 << 20;

/// What a row of the document table costs, in tokens.
const TOKENS_PER_DOCUMENT: usize = 16;

/// A shard whose blocks are coming in.
#[derive(Debug)]
pub(crate) struct OpenShard {
    /// The place of its task in the order of the work.
    pub(crate) task: usize,
    /// The place of its group in the plan.
    pub(crate) group: usize,
    /// Its number in the group.
    pub(crate) index: usize,
    /// The files that it has blocks of.
    files: Vec<OpenFile>,
    bytes: u64,
    hasher: Hasher,
    parts: Vec<OpenPart>,
    has_ended: bool,
    stretch: Option<Stretch>,
}

/// A file of a group, as far as a shard has blocks of it.
#[derive(Debug, Clone, Copy)]
struct OpenFile {
    /// Its place in the group, and the key at which it begins.
    file: usize,
    start: u64,
    /// Lines of the shard before it.
    line: u64,
}

/// What belongs to one of the parts that documents are divided into.
#[derive(Debug)]
struct OpenPart {
    part: DatasetPart,
    packer: Packer,
    counts: DocumentCounts,
    rejects: Vec<Reject>,
    kept: BTreeMap<Reason, u64>,
    waiting: DocumentTable,
}

/// Rows of the document table that are not encoded yet.
#[derive(Debug, Default)]
pub(crate) struct DocumentTable {
    blocks: Vec<(BlockDocuments, Vec<Position>)>,
    count: usize,
    label_bytes: usize,
}

/// Something of a shard that is ready to be encoded.
#[derive(Debug)]
pub(crate) enum Ready {
    Rows(DatasetPart, PackedRows),
    Documents(DatasetPart, DocumentTable),
}

impl Ready {
    pub(crate) const fn part(&self) -> DatasetPart {
        match self {
            Self::Rows(part, _) | Self::Documents(part, _) => *part,
        }
    }

    pub(crate) const fn kind(&self) -> RowGroupKind {
        match self {
            Self::Rows(..) => RowGroupKind::Rows,
            Self::Documents(..) => RowGroupKind::Documents,
        }
    }

    /// About how much work it is to encode it, in tokens.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Rows(_, rows) => rows.tokens(),
            Self::Documents(_, table) => table.count * TOKENS_PER_DOCUMENT,
        }
    }
}

impl DocumentTable {
    fn add(&mut self, documents: BlockDocuments, positions: Vec<Position>) {
        self.count += documents.len();
        self.label_bytes += documents.label_bytes();
        self.blocks.push((documents, positions));
    }

    /// Whether it is enough for a row group.
    const fn is_full(&self) -> bool {
        self.count >= DOCUMENTS_PER_GROUP || self.label_bytes >= LABEL_BYTES_PER_GROUP
    }

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
        for (start, piece, spans) in block.documents.pieces() {
            positions.push(self.packer.next_position());
            self.packer.push(ids, start, piece, spans, &mut groups);
        }
        ready.extend(groups.into_iter().map(|rows| Ready::Rows(self.part, rows)));
        self.waiting.add(block.documents, positions);
        if self.waiting.is_full() {
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
    /// Shard `index` of the group `group`, of all documents or of the two parts.
    pub(crate) fn new(
        task: usize,
        group: usize,
        index: usize,
        parts: &[DatasetPart],
        packer: impl Fn() -> Packer,
    ) -> Self {
        let part = |&part| OpenPart {
            part,
            packer: packer(),
            counts: DocumentCounts::default(),
            rejects: Vec::new(),
            kept: BTreeMap::new(),
            waiting: DocumentTable::default(),
        };
        Self {
            task,
            group,
            index,
            files: Vec::new(),
            bytes: 0,
            hasher: Hasher::new(),
            parts: parts.iter().map(part).collect(),
            has_ended: false,
            stretch: None,
        }
    }

    /// Takes in the next block; hands out what has become ready.
    pub(crate) fn add(&mut self, block: TokenizedBlock) -> Vec<Ready> {
        self.begin_file(block.file, block.file_start);
        self.bytes += block.bytes;
        self.hasher.update(&block.checksum.to_bytes());
        let mut ready = Vec::new();
        for (part, block_part) in self.parts.iter_mut().zip(block.parts) {
            part.add(&block.ids, block_part, &mut ready);
        }
        ready
    }

    /// A block of a file comes.
    fn begin_file(&mut self, file: usize, start: u64) {
        if self.files.last().is_none_or(|last| last.file != file) {
            let line = self.lines();
            self.files.push(OpenFile { file, start, line });
        }
    }

    /// Lines of the shard before the file `file` of small ones.
    pub(crate) fn lines_before(&self, file: usize) -> u64 {
        self.files.iter().find(|open| open.file == file).map_or_else(|| self.lines(), |open| open.line)
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

    /// The record of a shard of `group` whose files are finished.
    pub(crate) fn into_record(
        self,
        group: &GroupMaking<'_>,
        engine: &str,
        mut files: Vec<FinishedFiles>,
        row_length: u64,
    ) -> ShardRecord {
        let Stretch { start, end, last, ignored_bytes } = self.stretch.expect("its split has not failed");
        let parts = self.parts.into_iter().map(|part| part.into_made(&mut files, row_length)).collect();
        let source = |open: OpenFile| SourceFile {
            file: group.files().files[open.file].relative.clone(),
            start: open.start,
            line: open.line,
        };
        let is_many = group.number.is_some();
        ShardRecord {
            of: group.id,
            id: group.shard(self.index),
            last,
            sources: if is_many { self.files.into_iter().map(source).collect() } else { Vec::new() },
            input: InputRange { start, end, bytes: self.bytes, checksum: self.hasher.finish() },
            ignored_bytes,
            engine: engine.to_owned(),
            parts,
        }
    }
}
