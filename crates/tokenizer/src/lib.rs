//! From the files of a tokenizer and a text to the text's ids.
//!
//! The ids are those of Hugging Face `tokenizers` 0.23, which defines them, for every
//! text. It encodes about 3 MB of text in a CPU-second; a fast engine encodes 80 and
//! more. So a fast engine is used where a check at the start found it to agree with
//! the reference, and documents sampled during a run go on checking it
//! ([`Tokenizer::check_samples`]). A caller who meets a mismatch goes on with
//! [`Tokenizer::to_reference`].
//!
//! What `truncation` and `padding` in a `tokenizer.json` would do to documents, both
//! engines do silently; they are cleared, and [`Identity`] says so. So is `dropout`,
//! which gives the same text other ids each time.
//!
//! A `tokenizer.json` is what others wrote. It is loaded apart from the caller, in bounded
//! time, and engines that panic over it or over a text are behind a door.

#![cfg_attr(test, expect(clippy::disallowed_methods, reason = "tests make and change files as they like"))]

mod options;
mod engine;
mod fast_refused;
mod identity;
mod files;
mod side_file;
mod apart;
mod start;
mod error;
mod embedded;
mod definition;
mod vocabulary;
mod spell;
mod special;
mod partial_model;
mod reference;
mod fast;
mod growth;
mod verdict;
mod fragments;
mod self_check;
mod cache;
mod charsmap;
mod offsets;
mod pieces;
mod chat_templates;
mod bare;
mod id_set;
mod traits;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use mashbill_store::door;

pub use self::embedded::{EMBEDDED, embedded, is_embedded};
pub use self::engine::Engine;
pub use self::error::Error;
pub use self::fast_refused::FastRefused;
pub use self::files::{FILE_BYTES_MAX, TokenizerFiles, from_path};
pub use self::identity::Identity;
pub use self::options::{SpecialTokensInText, TokenizerOptions, VOCABULARY_MAX};
pub use self::special::RoleToken;
pub use mashbill_subword::Scratch;

pub use self::traits::{MetTraits, SampleChoice, Traits, may_be_sample};

pub use self::chat_templates::{ChatTemplates, ChatTokens, ChosenTemplate};

use self::apart::{Apart, START_MAX};
use self::fast::FastEngine;
use self::id_set::IdSet;
use self::offsets::TokenBytes;
use self::reference::{Outline, Reference};

/// The counts of a document that was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoded {
    /// Tokens of the text.
    pub text_tokens: usize,
    /// Tokens put before and after it.
    pub added_tokens: usize,
    /// Tokens of the text that are special tokens which it spells out.
    pub literal_special_tokens: usize,
}

/// A document whose ids are to be compared with the reference's.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'s> {
    /// The text.
    pub text: &'s str,
    /// The ids that [`Tokenizer::encode`] gave for it.
    pub ids: &'s [u32],
    /// Whether it was [`Tokenizer::encode_bare`].
    pub is_bare: bool,
}

/// A tokenizer that is ready to encode, from any number of threads.
pub struct Tokenizer {
    identity: Identity,
    tokenizer_json: Arc<str>,
    encoder: Encoder,
    fast_refused: Option<FastRefused>,
    special: IdSet,
    /// Those and the ids that are put around documents, which may be ordinary ones.
    counted: IdSet,
    /// All added tokens.
    added: IdSet,
    outline: Arc<Outline>,
    beside: OnceLock<Reference>,
    /// The reference that does with special tokens in texts what this tokenizer does not: for conversations, whose template
    /// writes them and whose words may not.
    otherwise: OnceLock<Reference>,
    /// What chat templates are given of it.
    chat_tokens: ChatTokens,
    /// The tokens' texts, made when the first is asked for.
    spellings: OnceLock<Vec<Option<String>>>,
    /// The tokens' bytes, likewise; none where only the reference knows where they stand.
    token_bytes: OnceLock<Option<TokenBytes>>,
}

enum Encoder {
    Fast(Arc<FastEngine>),
    Reference(Reference),
    /// The reference, and for texts that it gives up, which are counted, the fast engine.
    Both {
        reference: Reference,
        engine: Arc<FastEngine>,
        given_up: AtomicU64,
    },
}

impl Tokenizer {
    /// The same tokenizer on the reference, for a run that met a mismatch.
    ///
    /// # Errors
    /// The reference can't load the file.
    pub fn to_reference(&self, why: FastRefused) -> Result<Self, Error> {
        Ok(self
            .with(Encoder::Reference(self.load_reference(self.identity.special_tokens_in_text)?), Some(why)))
    }

    /// The same tokenizer on the reference, for an audit. The fast engine encodes those texts that the reference
    /// gives up: see [`Tokenizer::given_up`].
    ///
    /// # Errors
    /// The reference can't load the file.
    pub fn audited(&self) -> Result<Self, Error> {
        let reference = self.load_reference(self.identity.special_tokens_in_text)?;
        Ok(self.with(
            match &self.encoder {
                Encoder::Fast(engine) | Encoder::Both { engine, .. } => {
                    Encoder::Both { reference, engine: Arc::clone(engine), given_up: AtomicU64::new(0) }
                }
                Encoder::Reference(_) => Encoder::Reference(reference),
            },
            self.fast_refused.clone(),
        ))
    }

    /// How many texts the reference gave up that the fast engine encoded, in an audit.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        match &self.encoder {
            Encoder::Both { given_up, .. } => given_up.load(Ordering::Relaxed),
            Encoder::Fast(_) | Encoder::Reference(_) => 0,
        }
    }

    fn with(&self, encoder: Encoder, fast_refused: Option<FastRefused>) -> Self {
        Self {
            identity: self.identity.clone(),
            tokenizer_json: Arc::clone(&self.tokenizer_json),
            encoder,
            fast_refused,
            special: self.special.clone(),
            counted: self.counted.clone(),
            added: self.added.clone(),
            outline: Arc::clone(&self.outline),
            beside: OnceLock::new(),
            otherwise: OnceLock::new(),
            chat_tokens: self.chat_tokens.clone(),
            spellings: OnceLock::new(),
            token_bytes: OnceLock::new(),
        }
    }

    fn load_reference(&self, policy: SpecialTokensInText) -> Result<Reference, Error> {
        let json = Arc::clone(&self.tokenizer_json);
        Apart::begin(move || Reference::whole(&json, policy))?.wait(START_MAX)
    }

    /// Puts other ids around documents: those with which a folder was made, whatever its files say by now.
    pub fn put_around(&mut self, ids_before: Vec<u32>, ids_after: Vec<u32>) {
        (self.identity.ids_before, self.identity.ids_after) = (ids_before, ids_after);
        self.counted = self.special.with(&self.identity);
    }

    /// The tokens as people read them, one text an id.
    #[must_use]
    pub fn spell(&self, ids: &[u32]) -> Vec<String> {
        let all = self.spellings.get_or_init(|| match &self.encoder {
            Encoder::Fast(engine) | Encoder::Both { engine, .. } => engine.spellings(),
            Encoder::Reference(_) => Vec::new(),
        });
        let spelled = |id: u32| match &self.encoder {
            Encoder::Fast(_) | Encoder::Both { .. } => all.get(id as usize).cloned().flatten(),
            Encoder::Reference(reference) => Some(spell::text_of(&reference.entry(id)?)),
        };
        ids.iter().map(|&id| spelled(id).unwrap_or_else(|| format!("[{id}]"))).collect()
    }

    /// What the tokenizer is and does.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The engine in use.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match &self.encoder {
            Encoder::Fast(_) => Engine::Own,
            Encoder::Reference(_) | Encoder::Both { .. } => Engine::Reference,
        }
    }

    /// Why the fast engine isn't used, where it isn't.
    #[must_use]
    pub fn fast_refused(&self) -> Option<&FastRefused> {
        self.fast_refused.as_ref()
    }

    /// Appends a document to `ids`: what comes before it, its text, what comes after.
    ///
    /// A text that itself begins with what comes before, or ends with what comes
    /// after, does not get it a second time. `scratch` is the thread's own; it makes
    /// encoding fast and never changes what comes of it.
    ///
    /// # Errors
    /// [`Error::LiteralSpecialTokens`] where such documents are refused, and
    /// [`Error::Encode`] where the reference has no ids for the text; `ids` is then
    /// as it was.
    pub fn encode(&self, scratch: &mut Scratch, text: &str, ids: &mut Vec<u32>) -> Result<Encoded, Error> {
        let start = ids.len();
        let Identity { ids_before, ids_after, special_tokens_in_text: policy, .. } = &self.identity;
        ids.extend_from_slice(ids_before);
        let text_start = ids.len();
        if let Err(error) = self.encode_text(scratch, text, *policy, ids) {
            ids.truncate(start);
            return Err(error);
        }
        let text_ids = &ids[text_start..];
        let text_tokens = text_ids.len();
        let literal_special_tokens = self.counted.count(text_ids);
        if *policy == SpecialTokensInText::Reject && literal_special_tokens > 0 {
            // An ordinary token that was chosen to end documents is no reason to refuse a text.
            let count = self.special.count(text_ids);
            if count > 0 {
                ids.truncate(start);
                return Err(Error::LiteralSpecialTokens { count });
            }
        }
        if !ids_before.is_empty() && text_ids.starts_with(ids_before) {
            ids.drain(start..text_start);
        }
        if !ids_after.is_empty() && !ids[ids.len() - text_tokens..].ends_with(ids_after) {
            ids.extend_from_slice(ids_after);
        }
        Ok(Encoded { text_tokens, added_tokens: ids.len() - start - text_tokens, literal_special_tokens })
    }

    /// The ids that the file puts before and after a text: what `transformers` adds for `add_special_tokens=True`.
    ///
    /// # Errors
    /// [`Error::Template`]: it does something else.
    pub fn template(&self) -> Result<(Vec<u32>, Vec<u32>), Error> {
        self.outline.template()
    }

    /// The text of ids, as the reference decodes them. It is loaded for the first.
    ///
    /// # Errors
    /// The reference cannot load the file, or cannot decode the ids.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, Error> {
        self.reference(self.identity.special_tokens_in_text)?.decode(ids, skip_special_tokens)
    }

    /// Appends the ids of a text, without anything around it.
    ///
    /// # Errors
    /// [`Error::Encode`] where the reference has no ids for the text.
    pub fn encode_text(
        &self,
        scratch: &mut Scratch,
        text: &str,
        policy: SpecialTokensInText,
        ids: &mut Vec<u32>,
    ) -> Result<(), Error> {
        match &self.encoder {
            Encoder::Fast(engine) => {
                let doubtful = |text: &str, ids: &mut Vec<u32>| self.reference(policy)?.encode(text, ids);
                engine.encode(scratch, text, policy, &doubtful, ids)
            }
            Encoder::Reference(_) => self.reference(policy)?.encode(text, ids),
            Encoder::Both { engine, given_up, .. } => {
                let (start, reference) = (ids.len(), self.reference(policy)?);
                if reference.encode(text, ids).is_ok() {
                    return Ok(());
                }
                ids.truncate(start);
                given_up.fetch_add(1, Ordering::Relaxed);
                engine.encode(scratch, text, policy, &|text, ids| reference.encode(text, ids), ids)
            }
        }
    }

    /// The reference by which special tokens in texts are encoded, or split: the engine in use, or one that is loaded for
    /// the first text that needs it.
    fn reference(&self, policy: SpecialTokensInText) -> Result<&Reference, Error> {
        let splits = |policy| policy == SpecialTokensInText::Split;
        let is_own = splits(policy) == splits(self.identity.special_tokens_in_text);
        let beside = match &self.encoder {
            Encoder::Reference(reference) | Encoder::Both { reference, .. } if is_own => {
                return Ok(reference);
            }
            _ if is_own => &self.beside,
            _ => &self.otherwise,
        };
        if let Some(reference) = beside.get() {
            return Ok(reference);
        }
        let reference = self.load_reference(policy)?;
        Ok(beside.get_or_init(|| reference))
    }

    /// Compares documents with the reference; `None` where all are equal, else the
    /// position of the first that isn't.
    ///
    /// Each call builds the part of the reference that the samples need, which takes
    /// some 50 ms for a large vocabulary: hand in many at once.
    ///
    /// # Errors
    /// The reference can't load the file.
    pub fn check_samples(&self, samples: &[Sample<'_>]) -> Result<Option<usize>, Error> {
        if samples.is_empty() || self.engine() == Engine::Reference {
            return Ok(None);
        }
        let texts = samples.iter().map(|sample| sample.text);
        let reference = match door::behind(|| self.outline.reference_for(&self.tokenizer_json, texts)) {
            Ok(part) => part?,
            // Where it breaks down over a text, the reference as a whole says so of that text.
            Err(_) => None,
        };
        let reference = match &reference {
            Some(part) => part,
            None => self.reference(self.identity.special_tokens_in_text)?,
        };
        let mut expected = Vec::new();
        let splits = self.identity.special_tokens_in_text == SpecialTokensInText::Split;
        for (position, sample) in samples.iter().enumerate() {
            expected.clear();
            let is_defined = match sample.is_bare && splits {
                true => self.reference(SpecialTokensInText::Encode)?.encode(sample.text, &mut expected),
                false => reference.encode(sample.text, &mut expected),
            };
            let is_same = match sample.is_bare {
                true => sample.ids == expected,
                false => self.stands_for(sample.ids, &expected),
            };
            if is_defined.is_err() || !is_same {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    /// The traits of a text with these ids: where they are new, it is worth to compare it.
    #[must_use]
    pub fn traits(&self, text: &str, ids: &[u32]) -> Traits {
        Traits::of(text, ids, &self.added)
    }

    /// Whether `ids` are a document's with the text's ids `text_ids`.
    fn stands_for(&self, ids: &[u32], text_ids: &[u32]) -> bool {
        let Identity { ids_before, ids_after, .. } = &self.identity;
        let before = if text_ids.starts_with(ids_before) { &[][..] } else { &ids_before[..] };
        let after = if text_ids.ends_with(ids_after) { &[][..] } else { &ids_after[..] };
        ids.strip_prefix(before).and_then(|ids| ids.strip_suffix(after)) == Some(text_ids)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("name", &self.identity.name)
            .field("sha256", &self.identity.sha256)
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests;
