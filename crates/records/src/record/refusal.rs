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
    pub const ALL: [Self; 12] = [
        Self::InvalidJson,
        Self::JsonArray,
        Self::NotAnObject,
        Self::NoText,
        Self::TextNotString,
        Self::FieldTwice,
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
        matches!(self.reason, Reason::NoText | Reason::TextNotString)
    }

    /// A refusal for `reason`; `detail` is a lowercase fragment.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
