//! What kind of folder it is, and whether the files in it are the ones that should be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mashbill_format::error::{Error, Result};
use mashbill_format::find::{FoundFiles, Search, find, has_splits, is_our_own, is_output};
use mashbill_format::layout::{self, Output, TABLES_FOLDER, is_split_file};
use mashbill_format::lock::LOCK;
use mashbill_format::manifest::{Manifest, Split};
use mashbill_records::FileKind;
use serde::Serialize;

use crate::findings::Findings;
use crate::problem::{ProblemKind, ProblemPlace, Remedy};

/// What is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderKind {
    /// Packed shards with a manifest.
    Tokenized,
    /// Records: JSON or Parquet.
    Raw,
}

/// Tells a folder by what is in it; none where it is neither.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io), [`Error::Records`].
pub fn folder_kind(path: &Path) -> Result<Option<FolderKind>> {
    let output = Output::new(path);
    // A pipe or a folder in its place is refused when it is read.
    if is_output(path) {
        return Ok(Some(FolderKind::Tokenized));
    }
    let found = records_below(path)?;
    if !found.files.is_empty() || !found.refused.is_empty() || path.join(LOCK).is_file() {
        return Ok(Some(FolderKind::Raw));
    }
    // A run that has not finished its first split, or a manifest that is lost.
    Ok((output.state().root().is_dir() || has_splits(path)).then_some(FolderKind::Tokenized))
}

/// The files of records at or below `path`, and what is there besides. The shards of a finished split are none, also
/// where `path` is its folder.
///
/// # Errors
/// [`Io`](mashbill_store::Error::Io), [`Error::Records`].
pub fn records_below(path: &Path) -> Result<FoundFiles> {
    let search = Search { recursive: true, output: None };
    let mut found = find(path, search).map_err(|error| Error::records(path, error))?;
    if is_our_own(path, &name_below(path, path)) {
        found.files.retain(|file| !(file.kind == FileKind::Parquet && file.folders.is_empty()));
    }
    Ok(found)
}

/// The name of a file as problems have it: from `root`, the folder or file that is checked, on.
#[must_use]
pub fn name_below(path: &Path, root: &Path) -> String {
    let name = match path.strip_prefix(root) {
        Ok(name) if !name.as_os_str().is_empty() => name,
        Ok(_) => path.file_name().map_or(path, Path::new),
        Err(_) if root.is_file() => path.file_name().map_or(path, Path::new),
        Err(_) => path,
    };
    name.display().to_string().replace('\\', "/")
}

/// The names in a folder, sorted, and whether each is a folder.
pub(crate) fn entries(path: &Path) -> Result<Vec<(String, bool)>> {
    let failed = |source| Error::io("read", path, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.path().is_dir();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_folder));
    }
    names.sort();
    Ok(names)
}

/// Finds what stands beside the splits, and the traces of a run that has not ended.
pub(crate) fn check_root(output: &Output, manifest: &Manifest, findings: &Findings) -> Result<()> {
    for (name, is_folder) in entries(output.root())? {
        let place = ProblemPlace::file(name.as_str());
        let is_split = manifest.splits.contains_key(&name) || manifest.vanished.contains_key(&name);
        if name == layout::STATE_FOLDER {
            unfinished(findings);
        } else if is_folder && name == layout::VALIDATION_FOLDER {
            if manifest.options.held_out.is_none() {
                let detail = "the manifest says that nothing is held out: what is in here is trained on, too";
                findings.error(ProblemKind::HeldOut, place, Remedy::MoveAway { file: name }, detail);
            }
        } else if is_folder && !is_split {
            let detail = "this folder is not a split of the manifest, but a reader that takes every shard would read it";
            if entries(&output.root().join(&name))?.iter().any(|(name, _)| name.ends_with(".parquet")) {
                findings.error(ProblemKind::Stray, place, Remedy::MoveAway { file: name }, detail);
            } else {
                let detail = "this folder is not a split of the manifest";
                findings.warning(ProblemKind::Stray, place, Remedy::MoveAway { file: name }, detail);
            }
        } else if !is_folder && name.ends_with(".parquet") {
            let detail = "this file is in no split, but a reader that takes every shard would read it";
            findings.error(ProblemKind::Stray, place, Remedy::MoveAway { file: name }, detail);
        }
    }
    for split in manifest.vanished.keys() {
        let detail = "its input is gone: the manifest lists it as vanished, and readers ignore it, but its shards are still here";
        findings.warning(ProblemKind::Vanished, ProblemPlace::file(split), Remedy::Prune, detail);
    }
    Ok(())
}

/// Tells of a run that has not ended.
pub(crate) fn unfinished(findings: &Findings) {
    let detail = "a run is under way, or was interrupted: what it makes is not in the manifest yet";
    let place = ProblemPlace::file(layout::STATE_FOLDER);
    findings.warning(ProblemKind::Unfinished, place, Remedy::RunAgain, detail);
}

/// Finds files in a split's folder that do not belong there, and lists that are not.
pub(crate) fn check_split(output: &Output, name: &str, split: &Split, findings: &Findings) {
    let shards = split.shard_files().map(|file| file.name.as_str()).collect();
    let is_known = |file: &str, is_folder: bool| {
        is_split_file(name, file) && !file.ends_with(".parquet") && is_folder == (file == TABLES_FOLDER)
    };
    check_files(output, name, name, &shards, is_known, findings);
    let tables = split.tables().map(|table| table.name.as_str()).collect();
    check_files(output, name, &format!("{name}/{TABLES_FOLDER}"), &tables, |_, _| false, findings);
}

/// Finds what in `folder`, below the output folder, is neither a file in `listed` nor known, and what is listed and not
/// there.
fn check_files(
    output: &Output,
    split: &str,
    folder: &str,
    listed: &BTreeSet<&str>,
    is_known: impl Fn(&str, bool) -> bool,
    findings: &Findings,
) {
    let folder_path = output.root().join(folder);
    for (file, is_folder) in entries(&folder_path).unwrap_or_default() {
        // What is listed and no file has its own line below.
        if !listed.contains(file.as_str()) && !is_known(&file, is_folder) {
            let path = format!("{folder}/{file}");
            let detail = "the manifest does not know it";
            findings.error(
                ProblemKind::Stray,
                ProblemPlace::file(&path),
                Remedy::MoveAway { file: path },
                detail,
            );
        }
    }
    for file in listed {
        let path = folder_path.join(file);
        if !path.is_file() {
            let remedy = Remedy::MakeSplitAgain { split: split.to_owned() };
            let detail = if path.exists() { "it is no file" } else { "it is not there" };
            findings.error(
                ProblemKind::Missing,
                ProblemPlace::file(format!("{folder}/{file}")),
                remedy,
                detail,
            );
        }
    }
}
