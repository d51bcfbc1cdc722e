//! The fast engine: `mashbill-subword`, our own.
//!
//! It knows all models, normalizers and pre-tokenizers that are in use: it loads in a tenth of a second from a table file, takes
//! a document of any length, and is exact by construction. What it doesn't know it refuses, and that goes to the reference, which
//! needs up to forty times as long. Still it is used only where [`super::self_check`] finds that it gives the reference's ids.

use mashbill_store::door;
use mashbill_subword::{AddedTokens, Scratch, SubwordEngine};

use super::cache::TokenizerCache;
use super::error::Error;
use super::fast_refused::FastRefused;
use super::options::SpecialTokensInText;

/// The fast engine with a tokenizer loaded.
pub(super) struct FastEngine {
    engine: SubwordEngine,
}

/// Appends the ids of a text.
pub(super) type Encode<'f> = &'f dyn Fn(&str, &mut Vec<u32>) -> Result<(), Error>;

impl FastEngine {
    /// Loads a `tokenizer.json`, where the engine can take it.
    pub(super) fn new(tokenizer_json: &str, cache: &TokenizerCache<'_>) -> Result<Self, FastRefused> {
        if let Some(engine) = cache.tables() {
            return Ok(Self { engine });
        }
        let unsupported = |why: String| FastRefused::Unsupported { why };
        let engine = door::behind(|| SubwordEngine::from_tokenizer_json(tokenizer_json))
            .map_err(|_| unsupported("the fast engine breaks down over it".to_owned()))?
            .map_err(|error| match error {
                mashbill_subword::Error::Unsupported { reason } => unsupported(reason),
                other => unsupported(other.to_string()),
            })?;
        cache.keep_tables(&engine);
        Ok(Self { engine })
    }

    /// Appends the ids of `text`, without anything before or after them.
    ///
    /// Texts over which the engine gives up go to `doubtful`.
    pub(super) fn encode(
        &self,
        scratch: &mut Scratch,
        text: &str,
        policy: SpecialTokensInText,
        doubtful: Encode<'_>,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let added = match policy {
            SpecialTokensInText::Split => AddedTokens::SkipSpecial,
            SpecialTokensInText::Encode | SpecialTokensInText::Reject => AddedTokens::All,
        };
        // Where a regular expression gives the text up, the reference says so, too.
        self.engine.encode_into(scratch, text, added, ids).or_else(|_| doubtful(text, ids))
    }

    /// Appends the words of a text and where they end, unless the engine gives it up.
    pub(super) fn split_into(&self, text: &str, words: &mut Vec<u8>, ends: &mut Vec<usize>) -> bool {
        self.engine.split_into(text, AddedTokens::All, words, ends).is_ok()
    }

    /// All tokens as people read them, by id.
    pub(super) fn spellings(&self) -> Vec<Option<String>> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        self.engine.spellings().into_iter().map(|bytes| bytes.map(text)).collect()
    }
}
