//! The reference: Hugging Face `tokenizers`, which defines what the right ids are.
//!
//! Loading it whole costs 0.6 CPU-seconds and 90 MB for Llama 3, as every entry and
//! every merge goes into hash maps. To check a few texts, almost none of them is
//! needed, so there are two forms that give the same ids:
//!
//! - [`Reference::whole`], from the file, for any text;
//! - [`Outline::reference_for`], for given texts only, with the part of the
//!   vocabulary that can appear in them.
//!
//! Why the part is enough: byte-pair encoding starts from the characters of a word
//! and joins neighbors, so each symbol it ever holds is a substring of the word. An
//! entry that is a substring of no word of the texts is never reached, nor is a merge
//! that makes it, and an absent merge that is never reached changes nothing, as the
//! order of the others stays the same. The words are taken from the reference's own
//! normalizer and pre-tokenizer. This holds where a character is spelled as itself:
//! models with affixes, byte fallback, an unknown token or dropout are loaded whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::{
    AddedToken, DecoderWrapper, Encoding, Model, NormalizerWrapper, OffsetReferential, OffsetType,
    PostProcessorWrapper, PreTokenizer as _, PreTokenizerWrapper, Token, Tokenizer, TokenizerBuilder,
    TokenizerImpl,
};

use super::definition::{AddedTokenEntry, Definition, Merge};
use super::vocabulary::{Grams, VocabularyIndex};
use super::{Error, SpecialTokensInText};

/// The version of the crate that defines the ids.
pub(super) const VERSION: &str = "0.23.2";

/// Hugging Face `tokenizers` with a tokenizer loaded.
pub(super) enum Reference {
    Whole(Box<Tokenizer>),
    Part(Box<Pipeline<PartialModel>>),
}

type Pipeline<M> =
    TokenizerImpl<M, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

impl Reference {
    /// The reference for any text.
    pub(super) fn whole(tokenizer_json: &str, policy: SpecialTokensInText) -> Result<Self, Error> {
        let mut tokenizer = Tokenizer::from_bytes(tokenizer_json).map_err(refused)?;
        tokenizer.with_truncation(None).map_err(refused)?;
        tokenizer.with_padding(None);
        tokenizer.set_encode_special_tokens(policy == SpecialTokensInText::Split);
        Ok(Self::Whole(Box::new(tokenizer)))
    }

    /// The vocabulary entry with this id.
    pub(super) fn entry(&self, id: u32) -> Option<String> {
        match self {
            Self::Whole(tokenizer) => tokenizer.id_to_token(id),
            Self::Part(tokenizer) => tokenizer.id_to_token(id),
        }
    }

    /// Appends the ids of `text`, without anything before or after them.
    pub(super) fn encode(&self, text: &str, ids: &mut Vec<u32>) -> Result<(), Error> {
        let encoding = match self {
            Self::Whole(tokenizer) => tokenizer.encode_fast(text, false),
            Self::Part(tokenizer) => tokenizer.encode_fast(text, false),
        };
        ids.extend_from_slice(encoding.map_err(|source| Error::Encode { source })?.get_ids());
        Ok(())
    }
}

/// A tokenizer without its vocabulary: it knows the added tokens, what is put around
/// a document, and into which words a text is cut.
pub(super) struct Outline {
    pipeline: Pipeline<PartialModel>,
    /// Whether a part of the vocabulary is enough for given texts.
    is_divisible: bool,
    special_tokens_in_text: SpecialTokensInText,
}

impl Outline {
    /// Builds the outline of a definition.
    pub(super) fn new(definition: &Definition<'_>, index: &VocabularyIndex<'_>) -> Result<Self, Error> {
        let mut pipeline = pipeline(definition, PartialModel::empty(definition, index))?;
        pipeline.add_tokens(definition.added_tokens.iter().map(added_token)).map_err(refused)?;
        let is_divisible = definition.model.spells_characters_as_themselves() && index.ids_are_unique();
        Ok(Self { pipeline, is_divisible, special_tokens_in_text: SpecialTokensInText::Encode })
    }

    /// Decides what becomes of special tokens in texts; at first they are encoded.
    pub(super) fn set_special_tokens_in_text(&mut self, policy: SpecialTokensInText) {
        self.special_tokens_in_text = policy;
        self.pipeline.set_encode_special_tokens(policy == SpecialTokensInText::Split);
    }

    /// The added tokens with the ids the reference gives them, by id. (They are not
    /// always the file's: a token that is in the vocabulary keeps its id from there.)
    pub(super) fn added_tokens(&self) -> Vec<(u32, AddedToken)> {
        let mut tokens: Vec<_> = self.pipeline.get_added_tokens_decoder().into_iter().collect();
        tokens.sort_unstable_by_key(|(id, _)| *id);
        tokens
    }

    /// The ids that the post-processor puts before and after a document.
    pub(super) fn template(&self) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let document = Token::new(u32::MAX, "a".to_owned(), (0, 1));
        let around = self
            .pipeline
            .post_process(Encoding::from_tokens(vec![document], 0), None, true)
            .map_err(refused)?;
        let mut parts = around.get_ids().split(|&id| id == u32::MAX);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(before), Some(after), None) => Ok((before.to_vec(), after.to_vec())),
            _ => Err(Error::Template),
        }
    }

    /// Every word of `text`, as the model gets it.
    fn words(&self, text: &str, mut each: impl FnMut(&str)) -> Result<(), Error> {
        let mut words =
            self.pipeline.get_added_vocabulary().extract_and_normalize(self.pipeline.get_normalizer(), text);
        if let Some(pre_tokenizer) = self.pipeline.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words).map_err(|source| Error::Encode { source })?;
        }
        for (word, _, added) in words.get_splits(OffsetReferential::Normalized, OffsetType::None) {
            if added.is_none() {
                each(word);
            }
        }
        Ok(())
    }

    /// The reference for `texts` and nothing else (see the module's text), or `None`
    /// for a model that has to be loaded whole.
    pub(super) fn reference_for<'t>(
        &self,
        definition: &Definition<'_>,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<Option<Reference>, Error> {
        if !self.is_divisible {
            return Ok(None);
        }
        let mut grams = Grams::new();
        for text in texts {
            self.words(text, |word| grams.add(word))?;
        }
        let mut pipeline = pipeline(definition, self.pipeline.get_model().with(definition, &grams)?)?;
        pipeline.add_tokens(definition.added_tokens.iter().map(added_token)).map_err(refused)?;
        pipeline.set_encode_special_tokens(self.special_tokens_in_text == SpecialTokensInText::Split);
        Ok(Some(Reference::Part(Box::new(pipeline))))
    }
}

/// Everything of the reference but the vocabulary and the added tokens.
fn pipeline(definition: &Definition<'_>, model: PartialModel) -> Result<Pipeline<PartialModel>, Error> {
    fn part<T: serde::de::DeserializeOwned>(part: Option<&serde_json::Value>) -> Result<Option<T>, Error> {
        part.map(T::deserialize).transpose().map_err(|source| Error::Json { file: "tokenizer.json", source })
    }
    TokenizerBuilder::new()
        .with_model(model)
        .with_normalizer(part(definition.normalizer.as_ref())?)
        .with_pre_tokenizer(part(definition.pre_tokenizer.as_ref())?)
        .with_post_processor(part(definition.post_processor.as_ref())?)
        .build()
        .map_err(refused)
}

fn added_token(entry: &AddedTokenEntry) -> AddedToken {
    AddedToken {
        content: entry.content.clone(),
        single_word: entry.single_word,
        lstrip: entry.lstrip,
        rstrip: entry.rstrip,
        normalized: entry.normalized,
        special: entry.special,
    }
}

fn refused(source: tokenizers::Error) -> Error {
    Error::Refused { source }
}

/// A byte-pair model that holds a part of its vocabulary, but answers questions about
/// the whole: the reference numbers added tokens after the vocabulary's size.
pub(super) struct PartialModel {
    bpe: BPE,
    vocabulary_size: usize,
    /// Ids of those added tokens that the vocabulary has too.
    known: HashMap<String, u32>,
}

impl PartialModel {
    fn empty(definition: &Definition<'_>, index: &VocabularyIndex<'_>) -> Self {
        let known = definition
            .added_tokens
            .iter()
            .filter_map(|token| Some((token.content.clone(), index.id(&token.content)?)))
            .collect();
        Self { bpe: BPE::default(), vocabulary_size: index.len(), known }
    }

    /// The entries that may appear where the text has the `grams`, and their merges.
    fn with(&self, definition: &Definition<'_>, grams: &Grams) -> Result<Self, Error> {
        // Where the file has a spelling twice, the last one counts.
        let kept: tokenizers::models::bpe::Vocab = definition
            .model
            .vocab
            .0
            .iter()
            .filter(|(token, _)| grams.may_hold(token))
            .map(|(token, id)| (token.clone().into_owned(), *id))
            .collect();
        let mut merges = Vec::new();
        let mut joined = String::new();
        let each = |merge: Merge<'_>| {
            if kept.contains_key(&*merge.left) && kept.contains_key(&*merge.right) {
                joined.clear();
                joined.push_str(&merge.left);
                joined.push_str(&merge.right);
                if kept.contains_key(&joined) {
                    merges.push((merge.left.into_owned(), merge.right.into_owned()));
                }
            }
        };
        definition.each_merge(each).map_err(|source| Error::Json { file: "tokenizer.json", source })?;
        // No cache: it is kept per thread for as long as the thread lives.
        let bpe = BPE::builder()
            .vocab_and_merges(kept, merges)
            .ignore_merges(definition.model.ignore_merges.unwrap_or(false))
            .cache_capacity(0)
            .build()
            .map_err(refused)?;
        Ok(Self { bpe, vocabulary_size: self.vocabulary_size, known: self.known.clone() })
    }
}

impl Model for PartialModel {
    type Trainer = BpeTrainer;

    fn tokenize(&self, word: &str) -> tokenizers::Result<Vec<Token>> {
        self.bpe.tokenize(word)
    }

    fn token_to_id(&self, token: &str) -> Option<u32> {
        self.known.get(token).copied()
    }

    fn id_to_token(&self, id: u32) -> Option<String> {
        self.bpe.id_to_token(id)
    }

    fn get_vocab(&self) -> HashMap<String, u32> {
        self.bpe.get_vocab()
    }

    fn get_vocab_size(&self) -> usize {
        self.vocabulary_size
    }

    fn save(&self, _folder: &Path, _prefix: Option<&str>) -> tokenizers::Result<Vec<PathBuf>> {
        Err("a part of a model can't be saved".into())
    }

    fn get_trainer(&self) -> BpeTrainer {
        self.bpe.get_trainer()
    }
}
