//! A part of a model that gives the same ids for given texts.
//!
//! Why it is enough: byte-pair encoding starts from the characters of a word
//! and joins neighbors, so each symbol it ever holds is a substring of the word. An
//! entry that is a substring of no word of the texts is never reached, nor is a merge
//! that makes it, and an absent merge that is never reached changes nothing, as the
//! order of the others stays the same. A unigram model, too, looks for substrings of a word alone; where none is found, the
//! least score counts, so that the entry that has it is kept. What stands for characters without an entry (bytes, an
//! unknown token) is kept, with all that is made of it. What ends a word in a token is no part of the word. Models whose tokens
//! say that they go on are loaded whole, as are WordPiece and whole words, whose vocabularies are small.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::models::bpe::{self, BPE, BpeTrainer};
use tokenizers::models::unigram::Unigram;
use tokenizers::{Model, Token};

use super::definition::{Lists, MergeRule, ModelPart, TokenizerJson};
use super::error::Error;
use super::vocabulary::{Fallback, Grams, VocabularyIndex};

/// See the [module](self). It answers questions about the whole: the reference numbers added tokens after the vocabulary's
/// size.
pub(super) struct PartialModel {
    part: Part,
    vocabulary_size: usize,
    ignore_merges: bool,
    /// What is behind a token that ends a word.
    end_of_word: Option<String>,
    fallback: Fallback,
    /// Ids of those added tokens that the vocabulary has too.
    known: HashMap<String, u32>,
}

enum Part {
    BytePairs(Box<BPE>),
    /// Its ids are places in a list: those of the part, and for each of them that of the whole.
    Unigram(Box<Unigram>, Vec<u32>),
}

impl PartialModel {
    pub(super) fn empty(definition: &TokenizerJson<'_>, index: &VocabularyIndex<'_>) -> Self {
        let known = definition
            .added_tokens
            .iter()
            .filter_map(|token| Some((token.content.clone(), index.id(&token.content)?)))
            .collect();
        let ignore_merges = definition.model.ignore_merges.unwrap_or(false);
        let fallback = definition.model.fallback();
        let part = Part::BytePairs(Box::default());
        let end_of_word = definition.model.end_of_word_suffix.clone();
        Self { part, vocabulary_size: index.len(), ignore_merges, end_of_word, fallback, known }
    }

    /// The entries that may appear where the text has the `grams`, and their merges.
    pub(super) fn with(&self, lists: &Lists, tokenizer_json: &str, grams: &Grams) -> Result<Self, Error> {
        let part = match lists.are_scored() {
            true => self.unigram(lists, tokenizer_json, grams)?,
            false => Part::BytePairs(Box::new(self.byte_pairs(lists, tokenizer_json, grams)?)),
        };
        let (end_of_word, fallback) = (self.end_of_word.clone(), self.fallback.clone());
        Ok(Self { part, known: self.known.clone(), end_of_word, fallback, ..*self })
    }

    fn byte_pairs(&self, lists: &Lists, tokenizer_json: &str, grams: &Grams) -> Result<BPE, Error> {
        let mut kept = bpe::Vocab::new();
        let (mut merges, mut joined, fallback) = (Vec::new(), String::new(), &self.fallback);
        let suffix = self.end_of_word.as_deref().unwrap_or_default();
        let may_hold = |token: &str| grams.may_hold(token.strip_suffix(suffix).unwrap_or(token));
        let keep = |part: ModelPart<'_>| match part {
            ModelPart::Entry(token, id) => {
                if may_hold(&token) || fallback.holds(&token) {
                    // Where the file has a spelling twice, the last one counts.
                    kept.insert(token.into_owned(), id);
                }
            }
            // The cheap questions first: few merges are left to ask the last of.
            ModelPart::Merge(MergeRule { left, right })
                if grams.may_meet(&left, right.strip_suffix(suffix).unwrap_or(&right))
                    || fallback.holds(&left)
                    || fallback.holds(&right) =>
            {
                joined.clear();
                joined.push_str(&left);
                joined.push_str(&right);
                if (may_hold(&joined) || fallback.holds(&joined))
                    && [&*joined, &left, &right].iter().all(|&part| kept.contains_key(part))
                {
                    merges.push((left.into_owned(), right.into_owned()));
                }
            }
            ModelPart::Merge(_) | ModelPart::Piece(..) => {}
        };
        lists.each_part(tokenizer_json, keep).map_err(malformed)?;
        // No cache: it is kept per thread for as long as the thread lives.
        let mut builder = BPE::builder()
            .vocab_and_merges(kept, merges)
            .ignore_merges(self.ignore_merges)
            .fuse_unk(fallback.fuses_unknown)
            .byte_fallback(fallback.spells_bytes)
            .cache_capacity(0);
        if !suffix.is_empty() {
            builder = builder.end_of_word_suffix(suffix.to_owned());
        }
        if let Some(unknown) = &fallback.unknown {
            builder = builder.unk_token(unknown.clone());
        }
        builder.build().map_err(Error::refused)
    }

    fn unigram(&self, lists: &Lists, tokenizer_json: &str, grams: &Grams) -> Result<Part, Error> {
        let (mut pieces, mut ids, mut least) = (Vec::new(), Vec::new(), None);
        let (mut place, mut unknown, fallback) = (0, None, &self.fallback);
        let mut keep = |token: &str, score: f64, id: u32, is_unknown: bool| {
            unknown = unknown.or(is_unknown.then_some(pieces.len()));
            pieces.push((token.to_owned(), score));
            ids.push(id);
        };
        let take = |part: ModelPart<'_>| {
            let ModelPart::Piece(token, score) = part else { return };
            let is_unknown = fallback.unknown_id == Some(place);
            if is_unknown || grams.may_hold(&token) || fallback.holds(&token) {
                keep(&token, score, place, is_unknown);
            } else if least.as_ref().is_none_or(|(_, lowest, _)| score < *lowest) {
                least = Some((token.into_owned(), score, place));
            }
            place += 1;
        };
        lists.each_part(tokenizer_json, take).map_err(malformed)?;
        if let Some((token, score, id)) = least {
            keep(&token, score, id, false);
        }
        let mut unigram = Unigram::from(pieces, unknown, fallback.spells_bytes).map_err(Error::refused)?;
        unigram.resize_cache(0);
        Ok(Part::Unigram(Box::new(unigram), ids))
    }
}

fn malformed(source: serde_json::Error) -> Error {
    Error::Json { file: "tokenizer.json", source }
}

impl Model for PartialModel {
    type Trainer = BpeTrainer;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        match &self.part {
            Part::BytePairs(bpe) => bpe.tokenize(word),
            Part::Unigram(unigram, ids) => {
                let mut tokens = unigram.tokenize(word)?;
                tokens.iter_mut().for_each(|token| token.id = ids[token.id as usize]);
                Ok(tokens)
            }
        }
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.known.get(token).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        match &self.part {
            Part::BytePairs(bpe) => bpe.id_to_token(id),
            Part::Unigram(unigram, ids) => {
                let place = ids.iter().position(|whole| *whole == id)?;
                unigram.id_to_token(u32::try_from(place).ok()?)
            }
        }
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        match &self.part {
            Part::BytePairs(bpe) => bpe.get_vocab(),
            Part::Unigram(unigram, ids) => {
                unigram.get_vocab().into_iter().map(|(token, place)| (token, ids[place as usize])).collect()
            }
        }
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary_size
    }

    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a part of a model can't be saved".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        BpeTrainer::default()
    }
}
