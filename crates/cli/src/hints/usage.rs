//! What to type next where a value makes no sense.

use std::path::Path;

use mashbill_format::find::is_output;
use mashbill_format::training_run::is_run;

use super::tokenizer::embedded_hint;
use crate::usage::Usage;

/// How the Python package is installed: it is on no index.
pub(crate) const INSTALL_TRAINER: &str =
    "pip install './python[train]' in mashbill's source tree, with the Python environment active";

pub(crate) fn usage_hint(usage: &Usage) -> String {
    match usage {
        Usage::MaxSeqLength { .. } => "the guide uses --max-seq-length 8192".into(),
        Usage::ShardSize { .. } => "the guide uses --shard-size 2".into(),
        Usage::MaxDocument { .. } => "the default is --max-document 256000000".into(),
        Usage::ValFraction { .. } => {
            "`--val-fraction 0.01` holds out one document in a hundred; without it, none".into()
        }
        Usage::Sample { .. } => "`--sample 1` encodes all of it with the reference".into(),
        Usage::WarnRejected { .. } => {
            "`--warn-rejected 0.05` warns where more than one line in twenty was refused".into()
        }
        Usage::Threads { .. } => "leave out --threads to use all cores".into(),
        Usage::OtherTokenizer { sha256, .. } | Usage::TokenizerNotFoundAgain { sha256, .. } => {
            format!("name it with `--tokenizer PATH`: its tokenizer.json has the SHA-256 {sha256}")
        }
        Usage::NoTokenizerFile { .. } => embedded_hint(),
        Usage::NothingToVerify { path } => folder_hint("verify", path),
        Usage::NothingToInspect { path } => folder_hint("inspect", path),
        Usage::FindNeedsTokenizer => {
            "name it with `--tokenizer`, or look for the text in the .jsonl files".into()
        }
        Usage::NothingFound { path, .. } => {
            format!("`mashbill inspect {} --random` shows what there is", path.display())
        }
        Usage::NotInRun { path, .. } => {
            format!("`mashbill inspect {} --step 0` lists the documents of its first batch", path.display())
        }
        Usage::NoSuchSplit { .. } => "name one of them with `--split`, or none to look at all".into(),
        Usage::NoRecord { path } => {
            format!("`mashbill verify {}` says line by line why", path.display())
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

/// The folder that was meant where a path has nothing for a command.
fn folder_hint(command: &str, path: &Path) -> String {
    let parents = path.ancestors().skip(1).take(2);
    let outputs = parents.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if is_run(path) {
        format!("it is a run of `mashbill train`: `mashbill report {}` shows it", path.display())
    } else if let Some(output) = outputs.into_iter().find(|output| is_output(output)) {
        format!("it is a part of what `mashbill {command} {}` looks at", output.display())
    } else {
        "give the folder that `mashbill tokenize` wrote (its `--output`), or one with .jsonl files".into()
    }
}
