//! Conversations as templates see them.

use bumpalo::Bump;
use mashbill_jinja as jinja;
use mashbill_jinja::{Dict, OriginMark};
use mashbill_records::conversation::{ChatMessage, Conversation};
use mashbill_records::value::Value;

/// What is said in messages, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Content,
    Reasoning,
    Call,
    /// Whatever else a message has.
    Other,
    /// What a call has besides its function: its id.
    CallBeside,
    /// Who speaks, where that is no plain word.
    Role,
    /// The name of a function that is called, with the number of the call: templates print it again before the answer.
    CallName(u32),
}

/// How many parts of a message have marks of their own. Of more calls the names have that of the last.
const PARTS: u32 = CALL_NAMES + 58;

/// The number of the first of these.
const CALL_NAMES: u32 = 6;

impl Part {
    fn number(self) -> u32 {
        match self {
            Self::Content => 0,
            Self::Reasoning => 1,
            Self::Call => 2,
            Self::Other => 3,
            Self::CallBeside => 4,
            Self::Role => 5,
            Self::CallName(call) => CALL_NAMES.saturating_add(call).min(PARTS - 1),
        }
    }
}

/// Where a text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOrigin {
    /// The template.
    Template,
    /// A message, by its number.
    Message(usize, Part),
    /// Tools and documents.
    Beside,
    /// Arguments of the template that the record has.
    Argument,
}

/// The marks of what stands beside the messages.
const BESIDE: OriginMark = OriginMark(u32::MAX);
const ARGUMENT: OriginMark = OriginMark(u32::MAX - 1);

impl TextOrigin {
    fn mark(self) -> OriginMark {
        match self {
            Self::Template => OriginMark::NONE,
            Self::Beside => BESIDE,
            Self::Argument => ARGUMENT,
            Self::Message(number, part) => {
                // A text for each of so many messages does not fit into memory.
                let number = u32::try_from(number).unwrap_or(u32::MAX).min(u32::MAX / PARTS - 2);
                OriginMark(1 + PARTS * number + part.number())
            }
        }
    }

    pub(crate) const fn of(mark: OriginMark) -> Self {
        match mark {
            OriginMark::NONE => Self::Template,
            BESIDE => Self::Beside,
            ARGUMENT => Self::Argument,
            OriginMark(mark) => {
                let part = match (mark - 1) % PARTS {
                    0 => Part::Content,
                    1 => Part::Reasoning,
                    2 => Part::Call,
                    3 => Part::Other,
                    4 => Part::CallBeside,
                    5 => Part::Role,
                    call => Part::CallName(call - CALL_NAMES),
                };
                Self::Message(((mark - 1) / PARTS) as usize, part)
            }
        }
    }
}

/// A value as a template sees it, without a mark.
///
/// # Errors
/// None for values of JSON.
pub fn value<'a>(arena: &'a Bump, value: &Value<'a>) -> jinja::Result<jinja::TemplateValue<'a>> {
    marked(arena, value, OriginMark::NONE)
}

/// An argument of the template that the record has.
///
/// # Errors
/// None for values of JSON.
pub(crate) fn argument<'a>(arena: &'a Bump, value: &Value<'a>) -> jinja::Result<jinja::TemplateValue<'a>> {
    marked(arena, value, ARGUMENT)
}

fn marked<'a>(
    arena: &'a Bump,
    value: &Value<'a>,
    mark: OriginMark,
) -> jinja::Result<jinja::TemplateValue<'a>> {
    Ok(match value {
        Value::Null => jinja::TemplateValue::None,
        Value::Bool(value) => jinja::TemplateValue::Bool(*value),
        Value::Number(number) => self::number(arena, number),
        Value::Text(text) => {
            jinja::TemplateValue::Text(jinja::MarkedText::marked(string(arena, &text.plain(), text), mark))
        }
        Value::Bytes(_) => return marked(arena, &value.clone().into_owned(), mark),
        Value::List(items) => {
            let mut all = bumpalo::collections::Vec::with_capacity_in(items.len(), arena);
            for item in items {
                all.push(marked(arena, item, mark)?);
            }
            jinja::TemplateValue::List(all.into_bump_slice())
        }
        Value::Map(fields) => {
            let mut entries = bumpalo::collections::Vec::with_capacity_in(fields.len(), arena);
            for (name, value) in fields {
                let name = jinja::TemplateValue::Text(jinja::MarkedText::marked(arena.alloc_str(name), mark));
                entries.push((name, marked(arena, value, mark)?));
            }
            jinja::TemplateValue::Dict(arena.alloc(Dict::new(arena, entries)?))
        }
    })
}

/// A text in the arena, unless it is borrowed for as long.
fn string<'a>(arena: &'a Bump, plain: &str, text: &mashbill_records::value::Text<'a>) -> &'a str {
    match text {
        mashbill_records::value::Text::Escaped { raw, escapes: 0 } => raw,
        _ => arena.alloc_str(plain),
    }
}

/// A number by how it is spelled.
fn number<'a>(arena: &'a Bump, spelled: &str) -> jinja::TemplateValue<'a> {
    let is_whole = !spelled.contains(['.', 'e', 'E', 'N', 'I']);
    match spelled {
        "NaN" => jinja::TemplateValue::Float(f64::NAN),
        "Infinity" => jinja::TemplateValue::Float(f64::INFINITY),
        "-Infinity" => jinja::TemplateValue::Float(f64::NEG_INFINITY),
        _ if is_whole => match spelled.parse() {
            Ok(value) => jinja::TemplateValue::Int(value),
            Err(_) => jinja::TemplateValue::BigInt(arena.alloc_str(spelled)),
        },
        _ => jinja::TemplateValue::Float(spelled.parse().unwrap_or(f64::NAN)),
    }
}

/// The variables `messages`, `tools` and `documents`.
pub(crate) fn variables<'a>(
    arena: &'a Bump,
    conversation: &Conversation<'a>,
) -> jinja::Result<[(&'a str, jinja::TemplateValue<'a>); 3]> {
    let mut messages = bumpalo::collections::Vec::with_capacity_in(conversation.messages.len(), arena);
    for (number, message) in conversation.messages.iter().enumerate() {
        messages.push(self::message(arena, number, message)?);
    }
    let list = |list: &Option<Vec<Value<'a>>>| match list {
        Some(items) => marked(arena, &Value::List(items.clone()), BESIDE),
        None => Ok(jinja::TemplateValue::None),
    };
    Ok([
        ("messages", jinja::TemplateValue::List(messages.into_bump_slice())),
        ("tools", list(&conversation.tools)?),
        ("documents", list(&conversation.documents)?),
    ])
}

/// The calls of a message, their names with a mark of their own.
fn calls<'a>(arena: &'a Bump, number: usize, calls: &[Value<'a>]) -> jinja::Result<jinja::TemplateValue<'a>> {
    let field = |name: &str, value: &Value<'a>, part| {
        let value = marked(arena, value, TextOrigin::Message(number, part).mark())?;
        Ok((jinja::TemplateValue::text(arena.alloc_str(name)), value))
    };
    let dict = |entries: Vec<_>| Ok(jinja::TemplateValue::Dict(arena.alloc(Dict::new(arena, entries)?)));
    let mut all = Vec::with_capacity(calls.len());
    for (call, value) in calls.iter().enumerate() {
        let call = u32::try_from(call).unwrap_or(PARTS).min(PARTS);
        let Value::Map(fields) = value else { continue };
        let mut entries = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            let Value::Map(function) = value else {
                entries.push(field(name, value, Part::CallBeside)?);
                continue;
            };
            let inner: Vec<_> = function
                .iter()
                .map(|(name, value)| {
                    field(name, value, if name == "name" { Part::CallName(call) } else { Part::Call })
                })
                .collect::<jinja::Result<_>>()?;
            entries.push((jinja::TemplateValue::text(arena.alloc_str(name)), dict(inner)?));
        }
        all.push(dict(entries)?);
    }
    Ok(jinja::TemplateValue::List(arena.alloc_slice_copy(&all)))
}

fn message<'a>(
    arena: &'a Bump,
    number: usize,
    message: &ChatMessage<'a>,
) -> jinja::Result<jinja::TemplateValue<'a>> {
    let name = |name: &str| jinja::TemplateValue::text(arena.alloc_str(name));
    let mut entries = bumpalo::collections::Vec::with_capacity_in(message.fields.len() + 2, arena);
    let mut reasoning = None;
    for (field, value) in &message.fields {
        let part = match &**field {
            "content" => Part::Content,
            "reasoning_content" => Part::Reasoning,
            "tool_calls" => Part::Call,
            _ => Part::Other,
        };
        let value = match (part, value) {
            (Part::Call, Value::List(calls)) => self::calls(arena, number, calls)?,
            _ => marked(arena, value, TextOrigin::Message(number, part).mark())?,
        };
        if part == Part::Reasoning {
            reasoning = Some(value);
        }
        entries.push((name(field), value));
    }
    let mut all = bumpalo::collections::Vec::with_capacity_in(entries.len() + 3, arena);
    // Templates read it by either of these names.
    for name in ["thinking", "reasoning"] {
        all.extend(reasoning.map(|value| (jinja::TemplateValue::text(name), value)));
    }
    let role = arena.alloc_str(&message.role);
    // A plain word can spell no control token, but templates make such of it: `<|user|>`.
    let is_plain =
        role.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '));
    let mark = if is_plain { OriginMark::NONE } else { TextOrigin::Message(number, Part::Role).mark() };
    let role = jinja::TemplateValue::Text(jinja::MarkedText::marked(role, mark));
    all.push((jinja::TemplateValue::text("role"), role));
    all.extend(entries);
    Ok(jinja::TemplateValue::Dict(arena.alloc(Dict::new(arena, all)?)))
}
