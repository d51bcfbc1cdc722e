//! What mends what `verify` found.

use std::path::{Path, PathBuf};

use mashbill_format::layout::{MANIFEST, Output};
use mashbill_format::lock::LOCK;
use mashbill_format::manifest::Manifest;
use mashbill_store::atomic::folder_of;
use mashbill_store::folder_lock::holder;
use mashbill_verify::Remedy;

use super::records::{ENDINGS, RENAME, column_twice, foreign_hint, hint_for_columns};
use super::refused::refused_hint;

/// What mends a problem that `verify` found in the folder or file at `path`.
pub(crate) fn remedy_hint(remedy: &Remedy, path: &Path) -> String {
    // What places are relative to.
    let folder = if path.is_file() { folder_of(path) } else { path }.display();
    match remedy {
        Remedy::MakeSplitAgain { split } => format!(
            "copy {folder}/{split} again from a good copy, or make it again: remove it and run the \
             `mashbill tokenize` command that made it with `--skip-existing`"
        ),
        Remedy::MakeAllAgain => anew_hint(path),
        Remedy::FillInput => "put records into that file, or remove it and run the `mashbill tokenize` command with `--prune`".into(),
        Remedy::NameSource => format!(
            "say with PATH where what was tokenized is now: `mashbill verify {} --deep --source PATH`",
            path.display()
        ),
        Remedy::CopyAgain => "get that file again from its source, or copy it again from a good copy".into(),
        Remedy::MoveAway { file } => format!("if you do not need it: mv {folder}/{file} somewhere else"),
        Remedy::RunAgain => resume_hint(path),
        Remedy::WriteCard => {
            "rerun the `mashbill tokenize` command that made the folder: it rewrites only the card".into()
        }
        Remedy::Convert { file, content } => {
            let path = if path.is_file() { path.to_owned() } else { path.join(file) };
            foreign_hint(&path, content)
        }
        Remedy::NotRead => ENDINGS.into(),
        Remedy::Rename => RENAME.into(),
        Remedy::RenameColumn { column } => column_twice(column),
        Remedy::NameTextField { columns } => hint_for_columns(columns),
        Remedy::Prune => "`mashbill tokenize … --prune` removes such splits".into(),
        Remedy::CorrectLine => {
            "correct or remove the line; `mashbill tokenize` sets aside lines that are not records".into()
        }
        Remedy::DownloadAgain { dataset, records } if records.is_empty() => {
            format!("mashbill download --output {} --dataset {dataset}", data_folder(path).display())
        }
        Remedy::DownloadAgain { dataset, records } => format!(
            "rm {folder}/{records}; then `mashbill download --output {} --dataset {dataset}` makes it again",
            data_folder(path).display()
        ),
        Remedy::Describe { dataset } => format!(
            "describe the columns of {dataset} in a file for `--catalog` (docs/download.md), then download it with that file"
        ),
        Remedy::FetchAgain { dataset, file } => {
            let data = data_folder(path);
            let data = data.display();
            format!(
                "rm {data}/{file}; then `mashbill download --output {data} --dataset {dataset} --keep-raw`"
            )
        }
        Remedy::RestoreLock => {
            "restore the committed lock, or remove it: `mashbill download` makes a new one"
                .into()
        }
        Remedy::CorrectInput { split } if split.is_empty() => {
            "`mashbill tokenize` with the same input and `--skip-existing` says what the lines have instead of a text"
                .into()
        }
        Remedy::CorrectInput { split } => {
            format!("{folder}/{split}/{split}_rejects.jsonl lists the first of them; {}", taken_hint(path, split))
        }
    }
}

/// What takes more records of a split of the folder at `path`.
fn taken_hint(path: &Path, split: &str) -> &'static str {
    let manifest = Manifest::read(&Output::new(path).manifest()).ok().flatten();
    let Some(template) = manifest.as_ref().and_then(|manifest| manifest.options.template()) else {
        return "`--text-field` names the field of the text";
    };
    let rejected = manifest.as_ref().and_then(|manifest| Some(&manifest.splits.get(split)?.rejected));
    let most = rejected.and_then(|rejected| rejected.iter().max_by_key(|(_, count)| **count));
    most.and_then(|(reason, _)| refused_hint(*reason, template.loss_on))
        .unwrap_or("`mashbill inspect FILE --messages` with the run's flags shows what becomes of one")
}

/// How a run in `folder` that has not ended is gone on with.
pub(crate) fn resume_hint(folder: &Path) -> String {
    let resume = "rerun the `mashbill tokenize` command that made it: it resumes";
    // The lock keeps the name of a process that is gone.
    match holder(&Output::new(folder).state().lock()) {
        Some((pid, host)) => {
            format!("if process {pid} on {host} is still running, wait for it; else {resume}")
        }
        None => resume.into(),
    }
}

/// How a folder is made again whose manifest is damaged or lost.
pub(crate) fn anew_hint(folder: &Path) -> String {
    let manifest = folder.join(MANIFEST);
    let again = "run the `mashbill tokenize` command that made it with `--force`; or copy the folder again from a good copy";
    if manifest.exists() {
        let manifest = manifest.display();
        format!("`mv {manifest} {manifest}.bad`, then {again}")
    } else {
        again.into()
    }
}

/// What mends all of `remedies`, each way said once: where many splits or files need the same, the others are named.
pub(crate) fn remedy_hints(remedies: &[&Remedy], path: &Path) -> Vec<String> {
    let mut told: Vec<(&Remedy, Vec<&str>)> = Vec::new();
    for &remedy in remedies {
        if told.iter().any(|(first, _)| *first == remedy) {
            continue;
        }
        let name = of_what(remedy);
        let alike = |first: &Remedy| std::mem::discriminant(first) == std::mem::discriminant(remedy);
        match (told.iter_mut().find(|(first, _)| alike(first)), name) {
            (Some((_, others)), Some(name)) if others.contains(&name) => {}
            (Some((_, others)), Some(name)) => others.push(name),
            _ => told.push((remedy, Vec::new())),
        }
    }
    told.iter().map(|(first, others)| remedy_hint(first, path) + &and_others(others)).collect()
}

/// The split or file that a remedy is about, where another one may need the same.
fn of_what(remedy: &Remedy) -> Option<&str> {
    match remedy {
        Remedy::MakeSplitAgain { split } => Some(split),
        Remedy::MoveAway { file } => Some(file),
        // Other commands are given whole.
        Remedy::MakeAllAgain
        | Remedy::NameSource
        | Remedy::FillInput
        | Remedy::CopyAgain
        | Remedy::RunAgain
        | Remedy::WriteCard
        | Remedy::Prune
        | Remedy::CorrectLine
        | Remedy::Convert { .. }
        | Remedy::NotRead
        | Remedy::Rename
        | Remedy::RenameColumn { .. }
        | Remedy::NameTextField { .. }
        | Remedy::DownloadAgain { .. }
        | Remedy::Describe { .. }
        | Remedy::FetchAgain { .. }
        | Remedy::RestoreLock
        | Remedy::CorrectInput { .. } => None,
    }
}

/// The names that a hint holds for, too.
fn and_others(names: &[&str]) -> String {
    const NAMED: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; the same for {shown}{more}")
}

/// The folder of downloaded datasets that `path` is, or in which it lies as a category or a file; as `path` names it
/// where it does, else from the root of the disk on.
pub(crate) fn folder_with_lock(path: &Path) -> Option<PathBuf> {
    let has_lock = |folder: &&Path| folder.join(LOCK).is_file();
    let named = |folder| if folder == Path::new("") { Path::new(".") } else { folder };
    let found = path.ancestors().take(3).map(named).find(has_lock).map(Path::to_owned);
    let above = || Some(std::path::absolute(path).ok()?.ancestors().take(3).find(has_lock)?.to_owned());
    found.or_else(above)
}

fn data_folder(path: &Path) -> PathBuf {
    folder_with_lock(path).unwrap_or_else(|| path.to_owned())
}
