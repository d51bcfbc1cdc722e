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
//! Why the part is enough is said where it is made: [`super::partial_model`]. Words are taken from the reference's own
//! normalizer and pre-tokenizer.

use std::ops::Range;

use mashbill_store::door;
use tokenizers::{
    AddedToken, DecoderWrapper, Encoding, NormalizerWrapper, OffsetReferential, OffsetType,
    PostProcessorWrapper, PreTokenizer as _, PreTokenizerWrapper, Token, Tokenizer, TokenizerBuilder,
    TokenizerImpl,
};

use super::definition::{AddedTokenEntry, Lists, TokenizerJson, has_byte_level};
use super::error::Error;
use super::options::SpecialTokensInText;
use super::partial_model::PartialModel;
use super::spell;
use super::vocabulary::{Grams, VocabularyIndex};

/// The version of the crate that defines the ids.
pub(super) const VERSION: &str = "0.23.2";

/// What is said where it panics over a text: mostly its regular expressions have tried ten million ways to match one
/// word, which is where Oniguruma gives up (twelve megabytes of spaces are such a word to most patterns).
const GAVE_UP: &str = "`tokenizers` gives up on it";

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
        let mut tokenizer = Tokenizer::from_bytes(tokenizer_json).map_err(Error::refused)?;
        tokenizer.with_truncation(None).map_err(Error::refused)?;
        tokenizer.with_padding(None);
        tokenizer.set_encode_special_tokens(policy == SpecialTokensInText::Split);
        Ok(Self::Whole(Box::new(tokenizer)))
    }

    /// From now on, what becomes of special tokens in texts.
    pub(super) fn set_special_tokens_in_text(&mut self, policy: SpecialTokensInText) {
        let are_split = policy == SpecialTokensInText::Split;
        match self {
            Self::Whole(tokenizer) => tokenizer.set_encode_special_tokens(are_split),
            Self::Part(tokenizer) => tokenizer.set_encode_special_tokens(are_split),
        }
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
        let encoding = door::behind(|| match self {
            Self::Whole(tokenizer) => tokenizer.encode_fast(text, false),
            Self::Part(tokenizer) => tokenizer.encode_fast(text, false),
        });
        let encoding = encoding.unwrap_or_else(|_| Err(GAVE_UP.into()));
        ids.extend_from_slice(encoding.map_err(|source| Error::Encode { source })?.get_ids());
        Ok(())
    }
}

impl Reference {
    /// The text of ids.
    pub(super) fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, Error> {
        let decoded = door::behind(|| match self {
            Self::Whole(tokenizer) => tokenizer.decode(ids, skip_special_tokens),
            Self::Part(tokenizer) => tokenizer.decode(ids, skip_special_tokens),
        });
        decoded.unwrap_or_else(|_| Err(GAVE_UP.into())).map_err(|source| Error::Decode { source })
    }

    /// Appends for each of `ids`, which are those of `text`, the bytes of the text that it stands for.
    pub(super) fn ranges(
        &self,
        text: &str,
        ids: &[u32],
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        let mut own = Vec::with_capacity(ids.len());
        self.encode_with_ranges(text, &mut own, ranges)?;
        if own == ids { Ok(()) } else { Err(Self::has_other_ids()) }
    }

    /// Appends the ids of `text`, and for each of them the bytes of the text that it stands for.
    pub(super) fn encode_with_ranges(
        &self,
        text: &str,
        ids: &mut Vec<u32>,
        ranges: &mut Vec<Range<usize>>,
    ) -> Result<(), Error> {
        let encoding = door::behind(|| match self {
            Self::Whole(tokenizer) => tokenizer.encode(text, false),
            Self::Part(tokenizer) => tokenizer.encode(text, false),
        });
        let encoding = encoding.unwrap_or_else(|_| Err(GAVE_UP.into()));
        let encoding = encoding.map_err(|source| Error::Encode { source })?;
        ids.extend_from_slice(encoding.get_ids());
        ranges.extend(encoding.get_offsets().iter().map(|(start, end)| *start..*end));
        Ok(())
    }

    /// The error of ids that the reference does not give.
    pub(super) fn has_other_ids() -> Error {
        Error::Encode { source: "the reference has other ids for it".into() }
    }
}

/// A tokenizer without its vocabulary: it knows the added tokens, what is put around
/// a document, and into which words a text is cut.
pub(super) struct Outline {
    pipeline: Pipeline<PartialModel>,
    steps: Steps,
    /// Where the vocabulary is, if a part of it is enough for given texts.
    divisible: Option<Lists>,
    special_tokens_in_text: SpecialTokensInText,
}

impl Outline {
    /// Builds the outline of a definition.
    pub(super) fn new(definition: &TokenizerJson<'_>, index: &VocabularyIndex<'_>) -> Result<Self, Error> {
        let steps = Steps::of(definition);
        let pipeline = steps.pipeline(PartialModel::empty(definition, index))?;
        let is_divisible = definition.model.is_divisible() && index.ids_are_unique();
        let divisible = definition.lists().filter(|_| is_divisible);
        Ok(Self { pipeline, steps, divisible, special_tokens_in_text: SpecialTokensInText::Encode })
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

    /// The id of an added token, or of an entry of the vocabulary, with this spelling.
    pub(super) fn id_of(&self, token: &str) -> Option<u32> {
        self.pipeline.token_to_id(token)
    }

    /// The ids that the post-processor puts before and after a document.
    pub(super) fn template(&self) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let document = Token::new(u32::MAX, "a".to_owned(), (0, 1));
        let around = self
            .pipeline
            .post_process(Encoding::from_tokens(vec![document], 0), None, true)
            .map_err(Error::refused)?;
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

    /// Appends the words of `text` and where they end. The letters of byte-level tokenizers become the bytes they stand for.
    pub(super) fn split_into(
        &self,
        text: &str,
        words: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let spells_bytes = self.steps.pre_tokenizer.as_ref().is_some_and(has_byte_level);
        self.words(text, |word| {
            match Some(word).filter(|_| spells_bytes).and_then(spell::bytes_of) {
                Some(bytes) => words.extend_from_slice(&bytes),
                None => words.extend_from_slice(word.as_bytes()),
            }
            ends.push(words.len());
        })
    }

    /// What texts go through before the model.
    pub(super) fn steps(&self) -> Vec<&serde_json::Value> {
        self.steps.normalizer.iter().chain(&self.steps.pre_tokenizer).collect()
    }

    /// The reference for `texts` and nothing else (see the module's text), or `None`
    /// for a model that has to be loaded whole.
    pub(super) fn reference_for<'t>(
        &self,
        tokenizer_json: &str,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<Option<Reference>, Error> {
        let mut grams = Grams::new();
        self.add_words(texts, &mut grams)?;
        self.reference_of(tokenizer_json, &grams)
    }

    /// Adds the words of `texts`.
    pub(super) fn add_words<'t>(
        &self,
        texts: impl Iterator<Item = &'t str>,
        grams: &mut Grams,
    ) -> Result<(), Error> {
        // A model that is loaded whole needs none.
        if self.divisible.is_none() {
            return Ok(());
        }
        for text in texts {
            self.words(text, |word| grams.add(word))?;
        }
        Ok(())
    }

    /// The reference for texts whose words were added, as [`Outline::reference_for`] has it.
    pub(super) fn reference_of(
        &self,
        tokenizer_json: &str,
        grams: &Grams,
    ) -> Result<Option<Reference>, Error> {
        let Some(lists) = &self.divisible else { return Ok(None) };
        let mut pipeline =
            self.steps.pipeline(self.pipeline.get_model().with(lists, tokenizer_json, grams)?)?;
        pipeline.set_encode_special_tokens(self.special_tokens_in_text == SpecialTokensInText::Split);
        Ok(Some(Reference::Part(Box::new(pipeline))))
    }
}

/// Everything of the reference but the model.
struct Steps {
    normalizer: Option<serde_json::Value>,
    pre_tokenizer: Option<serde_json::Value>,
    post_processor: Option<serde_json::Value>,
    added_tokens: Vec<AddedTokenEntry>,
}

impl Steps {
    fn of(definition: &TokenizerJson<'_>) -> Self {
        Self {
            normalizer: definition.normalizer.clone(),
            pre_tokenizer: definition.pre_tokenizer.clone(),
            post_processor: definition.post_processor.clone(),
            added_tokens: definition.added_tokens.clone(),
        }
    }

    /// The reference with this model.
    fn pipeline(&self, model: PartialModel) -> Result<Pipeline<PartialModel>, Error> {
        fn step<T: serde::de::DeserializeOwned>(
            step: Option<&serde_json::Value>,
        ) -> Result<Option<T>, Error> {
            step.map(T::deserialize)
                .transpose()
                .map_err(|source| Error::Json { file: "tokenizer.json", source })
        }
        let mut pipeline = TokenizerBuilder::new()
            .with_model(model)
            .with_normalizer(step(self.normalizer.as_ref())?)
            .with_pre_tokenizer(step(self.pre_tokenizer.as_ref())?)
            .with_post_processor(step(self.post_processor.as_ref())?)
            .build()
            .map_err(Error::refused)?;
        pipeline.add_tokens(self.added_tokens.iter().map(added_token)).map_err(Error::refused)?;
        Ok(pipeline)
    }
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
