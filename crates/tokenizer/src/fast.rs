//! The fast engines, and which of them a tokenizer gets.
//!
//! `mashbill-subword`, our own, knows byte-pair encodings, byte-level ones, whatever splits their texts,
//! and SentencePiece's: it loads in a tenth of a second from a table file, takes a document of any
//! length, and is exact by construction. `fastokens` takes the others (CLIP's, Falcon's, those
//! behind rare normalizers), for which the reference would need up to twenty times as long, and
//! expressions for which we have no matcher, if it reads them alike; the price is a second dependency
//! and longer starts for those. Either
//! is used only where it gives the reference's ids, which [`super::self_check`] finds
//! out.

use mashbill_store::door;
use mashbill_subword::{AddedTokens, Scratch};
use tokenizers::AddedToken;

use super::cache::TokenizerCache;
use super::definition::TokenizerJson;
use super::engine::Engine;
use super::error::Error;
use super::fast_refused::FastRefused;
use super::fastokens::{Encode, Fastokens};
use super::options::SpecialTokensInText;
use super::spell;

/// A fast engine with a tokenizer loaded.
pub(super) enum FastEngine {
    Own(Box<mashbill_subword::SubwordEngine>),
    Fastokens(Box<Fastokens>),
}

impl FastEngine {
    /// Loads a definition, where an engine can take it.
    ///
    /// `added_tokens` have the ids that the reference gives them.
    pub(super) fn new(
        definition: &TokenizerJson<'_>,
        tokenizer_json: &str,
        added_tokens: &[(u32, AddedToken)],
        cache: &TokenizerCache<'_>,
    ) -> Result<Self, FastRefused> {
        if definition.model.kind.as_deref() != Some("BPE") {
            return Err(FastRefused::Model);
        }
        if let Some(engine) = cache.tables() {
            return Ok(Self::Own(Box::new(engine)));
        }
        let kept = |engine: mashbill_subword::SubwordEngine| {
            cache.keep_tables(&engine);
            Self::Own(Box::new(engine))
        };
        let made = door::behind(|| mashbill_subword::SubwordEngine::from_tokenizer_json(tokenizer_json));
        let own = match made {
            Ok(Ok(engine)) if !engine.runs_regexes() => return Ok(kept(engine)),
            Ok(Ok(engine)) => Some(engine),
            Ok(Err(_)) | Err(_) => None,
        };
        // Where words are found by the reference's library, `fastokens` is faster, if it reads the expression alike.
        match (Fastokens::new(definition, added_tokens), own) {
            (Ok(engine), _) => Ok(Self::Fastokens(Box::new(engine))),
            (Err(_), Some(engine)) => Ok(kept(engine)),
            (Err(why), None) => Err(why),
        }
    }

    /// Which of them it is.
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Own(_) => Engine::Own,
            Self::Fastokens(_) => Engine::Fastokens,
        }
    }

    /// Appends the ids of `text`, without anything before or after them.
    ///
    /// Segments that `fastokens` is not trusted with go to `doubtful`.
    pub(super) fn encode(
        &self,
        scratch: &mut Scratch,
        text: &str,
        policy: SpecialTokensInText,
        doubtful: Encode<'_>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        match self {
            Self::Own(engine) => {
                let added = match policy {
                    SpecialTokensInText::Split => AddedTokens::SkipSpecial,
                    SpecialTokensInText::Encode | SpecialTokensInText::Reject => AddedTokens::All,
                };
                // Where a regular expression gives the text up, the reference says so, too.
                engine.encode_into(scratch, text, added, ids).or_else(|_| doubtful(text, ids))
            }
            Self::Fastokens(engine) => engine.encode(text, policy, doubtful, ids),
        }
    }

    /// All tokens as people read them, by id, where they are cheaper made together than one by one.
    pub(super) fn spellings(&self) -> Vec<Option<String>> {
        match self {
            Self::Own(engine) => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                engine.spellings().into_iter().map(|bytes| bytes.map(text)).collect()
            }
            Self::Fastokens(_) => Vec::new(),
        }
    }

    /// A token as people read it; none where [`Self::spellings`] has it.
    pub(super) fn spell(&self, id: u32) -> Option<String> {
        match self {
            Self::Own(_) => None,
            Self::Fastokens(engine) => Some(spell::text_of(&engine.entry(id)?)),
        }
    }
}
