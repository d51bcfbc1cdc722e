//! What a manifest knows of a tokenizer.

use mashbill_format::manifest;
use serde::{Deserialize, Serialize};

use super::options::SpecialTokensInText;
use super::special::RoleToken;

/// What a tokenizer is and does, as far as it decides the ids of documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// What the user called it.
    pub name: String,
    /// SHA-256 of `tokenizer.json`, in hexadecimal digits.
    pub sha256: String,
    /// The highest id and one.
    pub vocabulary_size: u32,
    /// The token that the template puts before a document, where it is a single one.
    pub bos: Option<RoleToken>,
    /// The token for the end of a document.
    pub eos: Option<RoleToken>,
    /// The token that fills rows up: the one asked for, else a pad token, else EOS, else BOS.
    pub pad: RoleToken,
    /// The ids put before each document.
    pub ids_before: Vec<u32>,
    /// The ids put after each document.
    pub ids_after: Vec<u32>,
    /// What becomes of special tokens that are spelled out in a text.
    pub special_tokens_in_text: SpecialTokensInText,
    /// Whether the file asked for documents to be cut, which was not done.
    pub truncation_cleared: bool,
    /// Whether the file asked for documents to be padded, which was not done.
    pub padding_cleared: bool,
    /// Whether the file asked for merges to be left out at random, which was not done.
    pub dropout_cleared: bool,
    /// The library and version that define the ids.
    pub reference: String,
    /// Remarks for the user.
    pub notes: Vec<String>,
}

impl Identity {
    /// The same as a manifest has it: everything on which ids depend.
    #[must_use]
    pub fn in_manifest(&self) -> manifest::TokenizerIdentity {
        let special = |token: &RoleToken| manifest::SpecialToken { id: token.id, token: token.token.clone() };
        let cleared = [
            (self.truncation_cleared, "truncation"),
            (self.padding_cleared, "padding"),
            (self.dropout_cleared, "dropout"),
        ];
        manifest::TokenizerIdentity {
            sha256: self.sha256.clone(),
            vocabulary_size: self.vocabulary_size,
            bos: self.bos.as_ref().map(special),
            eos: self.eos.as_ref().map(special),
            pad: special(&self.pad),
            ids_before: self.ids_before.clone(),
            ids_after: self.ids_after.clone(),
            special_tokens_in_text: self.special_tokens_in_text,
            cleared: cleared.iter().filter(|(is, _)| *is).map(|(_, name)| (*name).to_owned()).collect(),
        }
    }
}
