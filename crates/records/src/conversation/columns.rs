//! Messages made of columns: what is asked in some, what is answered in others.

use std::borrow::Cow;

use super::{ChatMessage, Reader, Result, bad, there};
use crate::record::{Reason, Refusal};
use crate::value::{Text, Value};

/// Columns with what is asked, and with the answer: the first pair that a record has counts.
pub const PAIRS: [(&[&str], &str); 9] = [
    (&["prompt"], "completion"),
    (&["prompt"], "response"),
    (&["instruction", "input", "context"], "output"),
    (&["instruction", "input", "context"], "response"),
    (&["question", "context"], "response"),
    (&["question", "context"], "answer"),
    (&["question", "context"], "answers"),
    (&["problem"], "solution"),
    (&["query"], "response"),
];

/// The column with what was said before.
const HISTORY: &str = "history";

impl Reader {
    /// The messages that columns of a record are; none where it has none of those.
    pub(super) fn columns<'a>(&mut self, record: &Value<'a>) -> Result<Option<Vec<ChatMessage<'a>>>> {
        let found = PAIRS
            .iter()
            .find(|(asked, answered)| there(record, asked[0]).is_some() && there(record, answered).is_some());
        let Some((asked, answered)) = found else { return Ok(None) };
        let mut messages = self.history(record)?;
        match there(record, asked[0]) {
            Some(value @ Value::List(_)) => messages.extend(self.list_of_messages(asked[0], value, false)?),
            _ => {
                self.changes.made_of_columns += 1;
                messages.push(ChatMessage::of("user", asked_text(record, asked)?));
            }
        }
        match there(record, answered) {
            Some(value @ Value::List(items)) if items.iter().any(|item| matches!(item, Value::Map(_))) => {
                messages.extend(self.list_of_messages(answered, value, true)?);
            }
            Some(value) => {
                let answer = first_text(value).ok_or_else(|| no_text(answered, value))?;
                self.changes.made_of_columns += 1;
                self.changes.answers_left_out += texts_of(value) - 1;
                messages.push(ChatMessage { is_completion: true, ..ChatMessage::of("assistant", answer) });
            }
            None => {}
        }
        self.put_system(record, &mut messages)?;
        Ok(Some(messages))
    }

    /// What was said before: questions with their answers.
    fn history<'a>(&mut self, record: &Value<'a>) -> Result<Vec<ChatMessage<'a>>> {
        let Some(value) = there(record, HISTORY) else { return Ok(Vec::new()) };
        let parsed = match value {
            Value::Text(text) if text.is_blank() => return Ok(Vec::new()),
            _ => self.parsed(HISTORY, value)?,
        };
        let Value::List(exchanges) = parsed.as_ref().unwrap_or(value) else {
            return Err(bad(HISTORY, value, "a list of questions with answers"));
        };
        let mut messages = Vec::with_capacity(2 * exchanges.len());
        for (number, exchange) in exchanges.iter().enumerate() {
            let said = match exchange {
                Value::List(said) => &said[..],
                _ => &[],
            };
            let [Value::Text(asked), Value::Text(answered)] = said else {
                let detail = format!(
                    "exchange {number} of `{HISTORY}` is not two strings, what was asked and answered"
                );
                return Err(Refusal::new(Reason::BadConversation, detail));
            };
            self.changes.made_of_columns += 2;
            messages.push(ChatMessage::of("user", asked.clone()));
            messages.push(ChatMessage::of("assistant", answered.clone()));
        }
        Ok(messages)
    }

    /// Marks the messages behind the first `prompt_messages` as the completion: where a record that had two columns has its
    /// messages in one list, this says where the second began.
    pub(super) fn mark_completion(record: &Value<'_>, messages: &mut [ChatMessage<'_>]) -> Result<()> {
        let Some(value) = there(record, "prompt_messages") else { return Ok(()) };
        let number = match value {
            // Whole numbers become floats where a column has nulls.
            Value::Number(number) => number.strip_suffix(".0").unwrap_or(number).parse::<usize>().ok(),
            _ => return Err(bad("prompt_messages", value, "a number")),
        };
        let number = number.filter(|number| *number <= messages.len()).ok_or_else(|| {
            let detail = format!("`prompt_messages` is no number of messages from 0 to {}", messages.len());
            Refusal::new(Reason::BadConversation, detail)
        })?;
        messages[number..].iter_mut().for_each(|message| message.is_completion = true);
        Ok(())
    }
}

/// What is asked: columns that are not blank, with a blank line between two.
fn asked_text<'a>(record: &Value<'a>, columns: &[&str]) -> Result<Text<'a>> {
    let mut texts = Vec::new();
    for column in columns {
        let Some(value) = there(record, column) else { continue };
        let Value::Text(text) = value else { return Err(bad(column, value, "a string")) };
        if !text.is_blank() {
            texts.push(text.clone());
        }
    }
    match &texts[..] {
        [] => Err(empty(columns[0])),
        [one] => Ok(one.clone()),
        _ => {
            let texts: Vec<Cow<'_, str>> = texts.iter().map(Text::plain).collect();
            Ok(Text::Plain(Cow::Owned(texts.join("\n\n"))))
        }
    }
}

fn empty(field: &str) -> Refusal {
    Refusal::new(Reason::BadConversation, format!("`{field}` is empty"))
}

/// The refusal of an answer that has no text.
fn no_text(field: &str, value: &Value<'_>) -> Refusal {
    match value {
        Value::Text(_) => empty(field),
        Value::List(items) if items.is_empty() => empty(field),
        _ => bad(field, value, "a string or a list of messages"),
    }
}

/// How many texts there are of which [`first_text`] is the first.
fn texts_of(value: &Value<'_>) -> u64 {
    match value {
        Value::List(items) => items.iter().map(texts_of).sum(),
        Value::Map(_) => value.field("text").map_or(0, texts_of),
        Value::Text(text) => u64::from(!text.is_blank()),
        _ => 0,
    }
}

/// The text of a value, or the first one in a list or in its field `text` that is not blank.
fn first_text<'a>(value: &Value<'a>) -> Option<Text<'a>> {
    match value {
        Value::List(items) => items.iter().find_map(first_text),
        Value::Map(_) => first_text(value.field("text")?),
        Value::Text(text) => Some(text.clone()).filter(|text| !text.is_blank()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Conversation, ConversationOptions};
    use crate::json;

    #[test]
    fn where_the_completion_begins_may_be_said() {
        let completion = |mark: &str| {
            let record = format!(
                r#"{{"messages": [{{"role": "user", "content": "a"}}, {{"role": "assistant", "content": "b"}}],
                    "system": "s", "prompt_messages": {mark}}}"#
            );
            let record = json::parse(&record, &|_| true).expect("JSON");
            let found = Conversation::of(&record, ConversationOptions::default());
            let conversation = found.map_err(|refusal| refusal.reason.name())?.expect("one");
            Ok(conversation.messages.iter().filter(|message| message.is_completion).count())
        };
        for (mark, expected) in [("0", 2), ("1", 1), ("1.0", 1), ("2", 0), ("null", 0)] {
            assert_eq!(completion(mark), Ok(expected), "{mark}");
        }
        for mark in ["3", "-1", "0.5", "\"1\"", "true"] {
            assert_eq!(completion(mark), Err("bad_conversation"), "{mark}");
        }
    }
}
