//! The books of a split: where every token comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The books of a split: `text_tokens + special_tokens = tokens`, and
/// `sequences × max_seq_length = tokens + padding`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Tokens of the texts.
    pub text_tokens: u64,
    /// BOS and EOS tokens put around the texts.
    pub special_tokens: u64,
    /// Positions without a token in the shards' last rows.
    pub padding: u64,
    /// Special tokens and tokens of those around documents that texts spelled, among `text_tokens`; of conversations, control
    /// tokens in what was said.
    pub literal_special_tokens: u64,
    /// Control tokens of chat templates, among `text_tokens`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub template_tokens: u64,
    /// Tokens on which there is a loss, where not all are learned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub learned_tokens: u64,
}

impl Ledger {
    /// Adds the counts of another part. Counts that somebody changed in a file stop at the largest number.
    pub fn add(&mut self, other: &Self) {
        let add = |sum: &mut u64, count: u64| *sum = sum.saturating_add(count);
        add(&mut self.text_tokens, other.text_tokens);
        add(&mut self.special_tokens, other.special_tokens);
        add(&mut self.padding, other.padding);
        add(&mut self.literal_special_tokens, other.literal_special_tokens);
        add(&mut self.template_tokens, other.template_tokens);
        add(&mut self.learned_tokens, other.learned_tokens);
    }

    /// Real tokens in the rows.
    #[must_use]
    pub const fn tokens(&self) -> u64 {
        self.text_tokens.saturating_add(self.special_tokens)
    }
}

/// Whether a count that most splits do not have is left out.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) const fn is_zero(count: &u64) -> bool {
    *count == 0
}
