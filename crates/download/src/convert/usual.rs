//! Which of the usual columns a row has, and what they say.
//!
//! Every shape of conversation that `records` reads is usual, and so are `text` and `content`. A row with `text` keeps it as it
//! is; where columns beside it are a conversation, that stands in the record, too.

use std::borrow::Cow;

use mashbill_records::conversation::{COLUMN_PAIRS, Conversation, ConversationOptions, FIELDS};
use mashbill_records::value::{Text, Value};

use super::fields::{RowResult, first_text, names, no_answer, text_at};
use super::refused::RefusedRow;
use super::turns::{as_text, conversation, is_messages, list, with_speakers};

/// The reason for which a row is refused that has none of the usual columns.
pub(crate) const NO_USUAL_COLUMNS: &str = "no_usual_columns";

/// Columns that are lists of messages.
const LISTS: [&str; 3] = ["messages", "conversations", "conversation"];

/// Columns that stand beside a conversation: of two in a row the first that is there counts.
const BESIDE: [[&str; 2]; 4] = [
    ["system", "system_prompt"],
    ["tools", "functions"],
    ["documents", "documents"],
    ["chat_template_kwargs", "chat_template_kwargs"],
];

/// What a row says, by its usual columns.
#[derive(Debug)]
pub(super) struct Usual<'a> {
    /// Its text; none where that is the conversation's.
    pub(super) text: Option<Text<'a>>,
    /// Its conversation.
    pub(super) conversation: Option<Conversation<'a>>,
    /// Whether that is a question and its answer.
    pub(super) is_question: bool,
    /// The columns that this was taken from.
    pub(super) taken: Vec<&'static str>,
}

/// The columns that are looked for.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().copied().chain(["text", "content"])
}

impl<'a> Usual<'a> {
    /// What `row` says.
    pub(super) fn of(row: &Value<'a>, options: ConversationOptions) -> RowResult<Self> {
        if let Some(field) = LISTS.into_iter().find(|field| is_there(row, field)) {
            let conversation = match row.field(field) {
                Some(Value::List(turns)) if turns.iter().any(|turn| matches!(turn, Value::Text(_))) => {
                    conversation(&with(row, vec![list(field, with_speakers(turns))]), options)
                }
                _ => conversation(row, options),
            };
            let mut taken = beside(row);
            taken.extend([field, "prompt_messages"]);
            return Ok(Self { text: None, conversation: Some(conversation?), is_question: false, taken });
        }
        let pair =
            COLUMN_PAIRS.iter().find(|(asked, answered)| is_there(row, asked[0]) && is_there(row, answered));
        if is_there(row, "text") {
            let text = Some(text_at(row, "text")?);
            // What is not understood is not taken, and listed: the text is the row's.
            let found =
                pair.and_then(|(asked, answered)| Self::of_columns(row, asked, answered, options).ok());
            let beside_text = |mut found: Self| {
                found.taken.push("text");
                Self { text: text.clone(), is_question: false, ..found }
            };
            let alone =
                || Self { text: text.clone(), conversation: None, is_question: false, taken: vec!["text"] };
            return Ok(found.map_or_else(alone, beside_text));
        }
        if let Some((asked, answered)) = pair {
            return Self::of_columns(row, asked, answered, options);
        }
        if is_there(row, "content") {
            let text = Some(text_at(row, "content")?);
            return Ok(Self { text, conversation: None, is_question: false, taken: vec!["content"] });
        }
        Err(RefusedRow::new(NO_USUAL_COLUMNS, names(row)))
    }

    /// What is asked in some columns, and answered in another.
    fn of_columns(
        row: &Value<'a>,
        asked: &'static [&'static str],
        answered: &'static str,
        options: ConversationOptions,
    ) -> RowResult<Self> {
        let mut spelled = Vec::new();
        for &column in asked.iter().chain(&["system", "system_prompt"]) {
            if let Some(value @ (Value::Number(_) | Value::Bool(_))) = row.field(column) {
                spelled.push((Cow::Borrowed(column), as_text(value)));
            }
        }
        let answer = row.field(answered).filter(|answer| !is_messages(answer));
        if let Some(answer) = answer {
            // Of several answers the first counts, wherever they stand.
            let texts = answer_texts(answer);
            let text = texts.as_deref().and_then(first_text).ok_or_else(|| no_answer(answered))?;
            if !matches!(answer, Value::Text(_)) {
                spelled.push((Cow::Borrowed(answered), Value::Text(text)));
            }
        }
        let conversation = if spelled.is_empty() {
            conversation(row, options)?
        } else {
            conversation(&with(row, spelled), options)?
        };
        let is_plain = conversation.tools.is_none() && conversation.documents.is_none();
        let roles = conversation.messages.iter().map(|message| message.role.as_ref());
        let is_question = asked[0] == "question"
            && answered != "response"
            && answer.is_some()
            && is_plain
            && roles.eq(["user", "assistant"]);
        let mut taken = beside(row);
        taken.extend(asked);
        taken.extend([answered, "history"]);
        Ok(Self { text: None, conversation: Some(conversation), is_question, taken })
    }
}

/// What holds the texts of an answer: its field `text`, or itself.
fn answer_texts<'v, 'a>(answer: &'v Value<'a>) -> Option<Cow<'v, Value<'a>>> {
    match answer {
        Value::Map(_) => answer.at("text"),
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
            let texts = items.iter().filter_map(|item| match item {
                Value::Map(_) => Some(item.at("text")?.into_owned()),
                other => Some(other.clone()),
            });
            Some(Cow::Owned(Value::List(texts.collect())))
        }
        _ => Some(Cow::Borrowed(answer)),
    }
}

fn is_there(row: &Value<'_>, field: &str) -> bool {
    row.field(field).is_some_and(|value| *value != Value::Null)
}

fn beside(row: &Value<'_>) -> Vec<&'static str> {
    BESIDE.iter().filter_map(|names| names.iter().copied().find(|name| is_there(row, name))).collect()
}

/// A row with these fields in the place of its own.
fn with<'a>(row: &Value<'a>, mut fields: Vec<(Cow<'a, str>, Value<'a>)>) -> Value<'a> {
    if let Value::Map(own) = row {
        let is_replaced = |name: &str| fields.iter().any(|(other, _)| other == name);
        let kept: Vec<_> = own.iter().filter(|(name, _)| !is_replaced(name)).cloned().collect();
        fields.extend(kept);
    }
    Value::Map(fields)
}
