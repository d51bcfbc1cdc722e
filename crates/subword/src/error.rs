//! Why there is no engine: in a file of its own, since all who read what others wrote end with it.

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tokenizer has a feature that this engine doesn't reproduce; use the reference.
    #[error("tokenizer is not supported: {reason}")]
    Unsupported {
        /// What it is that isn't supported.
        reason: String,
    },
    /// The text is not JSON.
    #[error("malformed JSON")]
    Json {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The library of regular expressions gives up over a text, as the reference does.
    #[error("the split pattern {pattern:?} finds no end: {why}")]
    Regex {
        /// The regular expression.
        pattern: String,
        /// What the library says.
        why: String,
    },
    /// The table file is damaged or of another version; make it again.
    #[error("unusable table file: {reason}")]
    Tables {
        /// What was found.
        reason: &'static str,
    },
}

pub(crate) fn unsupported(reason: impl Into<String>) -> Error {
    Error::Unsupported { reason: reason.into() }
}

pub(crate) fn refuse(condition: bool, reason: &str) -> Result<(), Error> {
    if condition { Err(unsupported(reason)) } else { Ok(()) }
}
