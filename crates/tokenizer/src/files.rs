//! The texts a tokenizer is made of.
//!
//! Everything below this module works on contents, not on places: the Hub crate and
//! the command line find the files and hand them in, and only [`from_path`] looks
//! into a folder itself.

use std::io;
use std::path::Path;

use mashbill_records::is_lfs_pointer;
use mashbill_store::open;

use super::error::Error;

/// The largest file of a tokenizer in bytes. The largest known are below 40 MB; loading one takes some twenty times its
/// size in memory.
pub const FILE_BYTES_MAX: u64 = 50_000_000;

/// The folder of further chat templates.
const TEMPLATES_FOLDER: &str = "additional_chat_templates";

/// The contents of a tokenizer's files, as they were found.
#[derive(Debug, Clone)]
pub struct TokenizerFiles {
    /// What the user called it: an embedded name, a Hub id or a path.
    pub name: String,
    /// `tokenizer.json`.
    pub tokenizer_json: String,
    /// `tokenizer_config.json`, which names the special tokens.
    pub tokenizer_config: Option<String>,
    /// `special_tokens_map.json`, which names them where the config doesn't.
    pub special_tokens_map: Option<String>,
    /// `added_tokens.json`, which older fine-tunes have for tokens of their own.
    pub added_tokens: Option<String>,
    /// The model's `config.json`, which has ids of special tokens.
    pub config: Option<String>,
    /// `generation_config.json`, which has them too.
    pub generation_config: Option<String>,
    /// `chat_template.jinja`, the template of conversations.
    pub chat_template: Option<String>,
    /// The files of `additional_chat_templates`, by their names without `.jinja`.
    pub additional_chat_templates: Vec<(String, String)>,
}

impl TokenizerFiles {
    /// All but `tokenizer.json`.
    pub(super) fn beside(&self) -> Self {
        Self {
            name: self.name.clone(),
            tokenizer_json: String::new(),
            tokenizer_config: self.tokenizer_config.clone(),
            special_tokens_map: self.special_tokens_map.clone(),
            added_tokens: self.added_tokens.clone(),
            config: self.config.clone(),
            generation_config: self.generation_config.clone(),
            chat_template: self.chat_template.clone(),
            additional_chat_templates: self.additional_chat_templates.clone(),
        }
    }
}

/// Reads a tokenizer from a folder that holds a `tokenizer.json`, or from a JSON file.
///
/// The other files are taken from the same folder, but only beside a file that is
/// called `tokenizer.json`: what lies beside `my-tokenizer.json` may belong to another.
///
/// # Errors
/// [`Error::NotFound`] where there is no such file, [`Error::Read`] where it can't be
/// read as UTF-8 text.
pub fn from_path(path: &Path) -> Result<TokenizerFiles, Error> {
    let file = if path.is_dir() { path.join("tokenizer.json") } else { path.to_owned() };
    let Some(tokenizer_json) = read_if_there(&file)? else {
        return Err(Error::NotFound { path: file });
    };
    let beside = |name: &str| -> Result<Option<String>, Error> {
        match file.file_name() {
            Some(own) if own == "tokenizer.json" => read_if_there(&file.with_file_name(name)),
            _ => Ok(None),
        }
    };
    Ok(TokenizerFiles {
        name: path.display().to_string(),
        tokenizer_json,
        tokenizer_config: beside("tokenizer_config.json")?,
        special_tokens_map: beside("special_tokens_map.json")?,
        added_tokens: beside("added_tokens.json")?,
        config: beside("config.json")?,
        generation_config: beside("generation_config.json")?,
        chat_template: beside("chat_template.jinja")?,
        additional_chat_templates: match file.file_name() {
            Some(own) if own == "tokenizer.json" => templates_in(&file.with_file_name(TEMPLATES_FOLDER))?,
            _ => Vec::new(),
        },
    })
}

/// The templates in a folder, by their names, in order; none where there is no such folder.
fn templates_in(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut templates = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_template = path.extension().is_some_and(|extension| extension == "jinja");
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_template) else {
            continue;
        };
        if let Some(text) = read_if_there(&path)? {
            templates.push((name.to_owned(), text));
        }
    }
    templates.sort();
    Ok(templates)
}

fn read_if_there(path: &Path) -> Result<Option<String>, Error> {
    match open::read_text(path, FILE_BYTES_MAX) {
        Ok(text) if is_lfs_pointer(text.as_bytes()) => Err(Error::LfsPointer { path: path.to_owned() }),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(Error::TooLarge { what: format!("`{}`", path.display()), limit: FILE_BYTES_MAX })
        }
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails where it panics")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_hands_over_all_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        fs::write(folder.path().join("config.json"), "[]").unwrap();
        let files = from_path(folder.path()).unwrap();
        assert_eq!(files.tokenizer_json, "{}");
        assert_eq!(files.config.as_deref(), Some("[]"));
        assert_eq!(files.tokenizer_config, None);
        let same = from_path(&folder.path().join("tokenizer.json")).unwrap();
        assert_eq!(same.config.as_deref(), Some("[]"));
    }

    #[test]
    fn a_file_of_another_name_stands_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gpt2.json"), "{}").unwrap();
        fs::write(folder.path().join("config.json"), "[]").unwrap();
        let files = from_path(&folder.path().join("gpt2.json")).unwrap();
        assert_eq!(files.config, None);
    }

    #[test]
    fn what_is_missing_or_not_text_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(from_path(folder.path()), Err(Error::NotFound { .. })));
        fs::write(folder.path().join("tokenizer.json"), [0xff, 0xfe]).unwrap();
        assert!(matches!(from_path(folder.path()), Err(Error::Read { .. })));
    }

    #[test]
    fn what_has_no_end_is_not_read() {
        if cfg!(target_os = "linux") {
            assert!(matches!(from_path(Path::new("/dev/zero")), Err(Error::Read { .. })));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        fs::File::create(&path).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert!(matches!(from_path(&path), Err(Error::TooLarge { .. })));
    }
}
