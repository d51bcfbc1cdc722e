//! Why the fast engine is not used.

use serde::{Deserialize, Serialize};

/// Why the fast engine isn't used for a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FastRefused {
    /// It doesn't take a part of the `tokenizer.json`.
    #[error("{why}")]
    Unsupported {
        /// Which part.
        why: String,
    },
    /// The engines gave different ids.
    #[error("the fast engine gave other ids than the reference for {text:?}")]
    Mismatch {
        /// The beginning of the text.
        text: String,
    },
}
