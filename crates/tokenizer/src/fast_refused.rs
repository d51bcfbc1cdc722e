//! Why a fast engine is not used.

use serde::{Deserialize, Serialize};

/// Why the fast engine isn't used for a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FastRefused {
    /// The model is no byte-pair encoding.
    #[error("its model is not a byte-pair encoding")]
    Model,
    /// A pattern of it may mean one thing to the fast engine and another to the reference.
    #[error("the engines may read its pattern {pattern:?} differently: {why}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What of it.
        why: String,
    },
    /// Characters without an entry are spelled in bytes, and bytes have none, either.
    #[error("its vocabulary lacks some of the bytes that it falls back to")]
    Bytes,
    /// There are holes in the vocabulary's ids.
    #[error("its vocabulary leaves ids unused")]
    UnusedIds,
    /// The fast engine can't load it.
    #[error("the fast engine can't load it: {why}")]
    Load {
        /// The engine's message.
        why: String,
    },
    /// The engines gave different ids.
    #[error("the fast engine gave other ids than the reference for {text:?}")]
    Mismatch {
        /// The beginning of the text.
        text: String,
    },
}
