//! What a caller decides about a tokenizer.

pub use mashbill_format::special_tokens::SpecialTokensInText;

/// The largest vocabulary; the largest in use has 0.9 million tokens. To load one takes half a gigabyte, and tables of
/// all ids are made from it, one a thread.
pub const VOCABULARY_MAX: u32 = 1 << 20;

/// What is put around documents, and what is done with special tokens inside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerOptions {
    /// Whether documents begin as the tokenizer's own template has it.
    pub add_bos: bool,
    /// Whether documents end with the EOS token.
    pub add_eos: bool,
    /// The EOS token, where it isn't the one that the files name.
    pub eos_token: Option<String>,
    /// The token that fills rows up, where it isn't the one that the files name.
    pub pad_token: Option<String>,
    /// What becomes of special tokens that are spelled out in a text.
    pub special_tokens_in_text: SpecialTokensInText,
}

impl TokenizerOptions {
    /// Nothing is put around documents, and special tokens that they spell out are encoded as such.
    pub const NOTHING_ADDED: Self = Self {
        add_bos: false,
        add_eos: false,
        eos_token: None,
        pad_token: None,
        special_tokens_in_text: SpecialTokensInText::Encode,
    };
}
