//! The fast engine: `fastokens`, some twenty times as fast as the reference.
//!
//! It is used only where it gives the same ids, which [`super::self_check`] finds out.

use fastokens::AddedTokenPolicy;
use serde_json::{Map, Value, json};
use tokenizers::AddedToken;

use super::definition::{Definition, Merge};
use super::segments::Borders;
use super::{Error, FastRefused, SpecialTokensInText};

/// The version of the crate that is checked against the reference.
pub(super) const VERSION: &str = "0.3.5";

/// `fastokens` with a tokenizer loaded.
pub(super) struct FastEngine {
    tokenizer: fastokens::Tokenizer,
    borders: Borders,
}

impl FastEngine {
    /// Loads a definition, where the engine can take it.
    ///
    /// `added_tokens` have the ids that the reference gives them.
    pub(super) fn new(
        definition: &Definition<'_>,
        added_tokens: &[(u32, AddedToken)],
    ) -> Result<Self, FastRefused> {
        if definition.model.dropout.is_some_and(|share| share > 0.0) {
            return Err(FastRefused::Dropout);
        }
        if definition.model.kind.as_deref() != Some("BPE") {
            return Err(FastRefused::Model);
        }
        let unused_ids = unused_ids(definition)?;
        let tokenizer = fastokens::Tokenizer::from_json(typed(definition, added_tokens, &unused_ids))
            .map_err(|error| FastRefused::Load { why: error.to_string() })?;
        Ok(Self { tokenizer, borders: Borders::of(definition, added_tokens) })
    }

    /// The vocabulary entry with this id.
    pub(super) fn entry(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id).map(str::to_owned)
    }

    /// Appends the ids of `text`, without anything before or after them.
    pub(super) fn encode(
        &self,
        text: &str,
        policy: SpecialTokensInText,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let policy = match policy {
            SpecialTokensInText::Split => AddedTokenPolicy::SkipSpecial,
            SpecialTokensInText::Encode | SpecialTokensInText::Reject => AddedTokenPolicy::All,
        };
        for segment in self.borders.segments(text) {
            let segment_ids: Vec<u32> = self
                .tokenizer
                .encode_unpadded(segment, false, policy)
                .map_err(|error| Error::Encode { source: error.into() })?;
            if ids.is_empty() && ids.capacity() < segment_ids.len() {
                *ids = segment_ids;
            } else {
                ids.extend_from_slice(&segment_ids);
            }
        }
        Ok(())
    }
}

/// The definition as the engine reads it: without what it doesn't need, and with each
/// merge in one string, which takes a third of the memory of two.
fn typed(definition: &Definition<'_>, added_tokens: &[(u32, AddedToken)], unused_ids: &[u32]) -> Value {
    let model = &definition.model;
    let mut vocab: Map<String, Value> =
        model.vocab.0.iter().map(|(token, id)| (token.clone().into_owned(), (*id).into())).collect();
    for id in unused_ids {
        vocab.insert(format!("{NO_WORD}{id}"), (*id).into());
    }
    let mut typed_model = Map::new();
    let mut set = |key: &str, value: Value| typed_model.insert(key.to_owned(), value);
    set("type", "BPE".into());
    set("vocab", vocab.into());
    set("merges", model.merges.iter().map(merge).collect());
    set("unk_token", model.unk_token.clone().into());
    set("continuing_subword_prefix", model.continuing_subword_prefix.clone().into());
    set("end_of_word_suffix", model.end_of_word_suffix.clone().into());
    set("fuse_unk", model.fuse_unk.unwrap_or(false).into());
    set("byte_fallback", model.byte_fallback.unwrap_or(false).into());
    set("ignore_merges", model.ignore_merges.unwrap_or(false).into());
    let mut typed = Map::new();
    let mut set = |key: &str, value: Value| typed.insert(key.to_owned(), value);
    set("added_tokens", added_tokens.iter().map(added_token).collect());
    set("normalizer", definition.normalizer.clone().unwrap_or_default());
    set("pre_tokenizer", definition.pre_tokenizer.clone().unwrap_or_default());
    set("model", typed_model.into());
    typed.into()
}

/// Begins the entries that stand for unused ids. Words in byte letters never hold it.
const NO_WORD: &str = "\u{10fffe}";

/// The ids below the highest that no entry has. The engine wants there to be none, so
/// entries are put there, which is harmless where words are spelled in byte letters.
fn unused_ids(definition: &Definition<'_>) -> Result<Vec<u32>, FastRefused> {
    let entries = &definition.model.vocab.0;
    let size = entries.iter().map(|(_, id)| *id as usize + 1).max().unwrap_or(0);
    let few = size <= entries.len() + entries.len() / 8 + 1_000;
    let mut used = vec![false; if few { size } else { 0 }];
    for (_, id) in entries.iter().filter(|_| few) {
        used[*id as usize] = true;
    }
    let unused: Vec<u32> = (0..).zip(used).filter(|(_, used)| !used).map(|(id, _)| id).collect();
    if !few || (!unused.is_empty() && !definition.spells_words_in_bytes()) {
        return Err(FastRefused::UnusedIds);
    }
    Ok(unused)
}

fn merge(merge: &Merge<'_>) -> Value {
    if merge.left.contains(' ') || merge.right.contains(' ') {
        json!([merge.left, merge.right])
    } else {
        Value::String([&*merge.left, " ", &*merge.right].concat())
    }
}

fn added_token((id, token): &(u32, AddedToken)) -> Value {
    json!({
        "id": id,
        "content": token.content,
        "single_word": token.single_word,
        "lstrip": token.lstrip,
        "rstrip": token.rstrip,
        "normalized": token.normalized,
        "special": token.special,
    })
}
