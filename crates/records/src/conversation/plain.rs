//! A conversation as plain text, for whoever trains without a template: one rule.
//!
//! ```text
//! Tools: {"type": "function", "function": {"name": "weather", …}}
//!
//! Context: {"title": "Birds", "text": "…"}
//!
//! System: Be brief.
//!
//! User: Does it rain in Bern?
//!
//! Assistant: The user asks for the weather.
//! I look it up.
//! {"name": "weather", "arguments": {"city": "Bern"}}
//!
//! Tool: rain
//!
//! Assistant: It rains.
//! ```
//!
//! - Parts have a blank line between them: the tools, the documents (`Context`), then the messages, in their order. A message
//!   that has nothing to say is no part.
//! - A part begins with who speaks: `System` (also `developer`), `User`, `Assistant`, `Tool` (also `function`, `environment`,
//!   `ipython`); any other role by its own name, the first letter large.
//! - Within a message stand its reasoning, its content and its calls, a line's end between two. Reasoning or content that is blank
//!   is left out where another of them is there.
//! - A call is its name and its arguments as JSON on a line of its own, and so is a tool and a document; a content that is no string, number
//!   or truth value is JSON, too.
//!
//! Words are never changed or trimmed. What else a message has (`weight`, `name`, `tool_call_id`) is not in the text.

use std::borrow::Cow;

use super::{ChatMessage, Conversation};
use crate::value::{Text, Value};

/// A piece of a conversation's plain text.
#[derive(Debug, Clone, Copy)]
pub enum PlainPiece<'p, 'a> {
    /// Words of the rule: who speaks, and what stands between parts.
    Label(&'p str),
    /// Words of the record.
    Said(&'p Text<'a>),
}

impl Conversation<'_> {
    /// Appends the conversation as plain text.
    pub fn write_plain(&self, out: &mut String) {
        self.plain_pieces(&mut |piece| match piece {
            PlainPiece::Label(label) => out.push_str(label),
            PlainPiece::Said(text) => out.push_str(&text.plain()),
        });
    }

    /// Hands the plain text to `put`, piece by piece: strings as the record spells them, so that who writes them as JSON needs to
    /// unescape none.
    pub fn plain_pieces(&self, put: &mut dyn FnMut(PlainPiece<'_, '_>)) {
        let mut is_first = true;
        let mut begin = |label: &str, put: &mut dyn FnMut(PlainPiece<'_, '_>)| {
            if !is_first {
                put(PlainPiece::Label("\n\n"));
            }
            is_first = false;
            if !label.is_empty() {
                put(PlainPiece::Label(label));
                put(PlainPiece::Label(": "));
            }
        };
        for (label, list) in [("Tools", &self.tools), ("Context", &self.documents)] {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                begin(label, put);
                put_lines(list.iter().map(json_text), put);
            }
        }
        for message in &self.messages {
            let said = message.said();
            if !said.is_empty() {
                begin(&label(&message.role), put);
                put_lines(said.into_iter(), put);
            }
        }
    }
}

impl ChatMessage<'_> {
    /// What the message has to say, a line or more each: reasoning, content, calls.
    fn said(&self) -> Vec<Text<'_>> {
        let of = |name| self.field(name).and_then(said_text);
        let mut said: Vec<Text<'_>> =
            [of("reasoning_content"), of("content")].into_iter().flatten().collect();
        if let Some(Value::List(calls)) = self.field("tool_calls") {
            said.extend(calls.iter().map(call_text));
        }
        if said.iter().any(|text| !text.is_blank()) {
            said.retain(|text| !text.is_blank());
        } else {
            // Of nothing but blanks the content's are the ones that are said.
            said = of("content").or_else(|| of("reasoning_content")).into_iter().collect();
        }
        said
    }
}

fn put_lines<'t>(texts: impl Iterator<Item = Text<'t>>, put: &mut dyn FnMut(PlainPiece<'_, '_>)) {
    for (number, text) in texts.enumerate() {
        if number > 0 {
            put(PlainPiece::Label("\n"));
        }
        put(PlainPiece::Said(&text));
    }
}

/// Who speaks, as the text names them.
fn label(role: &str) -> Cow<'_, str> {
    let role = role.trim();
    Cow::Borrowed(match role.to_ascii_lowercase().as_str() {
        "system" | "developer" => "System",
        "user" => "User",
        "assistant" => "Assistant",
        "tool" | "function" | "environment" | "ipython" => "Tool",
        _ => {
            let mut letters = role.chars();
            return letters
                .next()
                .map_or(Cow::Borrowed(""), |first| first.to_uppercase().chain(letters).collect());
        }
    })
}

fn said_text<'t>(value: &'t Value<'_>) -> Option<Text<'t>> {
    match value {
        Value::Null => None,
        _ => Some(value.text().unwrap_or_else(|| json_text(value))),
    }
}

/// A call: name and arguments.
fn call_text<'t>(call: &Value<'_>) -> Text<'t> {
    let Some(Value::Map(function)) = call.field("function") else { return json_text(call) };
    let shown = function.iter().filter(|(name, _)| matches!(&**name, "name" | "arguments" | "parameters"));
    json_text(&Value::Map(shown.cloned().collect()))
}

fn json_text<'t>(value: &Value<'_>) -> Text<'t> {
    let mut json = Vec::new();
    value.write(&mut json);
    Text::Plain(Cow::Owned(String::from_utf8(json).expect("values are written as UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::super::ConversationOptions;
    use super::*;
    use crate::json;

    fn plain(record: &str) -> String {
        let record = json::parse(record, &|_| true).expect("JSON");
        let conversation = Conversation::of(&record, ConversationOptions::default());
        let mut text = String::new();
        conversation.expect("understood").expect("a conversation").write_plain(&mut text);
        text
    }

    #[test]
    fn everything_that_is_said_has_its_place() {
        let record = r#"{"tools": [{"name": "weather", "x": null}, {"name": "b"}], "documents": [{"text": "one\ntwo"}],
            "messages": [
            {"role": "system", "content": "Be \"brief\"."}, {"role": "user", "content": " Rain?\n"},
            {"role": "assistant", "reasoning": "They ask.", "content": "I look.", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Z\\u00fcrich\"}"}},
                {"name": "b", "arguments": {}}]},
            {"role": "tool", "tool_call_id": "1", "content": {"rain": true}},
            {"role": "assistant", "content": null, "tool_calls": [{"name": "c", "arguments": {"n": 1.0}}]},
            {"role": "ipython", "content": "7"}, {"role": "assistant", "content": "It rains.", "weight": 0}]}"#;
        let expected = "Tools: {\"name\": \"weather\", \"x\": null}\n{\"name\": \"b\"}\n\n\
            Context: {\"text\": \"one\\ntwo\"}\n\n\
            System: Be \"brief\".\n\nUser:  Rain?\n\n\n\
            Assistant: They ask.\nI look.\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Zürich\"}}\n\
            {\"name\": \"b\", \"arguments\": {}}\n\n\
            Tool: {\"rain\": true}\n\nAssistant: {\"name\": \"c\", \"arguments\": {\"n\": 1.0}}\n\n\
            Tool: 7\n\nAssistant: It rains.";
        assert_eq!(plain(record), expected);
    }

    #[test]
    fn who_speaks_has_a_name() {
        let one = |role: &str| plain(&format!(r#"{{"messages": [{{"role": "{role}", "content": "x"}}]}}"#));
        for (role, expected) in [
            ("developer", "System: x"),
            ("human", "User: x"),
            ("USER ", "User: x"),
            ("gpt", "Assistant: x"),
            ("function", "Tool: x"),
            ("critic", "Critic: x"),
            ("élève", "Élève: x"),
            ("", "x"),
        ] {
            assert_eq!(one(role), expected, "{role}");
        }
        let blank = r#"{"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": " ", "thinking": "t"},
            {"role": "assistant", "content": " ", "thinking": ""}]}"#;
        assert_eq!(plain(blank), "User: \n\nAssistant: t\n\nAssistant:  ");
    }

    #[test]
    fn columns_become_a_dialogue() {
        let record = r#"{"system_prompt": "s", "question": "q", "response": "r"}"#;
        assert_eq!(plain(record), "System: s\n\nUser: q\n\nAssistant: r");
        let record = r#"{"prompt": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
            "completion": [{"role": "assistant", "content": "c"}]}"#;
        assert_eq!(plain(record), "User: ab\n\nAssistant: c");
    }
}
