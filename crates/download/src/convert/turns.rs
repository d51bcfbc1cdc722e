//! Turns that stand in a row as the catalogue says, as a conversation.
//!
//! The catalogue says where a row has its turns, who speaks in them and what is said. What they have besides (calls, reasoning,
//! weights, whatever a template looks at) is kept, as are tools and documents beside them: the row is spelled anew with the
//! usual names, and `records` reads it as it reads every conversation.

use std::borrow::Cow;

use mashbill_format::catalog::{Dialogue, Exchange};
use mashbill_format::untaken::UntakenColumns;
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;
use mashbill_records::value::{Text, Value};

use super::fields::{RowResult, first_name, first_text, missing, no_answer, text_at, wrong};
use super::refused::RefusedRow;

/// Fields that are a conversation's, too, and stand beside its turns.
pub(super) const BESIDE: [&str; 4] = ["tools", "functions", "documents", "chat_template_kwargs"];

/// Fields of a spelled row, by name.
type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// The conversation in a row, which has one.
pub(super) fn conversation<'a>(row: &Value<'a>, options: ConversationOptions) -> RowResult<Conversation<'a>> {
    let found = Conversation::of(row, options)
        .map_err(|refusal| RefusedRow::new(refusal.reason.name(), refusal.detail))?;
    let conversation = found.ok_or_else(|| RefusedRow::new("bad_conversation", "nobody says anything"))?;
    for message in &conversation.messages {
        if let Some(Value::Bytes(_)) = message.field("content") {
            return Err(RefusedRow::new("not_text", "`content` is bytes that are no UTF-8"));
        }
    }
    Ok(conversation)
}

/// The conversation of a list of turns. What is taken of no turn goes into `untaken`.
pub(super) fn of_dialogue<'a>(
    dialogue: &Dialogue,
    row: &Value<'a>,
    options: ConversationOptions,
    untaken: &mut UntakenColumns,
) -> RowResult<Conversation<'a>> {
    let turns = row.at(&dialogue.turns).ok_or_else(|| missing(&dialogue.turns, row))?;
    let parsed = parsed(&dialogue.turns, &turns)?;
    let Value::List(turns) = parsed.as_ref().unwrap_or(&turns) else {
        return Err(wrong(&dialogue.turns, &turns, "a list"));
    };
    let mut messages = Vec::with_capacity(turns.len() + 1);
    if let Some(system) = system(dialogue.system.as_deref(), row) {
        messages.push(message("system", system));
    }
    for (index, turn) in turns.iter().enumerate() {
        messages.extend(spelled(index, turn, dialogue, untaken)?);
    }
    if messages.is_empty() {
        return Err(RefusedRow::new("empty_text", format!("`{}` is empty", dialogue.turns)));
    }
    let mut conversation = conversation(&with_beside(row, vec![list("messages", messages)]), options)?;
    conversation.changes.strings_parsed += u64::from(parsed.is_some());
    Ok(conversation)
}

/// What a string holds as JSON; none where it is no string.
fn parsed<'a>(path: &str, value: &Value<'a>) -> RowResult<Option<Value<'a>>> {
    let Value::Text(text) = value else { return Ok(None) };
    let plain = text.plain();
    let parsed = json::parse(&plain, &|_| true).map_err(|invalid| {
        let detail = format!("`{path}` is a string that is no JSON: {} at byte {}", invalid.what, invalid.at);
        RefusedRow::new("bad_conversation", detail)
    })?;
    Ok(Some(parsed.into_owned()))
}

/// A turn by the usual names; none where it says nothing and has nothing else.
fn spelled<'a>(
    index: usize,
    turn: &Value<'a>,
    dialogue: &Dialogue,
    untaken: &mut UntakenColumns,
) -> RowResult<Option<Value<'a>>> {
    let fields = match turn {
        Value::Text(text) => return Ok(Some(message(alternating(index), text.clone()))),
        Value::Map(fields) => fields.as_slice(),
        _ => &[],
    };
    let speaker = text_at(turn, &dialogue.role)?;
    let plain = speaker.plain();
    let Some(role) = SPEAKERS.into_iter().find(|known| plain.trim().eq_ignore_ascii_case(known)) else {
        return Err(RefusedRow::new("unknown_role", plain.into_owned()));
    };
    let mut spelled: Fields<'a> = Vec::with_capacity(fields.len().max(2));
    spelled.push(text_field("role", Text::Plain(Cow::Borrowed(role))));
    let content = turn.at(&dialogue.content);
    match content.as_deref() {
        None | Some(Value::Null) => {}
        Some(value) => spelled.push((Cow::Borrowed("content"), as_text(value))),
    }
    let taken = [first_name(&dialogue.role), first_name(&dialogue.content)];
    for (name, value) in fields.iter().filter(|(name, _)| !taken.contains(&&**name)) {
        if ["role", "from", "content", "value"].contains(&&**name) {
            // Nothing says which of two counts but the catalogue.
            untaken.add(&format!("{}.{name}", dialogue.turns));
        } else if *value != Value::Null {
            spelled.push((name.clone(), value.clone()));
        }
    }
    match (spelled.len(), content) {
        (1, None) => Err(missing(&dialogue.content, turn)),
        // A turn that has nothing but who speaks.
        (1, Some(_)) => Ok(None),
        _ => Ok(Some(Value::Map(spelled))),
    }
}

/// Who speaks in turns that the catalogue describes: a word that is not here shows that it describes other turns.
const SPEAKERS: [&str; 17] = [
    "system",
    "developer",
    "user",
    "human",
    "prompter",
    "assistant",
    "gpt",
    "chatgpt",
    "bing",
    "bard",
    "model",
    "bot",
    "tool",
    "function",
    "observation",
    "environment",
    "ipython",
];

/// The conversation of what a user says and an assistant answers.
pub(super) fn of_exchange<'a>(
    exchange: &Exchange,
    row: &Value<'a>,
    options: ConversationOptions,
) -> RowResult<Conversation<'a>> {
    let system = system(exchange.system.as_deref(), row);
    if let Some(fields) = lists_of_messages(exchange, row) {
        let system = system.map(|system| text_field("system", system));
        return conversation(&with_beside(row, fields.into_iter().chain(system).collect()), options);
    }
    let mut parts = Vec::new();
    for (index, path) in exchange.user.iter().enumerate() {
        let text = match row.at(path).and_then(|value| value.text()) {
            Some(text) => text,
            // What stands first is what is asked; the others are often left out.
            None if index == 0 => return Err(missing(path, row)),
            None => continue,
        };
        if !text.is_blank() {
            parts.push(text);
        }
    }
    let answer = answer(exchange, row)?;
    let user = match &parts[..] {
        [] => return Err(RefusedRow::new("empty_text", "there is nothing that the user says")),
        [one] => one.clone(),
        parts => {
            let parts: Vec<_> = parts.iter().map(Text::plain).collect();
            Text::Plain(Cow::Owned(parts.join("\n\n")))
        }
    };
    let mut messages: Vec<_> = system.map(|system| message("system", system)).into_iter().collect();
    messages.extend([message("user", user), message("assistant", answer)]);
    conversation(&with_beside(row, vec![list("messages", messages)]), options)
}

fn answer<'a>(exchange: &Exchange, row: &Value<'a>) -> RowResult<Text<'a>> {
    let path = &exchange.assistant;
    let answer = row.at(path).ok_or_else(|| missing(path, row))?;
    if !exchange.assistant_is_json {
        return first_text(&answer).ok_or_else(|| no_answer(path));
    }
    let text = answer.text().ok_or_else(|| wrong(path, &answer, "JSON in a string"))?;
    let plain = text.plain();
    let inner = json::parse(&plain, &|_| true)
        .map_err(|invalid| RefusedRow::new("no_answer", format!("{} in `{path}`", invalid.what)))?;
    let answer = first_text(&inner).ok_or_else(|| no_answer(path))?;
    Ok(Text::Plain(Cow::Owned(answer.plain().into_owned())))
}

/// Prompt and completion where one of them is a list of messages.
fn lists_of_messages<'a>(exchange: &Exchange, row: &Value<'a>) -> Option<Fields<'a>> {
    let [asked] = &exchange.user[..] else { return None };
    let (asked, answered) = (row.at(asked)?, row.at(&exchange.assistant)?);
    (is_messages(&asked) || is_messages(&answered)).then(|| {
        vec![(Cow::Borrowed("prompt"), as_text(&asked)), (Cow::Borrowed("completion"), as_text(&answered))]
    })
}

/// Whether a value is a list of messages.
pub(super) fn is_messages(value: &Value<'_>) -> bool {
    let Value::List(items) = value else { return false };
    let is_message = |item: &Value<'_>| ["role", "from"].iter().any(|name| item.field(name).is_some());
    items.iter().any(is_message)
}

/// The messages of turns that are plain strings, and others as they are.
pub(super) fn with_speakers<'a>(turns: &[Value<'a>]) -> Vec<Value<'a>> {
    let turns = turns.iter().enumerate();
    turns
        .map(|(index, turn)| match turn {
            Value::Text(text) => message(alternating(index), text.clone()),
            other => other.clone(),
        })
        .collect()
}

/// Who speaks in turns that do not say it.
const fn alternating(index: usize) -> &'static str {
    if index.is_multiple_of(2) { "user" } else { "assistant" }
}

/// A message.
pub(super) fn message<'a>(role: &'static str, content: Text<'a>) -> Value<'a> {
    Value::Map(vec![text_field("role", Text::Plain(Cow::Borrowed(role))), text_field("content", content)])
}

/// A number or truth value as a string, and anything else as it is.
pub(super) fn as_text<'a>(value: &Value<'a>) -> Value<'a> {
    value.text().map_or_else(|| value.clone(), Value::Text)
}

fn text_field<'a>(name: &'static str, text: Text<'a>) -> (Cow<'a, str>, Value<'a>) {
    (Cow::Borrowed(name), Value::Text(text))
}

pub(super) fn list<'a>(name: &'static str, items: Vec<Value<'a>>) -> (Cow<'a, str>, Value<'a>) {
    (Cow::Borrowed(name), Value::List(items))
}

fn system<'a>(path: Option<&str>, row: &Value<'a>) -> Option<Text<'a>> {
    row.at(path?)?.text().filter(|text| !text.is_blank())
}

/// A row of these fields, and what of a conversation stands beside its turns in `row`.
fn with_beside<'a>(row: &Value<'a>, mut fields: Fields<'a>) -> Value<'a> {
    for name in BESIDE {
        fields.extend(row.field(name).map(|value| (Cow::Borrowed(name), value.clone())));
    }
    Value::Map(fields)
}
