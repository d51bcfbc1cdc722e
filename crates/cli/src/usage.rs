//! What cannot be done as it was asked for: values that no flag takes, paths with nothing for a command.

use std::io;
use std::path::{Path, PathBuf};

use mashbill_format::find::has_splits;

/// A value that no flag takes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Usage {
    #[error("--max-seq-length {given} is out of range: 2 to 16777216 are possible")]
    MaxSeqLength { given: usize },
    #[error("--shard-size {given} is out of range: it is a size in GB, at least 0.000001")]
    ShardSize { given: f64 },
    #[error("--max-document {given} is out of range: 1 to 1073741823 bytes are possible")]
    MaxDocument { given: u64 },
    #[error("--val-fraction {given} is not a share: it has to be more than 0 and less than 1")]
    ValFraction { given: f64 },
    #[error("--sample {given} is not a share: 0 to 1 are possible")]
    Sample { given: f64 },
    #[error("--warn-rejected {given} is not a share: 0 to 1 are possible")]
    WarnRejected { given: f64 },
    #[error("{flag} needs --chat-template")]
    NeedsChatTemplate { flag: &'static str, is_plain: bool },
    #[error(
        "--text-field names what holds a record's text, but with --chat-template only messages are taken"
    )]
    TextFieldUnused,
    #[error("{flag} says how `--messages` shows records, which is not asked for")]
    NeedsMessages { flag: &'static str },
    #[error("{flag} says what would become of records, and `{}` is tokenized", path.display())]
    TokenizedAlready { flag: &'static str, path: PathBuf },
    #[error("--no-loss-on leaves parts of turns out, but with --loss-on all there is a loss on everything")]
    NoLossOnAll,
    #[error("--template-args takes a JSON object, and this is none: {given}")]
    TemplateArgs { given: String, source: serde_json::Error },
    #[error("--template-args can be read in two ways: {detail}")]
    TemplateArgsTwice { detail: String },
    #[error("the tokenizer `{tokenizer}` has no {}", unnamed(names))]
    NoChatTemplate { tokenizer: String, names: Vec<String>, takes_chatml: bool },
    #[error("no chat template is called `{}`: no file, and none of the tokenizer's", name.escape_debug())]
    ChatTemplateNotFound { name: String, names: Vec<String> },
    #[error("cannot read the chat template `{}`", path.display())]
    ChatTemplateNotRead { path: PathBuf, source: io::Error },
    #[error("`{}` is JSON, but a chat template is a text in Jinja", path.display())]
    ChatTemplateIsJson { path: PathBuf },
    #[error("--threads {given} is out of range: 1 to {max} are possible")]
    Threads { given: usize, max: usize },
    #[error("`{}` holds nothing to verify: no manifest.json, no JSON Lines, no Parquet", path.display())]
    NothingToVerify { path: PathBuf },
    #[error("`{}` holds nothing to look at: no manifest.json, no JSON Lines, no Parquet", path.display())]
    NothingToInspect { path: PathBuf },
    #[error(
        "`{}` has no manifest.json{}",
        path.display(),
        if *is_under_way { " yet: a run is under way, or was interrupted" } else { ", though it has splits" }
    )]
    NoManifest { path: PathBuf, is_under_way: bool },
    #[error("`{}` is a part of `{}`", path.display(), output.display())]
    IsPart { path: PathBuf, output: PathBuf, split: String, command: &'static str },
    #[error("cannot write the page to `{}`: it is a folder", path.display())]
    PageIsFolder { path: PathBuf },
    #[error("cannot write `{}`: the folder `{}` does not exist", path.display(), folder.display())]
    NoFolderForPage { path: PathBuf, folder: PathBuf },
    #[error("cannot read `{}`", path.display())]
    CatalogNotRead { path: PathBuf, source: io::Error },
    #[error("to find a text in tokens, the tokenizer is needed")]
    FindNeedsTokenizer,
    #[error("{what} was not found in `{}`", path.display())]
    NothingFound { what: String, path: PathBuf },
    #[error("the document `{document}` was not found in `{}`", path.display())]
    NotInRun { document: String, path: PathBuf },
    #[error("there is no split `{split}` in `{}`; there {}", path.display(), there(available))]
    NoSuchSplit { split: String, path: PathBuf, available: Vec<String> },
    #[error("there is no file `{file}` in `{}`; there {}", path.display(), there(available))]
    NoSuchFile { file: String, path: PathBuf, available: Vec<String> },
    #[error("no line in `{}` is a record with a text", path.display())]
    NoRecord { path: PathBuf, has_chats: bool },
    #[error("`{}` has no rows", path.display())]
    NoRows { path: PathBuf },
    #[error("`{}` does not say what its loader was made with", path.display())]
    NoLoader { path: PathBuf },
    #[error("`{}` is a training run, which has steps and documents", path.display())]
    NoStep { path: PathBuf },
    #[error("rank {rank} is not one of the run's {world_size}, counted from 0")]
    Rank { rank: usize, world_size: usize },
    #[error("the end of the run is not known")]
    NoEnd,
    #[error("`{}` does not exist", path.display())]
    NotThere { path: PathBuf },
    #[error("`{name}` is not the tokenizer that the folder was made with")]
    OtherTokenizer { name: String, sha256: String },
    #[error(
        "the tokenizer `{name}` that the folder was made with was not found; looked at {}",
        looked_at(looked)
    )]
    TokenizerNotFoundAgain { name: String, sha256: String, looked: Vec<String> },
    #[error("no tokenizer at `{}`", path.display())]
    NoTokenizerFile { path: PathBuf },
    #[error("`{}` already holds something else", path.display())]
    NotOurFolder { path: PathBuf },
    #[error("training needs mashbill's Python package, which `python3` does not have")]
    NoPythonPackage,
}

impl Usage {
    /// A tokenized folder without a manifest.
    pub(crate) fn no_manifest(path: &Path) -> Self {
        Self::NoManifest { path: path.to_owned(), is_under_way: !has_splits(path) }
    }
}

/// The first of many names, after a verb: `is a`, `are a, b`.
fn there(names: &[String]) -> String {
    /// More names are only counted.
    const SHOWN: usize = 20;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    format!("{} {text}", if names.len() == 1 { "is" } else { "are" })
}

/// Says where a tokenizer was looked for, on one line.
fn looked_at(looked: &[String]) -> String {
    /// More places are only counted.
    const SHOWN: usize = 6;
    let mut text = looked.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if looked.len() > SHOWN {
        text.push_str(&format!(" and {} more", looked.len() - SHOWN));
    }
    text
}

/// The template that a tokenizer does not have, beside those that it has.
fn unnamed(names: &[String]) -> String {
    match names {
        [] => "chat template".into(),
        _ => format!("default chat template, only {}", quoted(names)),
    }
}

/// Names, for people.
pub(crate) fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    names.join(", ")
}
