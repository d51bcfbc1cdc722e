//! One message.

use std::borrow::Cow;

use super::{ChatMessage, Reader, Result, bad, check_names};
use crate::record::{Reason, Refusal};
use crate::value::{Text, Value};

/// Names of roles in data of older tools, and what they mean.
const ROLES: [(&str, &str); 9] = [
    ("human", "user"),
    ("prompter", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bing", "assistant"),
    ("bard", "assistant"),
    ("bot", "assistant"),
    ("model", "assistant"),
    ("observation", "tool"),
];

/// Other names for what the template gets as `reasoning_content`.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Fields that say whether a message, or a part of its content, is learned.
const LOSS: [&str; 3] = ["weight", "train", "loss_mask"];

impl Reader {
    pub(super) fn message<'a>(&mut self, item: &Value<'a>, is_completion: bool) -> Result<ChatMessage<'a>> {
        let Value::Map(fields) = item else {
            return Err(bad("message", item, "an object"));
        };
        check_names(item)?;
        let mut message =
            ChatMessage { role: Cow::Borrowed(""), fields: Vec::new(), loss: None, is_completion };
        let mut role = None;
        for (name, value) in fields.iter().filter(|(_, value)| *value != Value::Null) {
            match name.as_ref() {
                "role" | "from" => {
                    let given = self.role(value)?;
                    if role.replace(given.clone()).is_some_and(|before| before != given) {
                        let detail = "`role` and `from` say that two speak".to_owned();
                        return Err(Refusal::new(Reason::FieldTwice, detail));
                    }
                }
                "content" | "value" => self.put_content(&mut message, name, value)?,
                "tool_calls" => {
                    let calls = self.calls(value)?;
                    if !calls.is_empty() {
                        message.fields.push((Cow::Borrowed("tool_calls"), Value::List(calls)));
                    }
                }
                name if REASONING.contains(&name) => reasoning(&mut message, value)?,
                name if LOSS.contains(&name) => put_loss(&mut message, name, value)?,
                "train_detail" | "training_detail" => {
                    let detail = format!("`{name}` wants a loss on parts of a message");
                    return Err(Refusal::new(Reason::BadWeight, detail));
                }
                _ => message.fields.push((name.clone(), value.clone())),
            }
        }
        let Some(role) = role else {
            return Err(Refusal::new(Reason::BadConversation, "nobody speaks: no `role` and no `from`"));
        };
        message.role = role;
        match message.field("content") {
            // What a tool answers is often an object.
            Some(content) if !matches!(content, Value::Text(_)) && message.role != "tool" => {
                Err(bad("content", content, "a string or a list of texts"))
            }
            _ => Ok(message),
        }
    }

    fn put_content<'a>(
        &mut self,
        message: &mut ChatMessage<'a>,
        name: &str,
        value: &Value<'a>,
    ) -> Result<()> {
        if message.field("content").is_some() {
            return Err(Refusal::new(Reason::FieldTwice, "`content` and `value` are both there"));
        }
        if let Value::List(parts) = value {
            let flags = parts.iter().flat_map(|part| LOSS.map(|flag| (flag, part.field(flag))));
            for (flag, value) in flags {
                let given = value.filter(|value| **value != Value::Null);
                given.map_or(Ok(()), |value| put_loss(message, flag, value))?;
            }
        }
        let value = self.content(name, value)?;
        message.fields.push((Cow::Borrowed("content"), value));
        Ok(())
    }

    fn role<'a>(&mut self, value: &Value<'a>) -> Result<Cow<'a, str>> {
        let Value::Text(text) = value else { return Err(bad("role", value, "a string")) };
        let role = text.plain();
        let known = ROLES.iter().find(|(other, _)| role.trim().eq_ignore_ascii_case(other));
        if let Some((_, role)) = known {
            self.changes.roles_renamed += 1;
            return Ok(Cow::Borrowed(role));
        }
        Ok(Cow::Owned(role.into_owned()))
    }

    /// What is said: a string, of a list of texts the texts one after another.
    fn content<'a>(&mut self, name: &str, value: &Value<'a>) -> Result<Value<'a>> {
        let Value::List(parts) = value else { return Ok(value.clone()) };
        self.changes.parts_joined += 1;
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            texts.push(part_text(name, part)?);
        }
        if let [one] = &texts[..] {
            return Ok(Value::Text(one.clone()));
        }
        let joined: String = texts.iter().map(|text| text.plain().into_owned()).collect();
        Ok(Value::Text(Text::Plain(Cow::Owned(joined))))
    }
}

fn part_text<'a>(name: &str, part: &Value<'a>) -> Result<Text<'a>> {
    if let Value::Text(text) = part {
        return Ok(text.clone());
    }
    if !matches!(part, Value::Map(_)) {
        let detail = format!("a part of `{name}` is {}, not a text", part.kind());
        return Err(Refusal::new(Reason::BadConversation, detail));
    }
    let kind = part.field("type").and_then(Value::text);
    let kind = kind.as_ref().map_or(Cow::Borrowed("text"), Text::plain);
    match part.field("text") {
        Some(Value::Text(text)) if kind == "text" => Ok(text.clone()),
        _ if kind == "text" => {
            let detail = format!("a part of `{name}` has no `text` that is a string");
            Err(Refusal::new(Reason::BadConversation, detail))
        }
        _ => {
            let detail = format!("a part of `{name}` is of the type `{}`, not a text", kind.escape_debug());
            Err(Refusal::new(Reason::NotText, detail))
        }
    }
}

/// Puts what a field says about the loss of its message.
fn put_loss(message: &mut ChatMessage<'_>, name: &str, value: &Value<'_>) -> Result<()> {
    let loss = loss(name, value)?;
    if message.loss.is_some_and(|before| before != loss) {
        let detail = format!("`{name}` says otherwise than another field or part of the message");
        return Err(Refusal::new(Reason::BadWeight, detail));
    }
    message.loss = Some(loss);
    Ok(())
}

/// Puts what a message thinks; the same twice is once.
fn reasoning<'a>(message: &mut ChatMessage<'a>, value: &Value<'a>) -> Result<()> {
    let Value::Text(_) = value else { return Err(bad("reasoning_content", value, "a string")) };
    match message.field("reasoning_content") {
        None => message.fields.push((Cow::Borrowed("reasoning_content"), value.clone())),
        Some(before) if before.text().zip(value.text()).is_some_and(|(a, b)| a.plain() == b.plain()) => {}
        Some(_) => {
            let detail = "two of `reasoning_content`, `thinking` and `reasoning`, which differ";
            return Err(Refusal::new(Reason::FieldTwice, detail));
        }
    }
    Ok(())
}

/// What a field says about the loss of its message.
fn loss(name: &str, value: &Value<'_>) -> Result<bool> {
    let flag = match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.parse::<f64>() {
            Ok(0.0) => Some(false),
            Ok(1.0) => Some(true),
            _ => None,
        },
        _ => None,
    };
    flag.ok_or_else(|| {
        let mut shown = Vec::new();
        value.write(&mut shown);
        shown.truncate(40);
        let shown = String::from_utf8_lossy(&shown).into_owned();
        Refusal::new(Reason::BadWeight, format!("`{name}` is {}, not 0 or 1", shown.escape_debug()))
    })
}
