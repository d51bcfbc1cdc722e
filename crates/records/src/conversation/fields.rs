//! The fields of a line that a conversation is made of, and those that label it.

use std::borrow::Cow;

use super::{Conversation, ConversationOptions, FIELDS, Result};
use crate::json;
use crate::record::{LABELS, Reason, Record, Refusal};
use crate::value::Value;

/// A record as far as a conversation and its labels go.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationFields<'a> {
    record: Value<'a>,
}

impl<'a> ConversationFields<'a> {
    /// Reads a line, or a row that stands as one.
    ///
    /// # Errors
    /// A [`Refusal`] where the line is no JSON object, or has one of the fields twice.
    pub fn parse(line: &'a str) -> Result<Self> {
        let wanted = |name: &str| FIELDS.contains(&name) || LABELS.contains(&name);
        let record = json::parse(line, &wanted).or_else(|invalid| match invalid.refusal() {
            // Damage in a label is no reason to lose what is said.
            refusal if refusal.reason == Reason::LoneSurrogate => with_damaged_label(line).ok_or(refusal),
            refusal => Err(refusal),
        })?;
        match &record {
            Value::Map(fields) => {
                for (at, (name, _)) in fields.iter().enumerate() {
                    if fields[..at].iter().any(|(other, _)| other == name) {
                        let detail = format!("the field `{name}` stands twice");
                        return Err(Refusal::new(Reason::FieldTwice, detail));
                    }
                }
                Ok(Self { record })
            }
            Value::List(_) => Err(Refusal::new(Reason::JsonArray, "an array, not an object")),
            other => Err(Refusal::new(Reason::NotAnObject, format!("{}, not an object", other.kind()))),
        }
    }

    /// The conversation in them; none where nothing is said.
    ///
    /// # Errors
    /// A [`Refusal`] where something is not understood.
    pub fn conversation(&self, options: ConversationOptions) -> Result<Option<Conversation<'a>>> {
        Conversation::of(&self.record, options)
    }

    /// `id`, `source` and `category`; none that is null.
    #[must_use]
    pub fn labels(&self) -> [Option<Cow<'_, str>>; 3] {
        LABELS.map(|name| self.record.field(name).and_then(Value::label))
    }
}

/// The fields of a line in which only labels have half a surrogate pair, for which U+FFFD stands then; none of another.
fn with_damaged_label(line: &str) -> Option<Value<'_>> {
    let Ok(Value::Map(mut fields)) = json::parse(line, &|name| FIELDS.contains(&name)) else { return None };
    let Ok(Value::Map(labels)) = json::parse_lossy(line, &|name| LABELS.contains(&name)) else { return None };
    fields.extend(labels);
    Some(Value::Map(fields))
}

impl Conversation<'_> {
    /// The record of its plain text, which `text` becomes, under the labels of the line.
    pub fn plain_record<'t>(
        &self,
        labels: &'t [Option<Cow<'_, str>>; 3],
        text: &'t mut String,
    ) -> Record<'t> {
        text.clear();
        self.write_plain(text);
        let [id, source, category] = labels.each_ref().map(Option::as_deref);
        Record { text, id, source, category, has_messages: true }
    }
}
