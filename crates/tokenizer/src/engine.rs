//! The engines.

use serde::{Deserialize, Serialize};

use super::reference;

/// An engine that turns text into ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `mashbill-subword`, our own.
    Own,
    /// Hugging Face `tokenizers`.
    Reference,
}

impl Engine {
    /// The library and its version.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Own => format!("mashbill-subword {}", mashbill_subword::VERSION),
            Self::Reference => format!("tokenizers {}", reference::VERSION),
        }
    }

    /// About how many bytes of JSON Lines a run works through in a CPU-second, encoding being most of it: to tell people what
    /// to expect (docs/speed.md has what was measured).
    #[must_use]
    pub const fn bytes_per_cpu_second(self) -> f64 {
        match self {
            Self::Own => 60e6,
            Self::Reference => 3e6,
        }
    }
}
