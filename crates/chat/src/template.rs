//! A chat template, ready to render conversations.

mod example;

use std::ops::Range;

use bumpalo::Bump;
use mashbill_format::chat::{LossOn, NoLossOn, SpanRule};
use mashbill_jinja::{self as jinja, Now, RenderLimits, Rendering, Template};
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;
use mashbill_records::value::Value;

use crate::spans::{
    Surroundings, Turn, all_but, by_blocks, by_marks, bytes_of, closing_tag, learned_turns, openers,
    unprinted, words_of,
};
use crate::values;

pub use self::example::ExampleChat;

/// What the text and the learned bytes depend on besides the template.
#[derive(Debug, Clone)]
pub struct ChatOptions {
    /// Special tokens by the names that templates have for them: `bos_token`, `eos_token`, ….
    pub special_tokens: Vec<(String, String)>,
    /// All special tokens of the tokenizer.
    pub special: Vec<String>,
    /// Those of them that end a turn or a document.
    pub ends: Vec<String>,
    /// Arguments of the template by name, each a JSON text.
    pub template_args: Vec<(String, String)>,
    /// The moment that `strftime_now` gives.
    pub now: Option<Now>,
    /// On which turns there is a loss.
    pub loss_on: LossOn,
    /// What of them is left out.
    pub no_loss_on: NoLossOn,
}

/// A chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    template: Template,
    options: ChatOptions,
    /// The arguments of the options.
    template_args: Vec<(String, Value<'static>)>,
    rule: SpanRule,
    around: Surroundings,
}

/// What rendering keeps from one conversation to the next, for one thread.
#[derive(Debug, Default)]
pub struct ChatScratch {
    arena: Bump,
    rendered: Rendering,
    learned: Vec<Range<usize>>,
    words: Vec<Range<usize>>,
}

/// A conversation as text.
#[derive(Debug, Clone, Copy)]
pub struct RenderedChat<'s> {
    /// The text, with all control tokens spelled out.
    pub text: &'s str,
    /// The bytes of it that are learned, in order; all of them are where there is a loss on everything.
    pub learned: &'s [Range<usize>],
    /// The bytes of it that came from the record, and not from the template, in order.
    pub words: &'s [Range<usize>],
    /// Messages that say something of which nothing is in the text.
    pub unprinted: u64,
}

/// Why a conversation has no text, or none of it can be said to be learned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The template refuses it, or can't be rendered with it.
    #[error("{0}")]
    Template(jinja::Error),
    /// It can't be said what is learned.
    #[error("{0}")]
    NoSpans(String),
    /// Nothing of it is learned; why, as a fragment.
    #[error("{0}")]
    NothingToLearn(&'static str),
}

impl From<jinja::Error> for ChatError {
    fn from(error: jinja::Error) -> Self {
        Self::Template(error)
    }
}

impl ChatTemplate {
    /// Reads a template, and looks at what it puts around turns.
    ///
    /// # Errors
    /// The template can't be read.
    pub fn new(source: &str, options: ChatOptions) -> jinja::Result<Self> {
        let template = Template::new(source)?;
        let rule = if template.has_generations() { SpanRule::Blocks } else { SpanRule::Marks };
        let (special, ends) = (options.special.clone(), options.ends.clone());
        let around = Surroundings { special, ends, ..Surroundings::default() };
        let value = |text: &str| json::parse(text, &|_| true).map_or(Value::Null, Value::into_owned);
        let template_args =
            options.template_args.iter().map(|(name, text)| (name.clone(), value(text))).collect();
        let mut chat = Self { template, options, template_args, rule, around };
        chat.look_around();
        match chat.try_probe(ASKED, false) {
            // What two words take too long for takes all too long.
            Err(error) if matches!(error.kind, jinja::ErrorKind::NoDate | jinja::ErrorKind::Limit) => {
                Err(error)
            }
            // Some need a system message, or an answer.
            _ => Ok(chat),
        }
    }

    /// What the template spells, with a null character behind each text.
    #[must_use]
    pub fn literals(&self) -> &str {
        self.template.literals()
    }

    /// What says which bytes are learned.
    #[must_use]
    pub const fn rule(&self) -> SpanRule {
        self.rule
    }

    /// The text of a conversation, which has `most_bytes` at the most, and what of it is learned.
    ///
    /// # Errors
    /// [`ChatError`]; a text that is longer is a [`TooLong`](jinja::ErrorKind::TooLong) one of the template.
    pub fn render<'s>(
        &self,
        conversation: &Conversation<'_>,
        most_bytes: usize,
        scratch: &'s mut ChatScratch,
    ) -> Result<RenderedChat<'s>, ChatError> {
        scratch.arena.reset();
        let limits = RenderLimits::for_texts_of(most_bytes);
        self.render_into(conversation, false, limits, &scratch.arena, &mut scratch.rendered)?;
        let (rendered, around, no_loss_on) = (&scratch.rendered, &self.around, self.options.no_loss_on);
        let turns = learned_turns(conversation, self.options.loss_on);
        let learned = match (self.options.loss_on, self.rule) {
            (LossOn::All, _) => all_but(rendered, conversation, around),
            (_, SpanRule::Blocks) => Ok(by_blocks(rendered, &turns, around, no_loss_on)),
            (_, SpanRule::Marks) => by_marks(rendered, &turns, around, no_loss_on),
        };
        scratch.learned = learned.map_err(ChatError::NoSpans)?;
        if scratch.learned.iter().all(Range::is_empty) {
            return Err(ChatError::NothingToLearn(self.why_nothing(conversation, &turns)));
        }
        words_of(&scratch.rendered, &mut scratch.words);
        let text = scratch.rendered.text.as_str();
        let unprinted = unprinted(&scratch.rendered, &conversation.messages);
        Ok(RenderedChat { text, learned: &scratch.learned, words: &scratch.words, unprinted })
    }

    /// Why nothing of a conversation is learned.
    fn why_nothing(&self, conversation: &Conversation<'_>, turns: &[Turn]) -> &'static str {
        let is_completion = conversation.messages.iter().any(|message| message.is_completion);
        match self.options.loss_on {
            _ if turns.iter().any(|turn| turn.is_learned) => "the template prints nothing of what is learned",
            LossOn::All => "its weights leave out everything",
            LossOn::Completion if !is_completion => "it has no completion",
            _ if !turns.iter().any(|turn| turn.is_assistant) => "no message is the assistant's",
            _ => "its weights leave out all turns that are learned",
        }
    }

    fn render_into(
        &self,
        conversation: &Conversation<'_>,
        with_prompt: bool,
        limits: RenderLimits,
        arena: &Bump,
        rendered: &mut Rendering,
    ) -> jinja::Result<()> {
        let mut variables = bumpalo::collections::Vec::new_in(arena);
        // What comes first counts: the record's own arguments before those of the run, and these before the tokens.
        for (name, value) in &conversation.template_args {
            variables.push((&*arena.alloc_str(name), values::argument(arena, &value.clone().into_owned())?));
        }
        for (name, value) in &self.template_args {
            variables.push((name.as_str(), values::value(arena, value)?));
        }
        for (name, token) in &self.options.special_tokens {
            variables.push((name.as_str(), jinja::TemplateValue::text(token)));
        }
        variables.push(("add_generation_prompt", jinja::TemplateValue::Bool(with_prompt)));
        variables.extend(values::variables(arena, conversation)?);
        self.template.render(arena, variables.into_bump_slice(), self.options.now, limits, rendered)
    }

    /// What the template puts around turns, seen on small conversations.
    fn look_around(&mut self) {
        if let Some((header, prompt_rest)) = self.header() {
            (self.around.header, self.around.prompt_rest) = (header, prompt_rest);
        }
        let between = self.between();
        let openers = between.iter().flat_map(|between| openers(between, &self.around)).collect::<Vec<_>>();
        self.around.openers = openers;
        let (call_open, call_close) = self.call_tags().unwrap_or_default();
        (self.around.call_open, self.around.call_close) = (call_open, call_close);
    }

    /// A small conversation as text, with where the words of each message are.
    fn probe(&self, record: &str, with_prompt: bool) -> Option<Probed> {
        self.try_probe(record, with_prompt).ok()
    }

    fn try_probe(&self, record: &str, with_prompt: bool) -> jinja::Result<Probed> {
        let record = json::parse(record, &|_| true).expect("it is JSON");
        let conversation = Conversation::of(&record, ConversationOptions::default());
        let conversation = conversation.ok().flatten().expect("it is a conversation");
        let (arena, mut rendered) = (Bump::new(), Rendering::default());
        self.render_into(&conversation, with_prompt, RenderLimits::default(), &arena, &mut rendered)?;
        let messages = (0..conversation.messages.len()).map(|message| bytes_of(&rendered, message)).collect();
        Ok((rendered.text.as_str().to_owned(), messages))
    }

    /// What every turn of the assistant begins with, and what a generation prompt has behind it.
    fn header(&self) -> Option<(String, String)> {
        let (asked, _) = self.probe(ASKED, false)?;
        let (prompted, _) = self.probe(ASKED, true)?;
        let (answered, messages) = self.probe(ANSWERED, false)?;
        let answer = messages.last()?.as_ref()?;
        let prompt = prompted.strip_prefix(&asked)?;
        let turn = answered[..answer.start].strip_prefix(&asked)?;
        let common = common_start(prompt, turn);
        Some((prompt[..common].to_owned(), prompt[common..].to_owned()))
    }

    /// What stands between the words of a user and of the assistant, and between those and the user's next ones.
    fn between(&self) -> Vec<String> {
        const ASKED_AGAIN: &str = r#"{"messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]}"#;
        let Some((text, messages)) = self.probe(ASKED_AGAIN, false) else { return Vec::new() };
        let pairs = messages.windows(2).filter_map(|pair| {
            let [Some(before), Some(behind)] = pair else { return None };
            text.get(before.end..behind.start).map(str::to_owned)
        });
        pairs.collect()
    }

    /// What a turn that calls has before its first word and no answer has, and the tag that closes a call.
    fn call_tags(&self) -> Option<(String, Option<String>)> {
        const BEFORE: &str = r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "#;
        const CALLS: &str = r#""tool_calls": [{"id": "abcdefghi", "type": "function", "function":
            {"name": "b", "arguments": {"c": "d"}}}]}], "tools": [{"type": "function", "function":
            {"name": "b", "description": "e", "parameters": {"type": "object", "properties":
            {"c": {"type": "string", "description": "f"}}}}}]}"#;
        // Some templates want a content, and others print it behind the call.
        let with = |content: &str| self.probe(&format!("{BEFORE}{content}{CALLS}"), false);
        let (text, messages) = with("").or_else(|| with(r#""content": "", "#))?;
        let asked = messages.first()?.as_ref()?;
        let called = messages.last()?.as_ref()?;
        let opening = text.get(asked.end..called.start)?;
        let answered = self.probe(ANSWERED, false).and_then(|(text, messages)| {
            let [Some(asked), Some(answer)] = &messages[..] else { return None };
            Some(text.get(asked.end..answer.start)?.to_owned())
        });
        let call_open = answered
            .map_or_else(String::new, |answered| opening[common_start(opening, &answered)..].to_owned());
        Some((call_open, closing_tag(opening, &text[called.end..])))
    }
}

/// How much of two texts is the same from the beginning on, up to where no word goes on.
fn common_start(text: &str, other: &str) -> usize {
    let same = text.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let in_word = |text: &str, at: usize| {
        let of_word = |c: char| c.is_alphanumeric() || c == '_';
        text[..at].chars().next_back().is_some_and(of_word) && text[at..].chars().next().is_some_and(of_word)
    };
    let is_border = |at: &usize| text.is_char_boundary(*at) && other.is_char_boundary(*at);
    let is_end = |at: &usize| is_border(at) && !in_word(text, *at) && !in_word(other, *at);
    (0..=same).rev().find(is_end).unwrap_or(0)
}

/// A small conversation as text, with where the words of each message are.
type Probed = (String, Vec<Option<Range<usize>>>);

/// A question, and one with an answer, for looking at what a template puts around turns.
const ASKED: &str = r#"{"messages": [{"role": "user", "content": "a"}]}"#;
const ANSWERED: &str =
    r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#;
