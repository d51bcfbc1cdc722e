//! One message.

use std::borrow::Cow;

use super::{ChatMessage, Reader, Result, bad, check_names};
use crate::record::{Reason, Refusal};
use crate::value::{Text, Value};

/// Names of roles, those in data of older tools among them, and what they mean.
const ROLES: [(&str, &str); 16] = [
    ("system", "system"),
    ("developer", "developer"),
    ("user", "user"),
    ("assistant", "assistant"),
    ("tool", "tool"),
    ("function", "function"),
    ("human", "user"),
    ("prompter", "user"),
    ("gpt", "assistant"),
    ("chatgpt", "assistant"),
    ("bing", "assistant"),
    ("bard", "assistant"),
    ("bot", "assistant"),
    ("model", "assistant"),
    ("ai", "assistant"),
    ("observation", "tool"),
];

/// Other names for what the template gets as `reasoning_content`.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// Fields that say whether a message, or a part of its content, is learned.
const LOSS: [&str; 4] = ["weight", "train", "loss_mask", "loss"];

/// Roles of messages that are a call, as JSON in a string.
const CALLING: [&str; 2] = ["function_call", "tool_call"];

impl Reader {
    pub(super) fn message<'a>(&mut self, item: &Value<'a>, is_completion: bool) -> Result<ChatMessage<'a>> {
        let Value::Map(fields) = item else {
            return Err(Refusal::new(
                Reason::BadConversation,
                format!("it is {}, not an object", item.kind()),
            ));
        };
        check_names(item)?;
        let mut message =
            ChatMessage { role: Cow::Borrowed(""), fields: Vec::new(), loss: None, is_completion };
        let mut role = None;
        // As `apply_chat_template` does: templates take a field that is not there better than one that is null.
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
                    put_calls(&mut message, calls)?;
                }
                "function_call" => {
                    let call = self.call(value)?;
                    put_calls(&mut message, vec![call])?;
                }
                name if REASONING.contains(&name) => {
                    self.changes.fields_renamed += u64::from(name != REASONING[0]);
                    reasoning(&mut message, value)?;
                }
                name if LOSS.contains(&name) => {
                    self.changes.fields_renamed += u64::from(name != LOSS[0]);
                    put_loss(&mut message, name, value)?;
                }
                "train_detail" | "training_detail" => {
                    let detail = format!("`{name}` wants a loss on parts of a message");
                    return Err(Refusal::new(Reason::BadWeight, detail));
                }
                _ => message.fields.push((name.clone(), self.without_nulls(value))),
            }
        }
        let Some(role) = role else {
            return Err(Refusal::new(Reason::BadConversation, "nobody speaks: no `role` and no `from`"));
        };
        message.role = role;
        self.unfold_call(&mut message)?;
        // What else there is may be for a template that knows it.
        let is_said = message.fields.iter().any(|(name, _)| !matches!(&**name, "content" | "name"));
        match message.field("content") {
            None if is_said => Ok(message),
            None => Err(Refusal::new(Reason::BadConversation, "nothing is said: it has no `content`")),
            // What a tool answers is often an object.
            Some(content) if !matches!(content, Value::Text(_)) && message.role != "tool" => {
                Err(bad("content", content, "a string or a list of texts"))
            }
            Some(_) => Ok(message),
        }
    }

    /// Makes a message whose role says that it is a call one that calls.
    fn unfold_call(&mut self, message: &mut ChatMessage<'_>) -> Result<()> {
        if !CALLING.contains(&&*message.role) {
            return Ok(());
        }
        let at = message.fields.iter().position(|(name, _)| name == "content");
        let content = at.map_or(Value::Null, |at| message.fields.remove(at).1);
        let calls = match self.parsed("value", &content)? {
            Some(calls @ Value::List(_)) => calls,
            Some(call @ Value::Map(_)) => Value::List(vec![call]),
            _ => return Err(Refusal::new(Reason::BadTools, format!("a `{}` that is no call", message.role))),
        };
        let calls = self.calls(&calls)?;
        put_calls(message, calls)?;
        self.changes.roles_renamed += 1;
        message.role = Cow::Borrowed("assistant");
        Ok(())
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
            put_loss_of_parts(message, parts)?;
        }
        let value = self.content(name, value)?;
        message.fields.push((Cow::Borrowed("content"), value));
        Ok(())
    }

    fn role<'a>(&mut self, value: &Value<'a>) -> Result<Cow<'a, str>> {
        let Value::Text(text) = value else { return Err(bad("role", value, "a string")) };
        let role = text.plain();
        let known = ROLES.iter().find(|(other, _)| role.trim().eq_ignore_ascii_case(other));
        if let Some((_, known)) = known {
            self.changes.roles_renamed += u64::from(*known != role);
            return Ok(Cow::Borrowed(known));
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
            let detail = format!("a part of `{name}` is of the type `{kind}`, not a text");
            Err(Refusal::new(Reason::NotText, detail))
        }
    }
}

/// Puts the calls of a message, which stand in one field.
fn put_calls<'a>(message: &mut ChatMessage<'a>, calls: Vec<Value<'a>>) -> Result<()> {
    if message.field("tool_calls").is_some() {
        return Err(Refusal::new(Reason::FieldTwice, "`tool_calls` and `function_call` are both there"));
    }
    message.fields.push((Cow::Borrowed("tool_calls"), Value::List(calls)));
    Ok(())
}

/// Puts what the parts of a content say about the loss: all of them the same, or none anything.
fn put_loss_of_parts(message: &mut ChatMessage<'_>, parts: &[Value<'_>]) -> Result<()> {
    let mut flagged = 0;
    for part in parts {
        let given = |flag| Some((flag, part.field(flag).filter(|value| **value != Value::Null)?));
        let flags: Vec<_> = LOSS.into_iter().filter_map(given).collect();
        flags.iter().try_for_each(|(flag, value)| put_loss(message, flag, value))?;
        flagged += usize::from(!flags.is_empty());
    }
    if flagged > 0 && flagged < parts.len() {
        let detail = "only some parts of its content say whether they are learned";
        return Err(Refusal::new(Reason::BadWeight, detail));
    }
    Ok(())
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
            let detail = "two of `reasoning_content`, `thinking` and `reasoning` differ";
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
        Refusal::new(Reason::BadWeight, format!("`{name}` is {shown}, not 0 or 1"))
    })
}
