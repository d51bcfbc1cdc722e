//! Which tokens end a document and fill a row.
//!
//! Files tell it in six places, and a bare `tokenizer.json` in none; a peer that
//! guesses id 0 writes `!` between Llama 3's documents. So the places are asked in the
//! order of their closeness to the tokenizer, then well-known names among its added
//! tokens, and where nothing is found that is an error.

use std::collections::HashSet;

use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::Error;
use super::files::TokenizerFiles;
use super::reference::Outline;
use super::side_file;
use super::vocabulary::VocabularyIndex;

/// A token with a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleToken {
    /// Its id.
    pub id: u32,
    /// Its spelling.
    pub token: String,
    /// What said so: `option`, a file's name, `template`, `well-known name`, `eos`, `bos`.
    pub found_in: String,
}

/// What has said which token ends a document, where a user did.
pub(super) const OPTION: &str = "option";

/// The file of older tokenizers that has added tokens with their ids.
const ADDED_TOKENS: &str = "added_tokens.json";

/// Names of the end of a document, commonest first.
const DOCUMENT_ENDS: &[&str] = &[
    "<|end_of_text|>",
    "<|endoftext|>",
    "</s>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "[EOS]",
    "<|end▁of▁sentence|>",
    "<EOS>",
    "<|eos|>",
    "<|end_of_sentence|>",
    "<end_of_text>",
    "<|EOS|>",
    "<|return|>",
];

/// Names of the end of a turn of a conversation.
const TURN_ENDS: &[&str] = &[
    "<|im_end|>",
    "<|eot_id|>",
    "<|eot|>",
    "<end_of_turn>",
    "<turn|>",
    "<|end|>",
    "<|END_OF_TURN_TOKEN|>",
    "[EOT]",
    "<|end_of_turn|>",
];

/// Names of what stands before and within the headers of turns.
const HEADER_PARTS: &[&str] = &[
    "<|im_start|>",
    "<|im_sep|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|header_start|>",
    "<|header_end|>",
    "<start_of_turn>",
    "<|turn>",
    "<|start|>",
    "<|message|>",
    "<|channel|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|start_of_role|>",
    "<|end_of_role|>",
];

/// Names by which a template's control tokens are known: a tokenizer that lacks one takes it apart.
pub(super) const CONTROL_TOKENS: [&[&str]; 3] = [HEADER_PARTS, TURN_ENDS, DOCUMENT_ENDS];

/// Names of tokens made for padding.
const PADS: &[&str] = &[
    "<|finetune_right_pad_id|>",
    "<|finetune_right_pad|>",
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<PAD>",
    "<|padding|>",
    "<unused_pad>",
    "<｜▁pad▁｜>",
];

/// Spellings and ids of a tokenizer's tokens, as the reference has them.
pub(super) struct Tokens<'d> {
    added: Vec<(u32, String)>,
    index: &'d VocabularyIndex<'d>,
}

impl<'d> Tokens<'d> {
    pub(super) fn new(outline: &Outline, index: &'d VocabularyIndex<'d>) -> Self {
        let added = outline.added_tokens().into_iter().map(|(id, token)| (id, token.content)).collect();
        Self { added, index }
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        let added = self.added.iter().find(|(_, content)| content == token).map(|(id, _)| *id);
        added.or_else(|| self.index.id(token))
    }

    pub(super) fn token(&self, id: u32) -> Option<&str> {
        let added = self.added.iter().find(|(other, _)| *other == id).map(|(_, content)| &**content);
        added.or_else(|| self.index.token(id))
    }

    /// The highest id, where there is one.
    pub(super) fn max_id(&self) -> Option<u32> {
        self.added.iter().map(|(id, _)| *id).max().max(self.index.max_id())
    }

    fn named(&self, token: &str, found_in: &str) -> Result<RoleToken, Error> {
        match self.id(token) {
            Some(id) => Ok(RoleToken { id, token: token.to_owned(), found_in: found_in.to_owned() }),
            None => Err(Error::NotInVocabulary { token: token.to_owned(), found_in: found_in.to_owned() }),
        }
    }

    pub(super) fn numbered(&self, id: u32, found_in: &str) -> Result<RoleToken, Error> {
        match self.token(id) {
            Some(token) => Ok(RoleToken { id, token: token.to_owned(), found_in: found_in.to_owned() }),
            None => Err(Error::NotInVocabulary { token: format!("id {id}"), found_in: found_in.to_owned() }),
        }
    }

    /// The first of some names that is an added token.
    fn well_known(&self, names: &[&str]) -> Option<RoleToken> {
        names.iter().find_map(|name| {
            let (id, token) = self.added.iter().find(|(_, content)| content == name)?;
            Some(RoleToken { id: *id, token: token.clone(), found_in: "well-known name".to_owned() })
        })
    }
}

/// What the files say about special tokens, and what there is besides.
pub(super) struct SpecialTokens<'d> {
    tokens: &'d Tokens<'d>,
    /// The side files that there are, nearest to the tokenizer first, and why one can't be read.
    files: Vec<(&'static str, Result<Value, serde_json::Error>)>,
}

impl<'d> SpecialTokens<'d> {
    pub(super) fn new(files: &TokenizerFiles, tokens: &'d Tokens<'d>) -> Self {
        let mut parsed = Vec::new();
        for (name, text) in [
            ("tokenizer_config.json", &files.tokenizer_config),
            ("special_tokens_map.json", &files.special_tokens_map),
            (ADDED_TOKENS, &files.added_tokens),
            ("config.json", &files.config),
            ("generation_config.json", &files.generation_config),
        ] {
            if let Some(text) = text {
                parsed.push((name, side_file::parse(text)));
            }
        }
        Self { tokens, files: parsed }
    }

    /// A remark for each side file that can't be read: where it had to be, that is an error.
    pub(super) fn unread(&self) -> impl Iterator<Item = String> {
        self.files.iter().filter_map(|(name, file)| {
            let why = file.as_ref().err()?;
            Some(format!("`{name}` of the tokenizer is malformed and was not needed: {why}"))
        })
    }

    /// Fails where a side file adds tokens that `tokenizer.json` does not: `AutoTokenizer` takes each as a whole, and
    /// here texts with them would be split, with other ids.
    pub(super) fn check_added(&self) -> Result<(), Error> {
        let known: HashSet<&str> = self.tokens.added.iter().map(|(_, content)| content.as_str()).collect();
        let mut config_adds = false;
        for (file, value) in &self.files {
            let Ok(value) = value else { continue };
            let decoder = value["added_tokens_decoder"].as_object();
            let own = match *file {
                // Where the newer place has tokens the older one is not looked at.
                ADDED_TOKENS if config_adds => None,
                ADDED_TOKENS => value.as_object().map(|added| added.keys().map(String::as_str).collect()),
                _ => decoder.map(|added| added.values().filter_map(content).collect::<Vec<_>>()),
            };
            config_adds |= decoder.is_some();
            let lists = ["additional_special_tokens", "extra_special_tokens"].map(|key| &value[key]);
            let listed = lists.into_iter().filter_map(Value::as_array).flatten().filter_map(content);
            let mut tokens: Vec<String> = own
                .into_iter()
                .flatten()
                .chain(listed)
                .filter(|token| !known.contains(token))
                .map(str::to_owned)
                .collect();
            if !tokens.is_empty() {
                tokens.dedup();
                return Err(Error::NotAdded { tokens, file });
            }
        }
        Ok(())
    }

    /// The token that ends a document: what the option says, else the files, else a
    /// well-known name; `None` where nothing is found.
    pub(super) fn eos(&self, option: Option<&str>) -> Result<Option<RoleToken>, Error> {
        if let Some(token) = option {
            return self.tokens.named(token, OPTION).map(Some);
        }
        if let Some(found) = self.in_files("eos")? {
            return Ok(Some(found));
        }
        Ok(self.document_end().or_else(|| self.tokens.well_known(TURN_ENDS)))
    }

    /// The token that fills a row up where the tokenizer has one for it.
    ///
    /// # Errors
    /// The option names one that isn't in the vocabulary.
    pub(super) fn pad(&self, option: Option<&str>) -> Result<Option<RoleToken>, Error> {
        if let Some(token) = option {
            return self.tokens.named(token, "--pad-token").map(Some);
        }
        // A pad token that the tokenizer doesn't have is no reason to stop: the
        // padding's id is never looked at, only its place.
        Ok(self.in_files("pad").ok().flatten().or_else(|| self.tokens.well_known(PADS)))
    }

    /// A remark where the token that the files name ends a turn, and another would end a document. Who names one by an
    /// option, as a manifest does of its run, knows it.
    pub(super) fn remark(&self, eos: &RoleToken) -> Option<String> {
        let ends_turn = TURN_ENDS.contains(&&*eos.token) && eos.found_in != OPTION;
        let other = self.document_end().filter(|other| ends_turn && other.id != eos.id)?;
        Some(format!(
            "documents end with `{}`, which {} names; the tokenizer also has `{}` for the end of a document",
            eos.token, eos.found_in, other.token
        ))
    }

    /// Tokens that end a turn of a conversation, or a document: the one for documents, those at which a model ceases to
    /// generate, and well-known names. In order, each once.
    pub(super) fn turn_ends(&self, eos: Option<&RoleToken>) -> Vec<String> {
        let mut ends: Vec<String> = eos.iter().map(|token| token.token.clone()).collect();
        let generation = self.files.iter().filter(|(name, _)| *name == "generation_config.json");
        for file in generation.filter_map(|(_, file)| file.as_ref().ok()) {
            let ids = &file["eos_token_id"];
            let ids = ids.as_array().map_or_else(|| vec![ids], |list| list.iter().collect());
            let ids = ids.into_iter().filter_map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()));
            ends.extend(ids.filter_map(|id| self.tokens.token(id)).map(str::to_owned));
        }
        let known = TURN_ENDS.iter().chain(DOCUMENT_ENDS).filter_map(|name| self.tokens.well_known(&[name]));
        ends.extend(known.map(|token| token.token));
        let mut seen = HashSet::new();
        ends.retain(|token| seen.insert(token.clone()));
        ends
    }

    fn document_end(&self) -> Option<RoleToken> {
        self.tokens.well_known(DOCUMENT_ENDS)
    }

    /// The token that the files name for a role (`eos`, `pad`).
    fn in_files(&self, role: &str) -> Result<Option<RoleToken>, Error> {
        for (name, file) in &self.files {
            let file = match file {
                Ok(file) => file,
                Err(why) => {
                    let source = serde_json::Error::custom(why);
                    return Err(Error::Json { file: name, source });
                }
            };
            if let Some(token) = content(&file[format!("{role}_token")]) {
                return self.tokens.named(token, name).map(Some);
            }
            let key = format!("{role}_token_id");
            for holder in [file, &file["text_config"]] {
                if let Some(id) = self.id_in(&holder[&key]) {
                    return self.tokens.numbered(id, name).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// An id, or of a list of ids the first that ends a document, else the first.
    fn id_in(&self, value: &Value) -> Option<u32> {
        let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let Some(list) = value.as_array() else { return one(value) };
        let ids: Vec<u32> = list.iter().filter_map(one).collect();
        let ends_document =
            |id: &&u32| self.tokens.token(**id).is_some_and(|token| DOCUMENT_ENDS.contains(&token));
        ids.iter().find(ends_document).or(ids.first()).copied()
    }
}

/// A token's spelling, of itself or with its properties.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token["content"].as_str())
}
