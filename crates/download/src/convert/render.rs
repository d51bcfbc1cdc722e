//! A row becomes a text, and a conversation where somebody speaks to somebody.
//!
//! `text` is a plain rendering that any tokenizer takes; `messages`, with `tools` and `documents` beside them, keep who said
//! what, for those who apply a chat template. The text of a conversation is what `records` makes of it
//! (`conversation::plain`), but for a question with its answer, which stand behind `Context:`, `Question:` and `Answer:`.
//! Nothing is left out but white space around a rewritten answer.

use std::borrow::Cow;

use mashbill_format::catalog::{Question, Render, Rewrite, TextField};
use mashbill_format::untaken::UntakenColumns;
use mashbill_records::conversation::{Changes, ChatMessage, Conversation, ConversationOptions, PlainPiece};
use mashbill_records::json;
use mashbill_records::value::{Text, Value};

use super::fields::{RowResult, first_name, first_text, missing, no_answer, text_at};
use super::refused::RefusedRow;
use super::turns;
use super::usual::{self, Usual};

/// What a row becomes. Both buffers are the caller's, who uses them again for the next one.
#[derive(Debug)]
pub(crate) struct Rendered<'o> {
    /// Where the text goes, as it stands between the quotes of JSON, behind what is there.
    text: &'o mut Vec<u8>,
    /// Characters of the text.
    pub(crate) chars: u64,
    /// Bytes of the text as UTF-8.
    pub(crate) bytes: u64,
    /// Where the conversation goes, as a JSON object; nothing where there is none.
    said: &'o mut Vec<u8>,
    /// How many messages it has.
    pub(crate) turns: u64,
    /// How many of them are the prompt, where a completion follows that is told from it.
    pub(crate) prompt_turns: Option<usize>,
    /// What was changed to make it one.
    pub(crate) changes: Changes,
    /// The usual columns that were taken, where these were looked for.
    pub(crate) taken: Option<Vec<&'static str>>,
    /// Where fields of turns go that are not taken.
    untaken: &'o mut UntakenColumns,
    options: ConversationOptions,
    blank: bool,
}

impl<'o> Rendered<'o> {
    /// Renders `row` behind what is in the buffers. Where it is refused, part of it may stand there.
    pub(crate) fn of(
        row: &Value<'_>,
        render: &Render,
        options: ConversationOptions,
        text: &'o mut Vec<u8>,
        said: &'o mut Vec<u8>,
        untaken: &'o mut UntakenColumns,
    ) -> RowResult<Self> {
        let mut rendered = Self {
            text,
            said,
            chars: 0,
            bytes: 0,
            turns: 0,
            prompt_turns: None,
            changes: Changes::default(),
            taken: None,
            untaken,
            options,
            blank: true,
        };
        rendered.by(render, row)?;
        rendered.check_strings()?;
        if rendered.blank {
            Err(RefusedRow::new("empty_text", "there is no text in it"))
        } else {
            Ok(rendered)
        }
    }

    /// Refuses a conversation that holds more than a line may now that JSON in its strings is not in strings any more.
    fn check_strings(&self) -> RowResult<()> {
        if self.changes.arguments_parsed + self.changes.strings_parsed == 0 {
            return Ok(());
        }
        let said = std::str::from_utf8(self.said).expect("a conversation is written as UTF-8");
        match json::parse(said, &|_| true) {
            Ok(_) => Ok(()),
            Err(invalid) => {
                let detail = format!("{} once the JSON in its strings is read", invalid.what);
                Err(RefusedRow::new("bad_conversation", detail))
            }
        }
    }

    fn by(&mut self, render: &Render, row: &Value<'_>) -> RowResult<()> {
        match render {
            Render::Auto => self.usual(Usual::of(row, self.options)?),
            Render::Text(TextField { field }) => self.push(&text_at(row, field)?),
            Render::Dialogue(dialogue) => {
                let conversation = turns::of_dialogue(dialogue, row, self.options, self.untaken)?;
                self.conversation(conversation);
            }
            Render::Exchange(exchange) => self.conversation(turns::of_exchange(exchange, row, self.options)?),
            Render::Question(question) => self.question(question, row)?,
        }
        Ok(())
    }

    fn usual(&mut self, usual: Usual<'_>) {
        let Usual { text, conversation, is_question, taken } = usual;
        self.taken = Some(taken);
        if let Some(text) = &text {
            self.push(text);
        }
        let Some(conversation) = conversation else { return };
        match content_of_both(&conversation).filter(|_| is_question) {
            Some((question, answer)) => self.question_and_answer(question, answer),
            None if text.is_none() => self.plain(&conversation),
            None => {}
        }
        self.keep(conversation);
    }

    fn question(&mut self, question: &Question, row: &Value<'_>) -> RowResult<()> {
        let asked = text_at(row, &question.question)?;
        if asked.is_blank() {
            return Err(RefusedRow::new("empty_text", format!("`{}` is empty", question.question)));
        }
        let answers = row.at(&question.answer).ok_or_else(|| missing(&question.answer, row))?;
        let answer = match first_text(&answers) {
            Some(answer) => rewritten(&answer, &question.rewrite),
            None => match &question.no_answer {
                Some(instead) => Text::Plain(Cow::Borrowed(instead.as_str())),
                None => return Err(no_answer(&question.answer)),
            },
        };
        let context = match &question.context {
            Some(path) => paragraphs(row.at(path).ok_or_else(|| missing(path, row))?.as_ref(), "\n\n"),
            None => String::new(),
        };
        let user = if context.trim().is_empty() {
            asked.clone()
        } else {
            self.literal("Context: ");
            self.push(&Text::Plain(Cow::Borrowed(&context)));
            self.literal("\n\n");
            Text::Plain(Cow::Owned(format!("{context}\n\n{}", asked.plain())))
        };
        self.question_and_answer(&asked, &answer);
        let messages = vec![turns::message("user", user), turns::message("assistant", answer)];
        let row = Value::Map(vec![turns::list("messages", messages)]);
        self.keep(turns::conversation(&row, self.options)?);
        Ok(())
    }

    fn question_and_answer(&mut self, question: &Text<'_>, answer: &Text<'_>) {
        self.literal("Question: ");
        self.push(question);
        self.literal("\nAnswer: ");
        self.push(answer);
    }

    /// A conversation, and its plain text.
    fn conversation(&mut self, conversation: Conversation<'_>) {
        self.plain(&conversation);
        self.keep(conversation);
    }

    fn plain(&mut self, conversation: &Conversation<'_>) {
        conversation.plain_pieces(&mut |piece| match piece {
            PlainPiece::Label(label) => self.literal(label),
            PlainPiece::Said(text) => self.push(text),
        });
    }

    /// A conversation beside the text: always in `messages`, which is where those who apply a template look.
    fn keep(&mut self, mut conversation: Conversation<'_>) {
        let messages = &mut conversation.messages;
        self.turns = messages.len() as u64;
        self.prompt_turns = messages.iter().position(|message| message.is_completion);
        messages.iter_mut().for_each(|message| message.is_completion = false);
        self.changes = conversation.changes;
        conversation.write(self.said);
    }

    fn push(&mut self, text: &Text<'_>) {
        let (chars, bytes) = text.lengths();
        self.chars += chars;
        self.bytes += bytes;
        self.blank = self.blank && text.is_blank();
        text.write_escaped(self.text);
    }

    /// Words that are not the source's, or the names of who speaks.
    fn literal(&mut self, text: &str) {
        self.chars += text.chars().count() as u64;
        self.bytes += text.len() as u64;
        mashbill_records::value::write_escaped(text, self.text);
    }
}

/// What is said in the first two messages.
fn content_of_both<'c, 'a>(conversation: &'c Conversation<'a>) -> Option<(&'c Text<'a>, &'c Text<'a>)> {
    let [first, second] = &conversation.messages[..] else { return None };
    let content = |message: &'c ChatMessage<'a>| {
        message.fields.iter().find_map(|(name, value)| match value {
            Value::Text(text) if name == "content" => Some(text),
            _ => None,
        })
    };
    Some((content(first)?, content(second)?))
}

/// The names of the fields, at the top of a row, that `render` looks at.
pub(crate) fn top_fields(render: &Render) -> Vec<String> {
    let mut paths: Vec<&str> = Vec::new();
    match render {
        Render::Auto => return usual::columns().map(str::to_owned).collect(),
        Render::Text(TextField { field }) => paths.push(field),
        Render::Dialogue(dialogue) => {
            paths.push(&dialogue.turns);
            paths.extend(dialogue.system.as_deref());
            paths.extend(turns::BESIDE);
        }
        Render::Exchange(exchange) => {
            paths.extend(exchange.user.iter().map(String::as_str));
            paths.push(&exchange.assistant);
            paths.extend(exchange.system.as_deref());
            paths.extend(turns::BESIDE);
        }
        Render::Question(question) => {
            paths.extend([question.question.as_str(), &question.answer]);
            paths.extend(question.context.as_deref());
        }
    }
    paths.iter().map(|path| first_name(path).to_owned()).collect()
}

/// A rendering's name in the catalogue.
pub(crate) const fn name(render: &Render) -> &'static str {
    match render {
        Render::Auto => "auto",
        Render::Text(_) => "text",
        Render::Dialogue(_) => "dialogue",
        Render::Exchange(_) => "exchange",
        Render::Question(_) => "question",
    }
}

/// All text of a value; what stands in an inner list belongs together.
fn paragraphs(value: &Value<'_>, between: &str) -> String {
    match value {
        Value::List(items) => items.iter().map(|item| paragraphs(item, "")).collect::<Vec<_>>().join(between),
        other => other.text().map(|text| text.plain().into_owned()).unwrap_or_default(),
    }
}

fn rewritten<'a>(answer: &Text<'a>, rewrites: &[Rewrite]) -> Text<'a> {
    if rewrites.is_empty() {
        return answer.clone();
    }
    let mut text = answer.plain().into_owned();
    for rewrite in rewrites {
        text = match rewrite {
            Rewrite::StripCalculatorMarks => without_marks(&text),
            Rewrite::FinalAnswer => {
                let line = |line: &str| match line.strip_prefix("####") {
                    Some(answer) => format!("The answer is {}", answer.trim()),
                    None => line.to_owned(),
                };
                text.lines().map(line).collect::<Vec<_>>().join("\n")
            }
        };
    }
    Text::Plain(Cow::Owned(text))
}

/// A text without what stands in double angle brackets.
fn without_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mark)) = rest.split_once("<<") {
        let Some((_, after)) = mark.split_once(">>") else { break };
        clean.push_str(before);
        rest = after;
    }
    clean + rest
}
