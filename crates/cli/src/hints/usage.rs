//! What to type next where a value makes no sense.

use std::io;
use std::path::Path;

use mashbill_format::training_run::is_run;
use mashbill_store::open::WrongKind;

use super::records::{FILE_HINT, readable_hint};
use super::remedy::{anew_hint, resume_hint};
use super::tokenizer::{embedded_hint, no_template_hint};
use crate::shell_word::shell_path;
use crate::usage::{Usage, quoted};

/// How the Python package is installed: it is on no index.
pub(crate) const INSTALL_TRAINER: &str =
    "pip install './python[train]' in mashbill's source tree, with the Python environment active";

pub(crate) fn usage_hint(usage: &Usage) -> String {
    match usage {
        Usage::MaxSeqLength { .. } => "the default is --max-seq-length 8192".into(),
        Usage::ShardSize { .. } => "the default is --shard-size 2".into(),
        Usage::MaxDocument { .. } => "the default is --max-document 256000000".into(),
        Usage::ValFraction { .. } => {
            "`--val-fraction 0.01` holds out one document in a hundred; without it, none".into()
        }
        Usage::NeedsChatTemplate { flag, is_plain: true } => {
            format!("give `--chat-template auto` in the place of `--render plain`, or leave out `{flag}`")
        }
        Usage::NeedsChatTemplate { flag: "--tool-arguments", .. } => {
            "give `--chat-template auto`, which takes the tokenizer's own, or `--render plain`".into()
        }
        Usage::NeedsChatTemplate { .. } => {
            "give `--chat-template auto`, which takes the tokenizer's own".into()
        }
        Usage::TextFieldUnused => "`--mixed` takes records without messages, too, as their text".into(),
        Usage::NeedsMessages { .. } => "add `--messages`".into(),
        Usage::TokenizedAlready { .. } => "without it the folder's manifest counts".into(),
        Usage::NoLossOnAll => "leave one of them out".into(),
        Usage::TemplateArgsTwice { .. } => "leave one of them out".into(),
        Usage::TemplateArgs { .. } => "--template-args '{\"enable_thinking\": false}'".into(),
        Usage::NoChatTemplate { names, .. } if !names.is_empty() => {
            format!("`--chat-template {}` takes that one", names[0])
        }
        Usage::NoChatTemplate { takes_chatml, .. } => no_template_hint(*takes_chatml).into(),
        Usage::ChatTemplateNotFound { names, .. } => not_found_hint(names),
        Usage::ChatTemplateNotRead { source, .. } if WrongKind::is_behind(source) => {
            "give a file with a template in Jinja".into()
        }
        Usage::ChatTemplateNotRead { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            readable_hint(path)
        }
        Usage::ChatTemplateNotRead { path, source } if source.kind() == io::ErrorKind::InvalidData => {
            format!("iconv -f ENCODING -t UTF-8 {} > chat_template.jinja", shell_path(path))
        }
        Usage::ChatTemplateNotRead { .. } => "get the file again from its source".into(),
        Usage::ChatTemplateIsJson { .. } => {
            "give its folder as `--tokenizer` and `--chat-template auto`, or the name of a template in it".into()
        }
        Usage::Sample { .. } => "`--sample 1` encodes all of it with the reference".into(),
        Usage::WarnRejected { .. } => {
            "`--warn-rejected 0.05` warns where more than one line in twenty was refused".into()
        }
        Usage::Threads { .. } => "leave out --threads to use all cores".into(),
        Usage::OtherTokenizer { sha256, .. } | Usage::TokenizerNotFoundAgain { sha256, .. } => {
            format!("name it with `--tokenizer PATH`: its tokenizer.json has the SHA-256 {sha256}")
        }
        Usage::NoTokenizerFile { .. } => format!("check the path; {}", embedded_hint()),
        Usage::NothingToVerify { path } | Usage::NothingToInspect { path } => folder_hint(path),
        Usage::NoManifest { path, is_under_way: true } => resume_hint(path),
        Usage::NoManifest { path, .. } => anew_hint(path),
        Usage::IsPart { output, split, command: "inspect", .. } => {
            format!("`mashbill inspect {} --split {split}` looks at it", output.display())
        }
        Usage::IsPart { output, command, .. } => {
            format!("give the whole folder: `mashbill {command} {}`", output.display())
        }
        Usage::PageIsFolder { path } => format!("give a file: `-o {}`", path.join("report.html").display()),
        Usage::NoFolderForPage { folder, .. } => format!("mkdir -p {}", folder.display()),
        Usage::CatalogNotRead { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        Usage::CatalogNotRead { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            readable_hint(path)
        }
        Usage::CatalogNotRead { .. } => "check the path after `--catalog`; docs/download.md describes the file".into(),
        Usage::FindNeedsTokenizer => {
            "name it with `--tokenizer`, or look for the text in the .jsonl files".into()
        }
        Usage::NothingFound { path, .. } => {
            format!("`mashbill inspect {} --random` shows what there is", path.display())
        }
        Usage::NotInRun { path, .. } => {
            format!("`mashbill inspect {} --step 0` lists the documents of its first batch", path.display())
        }
        Usage::NoSuchSplit { .. } | Usage::NoSuchFile { .. } => {
            "name one of them with `--split`, or none to look at all".into()
        }
        Usage::NoRecord { path, has_chats: true } => {
            format!("its records are conversations: `mashbill inspect {} --messages`", shell_path(path))
        }
        Usage::NoRecord { path, .. } => {
            format!(
                "`mashbill verify {}` says line by line why; `--messages` shows records in which something is said",
                path.display()
            )
        }
        Usage::NoRows { path } => format!(
            "`mashbill verify {}` says why: lines were refused, or a run has not ended",
            path.display()
        ),
        Usage::NoLoader { .. } => {
            "give `--batch-size ROWS` (and `--seed`, `--world-size`), or for a loader with weights a file with the output of \
             `DataLoader.recipe()` as PATH"
                .into()
        }
        Usage::NoStep { .. } => "`--step 0` lists the documents of its first batch".into(),
        Usage::Rank { .. } => "without `--rank` the rows of all ranks are shown".into(),
        Usage::NoEnd => "`--until STEP` says how far to look".into(),
        Usage::NotThere { .. } => "check the path".into(),
        Usage::NotOurFolder { .. } => "choose an empty or new folder with --output".into(),
        Usage::NoPythonPackage => {
            format!("{INSTALL_TRAINER}; then run the command again")
        }
    }
}

/// The templates that there are, where one was named that there is not.
fn not_found_hint(names: &[String]) -> String {
    const AUTO: &str = "`--chat-template auto` takes the tokenizer's own";
    const CHATML: &str = "`chatml` comes with mashbill";
    let others: Vec<_> = names.iter().filter(|name| *name != "default").cloned().collect();
    match (names.iter().any(|name| name == "default"), others.is_empty()) {
        (true, true) => format!("{AUTO}; {CHATML}"),
        (true, false) => format!("{AUTO}, which also has {}; {CHATML}", quoted(&others)),
        (false, false) => format!("the tokenizer has {}; {CHATML}", quoted(&others)),
        (false, true) => format!("the tokenizer has none; {CHATML}"),
    }
}

/// The folder that was meant where a path has nothing for a command.
fn folder_hint(path: &Path) -> String {
    if is_run(path) {
        format!("it is a run of `mashbill train`: `mashbill report {}` shows it", path.display())
    } else {
        "give the folder that `mashbill tokenize` wrote (its `--output`), or one with .jsonl files".into()
    }
}
