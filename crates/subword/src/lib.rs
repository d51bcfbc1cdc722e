//! Subword tokenizers, exactly as Hugging Face `tokenizers` has them, made for pipelines.
//!
//! A [`SubwordEngine`] encodes by byte pairs (byte-level ones, and SentencePiece's), by unigram language models, by WordPiece and
//! by whole words. The patterns that are in use (GPT-2, cl100k and Llama 3, Qwen, o200k, tekken, Kimi K2, DeepSeek, nanochat, BLOOM, CLIP)
//! have matchers of their own; others are run by the reference's own library of regular expressions, which takes a multiple of
//! the time. Everything else is refused with [`Error::Unsupported`]: the engine gives the reference's ids or none. Next to other
//! fast encoders it is built for short start-up (tables can be kept in a file), bounded memory, linear time in any text, and
//! being one of many threads: it starts none, has no globals, what a thread learns of words serves all, and a thread's working
//! memory is a [`Scratch`] that the caller owns.
//!
//! A text goes through these modules in order: `added` finds added tokens, `normalizer` changes the other segments (`text_segment`) where they
//! need that (`charsmap`, `bert`, `metaspace`, `categories` and `unicode` know what), `text_encoder` takes one segment after another,
//! `pre_tokenizer` (with `character_steps`, `blocks` and `pattern` behind it) splits them
//! into words, which `word_steps` may divide, `batch` takes them many at a time, `words` knows those that are tokens, `cache` remembers others, and `model`
//! encodes what is left: byte pairs by `merging`, with what `merges` knows, after `cuts` has divided long words, and what `unknown` says of others; others by
//! `unigram` and `word_piece`.
//!
//! # Unsafe code
//! What the standard library has no safe way to say is said in four functions, each with its
//! reason: calling code that was compiled for newer processors after asking for their features
//! (twice), asking the processor to fetch memory early, and asking the kernel for huge pages.

mod error;
mod tokenizer_json;
mod normalizer_part;
mod pre_tokenizer_part;
mod ids;
mod spelling;
mod definition;
mod bpe_definition;
mod tables;
mod table_steps;
mod text_segment;
mod added;
mod normalizer;
mod runs;
mod bert;
mod charsmap;
mod metaspace;
mod character_table;
mod unicode;
mod categories;
mod splitting;
mod word_ends;
mod character_kind;
mod split_step;
mod pre_tokenizer;
mod word_steps;
mod character_steps;
mod matches;
mod end_of_word;
mod blocks;
mod pattern;
mod text_encoder;
mod batch;
mod words;
mod cache;
mod model;
mod cuts;
mod merging;
mod lane;
mod sweep;
mod atoms;
mod merges;
mod unknown;
mod unigram;
mod word_piece;
mod trie;
mod pages;

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;

pub use added::AddedTokens;
pub use error::Error;
pub use tables::VERSION;
pub use text_encoder::Scratch;

use crate::added::{AddedPiece, AddedSet};
use crate::atoms::Atoms;
use crate::batch::Lookups;
use crate::bpe_definition::{Alphabet, BpeDefinition, characters};
use crate::cache::Cache;
use crate::definition::{Definition, ModelContent};
use crate::end_of_word::END_OF_WORD;
use crate::merges::{Merges, NO_TOKEN};
use crate::model::{Bpe, SubwordModel};
use crate::normalizer::Normalizer;
use crate::pre_tokenizer::{PreTokenizer, Splitter};
use crate::splitting::Splitting;
use crate::text_encoder::TextEncoder;
use crate::text_segment::TextSegment;
use crate::unigram::Unigram;
use crate::word_ends::{BATCH, LEFT_OUT};
use crate::word_piece::WordPiece;
use crate::words::{Vocabulary, Word};

/// The regular expressions that have matchers of their own: lists, in each of which one splits what the one before it gave.
pub fn known_patterns() -> impl Iterator<Item = &'static [&'static str]> {
    pattern::PATTERNS.iter().map(|(_, patterns)| *patterns)
}

/// A tokenizer's tables, to be shared by all threads, and the words that they met (48 MiB).
#[derive(Debug)]
pub struct SubwordEngine {
    normalizer: Arc<Normalizer>,
    splitting: Arc<Splitting>,
    added: AddedSet,
    added_normalized: AddedSet,
    lookups: Lookups,
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
        let Lookups { vocabulary, model, .. } = &self.lookups;
        tables::write(&Definition {
            normalizer: Arc::clone(&self.normalizer),
            splitting: Arc::clone(&self.splitting),
            model: match model {
                SubwordModel::Bpe(bpe) => ModelContent::Bpe(Box::new(BpeDefinition {
                    alphabet: bpe.alphabet,
                    bytes: *bpe.merges.bytes(),
                    merges: bpe.merges.list(),
                    lens: bpe.merges.lens().to_vec(),
                    cuts: bpe.cuts.clone(),
                    unknown: bpe.unknown,
                })),
                SubwordModel::WordPiece(word_piece) => ModelContent::WordPiece(word_piece.tokens().clone()),
                SubwordModel::Unigram(unigram) => ModelContent::Unigram(unigram.tokens().clone()),
                SubwordModel::WordLevel { unknown } => ModelContent::WordLevel { unknown: *unknown },
            },
            words: vocabulary.words(),
            added: self.added.tokens().to_vec(),
            added_normalized: self.added_normalized.tokens().to_vec(),
        })
    }

    /// The bytes that each token stands for, by id, which may be a part of a character, and with the prefix (`##`) where it
    /// continues a word; `None` for an id that no text gives. Made in a hundredth of a second, to be kept by whoever spells many.
    pub fn spellings(&self) -> Vec<Option<Vec<u8>>> {
        let Lookups { vocabulary, model, .. } = &self.lookups;
        let mut spellings: Vec<Option<Vec<u8>>> = Vec::new();
        let mut spell = |id: u32, bytes: &[u8]| {
            let id = id as usize;
            if spellings.len() <= id {
                spellings.resize(id + 1, None);
            }
            spellings[id] = Some(bytes.to_vec());
        };
        let spelled_bytes = match model {
            SubwordModel::Bpe(bpe) if bpe.alphabet == Alphabet::Characters => Some(bpe.merges.bytes()),
            SubwordModel::Unigram(unigram) => unigram.tokens().bytes.as_deref(),
            _ => None,
        };
        let words = match model {
            SubwordModel::Unigram(unigram) => unigram.tokens().pieces.clone(),
            _ => vocabulary.words(),
        };
        for word in words {
            // No text has the end.
            spell(word.id, word.bytes.strip_suffix(&[END_OF_WORD]).unwrap_or(&word.bytes));
        }
        let spelled_bytes = (0..=255).zip(spelled_bytes.into_iter().flatten());
        spelled_bytes.filter(|(_, id)| **id != NO_TOKEN).for_each(|(byte, id)| spell(*id, &[byte]));
        for token in self.added.tokens().iter().chain(self.added_normalized.tokens()) {
            spell(token.id, &token.content);
        }
        spellings
    }

    fn new(definition: Definition) -> Self {
        let Definition { normalizer, splitting, words, added, added_normalized, .. } = definition;
        let model = model(definition.model, &words);
        Self {
            normalizer,
            splitting,
            added: AddedSet::new(added),
            added_normalized: AddedSet::new(added_normalized),
            lookups: Lookups { vocabulary: Vocabulary::new(&words), cache: Cache::new(), model },
        }
    }

    /// Whether words are found by the reference's library of regular expressions.
    #[must_use]
    pub fn runs_regexes(&self) -> bool {
        self.splitting.steps.as_ref().is_some_and(PreTokenizer::runs_regexes)
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
        let mut encoder = TextEncoder::new(&self.lookups, &self.splitting, scratch, text, out);
        let encoded = self.each_segment(text, policy, |segment| encoder.take(segment));
        match encoded {
            Ok(()) => encoder.finish(),
            Err(_) => out.truncate(start),
        }
        encoded
    }

    /// Appends the words of `text` to `words`, as the model gets them, and where each ends there to `ends`. Added tokens are
    /// none, and a space stands for each `▁` of SentencePiece's. It is made for checks and takes its time.
    ///
    /// # Errors
    /// [`Error::Regex`] where the reference gives the text up, too.
    pub fn split_into(
        &self,
        text: &str,
        policy: AddedTokens,
        words: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let splits_at_spaces = self.splitting.metaspace.is_some_and(|metaspace| metaspace.splits);
        self.each_segment(text, policy, |segment| {
            let TextSegment::Text { text: segment, is_first, .. } = segment else { return Ok(()) };
            let spaced = self.splitting.spaced(segment, is_first);
            let mut put = |word: &[u8]| {
                words.extend_from_slice(word);
                ends.push(words.len());
            };
            let Some(pre_tokenizer) = &self.splitting.steps else {
                let mut rest = spaced.as_bytes();
                while !rest.is_empty() {
                    let end = memchr(b' ', &rest[1..]).filter(|_| splits_at_spaces);
                    let (word, behind) = rest.split_at(end.map_or(rest.len(), |len| 1 + len));
                    put(word);
                    rest = behind;
                }
                return Ok(());
            };
            let mut splitter = Splitter::new(pre_tokenizer, &spaced);
            let (mut start, mut found) = (0, [0; BATCH]);
            loop {
                let count = splitter.next_batch(&mut found)?;
                if count == 0 {
                    return Ok(());
                }
                for end in &found[..count] {
                    let place = end & !LEFT_OUT;
                    if end & LEFT_OUT == 0 {
                        put(&spaced.as_bytes()[start..place]);
                    }
                    start = place;
                }
            }
        })
    }

    /// Calls `take` for the segments of a text, in order.
    fn each_segment(
        &self,
        text: &str,
        policy: AddedTokens,
        mut take: impl FnMut(TextSegment<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.added.split(text, policy, |outer| {
            let range = match outer {
                AddedPiece::Between(range) => range,
                AddedPiece::Token(id, range) => return take(TextSegment::Token { id, range: Some(range) }),
            };
            let segment = &text[range.clone()];
            let normalized = self.normalizer.normalized(segment)?;
            // Where nothing changed, what is found there stands in the text.
            let is_same = matches!(&normalized, Cow::Borrowed(same) if same.len() == segment.len());
            let at = is_same.then_some(range.start);
            self.added_normalized.split(&normalized, policy, |inner| {
                take(match inner {
                    AddedPiece::Between(inner) => TextSegment::Text {
                        at: at.map(|at| at + inner.start),
                        is_first: range.start == 0 && inner.start == 0,
                        text: &normalized[inner],
                    },
                    AddedPiece::Token(id, inner) => {
                        TextSegment::Token { id, range: at.map(|at| at + inner.start..at + inner.end) }
                    }
                })
            })
        })
    }
}

/// The model, with its tables.
fn model(definition: ModelContent, words: &[Word]) -> SubwordModel {
    match definition {
        ModelContent::Bpe(bpe) => {
            let BpeDefinition { alphabet, bytes, merges: list, lens, cuts, unknown } = *bpe;
            let merges = Merges::new(bytes, &list, lens);
            let atoms = match alphabet {
                Alphabet::Bytes => Atoms::new(&merges, &list),
                Alphabet::Characters => Atoms::all(&characters(words)),
            };
            SubwordModel::Bpe(Box::new(Bpe { alphabet, merges, atoms, cuts, unknown }))
        }
        ModelContent::WordPiece(tokens) => SubwordModel::WordPiece(WordPiece::new(words, tokens)),
        ModelContent::Unigram(tokens) => SubwordModel::Unigram(Unigram::new(tokens)),
        ModelContent::WordLevel { unknown } => SubwordModel::WordLevel { unknown },
    }
}
