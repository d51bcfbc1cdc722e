//! One block: records parsed, documents tokenized, bad lines set aside.
//!
//! This is where nearly all the time goes, so it allocates a block at a time, not
//! a document at a time, and touches each byte of a record once on its way to the
//! tokenizer.

use std::sync::Arc;

use mashbill_format::held_out::{DatasetPart, HeldOut};
use mashbill_records::conversation::{Conversation, ConversationFields};
use mashbill_records::record::{FieldCounts, Reason, Record, RecordParser, Refusal};
use mashbill_records::{BYTE_ORDER_MARK, RowBlock, read_range_into};
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{self as tokenizer, Engine, Scratch, Tokenizer};
use memchr::memchr;

use crate::chat::{ChatEncoder, ChatMemory, NotEncoded, question_hash, text_ledger};
use crate::documents::{BlockPart, DocumentLabels, NewDocument};
use crate::error::Result;
use crate::group::Group;
use crate::read::{BlockRecords, InputBlock, read_failed};
use crate::sampling::{Candidates, EncodedText, Encoders, Sampling};
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
    /// Documents that may be chosen to be compared with the reference.
    pub(crate) samples: Vec<EncodedText>,
}

/// What a block is tokenized with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockOptions<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    /// What makes documents of conversations, where these are taken.
    pub(crate) chat: Option<&'a ChatEncoder>,
    pub(crate) max_document_bytes: u64,
    /// How documents are divided into two parts, where some are held out.
    pub(crate) held_out: Option<HeldOut>,
    /// How documents are compared with the reference.
    pub(crate) sampling: Sampling<'a>,
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
    let Worker { parser, scratch, chat, memory, .. } = worker;
    let input = block.input(group);
    let before = block.file_start.wrapping_sub(block.stretch_start);
    let mut builder = Builder::new(options, scratch, chat, memory.ids(), before);
    let (bytes, checksum) = match &block.content {
        BlockRecords::Lines(lines) => builder.block_of_lines(lines, input, memory.bytes(), parser)?,
        BlockRecords::Rows(rows) => (builder.rows(rows, parser)?, rows.checksum),
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
        samples: builder.candidates.texts,
    })
}

struct Builder<'a> {
    options: BlockOptions<'a>,
    scratch: &'a mut Scratch,
    chat: &'a mut ChatMemory,
    ids: Vec<u32>,
    parts: Vec<BlockPart>,
    candidates: Candidates,
    /// Where the block's file begins, counted from where its stretch does: modulo 2^64, since it may begin before that.
    before: u64,
}

impl<'a> Builder<'a> {
    fn new(
        options: BlockOptions<'a>,
        scratch: &'a mut Scratch,
        chat: &'a mut ChatMemory,
        ids: Vec<u32>,
        before: u64,
    ) -> Self {
        let parts = if options.held_out.is_some() { 2 } else { 1 };
        Self {
            options,
            scratch,
            chat,
            ids,
            parts: (0..parts).map(|_| BlockPart::default()).collect(),
            candidates: Candidates::default(),
            before,
        }
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
        if let Some(chat) = self.options.chat {
            return self.record(chat, line, key, false, parser);
        }
        match parser.parse(line) {
            Ok(record) => self.document(&record, key, line.as_bytes()),
            Err(refusal) => {
                self.no_text(refusal, line, key, parser);
                Ok(())
            }
        }
    }

    /// Sets a line aside that is no record with a text.
    fn no_text(&mut self, refusal: Refusal, line: &str, key: u64, parser: &mut RecordParser) {
        let train = self.part(DatasetPart::Train);
        if refusal.is_about_text() {
            let fields = &mut train.counts.without_text;
            let with_messages =
                |fields: &FieldCounts| fields.lines("messages") + fields.lines("conversations");
            let before = with_messages(fields);
            parser.count_fields(line, fields);
            train.counts.with_messages += u64::from(with_messages(fields) > before);
        }
        // No text says which part the line belongs to, so it counts where most lines do.
        self.reject(DatasetPart::Train, key, refusal.reason, refusal.detail, line.as_bytes());
    }

    /// Tokenizes the rows of a Parquet file, and gives how many bytes their texts have.
    fn rows(&mut self, rows: &RowBlock, parser: &mut RecordParser) -> Result<u64> {
        let (mut bytes, mut without_text) = (0, 0);
        for (row, key) in rows.rows().zip(rows.start..) {
            self.count_line();
            bytes += row.text_bytes();
            match (row.record(), self.options.chat) {
                (Ok(record), Some(chat)) => self.record(chat, record.text, key, true, parser)?,
                (Ok(record), None) => self.document(&record, key, record.text.as_bytes())?,
                (Err(refusal), _) => {
                    without_text += u64::from(refusal.is_about_text());
                    let part = row.too_large_hash().map_or(DatasetPart::Train, |hash| self.part_of(hash));
                    self.reject(part, key, refusal.reason, refusal.detail, row.excerpt());
                }
            }
        }
        if without_text > 0 {
            let counts = &mut self.part(DatasetPart::Train).counts.without_text;
            rows.count_columns(without_text, parser.text_fields(), counts);
        }
        Ok(bytes)
    }

    /// Tokenizes a record that may be a conversation.
    fn record(
        &mut self,
        chat: &ChatEncoder,
        line: &str,
        key: u64,
        drop_nulls: bool,
        parser: &mut RecordParser,
    ) -> Result<()> {
        let found = ConversationFields::parse(line).and_then(|fields| {
            let conversation = fields.conversation(chat.reading(drop_nulls))?;
            Ok((fields, conversation))
        });
        match found {
            Ok((fields, Some(conversation))) if chat.has_template() => {
                self.conversation(chat, &fields, &conversation, key, line)
            }
            Ok((fields, Some(conversation))) => self.plain(&fields, &conversation, key, line),
            Ok((_, None)) if chat.is_mixed => match parser.parse(line) {
                Ok(record) => self.document(&record, key, line.as_bytes()),
                Err(refusal) => {
                    self.no_text(refusal, line, key, parser);
                    Ok(())
                }
            },
            Ok((_, None)) => {
                let refusal = Refusal::new(Reason::NoMessages, "no field that a conversation is made of");
                self.no_text(refusal, line, key, parser);
                Ok(())
            }
            Err(refusal) => {
                self.no_text(refusal, line, key, parser);
                Ok(())
            }
        }
    }

    /// Tokenizes a conversation as plain text.
    fn plain(
        &mut self,
        fields: &ConversationFields<'_>,
        conversation: &Conversation<'_>,
        key: u64,
        line: &str,
    ) -> Result<()> {
        let (labels, mut text) = (fields.labels(), String::new());
        let record = conversation.plain_record(&labels, &mut text);
        let part = self.part_of(Checksum::of(record.text.as_bytes()));
        let before = self.part(part).counts.documents;
        self.document(&record, key, line.as_bytes())?;
        let counts = &mut self.part(part).counts;
        if counts.documents > before {
            counts.changes.add(&conversation.changes);
        }
        Ok(())
    }

    fn conversation(
        &mut self,
        chat: &ChatEncoder,
        fields: &ConversationFields<'_>,
        conversation: &Conversation<'_>,
        key: u64,
        line: &str,
    ) -> Result<()> {
        let content_hash = self.chat.content_hash(conversation);
        let part = self.part_of(question_hash(conversation).unwrap_or(content_hash));
        if self.options.only.is_some_and(|only| only != part) {
            return Ok(());
        }
        let first = self.ids.len();
        let BlockOptions { tokenizer, max_document_bytes: most, sampling, .. } = self.options;
        let encoders = Encoders::of(tokenizer, sampling, content_hash.low64());
        let encoded = chat.encode(conversation, encoders, most, self.scratch, self.chat, &mut self.ids);
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(NotEncoded::Failed(error)) => return Err(error),
            Err(NotEncoded::Refused(refusal)) => {
                self.ids.truncate(first);
                self.reject(part, key, refusal.reason, refusal.detail, line.as_bytes());
                return Ok(());
            }
        };
        let ids = &self.ids[first..];
        if let (Sampling::Later(met), true) = (sampling, encoded.is_comparable) {
            let text = (encoded.text, ids);
            self.candidates.note(met, tokenizer, text, content_hash.low64(), true);
        }
        let labels = fields.labels();
        let [id, source, category] = labels.each_ref().map(Option::as_deref);
        let block_part = match part {
            DatasetPart::Train => &mut self.parts[0],
            DatasetPart::Validation => &mut self.parts[1],
        };
        block_part.count(encoded.text.len(), &encoded.ledger);
        block_part.counts.changes.add(&conversation.changes);
        block_part.counts.changes.messages_unprinted += encoded.unprinted;
        block_part.documents.push(NewDocument {
            key: key.wrapping_add(self.before),
            first,
            tokens: ids.len(),
            content_hash,
            labels: DocumentLabels { id, source, category },
            spans: encoded.spans,
        });
        Ok(())
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
        let BlockOptions { tokenizer, sampling, .. } = self.options;
        let mut encoded = tokenizer.encode(self.scratch, text, &mut self.ids);
        let encoders = Encoders::of(tokenizer, sampling, content_hash.low64());
        if let (Ok(_), Some(reference)) = (&encoded, encoders.again(text, &self.ids[before..])) {
            self.ids.truncate(before);
            encoded = reference.encode(self.scratch, text, &mut self.ids);
        }
        let encoded = match encoded {
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
        if let Sampling::Later(met) = sampling {
            let text = (text, &self.ids[before..]);
            self.candidates.note(met, tokenizer, text, content_hash.low64(), false);
        }
        let has_unread_messages = record.has_messages && self.options.chat.is_none();
        let mut ledger = text_ledger(encoded);
        let mut spans = Vec::new();
        if let Some(chat) = self.options.chat {
            chat.count_text(&self.ids[before..], &mut ledger);
            spans = chat.spans_of_text(tokens);
        }
        let key = key.wrapping_add(self.before);
        let part = self.part(part);
        part.count(text.len(), &ledger);
        part.counts.with_messages += u64::from(has_unread_messages);
        let labels = DocumentLabels { id: record.id, source: record.source, category: record.category };
        let document = NewDocument { key, first: before, tokens, content_hash, labels, spans: &spans };
        part.documents.push(document);
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
