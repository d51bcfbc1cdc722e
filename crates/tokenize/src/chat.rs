//! Conversations to text, tokens, and which of these are learned, by what the options say.
//!
//! A token is learned where a byte of it is. Control tokens are the template's where all of their bytes are; where what was
//! said spells one, `special_tokens_in_text` says what becomes of it.

use std::ops::Range;

use mashbill_chat::{ChatError, ChatScratch, ChatTemplate, RenderedChat, TemplateErrorKind};
use mashbill_format::chat;
use mashbill_format::loss_spans::SpansBuilder;
use mashbill_format::manifest::Ledger;
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::record::{Reason, Refusal};
use mashbill_store::checksum::Checksum;
use mashbill_tokenizer::{self as tokenizer, Encoded, Scratch, SpecialTokensInText, Tokenizer};

use crate::error::{Error, Result};
use crate::sampling::Encoders;
use crate::template::options_of;

/// Makes documents of conversations.
#[derive(Debug)]
pub(crate) struct ChatEncoder {
    keep_tool_arguments: bool,
    /// Whether records without a conversation are taken as their text.
    pub(crate) is_mixed: bool,
    /// The templates; without them conversations become plain text.
    templates: Option<Templates>,
}

#[derive(Debug)]
struct Templates {
    usual: ChatTemplate,
    with_tools: Option<ChatTemplate>,
    /// Sorted.
    control_ids: Vec<u32>,
}

/// Where the tokens of a text come from.
pub(crate) fn text_ledger(encoded: Encoded) -> Ledger {
    Ledger {
        text_tokens: encoded.text_tokens as u64,
        special_tokens: encoded.added_tokens as u64,
        literal_special_tokens: encoded.literal_special_tokens as u64,
        ..Ledger::default()
    }
}

/// What is used again from one conversation to the next.
#[derive(Debug, Default)]
pub(crate) struct ChatMemory {
    scratch: ChatScratch,
    normal_form: Vec<u8>,
    ranges: Vec<Range<usize>>,
    said: Vec<Range<usize>>,
    spans: SpansBuilder,
}

/// A conversation that was encoded.
#[derive(Debug)]
pub(crate) struct EncodedChat<'m> {
    pub(crate) text: &'m str,
    pub(crate) ledger: Ledger,
    /// Which tokens are learned.
    pub(crate) spans: &'m [i32],
    /// The bytes of the text that each token stands for.
    pub(crate) ranges: &'m [Range<usize>],
    /// Messages that say something of which nothing is in the text.
    pub(crate) unprinted: u64,
    /// Whether the reference can be asked for the ids of the text as a whole.
    pub(crate) is_comparable: bool,
}

/// Why there are no tokens of a conversation.
#[derive(Debug)]
pub(crate) enum NotEncoded {
    /// Its line is set aside.
    Refused(Refusal),
    /// The run ends.
    Failed(Error),
}

impl From<Refusal> for NotEncoded {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl ChatEncoder {
    /// What the options say; none where a record is its text.
    ///
    /// # Errors
    /// [`Error::Template`] where a template cannot be read.
    pub(crate) fn of(chat: Option<&chat::Chat>, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let Some(chat) = chat else { return Ok(None) };
        let templates = match &chat.template {
            None => None,
            Some(template) => {
                let options = options_of(template, tokenizer);
                let read = |text: &str| {
                    ChatTemplate::new(text, options.clone())
                        .map_err(|source| Error::Template { name: template.name.clone(), source })
                };
                Some(Templates {
                    usual: read(&template.text)?,
                    with_tools: template.text_with_tools.as_deref().map(read).transpose()?,
                    control_ids: template.control_ids.clone(),
                })
            }
        };
        let is_mixed = chat.mixed || templates.is_none();
        Ok(Some(Self { keep_tool_arguments: chat.keep_tool_arguments, is_mixed, templates }))
    }

    /// How records become conversations; of Parquet files nulls are taken out.
    pub(crate) const fn reading(&self, drop_nulls: bool) -> ConversationOptions {
        ConversationOptions { keep_tool_arguments: self.keep_tool_arguments, drop_nulls }
    }

    /// Whether conversations become text by a template.
    pub(crate) const fn has_template(&self) -> bool {
        self.templates.is_some()
    }

    /// The spans of a text, all of whose `tokens` are learned, beside conversations.
    pub(crate) fn spans_of_text(&self, tokens: usize) -> Vec<i32> {
        match &self.templates {
            Some(_) => vec![0, tokens_of(tokens)],
            None => Vec::new(),
        }
    }

    /// Corrects the ledger of a text with these tokens for standing beside conversations: all control tokens count, since ids
    /// do not say of which kind of record they are, and all tokens are learned.
    pub(crate) fn count_text(&self, ids: &[u32], ledger: &mut Ledger) {
        let Some(templates) = &self.templates else { return };
        let is_control = |id: &&u32| templates.control_ids.binary_search(id).is_ok();
        let control = ids.iter().filter(is_control).count() as u64;
        ledger.literal_special_tokens = control.saturating_sub(ledger.special_tokens);
        ledger.learned_tokens = ids.len() as u64;
    }

    /// Appends the tokens of a conversation to `ids`.
    pub(crate) fn encode<'m>(
        &self,
        conversation: &Conversation<'_>,
        encoders: Encoders<'_>,
        most_bytes: u64,
        scratch: &mut Scratch,
        memory: &'m mut ChatMemory,
        ids: &mut Vec<u32>,
    ) -> std::result::Result<EncodedChat<'m>, NotEncoded> {
        let templates = self.templates.as_ref().expect("it has a template");
        let ChatMemory { scratch: rendering, ranges, said, spans, .. } = memory;
        let template = match &templates.with_tools {
            Some(with_tools) if conversation.tools.is_some() => with_tools,
            _ => &templates.usual,
        };
        let most = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        let chat = template.render(conversation, most, rendering).map_err(refusal_of)?;
        if chat.text.len() as u64 > most_bytes {
            let detail = format!("a text of {} bytes", chat.text.len());
            return Err(Refusal::new(Reason::TooLarge, detail).into());
        }
        let (start, mut tokenizer) = (ids.len(), encoders.tokenizer);
        let mut encode = |by: &Tokenizer, plain: &[Range<usize>], ids: &mut Vec<u32>, ranges: &mut Vec<_>| {
            ranges.clear();
            ids.truncate(start);
            by.encode_bare(scratch, chat.text, plain, ids)?;
            by.token_ranges(chat.text, plain, &ids[start..], ranges)
        };
        encode(tokenizer, &[], ids, ranges).map_err(not_encoded)?;
        if let Some(reference) = encoders.again(chat.text, &ids[start..]) {
            tokenizer = reference;
            encode(tokenizer, &[], ids, ranges).map_err(not_encoded)?;
        }
        let mut control = templates.control_tokens(&ids[start..], ranges, &chat, said);
        let is_comparable =
            said.is_empty() || tokenizer.identity().special_tokens_in_text != SpecialTokensInText::Split;
        match tokenizer.identity().special_tokens_in_text {
            _ if said.is_empty() => {}
            SpecialTokensInText::Encode => {}
            SpecialTokensInText::Reject => {
                let detail = format!("control tokens in what is said: {}", said.len());
                return Err(Refusal::new(Reason::SpecialTokens, detail).into());
            }
            SpecialTokensInText::Split => {
                encode(tokenizer, &std::mem::take(said), ids, ranges).map_err(not_encoded)?;
                control = templates.control_tokens(&ids[start..], ranges, &chat, said);
            }
        }
        let tokens = ids.len() - start;
        let mut ledger = Ledger {
            text_tokens: tokens as u64,
            literal_special_tokens: said.len() as u64,
            template_tokens: (control - said.len()) as u64,
            ..Ledger::default()
        };
        spans.clear();
        ledger.learned_tokens = push_spans(spans, chat.learned, ranges);
        if ledger.learned_tokens == 0 {
            return Err(Refusal::new(Reason::NothingToLearn, "no token of it is learned").into());
        }
        let (text, unprinted) = (chat.text, chat.unprinted);
        Ok(EncodedChat { text, ledger, spans: spans.spans(), ranges, unprinted, is_comparable })
    }
}

impl ChatMemory {
    /// The checksum of a conversation's normal form.
    pub(crate) fn content_hash(&mut self, conversation: &Conversation<'_>) -> Checksum {
        self.normal_form.clear();
        conversation.write(&mut self.normal_form);
        Checksum::of(&self.normal_form)
    }
}

/// What decides whether a conversation is held out: the first words of a user, so that answers to the same question are on
/// the same side; where no user speaks, the whole conversation.
pub(crate) fn question_hash(conversation: &Conversation<'_>) -> Option<Checksum> {
    let asked = conversation.messages.iter().filter(|message| message.role == "user");
    let text = asked.into_iter().find_map(|message| message.field("content")?.text())?;
    Some(Checksum::of(text.plain().as_bytes()))
}

impl Templates {
    /// Counts the control tokens among `ids`, whose bytes are `ranges`, and puts the bytes of those that are not wholly the
    /// template's into `said`.
    fn control_tokens(
        &self,
        ids: &[u32],
        ranges: &[Range<usize>],
        chat: &RenderedChat<'_>,
        said: &mut Vec<Range<usize>>,
    ) -> usize {
        said.clear();
        let (mut words, mut count) = (chat.words.iter().peekable(), 0);
        let Some((&first, &last)) = self.control_ids.first().zip(self.control_ids.last()) else { return 0 };
        for (id, range) in ids.iter().zip(ranges) {
            if !(first..=last).contains(id) || self.control_ids.binary_search(id).is_err() {
                continue;
            }
            count += 1;
            while words.peek().is_some_and(|word| word.end <= range.start) {
                words.next();
            }
            if words.peek().is_some_and(|word| word.start < range.end) {
                said.push(range.clone());
            }
        }
        count
    }
}

/// Appends the spans of tokens whose bytes are `ranges`, and gives how many are learned.
fn push_spans(spans: &mut SpansBuilder, learned: &[Range<usize>], ranges: &[Range<usize>]) -> u64 {
    let (mut learned, mut count) = (learned.iter().peekable(), 0);
    for range in ranges {
        while learned.peek().is_some_and(|span| span.end <= range.start) {
            learned.next();
        }
        // A token that stands for nothing belongs to where it stands.
        let end = range.end.max(range.start + 1);
        let is_learned = learned.peek().is_some_and(|span| span.start < end);
        count += u64::from(is_learned);
        spans.push(is_learned, 1);
    }
    count
}

fn tokens_of(tokens: usize) -> i32 {
    i32::try_from(tokens).expect("documents have fewer than 2^31 tokens")
}

fn refusal_of(error: ChatError) -> NotEncoded {
    let reason = match &error {
        ChatError::Template(error) if error.kind == TemplateErrorKind::TooLong => Reason::TooLarge,
        ChatError::Template(_) => Reason::Template,
        ChatError::NoSpans(_) => Reason::NoSpans,
        ChatError::NothingToLearn(_) => Reason::NothingToLearn,
    };
    Refusal::new(reason, error.to_string()).into()
}

fn not_encoded(error: tokenizer::Error) -> NotEncoded {
    match error {
        tokenizer::Error::LiteralSpecialTokens { .. } => {
            let detail =
                "what is said spells a control token that the tokenizer takes as one wherever it stands";
            Refusal::new(Reason::SpecialTokens, detail).into()
        }
        tokenizer::Error::Encode { source } => Refusal::new(Reason::NotEncoded, source.to_string()).into(),
        error => NotEncoded::Failed(error.into()),
    }
}
