//! Why a line is refused.

use serde::{Deserialize, Serialize};

/// Why a line is not a record.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The line is not JSON.
    InvalidJson,
    /// The line is a JSON array, or the beginning of one.
    JsonArray,
    /// The line is JSON, but no object.
    NotAnObject,
    /// The object has no text field.
    NoText,
    /// The text field is no string.
    TextNotString,
    /// A field that is read stands twice, and nothing says which one counts.
    FieldTwice,
    /// What is said in the record is in no shape that is understood.
    BadConversation,
    /// Tools, or the arguments of a call, are no JSON, or none of the right kind.
    BadTools,
    /// What says whether a message is learned is neither 0 nor 1.
    BadWeight,
    /// A message has a picture, a sound or the like.
    NotText,
    /// Nothing is said in the record, where conversations are taken.
    NoMessages,
    /// The chat template refuses the conversation, or can't be rendered with it.
    Template,
    /// It can't be told which tokens of the conversation are learned.
    NoSpans,
    /// No token of the conversation is learned.
    NothingToLearn,
    /// The line is not UTF-8.
    InvalidUtf8,
    /// The text has half of a UTF-16 surrogate pair, which is no character.
    LoneSurrogate,
    /// The text is longer than `--max-document`.
    TooLarge,
    /// The text spells special tokens and `--special-tokens-in-text reject` is set.
    SpecialTokens,
    /// The document has no token at all.
    NoTokens,
    /// The reference has no ids for the text: its library fails or gives up on it.
    NotEncoded,
}

impl Reason {
    /// Every reason, in the order in which summaries list them.
    pub const ALL: [Self; 20] = [
        Self::InvalidJson,
        Self::JsonArray,
        Self::NotAnObject,
        Self::NoText,
        Self::TextNotString,
        Self::FieldTwice,
        Self::BadConversation,
        Self::BadTools,
        Self::BadWeight,
        Self::NotText,
        Self::NoMessages,
        Self::Template,
        Self::NoSpans,
        Self::NothingToLearn,
        Self::InvalidUtf8,
        Self::LoneSurrogate,
        Self::TooLarge,
        Self::SpecialTokens,
        Self::NoTokens,
        Self::NotEncoded,
    ];

    /// The name in files, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::JsonArray => "json_array",
            Self::NotAnObject => "not_an_object",
            Self::NoText => "no_text",
            Self::TextNotString => "text_not_string",
            Self::FieldTwice => "field_twice",
            Self::BadConversation => "bad_conversation",
            Self::BadTools => "bad_tools",
            Self::BadWeight => "bad_weight",
            Self::NotText => "not_text",
            Self::NoMessages => "no_messages",
            Self::Template => "template",
            Self::NoSpans => "no_spans",
            Self::NothingToLearn => "nothing_to_learn",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LoneSurrogate => "lone_surrogate",
            Self::TooLarge => "too_large",
            Self::SpecialTokens => "special_tokens",
            Self::NoTokens => "no_tokens",
            Self::NotEncoded => "not_encoded",
        }
    }
}

/// A line that is no record: why, and at which byte of the line it shows (0-based).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What was found, as a fragment for people.
    pub detail: String,
}

impl Refusal {
    /// Whether there is no text where one was looked for.
    #[must_use]
    pub const fn is_about_text(&self) -> bool {
        matches!(self.reason, Reason::NoText | Reason::TextNotString | Reason::NoMessages)
    }

    /// A refusal for `reason`; `detail` is a lowercase fragment.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
