//! What a chat template makes of records of the usual kinds, without a run and without a tokenizer.

use mashbill_chat::{ChatError, ChatScratch, ChatTemplate, ExampleChat};
use mashbill_format::chat::{LossOn, TemplateIdentity};
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;

use crate::error::{Error, Result};
use crate::template::options_without_tokenizer;

/// What was tried with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What the record has besides questions and answers.
    pub what: &'static str,
    /// What the template made of it.
    pub outcome: Probed,
}

/// What a template made of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probed {
    /// It is in the text.
    Rendered,
    /// The text leaves it out.
    LeftOut,
    /// It refuses such records, and says this.
    Refused(String),
}

/// A longer text no template makes of these records.
const PROBE_BYTES_MAX: usize = 1 << 20;

/// What records have, and what of it has to be in the text.
const RECORDS: [(&str, &str, &str); 4] = [
    (
        "system messages",
        r#"{"messages": [{"role": "system", "content": "oysterprompt"}, {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"}]}"#,
        "oysterprompt",
    ),
    (
        "tools",
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            "tools": [{"type": "function", "function": {"name": "oystertool", "description": "c",
            "parameters": {"type": "object", "properties": {"d": {"type": "string", "description": "e"}}, "required": ["d"]}}}]}"#,
        "oystertool",
    ),
    (
        "tool calls",
        r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [
            {"type": "function", "id": "call00001", "function": {"name": "f", "arguments": {"d": "oystercall"}}}]},
            {"role": "tool", "name": "f", "tool_call_id": "call00001", "content": "e"},
            {"role": "assistant", "content": "b"}], "tools": [{"type": "function", "function": {"name": "f",
            "description": "c", "parameters": {"type": "object", "properties": {"d": {"type": "string", "description": "e"}},
            "required": ["d"]}}}]}"#,
        "oystercall",
    ),
    (
        "reasoning",
        r#"{"messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", "reasoning_content": "oysterthought"}]}"#,
        "oysterthought",
    ),
];

/// A small conversation as the template renders it; none where it refuses such ones.
///
/// # Errors
/// [`Error::Template`] where it cannot be read.
pub fn example(template: &TemplateIdentity) -> Result<Option<ExampleChat>> {
    let read = ChatTemplate::new(&template.text, options_without_tokenizer(template))
        .map_err(|source| Error::Template { name: template.name.clone(), source })?;
    Ok(read.example())
}

/// Tries a template with records of the usual kinds.
///
/// # Errors
/// [`Error::Template`] where it cannot be read.
pub fn probes(template: &TemplateIdentity) -> Result<Vec<Probe>> {
    // What is asked is whether there is a text, not what of it is learned.
    let options = mashbill_chat::ChatOptions { loss_on: LossOn::All, ..options_without_tokenizer(template) };
    let read = |text: &str| {
        ChatTemplate::new(text, options.clone())
            .map_err(|source| Error::Template { name: template.name.clone(), source })
    };
    let usual = read(&template.text)?;
    let with_tools = template.text_with_tools.as_deref().map(read).transpose()?;
    let mut scratch = ChatScratch::default();
    let each = RECORDS.map(|(what, record, wanted)| {
        let record = json::parse(record, &|_| true).expect("it is JSON");
        let conversation = Conversation::of(&record, ConversationOptions::default());
        let conversation = conversation.ok().flatten().expect("it is a conversation");
        let template = with_tools.as_ref().filter(|_| conversation.tools.is_some()).unwrap_or(&usual);
        let outcome = match template.render(&conversation, PROBE_BYTES_MAX, &mut scratch) {
            Ok(chat) if chat.text.contains(wanted) => Probed::Rendered,
            Ok(_) | Err(ChatError::NothingToLearn(_)) => Probed::LeftOut,
            Err(error) => Probed::Refused(error.to_string()),
        };
        Probe { what, outcome }
    });
    Ok(each.into())
}
