//! What kind of folder it is, and whether the files in it are the ones that should be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Serialize;

use super::findings::Findings;
use super::problem::{Kind, Place, Remedy};
use crate::error::{Error, Result};
use crate::layout::{self, Output, is_split_file};
use crate::manifest::{Manifest, Split};

/// What is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderKind {
    /// Packed shards with a manifest.
    Tokenized,
    /// JSON Lines.
    Raw,
}

/// Tells a folder by what is in it; none where it is neither.
///
/// # Errors
/// [`Error::Io`].
pub fn folder_kind(path: &Path) -> Result<Option<FolderKind>> {
    if path.is_file() {
        return Ok(is_json_lines(path).then_some(FolderKind::Raw));
    }
    if Output::new(path).manifest().exists() || Output::new(path).state().exists() {
        return Ok(Some(FolderKind::Tokenized));
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for (name, is_folder) in entries(&folder)? {
            let entry = folder.join(&name);
            if is_folder && !name.starts_with('.') {
                folders.push(entry);
            } else if is_json_lines(&entry) {
                return Ok(Some(FolderKind::Raw));
            }
        }
    }
    Ok(None)
}

/// Whether a file's name ends as those of JSON Lines do.
fn is_json_lines(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    [".jsonl", ".jsonl.gz", ".jsonl.zst"].iter().any(|end| name.ends_with(end))
}

/// The names in a folder, sorted, and whether each is a folder.
fn entries(path: &Path) -> Result<Vec<(String, bool)>> {
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
pub(super) fn check_root(output: &Output, manifest: &Manifest, findings: &Findings) -> Result<()> {
    for (name, is_folder) in entries(output.root())? {
        let place = Place::file(name.as_str());
        let is_split = manifest.splits.contains_key(&name) || manifest.vanished.contains_key(&name);
        if name == layout::STATE_FOLDER {
            let detail = "a run is under way, or was interrupted: what it makes is not in the manifest yet";
            findings.warning(Kind::Unfinished, place, Remedy::RunAgain, detail);
        } else if is_folder && !is_split {
            let detail =
                "this folder is no split of the manifest, but a reader that takes every shard would read it";
            if entries(&output.root().join(&name))?.iter().any(|(name, _)| name.ends_with(".parquet")) {
                findings.error(Kind::Stray, place, Remedy::MoveAway { file: name }, detail);
            } else {
                let detail = "this folder is no split of the manifest";
                findings.warning(Kind::Stray, place, Remedy::MoveAway { file: name }, detail);
            }
        } else if !is_folder && name.ends_with(".parquet") {
            let detail = "this file is in no split, but a reader that takes every shard would read it";
            findings.error(Kind::Stray, place, Remedy::MoveAway { file: name }, detail);
        }
    }
    for split in manifest.vanished.keys() {
        let detail = "its input is gone: it counts for nothing, but its shards are still here";
        findings.warning(Kind::Vanished, Place::file(split), Remedy::Prune, detail);
    }
    Ok(())
}

/// Finds files in a split's folder that do not belong there, and lists that are not.
pub(super) fn check_split(output: &Output, name: &str, split: &Split, findings: &Findings) {
    let listed: BTreeSet<&str> =
        split.shard_files.iter().chain([&split.documents]).map(|file| file.name.as_str()).collect();
    let folder = output.split(name);
    let found = entries(&folder).unwrap_or_default();
    for (file, is_folder) in &found {
        let known = if file.ends_with(".parquet") {
            listed.contains(file.as_str())
        } else {
            is_split_file(name, file)
        };
        if *is_folder || !known {
            let path = format!("{name}/{file}");
            let detail = "the manifest does not know it";
            findings.error(Kind::Stray, Place::file(&path), Remedy::MoveAway { file: path }, detail);
        }
    }
    for file in listed {
        if !found.iter().any(|(found, is_folder)| found == file && !is_folder) {
            let remedy = Remedy::MakeSplitAgain { split: name.to_owned() };
            findings.error(Kind::Missing, Place::file(format!("{name}/{file}")), remedy, "it is not there");
        }
    }
}
