//! The chat templates of a tokenizer, and what they are given of it.
//!
//! They are found where `transformers` finds them: in `chat_template.jinja` and in `additional_chat_templates`, and where there
//! are none, in `tokenizer_config.json`, where they are one text or a list with names.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::Error;
use super::files::TokenizerFiles;
use super::identity::Identity;
use super::side_file;
use super::special::OPTION;

/// The template that is used where none is named.
const DEFAULT: &str = "default";

/// The template for conversations with tools.
const WITH_TOOLS: &str = "tool_use";

/// The file with the template.
const FILE: &str = "chat_template.jinja";

/// The file with the settings.
const CONFIG: &str = "tokenizer_config.json";

/// The names of the special tokens that a template is given.
const GIVEN: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The chat templates of a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatTemplates {
    /// By name. A single one is called `default`.
    by_name: BTreeMap<String, String>,
    found_in: &'static str,
}

/// A template that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenTemplate {
    /// Where it was found: the file, and the template's name in it where there are several.
    pub name: String,
    /// The template.
    pub text: String,
    /// Another one for conversations with tools, where none was named.
    pub text_with_tools: Option<String>,
}

/// What chat templates are given of a tokenizer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatTokens {
    /// Special tokens by the names that templates have for them: `bos_token`, `eos_token`.
    pub named: BTreeMap<String, String>,
    /// Tokens that end a turn or a document.
    pub turn_ends: Vec<String>,
}

impl ChatTemplates {
    /// The templates that the files have.
    ///
    /// # Errors
    /// [`Error::Json`] where `tokenizer_config.json` would say it and is none.
    pub fn of(files: &TokenizerFiles) -> Result<Self, Error> {
        let alone = files.chat_template.iter().map(|text| (DEFAULT.to_owned(), text.clone()));
        let by_name: BTreeMap<_, _> = alone.chain(files.additional_chat_templates.iter().cloned()).collect();
        if !by_name.is_empty() {
            return Ok(Self { by_name, found_in: FILE });
        }
        let Some(config) = &files.tokenizer_config else { return Ok(Self::default()) };
        let config = side_file::parse(config).map_err(|source| Error::Json { file: CONFIG, source })?;
        let by_name = match &config["chat_template"] {
            Value::String(text) => BTreeMap::from([(DEFAULT.to_owned(), text.clone())]),
            Value::Array(named) => named
                .iter()
                .filter_map(|one| {
                    Some((one["name"].as_str()?.to_owned(), one["template"].as_str()?.to_owned()))
                })
                .collect(),
            Value::Object(named) => named
                .iter()
                .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect(),
            _ => BTreeMap::new(),
        };
        Ok(Self { by_name, found_in: CONFIG })
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The template that is used where none is named; none where there is no such one.
    #[must_use]
    pub fn unnamed(&self) -> Option<ChosenTemplate> {
        let text = self.by_name.get(DEFAULT)?.clone();
        let text_with_tools = self.by_name.get(WITH_TOOLS).cloned();
        Some(ChosenTemplate { name: self.found_in.to_owned(), text, text_with_tools })
    }

    /// The template with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<ChosenTemplate> {
        let text = self.by_name.get(name)?.clone();
        let name = format!("{name} in {}", self.found_in);
        Some(ChosenTemplate { name, text, text_with_tools: None })
    }
}

/// The special tokens that a template is given, by name: what the files name, as `AutoTokenizer` takes it, and otherwise
/// those that were found for the beginning and the end of documents.
pub(super) fn named_tokens(files: &TokenizerFiles, identity: &Identity) -> BTreeMap<String, String> {
    let file = |text: &Option<String>| text.as_ref().and_then(|text| side_file::parse(text).ok());
    let config = file(&files.tokenizer_config).unwrap_or(Value::Null);
    let mut tokens = BTreeMap::new();
    name_tokens(&config, &mut tokens);
    if config["added_tokens_decoder"].is_null()
        && let Some(older) = file(&files.special_tokens_map)
    {
        name_tokens(&older, &mut tokens);
    }
    for (name, token) in [("bos_token", &identity.bos), ("eos_token", &identity.eos)] {
        let Some(token) = token else { continue };
        if token.found_in == OPTION || !tokens.contains_key(name) {
            tokens.insert(name.to_owned(), token.token.clone());
        }
    }
    tokens
}

/// Takes the tokens that `file` names, in the place of others.
fn name_tokens(file: &Value, tokens: &mut BTreeMap<String, String>) {
    let spelled = |value: &Value| value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned);
    let given = GIVEN.into_iter().filter_map(|name| Some((name.to_owned(), spelled(&file[name])?)));
    // Names of a model's own, such as `image_token`.
    let own = ["extra_special_tokens", "model_specific_special_tokens"].map(|list| file[list].as_object());
    let own =
        own.into_iter().flatten().flatten().filter_map(|(name, value)| Some((name.clone(), spelled(value)?)));
    tokens.extend(given.chain(own));
}
