//! Byte-pair encodings, exactly as Hugging Face `tokenizers` does them, made for pipelines.
//!
//! A [`SubwordEngine`] encodes byte-level ones and SentencePiece's. The patterns that are in use (GPT-2, cl100k and Llama 3, Qwen,
//! o200k, tekken, Kimi K2, DeepSeek, nanochat) have matchers of their own; others are run by the reference's
//! own library of regular expressions, which takes a multiple of the time. Everything else is refused with
//! [`Error::Unsupported`]: the engine gives the reference's ids or none. Next to other fast encoders it is built for short start-up (tables can be kept in a
//! file), bounded memory, linear time in any text, and being one of many threads: it starts none,
//! has no globals, what a thread learns of words serves all, and a thread's working memory is a
//! [`Scratch`] that the caller owns.
//!
//! A text goes through these modules in order: `added` finds added tokens, `normalizer` changes the rest
//! where it needs that (`unicode` and `metaspace` know what), `pre_tokenizer` (with `blocks` and `pattern` behind it) splits it into
//! words, `batch` takes them many at a time, `cuts` divides long ones, `words` knows those that are
//! tokens, `cache` remembers others, and `merging` encodes the words that are left, with what `merges` knows.
//!
//! # Unsafe code
//! What the standard library has no safe way to say is said in four functions, each with its
//! reason: calling code that was compiled for newer processors after asking for their features
//! (twice), asking the processor to fetch memory early, and asking the kernel for huge pages.

mod error;
mod tokenizer_json;
mod definition;
mod tables;
mod added;
mod normalizer;
mod metaspace;
mod unicode;
mod splitting;
mod pre_tokenizer;
mod blocks;
mod pattern;
mod batch;
mod cuts;
mod words;
mod cache;
mod merging;
mod lane;
mod sweep;
mod atoms;
mod merges;
mod pages;

use std::borrow::Cow;
use std::sync::Arc;

pub use error::Error;
pub use tables::VERSION;

use crate::added::AddedSet;
use crate::atoms::Atoms;
use crate::batch::{BatchScratch, Lookups};
use crate::cache::Cache;
use crate::definition::{Definition, characters};
use crate::merges::Merges;
use crate::normalizer::Normalizer;
use crate::pre_tokenizer::Splitter;
use crate::splitting::{Alphabet, Splitting};
use crate::words::Vocabulary;

/// What becomes of added tokens (`<|endoftext|>` and the like) that stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddedTokens {
    /// They become their ids: the reference's default.
    All,
    /// Special ones are ordinary text, others become their ids: the reference's
    /// `encode_special_tokens`.
    SkipSpecial,
    /// All are ordinary text.
    None,
}

/// A tokenizer's tables, to be shared by all threads, and the words that they met (24 MiB).
#[derive(Debug)]
pub struct SubwordEngine {
    normalizer: Normalizer,
    splitting: Arc<Splitting>,
    alphabet: Alphabet,
    added: AddedSet,
    added_normalized: AddedSet,
    lookups: Lookups,
}

/// A thread's working memory. It serves any engine.
#[derive(Debug, Default)]
pub struct Scratch {
    batch: Box<BatchScratch>,
}

impl Scratch {
    /// Empty working memory.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SubwordEngine {
    /// Makes the tables of the tokenizer that `json`, the content of a `tokenizer.json`, defines.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the engine can't promise the reference's ids, [`Error::Json`] if
    /// `json` is malformed.
    pub fn from_tokenizer_json(json: &str) -> Result<Self, Error> {
        Ok(Self::new(Definition::from_tokenizer_json(json)?))
    }

    /// Takes the tables from what [`SubwordEngine::to_bytes`] returned.
    ///
    /// # Errors
    /// [`Error::Tables`] if this version of the crate didn't write `file` or it was changed since.
    pub fn from_bytes(file: &[u8]) -> Result<Self, Error> {
        Ok(Self::new(tables::read(file)?))
    }

    /// The content of a table file, the same on every machine. It is worth its disk space (about
    /// 4 MB for Llama 3) because loading it is many times faster than reading a `tokenizer.json`,
    /// and can always be made again.
    pub fn to_bytes(&self) -> Vec<u8> {
        tables::write(&Definition {
            normalizer: self.normalizer,
            splitting: Arc::clone(&self.splitting),
            alphabet: self.alphabet,
            bytes: *self.lookups.merges.bytes(),
            merges: self.lookups.merges.list(),
            lens: self.lookups.merges.lens().to_vec(),
            words: self.lookups.vocabulary.words(),
            cuts: self.lookups.cuts.clone(),
            added: self.added.tokens().to_vec(),
            added_normalized: self.added_normalized.tokens().to_vec(),
        })
    }

    /// The bytes that each token stands for, by id, which may be a part of a character; `None` for an id that no
    /// text gives. Made in a hundredth of a second, to be kept by whoever spells many.
    pub fn spellings(&self) -> Vec<Option<Vec<u8>>> {
        let added = || self.added.tokens().iter().chain(self.added_normalized.tokens());
        let size =
            added().map(|token| token.id as usize + 1).fold(self.lookups.merges.lens().len(), usize::max);
        let mut spellings: Vec<Option<Vec<u8>>> = vec![None; size];
        if self.alphabet == Alphabet::Characters {
            for (byte, id) in (0..=255).zip(self.lookups.merges.bytes()) {
                spellings[*id as usize] = Some(vec![byte]);
            }
        }
        for word in self.lookups.vocabulary.words() {
            spellings[word.id as usize] = Some(word.bytes);
        }
        for token in added() {
            spellings[token.id as usize] = Some(token.content.clone());
        }
        spellings
    }

    fn new(definition: Definition) -> Self {
        let merges = Merges::new(definition.bytes, &definition.merges, definition.lens);
        let atoms = match definition.alphabet {
            Alphabet::Bytes => Atoms::new(&merges, &definition.merges),
            Alphabet::Characters => Atoms::all(&characters(&definition.words)),
        };
        Self {
            normalizer: definition.normalizer,
            splitting: definition.splitting,
            alphabet: definition.alphabet,
            added: AddedSet::new(definition.added),
            added_normalized: AddedSet::new(definition.added_normalized),
            lookups: Lookups {
                vocabulary: Vocabulary::new(&definition.words),
                cuts: definition.cuts,
                atoms,
                cache: Cache::new(),
                merges,
            },
        }
    }

    /// Whether words are found by the reference's library of regular expressions.
    #[must_use]
    pub fn runs_regexes(&self) -> bool {
        matches!(&*self.splitting, Splitting::Steps(pre_tokenizer) if pre_tokenizer.runs_regexes())
    }

    /// Appends the ids of `text` to `out`: what the reference's `encode` gives without adding
    /// special tokens.
    ///
    /// # Errors
    /// [`Error::Regex`] where the reference gives the text up, too; `out` is then as it was.
    ///
    /// # Panics
    /// If a single word has 2 GiB or more.
    pub fn encode_into(
        &self,
        scratch: &mut Scratch,
        text: &str,
        policy: AddedTokens,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let start = out.len();
        let encoded = split(&self.added, text, policy, out, |out, at, piece| {
            let piece = self.normalizer.normalized(piece);
            split(&self.added_normalized, &piece, policy, out, |out, inner_at, piece| {
                self.encode_words(scratch, piece, at == 0 && inner_at == 0, out)
            })
        });
        if encoded.is_err() {
            out.truncate(start);
        }
        encoded
    }

    /// Encodes text without added tokens, which may be the first of a document.
    fn encode_words(
        &self,
        scratch: &mut Scratch,
        text: &str,
        is_first: bool,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let batch = &mut scratch.batch;
        let mut start = 0;
        match &*self.splitting {
            Splitting::Steps(pre_tokenizer) => {
                let mut splitter = Splitter::new(pre_tokenizer, text);
                loop {
                    let count = splitter.next_batch(&mut batch.word_ends)?;
                    if count == 0 {
                        return Ok(());
                    }
                    batch.encode(&self.lookups, text.as_bytes(), start, count, out);
                    start = batch.word_ends[count - 1];
                }
            }
            Splitting::Cuts { metaspace } => {
                let spaced =
                    metaspace.map_or(Cow::Borrowed(text), |metaspace| metaspace.spaced(text, is_first));
                let splits = metaspace.is_some_and(|metaspace| metaspace.splits);
                let text = spaced.as_bytes();
                while start < text.len() {
                    let (mut at, mut count) = (start, 0);
                    while at < text.len() && count < batch.word_ends.len() {
                        at = self.lookups.cuts.part_end(text, at, splits);
                        batch.word_ends[count] = at;
                        count += 1;
                    }
                    batch.encode(&self.lookups, text, start, count, out);
                    start = at;
                }
                Ok(())
            }
        }
    }
}

/// Calls `encode` for the parts of `text` around added tokens, with where they begin, and appends the ids of those.
fn split(
    added: &AddedSet,
    text: &str,
    policy: AddedTokens,
    out: &mut Vec<u32>,
    mut encode: impl FnMut(&mut Vec<u32>, usize, &str) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut start, mut at) = (0, 0);
    while policy != AddedTokens::None
        && let Some(found) = added.find(text.as_bytes(), at)
    {
        at = found.start + found.token.content.len();
        if policy == AddedTokens::SkipSpecial && found.token.special {
            continue;
        }
        let Some(taken) = found.token.around.range(text, found.start..at, start) else { continue };
        // One that lies in white space which the one before it took is a token, too.
        if start < taken.start {
            encode(out, start, &text[start..taken.start])?;
        }
        out.push(found.token.id);
        start = taken.end;
    }
    encode(out, start, &text[start..])
}
