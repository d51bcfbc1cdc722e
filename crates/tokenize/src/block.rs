//! One block: records parsed, documents tokenized, bad lines set aside.
//!
//! This is where nearly all the time goes, so it allocates a block at a time, not
//! a document at a time, and touches each byte of a record once on its way to the
//! tokenizer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use mashbill_format::documents::Document;
use mashbill_format::held_out::{DatasetPart, HeldOut};
use mashbill_format::shard::Piece;
use mashbill_format::stats::REJECTS_KEPT;
use mashbill_format::task::{DocumentCounts, Reject};
use mashbill_records::record::{Reason, Record, RecordParser};
use mashbill_records::{BYTE_ORDER_MARK, EXCERPT_BYTES, RowBlock, read_range_into};
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{self as tokenizer, Encoded, Engine, Scratch, Tokenizer, is_sample};
use memchr::memchr;

use crate::error::Result;
use crate::group::Group;
use crate::pack::Position;
use crate::read::{BlockRecords, InputBlock, read_failed};
use crate::split_input::Input;
use crate::worker::Worker;

/// What became of a block.
#[derive(Debug)]
pub(crate) struct TokenizedBlock {
    /// The place of its file in the group, and the key at which that begins.
    pub(crate) file: usize,
    pub(crate) file_start: u64,
    /// Bytes of the file on the disk that were read for it.
    pub(crate) disk_bytes: u64,
    /// Bytes of input and their checksum.
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
    /// The documents' tokens, one document after another.
    pub(crate) ids: Arc<Vec<u32>>,
    /// What belongs to each part: to all documents, or to those that are trained on and those that are held out.
    pub(crate) parts: Vec<BlockPart>,
    /// Whether an engine made the ids that samples are compared for, and not the reference.
    pub(crate) is_fast: bool,
    /// Documents to be compared with the reference: texts and ids.
    pub(crate) samples: Vec<(String, Vec<u32>)>,
}

/// The part of a block that is in one of the parts that documents are divided into.
#[derive(Debug, Default)]
pub(crate) struct BlockPart {
    pub(crate) documents: BlockDocuments,
    pub(crate) counts: DocumentCounts,
    /// Line numbers count from 1 within the block; keys from the beginning of its stretch.
    pub(crate) rejects: Vec<Reject>,
}

/// The documents of a block: their columns, and the text that labels them.
#[derive(Debug, Default)]
pub(crate) struct BlockDocuments {
    rows: Vec<DocumentRow>,
    labels: String,
}

#[derive(Debug)]
struct DocumentRow {
    key: u64,
    /// Where its first token stands among the block's.
    first: u32,
    tokens: u32,
    content_hash: Checksum,
    id: Option<Range<u32>>,
    source: Option<Range<u32>>,
    category: Option<Range<u32>>,
}

impl BlockDocuments {
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of the text that labels them.
    pub(crate) const fn label_bytes(&self) -> usize {
        self.labels.len()
    }

    /// The documents whole, each as a piece and where its first token stands among the block's.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (usize, Piece)> {
        self.rows.iter().map(|row| {
            let piece = Piece {
                doc_id: i64::try_from(row.key).expect("files are smaller than 2^63 bytes"),
                doc_offset: 0,
                len: i32::try_from(row.tokens).expect("documents have fewer than 2^31 tokens"),
            };
            (row.first as usize, piece)
        })
    }

    /// The documents as rows of the document table: their first tokens stand at `positions`.
    pub(crate) fn table_rows<'a>(
        &'a self,
        positions: &'a [Position],
    ) -> impl Iterator<Item = Document<&'a str>> {
        let label = |range: &Option<Range<u32>>| {
            range.as_ref().map(|range| &self.labels[range.start as usize..range.end as usize])
        };
        self.rows.iter().zip(positions).map(move |(row, &Position { row: row_in_shard, position })| {
            Document {
                doc_id: i64::try_from(row.key).expect("files are smaller than 2^63 bytes"),
                id: label(&row.id),
                source: label(&row.source),
                category: label(&row.category),
                content_hash: row.content_hash,
                tokens: row.tokens.into(),
                row: row_in_shard,
                position,
                loss_spans: Vec::new(),
            }
        })
    }
}

/// What a block is tokenized with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockOptions<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) max_document_bytes: u64,
    /// How documents are divided into two parts, where some are held out.
    pub(crate) held_out: Option<HeldOut>,
    /// Whether the block's first documents are compared with the reference.
    pub(crate) samples_first: bool,
    /// The only part whose documents are encoded; all are where there is none.
    pub(crate) only: Option<DatasetPart>,
}

/// Tokenizes `block`. Bad lines are no error; a file that cannot be read or has changed is.
///
/// # Errors
/// [`Error::Read`], [`Error::Changed`], [`Error::Tokenizer`].
pub(crate) fn tokenize_block(
    block: &InputBlock,
    group: &Group,
    worker: &mut Worker,
    options: BlockOptions<'_>,
) -> Result<TokenizedBlock> {
    let Worker { parser, scratch, memory, .. } = worker;
    let input = block.input(group);
    let before = block.file_start.wrapping_sub(block.stretch_start);
    let mut builder = Builder::new(options, scratch, memory.ids(), before);
    let (bytes, checksum) = match &block.content {
        BlockRecords::Lines(lines) => builder.block_of_lines(lines, input, memory.bytes(), parser)?,
        BlockRecords::Rows(rows) => (builder.rows(rows, parser.text_fields())?, rows.checksum),
    };
    Ok(TokenizedBlock {
        file: block.file,
        file_start: block.file_start,
        disk_bytes: block.disk_bytes,
        bytes,
        checksum,
        ids: Arc::new(builder.ids),
        parts: builder.parts,
        is_fast: options.tokenizer.engine() != Engine::Reference,
        samples: builder.samples,
    })
}

struct Builder<'a> {
    options: BlockOptions<'a>,
    scratch: &'a mut Scratch,
    ids: Vec<u32>,
    parts: Vec<BlockPart>,
    samples: Vec<(String, Vec<u32>)>,
    /// Where the block's file begins, counted from where its stretch does: modulo 2^64, since it may begin before that.
    before: u64,
}

impl<'a> Builder<'a> {
    fn new(options: BlockOptions<'a>, scratch: &'a mut Scratch, ids: Vec<u32>, before: u64) -> Self {
        let parts = if options.held_out.is_some() { 2 } else { 1 };
        Self {
            options,
            scratch,
            ids,
            parts: (0..parts).map(|_| BlockPart::default()).collect(),
            samples: Vec::new(),
            before,
        }
    }

    /// The number of documents before this one, where the first ones are samples.
    fn position(&self) -> u64 {
        if !self.options.samples_first {
            return u64::MAX;
        }
        self.parts.iter().map(|part| part.counts.documents).sum()
    }

    /// Tokenizes a block of lines, and gives how many bytes it has and their checksum.
    fn block_of_lines(
        &mut self,
        block: &mashbill_records::Block,
        input: &Input,
        memory: &mut Vec<u8>,
        parser: &mut RecordParser,
    ) -> Result<(u64, Checksum)> {
        let bytes = match &block.content {
            mashbill_records::BlockLines::Range(file) => {
                read_range_into(file, block.start, block.end, memory)
                    .map_err(|source| read_failed(&input.path, source))?;
                memory
            }
            mashbill_records::BlockLines::Bytes(bytes) => bytes,
            mashbill_records::BlockLines::TooLong { checksum, excerpt } => {
                let length = block.end - block.start;
                self.count_line();
                let detail = format!("a line of {length} bytes");
                self.reject(DatasetPart::Train, block.start, Reason::TooLarge, detail, excerpt);
                return Ok((length, *checksum));
            }
        };
        self.lines(bytes, block.start, parser)?;
        Ok((bytes.len() as u64, Checksum::of(bytes)))
    }

    /// Tokenizes lines, the first of which has the key `first_key`.
    fn lines(&mut self, bytes: &[u8], first_key: u64, parser: &mut RecordParser) -> Result<()> {
        self.ids.reserve(bytes.len() / 3);
        let mut start = 0;
        if first_key == 0 && bytes.starts_with(BYTE_ORDER_MARK) {
            self.parts.iter_mut().for_each(|part| part.counts.byte_order_marks += 1);
            start = BYTE_ORDER_MARK.len();
        }
        // Nearly always all of it is UTF-8; if not, each line is judged by itself.
        let text = simdutf8::basic::from_utf8(bytes).ok();
        while start < bytes.len() {
            let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
            let raw = &bytes[start..end];
            let key = first_key + start as u64;
            self.count_line();
            if raw.iter().all(u8::is_ascii_whitespace) {
                self.part(DatasetPart::Train).counts.blank_lines += 1;
            } else {
                match text.map_or_else(|| std::str::from_utf8(raw), |text| Ok(&text[start..end])) {
                    Ok(line) => self.line(line, key, parser)?,
                    Err(error) => {
                        let detail = format!("not UTF-8 at byte {}", error.valid_up_to());
                        self.reject(DatasetPart::Train, key, Reason::InvalidUtf8, detail, raw);
                    }
                }
            }
            start = end + 1;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, key: u64, parser: &mut RecordParser) -> Result<()> {
        match parser.parse(line) {
            Ok(record) => self.document(&record, key, line.as_bytes()),
            Err(refusal) => {
                let train = self.part(DatasetPart::Train);
                if refusal.is_about_text() {
                    parser.count_fields(line, &mut train.counts.without_text);
                }
                // No text says which part the line belongs to, so it counts where most lines do.
                self.reject(DatasetPart::Train, key, refusal.reason, refusal.detail, line.as_bytes());
                Ok(())
            }
        }
    }

    /// Tokenizes the rows of a Parquet file, and gives how many bytes their texts have.
    fn rows(&mut self, rows: &RowBlock, text_fields: &[String]) -> Result<u64> {
        let (mut bytes, mut without_text) = (0, 0);
        for (row, key) in rows.rows().zip(rows.start..) {
            self.count_line();
            bytes += row.text_bytes();
            match row.record() {
                Ok(record) => self.document(&record, key, record.text.as_bytes())?,
                Err(refusal) => {
                    without_text += u64::from(refusal.is_about_text());
                    let part = row.too_large_hash().map_or(DatasetPart::Train, |hash| self.part_of(hash));
                    self.reject(part, key, refusal.reason, refusal.detail, row.excerpt());
                }
            }
        }
        if without_text > 0 {
            let counts = &mut self.part(DatasetPart::Train).counts.without_text;
            rows.count_columns(without_text, text_fields, counts);
        }
        Ok(bytes)
    }

    fn document(&mut self, record: &Record<'_>, key: u64, raw: &[u8]) -> Result<()> {
        let text = record.text;
        let content_hash = Checksum::of(text.as_bytes());
        let part = self.part_of(content_hash);
        if self.options.only.is_some_and(|only| only != part) {
            return Ok(());
        }
        if text.len() as u64 > self.options.max_document_bytes {
            self.reject(part, key, Reason::TooLarge, format!("a text of {} bytes", text.len()), raw);
            return Ok(());
        }
        let before = self.ids.len();
        let encoded = match self.options.tokenizer.encode(self.scratch, text, &mut self.ids) {
            Ok(encoded) => encoded,
            Err(tokenizer::Error::LiteralSpecialTokens { count }) => {
                self.reject(
                    part,
                    key,
                    Reason::SpecialTokens,
                    format!("special tokens in the text: {count}"),
                    raw,
                );
                return Ok(());
            }
            Err(tokenizer::Error::Encode { source }) => {
                self.reject(part, key, Reason::NotEncoded, source.to_string(), raw);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let tokens = self.ids.len() - before;
        if tokens == 0 {
            self.reject(part, key, Reason::NoTokens, "a document without tokens".into(), raw);
            return Ok(());
        }
        if is_sample(self.position(), content_hash.low64(), text.len()) {
            self.samples.push((text.to_owned(), self.ids[before..].to_vec()));
        }
        let key = key.wrapping_add(self.before);
        let part = self.part(part);
        part.count(text, encoded, tokens);
        let documents = &mut part.documents;
        let mut label = |text: Option<&str>| {
            text.map(|text| {
                let start = documents.labels.len();
                documents.labels.push_str(text);
                let range = start..documents.labels.len();
                range.start.try_into().expect("labels fit in a block")
                    ..range.end.try_into().expect("the same")
            })
        };
        let (id, source, category) = (label(record.id), label(record.source), label(record.category));
        documents.rows.push(DocumentRow {
            key,
            first: u32::try_from(before).expect("a block has fewer than 2^32 tokens"),
            tokens: u32::try_from(tokens).expect("documents have fewer than 2^32 tokens"),
            content_hash,
            id,
            source,
            category,
        });
        Ok(())
    }

    /// The part of a document whose text has the checksum `content_hash`.
    fn part_of(&self, content_hash: Checksum) -> DatasetPart {
        self.options.held_out.map_or(DatasetPart::Train, |held_out| held_out.part_of(content_hash))
    }

    fn part(&mut self, part: DatasetPart) -> &mut BlockPart {
        match part {
            DatasetPart::Train => &mut self.parts[0],
            DatasetPart::Validation => &mut self.parts[1],
        }
    }

    /// Counts a line in all parts; whose it is shows later.
    fn count_line(&mut self) {
        self.parts.iter_mut().for_each(|part| part.counts.lines += 1);
    }

    fn reject(&mut self, part: DatasetPart, key: u64, reason: Reason, detail: String, raw: &[u8]) {
        let key = key.wrapping_add(self.before);
        self.part(part).reject(key, reason, detail, raw);
    }
}

impl BlockPart {
    fn count(&mut self, text: &str, encoded: Encoded, tokens: usize) {
        let counts = &mut self.counts;
        counts.documents += 1;
        counts.text_bytes += text.len() as u64;
        counts.ledger.text_tokens += encoded.text_tokens as u64;
        counts.ledger.special_tokens += encoded.added_tokens as u64;
        counts.ledger.literal_special_tokens += encoded.literal_special_tokens as u64;
        counts.document_tokens.count(tokens as u64);
    }

    fn reject(&mut self, key: u64, reason: Reason, detail: String, raw: &[u8]) {
        let line = self.counts.lines;
        let count = self.counts.rejected.entry(reason).or_default();
        *count += 1;
        if *count <= REJECTS_KEPT {
            let head = &raw[..raw.len().min(EXCERPT_BYTES)];
            let excerpt = String::from_utf8_lossy(head).trim_end().to_owned();
            self.rejects.push(Reject { line, key, reason, detail, excerpt });
        }
    }
}

/// Keeps of `rejects` the first of each reason, `kept` having been kept before.
pub(crate) fn first_of_each(
    rejects: impl IntoIterator<Item = Reject>,
    kept: &mut BTreeMap<Reason, u64>,
) -> Vec<Reject> {
    let mut first = Vec::new();
    for reject in rejects {
        let count = kept.entry(reject.reason).or_default();
        if *count < REJECTS_KEPT {
            *count += 1;
            first.push(reject);
        }
    }
    first
}
