//! From a tokenizer's files to one that encodes: what is loaded, checked and decided once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::apart::{Apart, START_MAX};
use super::cache::TokenizerCache;
use super::charsmap;
use super::chat_templates::{ChatTokens, named_tokens};
use super::definition::TokenizerJson;
use super::engine::Engine;
use super::error::Error;
use super::fast::FastEngine;
use super::fast_refused::FastRefused;
use super::files::{FILE_BYTES_MAX, TokenizerFiles};
use super::growth;
use super::id_set::IdSet;
use super::identity::Identity;
use super::options::{TokenizerOptions, VOCABULARY_MAX};
use super::reference::{Outline, Reference};
use super::self_check::{self_check, try_out};
use super::special::{RoleToken, SpecialTokens, Tokens};
use super::verdict::Verdict;
use super::vocabulary::VocabularyIndex;
use super::{Encoder, Tokenizer};

impl Tokenizer {
    /// Loads a tokenizer. With a folder for a cache, the check of the fast engine and the
    /// making of its tables are only done the first time.
    ///
    /// # Errors
    /// Whatever is wrong with the files, an EOS token that is asked for and not found,
    /// or one that the vocabulary doesn't have.
    pub fn load(
        files: &TokenizerFiles,
        options: &TokenizerOptions,
        cache_folder: Option<&Path>,
    ) -> Result<Self, Error> {
        if files.tokenizer_json.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::TooLarge { what: "`tokenizer.json`".to_owned(), limit: FILE_BYTES_MAX });
        }
        let start = Start {
            tokenizer_json: files.tokenizer_json.as_str().into(),
            sha256: hex(&Sha256::digest(files.tokenizer_json.as_bytes())),
            files: files.beside(),
            options: options.clone(),
            cache_folder: cache_folder.map(Path::to_owned),
            dropout_cleared: false,
        };
        Apart::begin(move || start.load())?.wait(START_MAX)
    }
}

/// What a tokenizer is loaded from.
pub(super) struct Start {
    pub(super) tokenizer_json: Arc<str>,
    /// Of the file as it was, whatever was cleared in it.
    pub(super) sha256: String,
    /// The files beside it.
    pub(super) files: TokenizerFiles,
    pub(super) options: TokenizerOptions,
    pub(super) cache_folder: Option<PathBuf>,
    pub(super) dropout_cleared: bool,
}

impl Start {
    pub(super) fn load(self) -> Result<Tokenizer, Error> {
        let json = &Arc::clone(&self.tokenizer_json);
        let policy = self.options.special_tokens_in_text;
        let malformed = |source| Error::Json { file: "tokenizer.json", source };
        let definition = TokenizerJson::parse(json).map_err(malformed)?;
        growth::check(definition.normalizer.as_ref())?;
        charsmap::check(definition.normalizer.as_ref())?;
        if definition.drops_merges() {
            // Whether it can be loaded is a question of the file as it is.
            Reference::whole(json, policy)?;
            let tokenizer_json = definition.without_dropout().map_err(malformed)?.into();
            return Self { tokenizer_json, dropout_cleared: true, ..self }.load();
        }
        let index = VocabularyIndex::new(&definition);
        let mut outline = Outline::new(&definition, &index)?;
        let (identity, chat_tokens) = match self.identify(&definition, &outline, &index) {
            Ok(identified) => identified,
            Err(error) => {
                // A file that can't be loaded has no tokens to be missed.
                Reference::whole(json, policy)?;
                return Err(error);
            }
        };
        let (fast, reference) = self.engine(&mut outline)?;
        let (encoder, fast_refused) = match fast {
            Ok(engine) => (Encoder::Fast(Arc::new(engine)), None),
            Err(why) => {
                let reference = reference.map_or_else(|| Reference::whole(json, policy), Ok)?;
                (Encoder::Reference(reference), Some(why))
            }
        };
        outline.set_special_tokens_in_text(policy);
        let special = IdSet::of_special(&outline);
        Ok(Tokenizer {
            counted: special.with(&identity),
            added: IdSet::of_added(&outline),
            special,
            outline: Arc::new(outline),
            identity,
            tokenizer_json: Arc::clone(json),
            encoder,
            fast_refused,
            beside: OnceLock::new(),
            otherwise: OnceLock::new(),
            chat_tokens,
            spellings: OnceLock::new(),
            token_bytes: OnceLock::new(),
        })
    }

    /// The fast engine, or why there is none; and the reference, where it was loaded.
    ///
    /// The first time, the reference has to load the file, too: it defines the ids, so there are none without it.
    fn engine(
        &self,
        outline: &mut Outline,
    ) -> Result<(Result<FastEngine, FastRefused>, Option<Reference>), Error> {
        let json = &self.tokenizer_json;
        let cache = TokenizerCache::new(self.cache_folder.as_deref(), &self.sha256);
        let make = || FastEngine::new(json, &cache);
        match cache.verdict() {
            Some(Verdict { refused: Some(why), .. }) => return Ok((Err(why), None)),
            Some(_) => return Ok((make(), None)),
            None => {}
        }
        let (shared, policy) = (Arc::clone(json), self.options.special_tokens_in_text);
        let loading = Apart::begin(move || Reference::whole(&shared, policy))?;
        let fast = match make() {
            Ok(engine) => self_check(outline, json, &engine)?.map_or(Ok(engine), Err),
            Err(why) => Err(why),
        };
        let reference = loading.wait(START_MAX)?;
        if fast.is_err() {
            // A pattern that takes forever does so here, where time is bounded.
            try_out(&reference);
        }
        cache.keep_verdict(&Verdict::new(&self.sha256, fast.as_ref().err().cloned()));
        Ok((fast, Some(reference)))
    }
}

impl Start {
    fn identify(
        &self,
        definition: &TokenizerJson<'_>,
        outline: &Outline,
        index: &VocabularyIndex<'_>,
    ) -> Result<(Identity, ChatTokens), Error> {
        let Self { files, options, .. } = self;
        let tokens = Tokens::new(outline, index);
        // Several entries may have one id, and each takes memory.
        let entries = u32::try_from(definition.model.vocab.0.len()).unwrap_or(u32::MAX);
        let max_id = tokens.max_id();
        if entries > VOCABULARY_MAX {
            return Err(Error::IdTooLarge { id: entries, limit: VOCABULARY_MAX });
        }
        if let Some(id) = max_id.filter(|id| *id >= VOCABULARY_MAX) {
            return Err(Error::IdTooLarge { id, limit: VOCABULARY_MAX });
        }
        let special = SpecialTokens::new(files, &tokens);
        special.check_added()?;
        let (mut ids_before, mut ids_after) = outline.template()?;
        let bos = match ids_before[..] {
            [id] => Some(tokens.numbered(id, "template")?),
            _ => None,
        };
        // Where none is put after documents it fills rows up, and is let go where it can't be found.
        let eos = special.eos(options.eos_token.as_deref()).or_else(|error| match options.add_eos {
            true => Err(error),
            false => Ok(None),
        })?;
        if !options.add_bos {
            ids_before.clear();
        }
        if options.eos_token.is_some() {
            // It takes the place of what the template puts after a document.
            ids_after.clear();
        }
        match &eos {
            _ if !options.add_eos => ids_after.clear(),
            Some(eos) if ids_after.last() != Some(&eos.id) => ids_after.push(eos.id),
            Some(_) => {}
            None => return Err(Error::NoEos { tokenizer: files.name.clone() }),
        }
        let instead =
            |token: &RoleToken, found_in: &str| RoleToken { found_in: found_in.to_owned(), ..token.clone() };
        let pad = special
            .pad(options.pad_token.as_deref())?
            .or_else(|| eos.as_ref().map(|eos| instead(eos, "eos")))
            .or_else(|| bos.as_ref().map(|bos| instead(bos, "bos")))
            .ok_or_else(|| Error::NoPad { tokenizer: files.name.clone() })?;
        let put_after = eos.iter().filter(|_| options.add_eos);
        let mut notes: Vec<String> = put_after.filter_map(|eos| special.remark(eos)).collect();
        notes.extend(special.unread());
        notes.extend(self.dropout_cleared.then(|| DROPOUT_NOTE.to_owned()));
        let turn_ends = special.turn_ends(eos.as_ref());
        let identity = Identity {
            name: files.name.clone(),
            sha256: self.sha256.clone(),
            vocabulary_size: max_id.map_or(0, |id| id + 1),
            notes,
            bos,
            eos,
            pad,
            ids_before,
            ids_after,
            special_tokens_in_text: options.special_tokens_in_text,
            truncation_cleared: definition.truncation.is_some(),
            padding_cleared: definition.padding.is_some(),
            dropout_cleared: self.dropout_cleared,
            reference: Engine::Reference.name(),
        };
        let named = named_tokens(files, &identity);
        Ok((identity, ChatTokens { named, turn_ends }))
    }
}

/// What is said where merges would have been left out at random.
const DROPOUT_NOTE: &str =
    "the tokenizer's `dropout` is cleared: with it the same text would have other tokens each time";

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
