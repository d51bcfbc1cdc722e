//! Which input files there are, and the splits that they become.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;

use mashbill_format::find::{FoundFiles, RefusedFile, Search, find, is_our_own};
use mashbill_format::layout::{README, SPLIT_BYTES_MAX};
use mashbill_format::name::{self, NAME_BYTES_MAX};
use mashbill_records::{ReadError, escaped};

use crate::error::{Error, Result};
pub use crate::split_input::{Input, SplitInput};
use crate::split_names;
pub use crate::split_names::SplitNames;

/// What is at an input path.
#[derive(Debug)]
pub struct Inputs {
    /// The splits that the input files become, sorted by name.
    pub inputs: Vec<SplitInput>,
    /// Files with data of a kind that is not read, by their paths from the input folder on.
    pub left_out: Vec<String>,
    /// Files that seem to be no data, by their paths from the input folder on.
    pub others: Vec<String>,
    /// Files that should be read and cannot, by their paths from the input folder on, and why.
    pub refused: Vec<(String, Error)>,
    /// Folders with input that are not entered, by their paths from the input folder on.
    pub not_entered: Vec<String>,
    /// What files have in common that are parts of one dataset and become splits of their own.
    pub apart: Vec<String>,
}

/// Finds the input files at `input`, a file or a folder. `output` is never entered. Names that could not be given to
/// what is made are refused before anything is.
///
/// # Errors
/// [`Error::InputMissing`], [`Error::InputUnknown`], [`Error::InputIsOutput`], [`Error::OutputIsFile`], [`Error::OutputIsInput`], [`Error::NoInput`], [`Error::Content`],
/// [`Error::SplitTwice`], [`Error::SplitName`], [`Error::NameTooLong`], [`Error::Read`].
pub fn discover(input: &Path, output: &Path, recursive: bool, names: SplitNames) -> Result<Inputs> {
    check_output_name(output)?;
    if output.is_file() {
        return Err(Error::OutputIsFile { path: output.to_owned() });
    }
    let is_folder = input.is_dir();
    if is_folder && is_our_own(input, &escaped(input.file_name().unwrap_or_default())) {
        return Err(Error::InputIsOutput { path: input.to_owned() });
    }
    if is_folder && is_same(input, output) {
        return Err(Error::OutputIsInput { path: input.to_owned() });
    }
    let found = search(input, output, recursive)?;
    if found.files.is_empty() && found.refused.is_empty() {
        if !is_folder {
            return Err(Error::InputUnknown { path: input.to_owned() });
        }
        let deeper = if recursive { 0 } else { search(input, output, true)?.files.len() };
        let left_out = found.left_out.into_iter().chain(found.others).collect();
        return Err(Error::NoInput { path: input.to_owned(), deeper, left_out });
    }
    let refused = |RefusedFile { relative, why }: RefusedFile| {
        let error = Error::Content { path: escaped(input.join(&relative).as_os_str()), source: why };
        (relative, error)
    };
    Ok(Inputs {
        apart: split_names::apart(&found.files, names),
        inputs: sorted(split_names::splits(found.files, names, input)?)?,
        left_out: found.left_out,
        others: found.others,
        refused: found.refused.into_iter().map(refused).collect(),
        not_entered: found.not_entered,
    })
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((fs::canonicalize(one), fs::canonicalize(other)), (Ok(one), Ok(other)) if one == other)
}

fn search(input: &Path, output: &Path, recursive: bool) -> Result<FoundFiles> {
    find(input, Search { recursive, output: Some(output) }).map_err(|error| match error {
        ReadError::Io(source) if source.kind() == io::ErrorKind::NotFound => {
            Error::InputMissing { path: input.to_owned() }
        }
        ReadError::Io(source) => Error::read(input, source),
        source => Error::Content { path: escaped(input.as_os_str()), source },
    })
}

/// Sorts splits by their names, which have to be good ones and different.
fn sorted(splits: Vec<SplitInput>) -> Result<Vec<SplitInput>> {
    let mut by_name: BTreeMap<String, SplitInput> = BTreeMap::new();
    for split in splits {
        split.files.iter().try_for_each(|file| check_split_name(&split.split, file))?;
        if let Some(first) = by_name.get(&split.split) {
            let [first, second] = [&first.files, &split.files].map(|files| files[0].path.clone());
            return Err(Error::SplitTwice { split: split.split, first, second });
        }
        by_name.insert(split.split.clone(), split);
    }
    Ok(by_name.into_values().collect())
}

/// Fails where a split's folder, or a file in it, could not have the name that it would get, or the manifest not name it.
fn check_split_name(split: &String, input: &Input) -> Result<()> {
    let path = &input.path;
    if split.len() > SPLIT_BYTES_MAX {
        return Err(Error::NameTooLong { name: split.clone(), path: path.clone(), max: SPLIT_BYTES_MAX });
    }
    let why = match name::check(split).and_then(|()| name::check_path(&input.relative)) {
        Err(why) => why,
        Ok(()) if split == README => "it has a meaning of its own in an output folder",
        Ok(()) if split.starts_with('.') => "what begins with a dot is hidden",
        Ok(()) => return Ok(()),
    };
    Err(Error::SplitName { split: split.clone(), path: path.clone(), why })
}

fn check_output_name(output: &Path) -> Result<()> {
    let too_long = |name: &&OsStr| name.len() > NAME_BYTES_MAX;
    match output.iter().find(too_long) {
        Some(name) => {
            let path = output.to_owned();
            Err(Error::NameTooLong { name: escaped(name), path, max: NAME_BYTES_MAX })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, "{}\n").expect("a file");
        }
        folder
    }

    fn splits(root: &Path, recursive: bool, names: SplitNames) -> Result<Vec<String>> {
        let found = discover(root, &root.join("out"), recursive, names)?;
        Ok(found.inputs.into_iter().map(|input| format!("{}={}", input.split, input.source)).collect())
    }

    #[test]
    fn a_split_is_a_file_and_our_own_files_are_none() {
        let tree = tree(&[
            "b.jsonl",
            "a.jsonl.gz",
            "c.parquet",
            "notes.txt",
            ".hidden.jsonl",
            "code/d.jsonl.zst",
            "made/manifest.json",
            "made/b/shard_0000.parquet",
            "out/b/shard_0000.parquet",
            "code/.x/e.jsonl",
        ]);
        fs::write(tree.path().join("made/manifest.json"), "{\"format_version\": 1}").expect("a file");
        assert_eq!(
            splits(tree.path(), false, SplitNames::Stem).expect("there is input"),
            ["a=a.jsonl.gz", "b=b.jsonl", "c=c.parquet"]
        );
        assert_eq!(
            splits(tree.path(), true, SplitNames::Path).expect("there is input"),
            ["a=a.jsonl.gz", "b=b.jsonl", "c=c.parquet", "code__d=code/d.jsonl.zst"]
        );
    }

    #[test]
    fn refusals_say_what_would_help() {
        let twice = tree(&["chat/a.jsonl", "code/a.jsonl"]);
        match splits(twice.path(), true, SplitNames::Stem) {
            Err(Error::SplitTwice { split, first, second }) => {
                assert_eq!(split, "a");
                assert!(first.ends_with("chat/a.jsonl") && second.ends_with("code/a.jsonl"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(
            splits(twice.path(), true, SplitNames::Path).expect("the names differ"),
            ["chat__a=chat/a.jsonl", "code__a=code/a.jsonl"]
        );
        assert!(matches!(
            splits(twice.path(), false, SplitNames::Stem),
            Err(Error::NoInput { deeper: 2, .. })
        ));
        assert!(matches!(
            splits(&twice.path().join("x"), false, SplitNames::Stem),
            Err(Error::InputMissing { .. })
        ));
        let text = tree(&["a.txt"]);
        assert!(matches!(
            splits(&text.path().join("a.txt"), false, SplitNames::Stem),
            Err(Error::InputUnknown { .. })
        ));
        let made = tree(&["a.jsonl"]);
        fs::write(made.path().join("manifest.json"), "{\"format_version\": 1").expect("a file");
        assert!(matches!(splits(made.path(), false, SplitNames::Stem), Err(Error::InputIsOutput { .. })));
    }
}
