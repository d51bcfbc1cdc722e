//! What the check of a fast engine found, to be kept for the next start.

use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::fast_refused::FastRefused;

/// The version of the set of texts that [`self_check`](super::self_check) compares the engines on.
const VERSION: u32 = 5;

/// What the check found, to be kept for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// SHA-256 of the `tokenizer.json` that was checked.
    tokenizer_sha256: String,
    /// The engines and the set of texts it holds for.
    checked_with: String,
    /// Why no fast engine can be used; `None` where one passed.
    pub(super) refused: Option<FastRefused>,
}

impl Verdict {
    pub(super) fn new(tokenizer_sha256: &str, refused: Option<FastRefused>) -> Self {
        Self { tokenizer_sha256: tokenizer_sha256.to_owned(), checked_with: checked_with(), refused }
    }

    /// Whether this is about the tokenizer with the hash, and about these engines.
    pub(super) fn holds_for(&self, tokenizer_sha256: &str) -> bool {
        self.tokenizer_sha256 == tokenizer_sha256 && self.checked_with == checked_with()
    }
}

fn checked_with() -> String {
    let [own, reference] = [Engine::Own, Engine::Reference].map(Engine::name);
    format!("{own}, {reference}, set {VERSION}")
}
