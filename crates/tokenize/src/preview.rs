//! What a run makes of a single record, to look at before it: the same normal form, text, tokens and refusals.

use std::borrow::Cow;
use std::ops::Range;

use mashbill_format::chat::Chat;
use mashbill_format::loss_spans::runs;
use mashbill_format::manifest::Ledger;
use mashbill_records::conversation::{Conversation, ConversationFields, ConversationOptions};
use mashbill_records::record::{Reason, RecordParser, Refusal};
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{self as tokenizer, Scratch, Tokenizer};

use crate::chat::{ChatEncoder, ChatMemory, NotEncoded, text_ledger};
use crate::error::Result;
use crate::sampling::Encoders;

/// A record, and what becomes of it.
#[derive(Debug, Default)]
pub struct PreviewedRecord<'l> {
    /// The record's own `id`.
    pub id: Option<String>,
    /// The record's `source`.
    pub source: Option<String>,
    /// The record's `category`.
    pub category: Option<String>,
    /// What is said in it, where anything is.
    pub conversation: Option<Conversation<'l>>,
    /// Its text and tokens, where it was encoded and is not refused.
    pub text: Option<PreviewedText>,
    /// Why its line is set aside.
    pub refusal: Option<Refusal>,
}

/// The text that a record becomes, and its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewedText {
    /// The text.
    pub text: String,
    /// The bytes of it whose tokens are learned, in order.
    pub learned: Vec<Range<usize>>,
    /// Where each token's bytes end; empty where a text has tokens around it.
    pub token_ends: Vec<usize>,
    /// The document's tokens.
    pub ids: Vec<u32>,
    /// Which of them are learned, as run lengths; empty where all are.
    pub spans: Vec<i32>,
    /// Where the tokens come from.
    pub ledger: Ledger,
}

/// Makes previews by the options of a run.
#[derive(Debug)]
pub struct Preview<'t> {
    tokenizer: &'t Tokenizer,
    chat: ChatEncoder,
    max_document_bytes: u64,
    parser: RecordParser,
    scratch: Scratch,
    memory: ChatMemory,
}

/// Reads the record in `line` without encoding it.
#[must_use]
pub fn read_record(line: &str, options: ConversationOptions) -> PreviewedRecord<'_> {
    let mut read = PreviewedRecord::default();
    let fields = match ConversationFields::parse(line) {
        Ok(fields) => fields,
        Err(refusal) => return PreviewedRecord { refusal: Some(refusal), ..read },
    };
    [read.id, read.source, read.category] = fields.labels().map(|label| label.map(Cow::into_owned));
    match fields.conversation(options) {
        Ok(conversation) => read.conversation = conversation,
        Err(refusal) => read.refusal = Some(refusal),
    }
    read
}

impl PreviewedRecord<'_> {
    /// Whether a document with this hash can be of the record: that of the normal form, or of the plain text.
    #[must_use]
    pub fn has_hash(&self, content_hash: Checksum) -> bool {
        self.conversation.as_ref().is_some_and(|conversation| {
            let mut text = String::new();
            conversation.write_plain(&mut text);
            ChatMemory::default().content_hash(conversation) == content_hash
                || Checksum::of(text.as_bytes()) == content_hash
        })
    }
}

impl<'t> Preview<'t> {
    /// Previews of records that become documents by `chat`; those without a conversation have their text in one of
    /// `text_fields`, of which there is one at least.
    ///
    /// # Errors
    /// [`Error::Template`](crate::Error::Template).
    pub fn new(
        chat: &Chat,
        tokenizer: &'t Tokenizer,
        text_fields: &[String],
        max_document_bytes: u64,
    ) -> Result<Self> {
        Ok(Self {
            tokenizer,
            chat: ChatEncoder::of(Some(chat), tokenizer)?.expect("there are options of chats"),
            max_document_bytes,
            parser: RecordParser::new(text_fields),
            scratch: Scratch::new(),
            memory: ChatMemory::default(),
        })
    }

    /// The record in `line`, which is a row of a Parquet file or a line of JSON.
    ///
    /// # Errors
    /// [`Error::Tokenizer`](crate::Error::Tokenizer). What is wrong with the record is in it.
    pub fn of<'l>(&mut self, line: &'l str, is_row: bool) -> Result<PreviewedRecord<'l>> {
        let mut read = read_record(line, self.chat.reading(is_row));
        if read.refusal.is_some() {
            return Ok(read);
        }
        let encoded = match &read.conversation {
            Some(conversation) if self.chat.has_template() => self.conversation(conversation),
            Some(conversation) => {
                let mut text = String::new();
                conversation.write_plain(&mut text);
                self.text(text)
            }
            None if self.chat.is_mixed => {
                match self.parser.parse(line).map(|record| record.text.to_owned()) {
                    Ok(text) => self.text(text),
                    Err(refusal) => Err(refusal.into()),
                }
            }
            None => Err(Refusal::new(Reason::NoMessages, "no field that a conversation is made of").into()),
        };
        match encoded {
            Ok(text) => read.text = Some(text),
            Err(NotEncoded::Refused(refusal)) => read.refusal = Some(refusal),
            Err(NotEncoded::Failed(error)) => return Err(error),
        }
        Ok(read)
    }

    fn conversation(
        &mut self,
        conversation: &Conversation<'_>,
    ) -> std::result::Result<PreviewedText, NotEncoded> {
        let Self { tokenizer, chat, max_document_bytes, scratch, memory, .. } = self;
        let mut ids = Vec::new();
        let encoders = Encoders { tokenizer, redoing: None, content_hash: 0 };
        let encoded = chat.encode(conversation, encoders, *max_document_bytes, scratch, memory, &mut ids)?;
        let learned =
            runs(encoded.spans, ids.len()).filter(|(is_learned, run)| *is_learned && !run.is_empty());
        let bytes = |run: Range<usize>| {
            let ranges = &encoded.ranges[run];
            let end = ranges.iter().map(|range| range.end).max().unwrap_or(0);
            ranges.first().map_or(end, |first| first.start)..end
        };
        Ok(PreviewedText {
            text: encoded.text.to_owned(),
            learned: learned.map(|(_, run)| bytes(run)).collect(),
            token_ends: encoded.ranges.iter().map(|range| range.end).collect(),
            spans: encoded.spans.to_vec(),
            ledger: encoded.ledger,
            ids,
        })
    }

    fn text(&mut self, text: String) -> std::result::Result<PreviewedText, NotEncoded> {
        let refused = |reason, detail: String| NotEncoded::Refused(Refusal::new(reason, detail));
        if text.len() as u64 > self.max_document_bytes {
            return Err(refused(Reason::TooLarge, format!("a text of {} bytes", text.len())));
        }
        let mut ids = Vec::new();
        let encoded =
            self.tokenizer.encode(&mut self.scratch, &text, &mut ids).map_err(|error| match error {
                tokenizer::Error::LiteralSpecialTokens { count } => {
                    refused(Reason::SpecialTokens, format!("special tokens in the text: {count}"))
                }
                tokenizer::Error::Encode { source } => refused(Reason::NotEncoded, source.to_string()),
                error => NotEncoded::Failed(error.into()),
            })?;
        if ids.is_empty() {
            return Err(refused(Reason::NoTokens, "a document without tokens".into()));
        }
        let spans = self.chat.spans_of_text(ids.len());
        let mut ledger = text_ledger(encoded);
        self.chat.count_text(&ids, &mut ledger);
        let learned = std::iter::once(0..text.len()).collect();
        Ok(PreviewedText { text, learned, token_ends: Vec::new(), ids, spans, ledger })
    }
}
