//! What is said in a record, whatever shape it has: the normal form of a conversation.
//!
//! A conversation is what `apply_chat_template` takes: `messages` with `role` and `content`, `tools`, `documents`, and
//! arguments of the template. Records come in other shapes, too (`docs/chat.md` has the table); each becomes this one, and
//! what was changed on the way is counted ([`Changes`]). The normal form of a normal form is itself.
//!
//! Whatever is not understood refuses the record, with its reason: a call whose arguments are no JSON, a weight that is
//! neither 0 nor 1, a picture. Nothing is left out to make a record fit.

mod columns;
mod fields;
mod message;
mod tools;
mod plain;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;

use crate::json;
use crate::record::{Reason, Refusal};
use crate::value::{Text, Value};

pub use columns::PAIRS as COLUMN_PAIRS;
pub use fields::ConversationFields;
pub use plain::PlainPiece;
pub use tools::RESERVED_ARGS;

/// The result of reading a conversation.
pub type Result<T> = std::result::Result<T, Refusal>;

/// A conversation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation<'a> {
    /// What is said, in order; one message at least.
    pub messages: Vec<ChatMessage<'a>>,
    /// The functions that can be called, as JSON schemas.
    pub tools: Option<Vec<Value<'a>>>,
    /// What can be referred to.
    pub documents: Option<Vec<Value<'a>>>,
    /// Arguments of the template (`chat_template_kwargs`), by name.
    pub template_args: Vec<(Cow<'a, str>, Value<'a>)>,
    /// What was changed to make it one.
    pub changes: Changes,
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatMessage<'a> {
    /// Who speaks.
    pub role: Cow<'a, str>,
    /// Its other fields in the order in which the record has them, none of which is null: `content` (a string),
    /// `reasoning_content`, `tool_calls`, and whatever else the record has for the template.
    pub fields: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Whether the record says that it is learned: `weight`, `train` or `loss_mask`.
    pub loss: Option<bool>,
    /// Whether it is of the record's `completion`.
    pub is_completion: bool,
}

/// How records become conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationOptions {
    /// Whether arguments of calls that are JSON in a string stay a string.
    pub keep_tool_arguments: bool,
    /// Whether nulls within tools, arguments and the like are taken out: in Arrow every tool has the fields of all.
    pub drop_nulls: bool,
}

/// How many values were changed on the way to the normal form.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Changes {
    /// Roles by other names: `human`, `gpt`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub roles_renamed: u64,
    /// Contents that were lists of texts, which were joined.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parts_joined: u64,
    /// Arguments of calls that were JSON in a string.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub arguments_parsed: u64,
    /// Calls without `function` around their name and arguments.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls_wrapped: u64,
    /// Messages, tools and the like that were JSON in a string.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub strings_parsed: u64,
    /// Nulls within calls, tools, arguments and the like that were taken out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nulls_dropped: u64,
    /// Messages that were made of columns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub made_of_columns: u64,
    /// Fields of messages by other names: `reasoning`, `loss_mask`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fields_renamed: u64,
    /// Further answers to a question that were left out: the first counts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub answers_left_out: u64,
    /// Messages of which the chat template prints nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub messages_unprinted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Changes {
    /// Whether nothing was changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The counts with what they are of, for people.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 10] {
        [
            ("roles renamed", self.roles_renamed),
            ("parts joined", self.parts_joined),
            ("arguments parsed", self.arguments_parsed),
            ("calls wrapped", self.calls_wrapped),
            ("strings parsed", self.strings_parsed),
            ("nulls dropped", self.nulls_dropped),
            ("made of columns", self.made_of_columns),
            ("fields renamed", self.fields_renamed),
            ("answers left out", self.answers_left_out),
            ("messages not printed by the template", self.messages_unprinted),
        ]
    }

    /// Adds other counts.
    pub const fn add(&mut self, other: &Self) {
        self.roles_renamed = self.roles_renamed.saturating_add(other.roles_renamed);
        self.parts_joined = self.parts_joined.saturating_add(other.parts_joined);
        self.arguments_parsed = self.arguments_parsed.saturating_add(other.arguments_parsed);
        self.calls_wrapped = self.calls_wrapped.saturating_add(other.calls_wrapped);
        self.strings_parsed = self.strings_parsed.saturating_add(other.strings_parsed);
        self.nulls_dropped = self.nulls_dropped.saturating_add(other.nulls_dropped);
        self.made_of_columns = self.made_of_columns.saturating_add(other.made_of_columns);
        self.fields_renamed = self.fields_renamed.saturating_add(other.fields_renamed);
        self.answers_left_out = self.answers_left_out.saturating_add(other.answers_left_out);
        self.messages_unprinted = self.messages_unprinted.saturating_add(other.messages_unprinted);
    }
}

/// The fields of a record that a conversation is made of.
pub const FIELDS: &[&str] = &[
    "messages",
    "conversations",
    "conversation",
    "prompt_messages",
    "prompt",
    "completion",
    "history",
    "instruction",
    "input",
    "context",
    "output",
    "system",
    "system_prompt",
    "question",
    "response",
    "answer",
    "answers",
    "problem",
    "solution",
    "query",
    "tools",
    "functions",
    "documents",
    "chat_template_kwargs",
];

impl<'a> Conversation<'a> {
    /// The conversation that `record` holds; none if it has none.
    ///
    /// # Errors
    /// A [`Refusal`] where it has one that is not understood.
    pub fn of(record: &Value<'a>, options: ConversationOptions) -> Result<Option<Self>> {
        check_fields(record)?;
        let mut conversation = Self::default();
        let mut reader = Reader { options, changes: Changes::default(), values_left: json::VALUES_MAX };
        conversation.messages = match reader.messages(record)? {
            Some(messages) => messages,
            None => return Ok(None),
        };
        if conversation.messages.is_empty() {
            return Err(Refusal::new(Reason::BadConversation, "a conversation without messages"));
        }
        conversation.tools = reader.tools(record)?;
        conversation.documents = reader.documents(record)?;
        conversation.template_args = reader.template_args(record)?;
        conversation.changes = reader.changes;
        Ok(Some(conversation))
    }

    /// Appends the conversation as JSON, each time the same for the same conversation. One with a completion has
    /// `prompt` and `completion`, each a list of messages, in the place of `messages`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let prompt = self.messages.iter().take_while(|message| !message.is_completion).count();
        let (before, completion) = self.messages.split_at(prompt);
        out.extend_from_slice(if completion.is_empty() { b"{\"messages\": [" } else { b"{\"prompt\": [" });
        write_messages(before, out);
        if !completion.is_empty() {
            out.extend_from_slice(b"], \"completion\": [");
            write_messages(completion, out);
        }
        out.push(b']');
        for (name, list) in [("tools", &self.tools), ("documents", &self.documents)] {
            if let Some(list) = list {
                write_field(name, &Value::List(list.clone()), out);
            }
        }
        if !self.template_args.is_empty() {
            write_field("chat_template_kwargs", &Value::Map(self.template_args.clone()), out);
        }
        out.push(b'}');
    }
}

impl ChatMessage<'_> {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value<'_>> {
        self.fields.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"role\": ");
        crate::value::write_quoted(&self.role, out);
        self.fields.iter().for_each(|(name, value)| write_field(name, value, out));
        if let Some(loss) = self.loss {
            out.extend_from_slice(if loss { b", \"weight\": 1" } else { b", \"weight\": 0" });
        }
        out.push(b'}');
    }
}

fn write_messages(messages: &[ChatMessage<'_>], out: &mut Vec<u8>) {
    for (number, message) in messages.iter().enumerate() {
        out.extend_from_slice(if number > 0 { b", " } else { b"" });
        message.write(out);
    }
}

fn write_field(name: &str, value: &Value<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b", ");
    crate::value::write_quoted(name, out);
    out.extend_from_slice(b": ");
    value.write_spelled(out);
}

/// Reads one conversation.
struct Reader {
    options: ConversationOptions,
    changes: Changes,
    /// How many values the strings of the record may still hold: in memory each takes many times the bytes that spell it.
    values_left: u32,
}

impl Reader {
    /// The messages of a record, from the first shape that it has.
    fn messages<'a>(&mut self, record: &Value<'a>) -> Result<Option<Vec<ChatMessage<'a>>>> {
        let lists = ["messages", "conversations", "conversation"];
        let found = lists.into_iter().filter_map(|field| Some((field, there(record, field)?)));
        // An empty list beside one that isn't is what Arrow has where there is none.
        let is_empty = |value: &Value<'_>| matches!(value, Value::List(items) if items.is_empty());
        let Some((field, value)) = found.min_by_key(|(_, value)| is_empty(value)) else {
            return self.columns(record);
        };
        let mut messages = self.list_of_messages(field, value, false)?;
        Self::mark_completion(record, &mut messages)?;
        self.put_system(record, &mut messages)?;
        Ok(Some(messages))
    }

    /// A list of messages, also as JSON in a string.
    fn list_of_messages<'a>(
        &mut self,
        field: &str,
        value: &Value<'a>,
        is_completion: bool,
    ) -> Result<Vec<ChatMessage<'a>>> {
        let parsed = self.parsed(field, value)?;
        let Value::List(items) = parsed.as_ref().unwrap_or(value) else {
            return Err(bad(field, value, "a list of messages"));
        };
        // What is in a string was not padded: its nulls are what was meant.
        let drop_nulls = self.options.drop_nulls;
        self.options.drop_nulls &= parsed.is_none();
        let mut messages = Vec::with_capacity(items.len());
        for (number, item) in (1..).zip(items) {
            let at = |refusal: Refusal| Refusal {
                detail: format!("message {number} of `{field}`: {}", refusal.detail),
                ..refusal
            };
            messages.push(self.message(item, is_completion).map_err(at)?);
        }
        self.options.drop_nulls = drop_nulls;
        Ok(messages)
    }

    /// What a string holds as JSON; none where it is no string.
    fn parsed<'a>(&mut self, field: &str, value: &Value<'a>) -> Result<Option<Value<'a>>> {
        let Value::Text(text) = value else { return Ok(None) };
        self.changes.strings_parsed += 1;
        let parsed = self.parsed_text(text).map_err(|invalid| {
            Refusal::new(Reason::BadConversation, format!("`{field}` is a string that is no JSON: {invalid}"))
        })?;
        Ok(Some(parsed))
    }

    /// The value of a JSON text that goes away.
    fn parsed_text<'a>(&mut self, text: &Text<'_>) -> std::result::Result<Value<'a>, String> {
        json::parse_within(&text.plain(), &mut self.values_left)
            .map(|value| value.into_owned())
            .map_err(|invalid| format!("{} at byte {}", invalid.what, invalid.at))
    }

    /// Puts a system prompt that stands beside the messages before them.
    fn put_system<'a>(&mut self, record: &Value<'a>, messages: &mut Vec<ChatMessage<'a>>) -> Result<()> {
        let Some((field, value)) = one_of(record, ["system", "system_prompt"])? else { return Ok(()) };
        let Value::Text(text) = value else { return Err(bad(field, value, "a string")) };
        if let Some(first) = messages.first().filter(|first| first.role == "system") {
            let said = first.field("content").and_then(Value::text);
            if said.is_some_and(|said| said.plain() == text.plain()) {
                return Ok(());
            }
            let detail = format!("`{field}` and the first message are two system prompts, which differ");
            return Err(Refusal::new(Reason::FieldTwice, detail));
        }
        self.changes.made_of_columns += 1;
        messages.insert(0, ChatMessage::of("system", text.clone()));
        Ok(())
    }
}

impl<'a> ChatMessage<'a> {
    /// A message with nothing but what is said.
    fn of(role: &'static str, text: Text<'a>) -> Self {
        Self {
            role: Cow::Borrowed(role),
            fields: vec![(Cow::Borrowed("content"), Value::Text(text))],
            loss: None,
            is_completion: false,
        }
    }
}

/// A field that is there and not null.
fn there<'v, 'a>(record: &'v Value<'a>, field: &str) -> Option<&'v Value<'a>> {
    record.field(field).filter(|value| **value != Value::Null)
}

/// The field of two names for the same that is there and is not blank; both may be if they say the same.
fn one_of<'v, 'a>(
    record: &'v Value<'a>,
    names: [&'static str; 2],
) -> Result<Option<(&'static str, &'v Value<'a>)>> {
    let is_blank = |value: &Value<'_>| matches!(value, Value::Text(text) if text.is_blank());
    let found = |name| Some((name, there(record, name).filter(|value| !is_blank(value))?));
    match names.map(found) {
        [Some((name, value)), Some((other, second))] if value != second => {
            let detail = format!("`{name}` and `{other}` are two for the same, which differ");
            Err(Refusal::new(Reason::FieldTwice, detail))
        }
        [first, second] => Ok(first.or(second)),
    }
}

fn bad(field: &str, value: &Value<'_>, expected: &str) -> Refusal {
    Refusal::new(Reason::BadConversation, format!("`{field}` is {}, not {expected}", value.kind()))
}

/// Refuses a record in which a field that is read stands twice.
fn check_fields(record: &Value<'_>) -> Result<()> {
    let Value::Map(fields) = record else { return Ok(()) };
    let mut names = HashSet::with_capacity(FIELDS.len());
    let mut read = fields.iter().map(|(name, _)| name.as_ref()).filter(|name| FIELDS.contains(name));
    match read.find(|name| !names.insert(*name)) {
        Some(name) => Err(Refusal::new(Reason::FieldTwice, format!("`{name}` stands twice"))),
        None => Ok(()),
    }
}

/// Refuses a value of which some object has a field twice.
///
/// # Errors
/// A [`Refusal`] that names the field.
pub fn check_names(value: &Value<'_>) -> Result<()> {
    match value {
        Value::List(items) => items.iter().try_for_each(check_names),
        Value::Map(fields) => {
            let mut names = HashSet::with_capacity(fields.len());
            if let Some((name, _)) = fields.iter().find(|(name, _)| !names.insert(name.as_ref())) {
                return Err(Refusal::new(Reason::FieldTwice, format!("`{name}` stands twice")));
            }
            fields.iter().try_for_each(|(_, value)| check_names(value))
        }
        _ => Ok(()),
    }
}
