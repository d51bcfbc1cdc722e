//! How conversations become text, and which of their tokens are learned: what the manifest says of it.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// The version of the normal form of conversations, and of the rules by which they become text.
pub const NORMAL_FORM: u32 = 2;

/// How conversations become documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Chat {
    /// The version of the normal form that records are brought into.
    pub normal_form: u32,
    /// Whether arguments of calls that are JSON in a string stay a string, instead of becoming an object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_tool_arguments: bool,
    /// Whether records without a conversation are taken, too, as their text. Without a template they always are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed: bool,
    /// The template that makes text of them; without one they are written out plainly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateIdentity>,
}

/// A chat template, with all that its text and the learned tokens depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateIdentity {
    /// Where it was found: a file of the tokenizer, with the template's name in it, or what was given.
    pub name: String,
    /// The template, in Jinja.
    pub text: String,
    /// The one for conversations with tools, where the tokenizer has one for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_with_tools: Option<String>,
    /// Arguments by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub args: BTreeMap<String, JsonText>,
    /// The date that the template is given for today's, as `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Special tokens by the names that templates have for them: `bos_token`, `eos_token`.
    pub special_tokens: BTreeMap<String, String>,
    /// Special tokens that end a turn.
    pub turn_ends: Vec<String>,
    /// The ids of control tokens, sorted: special tokens, those put around documents, and those that the template spells.
    pub control_ids: Vec<u32>,
    /// On which turns there is a loss.
    pub loss_on: LossOn,
    /// What of them is left out.
    #[serde(default, skip_serializing_if = "NoLossOn::is_nothing")]
    pub no_loss_on: NoLossOn,
    /// What says which bytes are learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_rule: Option<SpanRule>,
}

/// A JSON value as it was written: a template sees the order of an object's fields, and each digit of a number.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct JsonText(Box<RawValue>);

impl JsonText {
    /// The value that `text` is.
    ///
    /// # Errors
    /// It is no JSON, is nested too deep, or has a number that is too large for a float.
    pub fn new(text: &str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        // What differs between two is looked for in their values.
        serde_json::from_str::<serde_json::Value>(text.get()).map_err(D::Error::custom)?;
        Ok(Self(text))
    }
}

impl PartialEq for JsonText {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Display for JsonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// On which turns there is a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossOn {
    /// On everything, the template's text and the user's words too.
    All,
    /// On the turns of the assistant.
    Assistant,
    /// On the assistant's last turn.
    LastAssistant,
    /// On the record's `completion`.
    Completion,
}

/// What of a learned turn is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NoLossOn {
    /// Its reasoning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reasoning: bool,
    /// Its calls of tools.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tool_calls: bool,
    /// What the generation prompt has behind the header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generation_prompt: bool,
}

impl NoLossOn {
    /// Whether nothing is left out.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
    const fn is_nothing(&self) -> bool {
        !(self.reasoning || self.tool_calls || self.generation_prompt)
    }
}

/// What says which bytes are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpanRule {
    /// The template's `generation` blocks.
    Blocks,
    /// Where the strings of each message come out.
    Marks,
}
