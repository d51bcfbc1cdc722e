//! What defines an engine, apart from the tables that make it fast, and reading it from a
//! `tokenizer.json`.
//!
//! Whatever could make the reference give other ids than this engine is
//! refused, so every field that bears on encoding without special tokens is looked at; the
//! post-processor and the decoder don't, and truncation and padding are the caller's to do or not.

use std::sync::Arc;

use crate::added::{AddedToken, Around};
use crate::bpe_definition::BpeDefinition;
use crate::error::{Error, refuse, unsupported};
use crate::ids::Ids;
use crate::normalizer::Normalizer;
use crate::pre_tokenizer::PreTokenizer;
use crate::spelling::Spelling;
use crate::splitting::Splitting;
use crate::tokenizer_json::{Added, File};
use crate::unigram::UnigramTokens;
use crate::word_piece::WordPieceTokens;
use crate::words::Word;

/// Everything that ids depend on.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) normalizer: Arc<Normalizer>,
    pub(crate) splitting: Arc<Splitting>,
    pub(crate) model: ModelContent,
    /// Words that are one token, in order of id.
    pub(crate) words: Vec<Word>,
    /// Added tokens that are searched for before normalization.
    pub(crate) added: Vec<AddedToken>,
    /// Added tokens that are searched for after normalization, normalized themselves.
    pub(crate) added_normalized: Vec<AddedToken>,
}

/// What ids depend on where a word is no token.
#[derive(Debug)]
pub(crate) enum ModelContent {
    Bpe(Box<BpeDefinition>),
    WordPiece(WordPieceTokens),
    Unigram(UnigramTokens),
    WordLevel { unknown: u32 },
}

impl Definition {
    pub(crate) fn from_tokenizer_json(json: &str) -> Result<Self, Error> {
        let file = File::read(json)?;
        let (normalizer, mut splitting, is_byte_level) = file.steps()?;
        let model = &file.model;
        let ids = Ids::new(&model.vocab)?;
        let has_metaspace = normalizer.has_metaspace() || splitting.metaspace.is_some();
        let spelling = match (is_byte_level, has_metaspace) {
            (true, _) => Spelling::ByteLetters,
            (false, true) => Spelling::Metaspace,
            (false, false) => Spelling::Plain,
        };
        let is_bpe = model.kind == "BPE";
        refuse(is_byte_level && !is_bpe, &format!("its model is {} of bytes", model.kind))?;
        let (model, words) = match &*model.kind {
            "BPE" => {
                model.check_bpe(is_byte_level)?;
                splitting.marks_ends = model.end_of_word().is_some();
                let divides = splitting.steps.as_ref().is_some_and(PreTokenizer::divides_characters);
                let (bpe, words) = BpeDefinition::new(model, &ids, spelling, divides)?;
                (ModelContent::Bpe(Box::new(bpe)), words)
            }
            "WordPiece" => {
                let (tokens, words) = WordPieceTokens::new(model, &ids, spelling)?;
                (ModelContent::WordPiece(tokens), words)
            }
            "Unigram" => {
                let (tokens, words) = UnigramTokens::new(model, &ids, spelling)?;
                (ModelContent::Unigram(tokens), words)
            }
            "WordLevel" => {
                let unknown = ids.get(model.unknown_token()?)?;
                (ModelContent::WordLevel { unknown }, spelling.words(&ids))
            }
            kind => return Err(unsupported(format!("its model is {kind}"))),
        };
        let (added, added_normalized) = added_tokens(&file.added_tokens, &ids, &normalizer)?;
        let (normalizer, splitting) = (Arc::new(normalizer), Arc::new(splitting));
        Ok(Self { normalizer, splitting, model, words, added, added_normalized })
    }
}

/// The added tokens to search for before and after normalization, with the ids that the reference
/// would give them: those of the model's vocabulary, else the next free ones.
fn added_tokens(
    list: &[Added<'_>],
    ids: &Ids<'_>,
    normalizer: &Normalizer,
) -> Result<(Vec<AddedToken>, Vec<AddedToken>), Error> {
    let first_free = ids.list().len() as u32;
    let known = |added: &Added<'_>| ids.find(&added.content);
    let has_holes = list.iter().filter_map(known).any(|id| id >= first_free);
    let mut next = first_free;
    let (mut before, mut after) = (Vec::new(), Vec::<AddedToken>::new());
    for added in list {
        let content = &*added.content;
        refuse(content.is_empty(), "an added token is empty")?;
        let id = known(added).unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        // Which id is free is another question where the vocabulary leaves some out.
        refuse(
            has_holes && id != added.id,
            &format!("{content:?} is said to have id {}, and would be given {id}", added.id),
        )?;
        // To the reference a space is then a `▁`, which is no white space.
        refuse(
            added.normalized && (added.lstrip || added.rstrip) && normalizer.has_metaspace(),
            &format!("{content:?} takes white space along where spaces are `▁` already"),
        )?;
        let content = match added.normalized {
            true => normalizer.normalized(content)?.into_owned(),
            false => content.to_owned(),
        };
        refuse(content.is_empty(), "nothing is left of an added token")?;
        let list = if added.normalized { &mut after } else { &mut before };
        let around = Around { lstrip: added.lstrip, rstrip: added.rstrip, single_word: added.single_word };
        list.push(AddedToken { content: content.into_bytes(), id, special: added.special, around });
    }
    let mut all: Vec<_> = before.iter().chain(&after).map(|token| &token.content).collect();
    all.sort_unstable();
    refuse(all.windows(2).any(|pair| pair[0] == pair[1]), "two added tokens are the same")?;
    Ok((before, after))
}
