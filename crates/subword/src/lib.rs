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
//! A text goes through these modules in order: `added` finds added tokens, `normalizer` changes the rest where it needs that
//! (`charsmap`, `bert`, `metaspace`, `categories` and `unicode` know what), `pre_tokenizer` (with `character_steps`, `blocks` and `pattern` behind it) splits it
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

pub use error::Error;
pub use tables::VERSION;

use crate::added::AddedSet;
use crate::atoms::Atoms;
use crate::batch::{BatchScratch, Lookups};
use crate::bpe_definition::{Alphabet, BpeDefinition, characters};
use crate::cache::Cache;
use crate::definition::{Definition, ModelContent};
use crate::end_of_word::END_OF_WORD;
use crate::merges::{Merges, NO_TOKEN};
use crate::model::{Bpe, SubwordModel};
use crate::normalizer::Normalizer;
use crate::pre_tokenizer::{PreTokenizer, Splitter};
use crate::splitting::Splitting;
use crate::unigram::Unigram;
use crate::word_ends::{BATCH, LEFT_OUT};
use crate::word_piece::WordPiece;
use crate::words::{Vocabulary, Word};

/// The regular expressions that have matchers of their own: lists, in each of which one splits what the one before it gave.
pub fn known_patterns() -> impl Iterator<Item = &'static [&'static str]> {
    pattern::PATTERNS.iter().map(|(_, patterns)| *patterns)
}

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

/// A tokenizer's tables, to be shared by all threads, and the words that they met (48 MiB).
#[derive(Debug)]
pub struct SubwordEngine {
    normalizer: Arc<Normalizer>,
    splitting: Arc<Splitting>,
    added: AddedSet,
    added_normalized: AddedSet,
    lookups: Lookups,
}

/// A thread's working memory. It serves any engine.
#[derive(Debug, Default)]
pub struct Scratch {
    batch: Box<BatchScratch>,
    /// Words with their ends.
    marked: Vec<u8>,
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
        let encoded = self.each_part(text, policy, out, |out, part, is_first| {
            self.encode_words(scratch, part, is_first, out)
        });
        if encoded.is_err() {
            out.truncate(start);
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
        self.each_part(text, policy, &mut Vec::new(), |_, part, is_first| {
            let spaced = self.spaced(part, is_first);
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

    /// Calls `encode` for the parts of a text around added tokens, normalized, with whether each begins it, and appends the
    /// ids of those tokens to `out`.
    fn each_part(
        &self,
        text: &str,
        policy: AddedTokens,
        out: &mut Vec<u32>,
        mut encode: impl FnMut(&mut Vec<u32>, &str, bool) -> Result<(), Error>,
    ) -> Result<(), Error> {
        split(&self.added, text, policy, out, |out, at, piece| {
            let piece = self.normalizer.normalized(piece)?;
            split(&self.added_normalized, &piece, policy, out, |out, inner_at, piece| {
                encode(out, piece, at == 0 && inner_at == 0)
            })
        })
    }

    /// What becomes of the spaces of a text without added tokens, which may be the first of a document.
    fn spaced<'t>(&self, text: &'t str, is_first: bool) -> Cow<'t, str> {
        let Splitting { prepends_space, metaspace, .. } = &*self.splitting;
        let spaced = metaspace.map_or(Cow::Borrowed(text), |metaspace| metaspace.spaced(text, is_first));
        match *prepends_space && !text.starts_with(' ') && !text.is_empty() {
            true => Cow::Owned([" ", text].concat()),
            false => spaced,
        }
    }

    /// Encodes text without added tokens, which may be the first of a document.
    fn encode_words(
        &self,
        scratch: &mut Scratch,
        text: &str,
        is_first: bool,
        out: &mut Vec<u32>,
    ) -> Result<(), Error> {
        let Splitting { metaspace, steps, marks_ends, .. } = &*self.splitting;
        let spaced = self.spaced(text, is_first);
        let (batch, text) = (&mut scratch.batch, &*spaced);
        let Some(pre_tokenizer) = steps else {
            self.encode_whole(batch, text, metaspace.is_some_and(|metaspace| metaspace.splits), out);
            return Ok(());
        };
        let mut start = 0;
        let mut splitter = Splitter::new(pre_tokenizer, text);
        loop {
            let count = splitter.next_batch(&mut batch.word_ends)?;
            if count == 0 {
                return Ok(());
            }
            let end = batch.word_ends[count - 1] & !LEFT_OUT;
            if *marks_ends {
                let count = end_of_word::mark(
                    &mut batch.word_ends,
                    text.as_bytes(),
                    start,
                    count,
                    &mut scratch.marked,
                );
                batch.encode(&self.lookups, &scratch.marked, 0, count, out);
            } else {
                batch.encode(&self.lookups, text.as_bytes(), start, count, out);
            }
            start = end;
        }
    }

    /// Encodes a text that nothing splits, unless each space begins a word.
    fn encode_whole(&self, batch: &mut BatchScratch, text: &str, splits: bool, out: &mut Vec<u32>) {
        let text = text.as_bytes();
        let mut start = 0;
        while start < text.len() {
            let ends = &mut batch.word_ends;
            let count = match self.lookups.model.bpe() {
                Some(bpe) => bpe.cuts.part_ends(text, start, splits, ends),
                None if splits => ends_before_spaces(text, start, ends),
                None => {
                    ends[0] = text.len();
                    1
                }
            };
            let end = ends[count - 1];
            batch.encode(&self.lookups, text, start, count, out);
            start = end;
        }
    }
}

/// Writes into `ends` where words of `text` from `start` on end, of which each begins with a space but the first, and returns how
/// many they are.
fn ends_before_spaces(text: &[u8], start: usize, ends: &mut [usize; BATCH]) -> usize {
    let (mut at, mut count) = (start, 0);
    while at < text.len() && count < BATCH {
        at = memchr(b' ', &text[at + 1..]).map_or(text.len(), |len| at + 1 + len);
        ends[count] = at;
        count += 1;
    }
    count
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
